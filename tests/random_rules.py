"""Random programmes: two versions of the same rules, with another rate and another life of points."""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from oracle.days import written
from oracle.rules import Entries, Entry, Rules

EDGES = (30, 50, 100, 250)  # where the bands and minima below begin and end
UNIT = 5_000  # the rial that amounts are multiples of where both rials are used
Given = dict[str, Any]


def random_rules(chance: random.Random, wanted: Given, today: date) -> tuple[Rules, Rules]:
    """Two versions of one programme: the same rules, another rate and another life of points. `wanted`: what
    must be in it, whatever chance says; campaigns are near `today`."""
    offered = wanted.pop("offered", "none")
    plain = offered == "some" and not wanted and chance.random() < 0.2
    kinds = wanted.pop("kinds", ())
    unit = wanted.get("unit") or (UNIT if chance.random() < 0.35 else 1)
    given: Given = {"unit": unit, "debt_cap": chance.choice((0, 0, 5, 12)), **_spending(chance, unit)}
    if not plain:
        given |= _earning(chance, unit) | _tiers(chance, unit)
    given |= wanted
    given["bonuses"] = () if plain else tuple(_bonuses(chance, kinds, unit, today))
    if offered == "all" or (offered == "some" and chance.random() < 0.3):
        given["offers"], given["segments"] = (
            tuple(_offers(chance, unit, given)),
            _segments(chance, given, today),
        )
    given["rewards"] = tuple(
        each for each in given["rewards"] if each[1]["kind"] != "stamps" or given.get("stamps")
    )
    rates = chance.sample(((1, 10), (1, 7), (7, 30), (3, 20), (2, 9)), 2)
    new_rates = chance.sample(((1, 5), (2, 7), (1, 4), (3, 10)), 2)
    minimum, months = chance.choice((0, 0, 30)), given.get("months", 0)
    versions = []
    for version, (points, per), new, lasts in zip(
        (1, 2), rates, new_rates, (months, months and chance.choice((1, 2, months))), strict=True
    ):
        mine: Given = given | {"months": lasts, "rounded": given.get("rounded", "none") if lasts else "none"}
        if unit > 1:
            mine |= {"new_points": new[0], "new_per": new[1], "new_minimum": minimum and 15}
        versions.append(Rules(version, points, per * unit, minimum * unit, **mine))
    return versions[0], versions[1]


def _spending(chance: random.Random, unit: int) -> Given:
    money: Entry = {
        "kind": "amount-off",
        "points": chance.choice((1, 2, 3)),
        "rial": chance.choice((7, 10, 25)) * unit,
        "min_points": chance.choice((0, 4)),
        "max_points": chance.choice((0, 20)),
        "step": chance.choice((0, 2, 5)),
    }
    return {
        "rewards": (
            ("cake", {"kind": "threshold", "points": 12}),
            ("tea", {"kind": "free-item", "points": 3}),
            ("money", money),
            ("cup-free", {"kind": "stamps", "stamp": "cup"}),
        ),
        "hold_minutes": chance.choice((15, 600, 1440)),
        "min_balance": chance.choice((0, 0, 10)),
        "max_percent": chance.choice((100, 100, 50)),
        "per_day": chance.choice((0, 0, 15)),
    }


def _earning(chance: random.Random, unit: int) -> Given:
    months, hours = chance.choice((0, 1, 3, 6)), chance.choice((0, 0, 24, 200))
    card: Entry = {
        "needed": chance.choice((2, 3)),
        "gap_hours": chance.choice((0, 12, 72)),
        "at_least": chance.choice((0, 50)) * unit,
    }
    return {
        "stacking": chance.choice(("add", "multiply", "best", "exclusive")),
        "tip_counts": chance.random() < 0.5,
        "vat_counts": chance.random() < 0.5,
        "cap_payment": chance.choice((0, 0, 15, 40)),
        "cap_day": chance.choice((0, 0, 20, 60)),
        "budget": chance.choice((0, 0, 0, 200, 1_500)),
        "months": months,
        "rounded": chance.choice(("none", "month", "quarter", "half-year")) if months else "none",
        "pending_hours": hours,
        "pending_days": 0 if hours else chance.choice((0, 0, 1, 9)),
        "stamps": chance.choice(((), (("cup", card),))),
    }


def _tiers(chance: random.Random, unit: int) -> Given:
    metric = chance.choice(("spend", "points", "visits"))
    steps = {"spend": (300 * unit, 900 * unit), "points": (20, 60), "visits": (2, 4)}[metric]
    gold: Entry = {"at_least": steps[0], "extra": 20}
    if chance.random() < 0.4:
        gold = {"at_least": steps[0], "points": 1, "per": 5 * unit}  # a rate of its own
    tiers: Entries = (("gold", gold), ("ruby", {"at_least": steps[1], "extra": 50}))
    if chance.random() < 0.7:
        tiers = (("basic", {"at_least": 0}), *tiers)
    if chance.random() < 0.4:
        return {}
    window = chance.choice(("ever", "year", "rolling"))
    return {
        "tiers": tiers,
        "metric": metric,
        "window": window,
        "window_days": chance.choice((5, 30, 90)) if window == "rolling" else 0,
        "downgrade": chance.choice(("one_down", "to_qualified")),
        "evaluate": chance.choice(("month", "month", "quarter", "half-year", "year")),
        "grace_days": chance.choice((0, 0, 40)),
        "inactive_months": chance.choice((0, 1, 2)),
    }


