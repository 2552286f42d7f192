"""Voids, refunds and adjustments at the counter: what was earned for money that went back goes back too.

Every undoing has an identity of its own (the terminal's reference, or the request of whoever asked), so that
told twice it counts once. One whose sale is unknown here moves nothing and is kept with its references.
"""

import sqlite3
from fractions import Fraction

import msgspec

from vafa.app.counter import Counter
from vafa.books.effect import floor_sum, fraction_left
from vafa.books.rows import Carry, MemberRow, MemberState, PaymentRow, PaymentState
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.chain import check_code
from vafa.model.errors import NotFound, Refused
from vafa.model.money import Currency
from vafa.model.payment import PaymentKey

ZERO = (0, 1)


class Undone(msgspec.Struct, frozen=True):
    """What a void, refund or adjustment did.

    kind     void, refund, unmatched (the sale is unknown here: nothing moved) or adjustment
    points   points that left the holder, debt included; `debt` is the part that was not there any more
    balance  the holder's balance now, None when nobody holds them by name
    """

    kind: str
    number: str
    check: str
    seq: int
    amount: int
    points: int = 0
    debt: int = 0
    balance: int | None = None
    seen_before: bool = False


class Undo:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._ledger = counter.ledger

    def void(self, sale: PaymentKey, ref: PaymentKey, at: int | None, by: str) -> Undone:
        """Undo a sale whole. Refused when it is undone already."""
        return self._ledger.write(lambda tx: self._undo(tx, sale, ref, None, at, by))

    def refund(self, sale: PaymentKey, ref: PaymentKey, amount: int, at: int | None, by: str) -> Undone:
        """Undo `amount` of a sale. Refused when that is more than is left of it."""
        return self._ledger.write(lambda tx: self._undo(tx, sale, ref, amount, at, by))

    def adjust(self, member: bytes, points: int, by: str, why: str) -> Undone:
        """Give (above zero) or take points by hand; `why` is journalled. NotFound for an unknown member."""

        def decide(tx: Transaction) -> Undone:
            row = tx.find(MemberRow, (member,))
            if row is None or row.state != MemberState.ACTIVE:
                raise NotFound("this member is not known here", fix="vafa member add PHONE")
            debt = max(0, -points - row.balance) if points < 0 else 0
            posted = tx.post(events.Adjust(member, points, debt, None, by, why))
            return undone_at(tx.connection, reads.entry(tx.connection, posted.seq))

        return self._ledger.write(decide)

    def _undo(
        self, tx: Transaction, sale: PaymentKey, ref: PaymentKey, amount: int | None, at: int | None, by: str
    ) -> Undone:
        earlier = reads.payment(tx.connection, ref)
        if earlier is not None:
            if earlier.state != PaymentState.UNDOING:
                raise Refused(f"{ref.ref} is the reference of a payment, not of a refund")
            first = undone_at(tx.connection, reads.entry(tx.connection, earlier.seq))
            return msgspec.structs.replace(first, seen_before=True)
        row = reads.payment(tx.connection, sale)
        event = (
            self._unmatched(sale, ref, amount, at, by)
            if row is None
            else _undoing(tx, row, ref, amount, at, by)
        )
        posted = tx.post(event)
        return undone_at(tx.connection, reads.entry(tx.connection, posted.seq))

    @staticmethod
    def _unmatched(
        sale: PaymentKey, ref: PaymentKey, amount: int | None, at: int | None, by: str
    ) -> events.RefundUnmatched:
        originals = ((sale.scheme.name.lower(), str(sale)),)
        return events.RefundUnmatched(
            ref, amount or 0, Currency.RIAL_CURRENT, at, originals, card=b"", mask="", by=by
        )


def _undoing(
    tx: Transaction, row: PaymentRow, ref: PaymentKey, amount: int | None, at: int | None, by: str
) -> events.Event:
    """The Reversal (amount None) or Refund of a payment that is known here."""
    left = row.amount - row.refunded
    if row.state == PaymentState.UNDOING:
        raise Refused("that is a void or refund itself; it cannot be undone")
    if row.state == PaymentState.REVERSED or not left:
        raise Refused("nothing is left of this sale: it was undone before", fix=f"vafa why {row.ref}")
    if amount is not None and not 1 <= amount <= left:
        raise Refused(f"{left:,} rials are left of this sale, {amount:,} cannot be refunded")
    part = left if amount is None else amount
    taken = net_contribution(tx.connection, row, part)
    award = reads.entry(tx.connection, row.seq).event
    programme = award.programme if isinstance(award, events.Award) else b""
    holder = tx.find(MemberRow, (row.holder,)) if row.holder else None
    if holder is not None:
        carry = Carry(holder.carry).of(programme)
    else:
        carry = fraction_left(ZERO, _pair(net_contribution(tx.connection, row, left)))
    points = -floor_sum(carry, _pair(-taken))
    given = {
        "key": row.key,
        "ref": ref,
        "amount": part,
        "eligible": part if programme else 0,
        "holder": row.holder,
        "programme": programme,
        "contribution": _pair(taken),
        "carry": carry,
        "points": points,
        "debt": max(0, points - holder.balance) if holder is not None else 0,
        "by": by,
    }
    if amount is None:
        return events.Reversal(**given, reversed_at=at)  # type: ignore[arg-type]
    return events.Refund(**given, refunded_at=at)  # type: ignore[arg-type]


def net_contribution(connection: sqlite3.Connection, row: PaymentRow, amount: int) -> Fraction:
    """What `amount` rials of a payment contributed, exactly; 0 when it earned nothing."""
    award = reads.entry(connection, row.seq).event
    if not isinstance(award, events.Award):
        return Fraction(0)
    return Fraction(*award.contribution) * Fraction(amount, award.paid.amount)


def undone_at(connection: sqlite3.Connection, entry: reads.Entry) -> Undone:
    """What the Reversal, Refund, RefundUnmatched or Adjust in `entry` did."""
    event, row = entry.event, entry.row
    device = reads.device(connection)
    assert device is not None
    number = reads.short_number(device.device, row.epoch, row.seq)
    check = check_code(row.hash)
    if isinstance(event, events.RefundUnmatched):
        return Undone("unmatched", number, check, row.seq, event.amount)
    assert isinstance(event, events.Adjust | events.Reversal | events.Refund), "an undoing"
    balance = _balance(connection, event.holder)
    if isinstance(event, events.Adjust):
        return Undone("adjustment", number, check, row.seq, 0, -event.points, event.debt, balance)
    kind = "void" if isinstance(event, events.Reversal) else "refund"
    return Undone(kind, number, check, row.seq, event.amount, event.points, event.debt, balance)


def _balance(connection: sqlite3.Connection, holder: bytes) -> int | None:
    rows = reads.holder(connection, holder)
    return rows.balance if rows is not None and rows.state == MemberState.ACTIVE else None


def _pair(value: Fraction) -> tuple[int, int]:
    return value.numerator, value.denominator
