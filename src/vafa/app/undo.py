"""Voids, refunds and adjustments at the counter: what was earned for money that went back goes back too.

Every undoing has an identity of its own (the terminal's reference, or the request of whoever asked), so that
told twice it counts once. One whose sale is unknown here moves nothing and is kept with its references.
"""

import sqlite3
from enum import StrEnum
from fractions import Fraction

import msgspec

from vafa.app import earning, granting, returning
from vafa.app.counter import Counter
from vafa.app.offer_words import Told, told_with_return
from vafa.app.programmes import parsed
from vafa.books import lots
from vafa.books.effect import floor_sum, fraction_left, paying
from vafa.books.rows import Carry, MemberRow, MemberState, PaymentRow, PaymentState
from vafa.club.rewards import debt_and_forgiven
from vafa.ledger import people, reads
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.chain import check_code
from vafa.model.errors import NotFound, Refused
from vafa.model.events import KnownBy
from vafa.model.identity import MEMBER_ID_BYTES
from vafa.model.lots import Dates, Draw, Taken, claw_back, debit
from vafa.model.money import Currency, converted
from vafa.model.payment import PaymentKey

ZERO = (0, 1)


class Undoing(StrEnum):
    """What an undoing did."""

    VOID = "void"
    REFUND = "refund"
    UNMATCHED = "unmatched"  # its sale is unknown here: nothing moved
    ADJUSTMENT = "adjustment"


class Wish(msgspec.Struct, frozen=True):
    """An undoing somebody wants.

    ref     its own identity
    amount  how much of the sale goes back, in `currency`, which may be another epoch's than the sale's;
            None: all that is left of it
    at      when it happened, UTC seconds, where somebody knows
    by      who wants it, for the journal
    """

    kind: Undoing
    sale: PaymentKey
    ref: PaymentKey
    amount: int | None
    at: int | None
    by: str
    currency: Currency = Currency.RIAL_CURRENT


class Adjustment(msgspec.Struct, frozen=True):
    """Points a member is to be given (above zero) or to lose, and why; `ref` and `by` as for a Wish."""

    member: bytes
    points: int
    why: str
    ref: PaymentKey
    by: str


class Undone(msgspec.Struct, frozen=True):
    """What an undoing did, or would do (then without number and check code).

    points   points that left the holder, debt included (an adjustment that gave some: below zero);
             `debt` is the part that was not there any more, `forgiven` that beyond what a member may owe
    returned points of the sale's redemption that came back, not counted in `points`
    balance  of the person after it, over all their ids; None where the paper must not say it
    sale     our number of the sale, '' when there is none
    """

    kind: Undoing
    amount: int
    points: int = 0
    debt: int = 0
    balance: int | None = None
    sale: str = ""
    holder: bytes = b""
    number: str = ""
    check: str = ""
    seq: int = 0
    seen_before: bool = False
    returned: int = 0
    forgiven: int = 0
    offers: tuple[Told, ...] = ()
    currency: Currency = Currency.RIAL_CURRENT


class Undo:
    """Thread-safe: the ledger's lock is the only one.

    Told again, an undoing gets its first answer; its identity for something else is refused, because money
    that went back for another sale would keep its points.
    """

    def __init__(self, counter: Counter) -> None:
        self._ledger, self._counter = counter.ledger, counter

    def undo(self, wish: Wish) -> Undone:
        """A void or refund, durably and once. Refused when less is left of the sale than is wished."""
        return self._ledger.write(lambda tx: undo_within(tx, wish, self._counter))

    def foreseen(self, wish: Wish) -> Undone:
        """What `undo` would do now. Writes nothing."""

        def question(connection: sqlite3.Connection) -> Undone:
            return _undone_before(connection, wish) or _foreseen(connection, _planned(connection, wish))

        return self._ledger.read(question)

    def adjust(self, wish: Adjustment) -> Undone:
        """Points given or taken by hand, durably and once. NotFound for an unknown member."""

        def decide(tx: Transaction) -> Undone:
            return _adjusted_before(tx.connection, wish) or _posted(tx, adjusting(tx.connection, wish))

        return self._ledger.write(decide)

    def foreseen_adjustment(self, wish: Adjustment) -> Undone:
        """What `adjust` would do now. Writes nothing."""

        def question(connection: sqlite3.Connection) -> Undone:
            return _adjusted_before(connection, wish) or _described(connection, adjusting(connection, wish))

        return self._ledger.read(question)


