"""What a device's newest line does not have of its other lines, given to the device a part at a time.

A device that was restored from a backup, or whose card was copied and went on, has left rows behind that the
hub holds. It gets them whole, chained from a row that it has, with the hub's signature of where each part
ends; what they did it counts again in its own journal, and the Checkpoint it posts tells, by `books.apply`,
how far (the book `branch`). So how much is still to come follows from the books, and nothing is kept of it
besides.
"""

from collections.abc import Sequence

import msgspec

from vafa.hub import replay
from vafa.hub.database import Connection
from vafa.hub.journal import Held, held
from vafa.hub.lines import Line, current
from vafa.hub.tables import Place
from vafa.keys.sign import SigningKey
from vafa.wire import limits
from vafa.wire.messages import Branch, Mark
from vafa.wire.rows import WireRow, pack
from vafa.wire.signing import branch_input

_COUNTED = "SELECT first, epoch, seq, hash FROM branch WHERE merchant_id = %s AND device = %s AND line = %s"
_TOTALS = """SELECT coalesce(sum(counted), 0), coalesce(sum(known), 0), coalesce(sum(left_out), 0),
coalesce(sum(short), 0) FROM branch WHERE merchant_id = %s AND device = %s AND line = %s"""


class Missing(msgspec.Struct, frozen=True):
    """Rows of `line` that another line does not have, nor counted: from `first_seq` to `last_seq`."""

    line: int
    first_seq: int
    last_seq: int

    @property
    def rows(self) -> int:
        return self.last_seq - self.first_seq + 1


class Counted(msgspec.Struct, frozen=True):
    """What a line has counted of the branches it left; as in events.Checkpoint."""

    counted: int = 0
    known: int = 0
    left_out: int = 0
    short: int = 0


def missing(
    connection: Connection, place: Place, lines: Sequence[Line], seq: int, told: Sequence[Mark] = ()
) -> list[Missing]:
    """What line `place`, up to its row `seq`, does not have of the device's lines, in the order in which it
    can be counted: a line that left another comes after it.

    told  the last rows the device says it has counted, which may be ahead of what it has sent
    """
    line = next((each for each in lines if each.line == place.line), None)
    if line is None or (len(lines) == 1 and seq == line.seq):
        return []
    own = connection.execute(_COUNTED, msgspec.structs.astuple(place)).fetchall()
    counted = [*told, *(Mark(int(epoch), int(at), row_hash) for _, epoch, at, row_hash in own)]
    begun = {first for first, *_ in own}
    ends = {part.line: part.last_seq for part in replay.path(lines, line, seq)}
    found = (
        _of_line(connection, place, each, ends.get(each.line, each.left_seq) + 1, counted, begun)
        for each in lines
    )
    return [each for each in found if each is not None]


def given(connection: Connection, place: Place, part: Missing, signing: SigningKey) -> tuple[Branch, int]:
    """As many of these rows as one answer brings, signed; and the number of the last one."""
    source = Place(place.merchant, place.device, part.line)
    last_seq = min(part.last_seq, part.first_seq + limits.ROWS_MAX - 1)
    rows = held(connection, source, part.first_seq, last_seq)
    payload = pack([_whole(row) for row in rows], whole=True)
    while len(payload) > limits.BRANCH_BYTES_MAX and len(rows) > 1:
        rows = rows[: max(1, len(rows) * limits.BRANCH_BYTES_MAX // (len(payload) + 1))]
        payload = pack([_whole(row) for row in rows], whole=True)
    last = rows[-1]
    signed = branch_input(place.merchant, place.device, last.epoch, last.seq, last.hash, last.state)
    branch = Branch(payload, last.hash, part.last_seq, signing.sign(signed))
    return branch, last.seq


def totals(connection: Connection, place: Place) -> Counted:
    """What a line has counted of the others, all together."""
    row = connection.execute(_TOTALS, msgspec.structs.astuple(place)).fetchone()
    assert row is not None
    return Counted(*(int(number) for number in row))


def stale(lines: Sequence[Line]) -> Line | None:
    """A line that went on after the device's own was opened: a copy of it is still in use somewhere."""
    own = current(lines)
    grown = [each for each in lines if each.line != own.line and each.grown_at > own.opened_at]
    return max(grown, key=lambda each: each.grown_at, default=None)


def _of_line(
    connection: Connection,
    place: Place,
    line: Line,
    first_seq: int,
    counted: Sequence[Mark],
    begun: set[object],
) -> Missing | None:
    """A mark counts where this line has its row: the chain says that all before it are the same, too. So does
    the first row of a branch that was begun and went on otherwise."""
    source = Place(place.merchant, place.device, line.line)
    for mark in sorted(counted, key=lambda each: each.seq, reverse=True):
        if first_seq <= mark.seq <= line.seq and _is_at(connection, source, mark):
            first_seq = mark.seq + 1
    if first_seq <= line.seq and held(connection, source, first_seq, first_seq)[0].hash in begun:
        first_seq += 1
    return Missing(line.line, first_seq, line.seq) if first_seq <= line.seq else None


def _is_at(connection: Connection, source: Place, mark: Mark) -> bool:
    rows = held(connection, source, mark.seq, mark.seq)
    return (
        bool(rows) and rows[0].epoch == mark.epoch and bool(mark.hash) and rows[0].hash.startswith(mark.hash)
    )


def _whole(row: Held) -> WireRow:
    return WireRow(row.epoch, row.seq, row.at, row.kind, row.body, row.till, row.state)
