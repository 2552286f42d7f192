"""What rules beyond a rate look at when a sale is posted, what its award then says, and what follows it.

A plain programme passes through here untouched: nothing is read for it that a sale did not read before.
"""

from collections.abc import Iterator
from fractions import Fraction

import msgspec

from vafa.app import granting
from vafa.books import lots
from vafa.books.effect import paying
from vafa.books.rows import BudgetRow, MemberRow, MemberState
from vafa.club import tiers
from vafa.club.bonuses import Customer, Gain, sent_by
from vafa.club.earn import Circumstances, Earned, Left, left_of, lot_dates
from vafa.club.explain import stored_parts
from vafa.club.lots import FAR_S, is_soon
from vafa.club.programme import Programme
from vafa.ledger import people
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.lots import Lot, next_lapse
from vafa.model.money import in_rial
from vafa.model.payment import PaymentKey, Scheme
from vafa.model.standing import NOT_LOOKED_AT, unpack, unpack_window

RULE = "rule"  # `by` of what the programme itself gave
_NOTHING = Left(0, Fraction(0))


def circumstances(
    tx: Transaction,
    programme: Programme,
    holder: bytes,
    row: MemberRow | None,
    at: int,
    less: tuple[tuple[int, int], ...] = (),
    offers: tuple[Gain, ...] = (),
) -> Circumstances:
    """What the programme's rules look at for a sale of this holder at a UTC second."""
    if programme.is_plain and not offers:
        return Circumstances(less=less)
    customer = Customer(bool(holder))
    if row is not None:
        customer = Customer(bool(holder), row.visits, row.tier, unpack(row.standing))
    used = tx.find(BudgetRow, (programme.id,)) if programme.budget else None
    budget = Fraction(used.numerator, used.denominator) if used else Fraction(0)
    return Circumstances(at, less, customer, budget, offers)


def with_rules(
    award: events.Award, programme: Programme, earned: Earned, around: Circumstances, row: MemberRow | None
) -> events.Award:
    """The award with what its rules looked at and gave."""
    ruled = msgspec.structs.replace(
        award,
        **stored_parts(earned),
        at=around.at,
        visits=around.customer.visits,
        tier=around.customer.tier,
        standing=_looked_at(programme, row),
        budget=around.budget.as_integer_ratio() if programme.budget else None,
    )
    lapsing = _lapsing(ruled, row, programme.zone)
    return msgspec.structs.replace(ruled, lapsing=lapsing) if lapsing[0] else ruled


def _lapsing(award: events.Award, row: MemberRow | None, zone: str) -> tuple[int, int]:
    """What of the holder's balance lapses next once the award is in it; only where paper would say it, for
    each byte of an award is written to flash."""
    far = award.at + FAR_S
    if (row is None or (row.next_expiry or far) >= far) and (award.expires_at or far) >= far:
        return 0, 0
    theirs, points = list[Lot](), award.points
    if row is not None:
        theirs, points = lots.unpack(row.lots), award.points - paying(row, award.points)
    if award.expires_at and award.holder and points > 0:  # which lot it joins makes no difference here
        theirs.append(Lot(award.expires_at, 0, points, award.available_at, award.programme))
    points, lapses_at = next_lapse(theirs, award.at)
    return (points, lapses_at) if points and is_soon(lapses_at, award.at, zone) else (0, 0)


def _looked_at(programme: Programme, row: MemberRow | None) -> bytes:
    if row is None:
        return b""
    return row.standing if programme.looks_at_standing or not row.standing else NOT_LOOKED_AT


def following(tx: Transaction, programme: Programme, award: events.Award) -> Iterator[events.Event]:
    """What a posted award brings with it: a tier reached at once, points for a referrer, offers."""
    if not award.holder:
        return
    row = tx.find(MemberRow, (award.holder,))
    assert row is not None, "an award has made its holder's row"
    step = None
    if programme.tiers:
        step = tiers.upgrade(programme, row.tier, unpack_window(row.metric), award.at)
        if step is not None:
            yield tier_changed(award.holder, step, award.at, programme)
    for bonus, points in owed_to_referrer(programme, award):
        referrer = _acting(tx, unpack(award.standing).referrer)
        if referrer is not None and referrer.id != award.holder:  # merged since: nobody sends themselves
            yield _thanked(referrer, bonus, points, programme, award)
    if programme.offers:
        yield from granting.after_sale(tx, programme, award, went_up=step is not None)


def _acting(tx: Transaction, member: bytes) -> MemberRow | None:
    """The row that gets what a member is given: of somebody merged that of the one they answer as."""
    found = people.acting(tx.connection, member)
    row = tx.find(MemberRow, (found.id,)) if found is not None else None
    return row if row is not None and row.state == MemberState.ACTIVE else None


def owed_to_referrer(programme: Programme, award: events.Award) -> list[tuple[str, int]]:
    """(bonus, points) that whoever sent an award's customer gets for it."""
    if not programme.bonuses:
        return []
    customer = Customer(bool(award.holder), award.visits, award.tier, unpack(award.standing))
    comparable = in_rial(award.eligible, award.paid.currency)
    return sent_by(programme, award.at, comparable, customer)


def tier_changed(member: bytes, step: tiers.Step, at: int, programme: Programme) -> events.TierChanged:
    """The event of a step between tiers."""
    return events.TierChanged(member, step.before, step.after, step.metric, step.why, at, programme.id)


def _thanked(
    row: MemberRow, bonus: str, points: int, programme: Programme, award: events.Award
) -> events.Adjust:
    """Points for whoever sent a customer, once for that customer's first purchase."""
    available_at, expires_at = lot_dates(programme, award.at)
    key = award.paid.key
    ref = PaymentKey(Scheme.REQUEST, key.tid, f"{bonus} {key.scheme:d}/{key.ref}", key.reuse)
    balance = row.balance + points - paying(row, points)
    why = f"bonus {bonus}"
    return events.Adjust(row.id, points, 0, expires_at or None, RULE, why, ref, balance, available_at)


def left(award: events.Event, amount_left: int) -> Left:
    """What a payment contributes when so much of it (in its own rial) is left, and what of it is eligible, in
    current rial; nothing where it earned nothing."""
    if not isinstance(award, events.Award):
        return _NOTHING
    contributed = Fraction(*award.contribution)
    own = left_of(award.paid.amount, award.eligible, contributed, award.fixed, award.clipped, amount_left)
    return Left(in_rial(own.eligible, award.paid.currency), own.contribution)


def with_undone_rules(
    undoing: events.Reversal | events.Refund, award: events.Event, left_after: int
) -> events.Reversal | events.Refund:
    """The undoing with what goes of the tier's metric, and of a whole sale its stamps and rights; the offers
    it had used are open again once nothing is left of it (`left_after`, minor units)."""
    if not isinstance(award, events.Award) or not award.at or not undoing.holder:
        return undoing
    if award.offers and not left_after:
        undoing = msgspec.structs.replace(undoing, offers=award.offers)
    if isinstance(undoing, events.Refund):
        taken = tiers.taken_out(award.counted, undoing.eligible, undoing.points, 0)
        return msgspec.structs.replace(undoing, counted=taken)
    taken = tiers.taken_out(award.counted, undoing.eligible, undoing.points, 1)
    return msgspec.structs.replace(undoing, counted=taken, stamps=award.stamps, granted=award.granted)
