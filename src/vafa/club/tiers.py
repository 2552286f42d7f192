"""Tiers: which one a member is in, what counts towards it, when it is reached and when it is lost.

A tier is reached by net spend, points earned or visits, never by a balance; thresholds are inclusive, one
goes up at once, with the purchase that reaches it. One goes down only at the programme's evaluation instants
(the start of a month, quarter, half-year or year), not before `grace_days` in the tier, by one or to what one
qualifies for. Over a year's window what was reached last year holds through this one.

Source: LOYALTY.md §5.
"""

from datetime import date, timedelta

from msgspec import Struct

from vafa.club.programme import Programme, Tier
from vafa.club.windows import day_start, local, months_later, split, start_of
from vafa.model.events import Counted
from vafa.model.standing import Window

_METRICS = {"spend": 1, "points": 2, "visits": 3}
_WINDOWS = {"ever": 0, "year": 10, "rolling": 20}
DAY_S = 86_400
LATE_DAYS = 31  # days kept beyond a rolling window, for an evaluation that comes late


class Step(Struct, frozen=True):
    """A member goes from one tier to another; `metric` is what they had reached."""

    before: str
    after: str
    metric: int
    why: str


def ranked(programme: Programme) -> list[Tier]:
    """The tiers, the lowest first."""
    return sorted(programme.tiers, key=_threshold)


def _threshold(tier: Tier) -> int:
    return tier.at_least


def tier_of(programme: Programme, stored: str) -> Tier | None:
    """The tier a member is in: the stored one, else the one that everybody has; None for neither."""
    lowest = None
    for tier in programme.tiers:
        if tier.id == stored:
            return tier
        if not tier.at_least:
            lowest = tier
    return lowest


def counted(programme: Programme, at: int, eligible: int, points: int) -> Counted:
    """What a purchase adds to the metric; `eligible` in current rial."""
    metric = programme.metric
    value = eligible if metric == "spend" else points if metric == "points" else 1
    period, since = _period(programme, local(at, programme.zone).date())
    return Counted(_number(programme), period, value, since)


def taken_out(was: Counted | None, eligible: int, points: int, visits: int) -> Counted | None:
    """What the metric loses when money of a purchase that was counted goes back."""
    if was is None:
        return None
    value = {1: eligible, 2: points, 3: visits}[was.metric % 10]
    return Counted(was.metric, was.period, -value) if value else None


def metric_now(programme: Programme, window: Window | None, day: date) -> int:
    """What a member has reached in the window that ends with a local day."""
    if window is None or window.metric != _number(programme):
        return 0
    match programme.window:
        case "ever":
            return window.total(0)
        case "year":
            year = split(day, programme.calendar)[0]
            return window.total(year, year)
        case _:
            return window.total(day.toordinal() - programme.window_days + 1, day.toordinal())


def reached(programme: Programme, metric: int) -> str:
    """The highest tier whose threshold a metric has reached, '' for none."""
    highest, threshold = "", 0
    for tier in programme.tiers:
        if threshold <= tier.at_least <= metric:
            highest, threshold = tier.id, tier.at_least
    return highest


def upgrade(programme: Programme, stored: str, window: Window | None, at: int) -> Step | None:
    """The tier that a member has just reached, if it is a higher one."""
    metric = metric_now(programme, window, local(at, programme.zone).date())
    return _up(programme, stored, metric)


def evaluation_before(programme: Programme, at: int) -> int:
    """The newest evaluation instant that is not after a UTC second."""
    day = local(at, programme.zone).date()
    return day_start(start_of(day, programme.evaluate, programme.calendar), programme.zone)


def evaluated(
    programme: Programme, stored: str, since: int, window: Window | None, last_at: int, instant: int
) -> Step | None:
    """What the evaluation at an instant does to a member, in their tier since `since`; None: nothing."""
    order = [tier.id for tier in ranked(programme)]
    if stored not in order or since >= instant:
        return None  # nobody falls out of no tier, nor twice at one instant
    day = local(instant, programme.zone).date()
    metric = _kept_by(programme, window, day)
    place, earned = order.index(stored), reached(programme, metric)
    qualified = order.index(earned) if earned else -1
    if qualified < place and instant >= since + programme.grace_days * DAY_S:
        down = place - 1 if programme.downgrade == "one_down" else qualified
        return Step(stored, order[down] if down >= 0 else "", metric, "not reached again")
    if programme.inactive_months and place > 0 and _inactive(programme, max(since, last_at), day):
        return Step(stored, order[place - 1], metric, "no purchase")
    return None


def _inactive(programme: Programme, since: int, day: date) -> bool:
    last = local(since, programme.zone).date()
    return months_later(last, programme.inactive_months, programme.calendar) <= day


def _kept_by(programme: Programme, window: Window | None, day: date) -> int:
    """What keeps a tier on the first day of a period: what came before, last year's where that is more."""
    before = day - timedelta(days=1)
    metric = metric_now(programme, window, before)
    if programme.window != "year" or window is None or window.metric != _number(programme):
        return metric
    year = split(day, programme.calendar)[0]
    return max(metric, window.total(year - 1, year - 1), window.total(year, year))


def _up(programme: Programme, stored: str, metric: int) -> Step | None:
    now = tier_of(programme, stored)
    there = -1 if now is None else now.at_least
    high = reached(programme, metric)
    if not high or all(tier.at_least <= there for tier in programme.tiers if tier.id == high):
        return None
    return Step(stored, high, metric, "reached")


def _number(programme: Programme) -> int:
    return _METRICS[programme.metric] + _WINDOWS[programme.window]


def _period(programme: Programme, day: date) -> tuple[int, int]:
    """(period, the oldest to keep) of a purchase on a local day."""
    match programme.window:
        case "ever":
            return 0, 0
        case "year":
            year = split(day, programme.calendar)[0]
            return year, year - 1
        case _:
            return day.toordinal(), day.toordinal() - programme.window_days + 1 - LATE_DAYS
