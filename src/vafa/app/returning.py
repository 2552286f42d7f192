"""Redeemed points that come back: with the money of their sale, pro rata, or by a request of their own.

They go to the lots they were drawn from, with the dates they had; a lot that lapsed meanwhile is good for
seven days more. What costs a fixed number of points, and stamps, come back with the whole sale only: half a
meal cannot be handed back.
"""

import sqlite3

import msgspec

from vafa.app import settling
from vafa.app.programmes import parsed
from vafa.app.redeem_reads import redeemed_at
from vafa.app.redeem_words import Redeemed
from vafa.books import lots
from vafa.books.rows import HoldRow, HoldState, LotRow, MemberRow, PaymentRow, PaymentState
from vafa.club.lots import good_again_until
from vafa.club.rewards import AMOUNT_OFF, part_back, reward_of
from vafa.ledger import people, reads, value
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model import events
from vafa.model.chain import check_code
from vafa.model.errors import Refused
from vafa.model.lots import Given, Lot, Taken, came_back, debit
from vafa.model.payment import PaymentKey


class Back(msgspec.Struct, frozen=True):
    """What of one redemption comes back; `whole`: nothing of it is left then."""

    hold: HoldRow
    points: int
    whole: bool


def due_with(connection: sqlite3.Connection, sale: PaymentRow, part: int) -> list[Back]:
    """What comes back when `part` more rial of a sale went back."""
    gone = sale.refunded + part
    due = []
    for hold in value.captured_for(connection, sale.key):
        left = hold.captured - hold.returned
        if gone == sale.amount:
            due.append(Back(hold, left, whole=True))
        elif _is_money_off(connection, hold):
            points = part_back(hold.captured, hold.returned, gone, sale.amount)
            if points:
                due.append(Back(hold, points, whole=points == left))
    return due


def with_sale(tx: Transaction, sale: PaymentRow, part: int, ref: PaymentKey, by: str, zone: str) -> None:
    """Post what comes back with `part` rial of a sale, before its refund is posted."""
    for back in due_with(tx.connection, sale, part):
        event = coming_back(tx, back, ref, by, zone)
        tx.post(
            events.AwardRefund(sale.key, *msgspec.structs.astuple(event)[:-1])
        )  # `beside` is the refund's


def returned_with(connection: sqlite3.Connection, undoing: reads.Entry) -> int:
    """The points that came back with a void or refund: their rows stand right before its own."""
    points, seq = 0, undoing.row.seq - 1
    assert isinstance(undoing.event, events.Reversal | events.Refund)
    while seq:
        before = reads.entry(connection, seq).event
        if not isinstance(before, events.AwardRefund) or before.ref != undoing.event.ref:
            break
        points, seq = points + before.points, seq - 1
    return points


def give_back(
    ledger: Ledger, request: str, ref: PaymentKey, points: int | None, by: str, zone: str
) -> Redeemed:
    """Undo a redemption, or so many points of one that took money off; once. Refused, NotFound."""

    def decide(tx: Transaction) -> Redeemed:
        earlier = reads.payment(tx.connection, ref)
        if earlier is not None:
            return _again(tx.connection, earlier, request)
        rows = value.holds_of_request(tx.connection, request)
        done = redeemed_at(tx.connection, request)
        open_rows = [row for row in rows if row.state == HoldState.CAPTURED]
        left = sum(row.captured - row.returned for row in open_rows)
        wanted = left if points is None else points
        if not open_rows:
            raise Refused(f"nothing of this redemption can come back: it is {done.state}")
        if wanted > left:
            raise Refused(f"{left:,} points of this redemption can come back, not {wanted:,}")
        if wanted < left and not _is_money_off(tx.connection, open_rows[0]):
            raise Refused("this reward comes back as a whole or not at all")
        due = _due(open_rows, wanted, points)
        beside = people.not_among(tx.connection, [back.hold.holder for back in due])
        for number, back in enumerate(due):
            name = ref if not number else msgspec.structs.replace(ref, reuse=number)
            event = coming_back(tx, back, name, by, zone)
            tx.post(msgspec.structs.replace(event, beside=0 if number else beside))
        return _told(tx.connection, request, ref)

    return ledger.write(decide)


