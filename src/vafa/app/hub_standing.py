"""What `status` says of links and hub: facts of the link watch and the courier, and what is trouble in them.

A device without a network is a device that works: sales earn, the paper says so, and what waits is sent when
a link comes back. So it is trouble only once it has lasted, and what to do is mostly nothing.
"""

from collections.abc import Iterator

from vafa.app.live import HubLive
from vafa.app.standing import LinkFacts, Trouble
from vafa.app.status import iso
from vafa.app.sync_standing import hub_facts, queue
from vafa.sync.facts import SyncFacts
from vafa.sync.links import Link, Links

LOST_S = 120.0  # a link that flaps is no news
FAILED_IN_A_ROW = 3
LINKS_SHOWN = 4
_ORDER = {"sim": 0, "wifi": 1, "ethernet": 2, "other": 3, "loopback": 4}


def hub_live(links: Links, sync: SyncFacts, now: float, now_ms: int) -> HubLive:
    """Both put together. `now` on the monotonic clock of the watch, `now_ms` what the wall clock says."""
    carrier = links.carrier
    shown = tuple(_link(each, carrier, sync, now, now_ms) for each in _worth_showing(links))
    trouble = tuple(_trouble(links, sync, now))
    return HubLive(hub_facts(sync, now_ms), shown, queue(sync), trouble)


def _worth_showing(links: Links) -> list[Link]:
    """The link that carries us, then modems and Wi-Fi, then a cable that was in; what never was up only where
    nothing carries us."""
    carrier = links.carrier

    def place(link: Link) -> tuple[bool, int, str]:
        return link != carrier, _ORDER[link.kind], link.name

    worth = [
        link
        for link in links.links
        if link == carrier
        or link.name == links.way
        or link.kind in ("sim", "wifi")
        or (link.kind == "ethernet" and (link.was_up or carrier is None))
    ]
    return sorted(worth, key=place)[:LINKS_SHOWN]


def _link(link: Link, carrier: Link | None, sync: SyncFacts, now: float, now_ms: int) -> LinkFacts:
    carries = link == carrier
    online = carries and sync.state in ("reachable", "refused")  # what refuses us has answered
    age_s = max(0.0, now - link.changed_at)
    return LinkFacts(
        name=link.name,
        kind=link.kind,
        state="online" if online else link.state,
        since=_ago(age_s, now_ms),
        age_s=age_s,
        carries=carries,
        metered=link.metered,
        radio=link.radio,
        round_trip_ms=sync.round_trip_ms if online else None,
        was_up=link.was_up,
    )


def _trouble(links: Links, sync: SyncFacts, now: float) -> Iterator[Trouble]:
    """At most one reason why nothing is sent: the nearest to the device; then what lies at the hub."""
    waiting = f" ({sync.waiting:,})" if sync.waiting else ""
    goes_on = f"Sales go on; points are kept on this device{waiting}"
    failing = len(sync.reach) >= FAILED_IN_A_ROW and not any(sync.reach[:FAILED_IN_A_ROW])
    lost_s = now - links.changed_at
    if links.fault:
        yield Trouble("degraded", f"{links.fault}.", "Syncing goes on; see the code.", "LINK-004")
    if sync.state == "refused":
        yield Trouble("degraded", f"The hub refuses: {sync.trouble}. {goes_on}.", _fix(sync), sync.code)
    elif not links.fault and links.carrier is None and lost_s >= LOST_S and not _reached(sync, lost_s):
        fix = "Nothing to do: they will be sent when a link comes back."
        yield Trouble("degraded", f"No network for {span(lost_s)}. {goes_on}.", fix, "LINK-002")
    elif failing and (links.carrier is not None or links.fault):
        since = "" if sync.last_sync_age_s is None else f" for {span(sync.last_sync_age_s)}"
        words = f"The hub {sync.host} has not answered{since}: {sync.trouble}. {goes_on}."
        yield Trouble("degraded", words, _fix(sync), sync.code)
    if sync.refused:
        fix = "The rules of before go on. Correct the version at the hub, or update Vafa here."
        yield Trouble("degraded", f"New rules were not taken: {sync.refused}.", fix, "SYN-021")
    if sync.branch_fault:
        words = f"Rows this device lost were not taken from the hub: {sync.branch_fault}."
        yield Trouble("degraded", words, "Sales go on. Tell the hub's operator; vafa sync status.", "SYN-022")
    elif sync.branch_left:
        words = f"{sync.branch_left:,} rows that this device lost are still to come back from the hub."
        yield Trouble("degraded", words, "Nothing to do: each sync brings some; sales go on.", "SYN-023")
    if sync.suspense:
        words = f"{sync.suspense:,} events lie in suspense at the hub: its books could not take them."
        yield Trouble("degraded", words, "Nothing is lost. Tell the hub's operator.", "SYN-020")


def _reached(sync: SyncFacts, within_s: float) -> bool:
    """True when the hub has answered since: whatever the routes look like, there is a way."""
    age_s = sync.last_sync_age_s
    return sync.state == "reachable" and age_s is not None and age_s < within_s


def _fix(sync: SyncFacts) -> str:
    fix = sync.fix or "It is tried again by itself; vafa sync log"
    return fix[0].upper() + fix[1:] + ("" if fix.endswith(".") else ".")


def _ago(age_s: float | None, now_ms: int) -> str:
    """The wall clock's time so many seconds ago, ISO; '' for None. Spans are measured: a clock that was set
    meanwhile shifts the time shown, not the span."""
    return "" if age_s is None else iso(now_ms - int(age_s * 1000))


def span(seconds: float) -> str:
    """`40 s`, `41 min`, `2 h`, `3 d`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size * 1.5:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
