"""The rows of the books: tables that answer questions, all derived from the journal.

A row is a flat frozen struct, its fields the columns of the table, its first `KEYS[type]` fields the primary
key. New columns are appended with a default; defaults at the end are left out of a row's digest, so an old
row keeps its digest when a column is added.
"""

from enum import IntEnum
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from vafa.model.payment import PaymentKey

Value = int | str | bytes | None
Key = tuple[Value, ...]


class BookRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What all rows share: being written to a table and hashed by position."""


R = TypeVar("R", bound=BookRow)


class PaymentState(IntEnum):
    """Stored; never renumber."""

    EARNED = 1
    NOTHING = 2
    REVERSED = 3
    WAITING = 4  # earned, for a card nobody has claimed yet
    UNDOING = 5  # the own identity of a void, refund or adjustment, so that it counts once


class PaymentRow(BookRow, frozen=True):
    """One payment.

    seq       the journal row of its Award or Payment
    holder    a member, a strong card token (points wait on the card), or b'' (they wait on the payment)
    claim     the claim code printed for it, kept after its use; None when there was none
    """

    scheme: int
    tid: str
    ref: str
    reuse: int
    seq: int
    state: int
    amount: int
    holder: bytes
    claim: str | None = None
    refunded: int = 0

    @property
    def key(self) -> PaymentKey:
        """The natural key this row is found by."""
        return PaymentKey(self.scheme, self.tid, self.ref, self.reuse)  # type: ignore[arg-type]


class MemberState(IntEnum):
    """Stored; never renumber."""

    ACTIVE = 1
    WAITING = 2  # no member yet: points on an unclaimed card
    FORGOTTEN = 3  # the person was forgotten: what the bare id owns stays, until they join again


class MemberRow(BookRow, frozen=True):
    """A holder of points and everything an award changes of it, in one row so that an award writes three.

    id        member id (10 bytes), or the strong card token points wait on (11 bytes)
    carry     MessagePack [[programme, numerator, denominator], ...]: the fraction not yet a point
    visits    purchases that earned; `spent` their eligible amounts, in current rial
    lots      the dated lots (books.lots); next_expiry: when the first lapses, None when none does
    held      points of the balance that holds have set aside
    tier      since tier_since (UTC seconds); '' for the lowest
    metric, standing   what the rules remember (model.standing): the tier's Window, the Standing
    offers    how many offers of theirs are open: nobody looks for what most members do not have
    """

    id: bytes
    state: int
    last4: str
    joined_seq: int
    balance: int = 0
    debt: int = 0
    carry: bytes = b"\x90"
    visits: int = 0
    spent: int = 0
    lots: bytes = b""
    next_expiry: int | None = None
    held: int = 0
    tier: str = ""
    tier_since: int = 0
    metric: bytes = b""
    standing: bytes = b""
    offers: int = 0


class TokenRow(BookRow, frozen=True):
    """A card that belongs to a member. One card may have several members (a family), each a row."""

    token: bytes
    member: bytes
    seq: int


class SaleRow(BookRow, frozen=True):
    """A sale we asked a terminal for. outcome 0: in hand; else model.events.SaleOutcome."""

    tid: str
    request: str
    seq: int
    outcome: int = 0
    ended_seq: int = 0


class ProgrammeRow(BookRow, frozen=True):
    """An activation of a version of the club's rules; its document is in journal row `seq`.

    A version may be activated again later: each activation covers its own time.
    """

    seq: int
    id: bytes
    hash: bytes
    from_at: int | None = None


class GapRow(BookRow, frozen=True):
    """Payments may be missing; open while closed_seq is 0."""

    seq: int
    tid: str
    closed_seq: int = 0


class LaneRow(BookRow, frozen=True):
    """A terminal whose journal was read: what stood there before is older than the club. `seq` its Baseline.

    trace  the newest in the journal then, '' when it was empty
    """

    tid: str
    seq: int
    trace: str


class AliasRow(BookRow, frozen=True):
    """`alias` answers as `member`; what it owns stays in its own row. `hub_order` 0: a device's own word."""

    alias: bytes
    member: bytes
    hub_order: int
    seq: int


class LotRow(BookRow, frozen=True):
    """A dated lot that was drawn from, so that what was drawn can come back. A lot nobody drew from is only
    in its holder's row; seq and dates as in books.lots."""

    holder: bytes
    seq: int
    expires_at: int
    drawn: int = 0
    available_at: int = 0
    programme: bytes = b""


class HoldState(IntEnum):
    """Stored; never renumber."""

    OPEN = 1
    CAPTURED = 2
    RELEASED = 3
    RETURNED = 4  # captured, and all of it came back


class HoldRow(BookRow, frozen=True):
    """Points set aside for a reward until `until` (UTC seconds). `seq` its Hold row, ended_seq 0 while open.

    points    held; captured: what was really taken; returned: what came back of that since
    payment   the packed key of the sale it was captured for (books.value), b'' for none
    offer     the offer it sets aside or has spent, b'' for none
    """

    hold: bytes
    holder: bytes
    seq: int
    state: int
    points: int
    until: int
    request: str = ""
    ended_seq: int = 0
    captured: int = 0
    returned: int = 0
    payment: bytes = b""
    offer: bytes = b""


