"""What a payment earns: exact contributions and one floor.

A sale contributes the exact rational c = min(eligible × multiplier × points / per, its caps). A member's
points under one programme version are floor(Σ c), so posting keeps the fraction that is left (the carry, in
[0, 1)) and each posting is the difference of that floor. Rounding each sale for itself would make ten small
purchases worth less than one large one, and a refund would take more than the sale gave.

Source: LOYALTY.md §1, §2 (dates of lots), §3 (`left_of`) and §7 (a claim equals having enrolled first).
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from fractions import Fraction

from msgspec import Struct

from vafa.club import tiers
from vafa.club.bonuses import Customer, Gain, Stacked, applying, stacked
from vafa.club.programme import Programme
from vafa.club.windows import day_start, lapses_at, local
from vafa.model.events import Cap, Counted, Less, Nothing
from vafa.model.money import in_rial

NO_CARRY = Fraction(0)
_ONE, _ZERO = Fraction(1), Fraction(0)
HOUR_S = 3_600
Clipped = tuple[tuple[Cap, Fraction], ...]


class Posting(Struct, frozen=True):
    """What a change of the sum of contributions does: `points` to post (may be negative), the new carry."""

    contribution: Fraction
    points: int
    carry_after: Fraction


class Circumstances(Struct, frozen=True):
    """What rules beyond a rate look at.

    at      the instant of the sale, UTC seconds
    less    (Less, minor units) of the amount that may not earn
    budget  the points the programme has contributed so far
    offers  the gains of offers that the customer holds
    """

    at: int = 0
    less: tuple[tuple[int, int], ...] = ()
    customer: Customer = Customer()
    budget: Fraction = _ZERO
    offers: tuple[Gain, ...] = ()


class Earned(Struct, frozen=True):
    """What a sale earns. eligible in minor units; points == floor(carry before + contribution).

    The fields from `fixed` on are those of events.Award; `gains` and `rate` are how it came about.
    """

    eligible: int
    contribution: Fraction
    points: int
    carry_after: Fraction
    fixed: int = 0
    clipped: Clipped = ()
    available_at: int = 0
    expires_at: int = 0
    day: int = 0
    stamps: tuple[tuple[str, int], ...] = ()
    granted: tuple[tuple[str, int], ...] = ()
    counted: Counted | None = None
    offers: tuple[bytes, ...] = ()
    rate: Fraction = _ZERO
    multiplier: Fraction = _ONE
    gains: tuple[Gain, ...] = ()


PLAIN = Circumstances()


def earn(
    programme: Programme,
    amount: int,
    currency: int,
    is_sale: bool,  # noqa: FBT001  (a fact of the payment, no switch)
    carry: Fraction,
    around: Circumstances = PLAIN,
) -> Earned | Nothing:
    """What a completed payment of `amount` minor units earns on top of `carry`, or why it earns nothing."""
    assert amount >= 0, "a codec hands over no negative amounts"
    if not is_sale:
        return Nothing.NOT_A_SALE
    rate = programme.rate_in(currency)
    if rate is None:
        return Nothing.NO_PROGRAMME  # rates are per currency epoch; this document has none for that one
    if amount < programme.minimum_in(currency):
        return Nothing.BELOW_MINIMUM
    eligible = max(0, amount - sum(not_eligible(programme, around.less))) if around.less else amount
    if around.offers or not programme.is_plain:
        return _by_rules(programme, eligible, currency, rate, carry, around)
    posted = post(carry, Fraction(eligible * rate.numerator, rate.denominator))
    return Earned(eligible, posted.contribution, posted.points, posted.carry_after)


def not_eligible(programme: Programme, less: Iterable[tuple[int, int]]) -> list[int]:
    """The amounts among these parts of a payment that earn nothing under the programme."""
    counts = {
        Less.TIP: programme.tip_counts,
        Less.DELIVERY: programme.delivery_counts,
        Less.VAT: programme.vat_counts,
    }
    return [amount for part, amount in less if not counts.get(Less(part), False)]


def _by_rules(
    programme: Programme, eligible: int, currency: int, rate: Fraction, carry: Fraction, around: Circumstances
) -> Earned:
    customer, at = around.customer, around.at
    comparable = in_rial(eligible, currency)
    rate = _tier_rate(programme, customer, currency, rate)
    base = Fraction(eligible * rate.numerator, rate.denominator)
    gains = applying(programme, at, comparable, customer)
    if eligible and around.offers:
        gains += around.offers
    together = stacked(programme.stacking, base, gains)
    points = base * together.multiplier + together.fixed if together.used else base
    contribution, clipped = _capped(programme, points, around)
    posted = post(carry, contribution)
    somebody = customer.is_somebody
    available_at, expires_at = lot_dates(programme, at)
    return Earned(
        eligible=eligible,
        contribution=contribution,
        points=posted.points,
        carry_after=posted.carry_after,
        fixed=together.fixed,
        clipped=clipped,
        available_at=available_at,
        expires_at=expires_at,
        day=local(at, programme.zone).toordinal() if programme.cap_day and somebody else 0,
        stamps=_stamps(programme, at, comparable, customer) if somebody else (),
        granted=_rights(together),
        counted=tiers.counted(programme, at, comparable, posted.points)
        if programme.tiers and somebody
        else None,
        offers=tuple(gain.offer for gain in together.used if gain.offer),
        rate=rate,
        multiplier=together.multiplier,
        gains=together.used,
    )


def _rights(together: Stacked) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(gain.right for gain in together.used if gain.right is not None))


def _tier_rate(programme: Programme, customer: Customer, currency: int, rate: Fraction) -> Fraction:
    """Points per minor unit in the customer's tier; a tier's own rate is written in current rial."""
    tier = tiers.tier_of(programme, customer.tier) if programme.tiers and customer.is_somebody else None
    if tier is None:
        return rate
    if tier.per:
        rate = Fraction(tier.points, tier.per) * in_rial(1, currency)
    return rate * (1 + Fraction(tier.extra, 100)) if tier.extra else rate


def _capped(programme: Programme, points: Fraction, around: Circumstances) -> tuple[Fraction, Clipped]:
    """What the caps leave, in their order, and what each of them took."""
    rooms: list[tuple[Cap, Fraction]] = []
    # Whole numbers are compared: every sale comes by here, and hardly any is capped.
    if points.numerator > programme.cap_payment * points.denominator > 0:
        rooms.append((Cap.PAYMENT, Fraction(programme.cap_payment)))
    if programme.cap_day and around.customer.is_somebody:
        rooms.append((Cap.DAY, programme.cap_day - _points_today(programme, around)))
    if programme.budget:
        rooms.append((Cap.BUDGET, programme.budget - around.budget))
    clipped = []
    for cap, room in rooms:
        left = max(room, _ZERO)
        if left < points:
            clipped.append((cap, points - left))
            points = left
    return points, tuple(clipped)


def _points_today(programme: Programme, around: Circumstances) -> Fraction:
    standing = around.customer.standing
    today = local(around.at, programme.zone).toordinal()
    return Fraction(*standing.day_points) if standing.day == today else _ZERO


def lot_dates(programme: Programme, at: int) -> tuple[int, int]:
    """(available_at, expires_at) of points earned at a UTC second; 0: at once, never."""
    available_at = expires_at = 0
    if programme.pending_hours:
        available_at = at + programme.pending_hours * HOUR_S
    elif programme.pending_days:
        day = local(at, programme.zone).date() + timedelta(days=programme.pending_days)
        available_at = day_start(day, programme.zone)
    if programme.expiry_months:
        expires_at = lapses_at(
            at, programme.expiry_months, programme.expiry_round, programme.calendar, programme.zone
        )
    return available_at, expires_at


def _stamps(programme: Programme, at: int, amount: int, customer: Customer) -> tuple[tuple[str, int], ...]:
    """A stamp on each card whose last one is far enough away: a visit counts once per gap."""
    given = []
    for card in programme.stamps:
        last = customer.standing.stamp(card.id)
        far = not last.at or abs(at - last.at) >= card.gap_hours * HOUR_S
        if far and amount >= card.at_least:
            given.append((card.id, 1))
    return tuple(given)


def contribution(programme: Programme, eligible: int) -> Fraction:
    """The exact points, a fraction, that `eligible` minor units are worth at the base rate."""
    return Fraction(eligible * programme.points, programme.per)


class Left(Struct, frozen=True):
    """What is left of a sale after refunds: its eligible part (minor units) and its contribution."""

    eligible: int
    contribution: Fraction


def left_of(
    amount: int,
    eligible: int,
    contributed: Fraction,
    fixed: int,
    clipped: Sequence[tuple[int, int, int]],
    left: int,
) -> Left:
    """What a sale of `amount` contributes when `left` of it is left, under its own multiplier and caps.

    A function of what is left alone, so the order and splitting of refunds never matter; a cap still holds.
    Fixed points go in proportion, whole.
    """
    if left == amount:
        return Left(eligible, contributed)
    if not eligible or not amount:
        return Left(0, _ZERO)
    eligible_left = eligible * left // amount
    uncapped = contributed + sum((Fraction(num, den) for _, num, den in clipped), _ZERO)
    by_rate = (uncapped - fixed) / eligible * eligible_left
    return Left(eligible_left, min(by_rate + fixed * eligible_left // eligible, contributed))


def post(carry: Fraction, change: Fraction) -> Posting:
    """The difference of the floor when the sum of contributions moves by `change` (a refund: below zero)."""
    carried, of_carry = carry.numerator, carry.denominator
    assert 0 <= carried < of_carry, "a carry is what a floor left over"
    parts = of_carry * change.denominator  # of a point: whole numbers take a third of what Fraction does
    points, rest = divmod(carried * change.denominator + change.numerator * of_carry, parts)
    return Posting(change, points, Fraction(rest, parts))


def regroup(waiting: Iterable[Fraction], carry: Fraction) -> Posting:
    """What waiting contributions bring a member with this carry: as if they had enrolled before all of them.

    All under one programme version. The points that leave the waiting holders are the caller's to add up:
    several holders floored each for itself, so the result may be more than leaves them.
    """
    return post(carry, sum(waiting, Fraction(0)))
