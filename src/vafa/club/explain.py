"""How a stored number came about, derived anew from the stored inputs.

Steps are never stored, hashed or sent (LOYALTY.md §6): they are computed from the programme and what the
award says it looked at, and must reach everything it says it gave. Where they do not, the answer is a
`Mismatch` that names the first value that differs; `verify` reports it, nobody rounds it away.

A step is a code and its values. The words, Persian and English, stand in receipt/wording.py.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from fractions import Fraction

from msgspec import Struct

from vafa.club import tiers
from vafa.club.bonuses import Customer, Gain
from vafa.club.earn import Circumstances, Earned, earn, not_eligible
from vafa.club.programme import Programme
from vafa.club.windows import local, split
from vafa.model import events
from vafa.model.events import Cap, Less, Nothing
from vafa.model.money import Currency
from vafa.model.standing import NOT_LOOKED_AT, unpack


class Code(StrEnum):
    """What a step says; `values` below it, in order. Never rename: the words are looked up by it."""

    PAID = "paid"  # amount
    LESS_CASHBACK = "less_cashback"  # amount
    LESS_TIP = "less_tip"  # amount
    LESS_DELIVERY = "less_delivery"  # amount
    LESS_VAT = "less_vat"  # amount
    LESS_POINTS = "less_points"  # amount
    ELIGIBLE = "eligible"  # eligible amount
    TIER = "tier"  # the tier's id
    RATE = "rate"  # points, per
    NEW_RIAL = "new_rial"  # the amounts of this sale are in it
    CONTRIBUTION = "contribution"  # eligible, points, per, contribution
    BONUS = "bonus"  # the bonus's id, percent
    BONUS_POINTS = "bonus_points"  # the bonus's id, points
    OFFER = "offer"  # the offer's name, percent
    OFFER_POINTS = "offer_points"  # the offer's name, points
    TOGETHER = "together"  # base, multiplier, fixed points, result
    CAP_PAYMENT = "cap_payment"  # points it took, points it left
    CAP_DAY = "cap_day"  # the same
    CAP_BUDGET = "cap_budget"  # the same
    SUM = "sum"  # carry before, contribution, their sum
    POINTS = "points"  # points
    CARRY_AFTER = "carry_after"  # carry after
    STAMP = "stamp"  # the card's id, how many
    AVAILABLE = "available"  # the first day they can be used
    LAST_DAY = "last_day"  # the last day they can be used
    NOT_A_SALE = "not_a_sale"
    BELOW_MINIMUM = "below_minimum"  # minimum
    BASELINE = "baseline"
    NO_PROGRAMME = "no_programme"


Value = int | Fraction | str
_LESS = {
    Less.CASHBACK: Code.LESS_CASHBACK,
    Less.TIP: Code.LESS_TIP,
    Less.DELIVERY: Code.LESS_DELIVERY,
    Less.VAT: Code.LESS_VAT,
    Less.POINTS: Code.LESS_POINTS,
}
_CAPS = {Cap.PAYMENT: Code.CAP_PAYMENT, Cap.DAY: Code.CAP_DAY, Cap.BUDGET: Code.CAP_BUDGET}


class Step(Struct, frozen=True):
    code: Code
    values: tuple[Value, ...] = ()


class Mismatch(Struct, frozen=True):
    """The stored value is not what the rules give for the stored inputs."""

    what: str
    stored: object
    computed: object

    def __str__(self) -> str:
        return f"{self.what}: stored {self.stored}, the rules give {self.computed}"


def explain(
    programme: Programme, award: events.Award, offers: Sequence[Gain] = ()
) -> tuple[Step, ...] | Mismatch:
    """The arithmetic of an award, from what was paid to its points. `offers`: the gains of those it spent."""
    result = derived(programme, award, offers)
    if isinstance(result, Mismatch):
        return result
    return tuple(_steps(programme, result, award, Fraction(*award.carry)))


def derived(programme: Programme, award: events.Award, offers: Sequence[Gain] = ()) -> Earned | Mismatch:
    """What the rules give for an award's stored inputs, if it is what the award says."""
    above, below = award.carry
    if not 0 <= above < below:
        carry = Fraction(above, below)
        return Mismatch("carry", carry, carry - carry.__floor__())
    result = again(programme, award, offers)
    if isinstance(result, Nothing):
        return Mismatch("points", award.points, 0)
    return _first_difference(programme, result, award) or result


def again(programme: Programme, award: events.Award, offers: Sequence[Gain] = ()) -> Earned | Nothing:
    """What the rules give for an award's stored inputs."""
    around = Circumstances(
        award.at,
        award.less,
        Customer(bool(award.holder), award.visits, award.tier, unpack(award.standing)),
        Fraction(*award.budget) if award.budget else Fraction(0),
        tuple(offers),
    )
    paid, is_sale = award.paid, True  # only sales have awards
    return earn(programme, paid.amount, paid.currency, is_sale, Fraction(*award.carry), around)


