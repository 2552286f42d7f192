"""What spending does to the books: holds, redemptions, releases, returns, and lots that lapse.
An offer that takes money off goes the same way: set aside, spent, free again, given back.

A hold sets points of the balance aside and stamps off their card; only a redemption takes points away, from
lots in the order of model.lots. While a hold is open neither a correction nor a lapse takes what it set
aside, so a payment that counted on it can always be captured. Points that come free or come back pay a debt
first: a member never has points to spend and a debt at once.
"""

from collections.abc import Iterable

import msgspec

from vafa.books import lots, offers
from vafa.books.effect import Change, Effect, Impossible, State, require
from vafa.books.rows import HoldRow, HoldState, LotRow, MemberRow, MemberState
from vafa.books.standing import with_stamp
from vafa.books.till import TillSums
from vafa.books.undo import drawn, own_identity
from vafa.model import events
from vafa.model.lots import Given, Lot, Taken, debit, lapse, spend, usable
from vafa.model.payment import PaymentKey
from vafa.model.standing import pack, unpack

_encoder = msgspec.msgpack.Encoder()


def packed_key(key: PaymentKey | None) -> bytes:
    """A payment's key as a hold's row has it; b'' for none."""
    return b"" if key is None else _encoder.encode(key)


def hold(event: events.Hold, seq: int, state: State, till: TillSums) -> Effect:
    """Points and stamps are set aside for a reward; after a fork as far as they are still there."""
    require(state.find(HoldRow, (event.hold,)) is None, "this hold was made before")
    old = _member(state, event.holder)
    require(old.state != MemberState.WAITING, "only a member may redeem")
    require(event.points + event.short > 0 or bool(event.stamps or event.offer), "a hold holds something")
    require(min(event.points, event.short) >= 0, "a hold is not below zero")
    if event.short:
        there = 0 if old.debt else usable(lots.unpack(old.lots), old.balance, old.held, event.at)
        require(event.points == there, "a hold falls short only of what is not there")
    elif event.points:
        require(not old.debt, "a debt blocks redeeming")
        there = usable(lots.unpack(old.lots), old.balance, old.held, event.at)
        require(event.points <= there, "more is held than can be used")
    new = msgspec.structs.replace(
        old,
        held=old.held + event.points,
        standing=_stamped(old.standing, ((card, -count) for card, count in event.stamps)),
    )
    row = HoldRow(
        event.hold, event.holder, seq, HoldState.OPEN, event.points, event.until, event.request,
        offer=event.offer,
    )  # fmt: skip
    aside = [offers.set_aside(event, state)] if event.offer else []
    return Effect((Change(None, row), *_changed(old, new), *aside), till)


def redemption(event: events.Redemption, seq: int, state: State, till: TillSums) -> Effect:
    """What a hold still holds is spent; what another branch had spent of it is owed."""
    old_hold, old = _open_hold(state, event.hold, event.holder)
    taken = event.points - event.debt
    require(taken == old_hold.points, "a capture takes what is held; the rest is released before it")
    require(min(event.amount, event.debt) >= 0, "money taken off is not below zero, nor what is owed")
    before = lots.unpack(old.lots)
    draw = spend(before, old.balance, taken, event.at)
    require(draw.points == taken <= old.balance, "a redemption never goes below zero")
    new = msgspec.structs.replace(
        old, balance=old.balance - taken, held=old.held - taken, debt=old.debt + event.debt
    )
    new = drawn(new, draw, event.lots)
    used = offers.captured(old_hold, seq, state)
    new = msgspec.structs.replace(new, offers=new.offers + used.of(old.id))
    require(event.balance == new.balance, "the balance is not the one after the redemption")
    new_hold = msgspec.structs.replace(
        old_hold,
        state=HoldState.CAPTURED,
        ended_seq=seq,
        captured=event.points,
        payment=packed_key(event.key),
    )
    rows = [_lot_drawn(state, event.holder, lots.find(before, each), each[1]) for each in event.lots]
    sums = till.posted(member=-taken, redeemed=taken)
    sums = msgspec.structs.replace(sums, debt=sums.debt + event.debt)
    return Effect((Change(old_hold, new_hold), *_changed(old, new), *rows, *used.changes), sums)


def release(event: events.Release, seq: int, state: State, till: TillSums) -> Effect:
    """Held points are free again; what the member came to owe meanwhile is paid from them."""
    old_hold, old = _open_hold(state, event.hold, event.holder)
    require(0 <= event.points <= old_hold.points, "more is released than is held")
    whole = event.points == old_hold.points
    free = offers.set_free(old_hold, state)
    require(whole or (event.points > 0 and not event.stamps), "a part of a hold is of points")
    freed = msgspec.structs.replace(
        old, held=old.held - event.points, standing=_stamped(old.standing, event.stamps)
    )
    new, sums = _paying(freed, event.points, event.debt, event.lots, till)
    new_hold = msgspec.structs.replace(
        old_hold,
        points=old_hold.points - event.points,
        state=HoldState.RELEASED if whole else HoldState.OPEN,
        ended_seq=seq if whole else 0,
    )
    return Effect((Change(old_hold, new_hold), *_changed(old, new), *free), sums)


def award_refund(event: events.AwardRefund, seq: int, state: State, till: TillSums) -> Effect:
    """Points of a redemption come back with the money of its sale."""
    row = state.find(HoldRow, (event.hold,))
    require(row is not None and row.payment == packed_key(event.key), "the redemption was of another sale")
    return _came_back(event, seq, state, till)


def redemption_refund(event: events.RedemptionRefund, seq: int, state: State, till: TillSums) -> Effect:
    """Points of a redemption come back, told by a request of its own."""
    if event.ref is None:
        raise Impossible("a return has an identity of its own")
    own = own_identity(state, event.ref, seq, 0, event.holder)
    effect = _came_back(event, seq, state, till)
    return Effect((*own, *effect.changes), effect.till)


