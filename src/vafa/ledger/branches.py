"""Branches that this journal left after a fork, and their rows: the evidence of what was counted of them.

The rows lie in `branch_row` of the ledger's own file, as the hub gave them: chained from the row of ours (or
of another branch) that they follow. The books (`BranchRow`) know how far they are counted. Nothing here is
ever changed or deleted.
"""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from vafa.books.rows import BranchRow, PaymentRow
from vafa.ledger.tables import find_row, rows_where
from vafa.model import events
from vafa.model.chain import NO_HASH, Row, chain_hash
from vafa.model.events import Kind

RETAINED = "branch_row"  # what a Checkpoint calls the place the rows lie in
_COLUMNS = "epoch, seq, at, kind, body, till, state, hash"
_KEEP = f"INSERT INTO branch_row (first, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PAYMENTS = (Kind.AWARD, Kind.PAYMENT)


def keep(connection: sqlite3.Connection, first: bytes, row: Row) -> None:
    """One more row of a branch, in the caller's transaction."""
    connection.execute(_KEEP, (first, *msgspec.structs.astuple(row)))


def counted(connection: sqlite3.Connection) -> list[BranchRow]:
    """Every branch of which something is counted, the one that was counted last first."""
    return rows_where(connection, BranchRow, "1 ORDER BY at_seq DESC")


def row_of(connection: sqlite3.Connection, first: bytes, seq: int) -> Row | None:
    """A row of a branch."""
    sql = f"SELECT {_COLUMNS} FROM branch_row WHERE first = ? AND seq = ?"
    columns = connection.execute(sql, (first, seq)).fetchone()
    return None if columns is None else Row(*columns)


def numbered(connection: sqlite3.Connection, epoch: int, seq: int) -> list[Row]:
    """The rows that papers called so before this journal left them."""
    sql = f"SELECT DISTINCT {_COLUMNS} FROM branch_row WHERE seq = ? AND epoch = ?"
    return [Row(*columns) for columns in connection.execute(sql, (seq, epoch))]


def has(connection: sqlite3.Connection, row: Row) -> bool:
    """True when this very row is ours, or came back before: its hash says what is before it, too."""
    return _is_kept(connection, row.seq, row.hash)


def going_on(connection: sqlite3.Connection, row: Row) -> BranchRow | None:
    """The branch whose last counted row this one follows."""
    ends = rows_where(connection, BranchRow, "seq = ?", row.seq - 1)
    return next((each for each in ends if _follows(each.hash, row)), None)


def before(connection: sqlite3.Connection, row: Row) -> bytes | None:
    """The chain hash that a row follows: of a row of ours or of a branch; None when this ledger has no such
    row."""
    if row.seq == 1:
        return NO_HASH if _follows(NO_HASH, row) else None
    sql = "SELECT hash FROM journal WHERE seq = ?1 UNION ALL SELECT hash FROM branch_row WHERE seq = ?1"
    hashes = connection.execute(sql, (row.seq - 1,)).fetchall()
    return next((found for (found,) in hashes if _follows(found, row)), None)


def events_before(connection: sqlite3.Connection, seq: int, kind: Kind) -> Iterator[events.Event]:
    """Events of one kind that came back in rows before this number, of whatever branch, the newest first."""
    sql = "SELECT body FROM branch_row WHERE seq < ? AND kind = ? ORDER BY seq DESC"
    for (body,) in connection.execute(sql, (seq, int(kind))):
        yield events.decode(kind, body)


def chain_fault(start: bytes | None, rows: Iterable[Row]) -> str:
    """Why rows do not follow, one by one, the row with hash `start` (None: no such row); '' when they do."""
    if start is None:
        return "they come after no row of this journal"
    last: Row | None = None
    for row in rows:
        if last is not None and (row.seq != last.seq + 1 or row.epoch < last.epoch):
            return f"row {row.epoch}-{row.seq} does not come after {last.epoch}-{last.seq}"
        if not _follows(start, row):
            return f"row {row.epoch}-{row.seq} does not chain to the one before"
        start, last = row.hash, row
    return ""


def evidence_fault(connection: sqlite3.Connection, branch: BranchRow, books: sqlite3.Connection) -> str:
    """Why a branch that the books say is counted is not: a row that is missing or was altered, or a payment
    that the rebuilt `books` do not have. '' when all is there."""
    sql = f"SELECT {_COLUMNS} FROM branch_row WHERE first = ? ORDER BY seq"
    rows = [Row(*columns) for columns in connection.execute(sql, (branch.first,))]
    if not rows and branch.first == branch.hash and _is_kept(connection, branch.seq, branch.hash):
        return ""  # rows of another branch, which is looked at by itself
    start = before(connection, rows[0]) if rows else None
    begins = bool(rows) and branch.first in (rows[0].hash, start)  # `start`: it went on behind such a row
    if not begins or rows[-1].hash != branch.hash:
        return f"its rows up to {branch.epoch}-{branch.seq} are not retained"
    fault = chain_fault(start, rows)
    return fault or next((lack for row in rows if (lack := _uncounted(row, books))), "")


def _uncounted(row: Row, books: sqlite3.Connection) -> str:
    if row.kind not in _PAYMENTS:
        return ""
    try:
        event = events.decode(row.kind, row.body)
    except (ValueError, msgspec.DecodeError) as error:
        return f"its row {row.epoch}-{row.seq} cannot be read ({error})"
    assert isinstance(event, events.Award | events.PaymentSeen)
    key = event.paid.key
    if find_row(books, PaymentRow, (key.scheme, key.tid, key.ref, key.reuse)) is None:
        return f"payment {key} of its row {row.epoch}-{row.seq} is not counted"
    return ""


def _follows(start: bytes, row: Row) -> bool:
    columns = (row.epoch, row.seq, row.at, row.kind, row.body, row.till, row.state)
    return chain_hash(start, *columns) == row.hash


def _is_kept(connection: sqlite3.Connection, seq: int, row_hash: bytes) -> bool:
    sql = """SELECT 1 FROM branch_row WHERE seq = ?1 AND hash = ?2
    UNION ALL SELECT 1 FROM journal WHERE seq = ?1 AND hash = ?2"""
    return connection.execute(sql, (seq, row_hash)).fetchone() is not None
