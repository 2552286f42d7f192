"""The books made again from journal rows, in a scratch database that takes them by the thousand.

Most rows change often: a member's with each purchase. They wait in memory, are read from there, and go to the
database together. Whether a payment is new is asked of the database only where its reference is no greater
than those before it at its terminal: they count up. What `books.apply` sees is the same.
"""

import sqlite3
from collections.abc import Iterable

import msgspec

from vafa.books.apply import apply, state_hash_after
from vafa.books.identity import Counted
from vafa.books.rows import BookRow, Key, PaymentRow, R, key_of
from vafa.books.till import TillSums
from vafa.ledger.tables import SQL, find_row
from vafa.model import events

WAITING_ROWS_MAX = 8_192
KEPT_ROWS_MAX = 32_768  # some 20 MB
_BEFORE: Key = ("", -1)
Place = tuple[type[BookRow], Key]


class Rebuild:
    """`connection` is to a scratch database with the tables of the books; nobody else writes there."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._kept: dict[Place, BookRow | None] = {}  # rows as they are by now, None: there is none
        self._waiting: dict[Place, None] = {}  # which of them the database does not have yet
        self._newest: dict[Key, Key] = {}  # (scheme, terminal id) -> the greatest (ref, reuse) of a payment
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
        if row_type is PaymentRow and key[2:] > self._newest.get(key[:2], _BEFORE):
            return None
        place = (row_type, key)
        if place not in self._kept:
            self._kept[place] = find_row(self._connection, row_type, key)
        found: R | None = self._kept[place]  # type: ignore[assignment]  # its place says of which type
        return found

    def take(self, event: events.Event, seq: int) -> None:
        """Apply one event. Raises books.Impossible."""
        effect = apply(event, seq, self, self.till)
        self.counted.take(event)
        for change in effect.changes:
            row = change.new or change.old
            assert row is not None
            key = key_of(row)
            place = (type(row), key)
            self._kept[place] = change.new
            self._waiting[place] = None
            if isinstance(row, PaymentRow) and key[2:] > self._newest.get(key[:2], _BEFORE):
                self._newest[key[:2]] = key[2:]
        self.till = effect.till
        self.state = state_hash_after(self.state, effect.changes)
        if len(self._waiting) >= WAITING_ROWS_MAX or len(self._kept) >= KEPT_ROWS_MAX:
            self._flush()

    def _flush(self) -> None:
        """What waits, into the database; then room is made."""
        for row_type in dict.fromkeys(row_type for row_type, _ in self._waiting):
            places = [place for place in self._waiting if place[0] is row_type]
            self._write(row_type, places)
        self._waiting.clear()
        if len(self._kept) >= KEPT_ROWS_MAX // 2:
            self._kept.clear()

    def _write(self, row_type: type[BookRow], places: Iterable[Place]) -> None:
        rows, gone = list[BookRow](), list[Key]()
        for place in places:
            row = self._kept[place]
            if row is None:
                gone.append(place[1])
            else:
                rows.append(row)
        sql = SQL[row_type]
        self._connection.executemany(sql.replace, map(msgspec.structs.astuple, rows))
        self._connection.executemany(sql.delete, gone)
