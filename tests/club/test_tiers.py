"""LOYALTY.md §5: tiers, as tables a shopkeeper can read."""

from typing import Any

import pytest
from club_rules import at, member, rules, sale

from vafa.books.standing import counted_in
from vafa.club import tiers
from vafa.club.earn import NO_CARRY, earn
from vafa.club.programme import Programme
from vafa.model.calendar import from_jalali
from vafa.model.events import Nothing
from vafa.model.standing import Window, unpack_window

TWO = """
[tier.plain]
at_least = 0
name_fa = "عادی"
[tier.good]
at_least = 300_000
name_fa = "خوب"
points = 1
per = 900
"""
THREE = """
[tier.blue]
at_least = 0
name_fa = "آبی"
[tier.silver]
at_least = 300_000
name_fa = "نقره‌ای"
extra = 25
[tier.gold]
at_least = 800_000
name_fa = "طلایی"
extra = 50
"""


def three(**settings: Any) -> Programme:
    lines = [f"{name} = {value!r}".replace("'", '"') for name, value in settings.items()]
    return rules("[tiers]\n" + "\n".join(lines) + THREE)


@pytest.mark.parametrize(
    ("amount", "tier", "points"),
    [(196_000, "", 196), (196_000, "plain", 196), (196_000, "good", 217), (9_000, "good", 10)],
)
def test_two_tiers_of_rates_of_their_own(amount: int, tier: str, points: int) -> None:
    assert sale(rules(TWO), amount, customer=member(tier=tier)).points == points


def test_a_sale_below_the_minimum_earns_nothing_in_any_tier() -> None:
    programme = rules(TWO, "points = 1\nper = 1_000\nminimum = 200_000")
    assert earn(programme, 196_000, 0, True, NO_CARRY) is Nothing.BELOW_MINIMUM


def test_a_tier_that_the_programme_does_not_know_any_more_is_the_lowest() -> None:
    assert sale(rules(TWO), 196_000, customer=member(tier="platinum")).points == 196


def window(programme: Programme, *purchases: tuple[str, int]) -> Window | None:
    """The metric after purchases on Jalali days."""
    packed = b""
    for day, amount in purchases:
        packed = counted_in(packed, tiers.counted(programme, at(day), amount, amount // 1_000))
    return unpack_window(packed)


@pytest.mark.parametrize(
    ("settings", "purchases", "tier"),
    [
        ({}, [("1404/01/01", 299_999)], ""),
        ({}, [("1404/01/01", 300_000)], "silver"),  # the threshold itself
        ({}, [("1400/01/01", 200_000), ("1405/01/01", 100_000)], "silver"),
        ({}, [("1404/01/01", 800_000)], "gold"),
        ({"window": "year"}, [("1404/12/29", 200_000), ("1405/01/01", 100_000)], ""),
        ({"window": "year"}, [("1405/01/01", 200_000), ("1405/12/29", 100_000)], "silver"),
        ({"window": "rolling", "days": 30}, [("1405/01/01", 200_000), ("1405/01/30", 100_000)], "silver"),
        ({"window": "rolling", "days": 30}, [("1405/01/01", 200_000), ("1405/01/31", 100_000)], ""),
        ({"metric": "points"}, [("1405/01/01", 300_000_000)], "silver"),
        ({"metric": "visits"}, [("1405/01/01", 300_000_000)], ""),
    ],
)
def test_a_tier_is_reached_at_once(
    settings: dict[str, Any], purchases: list[tuple[str, int]], tier: str
) -> None:
    programme = three(**settings)
    step = tiers.upgrade(programme, "", window(programme, *purchases), at(purchases[-1][0]))
    assert (step.after if step else "") == tier


@pytest.mark.parametrize(
    ("settings", "tier", "since", "purchases", "evaluated", "after"),
    [
        # what was reached in 1404 holds through 1405 and is lost at Nowruz 1406
        ({"window": "year"}, "gold", "1404/05/01", [("1404/05/01", 900_000)], "1405/01/01", None),
        ({"window": "year"}, "gold", "1404/05/01", [("1404/05/01", 900_000)], "1406/01/01", "silver"),
        ({"window": "year", "downgrade": "to_qualified"}, "gold", "1404/05/01",
         [("1404/05/01", 900_000)], "1406/01/01", "blue"),
        ({"window": "year"}, "gold", "1404/05/01",
         [("1404/05/01", 900_000), ("1405/03/01", 800_000)], "1406/01/01", None),
        ({"window": "rolling", "days": 30, "evaluate": "month"}, "silver", "1405/01/05",
         [("1405/01/05", 300_000)], "1405/02/01", None),
        ({"window": "rolling", "days": 30, "evaluate": "month"}, "silver", "1405/01/05",
         [("1405/01/05", 300_000)], "1405/03/01", "blue"),
        ({"window": "rolling", "days": 30, "evaluate": "month", "grace_days": 90}, "silver", "1405/01/05",
         [("1405/01/05", 300_000)], "1405/03/01", None),
        ({"window": "rolling", "days": 30, "evaluate": "month", "grace_days": 90}, "silver", "1405/01/05",
         [("1405/01/05", 300_000)], "1405/05/01", "blue"),
        ({"inactive_months": 3, "evaluate": "month"}, "gold", "1405/01/05",
         [("1405/01/05", 900_000)], "1405/04/01", None),
        ({"inactive_months": 3, "evaluate": "month"}, "gold", "1405/01/05",
         [("1405/01/05", 900_000)], "1405/05/01", "silver"),
        ({"inactive_months": 3, "evaluate": "month"}, "silver", "1405/05/01",
         [("1405/01/05", 900_000)], "1405/06/01", None),  # went down a month ago; a purchase brings it back
    ],
)  # fmt: skip
def test_a_tier_is_lost_at_an_evaluation_only(
    settings: dict[str, Any], tier: str, since: str, purchases: list[tuple[str, int]], evaluated: str,
    after: str | None,
) -> None:  # fmt: skip
    programme = three(**settings)
    last = at(purchases[-1][0])
    step = tiers.evaluated(
        programme, tier, at(since), window(programme, *purchases), last, at(evaluated, "00:00")
    )
    assert (step.after if step else None) == after


def test_nobody_goes_down_twice_at_one_evaluation() -> None:
    programme = three(window="year")
    instant = at("1406/01/01", "00:00")
    assert tiers.evaluated(programme, "silver", instant, None, at("1404/05/01"), instant) is None


def test_evaluation_instants_are_the_starts_of_periods() -> None:
    for how, start in (("month", "1405/05/01"), ("quarter", "1405/04/01"), ("half-year", "1405/01/01")):
        programme = three(window="year", evaluate=how)
        assert tiers.evaluation_before(programme, at("1405/05/20")) == at(start, "00:00")


def test_a_refund_takes_out_of_the_metric_and_never_adds() -> None:
    programme = three(window="year")
    bought = tiers.counted(programme, at("1405/02/01"), 300_000, 300)
    packed = counted_in(b"", bought)
    packed = counted_in(packed, tiers.taken_out(bought, 100_000, 100, 0))
    assert tiers.metric_now(programme, unpack_window(packed), from_jalali(1405, 2, 11)) == 200_000
