"""Where the sync stands, for `vafa sync`: more than `status` shows of it; with the daemon up and down."""

from pathlib import Path

import msgspec

from vafa.app import sync_standing
from vafa.app.status import iso
from vafa.app.sync_boot import boot_id
from vafa.app.sync_questions import LoggedSync, SyncStanding
from vafa.ledger import branches, reads
from vafa.ledger.storage import connect_reader, ledger_path
from vafa.sync import kept as keeps
from vafa.sync.budget import Budget
from vafa.sync.enrolment import Enrolment
from vafa.sync.facts import SyncFacts
from vafa.sync.kept import Trouble
from vafa.wire.messages import Mark


class Moment(msgspec.Struct, frozen=True):
    """Now, on both clocks; what only a running daemon knows: the next try, and why no process works.

    next_at  monotonic; None with the daemon down, or where nothing is planned
    """

    monotonic: float
    wall_ms: int
    next_at: float | None = None
    fault: Trouble | None = None
    process: int = 0


def facts(directory: Path, who: Enrolment, now: Moment) -> SyncFacts:
    """What `status` shows. SyncError, LedgerError when it cannot be read."""
    next_try_s = None if now.next_at is None else max(0.0, now.next_at - now.monotonic)
    found = sync_standing.of_ledger(directory, who.host, now.wall_ms, next_try_s)
    if now.fault is None:
        return found
    return msgspec.structs.replace(found, trouble=now.fault.text, fix=now.fault.fix, code=now.fault.code)


def report(directory: Path, who: Enrolment, day_bytes: int, now: Moment) -> SyncStanding:
    """All of it. SyncError, LedgerError when it cannot be read."""
    there = SyncStanding(
        who.merchant,
        who.device,
        facts(directory, who, now),
        process=now.process,
        came_back=_came_back(directory),
    )
    with keeps.reading(keeps.path_in(directory.absolute())) as connection:
        if connection is None:
            return there
        kept = keeps.kept_in(connection)
        members, messages = keeps.counts_in(connection)
    left_kb = None
    if kept.budget is not None and day_bytes:
        left = Budget(day_bytes, boot_id(), now.monotonic, kept.budget).left(now.monotonic)
        left_kb = max(0, int(left.bytes / 1000))
    return msgspec.structs.replace(
        there,
        received=_number(directory, kept.received),
        safe=_number(directory, kept.safe),
        refused=kept.refused,
        notes=tuple((note.code, note.text) for note in kept.notes),
        members=members,
        messages=messages,
        left_kb=left_kb,
    )


def logged(directory: Path, limit: int) -> tuple[LoggedSync, ...]:
    """The last syncs, the newest first."""
    with keeps.reading(keeps.path_in(directory.absolute())) as connection:
        syncs = [] if connection is None else keeps.log_in(connection, limit)
    return tuple(
        LoggedSync(
            iso(sync.at_ms), sync.ok, sync.rows, sync.up, sync.down, sync.link_bytes, sync.new_connection,
            sync.took_ms, sync.link, sync.code, sync.text, sync.regained,
        )
        for sync in syncs
    )  # fmt: skip


def _came_back(directory: Path) -> tuple[int, int, int, int]:
    """(counted, known, left out, points owed) of all branches together."""
    connection = connect_reader(ledger_path(directory.absolute()))
    try:
        found = branches.counted(connection)
    finally:
        connection.close()
    rows = [(each.counted, each.known, each.left_out, each.short) for each in found]
    return tuple(map(sum, zip(*rows, strict=True))) if rows else (0, 0, 0, 0)  # type: ignore[return-value]


def _number(directory: Path, mark: Mark) -> str:
    """A mark as our short number."""
    if not mark.seq:
        return ""
    connection = connect_reader(ledger_path(directory.absolute()))
    try:
        device = reads.device(connection)
    finally:
        connection.close()
    return "" if device is None else device.short_number(mark.epoch, mark.seq)