def undo_within(tx: Transaction, wish: Wish, counter: Counter) -> Undone:
    """`Undo.undo` as part of a larger decision."""
    before = _undone_before(tx.connection, wish)
    if before is not None:
        return before
    event = _planned(tx.connection, wish)
    sale = reads.payment(tx.connection, wish.sale)
    if sale is not None and isinstance(event, events.Reversal | events.Refund):
        returning.with_sale(tx, sale, event.amount, wish.ref, wish.by, counter.zone)
    event = _planned(tx.connection, wish)  # anew: points may be back
    row = tx.post(event)
    if isinstance(event, events.Reversal | events.Refund) and event.programme:
        for following in granting.after_return(tx, counter.programmes.by_id(event.programme), event):
            tx.post(following)
    return undone_at(tx.connection, reads.entry(tx.connection, row.seq))


def _earlier(connection: sqlite3.Connection, ref: PaymentKey) -> reads.Entry | None:
    """The undoing that has this identity already."""
    row = reads.payment(connection, ref)
    if row is None:
        return None
    if row.state != PaymentState.UNDOING:
        raise Refused(f"{ref.ref} is the reference of a payment, not of a refund")
    return reads.entry(connection, row.seq)


def _undone_before(connection: sqlite3.Connection, wish: Wish) -> Undone | None:
    """The first answer to a void or refund. Refused when its identity was used for something else."""
    earlier = _earlier(connection, wish.ref)
    if earlier is None:
        return None
    event = earlier.event
    match event:
        case events.Reversal():
            same = (wish.kind, wish.sale) == (Undoing.VOID, event.key)
        case events.Refund():
            same = (wish.kind, wish.sale) == (Undoing.REFUND, event.key)
            same = same and _in_sale_s(connection, wish) in (None, event.amount)
        case events.RefundUnmatched():
            same = (_originals(wish.sale), wish.amount or 0) == (event.originals, event.amount)
        case _:
            same = False
    return _again(connection, earlier, same)


def _adjusted_before(connection: sqlite3.Connection, wish: Adjustment) -> Undone | None:
    """The first answer to an adjustment. Refused when its identity was used for something else."""
    earlier = _earlier(connection, wish.ref)
    if earlier is None:
        return None
    event = earlier.event
    same = isinstance(event, events.Adjust) and (event.holder, event.points) == (wish.member, wish.points)
    return _again(connection, earlier, same)


def _again(connection: sqlite3.Connection, earlier: reads.Entry, same: bool) -> Undone:  # noqa: FBT001
    first = undone_at(connection, earlier)
    if not same:
        raise Refused(
            f"this request was another one: {first.kind} {first.number}",
            fix="give each void, refund and adjustment a request id of its own",
        )
    return msgspec.structs.replace(first, seen_before=True)


def _posted(tx: Transaction, event: events.Event) -> Undone:
    return undone_at(tx.connection, reads.entry(tx.connection, tx.post(event).seq))


def _originals(sale: PaymentKey) -> tuple[tuple[str, str], ...]:
    return ((sale.scheme.name.lower(), str(sale)),)


