"""What a point costs the shop, in minor units, as the programme itself says it.

`redeem.point_value` where the merchant wrote one; else the dearest of the rewards points can be given for,
because a liability is what it may come to. None where no reward says what it costs.
"""

from fractions import Fraction

from vafa.club.programme import Programme


def point_value(programme: Programme) -> Fraction | None:
    """Minor units that one point may cost."""
    if programme.point_value:
        return Fraction(programme.point_value)
    found = [
        Fraction(reward.rial if reward.kind == "amount-off" else reward.cost, reward.points)
        for reward in programme.rewards
        if reward.points and (reward.rial or reward.cost)
    ]
    return max(found, default=None)


def cost(points: int, value: Fraction | None) -> int | None:
    """What so many points cost, in whole minor units, rounded up; None when nobody knows."""
    return None if value is None else -((-points * value.numerator) // value.denominator)
