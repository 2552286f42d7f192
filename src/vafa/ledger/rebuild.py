"""The books made again from journal rows, in a scratch database that takes them by the thousand.

Most rows change often: a member's with each purchase. They wait in memory, are read from there, and go to the
database together. Whether a payment is new is asked of the database only where its reference is no greater
than those before it at its terminal: they count up. What `books.apply` sees is the same.
"""

import sqlite3
from itertools import chain

import msgspec

from vafa.books.apply import STATE_MASK, apply
from vafa.books.identity import Counted
from vafa.books.rows import TABLES, BookRow, Key, PaymentRow, R, key_of, row_digest
from vafa.books.till import TillSums
from vafa.ledger.tables import SQL, find_row
from vafa.model import events

WAITING_CHANGES_MAX = 16_384
KEPT_ROWS_MAX = 32_768  # some 20 MB
ROWS_A_STATEMENT = 8  # beginning and ending a statement costs as much as two of its rows
_BEFORE: Key = (-1,)


class _Table:
    """One table's rows in memory.

    kept     as they are by now, None: there is none
    waiting  those the database does not have yet
    hashed   rows that changed, with their digest: who changed once is the old row of a change again
    """

    def __init__(self, row_type: type[BookRow]) -> None:
        self.sql = SQL[row_type]
        head, marks = self.sql.replace.split("VALUES")
        self.replace_many = f"{head}VALUES{','.join([marks] * ROWS_A_STATEMENT)}"
        self.kept: dict[Key, BookRow | None] = {}
        self.waiting: dict[Key, BookRow | None] = {}
        self.hashed: dict[Key, tuple[BookRow, int]] = {}

    def moved(self, key: Key, old: BookRow | None, new: BookRow | None) -> int:
        """Keep a row as it is now; by how much that moves the sum of all digests."""
        self.kept[key] = self.waiting[key] = new
        if old is None:
            return row_digest(new) if new is not None else 0
        known = self.hashed.pop(key, None)
        before = known[1] if known is not None and known[0] is old else row_digest(old)
        if new is None:
            return -before
        after = row_digest(new)
        self.hashed[key] = (new, after)
        return after - before

    def write(self, connection: sqlite3.Connection) -> None:
        """What waits, into the database."""
        rows = [msgspec.structs.astuple(row) for row in self.waiting.values() if row is not None]
        whole = len(rows) - len(rows) % ROWS_A_STATEMENT
        together = zip(*[iter(rows[:whole])] * ROWS_A_STATEMENT, strict=True)
        connection.executemany(self.replace_many, (tuple(chain.from_iterable(some)) for some in together))
        connection.executemany(self.sql.replace, rows[whole:])
        gone = (key for key, row in self.waiting.items() if row is None)
        connection.executemany(self.sql.delete, gone)
        self.waiting.clear()

    def forget(self) -> None:
        """Room is made: the database has it all."""
        self.kept.clear()
        self.hashed.clear()


class Rebuild:
    """`connection` is to a scratch database with the tables of the books; nobody else writes there."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tables = {row_type: _Table(row_type) for row_type in TABLES}
        self._newest: dict[Key, Key] = {}  # (scheme, terminal id) -> the greatest key of a payment there
        self._changes = 0  # since rows were written, more than wait: a row may change often
        self.till = TillSums()
        self.state = 0
        self.counted = Counted()

    @property
    def connection(self) -> sqlite3.Connection:
        """The database with every row in it."""
        self._flush()
        return self._connection

    def find(self, row_type: type[R], key: Key) -> R | None:
        """What `books.apply` reads from."""
        if row_type is PaymentRow and key > self._newest.get(key[:2], _BEFORE):
            return None
        kept = self._tables[row_type].kept
        if key not in kept:
            kept[key] = find_row(self._connection, row_type, key)
        found: R | None = kept[key]  # type: ignore[assignment]  # its table says of which type
        return found

    def take(self, event: events.Event, seq: int) -> None:
        """Apply one event. Raises books.Impossible."""
        effect = apply(event, seq, self, self.till)
        self.counted.take(event)
        state = self.state
        for change in effect.changes:
            row = change.new or change.old
            assert row is not None
            key = key_of(row)
            state += self._tables[type(row)].moved(key, change.old, change.new)
            if change.old is None and isinstance(row, PaymentRow):
                place = key[:2]
                if key > self._newest.get(place, _BEFORE):
                    self._newest[place] = key
        self.till = effect.till
        self.state = state & STATE_MASK
        self._changes += len(effect.changes)
        if self._changes >= WAITING_CHANGES_MAX:
            self._flush()

    def _flush(self) -> None:
        """What waits, into the database; then room is made."""
        for table in self._tables.values():
            table.write(self._connection)
        self._changes = 0
        if sum(len(table.kept) for table in self._tables.values()) >= KEPT_ROWS_MAX // 2:
            for table in self._tables.values():
                table.forget()
