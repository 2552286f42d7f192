"""The journal as the courier reads it: read-only, in short reads that hold up no checkpoint.

While a read is open the ledger's log cannot begin anew; grown beyond its size it would be checkpointed with
every sale, three flushes instead of one. This process gives way to everybody, so a long read could be left
standing for seconds: a request's rows are read in slices, each a read of its own.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vafa.ledger.storage import connect_reader
from vafa.model.chain import NO_HASH, Row
from vafa.model.errors import LedgerError
from vafa.model.events import Kind
from vafa.wire.messages import MARK_HASH_BYTES, Mark

_ROW = "SELECT epoch, seq, at, kind, body, till, state, hash FROM journal"
_BODIES_BYTES_MAX = (
    1_000_000  # of one reading: a request's rows pack to less than its limit, memory stays flat
)
_SLICE_ROWS = 100


class LedgerJournal:
    """One reader's. Opens the ledger with the first question and again after an error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def newest(self) -> int:
        """The newest seq, 0 for an empty journal."""
        found = self._all("SELECT coalesce(max(seq), 0) FROM journal")
        return int(found[0][0])

    def row(self, seq: int) -> Row | None:
        """One row."""
        found = self._all(f"{_ROW} WHERE seq = ?", seq)
        return Row(*found[0]) if found else None

    def rows_after(self, seq: int, at_most: int) -> Sequence[Row]:
        """Consecutive rows, oldest first, of no more than a megabyte of bodies (but always one)."""
        rows: list[Row] = []
        size = 0
        while len(rows) < at_most:
            after = rows[-1].seq if rows else seq
            wanted = min(_SLICE_ROWS, at_most - len(rows))
            found = self._all(f"{_ROW} WHERE seq > ? ORDER BY seq LIMIT ?", after, wanted)
            for columns in found:
                row = Row(*columns)
                size += len(row.body)
                if rows and size > _BODIES_BYTES_MAX:
                    return rows
                rows.append(row)
            if len(found) < wanted:
                break
        return rows

    def epoch_begins(self, after_epoch: int) -> int | None:
        """The seq of the first row of the first epoch above this one."""
        sql = f"SELECT min(seq) FROM journal WHERE kind = {int(Kind.EPOCH_OPENED)} AND epoch > ?"  # noqa: S608
        found = self._all(sql, after_epoch)
        return None if found[0][0] is None else int(found[0][0])

    def counted(self) -> list[Mark]:
        """The last row of each branch that is counted here, the newest first."""
        sql = "SELECT epoch, seq, hash FROM branch ORDER BY at_seq DESC"
        return [Mark(epoch, seq, row_hash[:MARK_HASH_BYTES]) for epoch, seq, row_hash in self._all(sql)]

    def before(self, seq: int) -> list[bytes]:
        """The chain hashes that a row `seq` of a branch may follow: of rows here and of what came back."""
        if seq == 1:
            return [NO_HASH]
        sql = "SELECT hash FROM journal WHERE seq = ?1 UNION ALL SELECT hash FROM branch_row WHERE seq = ?1"
        return [row_hash for (row_hash,) in self._all(sql, seq - 1)]

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _all(self, sql: str, *values: int) -> list[Any]:
        try:
            if self._connection is None:
                self._connection = connect_reader(self._path)
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise LedgerError(
                f"the ledger cannot be read ({error})", fix="check the disk; then: vafa verify"
            ) from error
