"""Programmes and sales for tests of the rules, written as a shopkeeper would tell them."""

from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from vafa.club.bonuses import Customer
from vafa.club.earn import NO_CARRY, Circumstances, Earned, earn
from vafa.club.programme import Programme, parse
from vafa.model.calendar import from_jalali
from vafa.model.money import Currency
from vafa.model.standing import NOBODY, Standing

TEHRAN = ZoneInfo("Asia/Tehran")


def rules(text: str, rate: str = "points = 1\nper = 1_000") -> Programme:
    """A programme with these settings beside a name and a rate."""
    return parse(f'schema = 1\n[name]\nfa = "مغازه"\n[earn]\n{rate}\n{text}')


def at(day: str, clock: str = "12:00") -> int:
    """The UTC second of a Jalali day and local time."""
    on = from_jalali(*map(int, day.split("/")))
    hour, minute = map(int, clock.split(":"))
    return int(datetime(on.year, on.month, on.day, hour, minute, tzinfo=TEHRAN).timestamp())


def member(visits: int = 5, tier: str = "", standing: Standing = NOBODY) -> Customer:
    return Customer(True, visits, tier, standing)


def sale(
    programme: Programme,
    amount: int,
    when: int = 0,
    customer: Customer | None = None,
    carry: Fraction = NO_CARRY,
    **around: object,
) -> Earned:
    """What a purchase earns."""
    circumstances = Circumstances(when or at("1405/02/05"), customer=customer or member(), **around)  # type: ignore[arg-type]
    earned = earn(programme, amount, Currency.RIAL_CURRENT, True, carry, circumstances)
    assert isinstance(earned, Earned), earned
    return earned
