"""The journal rows of devices as the hub keeps them: appended, compared, read again; never changed."""

from collections.abc import Sequence

import msgspec

from vafa.hub.database import Connection
from vafa.hub.tables import Place, copy_rows
from vafa.model.chain import Row
from vafa.wire.rows import WireRow

_APPEND = """COPY journal (merchant_id, device, line, epoch, seq, at, kind, body, till, state, hash)
FROM STDIN (FORMAT BINARY)"""
_APPEND_TYPES = ("int8", "int8", "int8", "int8", "bytea", "bytea", "bytea", "bytea")
_HELD = """SELECT epoch, seq, at, kind, body, hash, till, state FROM journal
WHERE merchant_id = %s AND device = %s AND line = %s AND seq BETWEEN %s AND %s ORDER BY seq"""
_SUSPEND = """INSERT INTO suspense (merchant_id, device, line, seq, epoch, kind, reason, at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
_TICK = """INSERT INTO tick (merchant_id, tick) VALUES (%s, %s)
ON CONFLICT (merchant_id) DO UPDATE SET tick = tick.tick + excluded.tick RETURNING tick"""
_BATCH = """INSERT INTO batch (merchant_id, tick, device, line, first_seq, last_seq, at)
VALUES (%s, %s, %s, %s, %s, %s, %s)"""
# So few that the members one batch touches always fit one answer.
BATCH_ROWS_MAX = 400


class Held(msgspec.Struct, frozen=True):
    """A row the hub holds."""

    epoch: int
    seq: int
    at: int
    kind: int
    body: bytes
    hash: bytes
    till: bytes
    state: bytes

    def same(self, sent: WireRow) -> bool:
        """True when a row that was sent is this one. Rows that follow the same one have the same effect."""
        ours = (self.epoch, self.seq, self.at, self.kind, self.body)
        if ours != (sent.epoch, sent.seq, sent.at, sent.kind, sent.body):
            return False
        return sent.till is None or (sent.till, sent.state) == (self.till, self.state)


def held(connection: Connection, place: Place, first_seq: int, last_seq: int) -> list[Held]:
    """The rows of one line from `first_seq` to `last_seq`, in order."""
    values = (*msgspec.structs.astuple(place), first_seq, last_seq)
    return [Held(*columns) for columns in connection.execute(_HELD, values, binary=True)]


def append(connection: Connection, place: Place, rows: Sequence[Row]) -> None:
    """New rows at a line's end."""
    copy_rows(connection, _APPEND, place, _APPEND_TYPES, map(msgspec.structs.astuple, rows))


def suspend(connection: Connection, place: Place, rows: Sequence[tuple[Row | Held, str]], at_ms: int) -> None:
    """Name the rows that are kept and could not be applied, with the reason of each."""
    whose = msgspec.structs.astuple(place)
    for row, reason in rows:
        connection.execute(_SUSPEND, (*whose, row.seq, row.epoch, row.kind, reason.replace("\0", "?"), at_ms))


def note_batches(connection: Connection, place: Place, first_seq: int, last_seq: int, at_ms: int) -> None:
    """Count these rows among the merchant's changes, for the other devices to hear of.

    A merchant's ticks are handed out under its tick row's lock, held until the commit: so whoever reads up to
    a tick has seen every smaller one. Called once the rows are known to be good, to keep that short.
    """
    starts = range(first_seq, last_seq + 1, BATCH_ROWS_MAX)
    if not starts:
        return
    found = connection.execute(_TICK, (place.merchant, len(starts))).fetchone()
    assert found is not None
    tick = found[0] - len(starts)
    for start in starts:
        tick += 1
        end = min(start + BATCH_ROWS_MAX - 1, last_seq)
        connection.execute(_BATCH, (place.merchant, tick, place.device, place.line, start, end, at_ms))
