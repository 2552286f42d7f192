"""Tiers that are not reached again are lost at the programme's evaluation instants, found by a job.

By attested time alone, as lots lapse: a clock that nobody vouches for takes nothing from anybody. A device
that was off at the instant does it when it is back; who reached a tier since then keeps it.
"""

import sqlite3

from vafa.app.earning import tier_changed
from vafa.app.programmes import covering, parsed
from vafa.app.settling import SLICE_ROWS, attested
from vafa.books.rows import MemberRow
from vafa.club import tiers
from vafa.club.programme import Programme
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.ledger.tables import rows_where
from vafa.model.standing import unpack, unpack_window


class Evaluations:
    """Used by one thread. Looks at every member in a tier once for each instant and start of the daemon."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._done: tuple[bytes, int] = (b"", 0)

    def run(self) -> str:
        """What it did in words, '' for nothing."""
        found = self._ledger.write(_due)
        if found is None or (found[0].id, found[1]) == self._done:
            return ""
        programme, instant = found
        changed, after = 0, b""
        while True:
            last, count = self._ledger.write(lambda tx, a=after: _slice(tx, programme, instant, a))  # type: ignore[misc]
            changed += count
            if last is None:
                break
            after = last
        self._done = (programme.id, instant)
        return f"{changed} members changed their tier" if changed else ""


def _due(tx: Transaction) -> tuple[Programme, int] | None:
    """The programme in force and its newest evaluation instant, where it has tiers and one has come."""
    at = attested(tx)
    if at is None:
        return None
    programme, since = _in_force(tx.connection, at)
    if programme is None or not programme.tiers:
        return None
    instant = tiers.evaluation_before(programme, at)
    return (programme, instant) if instant >= since else None  # rules that came later do not reach back


def _in_force(connection: sqlite3.Connection, at: int) -> tuple[Programme | None, int]:
    """The version that covers a UTC second, and since when it does (0: from the beginning)."""
    rows = reads.programmes(connection)
    version = covering([(row.id, row.from_at) for row in rows], at)
    if not version:
        return None, 0
    begun = [row.from_at or 0 for row in rows if row.id == version and (row.from_at or 0) <= at]
    return parsed(connection, version), begun[-1] if begun else 0


def _slice(tx: Transaction, programme: Programme, instant: int, after: bytes) -> tuple[bytes | None, int]:
    """(the last member looked at, or None when there are no more; how many changed)."""
    where = "tier <> '' AND id > ? ORDER BY id LIMIT ?"
    rows, changed = rows_where(tx.connection, MemberRow, where, after, SLICE_ROWS), 0
    for row in rows:
        step = tiers.evaluated(
            programme,
            row.tier,
            row.tier_since,
            unpack_window(row.metric),
            unpack(row.standing).last_at,
            instant,
        )
        if step is not None:
            tx.post(tier_changed(row.id, step, instant, programme))
            changed += 1
    return (rows[-1].id if len(rows) == SLICE_ROWS else None), changed