def expire(event: events.Expire, _seq: int, state: State, till: TillSums) -> Effect:
    """Lots that lapsed go, but for what open holds need."""
    old = _member(state, event.holder)
    draw = lapse(lots.unpack(old.lots), old.balance - old.held, event.at)
    require(0 < event.points == draw.points, "what lapses is not what lapsed by then")
    new = drawn(msgspec.structs.replace(old, balance=old.balance - event.points), draw, event.lots)
    return Effect((Change(old, new),), till.posted(member=-event.points, expired=event.points))


def _came_back(
    event: events.AwardRefund | events.RedemptionRefund, _seq: int, state: State, till: TillSums
) -> Effect:
    old_hold, old = state.find(HoldRow, (event.hold,)), _member(state, event.holder)
    if old_hold is None or old_hold.state != HoldState.CAPTURED or old_hold.holder != event.holder:
        raise Impossible("there is no such redemption to take back")
    require(old_hold.ended_seq == event.redemption[1], "the redemption is in another row")
    left = old_hold.captured - old_hold.returned
    require(0 <= event.points <= left, "more comes back than was redeemed")
    whole = event.points == left
    require(whole or (event.points > 0 and not event.stamps), "stamps come back with the whole redemption")
    new = msgspec.structs.replace(
        old, balance=old.balance + event.points, standing=_stamped(old.standing, event.stamps)
    )
    rows = []
    for given in event.lots:
        change, lot = _lot_returned(state, event.holder, given, event.at)
        rows.append(change)
        packed = lots.added(new.lots, lot, event.at)
        new = msgspec.structs.replace(new, lots=packed, next_expiry=lots.next_expiry(packed))
    require(sum(lot[1] for lot in event.lots) <= event.points, "more comes back to lots than comes back")
    back = till.posted(redeemed=-event.points, member=event.points)
    new, sums = _paying(new, event.points, event.debt, event.drawn, back)
    again = offers.given_back(
        (old_hold.offer,) if whole and old_hold.offer else (), old_hold.ended_seq, state, old.id
    )
    new = msgspec.structs.replace(new, offers=new.offers + again.of(old.id))
    require(event.balance == new.balance, "the balance is not the one after the return")
    new_hold = msgspec.structs.replace(
        old_hold,
        returned=old_hold.returned + event.points,
        state=HoldState.RETURNED if whole else HoldState.CAPTURED,
    )
    return Effect((Change(old_hold, new_hold), *_changed(old, new), *rows, *again.changes), sums)


def _paying(
    row: MemberRow, points: int, debt: int, told: tuple[Taken, ...], till: TillSums
) -> tuple[MemberRow, TillSums]:
    """The member after `points` that came free paid the debt, and the sums."""
    require(debt == min(row.debt, points), "points that come free pay the debt first")
    if not debt:
        require(not told, "nothing was drawn")
        return row, till
    draw = debit(lots.unpack(row.lots), row.balance, debt)
    paid = msgspec.structs.replace(row, balance=row.balance - debt, debt=row.debt - debt)
    sums = till.posted(member=-debt, clawed=debt)
    return drawn(paid, draw, told), msgspec.structs.replace(sums, debt=sums.debt - debt)


def _member(state: State, holder: bytes) -> MemberRow:
    row = state.find(MemberRow, (holder,))
    if row is None:
        raise Impossible("the holder of the points is unknown")
    return row


def _open_hold(state: State, name: bytes, holder: bytes) -> tuple[HoldRow, MemberRow]:
    row = state.find(HoldRow, (name,))
    if row is None or row.state != HoldState.OPEN or row.holder != holder:
        raise Impossible("there is no such open hold")
    return row, _member(state, holder)


def _changed(old: MemberRow, new: MemberRow) -> list[Change]:
    return [Change(old, new)] if old != new else []


def _stamped(packed: bytes, change: Iterable[tuple[str, int]]) -> bytes:
    """The standing with stamps put on cards, or (below zero) taken off them. Impossible when too few are."""
    for card, count in change:
        known = unpack(packed)
        stamp = known.stamp(card)
        require(stamp.count + count >= 0, "the stamp card is not full")
        put = msgspec.structs.replace(stamp, count=stamp.count + count)
        packed = pack(with_stamp(known, put))
    return packed


def _lot_drawn(state: State, holder: bytes, lot: Lot, points: int) -> Change:
    """The lot's row, which remembers its dates for what may come back."""
    old = state.find(LotRow, (holder, lot.seq, lot.expires_at))
    start = old or LotRow(holder, lot.seq, lot.expires_at, 0, lot.available_at, lot.programme)
    return Change(old, msgspec.structs.replace(start, drawn=start.drawn + points))


def _lot_returned(state: State, holder: bytes, given: Given, at: int) -> tuple[Change, Lot]:
    """The lot's row without what comes back, and the lot that comes back: under its own dates, or good for
    some days more where it lapsed meanwhile."""
    seq, points, expires_at, new_expiry = given
    old = state.find(LotRow, (holder, seq, expires_at))
    if old is None or not 0 < points <= old.drawn:
        raise Impossible("points come back to a lot they were not drawn from")
    lapsed = bool(expires_at) and expires_at <= at
    require(lapsed == (new_expiry is not None), "only a lot that lapsed gets another date")
    require(new_expiry is None or new_expiry > at, "a lot comes back with a date that is past")
    left = msgspec.structs.replace(old, drawn=old.drawn - points)
    lot = Lot(new_expiry or expires_at, seq, points, old.available_at, old.programme)
    return Change(old, left if left.drawn else None), lot
