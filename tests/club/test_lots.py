"""When points lapse and what a member reads of it, against LOYALTY.md's numbers."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from vafa.club.lots import (
    Lapsing,
    Pending,
    active,
    attested_now,
    good_again_until,
    is_soon,
    lapsing,
    last_valid_day,
    pending,
)
from vafa.club.windows import lapses_at
from vafa.model.calendar import from_jalali, to_jalali
from vafa.model.lots import Lot

TEHRAN = "Asia/Tehran"


def at(year: int, month: int, day: int, hour: int = 12) -> int:
    """A Jalali day's local hour in Tehran, UTC seconds."""
    day_of = from_jalali(year, month, day)
    return int(datetime(day_of.year, day_of.month, day_of.day, hour, tzinfo=ZoneInfo(TEHRAN)).timestamp())


TIR = at(1405, 4, 1, 0)


@pytest.mark.parametrize("day", [1, 15, 30])
def test_earned_any_day_of_azar_it_lapses_at_the_start_of_tir_and_paper_says_the_end_of_khordad(
    day: int,
) -> None:
    lapse = lapses_at(at(1404, 9, day), 6, "month", "jalali", TEHRAN)
    assert lapse == TIR
    assert to_jalali(last_valid_day(lapse, TEHRAN)) == (1405, 3, 31)


def test_the_balance_is_what_remains_of_the_active_lots() -> None:
    lots = (Lot(at(1404, 10, 30), 1, 20), Lot(TIR, 2, 30))
    assert [active(lots, 100, when) for when in (at(1404, 10, 1), at(1404, 11, 1), TIR)] == [100, 80, 50]


# (attested mark, the own clock, what lots may lapse by)
@pytest.mark.parametrize(
    ("mark", "wall", "now"),
    [
        (0, 2_000_000, None),  # nobody vouched for the clock: nothing lapses
        (1_000_000, 1_000_100, 1_000_100),
        (1_000_000, 900_000, 1_000_000),  # it never falls
        (1_000_000, 2_000_000, 1_093_600),  # the own clock adds 26 hours at most
    ],
)
def test_nothing_lapses_on_an_unattested_clock(mark: int, wall: int, now: int | None) -> None:
    assert attested_now(mark, wall) == now


def test_points_that_come_back_lapsed_are_good_for_seven_whole_days() -> None:
    until = good_again_until(at(1405, 1, 3, 15), TEHRAN)
    assert to_jalali(last_valid_day(until, TEHRAN)) == (1405, 1, 10)


def test_what_is_pending_and_what_lapses_next_is_told_by_day() -> None:
    soon = at(1404, 9, 5, 0)
    lots = (Lot(TIR, 1, 30, soon), Lot(TIR, 2, 5, soon), Lot(TIR, 3, 10), Lot(0, 4, 7, soon + 9))
    now = at(1404, 9, 1)
    assert pending(lots, now) == [Pending(35, soon), Pending(7, soon + 9)]
    last = from_jalali(1405, 3, 31)
    assert lapsing(lots, now, TEHRAN) == Lapsing(45, last)
    assert [is_soon(TIR, at(1405, month, 1), TEHRAN) for month in (2, 3, 4)] == [False, True, False]
    assert lapsing((), now, TEHRAN) is None
    assert isinstance(last, date)
    assert datetime.fromtimestamp(TIR, UTC).hour in (20, 21)