def _bonuses(
    chance: random.Random, kinds: tuple[str, ...], unit: int, today: date
) -> Iterator[tuple[str, Entry]]:
    """Some bonuses of every kind by chance, and those that are wanted; names are their order among equals."""
    around: Entry = {"days_before": chance.choice((0, 3, 10)), "days_after": chance.choice((3, 20))}
    around["limit"] = chance.choice(("once", "once", "every"))
    begins = today + timedelta(days=chance.randint(0, 300))
    ends = begins + timedelta(days=chance.randint(0, 40))
    every: list[tuple[str, Entry]] = [
        ("a-always", {"kind": "always"}),
        ("b-band", {"kind": "amount", "at_least": 100 * unit, "below": 250 * unit}),
        ("c-evening", {"kind": "happy-hours", "hours": chance.choice(("17:00-20:00", "22:00-02:00"))}),
        ("d-weekend", {"kind": "happy-hours", "weekdays": ("thu", "fri")}),
        ("e-first", {"kind": "first-purchase"}),
        ("f-third", {"kind": "visit", "visit": 3, "repeat": chance.random() < 0.5}),
        ("g-birthday", {"kind": "birthday", **around}),
        ("h-lapsed", {"kind": "lapsed", "away_days": chance.choice((1, 2, 5))}),
        ("i-friend", {"kind": "referral", "referrer_points": 7}),
        ("j-anniversary", {"kind": "anniversary", **around}),
        ("k-feedback", {"kind": "feedback", "within_days": chance.choice((5, 60))}),
        ("l-campaign", {"kind": "always", "from": written(begins), "until": written(ends)}),
    ]
    gains: tuple[Entry, ...] = ({"extra": 50}, {"extra": 100}, {"points": 5}, {"extra": 20, "points": 2})
    for name, bonus in every:
        if bonus["kind"] in kinds or name in kinds or chance.random() < 0.35:
            yield name, {**bonus, **chance.choice(gains), "priority": chance.choice((0, 0, 1, 2))}


def _offers(chance: random.Random, unit: int, given: Given) -> Iterator[tuple[str, Entry]]:
    """Some offers of every grant, and of each what it brings."""
    every: list[tuple[str, Entry]] = [
        ("o-hand", {"grant": "by-hand"}),
        ("p-next", {"grant": "purchase", "from_amount": chance.choice((0, 100)) * unit}),
        ("q-first", {"grant": "first-purchase"}),
        ("r-second", {"grant": "visit", "visit": 2, "repeat": chance.random() < 0.5}),
        ("s-sum", {"grant": "spend", "every_rial": 250 * unit}),
        ("u-birthday", {"grant": "birthday", "days_before": chance.choice((0, 1))}),
        ("v-back", {"grant": "lapsed", "away_days": chance.choice((2, 10))}),
        ("w-sorry", {"grant": "returned"}),
    ]
    every += [("t-up", {"grant": "tier-up"})] if given.get("tiers") else []
    brought: tuple[Entry, ...] = (
        {"extra": 100}, {"points": 5}, {"extra": 50, "points": 3}, {"extra": 20, "at_least": 60 * unit},
        {"discount": 30 * unit, "at_least": 50 * unit}, {"percent_off": 25},
        {"percent_off": 10, "max_discount": 8 * unit},
    )  # fmt: skip
    for name, offer in every:
        if name == "o-hand" or chance.random() < 0.4:
            lasts: Entry = {
                "valid_days": chance.choice((1, 4, 15, 60)),
                "priority": chance.choice((0, 0, 1, 2)),
            }
            whom: Entry = {"segment": chance.choice(("few", "some"))} if chance.random() < 0.15 else {}
            yield name, {**offer, **chance.choice(brought), **lasts, **whom}


def _segments(chance: random.Random, given: Given, today: date) -> Entries:
    """Two segments, each of one or two conditions."""
    unit = given["unit"]
    says: list[Entry] = [
        {"visits_at_least": 2}, {"visits_below": 3}, {"spent_at_least": 200 * unit}, {"balance_at_least": 8},
        {"away_days": 5}, {"seen_days": 9}, {"joined_days": 20},
        {"joined_from": written(today + timedelta(days=chance.randint(0, 200)))},
        {"joined_until": written(today + timedelta(days=chance.randint(100, 400)))},
    ]  # fmt: skip
    says += [{"tier": tier} for tier, _ in given.get("tiers", ())]
    few, some, more = chance.sample(says, 3)
    return ("few", few | some), ("some", more)
