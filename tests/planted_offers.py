"""Bugs planted in offers: in what gives one, what a purchase makes of it, and how each of them ends."""

from typing import Any

from msgspec.structs import replace
from planting import Bug, Patch, both, instead

from vafa.app import counter, earning, granting, offer_holds, offer_rounds, offering, open_offers
from vafa.books import offers as book_offers
from vafa.club import earn, grants, offers, segments
from vafa.club.programme import OfferTemplate

DAY_S = 86_400
BRINGS = {"extra": 100, "valid_days": 4}
HAND = ("o-hand", {"grant": "by-hand", **BRINGS})
GIVING = {"theme": "giving", "cap_payment": 0, "cap_day": 0, "budget": 0, "unit": 1, "stacking": "add"}


def _by_hand(**brings: Any) -> dict[str, Any]:
    return {**GIVING, "offers": (("o-hand", {"grant": "by-hand", "valid_days": 4, **brings}),)}


def _by_rule(grant: str, **said: Any) -> dict[str, Any]:
    return {**GIVING, "offers": (HAND, ("r-rule", {"grant": grant, **BRINGS, **said}))}


def _to(segment: dict[str, Any]) -> dict[str, Any]:
    rule = ("p-next", {"grant": "purchase", **BRINGS, "segment": "few"})
    return {**GIVING, "offers": (HAND, rule), "segments": (("few", segment),)}


def _held(**changes: Any) -> Patch:
    """Offers that a sale sees otherwise than they were given."""

    def wrong(right: Any) -> Any:
        def seen(programme: Any, held: Any, at: int, amount: int) -> Any:
            told = [replace(each, brings=replace(each.brings, **changes)) for each in held]
            return right(programme, told, at, amount)

        return seen

    return instead(offers, "for_sale", wrong)


def _template(**changes: Any) -> Patch:
    """Rules that give by another template than that of the programme."""

    def wrong(right: Any) -> Any:
        return lambda template, sale: right(replace(template, **changes), sale)

    return instead(grants, "_occasion_of_sale", wrong)


def _sale(**changes: Any) -> Patch:
    """A purchase that the rules of giving see otherwise than it was."""

    def wrong(right: Any) -> Any:
        return lambda template, sale: right(
            template, replace(sale, **{name: change(sale) for name, change in changes.items()})
        )

    return instead(grants, "_occasion_of_sale", wrong)


def _brings_of(change: Any) -> Patch:
    return instead(offer_holds, "money_off", lambda right: lambda what, bill: change(right, what, bill))


