"""Random programmes: two versions of the same rules, with another rate and another life of points."""

import random
from collections.abc import Iterator
from typing import Any

from oracle.rules import Bonus, Rules

EDGES = (30, 50, 100, 250)  # where the bands and minima below begin and end


def random_rules(chance: random.Random, wanted: dict[str, Any]) -> tuple[Rules, Rules]:
    """Two versions of one programme: the same rules, another rate and another life of points. `wanted`: what
    must be in it, whatever chance says."""
    plain = not wanted and chance.random() < 0.25
    given: dict[str, Any] = {
        "rewards": (("cake", 12), ("tea", 3)),
        "hold_minutes": chance.choice((15, 600, 1440)),
    }
    if not plain:
        metric = chance.choice(("spend", "points", "visits"))
        steps = {"spend": (300, 900), "points": (20, 60), "visits": (2, 4)}[metric]
        given |= {
            "stacking": chance.choice(("add", "multiply", "best", "exclusive")),
            "cap_payment": chance.choice((0, 0, 15, 40)),
            "cap_day": chance.choice((0, 0, 20, 60)),
            "months": chance.choice((0, 1, 3, 6)),
            "pending_hours": chance.choice((0, 0, 24, 200)),
            "metric": metric,
            "tiers": chance.choice(((), (("basic", 0, 0), ("gold", steps[0], 20), ("ruby", steps[1], 50)))),
            "stamps": chance.choice(((), (("cup", chance.choice((0, 12, 72)), chance.choice((0, 50))),))),
        }
        given["rounded"] = (
            chance.choice(("none", "month", "quarter", "half-year")) if given["months"] else "none"
        )
    kinds = wanted.pop("kinds", ())
    given |= wanted
    given["bonuses"] = () if plain else tuple(_bonuses(chance, kinds))
    rates = chance.sample(((1, 10), (1, 7), (7, 30), (3, 20), (2, 9)), 2)
    minimum = chance.choice((0, 0, 30))
    months = given.get("months", 0)
    one, two = (
        Rules(
            version,
            points,
            per,
            minimum,
            **(given | {"months": lasts, "rounded": given.get("rounded", "none") if lasts else "none"}),
        )
        for version, (points, per), lasts in zip(
            (1, 2), rates, (months, months and chance.choice((1, 2, months))), strict=True
        )
    )
    return one, two


def _bonuses(chance: random.Random, kinds: tuple[str, ...]) -> Iterator[tuple[str, Bonus]]:
    """Some bonuses of every kind by chance, and those that are wanted; names are their order among equals."""
    every: list[tuple[str, Bonus]] = [
        ("a-always", {"kind": "always"}),
        ("b-band", {"kind": "amount", "at_least": 100, "below": 250}),
        ("c-evening", {"kind": "happy-hours", "hours": chance.choice(("17:00-20:00", "22:00-02:00"))}),
        ("d-weekend", {"kind": "happy-hours", "weekdays": ("thu", "fri")}),
        ("e-first", {"kind": "first-purchase"}),
        ("f-third", {"kind": "visit", "visit": 3, "repeat": chance.random() < 0.5}),
        ("g-birthday", {"kind": "birthday"}),
        ("h-lapsed", {"kind": "lapsed", "away_days": chance.choice((1, 2, 5))}),
        ("i-friend", {"kind": "referral", "referrer_points": 7}),
    ]
    gains: tuple[Bonus, ...] = ({"extra": 50}, {"extra": 100}, {"points": 5}, {"extra": 20, "points": 2})
    for name, bonus in every:
        if bonus["kind"] in kinds or chance.random() < 0.4:
            yield name, {**bonus, **chance.choice(gains), "priority": chance.choice((0, 0, 1, 2))}
