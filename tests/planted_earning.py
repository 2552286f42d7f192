"""Bugs planted in what a purchase earns: each is a rule told wrong."""

from fractions import Fraction
from typing import Any

from msgspec.structs import replace
from planting import Bug, Patch, both, instead

from vafa.app import claiming, earning, undo
from vafa.books import rules as book_rules
from vafa.books.rows import MemberRow
from vafa.club import bonuses, earn, tiers, windows
from vafa.club.programme import Programme
from vafa.ledger import people
from vafa.model.events import Less
from vafa.model.standing import Standing

DAY_S = 86_400
UNCAPPED = {"cap_payment": 0, "cap_day": 0, "budget": 0}
ADDED = {"stacking": "add", **UNCAPPED}
EVERY_KIND = (
    "always", "amount", "happy-hours", "first-purchase", "visit", "birthday", "lapsed", "referral",
)  # fmt: skip
OWN_RATE = (("basic", {"at_least": 0}), ("gold", {"at_least": 2, "points": 1, "per": 3}))


def _customer(kind: str, change: Any) -> Patch:
    """A bonus of one kind that looks at another customer than the one who buys."""

    def wrong(right: Any) -> Any:
        return lambda bonus, at, now, programme, customer: right(
            bonus, at, now, programme, change(customer) if bonus.kind == kind else customer
        )

    return instead(bonuses, "_for_customer", wrong)


def _visits_more(customer: bonuses.Customer) -> bonuses.Customer:
    return replace(customer, visits=customer.visits + 1)


def _with_standing(**changes: Any) -> Any:
    def changed(customer: bonuses.Customer) -> bonuses.Customer:
        return replace(customer, standing=replace(customer.standing, **changes))

    return changed


def _a_year_earlier(right: Any) -> Any:
    def wrong(bonus: Any, today: Any, standing: Standing, programme: Programme) -> Any:
        earlier = standing.first_at - 366 * DAY_S if standing.first_at else 0
        return right(bonus, today, replace(standing, first_at=earlier), programme)

    return wrong


def _bonus(**changes: Any) -> Patch:
    """Bonuses that hold something else than what the programme says."""

    def wrong(right: Any) -> Any:
        return lambda bonus, *given: right(replace(bonus, **changes), *given)

    return both(instead(bonuses, "_for_customer", wrong), instead(bonuses, "_in_time", wrong))


def _best_is_worst(right: Any) -> Any:
    def wrong(stacking: str, base: Fraction, gains: list[bonuses.Gain]) -> bonuses.Stacked:
        if stacking != "best" or not gains:
            return right(stacking, base, gains)  # type: ignore[no-any-return]
        return right("add", base, [min(gains, key=lambda gain: base * gain.extra + gain.fixed)])  # type: ignore[no-any-return]

    return wrong


def _stacking(one: str, other: str) -> Patch:
    def wrong(right: Any) -> Any:
        return lambda how, base, gains: right(other if how == one else how, base, gains)

    return instead(earn, "stacked", wrong)


