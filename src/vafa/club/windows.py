"""Days, months and years as rules count them: local days in the programme's zone, Jalali or Gregorian months.

"n months" clamps to the month's last day (31 Mordad + 6 months = 30 Bahman, or 29 Esfand for 30 Esfand). What
lapses holds to the end of its last valid day, so an instant of lapse is always the start of a day.

Source: LOYALTY.md §1, §2 and §5; tests compare with an independent Jalali calendar.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from vafa.model.calendar import (
    JALALI_YEAR_MAX,
    JALALI_YEAR_MIN,
    from_jalali,
    jalali_month_days,
    to_jalali,
)

MONTHS = {"month": 1, "quarter": 3, "half-year": 6, "year": 12}
Split = tuple[int, int, int]


@lru_cache(maxsize=64)  # one sale's rules ask for it several times
def local(at: int, zone: str) -> datetime:
    """The wall clock of a shop at a UTC second. Clocks lie: a time no calendar has is the nearest it has."""
    return datetime.fromtimestamp(min(max(at, _AT_MIN), _AT_MAX), ZoneInfo(zone))


_AT_MIN, _AT_MAX = 0, 4_765_132_800  # 1970 to 2120, within the Jalali years of model.calendar


def day_start(day: date, zone: str) -> int:
    """The UTC second at which a local day begins."""
    return int(datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC).timestamp())


@lru_cache(maxsize=64)
def split(day: date, calendar: str) -> Split:
    """(year, month, day) in a calendar."""
    return to_jalali(day) if calendar == "jalali" else (day.year, day.month, day.day)


def joined(year: int, month: int, day: int, calendar: str) -> date:
    """The date of a calendar's day, which is clamped to the month's last. Months beyond the year count on."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    last = month_days(year, month, calendar)
    if calendar == "jalali":
        return from_jalali(year, month, min(day, last))
    return date(year, month, min(day, last))


def month_days(year: int, month: int, calendar: str) -> int:
    """How many days a month has."""
    if calendar == "jalali":
        return jalali_month_days(year, month)
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - timedelta(days=1)).day


def months_later(day: date, months: int, calendar: str) -> date:
    """The same day `months` later, clamped to that month's last day."""
    year, month, number = split(day, calendar)
    return joined(year, month + months, number, calendar)


def end_of(day: date, how: str, calendar: str) -> date:
    """The last day of the month, quarter, half-year or year that `day` lies in; 'none': the day itself."""
    if how == "none":
        return day
    year, month, _ = split(day, calendar)
    length = MONTHS[how]
    return joined(year, (month + length - 1) // length * length, 31, calendar)


def start_of(day: date, how: str, calendar: str) -> date:
    """The first day of the month, quarter, half-year or year that `day` lies in."""
    year, month, _ = split(day, calendar)
    length = MONTHS[how]
    return joined(year, (month - 1) // length * length + 1, 1, calendar)


def lapses_at(earned_at: int, months: int, how: str, calendar: str, zone: str) -> int:
    """When points earned at a UTC second lapse: the start of the day after their last valid day."""
    return _lapses_at(local(earned_at, zone).date(), months, how, calendar, zone)


@lru_cache(maxsize=64)  # a shop's sales of one day lapse together
def _lapses_at(earned: date, months: int, how: str, calendar: str, zone: str) -> int:
    last_valid = end_of(months_later(earned, months, calendar), how, calendar)
    return day_start(last_valid + timedelta(days=1), zone)


def yearly(day: date, month: int, number: int, before: int, after: int, calendar: str) -> int | None:
    """The calendar year whose (month, number) has `day` within `before` days before to `after` days after.

    A day the year does not have (30 Esfand) is its month's last. None when no year's has.
    """
    year, _, _ = split(day, calendar)
    for each in (year, year - 1, year + 1):
        if calendar == "jalali" and not JALALI_YEAR_MIN <= each <= JALALI_YEAR_MAX:
            continue
        on = joined(each, month, number, calendar)
        if on - timedelta(days=before) <= day <= on + timedelta(days=after):
            return each
    return None


def in_hours(now: datetime, hours: str) -> bool:
    """True within "17:00-20:00", the end not included; "22:00-02:00" goes over midnight."""
    clock, start, end = f"{now:%H:%M}", hours[:5], hours[6:]
    if start < end:
        return start <= clock < end
    return clock >= start or clock < end


def parsed_day(text: str, calendar: str) -> date:
    """The date of "1405/01/31" in a calendar. ValueError when there is no such day."""
    year, month, day = map(int, text.split("/"))
    return from_jalali(year, month, day) if calendar == "jalali" else date(year, month, day)
