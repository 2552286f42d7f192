"""Rows of a device's journal into the hub: compared with what is held, chained, applied, kept.

Each row ends in one of these: held already and the same (a repeat: nothing happens), new at a line's end
(appended), or different from what is held there (a fork: the rows go to a line of their own, so both branches
stay). A row that cannot be applied is kept all the same and named in suspense: nothing ever blocks a queue.

The device's rows come without till sums and state hash; the hub computes them by the same `books.apply`, so
when the chain's hash is the one the device names, all of its books agree with the hub's. When it is not, the
hub asks for whole rows, and then names the first row where the two differ.
"""

import struct
from collections.abc import Sequence
from enum import Enum, auto

import msgspec
from psycopg import DataError
from psycopg.errors import UniqueViolation

from vafa.books import till as tills
from vafa.hub import forgotten, replay
from vafa.hub.database import Connection
from vafa.hub.device_books import STATE_BYTES, DeviceBooks
from vafa.hub.journal import Held, append, held, note_batches, suspend
from vafa.hub.lines import Line, Spot, grow_line, lines_of, located, open_line, rewound
from vafa.hub.tables import Place
from vafa.model import events
from vafa.model.chain import NO_HASH, Row, chain_hash
from vafa.model.events import Kind
from vafa.wire.rows import WireRow

UNREADABLE = (ValueError, ArithmeticError, msgspec.DecodeError)
REASON_CHARS_MAX = 300


class End(Enum):
    """How the rows of one request ended."""

    BOOKED = auto()
    REWIND = auto()  # the row they follow is not held: send from `received` on
    WHOLE = auto()  # send them again with till and state
    CHAIN = auto()  # they do not give the hash that was named


class Booked(msgspec.Struct, frozen=True):
    """What became of a request's rows. `received`: up to there the hub holds them.

    behind  the device has nothing more, and the hub holds rows after that: the device lost them
    line    the line they are on, where they are BOOKED
    """

    end: End
    received: Spot
    appended: int = 0
    suspended: int = 0
    forked: bool = False
    whole: bool = False
    behind: bool = False
    line: int = 0


class Sender(msgspec.Struct, frozen=True):
    """Whose rows."""

    merchant: str
    device: int
    ledger_id: bytes


class _Unknown(Exception):
    """The rows do not give the named hash: nothing of them is kept. The caller rolls back."""

    def __init__(self, end: End) -> None:
        super().__init__(end)
        self.end = end


def book(
    connection: Connection,
    sender: Sender,
    before: Spot,
    rows: Sequence[WireRow],
    head: bytes,
    at_ms: int,
    rewinds: int = 0,
) -> Booked:
    """Take the rows that follow `before`, in the caller's transaction. `head` is the hash after the last.

    rewinds  how often the device was told in a row to begin further back
    """
    lines = lines_of(connection, sender.merchant, sender.device)
    start = located(connection, sender.merchant, sender.device, lines, before)
    if start is None or (rows and rows[0].seq != before.seq + 1):
        place = rewound(connection, sender.merchant, sender.device, lines, before, rewinds)
        return Booked(End.REWIND, place)
    line, _ = start
    if not rows:
        return Booked(End.BOOKED, before, whole=line.whole, behind=line.seq > before.seq, line=line.line)
    try:
        try:
            with connection.transaction():
                return _Taking(connection, sender, lines, at_ms, careful=False).take(line, rows, head)
        except (DataError, UniqueViolation, struct.error):
            # A value that no column holds, a payment that is there already: find it before PostgreSQL does.
            with connection.transaction():
                return _Taking(connection, sender, lines, at_ms, careful=True).take(line, rows, head)
    except _Unknown as unknown:
        return Booked(unknown.end, before, whole=True)