def _planned(connection: sqlite3.Connection, wish: Wish) -> events.Event:
    """The Reversal, Refund or RefundUnmatched a wish becomes. Refused when the sale does not allow it."""
    row = reads.payment(connection, wish.sale)
    if row is None:
        return events.RefundUnmatched(
            wish.ref,
            wish.amount or 0,
            wish.currency,
            wish.at,
            _originals(wish.sale),
            card=b"",
            mask="",
            by=wish.by,
        )
    wished = _in_sale_s(connection, wish)
    left = row.amount - row.refunded
    if row.state == PaymentState.UNDOING:
        raise Refused("that is a void or refund itself; it cannot be undone")
    if row.state == PaymentState.REVERSED or not left:
        raise Refused("nothing is left of this sale: it was undone before", fix=f"vafa why {row.ref}")
    if wished is not None and not 1 <= wished <= left:
        raise Refused(
            f"{left:,} rials are left of this sale, {wished:,} cannot be refunded",
            fix=f"vafa why {row.ref}",
        )
    return _undoing(connection, row, wish, left if wished is None else wished)


def _in_sale_s(connection: sqlite3.Connection, wish: Wish) -> int | None:
    """The wished amount in the currency of the sale, exactly. Refused where that is no whole amount."""
    row = reads.payment(connection, wish.sale)
    if wish.amount is None or row is None or row.state == PaymentState.UNDOING:
        return wish.amount
    paid = reads.paid_of(reads.entry(connection, row.seq).event)
    amount = converted(wish.amount, wish.currency, Currency(paid.currency))
    if amount is None:
        raise Refused(
            f"{wish.amount:,} of the one rial are no whole number of the other, in which the sale was paid",
            fix="refund a multiple of 10,000 current rials",
        )
    return amount


def _undoing(
    connection: sqlite3.Connection, row: PaymentRow, wish: Wish, part: int
) -> events.Reversal | events.Refund:
    """The Reversal or Refund of `part` rials of a payment that is known here and has them left."""
    award = reads.award_in_force(connection, row)
    programme = award.programme if isinstance(award, events.Award) else b""
    holder = reads.holder(connection, row.holder) if row.holder else None
    left = row.amount - row.refunded
    before, after = earning.left(award, left), earning.left(award, left - part)
    taken = _pair(before.contribution - after.contribution)
    if holder is not None:
        carry = Carry(holder.carry).of(programme)
    else:
        carry = fraction_left(ZERO, _pair(before.contribution))
    points = -floor_sum(carry, (-taken[0], taken[1]))
    own = _dates_of(award)
    draw = _clawed_back(holder, points, own)
    debt, forgiven = _short(connection, holder, programme, points - draw.points)
    eligible = before.eligible - after.eligible
    given = (
        row.key, wish.ref, part, eligible, row.holder, programme, taken, carry, points, debt,
        wish.at, wish.by, holder.balance - draw.points if holder is not None else 0, draw.taken,
    )  # fmt: skip
    undoing = events.Reversal(*given) if wish.kind is Undoing.VOID else events.Refund(*given)
    undoing = earning.with_undone_rules(undoing, award, left - part)
    return msgspec.structs.replace(
        undoing, available_at=own.available_at, expires_at=own.expires_at, forgiven=forgiven,
        beside=people.beside(connection, row.holder) if len(row.holder) == MEMBER_ID_BYTES else 0,
    )  # fmt: skip


def _short(
    connection: sqlite3.Connection, holder: MemberRow | None, programme: bytes, short: int
) -> tuple[int, int]:
    """(debt, forgiven) of points that are not there to be taken, as far as the programme lets members owe."""
    if holder is None or not short:
        return 0, 0
    cap = parsed(connection, programme).debt_cap if programme else 0
    return debt_and_forgiven(cap, holder.debt, short)


def _dates_of(award: events.Event) -> Dates:
    """Of the lot a payment's award made."""
    if not isinstance(award, events.Award):
        return Dates(0, 0, b"")
    return Dates(award.available_at, award.expires_at, award.programme)


def _clawed_back(holder: MemberRow | None, points: int, own: Dates) -> Draw:
    """What of `points` is there to be taken, and from which lots; what holds have set aside stays."""
    if holder is None:
        return Draw((), 0, ())
    free = max(0, holder.balance - holder.held)
    return claw_back(lots.unpack(holder.lots), holder.balance, min(points, free), own)


