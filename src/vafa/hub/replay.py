"""A line's books made again from journal rows: for a line that leaves another, and to heal after an update.

The rows are read a slice at a time, so memory stays flat however long the journal is.
"""

from collections.abc import Sequence

import msgspec

from vafa.books.rows import TABLES
from vafa.books.till import TillSums
from vafa.hub.database import Connection
from vafa.hub.device_books import DeviceBooks
from vafa.hub.journal import Held, held
from vafa.hub.lines import Line, Spot
from vafa.hub.tables import Place
from vafa.model import events
from vafa.model.chain import NO_HASH

SLICE_ROWS = 1_000
_CLEAR = {
    table: f"DELETE FROM {table} WHERE merchant_id = %s AND device = %s AND line = %s"
    for table in TABLES.values()
}


class Part(msgspec.Struct, frozen=True):
    """Rows of one line that belong to a path: from `first_seq` to `last_seq`."""

    line: int
    first_seq: int
    last_seq: int


def path(lines: Sequence[Line], line: Line, last_seq: int) -> list[Part]:
    """The rows from the very first to row `last_seq` of `line`, over the lines it came from."""
    by_number = {each.line: each for each in lines}
    parts: list[Part] = []
    while True:
        first_seq = line.left_seq + 1
        if first_seq <= last_seq:
            parts.append(Part(line.line, first_seq, last_seq))
        if line.parent is None:
            return parts[::-1]
        last_seq = min(last_seq, line.left_seq)
        line = by_number[line.parent]


class Rebuilt(msgspec.Struct, frozen=True):
    """A line's books after a path, where the path ends, and the rows that could not be applied, with why."""

    books: DeviceBooks
    spot: Spot
    failed: tuple[tuple[int, Held, str], ...]


def rebuild(connection: Connection, place: Place, parts: Sequence[Part]) -> Rebuilt:
    """Make the books of line `place` from these rows and write them. Replaces what was there."""
    for statement in _CLEAR.values():
        connection.execute(statement.encode(), msgspec.structs.astuple(place))
    books = DeviceBooks(connection, place, TillSums(), 0)
    spot = Spot(0, 0, NO_HASH)
    failed: list[tuple[int, Held, str]] = []
    for part in parts:
        source = Place(place.merchant, place.device, part.line)
        for first in range(part.first_seq, part.last_seq + 1, SLICE_ROWS):
            rows = held(connection, source, first, min(first + SLICE_ROWS - 1, part.last_seq))
            found = [(row, event_of(row.kind, row.body)) for row in rows]
            books = DeviceBooks(connection, place, books.till, books.state)
            books.load(event for _, event in found if event is not None)
            for row, event in found:
                reason = _refused(books, event, row.seq)
                if reason:
                    failed.append((part.line, row, reason))
            books.write()
            spot = Spot(rows[-1].epoch, rows[-1].seq, rows[-1].hash) if rows else spot
    return Rebuilt(books, spot, tuple(failed))


def event_of(kind: int, body: bytes) -> events.Event | None:
    """The event of a kept row, None for one that cannot be read."""
    try:
        return events.decode(kind, body)
    except (ValueError, msgspec.DecodeError):
        return None  # in suspense, where it stays named


def _refused(books: DeviceBooks, event: events.Event | None, seq: int) -> str:
    """Apply a row again; why that cannot be, or ''."""
    if event is None:
        return "it cannot be read"
    try:
        books.take(event, seq)
    except (ValueError, ArithmeticError) as error:
        return f"it cannot follow what is before it: {error}"
    return ""