def _round_up(_right: Any, what: offers.Brings, bill: int) -> int:
    return min(bill, what.discount or -(-bill * what.percent_off // 100))


def _last_first(right: Any) -> Any:
    return property(lambda held: (-right.fget(held)[0], held.id))


def _second_time(right: Any) -> Any:
    seen = [0]

    def wrong(holder: bytes, name: str, occasion: int) -> bytes:
        seen[0] += 1
        return right(holder, name, seen[0])  # type: ignore[no-any-return]

    return wrong


def _still_open(right: Any) -> Any:
    def wrong(event: Any, seq: int, state: Any) -> Any:
        used = right(event, seq, state)
        same = tuple(replace(each, new=replace(each.new, spent_seq=0)) for each in used.changes)
        return replace(used, changes=same, own=(b"", 0))

    return wrong


def _without_offers(right: Any) -> Any:
    return lambda event, award, left: replace(right(event, award, left), offers=())


def _a_day_less(right: Any) -> Any:
    def wrong(at: int, valid_days: int, zone: str) -> tuple[int, int]:
        return right(at, valid_days - 1, zone)  # type: ignore[no-any-return]

    return wrong


def _each_time(template: OfferTemplate, sale: grants.Sale) -> int | None:
    return sale.visits if sale.spent >= template.every_rial else None


BEST = {"stacking": "best", "kinds": ("always",)}
SPENT = {"unit": 5_000}

OFFERS: dict[str, Bug] = {
    "an offer is used again and again": Bug(
        instead(book_offers, "spent_by", _still_open), _by_hand(extra=100)
    ),
    "the offer that ends last is used first": Bug(
        instead(offers.Held, "ends", _last_first), {**GIVING, "offers": (
            ("o-hand", {"grant": "by-hand", "valid_days": 4, "points": 3}),
            ("o-long", {"grant": "by-hand", "valid_days": 9, "points": 7}),
        )}
    ),
    "an offer's priority is not looked at": Bug(
        _held(priority=0), {**GIVING, "offers": (
            ("o-hand", {"grant": "by-hand", "valid_days": 2, "points": 3}),
            ("o-more", {"grant": "by-hand", "valid_days": 9, "points": 7, "priority": 2}),
        )}
    ),
    "an offer asks for no amount": Bug(_held(at_least=0), _by_hand(points=5, at_least=100)),
    "an offer is good a day less": Bug(
        both(*(instead(where, "window", _a_day_less) for where in (offers, grants))), _by_hand(points=5)
    ),
    "an offer that begins later is good now": Bug(
        both(
            instead(offers.Held, "good_at", lambda _: lambda held, at: at < held.until),
            instead(book_offers, "within", lambda _: lambda row, at: at < row.until),
        ),
        _by_hand(points=5),
    ),
    "an offer is used in vain": Bug(
        instead(counter, "earn_with", lambda _: earn.earn), {**_by_hand(points=5), "cap_payment": 1}
    ),
    "bonuses that do not add up see one offer": Bug(
        instead(offers, "for_sale", lambda right: lambda *given: right(*given)[:1]),
        {**GIVING, **BEST, "offers": (
            ("o-few", {"grant": "by-hand", "valid_days": 2, "points": 1}),
            ("o-more", {"grant": "by-hand", "valid_days": 9, "points": 70}),
        )},
    ),
    "who is merged uses their own offers alone": Bug(
        instead(open_offers, "of_customer", lambda right: lambda c, who, _others: right(c, who, ())),
        _by_hand(points=5), 40,
    ),
    "a whole return keeps the offer": Bug(
        instead(earning, "with_undone_rules", _without_offers), _by_hand(points=5)
    ),
    "a part that goes back opens the offer": Bug(
        instead(
            earning, "with_undone_rules", lambda right: lambda event, award, _: right(event, award, 0)
        ),
        _by_hand(points=5),
    ),
    "what a purchase gave outlives it": Bug(
        instead(granting, "_unearned", lambda _: lambda *_: ()), _by_rule("purchase")
    ),
    "what piles up is given": Bug(instead(granting, "ONE_OPEN", lambda _: frozenset()), _by_rule("purchase")),
    "an occasion that comes again gives again": Bug(
        both(*(instead(where, "identity", _second_time) for where in (granting, offering))),
        _by_rule("first-purchase"),
    ),
    "each purchase is the first": Bug(_sale(visits=lambda _: 1), _by_rule("first-purchase")),
    "a visit is counted before it": Bug(
        _sale(visits=lambda sale: sale.visits - 1), _by_rule("visit", visit=2)
    ),
    "every second visit is the second": Bug(
        _template(repeat=False), _by_rule("visit", visit=2, repeat=True)
    ),
    "a small purchase is large enough": Bug(_template(from_amount=0), _by_rule("purchase", from_amount=100)),
    "a sum that was reached is reached each time": Bug(
        instead(grants, "_occasion_of_sale", lambda _: _each_time), _by_rule("spend", every_rial=250)
    ),
    "a sum in new rial counts as today's": Bug(
        instead(granting, "in_rial", lambda _: lambda amount, _currency: amount),
        {**_by_rule("spend", every_rial=1_250_000), **SPENT},
    ),
    "nobody is sorry": Bug(
        instead(grants, "after_return", lambda _: lambda *_: ()), _by_rule("returned")
    ),
    "away is counted from a day too early": Bug(
        instead(grants, "away_days", lambda right: lambda *given: right(*given) + 1),
        {**_by_rule("lapsed", away_days=3), "theme": ""},
    ),
    "a birthday's offer counts from the day it is given": Bug(
        instead(grants, "day_start", lambda right: lambda day, zone: right(day, zone) + DAY_S),
        {**_by_rule("birthday", days_before=1), "theme": ""}, 40,
    ),
    "an offer ends with its window": Bug(
        instead(offer_rounds, "HEARD_LATE_S", lambda _: 0), _by_hand(points=5)
    ),
    "a segment is everybody": Bug(
        both(*(instead(where, "is_in", lambda _: lambda *_: True) for where in (granting, offering))),
        _to({"visits_at_least": 3}),
    ),
    "a segment's upper bound is in it": Bug(
        both(*(
            instead(where, "is_in", lambda right: lambda p, s, m, at: right(
                p, replace(s, visits_below=s.visits_below + 1), m, at
            )) for where in (granting, offering)
        )),
        _to({"visits_below": 3}),
    ),
    "who joined long ago joined lately": Bug(
        instead(segments, "_joined_in_time", lambda _: lambda *_: True),
        {**_to({"joined_days": 2}), "theme": ""},
    ),
    "a percentage is rounded up": Bug(_brings_of(_round_up), _by_hand(percent_off=7)),
    "a percentage has no most": Bug(
        _brings_of(lambda right, what, bill: right(replace(what, max_discount=0), bill)),
        _by_hand(percent_off=50, max_discount=4),
    ),
    "a small bill has its discount": Bug(
        _brings_of(lambda right, what, bill: right(replace(what, at_least=0), bill)),
        _by_hand(discount=30, at_least=90),
    ),
    "a hold that ends has used its offer": Bug(
        instead(book_offers, "set_free", lambda _: lambda *_: []), _by_hand(discount=30)
    ),
    "an offer set aside can be withdrawn": Bug(
        both(
            instead(offering, "_may_be_withdrawn", lambda _: lambda _row: None),
        ),
        _by_hand(discount=30), 40,
    ),
}  # fmt: skip
