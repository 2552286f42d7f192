"""The Jalali calendar against an independent library, day by day."""

from datetime import date, timedelta

import pytest
from persiantools.jdatetime import JalaliDate

from vafa.model.calendar import Calendar, WallTime, from_jalali, to_jalali


def test_every_day_of_1300_to_1500_agrees_with_an_independent_calendar() -> None:
    day, last = date(1921, 3, 21), date(2122, 3, 20)
    while day <= last:
        other = JalaliDate(day)  # type: ignore[no-untyped-call]
        assert to_jalali(day) == (other.year, other.month, other.day)
        assert from_jalali(*to_jalali(day)) == day
        day += timedelta(days=1)


@pytest.mark.parametrize(
    ("year", "month", "day"), [(1404, 12, 30), (1404, 13, 1), (1404, 7, 31), (1600, 1, 1)]
)
def test_a_day_that_is_not_in_the_calendar_is_refused(year: int, month: int, day: int) -> None:
    with pytest.raises(ValueError, match="Jalali"):
        from_jalali(year, month, day)


def test_a_terminals_wall_clock_becomes_an_instant_and_an_impossible_one_becomes_none() -> None:
    jalali = WallTime(Calendar.JALALI, 1397, 10, 9, 15, 39, 8)
    gregorian = WallTime(Calendar.GREGORIAN, 2018, 12, 30, 15, 39, 8)
    assert jalali.instant("Asia/Tehran") == gregorian.instant("Asia/Tehran") == 1546171748
    assert WallTime(Calendar.JALALI, 1404, 12, 30, 0, 0, 0).instant("Asia/Tehran") is None
    assert WallTime(Calendar.GREGORIAN, 2026, 1, 1, 24, 0, 0).instant("Asia/Tehran") is None
