"""The lines Link, Hub, Queue and Reach of `vafa status`, and what the hub says of the clock.

Beside the verb: each function gives (label, the rest of the line). A device that was never enrolled has one
line of all these, and none of its verdict.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vafa.app.standing import LinkFacts, Status

CLOCK_GOOD_S = 30.0
_WHAT, _STATE, _WHEN = 23, 18, 23  # columns of the three parts
_TIME = 11  # `08:12 (2 h)`: a time without a span stands under the others
Line = tuple[str, str]


def links_and_hub(status: "Status") -> Iterator[Line]:
    """Each link, the one that carries us first; the hub, unless there is no way to it to speak of."""
    carried = any(link.carries for link in status.links)
    for place, link in enumerate(status.links):
        yield (
            "Link" if place == 0 else "",
            _link(link, status.clock.zone, in_use=link.carries or not carried),
        )
    if status.hub is None or (status.links and not carried):
        return
    hub = status.hub
    state = "not asked yet" if hub.state == "never" else hub.state
    since = "never" if hub.last_sync_age_s is None else f"{span(hub.last_sync_age_s)} ago"
    yield "Hub", _columns(hub.host, state, "last sync", since)


def clock(status: "Status") -> Iterator[Line]:
    """How far our clock is from the hub's, as the hub's last signed answer said."""
    hub = status.hub
    if hub is not None and hub.skew_s is not None and hub.skew_age_s is not None:
        good = "good" if abs(hub.skew_s) <= CLOCK_GOOD_S else "wrong"
        checked = f"{span(hub.skew_age_s)} ago"
        yield "Clock", _columns(f"{hub.skew_s:+,.2f} s vs hub", good, "checked", checked)


def queue(status: "Status") -> Iterator[Line]:
    """What waits to be sent; of a device without a hub, what it keeps."""
    queue = status.queue
    if queue.waiting is None:
        what = "enrolled" if queue.enrolled else "not enrolled"
        yield "Queue", f"{what:<{_WHAT}} {queue.kept:,} events kept on this device"
        return
    oldest = "-" if queue.oldest_age_s is None else span(queue.oldest_age_s)
    waiting, retrying = f"{queue.waiting:,} waiting", f"{queue.retrying:,} retrying"
    yield "Queue", _columns(f"{waiting:<11} {retrying}", f"{queue.suspense:,} in suspense", "oldest", oldest)


def reach(status: "Status") -> Iterator[Line]:
    """How the last requests went: one dot each, newest left."""
    hub = status.hub
    if hub is None or not hub.reach:
        return
    dots = "".join("●" if good else "○" for good in hub.reach)
    plural = "s" if len(hub.reach) > 1 else ""
    what = f"{dots:<11} last {len(hub.reach)} sync{plural}, newest left"
    failed = hub.reach.count(False)
    when = ""
    if not hub.reach[0] and hub.next_try_s is not None:
        when = _when("next try", f"in {span(hub.next_try_s)}")
    elif failed:
        when = _when(f"{failed} failed at", clock_time(hub.failed_at, status.clock.zone))
    yield "Reach", f"{what:<{_WHAT + _STATE + 2}}{when}".rstrip()


def _link(link: "LinkFacts", zone: str, *, in_use: bool) -> str:
    what = link.name
    if link.carries:
        what = f"{what} {link.radio}".rstrip() + (", metered" if link.metered else "")
    trip = "" if link.round_trip_ms is None else f"  {link.round_trip_ms:.0f} ms"
    since = "since" if link.state in ("online", "up") else "lost" if link.was_up else "since"
    at = clock_time(link.since, zone)
    return _columns(
        what, f"{link.state}{trip}", since, f"{at} ({span(link.age_s)})" if in_use else f"{at:<{_TIME}}"
    )


def _columns(what: str, state: str, since: str, age: str) -> str:
    return f"{what:<{_WHAT}} {state:<{_STATE}} {_when(since, age)}".rstrip()


def _when(since: str, age: str) -> str:
    return since + age.rjust(_WHEN - len(since))


def clock_time(iso: str, zone: str) -> str:
    """`08:12` in the shop's zone."""
    from zoneinfo import ZoneInfo

    moment = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    return f"{moment.astimezone(ZoneInfo(zone)) if zone else moment:%H:%M}"


def span(seconds: float) -> str:
    """`38 s`, `41 min`, `2 h`, `3 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size * 1.5:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
