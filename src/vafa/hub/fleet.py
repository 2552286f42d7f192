"""Every device at a glance: `vafa status` for a fleet, from what the hub holds and what devices said last.

Trouble before facts, each with a code and what to do. "Broken" is what loses or doubts money or points; what
only waits, or will mend itself, is "degraded".
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from vafa import __version__
from vafa.hub import branches, suspense
from vafa.hub.branches import Counted
from vafa.hub.contact import Contact, contact
from vafa.hub.database import Connection
from vafa.hub.devices import Device, devices
from vafa.hub.forks import Fork, forks
from vafa.hub.lines import Line, current, lines_of
from vafa.hub.merchants import Merchant
from vafa.hub.tables import Place

SILENT_S = 24 * 3_600  # a shop closes for the night, not for two
NEVER_S = 3_600
WAITING_MAX = 2_000  # more than two full requests: the link does not keep up
SKEW_S = 300
RANK = ("ok", "degraded", "broken")


class Trouble(msgspec.Struct, frozen=True):
    """Something to look at. `level` is degraded or broken."""

    level: str
    message: str
    fix: str
    code: str


class DeviceFacts(msgspec.Struct, frozen=True):
    """One device. Ages in seconds, None where it never happened; `waiting` rows are still at the device.

    lost_rows   rows of its other branches that its newest one has not counted yet; again: what it has
    copy_age_s  since a row came on a branch that it had left: a copy of it is in use
    """

    merchant: str
    shop: str
    device: int
    label: str
    verdict: str
    trouble: tuple[Trouble, ...]
    revoked: bool
    seen_age_s: int | None
    rows: int
    waiting: int
    suspense: int
    skew_s: float | None
    vafa: str
    schema: int
    gaps_open: int
    memory_only: int
    link: str
    metered: bool
    said_verdict: str
    books_agree: bool
    forks: tuple[Fork, ...]
    lost_rows: int = 0
    again: Counted = Counted()
    copy_age_s: int | None = None


class Fleet(msgspec.Struct, frozen=True):
    """All that was asked for. `verdict` is the worst of the devices'."""

    schema: int
    verdict: str
    version: str
    at_ms: int
    devices: tuple[DeviceFacts, ...]


def fleet(connection: Connection, merchants: list[Merchant], now_ms: int) -> Fleet:
    """The devices of these merchants, the worst first."""
    found = [
        _device(connection, merchant, device, now_ms)
        for merchant in merchants
        for device in devices(connection, merchant.merchant)
    ]
    found.sort(key=lambda each: (-RANK.index(each.verdict), each.merchant, each.device))
    return Fleet(1, found[0].verdict if found else "ok", __version__, now_ms, tuple(found))


