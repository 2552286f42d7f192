"""Offers that the programme's rules give: with the sale that earns one, with what goes back, by the calendar.

What a sale or a return gives is posted in its own transaction, so there is no sale that was made and whose
offer was lost. What was given for a sale of which nothing is left goes with it, unless it was used: a coupon
is not kept for money that went back.
"""

import sqlite3
from collections.abc import Iterable, Iterator

from vafa.app import open_offers
from vafa.books.effect import payment_row
from vafa.books.rows import MemberRow, MemberState, OfferRow, PaymentRow
from vafa.club import grants
from vafa.club.grants import ONE_OPEN, Due
from vafa.club.offers import OPEN_MAX, brings, document, identity
from vafa.club.programme import Programme
from vafa.club.segments import Regular, is_in, segment_of
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.ledger.offers import joined_at
from vafa.ledger.offers import open_offers as open_rows
from vafa.model import events
from vafa.model.events import OfferEnd
from vafa.model.identity import MEMBER_ID_BYTES
from vafa.model.money import in_rial
from vafa.model.standing import unpack

RULE = "rule"  # `by` of what the programme itself gave
SALE_WENT_BACK = "its sale went back"


def after_sale(
    tx: Transaction, programme: Programme, award: events.Award, *, went_up: bool
) -> Iterator[events.Offer]:
    """What a posted award gives its member."""
    if len(award.holder) != MEMBER_ID_BYTES:
        return
    row = tx.find(MemberRow, (award.holder,))
    assert row is not None, "an award has made its holder's row"
    due = grants.after_sale(programme, sale_of(award, row, went_up=went_up))
    yield from _given(tx, programme, row.id, due, award.at, _cause(tx, award))


def sale_of(award: events.Award, row: MemberRow, *, went_up: bool) -> grants.Sale:
    """A purchase as the rules see it; `row` its member's after it."""
    eligible = in_rial(award.eligible, award.paid.currency)
    return grants.Sale(award.at, row.visits, row.spent, eligible, went_up)


def after_return(
    tx: Transaction, programme: Programme, undoing: events.Reversal | events.Refund
) -> Iterator[events.Event]:
    """What follows a void or refund that was posted: what its sale had given goes where nothing is left of
    it, and a merchant who is sorry gives something."""
    sale, own = payment_row(tx, undoing.key), payment_row(tx, undoing.ref)
    if sale is None or own is None or len(undoing.holder) != MEMBER_ID_BYTES:
        return
    if sale.refunded == sale.amount:
        yield from _unearned(tx, sale)
    now = tx.at_ms // 1000
    due = grants.after_return(programme, sale.seq, now)
    yield from _given(tx, programme, undoing.holder, due, now, own.seq)


def by_time(tx: Transaction, programme: Programme, row: MemberRow, at: int) -> Iterator[events.Offer]:
    """What a member has coming by the calendar at an attested UTC second."""
    yield from _given(tx, programme, row.id, grants.by_time(programme, unpack(row.standing), at), at, 0)


def is_due_by_time(connection: sqlite3.Connection, programme: Programme, row: MemberRow, at: int) -> bool:
    """True when a member has something coming that was not given yet."""
    return any(
        not _was_given(connection, identity(row.id, due.template.id, due.occasion))
        for due in grants.by_time(programme, unpack(row.standing), at)
    )


def regular(connection: sqlite3.Connection, row: MemberRow) -> Regular:
    """A member as segments see them."""
    return Regular(
        row.tier, row.visits, row.spent, row.balance, joined_at(connection, row), unpack(row.standing).last_at
    )


def _given(
    tx: Transaction, programme: Programme, member: bytes, due: Iterable[Due], at: int, cause: int
) -> Iterator[events.Offer]:
    """The offers that are due and can be given, once each; also where it is heard of when they are over: what
    was sold in between may have used one."""
    for each in due:
        if each.from_at >= each.until:  # on a clock that no calendar reaches
            continue
        row = tx.find(MemberRow, (member,))
        if row is None or row.state != MemberState.ACTIVE or row.offers >= OPEN_MAX:
            return
        name = identity(member, each.template.id, each.occasion)
        if tx.find(OfferRow, (name,)) is None and _may_have(tx, programme, row, each):
            what = document(brings(each.template))
            yield events.Offer(
                name, member, what, each.from_at, each.until, RULE, each.template.grant, programme.id,
                each.occasion, cause, at,
            )  # fmt: skip


def _may_have(tx: Transaction, programme: Programme, row: MemberRow, due: Due) -> bool:
    template = due.template
    if template.grant in ONE_OPEN and row.offers and _has_open(tx.connection, row, template.id):
        return False
    if not template.segment:
        return True
    segment = segment_of(programme, template.segment)
    return segment is not None and is_in(programme, segment, regular(tx.connection, row), tx.at_ms // 1000)


def _has_open(connection: sqlite3.Connection, row: MemberRow, name: str) -> bool:
    return any(each.brings.name == name for each in open_offers.of_member(connection, row))


def _was_given(connection: sqlite3.Connection, name: bytes) -> bool:
    return connection.execute("SELECT 1 FROM offer WHERE offer = ?", (name,)).fetchone() is not None


def _unearned(tx: Transaction, sale: PaymentRow) -> Iterator[events.OfferEnded]:
    """The offers that were given for a sale, and that nobody has used or set aside; also where the sale was
    moved since: whoever it was awarded to, or claimed by, was given them."""
    award = reads.award_in_force(tx.connection, sale)
    holders = {sale.holder, award.holder if isinstance(award, events.Award) else sale.holder}
    for row in (row for holder in sorted(holders) for row in open_rows(tx.connection, holder)):
        if row.seq > sale.seq and open_offers.given(tx.connection, row).cause == sale.seq:
            yield events.OfferEnded(
                row.offer, row.holder, OfferEnd.UNEARNED, SALE_WENT_BACK, RULE, tx.at_ms // 1000
            )


def _cause(tx: Transaction, award: events.Award) -> int:
    """The journal row of the award's payment; a claimed one is still known by its first."""
    row = payment_row(tx, award.paid.key)
    assert row is not None, "an award has a payment"
    return row.seq
