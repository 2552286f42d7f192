"""The lines of a device: where each one ends, and finding the place a device says its rows follow.

See schema.py for what a line is. A place is named by (epoch, seq) and the first bytes of the chain hash
there, so two branches with the same numbers are told apart.
"""

from collections.abc import Sequence

import msgspec

from vafa.books import till as tills
from vafa.books.till import TillSums
from vafa.hub.database import Connection
from vafa.hub.tables import Place
from vafa.model.chain import NO_HASH

MARK_HASH_BYTES = 8
REWINDS_MAX = 3
_LINES = """SELECT line, parent, left_seq, epoch, seq, hash, till, state, whole, grown_at,
safe_epoch, safe_seq, safe_hash, accepted_at, opened_at, fence FROM line
WHERE merchant_id = %s AND device = %s ORDER BY line"""
_AT = """SELECT line, hash FROM journal
WHERE merchant_id = %s AND device = %s AND line = ANY(%s) AND seq = %s AND epoch = %s ORDER BY line DESC"""
_NEAREST = """SELECT epoch, seq, hash FROM journal
WHERE merchant_id = %s AND device = %s AND line = %s AND seq <= %s ORDER BY seq DESC LIMIT 1"""
_OPEN = """INSERT INTO line
(merchant_id, device, line, parent, left_seq, opened_at, epoch, seq, hash, till, state, whole, grown_at,
fence) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"""
_GROW = """UPDATE line SET epoch = %s, seq = %s, hash = %s, till = %s, state = %s, whole = %s, grown_at = %s,
fence = %s WHERE merchant_id = %s AND device = %s AND line = %s"""


class Line(msgspec.Struct, frozen=True):
    """Where a line ends. `hash` is the device's chain; `till` and `state` are what the hub's own books say.

    parent    the line it left after row `left_seq`; None for the first
    whole     the hub's books and the device's differ: rows must bring their till and state
    safe_*    the row up to which a backup of the hub holds the line too
    accepted_at  when a person said that this branch is known and may be
    fence   numbers the device's lines by when they opened an epoch of their own; 0: never
    """

    line: int = 0
    parent: int | None = None
    left_seq: int = 0
    epoch: int = 0
    seq: int = 0
    hash: bytes = NO_HASH
    till: bytes = tills.pack(TillSums())
    state: bytes = bytes(32)
    whole: bool = False
    grown_at: int = 0
    safe_epoch: int = 0
    safe_seq: int = 0
    safe_hash: bytes = b""
    accepted_at: int | None = None
    opened_at: int = 0
    fence: int = 0


class Spot(msgspec.Struct, frozen=True):
    """A row of one line, as the place other rows follow. (0, 0) is before the first row."""

    epoch: int
    seq: int
    hash: bytes


BEGINNING = Spot(0, 0, b"")


def lines_of(connection: Connection, merchant: str, device: int) -> list[Line]:
    """A device's lines, oldest first; [] before its first row."""
    return [Line(*values) for values in connection.execute(_LINES, (merchant, device))]


def current(lines: Sequence[Line]) -> Line:
    """The line that stands for the device: the one that opened an epoch last. The others are evidence.

    A restored device opens an epoch, which fences the one it was restored from: that may come later with rows
    it had not sent, and does not stand for the device again. A copied card that went on opens none.
    """
    return max(lines, key=lambda line: (line.fence, line.line), default=Line())


def located(
    connection: Connection, merchant: str, device: int, lines: list[Line], spot: Spot
) -> tuple[Line, int] | None:
    """The line and row a device's rows follow; None when the hub holds no such row."""
    if spot.seq == 0:
        return (lines[0] if lines else Line()), 0
    if len(spot.hash) < MARK_HASH_BYTES:
        return None
    for line in lines:
        if (line.epoch, line.seq) == (spot.epoch, spot.seq) and line.hash.startswith(spot.hash):
            return line, spot.seq
    numbers = [line.line for line in lines]
    for number, row_hash in connection.execute(_AT, (merchant, device, numbers, spot.seq, spot.epoch)):
        if row_hash.startswith(spot.hash):
            return next(line for line in lines if line.line == number), spot.seq
    return None


def rewound(
    connection: Connection, merchant: str, device: int, lines: list[Line], spot: Spot, tries: int
) -> Spot:
    """From where a device should send again, when the hub does not hold the row it named.

    A hub that was restored holds less than the device was told: its newest row. Else the device stands on
    another branch, and where that left ours is not known yet: half way back. A device that holds none of the
    rows named so far (`tries` of them) begins at the beginning; what the hub has is skipped fast.
    """
    if tries >= REWINDS_MAX:
        return BEGINNING
    line = current(lines)
    if line.seq < spot.seq:
        return Spot(line.epoch, line.seq, line.hash) if line.seq else BEGINNING
    at = spot.seq // 2
    while line.parent is not None and at <= line.left_seq:
        line = next(each for each in lines if each.line == line.parent)
    found = connection.execute(_NEAREST, (merchant, device, line.line, at)).fetchone()
    return Spot(*found) if found else BEGINNING


def open_line(connection: Connection, place: Place, line: Line, at_ms: int) -> None:
    """The device has a line more."""
    connection.execute(
        _OPEN,
        (
            *(place.merchant, place.device, line.line, line.parent, line.left_seq, at_ms),
            *(line.epoch, line.seq, line.hash, line.till, line.state, line.whole, at_ms, line.fence),
        ),
    )


def grow_line(connection: Connection, place: Place, line: Line, at_ms: int) -> None:
    """The line ends further on now."""
    connection.execute(
        _GROW,
        (
            *(line.epoch, line.seq, line.hash, line.till, line.state, line.whole, at_ms, line.fence),
            *(place.merchant, place.device, line.line),
        ),
    )
