"""How it stands between this device and its hub, out of what the sync process keeps: for `status` and doctor.

The same with the daemon up and down: the file is read, the sync process is not asked. What cannot be read is
begun anew by the next sync, so until then nothing is known and everything waits.
"""

import sqlite3
from pathlib import Path
from typing import Literal

import msgspec

from vafa.app.standing import HubFacts, Queue
from vafa.ledger.storage import connect_reader, ledger_path
from vafa.model.errors import SyncError
from vafa.sync.facts import REACH_SHOWN, SyncFacts
from vafa.sync.kept import FILE, Kept, Sync, kept_in, log_in, reading

FOLDER = "sync"  # beside the ledger
State = Literal["never", "reachable", "unreachable", "refused"]


class Read(msgspec.Struct, frozen=True):
    """What was found: where the sync stands, its last tries (newest first), the ledger's newest row, and when
    the oldest row that waits was written (0: none does)."""

    kept: Kept
    syncs: list[Sync]
    head: int
    oldest_ms: int


def read(directory: Path, connection: sqlite3.Connection) -> Read:
    """`connection` reads the ledger in `directory`. A file of the sync that is damaged counts as none."""
    kept, syncs = Kept(), list[Sync]()
    try:
        with reading((directory / FOLDER / FILE).absolute()) as found:
            if found is not None:
                kept, syncs = kept_in(found), log_in(found, REACH_SHOWN)
    except SyncError:
        kept, syncs = Kept(), []
    (head,) = connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
    next_row = (kept.received.seq + 1,)
    oldest = connection.execute("SELECT at FROM journal WHERE seq = ?", next_row).fetchone()
    return Read(kept, syncs, head, oldest[0] if oldest else 0)


def sync_facts(host: str, found: Read, now_ms: int, next_try_s: float | None = None) -> SyncFacts:
    """In the words of `status`. next_try_s: as the daemon has planned it."""
    kept, syncs = found.kept, found.syncs
    trouble = kept.final or kept.trouble
    waiting = max(0, found.head - kept.received.seq)
    failed = next((sync for sync in syncs if not sync.ok), None)
    return SyncFacts(
        host=host,
        state=_state(kept, syncs),
        trouble=trouble.text if trouble else "",
        fix=trouble.fix if trouble else "",
        code=trouble.code if trouble else "",
        last_sync_age_s=_age_s(kept.last_ok_ms, now_ms),
        next_try_s=next_try_s,
        round_trip_ms=float(kept.rtt_ms) if kept.checked_ms else None,
        reach=tuple(sync.ok for sync in syncs),
        failed_age_s=_age_s(failed.at_ms, now_ms) if failed else None,
        waiting=waiting,
        retrying=min(waiting, syncs[0].rows) if syncs and not syncs[0].ok else 0,
        suspense=kept.suspense,
        refused=kept.refused,
        branch_left=kept.branch_left,
        branch_fault=kept.branch_fault,
        oldest_age_s=_age_s(found.oldest_ms, now_ms) if waiting else None,
        skew_s=kept.skew_ms / 1000 if kept.checked_ms else None,
        skew_age_s=_age_s(kept.checked_ms, now_ms),
    )


def of_ledger(directory: Path, host: str, now_ms: int, next_try_s: float | None = None) -> SyncFacts:
    """As `sync_facts`, on a reading connection of its own."""
    connection = connect_reader(ledger_path(directory.absolute()))
    try:
        return sync_facts(host, read(directory, connection), now_ms, next_try_s)
    finally:
        connection.close()


def without_daemon(
    directory: Path, host: str, connection: sqlite3.Connection, now_ms: int
) -> tuple[HubFacts, Queue]:
    """The hub and the queue as they were when the daemon ended."""
    facts = sync_facts(host, read(directory, connection), now_ms)
    return hub_facts(facts, now_ms), queue(facts)


def hub_facts(sync: SyncFacts, now_ms: int) -> HubFacts:
    """The hub's part."""
    from vafa.app.status import iso

    failed_at = "" if sync.failed_age_s is None else iso(now_ms - int(sync.failed_age_s * 1000))
    return HubFacts(
        host=sync.host,
        state=sync.state,
        last_sync_age_s=sync.last_sync_age_s,
        next_try_s=sync.next_try_s,
        reach=sync.reach,
        failed_at=failed_at,
        skew_s=sync.skew_s,
        skew_age_s=sync.skew_age_s,
    )


def queue(sync: SyncFacts) -> Queue:
    """The queue's part; what the ledger holds in all is the ledger's to say."""
    return Queue(True, 0, sync.waiting, sync.retrying, sync.suspense, sync.oldest_age_s)  # noqa: FBT003


def _state(kept: Kept, syncs: list[Sync]) -> State:
    if kept.final is not None:
        return "refused"
    if not syncs:
        return "never"
    return "reachable" if syncs[0].ok else "unreachable"


def _age_s(at_ms: int, now_ms: int) -> float | None:
    """Seconds since a time of the wall clock, None for none; a clock that went back makes it no age."""
    return max(0.0, (now_ms - at_ms) / 1000) if at_ms else None