def _device(connection: Connection, merchant: Merchant, device: Device, now_ms: int) -> DeviceFacts:
    lines = lines_of(connection, merchant.merchant, device.device)
    line = current(lines)
    last = contact(connection, merchant.merchant, device.device)
    said = last.facts if last else None
    facts = DeviceFacts(
        merchant=merchant.merchant,
        shop=merchant.name,
        device=device.device,
        label=device.label,
        verdict="ok",
        trouble=(),
        revoked=device.revoked_at is not None or merchant.closed_at is not None,
        seen_age_s=max(0, now_ms - last.seen_at) // 1000 if last else None,
        rows=line.seq,
        waiting=_waiting(last, line),
        suspense=suspense.count(connection, merchant.merchant, device.device, line.line),
        skew_s=last.skew_ms / 1000 if last else None,
        vafa=said.vafa if said else "",
        schema=said.schema if said else 0,
        gaps_open=said.gaps_open if said else 0,
        memory_only=said.memory_only if said else 0,
        link=said.link if said else "",
        metered=said.metered if said else False,
        said_verdict=said.verdict if said else "",
        books_agree=not line.whole,
        forks=tuple(fork for fork in forks(lines) if not fork.accepted),
        **_branches(connection, Place(merchant.merchant, device.device, line.line), lines, now_ms),
    )
    trouble = () if facts.revoked else tuple(_trouble(facts, (now_ms - device.enrolled_at) // 1000))
    worst = max((each.level for each in trouble), key=RANK.index, default="ok")
    return msgspec.structs.replace(facts, verdict=worst, trouble=trouble)


def _branches(connection: Connection, place: Place, lines: list[Line], now_ms: int) -> dict[str, Any]:
    """How far the newest line has what the others have; nothing is asked where there is one."""
    if len(lines) < 2:
        return {}
    copy = branches.stale(lines)
    known = copy is not None and copy.grown_at <= max(each.accepted_at or 0 for each in lines)
    return {
        "lost_rows": sum(
            part.rows for part in branches.missing(connection, place, lines, current(lines).seq)
        ),
        "again": branches.totals(connection, place),
        "copy_age_s": max(0, now_ms - copy.grown_at) // 1000 if copy is not None and not known else None,
    }


def _waiting(last: Contact | None, line: Line) -> int:
    return max(0, last.newest - line.seq) if last else 0


def _trouble(d: DeviceFacts, enrolled_s: int) -> Iterator[Trouble]:
    """What is wrong with one device, the worst first."""
    show = f"vafa hub device show {d.merchant} {d.device}"
    yield from _of_its_branches(d, show)
    if not d.books_agree:
        text = "Its books and the hub's differ."
        yield Trouble("broken", text, f"{show} names the first row; vafa verify at the device", "HUB-011")
    if d.memory_only:
        text = f"{d.memory_only} payments are in its memory only: its disk takes nothing."
        yield Trouble("broken", text, "Do not switch it off; free its disk: vafa status there.", "HUB-012")
    if d.suspense:
        text = f"{d.suspense} of its rows could not be applied and wait in suspense."
        yield Trouble(
            "degraded",
            text,
            f"{show} names them. Is the hub older? Update it, then: vafa hub device rebuild",
            "HUB-013",
        )
    yield from _of_its_contact(d, enrolled_s)
    if d.gaps_open:
        text = f"{d.gaps_open} gaps are open: sales may be missing."
        yield Trouble("degraded", text, "vafa gap list, at the device", "HUB-016")
    if d.said_verdict in ("degraded", "broken"):
        text = f"It says of itself: {d.said_verdict}."
        yield Trouble(d.said_verdict, text, "vafa status, at the device", "HUB-017")


def _of_its_branches(d: DeviceFacts, show: str) -> Iterator[Trouble]:
    """Money or points are in doubt until both branches are counted; then a person should know of it."""
    if d.copy_age_s is not None:
        text = f"A copy of it is in use: rows came on a branch it had left, {d.copy_age_s // 60} min ago."
        fix = "Find the copy and stop it: a restored backup or a copied card. Then: vafa hub device accept"
        yield Trouble("broken", text, fix, "HUB-020")
    if not d.forks:
        return
    accept = f"{show}; known and wanted? vafa hub device accept"
    text = "Its journal has two branches: a restored backup, or a copied card that went on."
    if d.lost_rows:
        text = (
            f"{text} {d.lost_rows:,} rows of the other are not counted yet: its next syncs bring them back."
        )
        yield Trouble("broken", text, accept, "HUB-010")
        return
    owed = f"; {d.again.short:,} points were spent on both and are owed" if d.again.short else ""
    left = f"; {d.again.left_out:,} rows could not be counted" if d.again.left_out else ""
    yield Trouble("degraded", f"{text} Both are counted, each payment once{owed}{left}.", accept, "HUB-010")


def _of_its_contact(d: DeviceFacts, enrolled_s: int) -> Iterator[Trouble]:
    if d.seen_age_s is None:
        if enrolled_s > NEVER_S:
            text = "It was enrolled and never synced."
            yield Trouble("degraded", text, "vafa sync status, at the device", "HUB-014")
        return
    if d.seen_age_s > SILENT_S:
        text = f"It was last heard of {d.seen_age_s // 3600} h ago."
        yield Trouble("degraded", text, "Is the shop open? vafa sync status, at the device", "HUB-014")
    elif d.waiting > WAITING_MAX:
        text = f"{d.waiting:,} of its rows wait: its link does not keep up."
        yield Trouble("degraded", text, "vafa sync status, at the device", "HUB-015")
    if d.skew_s is not None and abs(d.skew_s) > SKEW_S:
        text = f"Its clock is {abs(d.skew_s):.0f} s {'ahead' if d.skew_s > 0 else 'behind'}."
        yield Trouble("degraded", text, "sudo timedatectl set-ntp true, at the device", "HUB-018")
