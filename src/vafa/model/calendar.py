"""Jalali and Gregorian dates, exact, and the terminal's wall clock.

Within the years Vafa deals with (1210 to 1500, Gregorian 1831 to 2121) the Jalali leap years repeat every 33
years, so the conversion is arithmetic on a day count. Tests compare every day with an independent library.
"""

import re
from datetime import UTC, date, datetime
from enum import IntEnum
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

JALALI_YEAR_MIN, JALALI_YEAR_MAX = 1210, 1500
_LEAP_REMAINDERS = frozenset({1, 5, 9, 13, 17, 22, 26, 30})  # year mod 33
_NOWRUZ_1210 = date(1831, 3, 21)
_MONTHS_OF_31_DAYS = 6


class Calendar(IntEnum):
    """Which calendar a terminal's clock counts in. Stored; never renumber."""

    GREGORIAN = 1
    JALALI = 2


class WallTime(Struct, frozen=True):
    """What a terminal's clock showed, in its own calendar and zone; unchecked until `instant` takes it."""

    calendar: Calendar
    year: int
    month: int
    day: int
    hour: int
    minute: int
    second: int

    def instant(self, zone: str) -> int | None:
        """UTC seconds since 1970, or None where the terminal showed an impossible date."""
        try:
            day = (
                from_jalali(self.year, self.month, self.day)
                if self.calendar is Calendar.JALALI
                else date(self.year, self.month, self.day)
            )
            wall = datetime(
                day.year, day.month, day.day, self.hour, self.minute, self.second, tzinfo=ZoneInfo(zone)
            )
        except ValueError:
            return None
        return int(wall.timestamp())


def jalali_leap(year: int) -> bool:
    """True when Esfand of `year` has 30 days."""
    return year % 33 in _LEAP_REMAINDERS


def jalali_month_days(year: int, month: int) -> int:
    """29, 30 or 31."""
    if month <= _MONTHS_OF_31_DAYS:
        return 31
    return 30 if month < 12 or jalali_leap(year) else 29


@cache
def _year_starts() -> tuple[int, ...]:
    """Ordinals of 1 Farvardin from JALALI_YEAR_MIN to the year after JALALI_YEAR_MAX."""
    starts = [_NOWRUZ_1210.toordinal()]
    for year in range(JALALI_YEAR_MIN, JALALI_YEAR_MAX + 1):
        starts.append(starts[-1] + 365 + jalali_leap(year))
    return tuple(starts)


@lru_cache(maxsize=64)  # a shop's sales are of one day
def from_jalali(year: int, month: int, day: int) -> date:
    """The Gregorian date of a Jalali one. ValueError when there is no such day."""
    if not JALALI_YEAR_MIN <= year <= JALALI_YEAR_MAX or not 1 <= month <= 12:
        raise ValueError(f"no Jalali month {year}/{month}")
    if not 1 <= day <= jalali_month_days(year, month):
        raise ValueError(f"no Jalali day {year}/{month}/{day}")
    before = 31 * min(month - 1, _MONTHS_OF_31_DAYS) + 30 * max(0, month - 1 - _MONTHS_OF_31_DAYS)
    return date.fromordinal(_year_starts()[year - JALALI_YEAR_MIN] + before + day - 1)


def to_jalali(day: date) -> tuple[int, int, int]:
    """(year, month, day) of a Gregorian date. ValueError outside 1210 to 1500."""
    starts = _year_starts()
    ordinal = day.toordinal()
    if not starts[0] <= ordinal < starts[-1]:
        raise ValueError(f"{day} is outside the Jalali years {JALALI_YEAR_MIN} to {JALALI_YEAR_MAX}")
    index = min((ordinal - starts[0]) * 33 // 12053, len(starts) - 2)  # 33 years have 12,053 days
    while starts[index] > ordinal:
        index -= 1
    while starts[index + 1] <= ordinal:
        index += 1
    rest = ordinal - starts[index]
    if rest < 31 * _MONTHS_OF_31_DAYS:
        month, day_before = divmod(rest, 31)
        return JALALI_YEAR_MIN + index, month + 1, day_before + 1
    month, day_before = divmod(rest - 31 * _MONTHS_OF_31_DAYS, 30)
    return JALALI_YEAR_MIN + index, month + 1 + _MONTHS_OF_31_DAYS, day_before + 1


_BIRTHDAY = re.compile(r"(?:(\d{4})[/.-])?(\d{1,2})[/.-](\d{1,2})")


def birthday(text: str) -> tuple[int, int] | None:
    """(month, day) of a birthday written day/month (31/06) or year/month/day (1370/06/31); None when it is no
    Jalali day. 30 Esfand is one: who was born on it in a leap year has it."""
    found = _BIRTHDAY.fullmatch(text.strip())
    if found is None:
        return None
    year, first, second = (int(part) if part else 0 for part in found.groups())
    month, day = (first, second) if year else (second, first)
    if not 1 <= month <= 12:
        return None
    days = jalali_month_days(year, month) if year else 30 if month == 12 else jalali_month_days(1400, month)
    return (month, day) if 1 <= day <= days else None


def birthday_text(day: tuple[int, int]) -> str:
    """(month, day) as people write it: 31/06."""
    return f"{day[1]:02d}/{day[0]:02d}"


def local_time(instant: int, zone: str) -> datetime:
    """The wall clock of `zone` at a UTC instant in seconds, for showing to people."""
    return datetime.fromtimestamp(instant, UTC).astimezone(ZoneInfo(zone))
