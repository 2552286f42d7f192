"""What voids, refunds and adjustments do to the books: points leave by the difference of the floor.

A refund lowers the sale's net amount and with it its contribution; the points that leave are the difference
of floor(sum of contributions) before and after, so splitting and ordering never matter. Which lots they leave
from is model.lots' law; what open holds have set aside stays. What the holder does not have any more becomes
debt, as far as the programme lets members owe: it blocks redemption, never earning, and new points pay it
first.
"""

import msgspec

from vafa.books import lots, offers, rules
from vafa.books.effect import (
    Change,
    Effect,
    Impossible,
    State,
    credit_posted,
    credited,
    floor_sum,
    fraction_left,
    payment_row,
    require,
)
from vafa.books.rows import Carry, MemberRow, PaymentRow, PaymentState
from vafa.books.till import TillSums
from vafa.model import events
from vafa.model.lots import Dates, Draw, Lot, Taken, claw_back, debit
from vafa.model.payment import PaymentKey

UNDOABLE = (PaymentState.EARNED, PaymentState.WAITING, PaymentState.NOTHING)


def reversal(event: events.Reversal, seq: int, state: State, till: TillSums) -> Effect:
    """The whole contribution of a payment leaves."""
    row = _undoable(state, event.key, event.holder)
    require(0 < event.amount == row.amount - row.refunded, "a reversal takes all that is left")
    new = msgspec.structs.replace(row, state=PaymentState.REVERSED, refunded=row.amount)
    changes = [Change(row, new), *own_identity(state, event.ref, seq, event.amount, event.holder)]
    return _taken(event, row.seq, changes, state, till, whole_visit=True)


def refund(event: events.Refund, seq: int, state: State, till: TillSums) -> Effect:
    """Part of a payment, or all of it, went back to the card."""
    row = _undoable(state, event.key, event.holder)
    require(0 < event.amount <= row.amount - row.refunded, "more is refunded than is left of the payment")
    new = msgspec.structs.replace(row, refunded=row.refunded + event.amount)
    require(not event.offers or new.refunded == row.amount, "offers come back with the whole sale alone")
    changes = [Change(row, new), *own_identity(state, event.ref, seq, event.amount, event.holder)]
    return _taken(event, row.seq, changes, state, till, whole_visit=False)


def refund_unmatched(event: events.RefundUnmatched, seq: int, state: State, till: TillSums) -> Effect:
    """A refund whose sale is unknown here moves nothing; it is remembered, so that it is told once."""
    return Effect(tuple(own_identity(state, event.ref, seq, event.amount, b"")), till)


def adjust(event: events.Adjust, seq: int, state: State, till: TillSums) -> Effect:
    """Points a person gave (above zero) or took; the debt that taking leaves stands in the event."""
    old = state.find(MemberRow, (event.holder,))
    if old is None:
        raise Impossible("the adjusted member is unknown")
    if event.points >= 0:
        require(event.debt == 0, "giving points leaves no debt")
        new, pays = credited(old, event.points)
        if event.available_at or event.expires_at:
            lot = Lot(event.expires_at or 0, seq, event.points - pays, event.available_at)
            new = rules.with_lot(new, lot)
        sums = credit_posted(till, event.points, pays)
    else:
        new = without(old, -event.points, event.debt, 0)
        draw = debit(lots.unpack(old.lots), old.balance, -event.points - event.debt)
        new = drawn(new, draw, event.lots)
        sums = clawed(till, -event.points, event.debt)
    require(event.balance == new.balance, "the balance is not the one after the adjustment")
    own = own_identity(state, event.ref, seq, 0, event.holder)
    return Effect((*own, Change(old, new)), sums)


def _undoable(state: State, key: PaymentKey, holder: bytes) -> PaymentRow:
    row = payment_row(state, key)
    if row is None or row.state not in UNDOABLE:
        raise Impossible(f"payment {key} cannot be undone")
    require(row.holder == holder, "the payment's points are held by somebody else")
    return row


def own_identity(state: State, ref: PaymentKey, seq: int, amount: int, holder: bytes) -> list[Change]:
    """The row that makes an undoing told twice one: its own reference at the terminal, or its request."""
    require(payment_row(state, ref) is None, f"{ref} was posted before")
    row = PaymentRow(ref.scheme, ref.tid, ref.ref, ref.reuse, seq, PaymentState.UNDOING, amount, holder)
    return [Change(None, row)]


def _taken(
    event: events.Reversal | events.Refund,
    spent_seq: int,
    changes: list[Change],
    state: State,
    till: TillSums,
    *,
    whole_visit: bool,
) -> Effect:
    minus = (-event.contribution[0], event.contribution[1])
    require(event.points == -floor_sum(event.carry, minus), "points are not the difference of the floor")
    short = event.debt + event.forgiven
    parts = min(event.debt, event.forgiven) >= 0 and short <= event.points
    require(parts, "a debt is part of what was to be taken")
    if not event.holder:
        require(
            event.debt == event.balance == event.forgiven == len(event.offers) == 0,
            "points that wait on their payment are all there",
        )
        return Effect(tuple(changes), clawed(till, event.points, 0))
    old = state.find(MemberRow, (event.holder,))
    if old is None:
        raise Impossible("the holder of the points is unknown")
    carry = Carry(old.carry)
    if event.programme:
        require(carry.of(event.programme) == event.carry, "the carry is not the holder's")
    kept = without(rules.forgotten(event, old), event.points, event.debt, event.forgiven)
    own = Dates(event.available_at, event.expires_at, event.programme)
    taken = event.points - short
    again = offers.given_back(event.offers, spent_seq, state, event.holder)
    new = msgspec.structs.replace(
        drawn(kept, claw_back(lots.unpack(old.lots), old.balance, taken, own), event.lots),
        carry=carry.replaced(event.programme, fraction_left(event.carry, minus))
        if event.programme
        else old.carry,
        visits=old.visits - whole_visit,
        spent=old.spent - event.eligible,
        offers=old.offers + again.of(event.holder),
    )
    require(event.balance == new.balance, "the balance is not the one before - points")
    changes += [Change(old, new), *again.changes]
    return Effect(tuple(changes), clawed(till, event.points - event.forgiven, event.debt))


def drawn(row: MemberRow, draw: Draw, told: tuple[Taken, ...]) -> MemberRow:
    """The holder's row with the lots a debit leaves; the event must tell what the law of drawing gives."""
    require(draw.taken == told, f"the lots drawn from are not those the rules give: {draw.taken}")
    packed = lots.pack(draw.kept)
    if packed == row.lots:
        return row
    return msgspec.structs.replace(row, lots=packed, next_expiry=lots.next_expiry(packed))


def without(row: MemberRow, points: int, debt: int, forgiven: int) -> MemberRow:
    """The holder after `points` were taken, `debt` and `forgiven` of which were not there to take."""
    short = max(0, points - (row.balance - row.held))
    require(debt + forgiven == short, "the debt is not what the balance falls short of")
    return msgspec.structs.replace(row, balance=row.balance - points + short, debt=row.debt + debt)


def clawed(till: TillSums, points: int, debt: int) -> TillSums:
    """The till after `points` were taken, `debt` of which were not there."""
    taken = points - debt
    return msgspec.structs.replace(till.posted(member=-taken, clawed=taken), debt=till.debt + debt)