def stored_parts(earned: Earned) -> dict[str, object]:
    """The fields of events.Award that a sale's result gives, as they are stored."""
    return {
        "eligible": earned.eligible,
        "contribution": earned.contribution.as_integer_ratio(),
        "points": earned.points,
        "fixed": earned.fixed,
        "clipped": tuple((int(cap), *taken.as_integer_ratio()) for cap, taken in earned.clipped),
        "available_at": earned.available_at,
        "expires_at": earned.expires_at,
        "day": earned.day,
        "stamps": earned.stamps,
        "granted": earned.granted,
        "counted": earned.counted,
        "offers": earned.offers,
    }


def explain_nothing(
    programme: Programme | None, paid: int, why: Nothing, currency: int = Currency.RIAL_CURRENT
) -> tuple[Step, ...] | Mismatch:
    """Why a payment earned nothing. A stored "below the minimum" is checked against the minimum."""
    steps = [Step(Code.NEW_RIAL)] if currency == Currency.RIAL_NEW else []
    steps.append(Step(Code.PAID, (paid,)))
    match why:
        case Nothing.NOT_A_SALE:
            steps.append(Step(Code.NOT_A_SALE))
        case Nothing.BASELINE:
            steps.append(Step(Code.BASELINE))
        case Nothing.NO_PROGRAMME:
            steps.append(Step(Code.NO_PROGRAMME))
        case Nothing.BELOW_MINIMUM:
            assert programme is not None, "a minimum comes from a programme"
            minimum, rate = programme.minimum_in(currency), programme.rate_in(currency)
            if rate is None or paid >= minimum:
                return Mismatch("points", 0, (paid * (rate or 0)).__floor__())
            steps.append(Step(Code.BELOW_MINIMUM, (minimum,)))
    return (*steps, Step(Code.POINTS, (0,)))


def _first_difference(programme: Programme, result: Earned, award: events.Award) -> Mismatch | None:
    for name, computed in stored_parts(result).items():
        stored = getattr(award, name)
        if stored != computed:
            if name == "contribution":
                return Mismatch(name, Fraction(*award.contribution), result.contribution)
            return Mismatch(name, stored, computed)
    if programme.looks_at_standing and award.standing == NOT_LOOKED_AT:
        return Mismatch("standing", "not looked at", "the rules look at it")
    by_rate_alone = programme.is_plain and not award.offers
    if bool(award.at) == by_rate_alone:
        return Mismatch("at", award.at, "no instant" if by_rate_alone else "an instant")
    if (award.budget is not None) != bool(programme.budget):
        return Mismatch("budget", award.budget, "none" if award.budget else "one")
    return None


def _steps(programme: Programme, result: Earned, award: events.Award, carry: Fraction) -> Iterator[Step]:
    if award.paid.currency == Currency.RIAL_NEW:
        yield Step(Code.NEW_RIAL)
    yield Step(Code.PAID, (award.paid.amount,))
    for part, amount in award.less:
        if not_eligible(programme, ((part, amount),)):
            yield Step(_LESS[Less(part)], (amount,))
    if result.eligible != award.paid.amount:
        yield Step(Code.ELIGIBLE, (result.eligible,))
    points, per = programme.points, programme.per
    if award.paid.currency == Currency.RIAL_NEW:
        points, per = programme.new_points, programme.new_per
    if result.rate and result.rate != Fraction(points, per):  # a tier's; by the rate alone none is looked at
        points, per = result.rate.as_integer_ratio()
    tier = tiers.tier_of(programme, award.tier) if award.holder else None
    if tier is not None:
        yield Step(Code.TIER, (tier.id,))
    yield Step(Code.RATE, (points, per))
    base = Fraction(result.eligible * points, per)
    yield Step(Code.CONTRIBUTION, (result.eligible, points, per, base))
    yield from _gains(result, base)
    left = base * result.multiplier + result.fixed
    for cap, taken in result.clipped:
        left -= taken
        yield Step(_CAPS[cap], (taken, left))
    if carry:
        yield Step(Code.SUM, (carry, result.contribution, carry + result.contribution))
    yield Step(Code.POINTS, (result.points,))
    if result.carry_after:
        yield Step(Code.CARRY_AFTER, (result.carry_after,))
    for card, count in result.stamps:
        yield Step(Code.STAMP, (card, count))
    yield from _dates(programme, result)


def _gains(result: Earned, base: Fraction) -> Iterator[Step]:
    for gain in result.gains:
        if gain.extra:
            yield Step(Code.OFFER if gain.offer else Code.BONUS, (gain.id, gain.extra * 100))
        if gain.fixed:
            yield Step(Code.OFFER_POINTS if gain.offer else Code.BONUS_POINTS, (gain.id, gain.fixed))
    if result.gains:
        total = base * result.multiplier + result.fixed
        yield Step(Code.TOGETHER, (base, result.multiplier, result.fixed, total))


def _dates(programme: Programme, result: Earned) -> Iterator[Step]:
    """The days, in the programme's calendar, between which the points can be used."""
    if result.points <= 0:
        return
    if result.available_at:
        yield Step(Code.AVAILABLE, (_day(programme, result.available_at),))
    if result.expires_at:
        yield Step(Code.LAST_DAY, (_day(programme, result.expires_at - 1),))


def _day(programme: Programme, at: int) -> str:
    year, month, day = split(local(at, programme.zone).date(), programme.calendar)
    return f"{year}/{month:02d}/{day:02d}"
