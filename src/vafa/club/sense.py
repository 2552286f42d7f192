"""What settings must be together, and the worst that rules can cost: told before a programme holds.

`nonsense` finds what no single setting shows: a bonus that gains nothing, a window without days, two tiers at
one threshold. `worst_case` says what can be earned at most, where several devices each count for themselves.
"""

from collections.abc import Iterator
from fractions import Fraction
from math import lcm, prod
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from vafa.club.programme import Bonus, Programme, Reward
from vafa.club.sense_offers import OfferCost, offer_cost, offer_faults, segment_faults
from vafa.club.windows import parsed_day
from vafa.model.errors import Fault
from vafa.model.money import AMOUNT_MAX

INT64_MAX = 2**63 - 1
# Which settings only some kinds of bonus use, and what a kind cannot be without.
_USED_BY = {
    "visit": ("visit",),
    "repeat": ("visit",),
    "days_before": ("birthday", "anniversary"),
    "days_after": ("birthday", "anniversary"),
    "limit": ("birthday", "anniversary"),
    "away_days": ("lapsed",),
    "within_days": ("feedback",),
    "referrer_points": ("referral",),
}
_REWARD_USES = {
    "amount-off": ("points", "rial", "min_points", "max_points", "step", "cost"),
    "threshold": ("points", "cost"),
    "free-item": ("points", "cost"),
    "stamps": ("stamp", "cost"),
}


class WorstCase(Struct, frozen=True):
    """The most points the caps allow with `devices` devices; None where nothing bounds it.

    A day's cap counts on each device for itself, and so does a budget until a hub divides it.
    `offers`: what each single one may cost.
    """

    devices: int
    payment: int | None
    member_day: int | None
    budget: int | None
    offers: tuple[OfferCost, ...] = ()


def worst_case(programme: Programme, devices: int) -> WorstCase:
    """What the caps of a programme bound, over so many devices."""
    assert devices >= 1, "a shop has a device"
    return WorstCase(
        devices,
        programme.cap_payment or None,
        devices * programme.cap_day or None,
        devices * programme.budget or None,
        tuple(offer_cost(programme, each) for each in programme.offers),
    )


def nonsense(programme: Programme) -> list[Fault]:
    """Every fault between settings that are right each for itself."""
    return [
        *_times(programme),
        *_tiers(programme),
        *(fault for bonus in programme.bonuses for fault in _bonus(bonus, programme.calendar)),
        *(fault for reward in programme.rewards for fault in _reward(reward, programme)),
        *offer_faults(programme),
        *segment_faults(programme),
        *_exactness(programme),
    ]