def adjusting(connection: sqlite3.Connection, wish: Adjustment) -> events.Adjust:
    """The event of points given or taken by hand, on the books as they are. NotFound, Refused."""
    row = reads.holder(connection, wish.member)
    if row is None or row.state != MemberState.ACTIVE:
        raise NotFound("this phone belongs to no member here", fix="vafa member add PHONE")
    if wish.points == 0 or not wish.why.strip():
        raise Refused("an adjustment needs points and a reason")
    taken: tuple[Taken, ...] = ()
    if wish.points > 0:
        debt, balance = 0, row.balance + wish.points - paying(row, wish.points)
    else:
        there = min(-wish.points, row.balance - row.held)
        debt, balance = -wish.points - there, row.balance - there
        taken = debit(lots.unpack(row.lots), row.balance, there).taken
    return events.Adjust(
        wish.member, wish.points, debt, None, wish.by, wish.why, wish.ref, balance, lots=taken
    )


def undone_at(connection: sqlite3.Connection, entry: reads.Entry) -> Undone:
    """What the Reversal, Refund, RefundUnmatched or Adjust in `entry` did: always the same."""
    row = entry.row
    told = _described(connection, entry.event)
    if isinstance(entry.event, events.Reversal | events.Refund):
        offers = told_with_return(connection, entry)
        told = msgspec.structs.replace(
            told, returned=returning.returned_with(connection, entry), offers=offers
        )
    return msgspec.structs.replace(
        told,
        number=_number(connection, entry),
        check=check_code(row.hash),
        seq=row.seq,
    )


def _foreseen(connection: sqlite3.Connection, event: events.Event) -> Undone:
    """What an undoing would do: the points of its sale's redemption come back before any are taken."""
    told = _described(connection, event)
    sale = (
        reads.payment(connection, event.key) if isinstance(event, events.Reversal | events.Refund) else None
    )
    back = sum(each.points for each in returning.due_with(connection, sale, told.amount)) if sale else 0
    if not back:
        return told
    paid = min(back, told.debt)
    balance = None if told.balance is None else told.balance + back - paid
    return msgspec.structs.replace(told, returned=back, debt=told.debt - paid, balance=balance)


def _described(connection: sqlite3.Connection, event: events.Event) -> Undone:
    if isinstance(event, events.RefundUnmatched):
        return Undone(Undoing.UNMATCHED, event.amount)
    if isinstance(event, events.Adjust):
        return Undone(Undoing.ADJUSTMENT, 0, -event.points, event.debt, event.balance, holder=event.holder)
    assert isinstance(event, events.Reversal | events.Refund), "an undoing"
    kind = Undoing.VOID if isinstance(event, events.Reversal) else Undoing.REFUND
    row = reads.payment(connection, event.key)
    assert row is not None, "an undoing of a payment that is known"
    paid = reads.entry(connection, row.seq)
    return Undone(
        kind,
        event.amount,
        event.points,
        event.debt,
        event.balance + event.beside if _is_theirs(paid.event, event.holder) else None,
        _number(connection, paid),
        event.holder,
        forgiven=event.forgiven,
        currency=Currency(reads.paid_of(paid.event).currency),
    )


def _is_theirs(paid: events.Event, holder: bytes) -> bool:
    """Whether who brings the goods back is the holder for sure: named, known by the card, or by the code."""
    return isinstance(paid, events.Award) and len(holder) == MEMBER_ID_BYTES and paid.known_by != KnownBy.HINT


def _number(connection: sqlite3.Connection, entry: reads.Entry) -> str:
    device = reads.device(connection)
    assert device is not None
    return device.short_number(entry.row.epoch, entry.row.seq)


def _pair(value: Fraction) -> tuple[int, int]:
    return value.numerator, value.denominator
