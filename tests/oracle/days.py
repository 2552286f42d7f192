"""Days of the shop's calendar, by persiantools: Jalali months, lengths clamped, starts of periods."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from persiantools.jdatetime import JalaliDate

TEHRAN = ZoneInfo("Asia/Tehran")
DAY_S = 86_400
PERIOD_MONTHS = {"month": 1, "quarter": 3, "half-year": 6, "year": 12}


def jalali(day: date) -> tuple[int, int, int]:
    """(year, month, day)."""
    on = JalaliDate(day)  # type: ignore[no-untyped-call]
    return on.year, on.month, on.day


def gregorian(year: int, month: int, day: int) -> date:
    """The date of a Jalali day; a day that the month does not have is its last."""
    last = JalaliDate.days_in_month(month, year)
    on: date = JalaliDate(year, month, min(day, last)).to_gregorian()  # type: ignore[no-untyped-call]
    return on


def written(day: date) -> str:
    """As a programme writes it."""
    year, month, number = jalali(day)
    return f"{year}/{month:02d}/{number:02d}"


def read(text: str) -> date:
    year, month, number = map(int, text.split("/"))
    return gregorian(year, month, number)


def local(at: int) -> datetime:
    """The shop's wall clock."""
    return datetime.fromtimestamp(at, TEHRAN)


def day_of(at: int) -> date:
    return local(at).date()


def midnight(day: date) -> int:
    """The UTC second at which a local day begins."""
    return int(datetime.combine(day, time(), TEHRAN).astimezone(UTC).timestamp())


def months_after(day: date, months: int) -> date:
    year, month, number = jalali(day)
    month += months
    return gregorian(year + (month - 1) // 12, (month - 1) % 12 + 1, number)


def last_of(day: date, period: str) -> date:
    """The last day of the period that a day lies in; of 'none' the day itself."""
    if period == "none":
        return day
    year, month, _ = jalali(day)
    length = PERIOD_MONTHS[period]
    return gregorian(year, -(-month // length) * length, 31)


def first_of(day: date, period: str) -> date:
    """The first day of the period that a day lies in."""
    year, month, _ = jalali(day)
    return gregorian(year, month - (month - 1) % PERIOD_MONTHS[period], 1)


def near(today: date, month: int, number: int, before: int, after: int) -> int | None:
    """The Jalali year whose such day is near enough to today."""
    this, _, _ = jalali(today)
    for year in (this, this - 1, this + 1):
        on = gregorian(year, month, number)
        if on - timedelta(days=before) <= today <= on + timedelta(days=after):
            return year
    return None