class OfferRow(BookRow, frozen=True):
    """An offer to one holder, used once. `seq` its Offer row; spent_seq the row that spent or ended it, 0
    while it is open.

    from_at, until   UTC seconds, half open; None: without that end
    hold             what sets it aside, or spent it; b'' for none
    """

    offer: bytes
    holder: bytes
    seq: int
    from_at: int | None = None
    until: int | None = None
    spent_seq: int = 0
    hold: bytes = b""


class BudgetRow(BookRow, frozen=True):
    """The points, an exact fraction, that a programme with a budget has contributed on this device."""

    programme: bytes
    numerator: int
    denominator: int


class PersonRow(BookRow, frozen=True):
    """What a member was asked and told, beside what rules look at (that is in the member's standing).

    told        bits of Profile.fields that were ever asked for, whatever the answer was
    consent_at  since when messages are welcome, UTC seconds; None: they are not
    """

    member: bytes
    told: int = 0
    consent_at: int | None = None


class BranchRow(BookRow, frozen=True):
    """A branch that this journal left after a fork, and how far what it did is counted here.

    first      the chain hash of its first row
    epoch, seq, hash   of the last row of it that is counted; at_seq: the Checkpoint's row here
    counted, known, left_out, short   of all its Checkpoints together
    """

    first: bytes
    epoch: int
    seq: int
    hash: bytes
    at_seq: int
    counted: int = 0
    known: int = 0
    left_out: int = 0
    short: int = 0


TABLES: dict[type[BookRow], str] = {
    PaymentRow: "payment",
    MemberRow: "member",
    TokenRow: "token",
    SaleRow: "sale",
    ProgrammeRow: "programme",
    GapRow: "gap",
    LaneRow: "lane",
    AliasRow: "alias",
    LotRow: "lot",
    HoldRow: "hold",
    OfferRow: "offer",
    BudgetRow: "budget",
    PersonRow: "person",
    BranchRow: "branch",
}
_KEY_WIDTHS: dict[type[BookRow], int] = {
    PaymentRow: 4,
    MemberRow: 1,
    TokenRow: 2,
    SaleRow: 2,
    ProgrammeRow: 1,
    GapRow: 1,
    LaneRow: 1,
    AliasRow: 1,
    LotRow: 3,
    HoldRow: 1,
    OfferRow: 1,
    BudgetRow: 1,
    PersonRow: 1,
    BranchRow: 1,
}
_encoder = msgspec.msgpack.Encoder()
_BASE_DIGEST = {
    row: blake2b(name.encode(), digest_size=32, person=b"vafa book") for row, name in TABLES.items()
}
_DEFAULTS_FROM_THE_END: dict[type[BookRow], tuple[Any, ...]] = {
    row: row.__struct_defaults__[::-1] for row in TABLES
}


def key_columns(row_type: type[BookRow]) -> tuple[str, ...]:
    """The primary key's columns, in order."""
    return row_type.__struct_fields__[: _KEY_WIDTHS[row_type]]


def key_of(row: BookRow) -> Key:
    """The primary key of a row."""
    return msgspec.structs.astuple(row)[: _KEY_WIDTHS[type(row)]]


def row_digest(row: BookRow) -> int:
    """BLAKE2b-256 of (table, row) as a number: what the state hash sums up."""
    row_type = type(row)
    values = msgspec.structs.astuple(row)
    told = len(values)
    for value, default in zip(reversed(values), _DEFAULTS_FROM_THE_END[row_type], strict=False):
        if value != default:
            break
        told -= 1
    digest = _BASE_DIGEST[row_type].copy()
    digest.update(_encoder.encode(values[:told]))
    return int.from_bytes(digest.digest(), "big")


class Carry:
    """The fractions of a member, one for each programme version that is still refundable."""

    _decoder = msgspec.msgpack.Decoder(list[tuple[bytes, int, int]])

    def __init__(self, packed: bytes) -> None:
        self._parts = self._decoder.decode(packed)

    def of(self, programme: bytes) -> tuple[int, int]:
        """(numerator, denominator) under a programme version; (0, 1) when there is none."""
        for each, numerator, denominator in self._parts:
            if each == programme:
                return numerator, denominator
        return 0, 1

    def replaced(self, programme: bytes, fraction: tuple[int, int]) -> bytes:
        """The packed carry with one version's fraction set, in a canonical order."""
        parts = self._parts
        if not parts or (len(parts) == 1 and parts[0][0] == programme):  # nearly always
            return _encoder.encode([(programme, *fraction)] if fraction[0] else [])
        kept = [part for part in parts if part[0] != programme and part[1]]
        if fraction[0]:
            kept.append((programme, *fraction))
        if len(kept) > 1:
            kept.sort()
        return _encoder.encode(kept)
