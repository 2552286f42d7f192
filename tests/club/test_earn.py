"""LOYALTY.md §1, as tables a shopkeeper can read, and the property behind them."""

from fractions import Fraction

import pytest
from club_rules import at, member, rules
from hypothesis import given
from hypothesis import strategies as st

from vafa.club.earn import NO_CARRY, Circumstances, Earned, contribution, earn, post, regroup
from vafa.club.programme import PER_MAX, POINTS_MAX, Programme
from vafa.model.events import Nothing
from vafa.model.money import AMOUNT_MAX, Currency

HALF = Fraction(1, 2)
RIAL = Currency.RIAL_CURRENT


def programme(points: int, per: int, minimum: int = 0) -> Programme:
    return Programme("کافه نگین", points, per, minimum=minimum)


def sells(rules: Programme, *amounts: int) -> list[int]:
    """The points posted for each sale in turn, the carry handed on."""
    carry, posted = NO_CARRY, []
    for amount in amounts:
        earned = earn(rules, amount, RIAL, True, carry)
        assert isinstance(earned, Earned)
        posted.append(earned.points)
        carry = earned.carry_after
    return posted


@pytest.mark.parametrize(
    ("points", "per", "sales", "posted"),
    [
        (1, 50, [30, 20], [0, 1]),
        (1, 10, [105], [10]),
        (1, 10, [105, 5], [10, 1]),
        (1, 10_000, [9_999], [0]),
        (1, 10_000, [10_000], [1]),
        (1, 10_000, [9_999, 1], [0, 1]),
        (1, 10_000, [450_000, 785_000, 15_000], [45, 78, 2]),
        (2, 3, [1, 1, 1], [0, 1, 1]),
        (7, 3, [1], [2]),
    ],
)
def test_a_sale_earns_whole_points_and_hands_the_rest_on(
    points: int, per: int, sales: list[int], posted: list[int]
) -> None:
    assert sells(programme(points, per), *sales) == posted


def test_a_sale_of_105_at_one_per_10_leaves_half_a_point() -> None:
    earned = earn(programme(1, 10), 105, RIAL, True, NO_CARRY)
    assert earned == Earned(eligible=105, contribution=Fraction(21, 2), points=10, carry_after=HALF)


def test_refunding_the_30_of_30_and_20_takes_the_one_point_back() -> None:
    rules = programme(1, 50)
    after_both = post(Fraction(30, 50), contribution(rules, 20))
    assert post(after_both.carry_after, -contribution(rules, 30)).points == -1


@pytest.mark.parametrize(
    ("refunds", "posted"),
    [([10], -1), ([10] * 10, -10), ([9] * 11, -10), ([105], -10)],
)
def test_refunds_of_a_105_sale_take_back_what_the_floor_says(refunds: list[int], posted: int) -> None:
    rules, carry, total = programme(1, 10), HALF, 0
    for amount in refunds:
        change = post(carry, -contribution(rules, amount))
        total, carry = total + change.points, change.carry_after
    assert total == posted


@pytest.mark.parametrize(
    ("amount", "minimum", "answer"),
    [
        (49_999, 50_000, Nothing.BELOW_MINIMUM),
        (50_000, 50_000, 5),  # the minimum itself earns
        (0, 0, 0),
    ],
)
def test_a_sale_below_the_minimum_earns_nothing(amount: int, minimum: int, answer: Nothing | int) -> None:
    earned = earn(programme(1, 10_000, minimum), amount, RIAL, True, NO_CARRY)
    assert (earned.points if isinstance(earned, Earned) else earned) == answer


def test_a_sale_below_the_minimum_does_not_touch_the_carry() -> None:
    assert earn(programme(1, 10, 100), 99, RIAL, True, HALF) is Nothing.BELOW_MINIMUM


def test_a_bill_payment_is_no_sale_and_earns_nothing() -> None:
    assert earn(programme(1, 10), 1_898_010, RIAL, False, NO_CARRY) is Nothing.NOT_A_SALE


def test_a_programme_in_rial_has_no_rate_for_the_new_rial() -> None:
    assert earn(programme(1, 10), 100, Currency.RIAL_NEW, True, NO_CARRY) is Nothing.NO_PROGRAMME