def _times(programme: Programme) -> Iterator[Fault]:
    try:
        ZoneInfo(programme.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Fault("time.zone", f'there is no time zone "{programme.zone}"', "Asia/Tehran")
    if programme.pending_hours and programme.pending_days:
        yield Fault("pending", "says hours and days: points wait for one of them")
    if programme.expiry_round != "none" and not programme.expiry_months:
        yield Fault("expiry.round", "rounds nothing: expiry.months says after how many months points lapse")
    if bool(programme.new_points) != bool(programme.new_per):
        yield Fault("new_rial", "a rate needs both points and per")
    if programme.new_minimum and not programme.new_per:
        yield Fault("new_rial.minimum", "needs a rate beside it: points and per")


def _tiers(programme: Programme) -> Iterator[Fault]:
    if (programme.window == "rolling") != bool(programme.window_days):
        yield Fault("tiers.days", 'says how many days window = "rolling" looks back, and only that')
    default = Programme("", 1, 1)
    if not programme.tiers:
        for name in ("metric", "window", "downgrade", "evaluate", "grace_days", "inactive_months"):
            if getattr(programme, name) != getattr(default, name):
                yield Fault(f"tiers.{name}", "means nothing without a tier: write a  [tier.NAME]")
    seen: dict[int, str] = {}
    for tier in programme.tiers:
        place = f"tier.{tier.id}"
        if bool(tier.points) != bool(tier.per):
            yield Fault(place, "a rate of its own needs both points and per")
        if tier.at_least in seen:
            yield Fault(f"{place}.at_least", f"is the same as that of tier.{seen[tier.at_least]}")
        seen[tier.at_least] = tier.id


def _bonus(bonus: Bonus, calendar: str) -> Iterator[Fault]:
    place = f"bonus.{bonus.id}"
    if not (bonus.extra or bonus.points or bonus.referrer_points):
        yield Fault(place, "gains nothing: write extra (percent) or points")
    default = Bonus(id="", kind="")
    for name, kinds in _USED_BY.items():
        if bonus.kind not in kinds and getattr(bonus, name) != getattr(default, name):
            yield Fault(
                f"{place}.{name}", f"means nothing for kind {bonus.kind}, only for {' and '.join(kinds)}"
            )
    match bonus.kind:
        case "visit" if not bonus.visit:
            yield Fault(f"{place}.visit", "is missing: which visit")
        case "lapsed" if not bonus.away_days:
            yield Fault(f"{place}.away_days", "is missing: after how many days without a purchase")
        case "happy-hours" if not (bonus.hours or bonus.weekdays):
            yield Fault(place, "happy hours need weekdays or hours")
        case "amount" if not (bonus.at_least or bonus.below):
            yield Fault(place, "a band of amounts needs at_least or below")
        case _:
            pass
    if bonus.below and bonus.below <= bonus.at_least:
        yield Fault(f"{place}.below", f"must lie above at_least ({bonus.at_least:,})")
    days = {}
    for name, text in (("from", bonus.from_day), ("until", bonus.until_day)):
        try:
            days[name] = parsed_day(text, calendar) if text else None
        except ValueError:
            yield Fault(f"{place}.{name}", f'there is no day "{text}" in the {calendar} calendar')
    start, end = days.get("from"), days.get("until")
    if start and end and end < start:
        yield Fault(f"{place}.until", "lies before from")


def _reward(reward: Reward, programme: Programme) -> Iterator[Fault]:
    place, default = f"reward.{reward.id}", Reward(id="", kind="", name_fa="")
    uses = _REWARD_USES[reward.kind]
    for name in ("points", "rial", "min_points", "max_points", "step", "stamp"):
        if name not in uses and getattr(reward, name) != getattr(default, name):
            yield Fault(f"{place}.{name}", f"means nothing for kind {reward.kind}")
    if "points" in uses and not reward.points:
        yield Fault(f"{place}.points", "is missing: a whole number of points")
    if "rial" in uses and not reward.rial:
        yield Fault(f"{place}.rial", "is missing: how many rial those points take off")
    if reward.max_points and reward.max_points < reward.min_points:
        yield Fault(f"{place}.max_points", "is smaller than min_points")
    if "stamp" in uses:
        cards = tuple(card.id for card in programme.stamps)
        if reward.stamp not in cards:
            known = f": {', '.join(cards)}" if cards else ": write a  [stamp.NAME]"
            yield Fault(f"{place}.stamp", f"names no stamp card of this programme{known}")


def _exactness(programme: Programme) -> Iterator[Fault]:
    """Every contribution must fit 64 bits as an exact fraction, for the largest payment there can be."""
    if programme.is_plain and not programme.new_per:
        return  # bounded by the settings themselves
    rates = [programme.rate]
    if programme.new_per:
        rates.append(Fraction(programme.new_points, programme.new_per))
    rates += [Fraction(tier.points, tier.per) for tier in programme.tiers if tier.per]
    raised = [1 + Fraction(tier.extra, 100) for tier in programme.tiers]
    gains = [Fraction(each.extra, 100) for each in programme.bonuses]
    gains += [Fraction(each.extra, 100) for each in programme.offers]
    if programme.stacking == "multiply":
        denominator = prod((1 + gain).denominator for gain in gains)
        most = prod((1 + gain for gain in gains), start=Fraction(1))
    else:
        denominator = lcm(*(gain.denominator for gain in gains)) if gains else 1
        most = 1 + sum(gains, Fraction(0))
    tier_denominator = lcm(*(each.denominator for each in raised)) if raised else 1
    finest = lcm(*(rate.denominator for rate in rates)) * denominator * tier_denominator
    largest = AMOUNT_MAX * max(rates) * most * max(raised, default=Fraction(1)) + 2 * 10**9
    if largest * finest > INT64_MAX:
        yield Fault(
            "document",
            "rates and percentages together are too fine to be counted exactly: use rounder numbers",
        )