def _without_cap_on_refund(_right: Any) -> Any:
    def wrong(
        amount: int, eligible: int, contributed: Fraction, _fixed: int, _clipped: Any, left: int
    ) -> earn.Left:
        return earn.Left(eligible * left // amount, contributed * left / amount)

    return wrong


def _programme(where: Any, name: str, **changes: Any) -> Patch:
    """A rule that goes by another programme than the one in force."""
    return instead(where, name, lambda right: lambda p, *given: right(replace(p, **changes), *given))


EARNING: dict[str, Bug] = {
    "caps are forgotten": Bug(
        instead(earn, "_capped", lambda _: lambda _p, points, _a: (points, ())), {"cap_payment": 15}
    ),
    "what was earned today does not count": Bug(
        instead(earn, "_points_today", lambda _: lambda *_: Fraction(0)), {"cap_day": 20}
    ),
    "a budget never ends": Bug(_programme(earn, "_capped", budget=0), {"budget": 60}),
    "multiply stacks like add": Bug(
        _stacking("multiply", "add"), {"stacking": "multiply", "kinds": EVERY_KIND, **UNCAPPED}
    ),
    "exclusive stacks like add": Bug(
        _stacking("exclusive", "add"), {"stacking": "exclusive", "kinds": EVERY_KIND}
    ),
    "best takes the worst": Bug(
        instead(earn, "stacked", _best_is_worst), {"stacking": "best", "kinds": EVERY_KIND, **UNCAPPED}
    ),
    "the end of happy hours is in them": Bug(
        instead(
            bonuses,
            "in_hours",
            lambda right: lambda now, hours: right(now, hours) or f"{now:%H}" == hours[6:8],
        ),
        {"kinds": ("happy-hours",), "stacking": "add"},
    ),
    "the week begins on Sunday": Bug(
        instead(bonuses, "WEEKDAYS", lambda right: (right[-1], *right[:-1])), {"kinds": ("happy-hours",)}
    ),
    "a campaign is always on": Bug(_bonus(from_day="", until_day=""), {"kinds": ("l-campaign",), **ADDED}),
    "the first purchase is the second": Bug(
        _customer("first-purchase", _visits_more), {"kinds": ("first-purchase",)}
    ),
    "visits are counted from nothing": Bug(_customer("visit", _visits_more), {"kinds": ("visit",)}),
    "a birthday lasts a day too long": Bug(
        instead(bonuses, "yearly", lambda right: lambda d, m, n, b, a, c: right(d, m, n, b, a + 1, c)),
        {"kinds": ("birthday",), **ADDED},
    ),
    "a right of a year is used twice": Bug(
        instead(
            bonuses, "_once_a_year", lambda _: lambda bonus, _s, year: (year is not None, (bonus.id, year))
        ),
        {"kinds": ("birthday",), **ADDED},
    ),
    "an anniversary comes in the first year": Bug(
        instead(bonuses, "_anniversary", _a_year_earlier), {"kinds": ("anniversary",), **ADDED}
    ),
    "feedback is thanked again and again": Bug(
        _customer("feedback", _with_standing(granted=())), {"kinds": ("feedback",), **ADDED}, 40
    ),
    "feedback is never too late": Bug(_bonus(within_days=400), {"kinds": ("feedback",), **ADDED}, 40),
    "away is counted a day short": Bug(
        instead(bonuses, "_away", lambda right: lambda *given: right(*given) - 1),
        {"kinds": ("lapsed",), **ADDED},
    ),
    "a band holds its upper end": Bug(
        instead(
            bonuses,
            "_in_band",
            lambda right: lambda bonus, paid: right(bonus, paid) or bonus.below == paid > 0,
        ),
        {"kinds": ("amount",), **ADDED},
    ),
    "a cap is shared out on refunds": Bug(
        instead(earning, "left_of", _without_cap_on_refund), {"cap_payment": 15}
    ),
    "points lapse a day late": Bug(
        instead(earn, "lapses_at", lambda right: lambda *given: right(*given) + DAY_S), {"months": 3}
    ),
    "an end of a quarter is none": Bug(
        instead(windows, "end_of", lambda right: lambda day, _how, calendar: right(day, "none", calendar)),
        {"months": 1, "rounded": "quarter"},
    ),
    "days of pending are hours": Bug(
        instead(
            earn,
            "lot_dates",
            lambda right: lambda p, at: right(
                replace(p, pending_hours=p.pending_hours or p.pending_days, pending_days=0), at
            ),
        ),
        {"pending_days": 9, "pending_hours": 0},
    ),
    "a pending is forgotten": Bug(
        instead(
            book_rules,
            "with_lot",
            lambda right: lambda row, lot, at=0: right(row, lot, at) if lot.expires_at else row,
        ),
        {"months": 0, "rounded": "none", "pending_hours": 200, "pending_days": 0},
    ),
    "a tier's own rate is the shop's": Bug(
        instead(
            tiers,
            "tier_of",
            lambda right: lambda *given: (tier := right(*given)) and replace(tier, per=0, points=0),
        ),
        {"metric": "visits", "window": "ever", "window_days": 0, "tiers": OWN_RATE},
    ),
    "stamps have no gap": Bug(
        instead(earn, "_stamps", lambda _: lambda programme, *_: tuple((s.id, 1) for s in programme.stamps)),
        {"stamps": (("cup", {"needed": 3, "gap_hours": 12}),)},
    ),
    "the minimum is exclusive": Bug(
        instead(
            Programme, "minimum_in", lambda right: lambda self, currency: right(self, currency) + 1
        ),
        {},
    ),
    "a tip earns": Bug(
        instead(
            earn,
            "not_eligible",
            lambda right: lambda p, less: right(p, [each for each in less if each[0] != Less.TIP]),
        ),
        {"tip_counts": False},
    ),
    "bands in new rial are those of today's": Bug(
        instead(earn, "in_rial", lambda _: lambda amount, _currency: amount),
        {"unit": 5_000, "kinds": ("amount",), **ADDED},
    ),
    "a refund in the other rial is not converted": Bug(
        instead(undo, "converted", lambda _: lambda amount, _of, _into: amount), {"unit": 5_000}
    ),
    "who is merged earns alone": Bug(
        both(
            instead(people, "stands_alone", lambda _: lambda *_: True),
            instead(people, "of_card", lambda right: lambda *all_: [(row, True) for row, _ in right(*all_)]),
        ),
        {},
    ),
    "a claim gives what waited": Bug(
        instead(claiming, "by_rules", lambda _: lambda *_: False), {"kinds": ("first-purchase",), **ADDED}
    ),
    "who sent them is thanked twice over": Bug(
        instead(
            earning, "owed_to_referrer", lambda right: lambda *given: [(b, 2 * n) for b, n in right(*given)]
        ),
        {"kinds": ("referral",)},
    ),
    "who answers as another is thanked alone": Bug(
        instead(earning, "_acting", lambda _: lambda tx, member: tx.find(MemberRow, (member,))),
        {"kinds": ("referral",)},
    ),
}  # fmt: skip
