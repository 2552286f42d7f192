"""What moving a purchase to the right member does to the books: it leaves the one as an undoing would, and
arrives at the other as if they had bought it. Both by the difference of their floor.
"""

import msgspec

from vafa.books import lots, rules, standing
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
from vafa.books.rows import Carry, MemberRow, MemberState, PaymentState
from vafa.books.till import TillSums
from vafa.books.undo import clawed, drawn, without
from vafa.model import events
from vafa.model.lots import Dates, Lot, claw_back


def award_moved(event: events.AwardMoved, seq: int, state: State, till: TillSums) -> Effect:
    """The purchase's contribution, lots, stamps and rights go from one member to the other."""
    row = payment_row(state, event.key)
    if row is None or row.state != PaymentState.EARNED or row.holder != event.from_holder:
        raise Impossible(f"payment {event.key} is not there to be moved")
    require(event.from_holder != event.to_holder, "a purchase moves to somebody else")
    one, other = (state.find(MemberRow, (each,)) for each in (event.from_holder, event.to_holder))
    if one is None or other is None:
        raise Impossible("a purchase moves between members who are known")
    require(other.state == MemberState.ACTIVE, "a purchase moves to a member")
    left, sums = _leaves(event, one, till)
    came, sums = _arrives(event, seq, other, sums)
    moved = msgspec.structs.replace(row, holder=event.to_holder)
    return Effect((Change(row, moved), Change(one, left), Change(other, came)), sums)


def _leaves(event: events.AwardMoved, old: MemberRow, till: TillSums) -> tuple[MemberRow, TillSums]:
    carry, minus = Carry(old.carry), (-event.contribution[0], event.contribution[1])
    require(carry.of(event.programme) == event.carry_out, "the carry is not that of who loses it")
    require(
        event.points_out == -floor_sum(event.carry_out, minus), "points are not the difference of the floor"
    )
    require(min(event.debt, event.forgiven) >= 0, "a debt is not below zero")
    kept = without(rules.forgotten(event, old), event.points_out, event.debt, event.forgiven)
    taken = event.points_out - event.debt - event.forgiven
    own = Dates(event.available_at, event.expires_at, event.programme)
    new = msgspec.structs.replace(
        drawn(kept, claw_back(lots.unpack(old.lots), old.balance, taken, own), event.lots),
        carry=carry.replaced(event.programme, fraction_left(event.carry_out, minus)),
        visits=old.visits - 1,
        spent=old.spent - event.eligible,
    )
    return new, clawed(till, event.points_out - event.forgiven, event.debt)


def _arrives(
    event: events.AwardMoved, seq: int, old: MemberRow, till: TillSums
) -> tuple[MemberRow, TillSums]:
    carry = Carry(old.carry)
    require(carry.of(event.programme) == event.carry_in, "the carry is not that of who gets it")
    require(
        event.points_in == floor_sum(event.carry_in, event.contribution), "points are not floor(carry + c)"
    )
    new, pays = credited(old, event.points_in)
    if event.available_at or event.expires_at:
        lot = Lot(event.expires_at, seq, event.points_in - pays, event.available_at, event.programme)
        new = rules.with_lot(new, lot, event.at)
    counted = event.counted
    if counted is not None:
        counted = msgspec.structs.replace(counted, value=-counted.value)
    new = msgspec.structs.replace(
        new,
        carry=carry.replaced(event.programme, fraction_left(event.carry_in, event.contribution)),
        visits=old.visits + 1,
        spent=old.spent + event.eligible,
        standing=standing.after_move(old.standing, event),
        metric=standing.counted_in(old.metric, counted),
    )
    return new, credit_posted(till, event.points_in, pays)
