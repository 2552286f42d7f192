"""Days and months as rules count them, on the Jalali calendar and against an independent one."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from persiantools.jdatetime import JalaliDate

from vafa.club.windows import (
    day_start,
    end_of,
    in_hours,
    lapses_at,
    local,
    months_later,
    split,
    start_of,
    yearly,
)
from vafa.model.calendar import from_jalali, to_jalali

TEHRAN = ZoneInfo("Asia/Tehran")


def jalali(text: str) -> date:
    return from_jalali(*map(int, text.split("/")))


def at(day: str, clock: str = "12:00") -> int:
    hour, minute = map(int, clock.split(":"))
    on = jalali(day)
    return int(datetime(on.year, on.month, on.day, hour, minute, tzinfo=TEHRAN).timestamp())


@pytest.mark.parametrize(
    ("earned", "months", "how", "last_valid_day"),
    [
        ("1404/09/01", 6, "month", "1405/03/31"),  # any day of Azar: lapses at the start of 1 Tir
        ("1404/09/15", 6, "month", "1405/03/31"),
        ("1404/09/30", 6, "month", "1405/03/31"),
        ("1404/09/15", 6, "none", "1405/03/15"),
        ("1404/05/31", 6, "none", "1404/11/30"),  # Bahman has no 31st
        ("1403/12/30", 12, "none", "1404/12/29"),  # 1403 is a leap year, 1404 is not
        ("1404/12/29", 12, "month", "1405/12/29"),
        ("1404/01/01", 1, "quarter", "1404/03/31"),
        ("1404/06/31", 1, "quarter", "1404/09/30"),
        ("1404/01/01", 1, "half-year", "1404/06/31"),
        ("1404/07/01", 3, "half-year", "1404/12/29"),
        ("1408/07/01", 3, "half-year", "1408/12/30"),  # a leap year's Esfand
    ],
)
def test_points_hold_to_the_end_of_their_last_valid_day(
    earned: str, months: int, how: str, last_valid_day: str
) -> None:
    following = jalali(last_valid_day) + timedelta(days=1)
    lapse = lapses_at(at(earned), months, how, "jalali", "Asia/Tehran")
    assert datetime.fromtimestamp(lapse, TEHRAN) == datetime(
        following.year, following.month, following.day, tzinfo=TEHRAN
    )


def test_points_earned_in_azar_for_six_months_lapse_at_the_start_of_1_tir() -> None:
    for day in range(1, 31):
        lapse = lapses_at(at(f"1404/09/{day}", "23:59"), 6, "month", "jalali", "Asia/Tehran")
        assert lapse == at("1405/04/01", "00:00")


def test_the_gregorian_calendar_is_one_setting_away() -> None:
    assert months_later(date(2026, 1, 31), 1, "gregorian") == date(2026, 2, 28)
    assert end_of(date(2026, 2, 3), "quarter", "gregorian") == date(2026, 3, 31)
    assert start_of(date(2026, 12, 31), "half-year", "gregorian") == date(2026, 7, 1)


days = st.dates(date(1950, 1, 1), date(2100, 1, 1))


@given(days, st.integers(0, 120))
def test_months_later_agrees_with_an_independent_calendar(day: date, months: int) -> None:
    other = JalaliDate(day)  # type: ignore[no-untyped-call]
    year, month = other.year + (other.month - 1 + months) // 12, (other.month - 1 + months) % 12 + 1
    last = JalaliDate.days_in_month(month, year)
    clamped = JalaliDate(year, month, min(other.day, last))  # type: ignore[no-untyped-call]
    expected = clamped.to_gregorian()
    assert months_later(day, months, "jalali") == expected


@given(days, st.sampled_from(["month", "quarter", "half-year", "year"]))
def test_a_day_lies_between_the_start_and_the_end_of_its_period(day: date, how: str) -> None:
    start, end = start_of(day, how, "jalali"), end_of(day, how, "jalali")
    assert start <= day <= end
    assert split(start, "jalali")[2] == 1
    assert to_jalali(end + timedelta(days=1))[2] == 1
    assert start_of(end, how, "jalali") == start


@pytest.mark.parametrize(
    ("today", "birthday", "before", "after", "year"),
    [
        ("1405/02/07", (2, 10), 3, 3, 1405),
        ("1405/02/06", (2, 10), 3, 3, None),
        ("1405/02/13", (2, 10), 3, 3, 1405),
        ("1405/02/14", (2, 10), 3, 3, None),
        ("1404/12/29", (1, 1), 3, 3, 1405),  # the week goes over Nowruz
        ("1405/01/02", (12, 29), 3, 3, 1404),
        ("1404/12/29", (12, 30), 0, 0, 1404),  # no 30 Esfand this year: the 29th
        ("1403/12/30", (12, 30), 0, 0, 1403),
        ("1403/12/29", (12, 30), 0, 0, None),
        ("1405/06/31", (6, 31), 0, 0, 1405),
    ],
)
def test_a_birthday_s_days_on_the_jalali_calendar(
    today: str, birthday: tuple[int, int], before: int, after: int, year: int | None
) -> None:
    assert yearly(jalali(today), *birthday, before, after, "jalali") == year


@given(days, st.integers(1, 12), st.integers(1, 31), st.integers(0, 15), st.integers(0, 15))
def test_a_birthday_is_near_on_as_many_days_as_its_window_has(
    start: date, month: int, number: int, before: int, after: int
) -> None:
    year = to_jalali(start)[0]
    first = from_jalali(year, 1, 1) - timedelta(days=40)
    near = [
        yearly(first + timedelta(days=each), month, number, before, after, "jalali") for each in range(460)
    ]
    assert near.count(year) == before + after + 1


@pytest.mark.parametrize(
    ("clock", "hours", "inside"),
    [
        ("17:00", "17:00-20:00", True),
        ("19:59", "17:00-20:00", True),
        ("20:00", "17:00-20:00", False),
        ("16:59", "17:00-20:00", False),
        ("23:30", "22:00-02:00", True),
        ("01:59", "22:00-02:00", True),
        ("02:00", "22:00-02:00", False),
        ("23:59", "17:00-24:00", True),
    ],
)
def test_happy_hours(clock: str, hours: str, inside: bool) -> None:
    assert in_hours(datetime.fromisoformat(f"2026-11-23T{clock}:30+03:30"), hours) is inside


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Berlin", "America/Santiago", "Africa/Cairo", "Asia/Beirut", "Australia/Lord_Howe",
        "Asia/Tehran",
    ],
)  # fmt: skip
def test_each_local_day_begins_where_the_one_before_ends_also_when_the_clocks_are_set(zone: str) -> None:
    """Santiago, Cairo and Beirut set theirs at midnight: some days have no 00:00. Tehran did until 2022."""
    day = date(2019, 1, 1)
    begins = day_start(day, zone)
    while day < date(2027, 1, 1):
        following = day_start(day + timedelta(days=1), zone)
        assert 22 * 3_600 <= following - begins <= 26 * 3_600
        assert (local(begins, zone).date(), local(following - 1, zone).date()) == (day, day)
        day, begins = day + timedelta(days=1), following
