"""What a member's lots mean on a day: what is pending, what lapses soon, and by which clock.

Points are good to the end of their last valid day, so they lapse at the local midnight after it; paper prints
the day, never that instant. When new points lapse stands in club.windows; the order in which lots are drawn
from, in model.lots, where the books check it.

Source: LOYALTY.md §2.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from vafa.model.calendar import local_time
from vafa.model.lots import Lot, next_lapse

OWN_CLOCK_ADDS_S = 26 * 3600  # as far as the own clock is believed beyond the last attested time
GOOD_AGAIN_DAYS = 7  # what lapsed while it was spent, and came back
LAPSING_SHOWN_DAYS = 45
FAR_S = (LAPSING_SHOWN_DAYS + 2) * 86_400  # of what lapses later than that no calendar need be asked


class Lapsing(Struct, frozen=True):
    """Points that lapse together; `day` is the last one on which they are good."""

    points: int
    day: date


class Pending(Struct, frozen=True):
    """Points that can be used from `at` (UTC seconds) on."""

    points: int
    at: int


def last_valid_day(expires_at: int, zone: str) -> date:
    """What paper prints of an instant of lapse."""
    return local_time(expires_at - 1, zone).date()


def attested_now(mark: int, wall: int) -> int | None:
    """The UTC second that lots may lapse by, or None while nobody has vouched for the clock.

    The own clock moves an attested mark by at most 26 hours, and never back.
    """
    return min(max(mark, wall), mark + OWN_CLOCK_ADDS_S) if mark else None


def good_again_until(at: int, zone: str) -> int:
    """Until when lapsed points are good that come back at a UTC second: seven whole days."""
    day = local_time(at, zone).date() + timedelta(days=GOOD_AGAIN_DAYS + 1)
    return int(datetime.combine(day, datetime.min.time(), ZoneInfo(zone)).timestamp())


def active(lots: Sequence[Lot], balance: int, at: int) -> int:
    """The balance at a UTC second: what has lapsed is not in it, whether or not its Expire is posted."""
    return balance - sum(lot.points for lot in lots if _lapsed(lot, at))


def pending(lots: Sequence[Lot], at: int) -> list[Pending]:
    """Points that cannot be used yet, the soonest first."""
    found: dict[int, int] = {}
    for lot in lots:
        if not lot.usable(at):
            found[lot.available_at] = found.get(lot.available_at, 0) + lot.points
    return [Pending(points, until) for until, points in sorted(found.items())]


def is_soon(expires_at: int, at: int, zone: str) -> bool:
    """True when the last valid day is near enough to be told on paper."""
    days = (last_valid_day(expires_at, zone) - local_time(at, zone).date()).days
    return 0 <= days <= LAPSING_SHOWN_DAYS


def lapsing(lots: Sequence[Lot], at: int, zone: str) -> Lapsing | None:
    """The next points to lapse and their last valid day; None when nothing ever does."""
    points, expires_at = next_lapse(lots, at)
    return Lapsing(points, last_valid_day(expires_at, zone)) if points else None


def _lapsed(lot: Lot, at: int) -> bool:
    return bool(lot.expires_at) and lot.expires_at <= at
