"""What a club owes, as an interval, against an independent computation of Wilson's."""

from fractions import Fraction
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.insight.liability import Breakage, Liability, breakage, liability


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**5))
def test_breakage_is_wilsons_interval(lapsed: int, redeemed: int, ended: int) -> None:
    if not lapsed + redeemed:
        return
    share, z = lapsed / (lapsed + redeemed), 1.96
    centre = (share + z * z / (2 * ended)) / (1 + z * z / ended)
    half = z * sqrt(share * (1 - share) / ended + z * z / (4 * ended**2)) / (1 + z * z / ended)
    found = breakage(lapsed, redeemed, ended)
    assert float(found.low) == pytest.approx(max(0.0, centre - half), abs=1e-9)
    assert float(found.high) == pytest.approx(min(1.0, centre + half), abs=1e-9)


@pytest.mark.parametrize(
    ("outstanding", "value", "low", "high", "rial"),
    [
        (1_000, Fraction(5_000), Fraction(0), Fraction(1), (5_000_000, 0, 5_000_000)),
        (1_000, Fraction(5_000), Fraction(1, 10), Fraction(3, 10), (5_000_000, 3_500_000, 4_500_000)),
        (1, Fraction(1, 3), Fraction(0), Fraction(0), (1, 0, 1)),
        (7, None, Fraction(0), Fraction(1), (None, None, None)),
    ],
)
def test_points_outstanding_times_their_worth_less_what_will_lapse(
    outstanding: int,
    value: Fraction | None,
    low: Fraction,
    high: Fraction,
    rial: tuple[int | None, int | None, int | None],
) -> None:
    assert liability(outstanding, value, Breakage(low, high, 5)) == Liability(*rial)


def test_a_shop_in_which_no_point_has_ended_knows_nothing() -> None:
    assert breakage(0, 0, 0) == Breakage(Fraction(0), Fraction(1), 0)
    assert not breakage(0, 0, 0).is_known
