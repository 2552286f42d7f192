"""Holds, redemptions and what comes back of them, counted again after a fork.

A hold of the branch sets nothing aside here: only what was captured counts. The capture brings its hold with
it, as far as the points are still there; what the other branch had spent of them is owed. One redemption that
both branches captured (they parted between hold and capture) is one.
"""

from hashlib import blake2b

import msgspec

from vafa.app import returning, settling
from vafa.app.counter import Counter
from vafa.app.returning import Back
from vafa.books import lots
from vafa.books.effect import payment_row
from vafa.books.rows import HoldRow, HoldState, MemberRow, OfferRow
from vafa.ledger import branches, reads, value
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.events import Kind
from vafa.model.lots import spend, usable
from vafa.model.standing import unpack


class Around(msgspec.Struct, frozen=True):
    """What counting a row looks at beside the row: the branch (by the hash of its first row), the row's
    epoch and number in it, and now, UTC seconds."""

    counter: Counter
    first: bytes
    epoch: int
    seq: int
    now: int


class Recounted(msgspec.Struct, frozen=True):
    """Whether it did anything here; `short`: points that were not there any more."""

    counted: bool
    short: int = 0


COUNTED, KNOWN = Recounted(counted=True), Recounted(counted=False)


def release(tx: Transaction, _around: Around, event: events.Release) -> Recounted:
    """A hold of before the fork that ended without being spent."""
    row = tx.find(HoldRow, (event.hold,))
    if row is None or row.state != HoldState.OPEN or event.points > row.points:
        return KNOWN
    settling.release(tx, row, event.points, event.why, event.by)
    return COUNTED


def redemption(tx: Transaction, around: Around, event: events.Redemption) -> Recounted:
    """Points that were spent: from a hold that is open here, else with a hold of its own."""
    row = tx.find(HoldRow, (event.hold,))
    if row is not None and row.state in (HoldState.CAPTURED, HoldState.RETURNED):
        return KNOWN
    if row is not None and row.state == HoldState.OPEN and row.points == event.points:
        _spend(tx, event, event.points, around.now)
        return COUNTED
    name = event.hold if row is None else _other_name(event.hold)
    if tx.find(HoldRow, (name,)) is not None:
        return KNOWN
    hold = _hold_of(tx, around, event.hold)
    request = hold.request if row is None else f"{hold.request} ({hold.hold.hex()})"
    member = tx.find(MemberRow, (event.holder,))
    if member is None:
        raise NotFound("whose points were spent is unknown here")
    there = usable(lots.unpack(member.lots), member.balance, member.held, around.now)
    points = min(event.points, 0 if member.debt else there)
    short = event.points - points
    stamps = hold.stamps if _are_there(member, hold.stamps) else ()
    if not event.points and not stamps and not _is_open(tx, hold.offer):
        raise Refused("the stamps, or the offer, were spent in both branches")
    at = hold.at if hold.offer else around.now  # an offer was good then
    again = msgspec.structs.replace(
        hold, hold=name, points=points, request=request, at=at, stamps=stamps, short=short
    )
    tx.post(again)
    _spend(tx, msgspec.structs.replace(event, hold=name, debt=short), points, around.now)
    return Recounted(counted=True, short=short)


def redemption_refund(tx: Transaction, around: Around, event: events.RedemptionRefund) -> Recounted:
    """Points of a redemption that came back by a request of its own."""
    if event.ref is None:
        raise Refused("what came back has no identity")
    if payment_row(tx, event.ref) is not None:
        return KNOWN
    row = tx.find(HoldRow, (_other_name(event.hold),)) or tx.find(HoldRow, (event.hold,))
    if row is None or row.state != HoldState.CAPTURED:
        return KNOWN
    left = row.captured - row.returned
    points = min(event.points, left)
    if not points and left:
        return KNOWN
    back = Back(row, points, whole=points == left)
    tx.post(returning.coming_back(tx, back, event.ref, event.by, around.counter.zone))
    return COUNTED


def clock(tx: Transaction, _around: Around, event: events.ClockAttested) -> Recounted:
    """A time that was vouched for stays so; what had lapsed by it lapses again."""
    if event.mark <= value.attested_mark(tx.connection):
        return KNOWN
    tx.post(event)
    return COUNTED


def expire(tx: Transaction, _around: Around, event: events.Expire) -> Recounted:
    """What of the same lots is still here."""
    return COUNTED if settling.lapse_lots(tx, event.holder, event.at) else KNOWN


def _spend(tx: Transaction, event: events.Redemption, points: int, now: int) -> None:
    """Post the capture of what is held."""
    member = tx.find(MemberRow, (event.holder,))
    assert member is not None, "a hold has a holder"
    draw = spend(lots.unpack(member.lots), member.balance, points, now)
    balance = member.balance - points
    tx.post(msgspec.structs.replace(event, lots=draw.taken, at=now, balance=balance))


def _hold_of(tx: Transaction, around: Around, name: bytes) -> events.Hold:
    """The row a hold was made with: in the branch, or before it left us."""
    for event in branches.events_before(tx.connection, around.seq, Kind.HOLD):
        if isinstance(event, events.Hold) and event.hold == name:
            return event
    row = tx.find(HoldRow, (name,))
    ours = reads.entry(tx.connection, row.seq).event if row is not None else None
    if not isinstance(ours, events.Hold):
        raise NotFound("the hold of what was spent is unknown here")
    return ours


def _other_name(hold: bytes) -> bytes:
    """Of a hold that ended here otherwise than in the branch: the same name each time."""
    return blake2b(hold, digest_size=len(hold) or 8, person=b"vafa fork").digest()


def _is_open(tx: Transaction, offer: bytes) -> bool:
    row = tx.find(OfferRow, (offer,)) if offer else None
    return row is not None and not row.spent_seq and not row.hold


def _are_there(member: MemberRow, stamps: tuple[tuple[str, int], ...]) -> bool:
    standing = unpack(member.standing)
    return all(standing.stamp(card).count >= count for card, count in stamps)
