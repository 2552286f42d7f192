"""What an event does to the books: one pure function, used by the ledger, the hub, verify and simulations.

`apply(event, seq, state, till)` reads rows from `state`, never writes, and returns the rows that change (old
and new) with the till's sums after it. The same journal gives the same books, byte for byte, on any machine.
Conditions that the deciding code must have met (points == floor(carry + contribution), a claim's payments
are waiting) are checked here as `Impossible`: in the device's own ledger that is our bug, in verify it names
a bad row, at the hub it sends the row to suspense.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from vafa.books import branches, moving, offers, rules, undo, value
from vafa.books.effect import (
    Change,
    Effect,
    Impossible,
    State,
    credit_posted,
    credited,
    floor_and_rest,
    floor_sum,
    fraction_left,
    paying,
    payment_row,
    require,
)
from vafa.books.rows import (
    AliasRow,
    Carry,
    GapRow,
    LaneRow,
    MemberRow,
    MemberState,
    PaymentRow,
    PaymentState,
    ProgrammeRow,
    SaleRow,
    TokenRow,
    row_digest,
)
from vafa.books.till import TillSums
from vafa.model import events
from vafa.model.identity import MEMBER_ID_BYTES
from vafa.model.money import in_rial
from vafa.model.payment import PaymentKey

STATE_MODULUS = 2**256
STATE_MASK = STATE_MODULUS - 1
# Each sale makes such a row: plain numbers need no looking up, nor does SQLite's binding ask what they are.
_EARNED, _NOTHING, _WAITING = int(PaymentState.EARNED), int(PaymentState.NOTHING), int(PaymentState.WAITING)


def state_hash_after(state_hash: int, changes: tuple[Change, ...]) -> int:
    """The sum mod 2^256 of all row digests, moved by the changed rows only."""
    for change in changes:
        if change.old is not None:
            state_hash -= row_digest(change.old)
        if change.new is not None:
            state_hash += row_digest(change.new)
    return state_hash & STATE_MASK  # the remainder, of a negative number too


def apply(event: events.Event, seq: int, state: State, till: TillSums) -> Effect:
    """The effect of `event` at journal row `seq`. Raises Impossible; reads `state`, changes nothing."""
    rule = _RULES.get(type(event))
    if rule is None:
        raise Impossible(f"{type(event).__name__} rows are written by a newer Vafa than this one")
    return rule(event, seq, state, till)


def _no_effect(_event: events.Event, _seq: int, _state: State, till: TillSums) -> Effect:
    return Effect((), till)


def _programme_activated(event: events.ProgrammeActivated, seq: int, _state: State, till: TillSums) -> Effect:
    return Effect((Change(None, ProgrammeRow(seq, event.programme, event.hash, event.from_at)),), till)


def _sale_asked(event: events.SaleAsked, seq: int, state: State, till: TillSums) -> Effect:
    require(state.find(SaleRow, (event.tid, event.request)) is None, "this sale was asked for before")
    return Effect((Change(None, SaleRow(event.tid, event.request, seq)),), till)


def _sale_ended(event: events.SaleEnded, seq: int, state: State, till: TillSums) -> Effect:
    tid, request = event.sale
    old = state.find(SaleRow, (tid, request))
    if old is None:
        raise Impossible("a sale ended that was never asked for")
    require(old.outcome in (0, events.SaleOutcome.UNSURE), "this sale has ended before")
    new = msgspec.structs.replace(old, outcome=event.outcome, ended_seq=seq)
    return Effect((Change(old, new),), till)


def _payment_seen(event: events.PaymentSeen, seq: int, state: State, till: TillSums) -> Effect:
    _require_new(state, event.paid.key)
    return Effect((Change(None, _payment_row(event.paid, seq, _NOTHING, b"", None)),), till)


def _award(event: events.Award, seq: int, state: State, till: TillSums) -> Effect:
    paid = event.paid
    _require_new(state, paid.key)
    points, left = floor_and_rest(event.carry, event.contribution)
    require(event.points == points, "points are not floor(carry + c)")
    owned = len(event.holder) == MEMBER_ID_BYTES
    require(owned != bool(event.claim), "points wait if and only if there is a claim code")
    payment = _payment_row(paid, seq, _EARNED if owned else _WAITING, event.holder, event.claim or None)
    changes, pays = [Change(None, payment)], 0
    if event.budget is not None:
        changes += rules.budget_used(event, state)
    used = offers.spent_by(event, seq, state) if event.offers else offers.NONE
    changes += used.changes
    if event.holder:
        old = state.find(MemberRow, (event.holder,))
        if old is None:
            require(not owned, "the award's member is unknown")
            start = MemberRow(event.holder, MemberState.WAITING, "", seq)
        else:
            start = old
        carry = Carry(start.carry)
        require(carry.of(event.programme) == event.carry, "the award's carry is not the member's")
        pays = paying(start, points)
        balance = start.balance + points - pays
        require(event.balance == balance, "the balance is not the one before + points")
        new = msgspec.structs.replace(
            rules.remembered(event, seq, start, points - pays),
            balance=balance,
            debt=start.debt - pays,
            carry=carry.replaced(event.programme, left),
            visits=start.visits + 1,
            spent=start.spent + in_rial(event.eligible, paid.currency),
            offers=start.offers + used.of(event.holder),
        )
        changes.append(Change(old, new))
    return Effect(tuple(changes), credit_posted(till, points, pays))


def _enrol(event: events.Enrol, seq: int, state: State, till: TillSums) -> Effect:
    old = state.find(MemberRow, (event.member,))
    if old is None:
        return Effect((Change(None, MemberRow(event.member, MemberState.ACTIVE, event.last4, seq)),), till)
    require(old.state == MemberState.FORGOTTEN, "this member joined before")
    new = msgspec.structs.replace(old, state=MemberState.ACTIVE, last4=event.last4)
    return Effect((Change(old, new),), till)


def _bind(event: events.Bind, seq: int, state: State, till: TillSums) -> Effect:
    require(state.find(TokenRow, (event.token, event.member)) is None, "this card is bound already")
    require(state.find(MemberRow, (event.member,)) is not None, "the card's member is unknown")
    return Effect((Change(None, TokenRow(event.token, event.member, seq)),), till)


def _merge(event: events.Merge, seq: int, state: State, till: TillSums) -> Effect:
    ids = (event.member, event.alias)
    require(all(len(each) == MEMBER_ID_BYTES for each in ids), "a merge joins two member ids")
    require(event.member != event.alias, "a member is no alias of itself")
    require(state.find(AliasRow, (event.member,)) is None, "the member is an alias of another one")
    old = state.find(AliasRow, (event.alias,))
    require(old is None or event.order > old.hub_order, "this alias was merged before")
    return Effect((Change(old, AliasRow(event.alias, event.member, event.order, seq)),), till)


def _unmerge(event: events.Unmerge, _seq: int, state: State, till: TillSums) -> Effect:
    old = state.find(AliasRow, (event.alias,))
    if old is None or old.member != event.member:
        raise Impossible("an alias was dropped that is none of this member")
    require(event.order > old.hub_order, "a newer merge stands")
    return Effect((Change(old, None),), till)


def _claim(event: events.Claim, seq: int, state: State, till: TillSums) -> Effect:
    old = state.find(MemberRow, (event.member,))
    if old is None:
        raise Impossible("the claiming member is unknown")
    keys = [key for part in event.parts for key in part.keys]
    require(len(keys) == len(set(keys)), "the claim names a payment twice")
    member, changes, moved, paid = old, list[Change](), 0, 0
    for part in event.parts:
        carry = Carry(member.carry)
        require(carry.of(part.programme) == part.carry, "the claim's carry is not the member's")
        require(part.points_in == floor_sum(part.carry, part.contribution), "claimed points are not floor")
        for key in part.keys:
            row = payment_row(state, key)
            if row is None or row.state != PaymentState.WAITING or row.holder != event.token:
                raise Impossible(f"payment {key} does not wait for this claim")
            new_row = msgspec.structs.replace(row, holder=event.member, state=PaymentState.EARNED)
            changes.append(Change(row, new_row))
        credit, pays = credited(member, part.points_in)
        if event.award is not None:
            require((event.award.paid.key,) == tuple(keys), "a claim by rules is of its award's payment")
            credit = rules.claimed(event, event.award, seq, credit, part.points_in - pays)
        member = msgspec.structs.replace(
            credit,
            carry=carry.replaced(part.programme, fraction_left(part.carry, part.contribution)),
            visits=member.visits + len(part.keys),
            spent=member.spent + part.eligible,
        )
        moved += part.points_out
        paid += pays
    changes.append(Change(old, member))
    holder = state.find(MemberRow, (event.token,)) if event.token else None
    if holder is not None:
        require(holder.balance - holder.debt == moved, "the claim does not take what waits on the card")
        paid += holder.debt  # of what lapsed there before its purchase went back: it ends with the card
        changes.append(Change(holder, None))
    require(holder is not None or not event.token or not moved, "nothing waits on the card any more")
    issued = sum(part.points_in for part in event.parts) - moved
    return Effect(tuple(changes), credit_posted(till, issued, paid))


def _gap_detected(event: events.GapDetected, seq: int, _state: State, till: TillSums) -> Effect:
    return Effect((Change(None, GapRow(seq, event.tid)),), till)


def _gap_closed(event: events.GapClosed, seq: int, state: State, till: TillSums) -> Effect:
    old = state.find(GapRow, (event.gap[1],))
    if old is None:
        raise Impossible("a gap was closed that was never detected")
    require(old.closed_seq == 0, "this gap is closed already")
    return Effect((Change(old, msgspec.structs.replace(old, closed_seq=seq)),), till)


def _baseline(event: events.Baseline, seq: int, state: State, till: TillSums) -> Effect:
    require(state.find(LaneRow, (event.tid,)) is None, "this terminal's baseline was set before")
    return Effect((Change(None, LaneRow(event.tid, seq, event.trace)),), till)


def _require_new(state: State, key: PaymentKey) -> None:
    if payment_row(state, key) is not None:  # every sale comes by here: the words are made when they are said
        raise Impossible(f"payment {key} was posted before")


def _payment_row(paid: events.Paid, seq: int, state: int, holder: bytes, claim: str | None) -> PaymentRow:
    key = paid.key
    return PaymentRow(int(key.scheme), key.tid, key.ref, key.reuse, seq, state, paid.amount, holder, claim)


_RULES: dict[type[events.Event], Callable[[Any, int, State, TillSums], Effect]] = {
    events.EpochOpened: _no_effect,
    events.ClockAttested: _no_effect,
    events.Checkpoint: branches.checkpoint,
    events.ProgrammeActivated: _programme_activated,
    events.SaleAsked: _sale_asked,
    events.SaleEnded: _sale_ended,
    events.PaymentSeen: _payment_seen,
    events.Award: _award,
    events.Recorded: _no_effect,
    events.Enrol: _enrol,
    events.Profile: rules.profile,
    events.Forget: rules.forget,
    events.TierChanged: rules.tier_changed,
    events.Bind: _bind,
    events.Claim: _claim,
    events.Merge: _merge,
    events.Unmerge: _unmerge,
    events.Reversal: undo.reversal,
    events.Refund: undo.refund,
    events.RefundUnmatched: undo.refund_unmatched,
    events.Adjust: undo.adjust,
    events.AwardMoved: moving.award_moved,
    events.Hold: value.hold,
    events.Redemption: value.redemption,
    events.Release: value.release,
    events.AwardRefund: value.award_refund,
    events.RedemptionRefund: value.redemption_refund,
    events.Expire: value.expire,
    events.Offer: offers.offer,
    events.OfferEnded: offers.offer_ended,
    events.GapDetected: _gap_detected,
    events.GapClosed: _gap_closed,
    events.Baseline: _baseline,
}