rates = st.builds(programme, st.integers(1, POINTS_MAX), st.integers(1, 100_000))


@given(rates, st.lists(st.integers(0, 10_000_000), min_size=1, max_size=12), st.data())
def test_any_split_of_a_purchase_in_any_order_with_its_refunds_ends_with_what_the_whole_earns(
    rules: Programme, parts: list[int], data: st.DataObject
) -> None:
    refunded = data.draw(st.lists(st.integers(0, 10_000_000), max_size=6))
    moves = data.draw(st.permutations([*parts, *(-r for r in refunded)]))
    carry, points = NO_CARRY, 0
    for amount in moves:
        posting = post(carry, contribution(rules, amount))
        carry, points = posting.carry_after, points + posting.points
    whole = post(NO_CARRY, contribution(rules, sum(parts) - sum(refunded)))
    assert (points, carry) == (whole.points, whole.carry_after)


@given(
    rates,
    st.lists(st.integers(0, AMOUNT_MAX), max_size=8),
    st.lists(st.integers(0, AMOUNT_MAX), max_size=8),
)
def test_a_claim_ends_where_having_enrolled_first_would_have(
    rules: Programme, own: list[int], waiting: list[int]
) -> None:
    enrolled_first = post(NO_CARRY, contribution(rules, sum(own) + sum(waiting)))
    before = post(NO_CARRY, contribution(rules, sum(own)))
    claimed = regroup([contribution(rules, amount) for amount in waiting], before.carry_after)
    assert before.points + claimed.points == enrolled_first.points
    assert claimed.carry_after == enrolled_first.carry_after


def test_two_hints_that_each_floored_to_nothing_bring_the_point_they_make_together() -> None:
    assert regroup([Fraction(3, 5), Fraction(2, 5)], NO_CARRY).points == 1


def test_the_largest_numbers_a_programme_allows_fit_in_64_bits() -> None:
    widest = Programme("ف", POINTS_MAX, PER_MAX - 1)
    largest = contribution(widest, AMOUNT_MAX)
    carry = Fraction(PER_MAX - 2, PER_MAX - 1)
    posting = regroup([largest] * 900, carry)
    assert max(posting.contribution.numerator, posting.points, PER_MAX) < 2**63
    unit = contribution(Programme("ف", POINTS_MAX, 1), AMOUNT_MAX)
    assert regroup([unit] * 900, NO_CARRY).points < 2**63


NEW = Currency.RIAL_NEW
BOTH = Programme(
    "مغازه", 1, 10_000, minimum=50_000, new_points=1, new_per=1, new_minimum=5, cap_day=100, cap_payment=50
)


@pytest.mark.parametrize(
    ("amount", "currency", "answer"),
    [
        (450_000, RIAL, 45),
        (45, NEW, 45),  # the same money
        (49_999, RIAL, Nothing.BELOW_MINIMUM),
        (4, NEW, Nothing.BELOW_MINIMUM),
        (600_000, RIAL, 50),
        (60, NEW, 50),  # points are never rescaled, and so their caps are not
    ],
)
def test_each_currency_epoch_has_a_rate_and_a_minimum_of_its_own(
    amount: int, currency: Currency, answer: Nothing | int
) -> None:
    earned = earn(BOTH, amount, currency, True, NO_CARRY)
    assert (earned.points if isinstance(earned, Earned) else earned) == answer


def test_a_band_and_a_tier_s_rate_are_written_in_current_rial_and_hold_for_both() -> None:
    programme = rules(
        '[tier.good]\nat_least = 0\nname_fa = "خوب"\npoints = 1\nper = 20_000\n'
        '[bonus.large]\nkind = "amount"\nat_least = 1_000_000\nextra = 100\n[new_rial]\npoints = 1\nper = 1',
        "points = 1\nper = 10_000",
    )
    for amount, currency in ((1_000_000, RIAL), (100, NEW)):
        around = Circumstances(at("1405/02/05"), customer=member())
        earned = earn(programme, amount, currency, True, NO_CARRY, around)
        assert isinstance(earned, Earned)
        assert earned.points == 100  # 50 at the tier's rate, doubled
        assert earned.counted is not None
        assert earned.counted.value == 1_000_000