class _Taking:
    """One request's rows on their way into the journal."""

    def __init__(
        self, connection: Connection, sender: Sender, lines: list[Line], at_ms: int, *, careful: bool
    ) -> None:
        self._connection = connection
        self._careful = careful
        self._sender = sender
        self._lines = lines
        self._at_ms = at_ms

    def take(self, line: Line, rows: Sequence[WireRow], head: bytes) -> Booked:
        """The rows follow a row of `line`."""
        line, skipped, last = self._common(line, rows)
        if skipped == len(rows):
            assert last is not None
            if last.hash != head:
                raise _Unknown(End.WHOLE if rows[-1].till is None else End.CHAIN)
            spot = Spot(last.epoch, last.seq, last.hash)
            return Booked(End.BOOKED, spot, whole=line.whole, line=line.line)
        forked = rows[skipped].seq <= line.seq
        if forked:
            line = self._left(line, rows[skipped].seq - 1)
        grown, suspended = self._append(line, rows[skipped:], head, opens=forked or not self._lines)
        received = Spot(grown.epoch, grown.seq, grown.hash)
        appended = len(rows) - skipped
        return Booked(End.BOOKED, received, appended, suspended, forked, grown.whole, line=grown.line)

    def _common(self, line: Line, rows: Sequence[WireRow]) -> tuple[Line, int, Held | None]:
        """How many of the rows are held already, on which line, and the last of them."""
        skipped, last = 0, None
        while skipped < len(rows):
            place = self._place(line)
            known = held(self._connection, place, rows[skipped].seq, rows[-1].seq)
            same = 0
            for theirs, ours in zip(rows[skipped:], known, strict=False):
                if not ours.same(theirs):
                    break
                last, same = ours, same + 1
            skipped += same
            if skipped == len(rows) or rows[skipped].seq > line.seq:
                break
            branch = self._branch(line, rows[skipped])
            if branch is None:
                break
            line = branch
        return line, skipped, last

    def _branch(self, line: Line, row: WireRow) -> Line | None:
        """The line that left this one just before `row` and begins with it."""
        for each in self._lines:
            if each.parent == line.line and each.left_seq == row.seq - 1:
                first = held(self._connection, self._place(each), row.seq, row.seq)
                if first and first[0].same(row):
                    return each
        return None

    def _left(self, parent: Line, left_seq: int) -> Line:
        """A new line that leaves `parent` after row `left_seq`: its books are what they were there."""
        number = self._lines[-1].line + 1
        place = Place(self._sender.merchant, self._sender.device, number)
        made = replay.rebuild(self._connection, place, replay.path(self._lines, parent, left_seq))
        note_batches(self._connection, self._place(parent), left_seq + 1, parent.seq, self._at_ms)
        spot, till = made.spot, tills.pack(made.books.till)
        state = made.books.state.to_bytes(STATE_BYTES, "big")
        return Line(number, parent.line, left_seq, spot.epoch, spot.seq, spot.hash, till, state)

    def _append(self, line: Line, rows: Sequence[WireRow], head: bytes, *, opens: bool) -> tuple[Line, int]:
        place = self._place(line)
        state = int.from_bytes(line.state, "big")
        till = tills.unpack(line.till)
        books = DeviceBooks(self._connection, place, till, state, careful=self._careful)
        applying = _Applying(books, line, self._sender.ledger_id)
        chained = applying.chained(rows)
        if chained[-1].hash != head:
            raise _Unknown(End.WHOLE if rows[-1].till is None else End.CHAIN)
        note_batches(self._connection, place, rows[0].seq, rows[-1].seq, self._at_ms)
        append(self._connection, place, chained)
        forgotten.note(self._connection, place, chained)
        suspend(self._connection, place, applying.suspended, self._at_ms)
        books.write()
        last = chained[-1]
        grown = msgspec.structs.replace(
            line,
            epoch=last.epoch,
            seq=last.seq,
            hash=last.hash,
            till=tills.pack(books.till),
            state=books.state.to_bytes(STATE_BYTES, "big"),
            whole=not applying.agrees,
            fence=self._fence() if any(row.kind == Kind.EPOCH_OPENED for row in rows) else line.fence,
        )
        (open_line if opens else grow_line)(self._connection, place, grown, self._at_ms)
        return grown, len(applying.suspended)

    def _fence(self) -> int:
        """Of a line that opens an epoch now: after all others."""
        return 1 + max((each.fence for each in self._lines), default=0)

    def _place(self, line: Line) -> Place:
        return Place(self._sender.merchant, self._sender.device, line.line)


class _Applying:
    """Chains rows onto a line and applies them to its books, in memory."""

    def __init__(self, books: DeviceBooks, line: Line, ledger_id: bytes) -> None:
        self._books = books
        self._hash = line.hash if line.seq else NO_HASH
        self._epoch = line.epoch
        self._ledger_id = ledger_id
        self.agrees = not line.whole
        self.suspended: list[tuple[Row, str]] = []

    def chained(self, rows: Sequence[WireRow]) -> list[Row]:
        """The rows with till, state and hash. Raises _Unknown when they must come whole."""
        decoded = [_decoded(row) for row in rows]
        self._books.load(event for event in decoded if isinstance(event, events.Event))
        return [self._chained(row, event) for row, event in zip(rows, decoded, strict=True)]

    def _chained(self, sent: WireRow, event: events.Event | str) -> Row:
        reason = event if isinstance(event, str) else self._applied(event, sent)
        till, state = tills.pack(self._books.till), self._books.state.to_bytes(STATE_BYTES, "big")
        if sent.till is None or sent.state is None:
            if reason:
                raise _Unknown(End.WHOLE)  # what it did to the device's books only the device can tell
        else:
            agrees = (sent.till, sent.state) == (till, state)
            if self.agrees and not agrees and not reason:
                reason = "from this row on the device's books are not what the hub's are"
            self.agrees = agrees
            till, state = sent.till, sent.state
        columns = (sent.epoch, sent.seq, sent.at, sent.kind, sent.body, till, state)
        self._hash = chain_hash(self._hash, *columns)
        row = Row(*columns, self._hash)
        if reason:
            self.suspended.append((row, reason[:REASON_CHARS_MAX]))
        return row

    def _applied(self, event: events.Event, row: WireRow) -> str:
        """Apply it; why that cannot be, or ''."""
        opens = isinstance(event, events.EpochOpened)
        if row.epoch != self._epoch + opens:
            reason = f"epoch {row.epoch} does not follow epoch {self._epoch}"
            self._epoch = row.epoch
            return reason
        self._epoch = row.epoch
        if isinstance(event, events.EpochOpened) and event.ledger_id != self._ledger_id:
            return "it opens the ledger of another device"
        try:
            self._books.take(event, row.seq)
        except UNREADABLE as error:
            return f"it cannot follow what is before it: {error}"
        return ""


def _decoded(row: WireRow) -> events.Event | str:
    """The event, or why its body cannot be read."""
    try:
        return events.decode(row.kind, row.body)
    except UNREADABLE as error:
        kind = Kind(row.kind).name if row.kind in tuple(Kind) else f"kind {row.kind}"
        return f"{kind.lower()} cannot be read: {error}"
