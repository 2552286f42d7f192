"""Which offers the programme's rules give, to whom, and on which occasion of theirs.

Each rule gives one offer for an occasion, and an occasion is a number: the visit, how many times the sum was
reached, the Jalali year of a birthday, the last purchase before an absence, the sale that went back. The
identity of an offer follows from member, rule and occasion, so an occasion that comes again (a purchase that
was undone and made anew, a job that runs twice) gives nothing more.

Source: LOYALTY.md §1 (next-purchase discount, apology compensation, win-back gift, thanks).
"""

from collections.abc import Iterator
from datetime import date, timedelta

from msgspec import Struct

from vafa.club.offers import window
from vafa.club.programme import OfferTemplate, Programme
from vafa.club.segments import away_days
from vafa.club.windows import day_start, joined, local, yearly
from vafa.model.standing import Standing

BY_SALE = frozenset({"first-purchase", "purchase", "visit", "spend", "tier-up"})
BY_TIME = frozenset({"birthday", "lapsed"})
ONE_OPEN = frozenset({"purchase", "returned"})  # what would pile up: not given while one of it is open
RETURNED = "returned"


class Due(Struct, frozen=True):
    """An offer of `template` is due for an occasion; good from `from_at` to before `until` (UTC seconds)."""

    template: OfferTemplate
    occasion: int
    from_at: int
    until: int


class Sale(Struct, frozen=True):
    """A purchase as these rules see it.

    visits, spent  of its member after it; eligible: what of it earned; amounts in current rial
    went_up        it brought the member a tier
    """

    at: int
    visits: int
    spent: int
    eligible: int
    went_up: bool


def after_sale(programme: Programme, sale: Sale) -> Iterator[Due]:
    """What a purchase gives its member, by the programme's templates in their order."""
    for template in programme.offers:
        occasion = _occasion_of_sale(template, sale) if template.grant in BY_SALE else None
        if occasion is not None:
            yield Due(template, occasion, *window(sale.at, template.valid_days, programme.zone))


def after_return(programme: Programme, sale_seq: int, at: int) -> Iterator[Due]:
    """What is given when a sale went back, or a part of it: once for a sale, whose journal row names it."""
    for template in programme.offers:
        if template.grant == RETURNED:
            yield Due(template, sale_seq, *window(at, template.valid_days, programme.zone))


def by_time(programme: Programme, standing: Standing, at: int) -> Iterator[Due]:
    """What a member has coming by the calendar at an attested UTC second."""
    today = local(at, programme.zone).date()
    for template in programme.offers:
        if template.grant == "birthday":
            yield from _birthday(programme, template, standing, today)
        elif template.grant == "lapsed":
            away = away_days(standing.last_at, at, programme.zone)
            if away >= template.away_days:
                yield Due(template, standing.last_at, *window(at, template.valid_days, programme.zone))


def is_by_time(programme: Programme) -> bool:
    """True when a rule gives anything by the calendar."""
    return any(template.grant in BY_TIME for template in programme.offers)


def _occasion_of_sale(template: OfferTemplate, sale: Sale) -> int | None:
    match template.grant:
        case "first-purchase":
            return 0 if sale.visits == 1 else None
        case "purchase":
            return sale.visits if sale.eligible >= template.from_amount else None
        case "visit" if template.repeat:
            return sale.visits if sale.visits % template.visit == 0 else None
        case "visit":
            return 0 if sale.visits == template.visit else None
        case "spend":
            times = sale.spent // template.every_rial
            return times if times > (sale.spent - sale.eligible) // template.every_rial else None
        case _:
            return sale.at if sale.went_up else None


def _birthday(
    programme: Programme, template: OfferTemplate, standing: Standing, today: date
) -> Iterator[Due]:
    """From some days before the birthday on; a device that was off on that day gives it late, while it lasts.

    The window is counted from the day it was due, whenever it is given.
    """
    if standing.birthday is None:
        return
    month, number = standing.birthday
    late = template.valid_days - template.days_before
    year = yearly(today, month, number, template.days_before, late, "jalali")
    if year is None:
        return
    due = joined(year, month, number, "jalali") - timedelta(days=template.days_before)
    start = day_start(due, programme.zone)
    yield Due(template, year, *window(start, template.valid_days, programme.zone))
