"""A claim under rules beyond a rate: each waiting payment is earned again, as if the member had joined first.

First purchase, birthday, tier, stamps, caps and dates are the member's own then, one payment after another in
the order they were made. What a waiting card had been given by the rules, and what it owed, ends with it.
"""

from collections.abc import Iterator
from fractions import Fraction

import msgspec

from vafa.app import earning
from vafa.app.programmes import parsed
from vafa.books.effect import floor_sum
from vafa.books.rows import Carry, MemberRow, PaymentRow
from vafa.club import tiers
from vafa.club.earn import Earned, earn
from vafa.club.programme import Programme
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.money import in_rial


def by_rules(tx: Transaction, rows: list[PaymentRow]) -> bool:
    """True when a rule beyond the rate had a say in one of these waiting payments."""
    return any(_award(tx, row).at for row in rows)


def claim(tx: Transaction, member: bytes, code: str, rows: list[PaymentRow], by: str) -> int:
    """Post the claims of these waiting payments, oldest first, and what follows each. Points that arrived."""
    programmes: dict[bytes, Programme] = {}
    points = 0
    for row in rows:
        first = _award(tx, row)
        if first.programme not in programmes:
            programmes[first.programme] = parsed(tx.connection, first.programme)
        programme = programmes[first.programme]
        event = _claim(tx, member, code, row, first, programme, by)
        tx.post(event)
        assert event.award is not None
        points += event.parts[0].points_in
        nothing_left = row.refunded == row.amount
        for following in _following(tx, programme, event.award):
            if not (nothing_left and isinstance(following, events.Offer)):  # it would end with the return
                tx.post(following)
    return points


def as_it_waits(tx: Transaction, account: bytes, code: str, row: PaymentRow, by: str) -> None:
    """Post the claim of a payment that waits on itself for a slip's account: what it earned for nobody."""
    first = _award(tx, row)
    left = earning.left(first, row.amount - row.refunded)
    c = left.contribution.as_integer_ratio()
    points = left.contribution.__floor__()
    part = events.Claimed(first.programme, (row.key,), left.eligible, c, (0, 1), points, points)
    award = msgspec.structs.replace(first, claim="", balance=0, lapsing=(0, 0))
    tx.post(events.Claim(account, code, b"", (part,), by, award))


def _claim(
    tx: Transaction,
    member: bytes,
    code: str,
    row: PaymentRow,
    first: events.Award,
    programme: Programme,
    by: str,
) -> events.Claim:
    holder = tx.find(MemberRow, (member,))
    assert holder is not None, "a claim is a member's"
    carry = Carry(holder.carry).of(programme.id)
    around = earning.circumstances(tx, programme, member, holder, first.at, first.less)
    around = msgspec.structs.replace(  # its own points stand in the budget already
        around, budget=max(Fraction(0), around.budget - Fraction(*first.contribution))
    )
    earned = earn(programme, first.paid.amount, first.paid.currency, True, Fraction(*carry), around)  # noqa: FBT003
    assert isinstance(earned, Earned), "what waits has earned"
    award = msgspec.structs.replace(
        first, holder=member, claim="", eligible=earned.eligible,
        contribution=earned.contribution.as_integer_ratio(), carry=carry, points=earned.points, balance=0,
    )  # fmt: skip
    if not programme.is_plain:
        award = earning.with_rules(award, programme, earned, around, holder)
        award = msgspec.structs.replace(award, lapsing=(0, 0))  # no paper says it
    left = earning.left(award, row.amount - row.refunded)
    c = left.contribution.as_integer_ratio()
    came = floor_sum(carry, c)
    part = events.Claimed(programme.id, (row.key,), left.eligible, c, carry, _leaving(tx, row, first), came)
    eligible = in_rial(earned.eligible, first.paid.currency) - left.eligible
    gone = tiers.taken_out(award.counted, eligible, earned.points - came, 0)
    return events.Claim(member, code, row.holder, (part,), by, award, gone)


def _leaving(tx: Transaction, row: PaymentRow, first: events.Award) -> int:
    """The points that leave: of a card all that waits there less what it owes, with its first payment."""
    if row.holder:
        waiting = tx.find(MemberRow, (row.holder,))
        return waiting.balance - waiting.debt if waiting else 0
    return earning.left(first, row.amount - row.refunded).contribution.__floor__()


def _following(tx: Transaction, programme: Programme, award: events.Award) -> Iterator[events.Event]:
    if award.at:
        yield from earning.following(tx, programme, award)


def _award(tx: Transaction, row: PaymentRow) -> events.Award:
    award = reads.entry(tx.connection, row.seq).event
    assert isinstance(award, events.Award), "what waits was awarded"
    return award
