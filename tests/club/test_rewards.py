"""What points and stamps buy: quotes, costs, the next reward, pro rata returns."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.club.programme import Programme, Reward, StampCard
from vafa.club.rewards import (
    Means,
    No,
    Quote,
    cost,
    debt_and_forgiven,
    hold_is_over,
    next_reward,
    part_back,
    quote,
    worth,
)
from vafa.model.standing import Stamp, Standing

OFF = Reward(
    id="off", kind="amount-off", name_fa="تخفیف", points=1, rial=100, min_points=10, max_points=500, step=5
)
MEAL = Reward(id="meal", kind="threshold", name_fa="غذای رایگان", points=100, cost=900_000)
TEA = Reward(id="tea", kind="free-item", name_fa="چای", points=30, cost=50_000)
CUP = Reward(id="cup", kind="stamps", name_fa="قهوه رایگان", stamp="coffee", cost=150_000)
CARD = StampCard(id="coffee", name_fa="قهوه", needed=12)
SHOP = Programme("کافه", 1, 10, rewards=(OFF, MEAL, TEA, CUP), stamps=(CARD,))
STRICT = Programme(
    "کافه", 1, 10, rewards=(OFF, MEAL), redeem_min_balance=50, redeem_max_percent=20, redeem_per_day=60
)
FULL = Standing(stamps=(Stamp("coffee", 12, 1),))


# (usable points, debt, bill, wanted, what is had or why not)
@pytest.mark.parametrize(
    ("usable", "debt", "bill", "wanted", "told"),
    [
        (200, 0, 1_000_000, None, Quote("off", 200, 20_000)),
        (200, 0, 1_000_000, 50, Quote("off", 50, 5_000)),
        (200, 0, 1_000_000, 53, Quote("off", 50, 5_000)),  # a whole step
        (203, 0, 1_000_000, None, Quote("off", 200, 20_000)),
        (900, 0, 1_000_000, None, Quote("off", 500, 50_000)),  # the maximum
        (200, 0, 4_200, None, Quote("off", 40, 4_000)),  # never more than the bill
        (200, 0, 999, None, No.BILL_TOO_SMALL),
        (9, 0, 1_000_000, None, No.TOO_FEW),
        (200, 0, 1_000_000, 9, No.BELOW_MINIMUM),
        (200, 1, 1_000_000, None, No.DEBT),
    ],
)
def test_money_off(usable: int, debt: int, bill: int, wanted: int | None, told: Quote | No) -> None:
    assert quote(SHOP, OFF, Means(usable, debt), bill, wanted) == told


@pytest.mark.parametrize(
    ("reward", "means", "told"),
    [
        (MEAL, Means(100), Quote("meal", 100, 900_000)),
        (MEAL, Means(99), No.TOO_FEW),
        (TEA, Means(30), Quote("tea", 30, 50_000)),
        (CUP, Means(0, standing=FULL), Quote("cup", 0, 150_000, (("coffee", 12),))),
        (CUP, Means(0, debt=9, standing=FULL), Quote("cup", 0, 150_000, (("coffee", 12),))),
        (CUP, Means(900), No.TOO_FEW_STAMPS),
    ],
)
def test_things_for_points_and_stamps(reward: Reward, means: Means, told: Quote | No) -> None:
    assert quote(SHOP, reward, means, 0) == told


# (usable, redeemed today, bill, what is had or why not)
@pytest.mark.parametrize(
    ("usable", "today", "bill", "told"),
    [
        (49, 0, 1_000_000, No.BALANCE),
        (50, 0, 1_000_000, Quote("off", 50, 5_000)),
        (90, 0, 1_000_000, Quote("off", 60, 6_000)),
        (90, 30, 1_000_000, Quote("off", 30, 3_000)),
        (90, 55, 1_000_000, No.DAY_SPENT),
        (90, 0, 20_000, Quote("off", 40, 4_000)),  # a fifth of the bill
    ],
)
def test_what_the_programme_bounds(usable: int, today: int, bill: int, told: Quote | No) -> None:
    assert quote(STRICT, OFF, Means(usable, spent_today=today), bill) == told


# (held points, rial really taken off, points it costs)
@pytest.mark.parametrize(
    ("held", "applied", "points"), [(50, 5_000, 50), (50, 4_999, 50), (50, 4_900, 49), (50, 1, 1), (50, 0, 0)]
)
def test_the_cost_is_computed_from_what_was_really_applied(held: int, applied: int, points: int) -> None:
    assert cost(OFF, held, applied) == points
    assert cost(MEAL, 100, applied) == 100


@given(st.integers(1, 10**6), st.integers(1, 1_000), st.integers(1, 10**6), st.data())
def test_a_capture_never_takes_more_points_than_were_held_nor_fewer_than_what_it_took_off_is_worth(
    held: int, points: int, rial: int, data: st.DataObject
) -> None:
    reward = Reward(id="off", kind="amount-off", name_fa="x", points=points, rial=rial)
    applied = data.draw(st.integers(0, worth(reward, held)))
    taken = cost(reward, held, applied)
    assert 0 <= taken <= held
    assert worth(reward, taken) >= applied
    assert not taken or worth(reward, taken - 1) < applied or taken == held


@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.randoms())
def test_order_and_splitting_of_the_same_refund_return_the_same_points(
    total: int, parts: list[int], chance: object
) -> None:
    amount = sum(parts)
    returned = gone = 0
    for part in parts:
        gone += part
        back = part_back(total, returned, gone, amount)
        assert back >= 0
        returned += back
        assert returned <= Fraction(total * gone, amount)
    assert returned == total


@pytest.mark.parametrize(
    ("cap", "owed", "short", "told"),
    [(0, 90, 50, (50, 0)), (100, 0, 50, (50, 0)), (100, 90, 50, (10, 40)), (100, 120, 50, (0, 50))],
)
def test_a_debt_has_a_cap_and_the_rest_is_forgiven(
    cap: int, owed: int, short: int, told: tuple[int, int]
) -> None:
    assert debt_and_forgiven(cap, owed, short) == told


@pytest.mark.parametrize(
    ("usable", "told"), [(0, ("tea", 30)), (30, ("meal", 70)), (99, ("meal", 1)), (100, None)]
)
def test_the_next_reward_is_the_nearest_out_of_reach(usable: int, told: tuple[str, int] | None) -> None:
    found = next_reward(SHOP.rewards, usable)
    assert (found and (found[0].id, found[1])) == told


@pytest.mark.parametrize(
    ("until", "now", "over"),
    [
        (1_000, 999, False),
        (1_000, 1_000, True),
        (1_767_000_000, 60, True),
    ],  # the last: a clock that fell back
)
def test_a_hold_ends_by_its_deadline_and_by_a_clock_that_fell(until: int, now: int, over: bool) -> None:
    assert hold_is_over(until, now) is over