def _due(rows: list[HoldRow], wanted: int, points: int | None) -> list[Back]:
    """What comes back of each hold of a redemption, the last drawn first; `points` None: all of it."""
    due = []
    for row in reversed(rows):
        there = row.captured - row.returned
        part = min(there, wanted)
        wanted -= part
        if part or (there == 0 and points is None):
            due.append(Back(row, part, whole=part == there))
    return due


def _again(connection: sqlite3.Connection, earlier: PaymentRow, request: str) -> Redeemed:
    event = reads.entry(connection, earlier.seq).event
    same = earlier.state == PaymentState.UNDOING and isinstance(event, events.RedemptionRefund)
    names = {row.hold for row in value.holds_of_request(connection, request)}
    if not same or not isinstance(event, events.RedemptionRefund) or event.hold not in names:
        raise Refused("this request was another one", fix="give each return a request id of its own")
    return msgspec.structs.replace(_told(connection, request, earlier.key), seen_before=True)


def _told(connection: sqlite3.Connection, request: str, ref: PaymentKey) -> Redeemed:
    """The redemption after the return with this identity, which is numbered as the return's row."""
    points = balance = 0
    while (own := reads.payment(connection, ref)) is not None:
        entry = reads.entry(connection, own.seq)
        if isinstance(entry.event, events.RedemptionRefund):
            points, balance = points + entry.event.points, balance + entry.event.balance + entry.event.beside
            last = entry.row
        ref = msgspec.structs.replace(ref, reuse=ref.reuse + 1)
    device = reads.device(connection)
    assert device is not None
    return msgspec.structs.replace(
        redeemed_at(connection, request),
        number=device.short_number(last.epoch, last.seq),
        check=check_code(last.hash),
        balance=balance,
        came_back=points,
    )


def _is_money_off(connection: sqlite3.Connection, hold: HoldRow) -> bool:
    event = settling.hold_event(connection, hold)
    reward = reward_of(parsed(connection, event.programme), event.reward)
    return reward is not None and reward.kind == AMOUNT_OFF


def coming_back(tx: Transaction, back: Back, ref: PaymentKey, by: str, zone: str) -> events.RedemptionRefund:
    """The event of what comes back, on the state before it."""
    hold = back.hold
    redemption = reads.entry(tx.connection, hold.ended_seq)
    member = tx.find(MemberRow, (hold.holder,))
    assert isinstance(redemption.event, events.Redemption), "a captured hold ended in a redemption"
    assert member is not None, "a hold has a holder"
    at = settling.attested(tx) or 0
    given, _ = came_back(
        redemption.event.lots,
        hold.captured,
        hold.returned,
        back.points,
        at,
        good_again_until(max(at, tx.at_ms // 1000), zone),
    )
    pays = min(member.debt, back.points)
    return events.RedemptionRefund(
        redemption=(redemption.row.epoch, redemption.row.seq),
        holder=hold.holder,
        points=back.points,
        lots=given,
        by=by,
        hold=hold.hold,
        stamps=settling.hold_event(tx.connection, hold).stamps if back.whole else (),
        debt=pays,
        drawn=_drawn(tx, member, given, back.points, pays, at),
        at=at,
        ref=ref,
        balance=member.balance + back.points - pays,
    )


def _drawn(
    tx: Transaction, member: MemberRow, given: tuple[Given, ...], points: int, pays: int, at: int
) -> tuple[Taken, ...]:
    """The lots that a debt is paid from, once the points are back."""
    if not pays:
        return ()
    packed = member.lots
    for seq, part, expires_at, new_expiry in given:
        row = tx.find(LotRow, (member.id, seq, expires_at))
        assert row is not None, "what was drawn from a lot has its row"
        lot = Lot(new_expiry or expires_at, seq, part, row.available_at, row.programme)
        packed = lots.added(packed, lot, at)
    return debit(lots.unpack(packed), member.balance + points, pays).taken
