"""Bonuses and offers: which apply to a sale, and how they stack.

Stacking is explicit: `add` (base × (1 + the sum of the percentages)), `multiply` (one after the other),
`best` (the one that brings most), `exclusive` (the one of the highest priority). Fixed points come on top of
the multiplied base. Ties go to the higher priority, then to the first id in the alphabet.

Source: LOYALTY.md §1.
"""

from datetime import date, datetime
from fractions import Fraction

from msgspec import Struct

from vafa.club.programme import Bonus, Programme
from vafa.club.settings import WEEKDAYS
from vafa.club.windows import in_hours, local, parsed_day, split, yearly
from vafa.model.calendar import to_jalali
from vafa.model.standing import NOBODY, Standing

DAY_S = 86_400


class Gain(Struct, frozen=True):
    """Something that applies: `extra` of the base on top, `fixed` points.

    right  (rule, period) that it uses up, None when it may come again; offer: the id of the offer it spends
    """

    id: str
    extra: Fraction
    fixed: int = 0
    priority: int = 0
    right: tuple[str, int] | None = None
    offer: bytes = b""


class Stacked(Struct, frozen=True):
    """What gains come to: the base × `multiplier` + `fixed`; `used` are those that count."""

    multiplier: Fraction
    fixed: int
    used: tuple[Gain, ...]


NOTHING_STACKED = Stacked(Fraction(1), 0, ())


class Customer(Struct, frozen=True):
    """Who buys, as rules see them. Nobody: points that wait on their own payment."""

    is_somebody: bool = False
    visits: int = 0
    tier: str = ""
    standing: Standing = NOBODY


def applying(programme: Programme, at: int, eligible: int, customer: Customer) -> list[Gain]:
    """The gains of the programme's bonuses for a sale of `eligible` (in current rial) at a UTC second."""
    if not programme.bonuses or not eligible:
        return []
    now = local(at, programme.zone)
    found = []
    for bonus in programme.bonuses:
        if not _in_time(bonus, now, programme.calendar) or not _in_band(bonus, eligible):
            continue
        applies, right = _for_customer(bonus, at, now, programme, customer)
        if applies:
            found.append(Gain(bonus.id, Fraction(bonus.extra, 100), bonus.points, bonus.priority, right))
    return found


def sent_by(programme: Programme, at: int, eligible: int, customer: Customer) -> list[tuple[str, int]]:
    """(bonus, points) that whoever sent this customer gets for this sale, however its own gains stack."""
    paying = {bonus.id: bonus.referrer_points for bonus in programme.bonuses if bonus.referrer_points}
    if not paying or customer.visits:
        return []
    gains = applying(programme, at, eligible, customer)
    return [(gain.id, paying[gain.id]) for gain in gains if gain.id in paying]


def stacked(stacking: str, base: Fraction, gains: list[Gain]) -> Stacked:
    """How gains on a base of so many points stack."""
    if not gains:
        return NOTHING_STACKED
    ordered = sorted(gains, key=lambda gain: (-gain.priority, gain.id))
    if stacking == "best":
        ordered = [max(ordered, key=lambda gain: base * gain.extra + gain.fixed)]  # the first of equals
    elif stacking == "exclusive":
        ordered = ordered[:1]
    fixed = sum(gain.fixed for gain in ordered)
    multiplier = Fraction(1)
    if stacking == "multiply":
        for gain in ordered:
            multiplier *= 1 + gain.extra
    else:
        multiplier += sum((gain.extra for gain in ordered), Fraction(0))
    return Stacked(multiplier, fixed, tuple(ordered))


def _in_time(bonus: Bonus, now: datetime, calendar: str) -> bool:
    if bonus.weekdays and WEEKDAYS[now.weekday()] not in bonus.weekdays:
        return False
    if bonus.hours and not in_hours(now, bonus.hours):
        return False
    if bonus.from_day and now.date() < parsed_day(bonus.from_day, calendar):
        return False
    return not bonus.until_day or now.date() <= parsed_day(bonus.until_day, calendar)


def _in_band(bonus: Bonus, eligible: int) -> bool:
    return eligible >= bonus.at_least and (not bonus.below or eligible < bonus.below)


Applies = tuple[bool, tuple[str, int] | None]


def _for_customer(  # noqa: PLR0911 - a table, a kind a line
    bonus: Bonus, at: int, now: datetime, programme: Programme, customer: Customer
) -> Applies:
    """Whether a bonus is for this customer now, and the right it uses up."""
    if not bonus.is_personal:
        return True, None
    if not customer.is_somebody:
        return False, None
    standing, visits = customer.standing, customer.visits
    match bonus.kind:
        case "first-purchase":
            return visits == 0, None
        case "visit":
            number = visits + 1
            return (number % bonus.visit == 0 if bonus.repeat else number == bonus.visit), None
        case "referral":
            return visits == 0 and bool(standing.referrer), None
        case "lapsed":
            return _away(now.date(), standing.last_at, programme.zone) >= bonus.away_days, None
        case "feedback":
            given = standing.feedback_at
            is_new = given != 0 and standing.period_of(bonus.id) != given
            return is_new and given <= at <= given + bonus.within_days * DAY_S, (bonus.id, given)
        case "birthday":
            return _once_a_year(bonus, standing, _birthday(bonus, now.date(), standing))
        case _:
            return _once_a_year(bonus, standing, _anniversary(bonus, now.date(), standing, programme))


def _away(today: date, last_at: int, zone: str) -> int:
    """Local days since the last purchase; -1 when there was none."""
    return (today - local(last_at, zone).date()).days if last_at else -1


def _once_a_year(bonus: Bonus, standing: Standing, year: int | None) -> Applies:
    if year is None:
        return False, None
    if bonus.limit == "every":
        return True, None
    used = standing.period_of(bonus.id)
    return used is None or used < year, (bonus.id, year)


def _birthday(bonus: Bonus, today: date, standing: Standing) -> int | None:
    """The Jalali year whose birthday is near; birthdays are told in it, whatever the shop counts in."""
    if standing.birthday is None:
        return None
    month, day = standing.birthday
    return yearly(today, month, day, bonus.days_before, bonus.days_after, "jalali")


def _anniversary(bonus: Bonus, today: date, standing: Standing, programme: Programme) -> int | None:
    """The year in which the day of the first purchase comes again."""
    if not standing.first_at:
        return None
    first = local(standing.first_at, programme.zone).date()
    year, month, day = to_jalali(first) if programme.calendar == "jalali" else split(first, "gregorian")
    found = yearly(today, month, day, bonus.days_before, bonus.days_after, programme.calendar)
    return found if found is not None and found > year else None
