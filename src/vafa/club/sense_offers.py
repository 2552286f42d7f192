"""What the settings of offers and segments must be together, and what an offer can cost at most.

Part of sense.py: told before a programme holds, every fault at once, in a merchant's words.
"""

from collections.abc import Iterator

from msgspec import Struct

from vafa.club.programme import OfferTemplate, Programme, Segment
from vafa.club.windows import parsed_day
from vafa.model.errors import Fault

# Which settings only some grants use; the first of each they cannot be without.
_NEEDED_BY = {"away_days": "lapsed", "visit": "visit", "every_rial": "spend"}
_USED_BY = {"days_before": "birthday", "from_amount": "purchase", "repeat": "visit"}
_SAYS = {
    "away_days": "after how many days without a purchase",
    "visit": "which visit",
    "every_rial": "after how many rial",
}


class OfferCost(Struct, frozen=True):
    """What one offer may cost at most: points or rial, None where nothing bounds it; `given`: when it is."""

    name: str
    points: int | None
    rial: int | None
    given: str


def offer_cost(programme: Programme, offer: OfferTemplate) -> OfferCost:
    """The dearest use of a single offer. Points are bounded by what one payment may earn."""
    points: int | None = offer.points
    if offer.extra:
        points = programme.cap_payment or None
    elif programme.cap_payment:
        points = min(offer.points, programme.cap_payment)
    rial = offer.max_discount or None if offer.percent_off else offer.discount
    return OfferCost(offer.id, points, rial, offer.grant)


def offer_faults(programme: Programme) -> Iterator[Fault]:
    """Every fault of the offers."""
    segments = tuple(each.id for each in programme.segments)
    for offer in programme.offers:
        place = f"offer.{offer.id}"
        yield from _brings(offer, place)
        yield from _given(offer, place)
        if offer.segment and offer.segment not in segments:
            yield Fault(
                f"{place}.segment", f"names no segment of this programme{_known(segments, 'segment')}"
            )
        if offer.grant == "tier-up" and not programme.tiers:
            yield Fault(f"{place}.grant", "nobody goes up a tier: write a  [tier.NAME]")


def _brings(offer: OfferTemplate, place: str) -> Iterator[Fault]:
    in_points, in_rial = offer.extra or offer.points, offer.discount or offer.percent_off
    if not (in_points or in_rial):
        yield Fault(place, "brings nothing: write extra, points, discount or percent_off")
    if offer.discount and offer.percent_off:
        yield Fault(place, "takes off rial or a percentage, not both")
    if in_points and in_rial:
        yield Fault(place, "brings points or takes money off, not both: write two offers")
    if offer.max_discount and not offer.percent_off:
        yield Fault(f"{place}.max_discount", "bounds a percentage: it means nothing without percent_off")
    if 0 < offer.at_least <= offer.discount:
        what = f"must lie above what it takes off ({offer.discount:,}): else the purchase costs nothing"
        yield Fault(f"{place}.at_least", what)


def _given(offer: OfferTemplate, place: str) -> Iterator[Fault]:
    for name, grant in _NEEDED_BY.items():
        value = getattr(offer, name)
        if offer.grant == grant and not value:
            yield Fault(f"{place}.{name}", f'is missing for grant = "{grant}": {_SAYS[name]}')
        elif offer.grant != grant and value:
            yield Fault(f"{place}.{name}", f'means nothing for grant = "{offer.grant}", only for "{grant}"')
    for name, grant in _USED_BY.items():
        if offer.grant != grant and getattr(offer, name):
            yield Fault(f"{place}.{name}", f'means nothing for grant = "{offer.grant}", only for "{grant}"')
    if offer.grant == "birthday" and offer.valid_days < offer.days_before:
        yield Fault(f"{place}.valid_days", "ends before the birthday: it counts from the day it is given")


def segment_faults(programme: Programme) -> Iterator[Fault]:
    """Every fault of the segments."""
    tiers = tuple(each.id for each in programme.tiers)
    for segment in programme.segments:
        place = f"segment.{segment.id}"
        if _is_everybody(segment):
            yield Fault(
                place, "says nothing of who is in it: write a tier, days, purchases or a day of joining"
            )
        if segment.tier and segment.tier not in tiers:
            yield Fault(f"{place}.tier", f"names no tier of this programme{_known(tiers, 'tier')}")
        if segment.visits_below and segment.visits_below <= segment.visits_at_least:
            yield Fault(
                f"{place}.visits_below", f"must lie above visits_at_least ({segment.visits_at_least})"
            )
        if segment.away_days and 0 < segment.seen_days < segment.away_days:
            yield Fault(
                f"{place}.seen_days", f"nobody bought within them and not for {segment.away_days} days"
            )
        yield from _joined(segment, place, programme.calendar)


def _joined(segment: Segment, place: str, calendar: str) -> Iterator[Fault]:
    days = {}
    for name in ("joined_from", "joined_until"):
        text = getattr(segment, name)
        try:
            days[name] = parsed_day(text, calendar) if text else None
        except ValueError:
            yield Fault(f"{place}.{name}", f'there is no day "{text}" in the {calendar} calendar')
    start, end = days.get("joined_from"), days.get("joined_until")
    if start and end and end < start:
        yield Fault(f"{place}.joined_until", "lies before joined_from")


def _is_everybody(segment: Segment) -> bool:
    blank = Segment(id=segment.id, name_fa=segment.name_fa, name_en=segment.name_en)
    return segment == blank


def _known(names: tuple[str, ...], group: str) -> str:
    return f": {', '.join(names)}" if names else f": write a  [{group}.NAME]"
