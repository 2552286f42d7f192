"""A purchase that was somebody else's goes to the right member: points, fraction, lots, stamps, rights.

Nothing is earned anew: what the purchase brought under the rules of its day goes over. What the one had spent
of it already becomes their debt; the other has it in full. Who did it and why is journalled.
"""

import sqlite3

import msgspec

from vafa.app import earning
from vafa.app.members import the_sale
from vafa.books import lots
from vafa.books.effect import floor_sum
from vafa.books.rows import Carry, MemberRow, MemberState, PaymentRow, PaymentState
from vafa.club import tiers
from vafa.ledger import people, reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.lots import Dates, claw_back
from vafa.model.payment import PaymentKey


class Moved(msgspec.Struct, frozen=True):
    """What moving did, or would do. seen_before: the purchase is this member's already."""

    key: PaymentKey
    from_member: bytes
    to_member: bytes
    points_out: int
    points_in: int
    debt: int
    seen_before: bool = False


class Moving:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def move(self, sale: str, member: bytes, why: str, by: str) -> Moved:
        """Make a purchase (by any of its numbers) this member's. Refused where nothing of it can move."""

        def decide(tx: Transaction) -> Moved:
            event = _planned(tx.connection, sale, member, why, by)
            if event.from_holder != event.to_holder:
                tx.post(event)
            return _described(event)

        return self._ledger.write(decide)

    def foreseen(self, sale: str, member: bytes) -> Moved:
        """What `move` would do now. Writes nothing."""
        return self._ledger.read(lambda connection: _described(_planned(connection, sale, member, "", "")))


def _planned(
    connection: sqlite3.Connection, sale: str, member: bytes, why: str, by: str
) -> events.AwardMoved:
    return planned(connection, reads.paid_of(the_sale(connection, sale).event).key, member, why, by)


def planned(
    connection: sqlite3.Connection, key: PaymentKey, member: bytes, why: str, by: str
) -> events.AwardMoved:
    """What makes this payment a member's, on the books as they are. NotFound, Refused."""
    row = reads.payment(connection, key)
    to = people.acting(connection, member)
    if to is None or to.state != MemberState.ACTIVE:
        raise NotFound("this phone belongs to no member here", fix="vafa member add PHONE")
    award, row, holder = _movable(connection, row)
    if holder.id == to.id:
        return events.AwardMoved(row.key, to.id, to.id, award.programme, (0, 1), 0, 0, 0, by, why)
    left = earning.left(award, row.amount - row.refunded)
    c = left.contribution.as_integer_ratio()
    carry_out, carry_in = (Carry(each.carry).of(award.programme) for each in (holder, to))
    points_out = -floor_sum(carry_out, (-c[0], c[1]))
    own = Dates(award.available_at, award.expires_at, award.programme)
    there = min(points_out, max(0, holder.balance - holder.held))
    draw = claw_back(lots.unpack(holder.lots), holder.balance, there, own)
    return events.AwardMoved(
        row.key, holder.id, to.id, award.programme, c, points_out, floor_sum(carry_in, c),
        points_out - there, by, why, left.eligible, carry_out, carry_in, draw.taken, own.available_at,
        own.expires_at, tiers.taken_out(award.counted, left.eligible, points_out, 1), award.stamps,
        award.granted, award.at,
    )  # fmt: skip


def _movable(
    connection: sqlite3.Connection, row: PaymentRow | None
) -> tuple[events.Award, PaymentRow, MemberRow]:
    """The award, its payment and who has it. Refused for what nobody has, and for what was undone."""
    award = None if row is None else reads.award_in_force(connection, row)
    if row is None or not isinstance(award, events.Award):
        raise Refused("this sale earned nothing: there is nothing to move")
    if row.state == PaymentState.WAITING:
        raise Refused("its points wait for the claim code on the slip", fix="vafa claim CODE PHONE")
    if row.state != PaymentState.EARNED or row.amount == row.refunded:
        raise Refused("nothing is left of this sale: it was undone", fix=f"vafa why {row.ref}")
    holder = reads.holder(connection, row.holder)
    assert holder is not None, "who has a payment's points has a row"
    return award, row, holder


def _described(event: events.AwardMoved) -> Moved:
    return Moved(
        event.key, event.from_holder, event.to_holder, event.points_out, event.points_in, event.debt,
        event.from_holder == event.to_holder,
    )  # fmt: skip
