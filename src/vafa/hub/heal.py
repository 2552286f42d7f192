"""Making a device's books at the hub again from its journal: after an update that understands more.

Rows in suspense are tried again in their place, so what followed them is right too. Where the books then are
the device's, rows need no longer come whole.
"""

import msgspec

from vafa.books import till as tills
from vafa.hub import devices, replay, suspense
from vafa.hub.database import Connection
from vafa.hub.device_books import STATE_BYTES
from vafa.hub.journal import held, suspend
from vafa.hub.lines import current, grow_line, lines_of
from vafa.hub.tables import Place


class Healed(msgspec.Struct, frozen=True):
    """What became of it."""

    rows: int
    suspense_before: int
    suspense: int
    books_agree: bool


def heal(connection: Connection, merchant: str, device: int, at_ms: int) -> Healed:
    """Rebuild the newest line of a device, in the caller's transaction; its syncs wait meanwhile."""
    devices.lock(connection, merchant, device)
    lines = lines_of(connection, merchant, device)
    line = current(lines)
    before = suspense.count(connection, merchant, device, line.line)
    if not lines:
        return Healed(0, 0, 0, books_agree=True)
    place = Place(merchant, device, line.line)
    made = replay.rebuild(connection, place, replay.path(lines, line, line.seq))
    suspense.clear(connection, merchant, device, line.line)
    failed = [(row, reason) for number, row, reason in made.failed if number == line.line]
    suspend(connection, place, failed, at_ms)
    (last,) = held(connection, place, line.seq, line.seq)
    till, state = tills.pack(made.books.till), made.books.state.to_bytes(STATE_BYTES, "big")
    agree = (till, state) == (last.till, last.state)
    grow_line(
        connection, place, msgspec.structs.replace(line, till=till, state=state, whole=not agree), at_ms
    )
    return Healed(line.seq, before, len(failed), agree)
