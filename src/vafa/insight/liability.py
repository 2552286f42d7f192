"""What a club owes: points outstanding × their worth, less what will lapse, as an interval.

Breakage is the share of points that lapse instead of being redeemed. It is taken from the shop's own points
that have ended either way, never from a rule of thumb, so it is an interval: Wilson's, at 95 %, over how
often points have ended. A shop in which none has yet knows nothing of it, and the interval is 0 to 100 %.

Source: LOYALTY.md §9.
"""

from fractions import Fraction
from math import isqrt

from msgspec import Struct

_Z = Fraction(49, 25)  # 1.96, of a 95 % interval
_SCALE = 10**12
ALL, NONE = Fraction(1), Fraction(0)


class Breakage(Struct, frozen=True):
    """The share of points that lapse: between `low` and `high`, seen over `ended` redemptions and lapses."""

    low: Fraction
    high: Fraction
    ended: int

    @property
    def is_known(self) -> bool:
        """False where no point has ended yet."""
        return self.ended > 0


class Liability(Struct, frozen=True):
    """Rial (minor units) owed for points outstanding; None where the programme does not say their worth."""

    all: int | None
    low: int | None
    high: int | None


def breakage(lapsed: int, redeemed: int, ended: int) -> Breakage:
    """From points lapsed and redeemed in `ended` occasions."""
    if not ended or not lapsed + redeemed:
        return Breakage(NONE, ALL, 0)
    share, n = Fraction(lapsed, lapsed + redeemed), Fraction(ended)
    widening = 1 + _Z**2 / n
    centre = (share + _Z**2 / (2 * n)) / widening
    half = _Z * _root(share * (1 - share) / n + _Z**2 / (4 * n**2)) / widening
    return Breakage(max(NONE, centre - half), min(ALL, centre + half), ended)


def liability(outstanding: int, value: Fraction | None, expected: Breakage) -> Liability:
    """Rounded outwards: never less than what it may be."""
    if value is None:
        return Liability(None, None, None)
    whole = outstanding * value
    return Liability(
        whole.__ceil__(),
        (whole * (1 - expected.high)).__floor__(),
        (whole * (1 - expected.low)).__ceil__(),
    )


def _root(value: Fraction) -> Fraction:
    """The square root to twelve decimals."""
    return Fraction(isqrt(value.numerator * _SCALE**2 // value.denominator), _SCALE)
