"""Offers as pure rules: which a purchase uses, what one takes off a bill, its window, who is in a segment."""

import pytest
from club_rules import at, member, rules
from hypothesis import given
from hypothesis import strategies as st

from vafa.club.earn import NO_CARRY, Circumstances, Earned
from vafa.club.offers import Brings, Held, document, earn_with, for_sale, identity, money_off, told, window
from vafa.club.segments import Regular, is_in, segment_of
from vafa.model.money import Currency

NOON = at("1405/02/05")


def held(name: str, until: int | None = None, from_at: int | None = None, **brings: int) -> Held:
    return Held(name.encode().ljust(8), Brings(name=name, fa=name, **brings), from_at, until)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("discount", "percent", "most", "at_least", "bill", "off"),
    [
        (500, 0, 0, 0, 2_000, 500),
        (500, 0, 0, 0, 300, 300),  # never more than the bill
        (500, 0, 0, 1_000, 999, 0),
        (0, 15, 0, 0, 999, 149),  # rounded down
        (0, 15, 100, 0, 999, 100),
        (0, 100, 0, 0, 7, 7),
    ],
)
def test_what_an_offer_takes_off_a_bill(
    discount: int, percent: int, most: int, at_least: int, bill: int, off: int
) -> None:
    what = Brings(
        name="x", fa="x", discount=discount, percent_off=percent, max_discount=most, at_least=at_least
    )
    assert money_off(what, bill) == off


def test_a_purchase_uses_one_offer_of_the_highest_priority_then_the_one_that_ends_first() -> None:
    there = [held("c", NOON + 9, points=1), held("b", NOON + 5, points=2), held("a", points=3)]
    there += [held("over", NOON, points=9), held("later", None, NOON + 1, points=9), held("off", discount=9)]
    programme = rules("")
    assert [each.id for each in for_sale(programme, there, NOON, 100)] == ["b"]
    there.append(held("first", points=1, priority=3))
    assert [each.id for each in for_sale(programme, there, NOON, 100)] == ["first"]
    assert for_sale(programme, [held("large", points=1, at_least=101)], NOON, 100) == ()


def test_where_bonuses_do_not_add_up_the_offer_that_counts_is_the_one_that_is_used() -> None:
    programme = rules('[bonus.day]\nkind = "always"\nextra = 50\n', 'points = 1\nper = 10\nstacking = "best"')
    there = [held("small", NOON + 1, extra=20), held("large", extra=80)]
    gains = for_sale(programme, there, NOON, 100)
    around = Circumstances(NOON, customer=member(), offers=gains)
    earned = earn_with(programme, 100, Currency.RIAL_CURRENT, True, NO_CARRY, around)
    assert isinstance(earned, Earned)
    assert (earned.points, [name[:5] for name in earned.offers]) == (18, [b"large"])
    only_small = Circumstances(NOON, customer=member(), offers=gains[:1])
    earned = earn_with(programme, 100, Currency.RIAL_CURRENT, True, NO_CARRY, only_small)
    assert isinstance(earned, Earned)
    assert (earned.points, earned.offers) == (15, ())


def test_a_window_goes_through_the_last_day_on_the_shop_s_calendar() -> None:
    assert window(at("1405/12/28", "23:59"), 2, "Asia/Tehran") == (
        at("1405/12/28", "23:59"),
        at("1406/01/02", "00:00"),
    )


@given(
    extra=st.integers(0, 10_000),
    points=st.integers(0, 10**9),
    percent_off=st.integers(0, 100),
    name=st.from_regex(r"[a-z0-9][a-z0-9-]{0,23}", fullmatch=True),
    fa=st.text(min_size=1, max_size=40),
)
def test_a_document_says_what_an_offer_brings(
    extra: int, points: int, percent_off: int, name: str, fa: str
) -> None:
    what = Brings(name=name, fa=fa, extra=extra, points=points, percent_off=percent_off)
    assert told(document(what)) == what


def test_an_identity_is_of_the_member_the_rule_and_the_occasion() -> None:
    names = {
        identity(holder, rule, occasion)
        for holder in (b"m" * 10, b"n" * 10)
        for rule in ("a", "a 1", "b")
        for occasion in (0, 1, 11)
    }
    assert len(names) == 18


REGULAR = Regular("", 12, 4_000_000, 30, at("1404/06/01"), at("1405/02/01"))


@pytest.mark.parametrize(
    ("says", "is_one"),
    [
        ('tier = "low"', True),
        ('tier = "high"', False),
        ("visits_at_least = 12", True),
        ("visits_at_least = 13", False),
        ("visits_below = 12", False),
        ("visits_below = 13", True),
        ("spent_at_least = 4_000_001", False),
        ("balance_at_least = 30", True),
        ("balance_at_least = 31", False),
        ("away_days = 4", True),
        ("away_days = 5", False),
        ("seen_days = 4", True),
        ("seen_days = 3", False),
        ("joined_days = 300", True),
        ("joined_days = 200", False),
        ('joined_from = "1404/06/01"\njoined_until = "1404/06/01"', True),
        ('joined_from = "1404/06/02"', False),
        ('joined_until = "1404/05/31"', False),
    ],
)
def test_who_is_in_a_segment(says: str, is_one: bool) -> None:
    tiers = '[tier.low]\nat_least = 0\nname_fa = "a"\n[tier.high]\nat_least = 9\nname_fa = "b"\n'
    programme = rules(f'{tiers}[segment.some]\nname_fa = "s"\n{says}\n')
    segment = segment_of(programme, "some")
    assert segment is not None
    assert is_in(programme, segment, REGULAR, NOON) is is_one


def test_who_never_bought_is_not_away() -> None:
    programme = rules('[segment.some]\nname_fa = "s"\naway_days = 1\n')
    segment = segment_of(programme, "some")
    assert segment is not None
    assert not is_in(programme, segment, Regular("", 0, 0, 0, NOON, 0), NOON)
