"""What a payment earns: exact contributions and one floor.

A sale contributes the exact rational c = eligible × points / per. A member's points under one programme
version are floor(Σ c), so posting keeps the fraction that is left (the carry, in [0, 1)) and each posting is
the difference of that floor. Rounding each sale for itself would make ten small purchases worth less than
one large one, and a refund would take more than the sale gave.

Source: LOYALTY.md §1 and §7 (a claim equals having enrolled first).
"""

from collections.abc import Iterable
from fractions import Fraction

from msgspec import Struct

from vafa.club.programme import CURRENCIES, Programme
from vafa.model.events import Nothing

NO_CARRY = Fraction(0)


class Posting(Struct, frozen=True):
    """What a change of the sum of contributions does: `points` to post (may be negative), the new carry."""

    contribution: Fraction
    points: int
    carry_after: Fraction


class Earned(Struct, frozen=True):
    """What a sale earns. eligible in minor units; points == floor(carry before + contribution)."""

    eligible: int
    contribution: Fraction
    points: int
    carry_after: Fraction


def earn(
    programme: Programme,
    amount: int,
    currency: int,
    is_sale: bool,  # noqa: FBT001  (a fact of the payment, no switch)
    carry: Fraction,
) -> Earned | Nothing:
    """What a completed payment of `amount` minor units earns on top of `carry`, or why it earns nothing."""
    assert amount >= 0, "a codec hands over no negative amounts"
    if not is_sale:
        return Nothing.NOT_A_SALE
    if currency != CURRENCIES[programme.currency]:
        return Nothing.NO_PROGRAMME  # rates are per currency epoch; this document has none for that one
    if amount < programme.minimum:
        return Nothing.BELOW_MINIMUM
    posted = post(carry, contribution(programme, amount))
    return Earned(amount, posted.contribution, posted.points, posted.carry_after)


def contribution(programme: Programme, eligible: int) -> Fraction:
    """The exact points, a fraction, that `eligible` minor units are worth."""
    return Fraction(eligible * programme.points, programme.per)


def post(carry: Fraction, change: Fraction) -> Posting:
    """The difference of the floor when the sum of contributions moves by `change` (a refund: below zero)."""
    assert 0 <= carry < 1, "a carry is what a floor left over"
    total = carry + change
    points = total.__floor__()
    return Posting(change, points, total - points)


def regroup(waiting: Iterable[Fraction], carry: Fraction) -> Posting:
    """What waiting contributions bring a member with this carry: as if they had enrolled before all of them.

    All under one programme version. The points that leave the waiting holders are the caller's to add up:
    several holders floored each for itself, so the result may be more than leaves them.
    """
    return post(carry, sum(waiting, Fraction(0)))
