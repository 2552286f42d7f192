"""Explanations are derived anew and must reach the stored numbers."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.club.earn import NO_CARRY, Earned, earn
from vafa.club.explain import Code, Mismatch, Step, explain, explain_nothing
from vafa.club.programme import Programme
from vafa.model import events
from vafa.model.events import Nothing
from vafa.model.payment import PaymentKey, Scheme

RULES = Programme("کافه نگین", 1, 10, minimum=50)
HALF = Fraction(1, 2)


def award(paid: int, eligible: int, carry: Fraction, stored: Fraction, points: int) -> events.Award:
    return events.Award(
        events.Paid(PaymentKey(Scheme.RRN, "40217736", "1"), paid, 0, None, 1),
        b"m" * 10, "", RULES.id, eligible, stored.as_integer_ratio(), carry.as_integer_ratio(), points, 0, 1,
    )  # fmt: skip


def test_an_award_is_explained_from_the_amount_to_the_points() -> None:
    assert explain(RULES, award(105, 105, HALF, Fraction(21, 2), 11)) == (
        Step(Code.PAID, (105,)),
        Step(Code.RATE, (1, 10)),
        Step(Code.CONTRIBUTION, (105, 1, 10, Fraction(21, 2))),
        Step(Code.SUM, (HALF, Fraction(21, 2), Fraction(11))),
        Step(Code.POINTS, (11,)),
    )


def test_without_a_carry_there_is_no_sum_and_the_rest_is_told() -> None:
    steps = explain(RULES, award(105, 105, NO_CARRY, Fraction(21, 2), 10))
    assert isinstance(steps, tuple)
    assert [step.code for step in steps] == [
        Code.PAID,
        Code.RATE,
        Code.CONTRIBUTION,
        Code.POINTS,
        Code.CARRY_AFTER,
    ]
    assert steps[-1].values == (HALF,)


@pytest.mark.parametrize(
    ("paid", "eligible", "carry", "stored", "points", "what"),
    [
        (105, 105, HALF, Fraction(21, 2), 12, "points"),
        (105, 105, HALF, Fraction(10), 11, "contribution"),
        (105, 104, HALF, Fraction(21, 2), 11, "eligible"),
        (106, 105, HALF, Fraction(21, 2), 11, "eligible"),
        (105, 105, NO_CARRY, Fraction(21, 2), 11, "points"),
        (105, 105, Fraction(3, 2), Fraction(21, 2), 12, "carry"),
        (40, 40, NO_CARRY, Fraction(4), 4, "points"),  # below the minimum: nothing was to be earned
    ],
)
def test_an_altered_number_is_named(
    paid: int, eligible: int, carry: Fraction, stored: Fraction, points: int, what: str
) -> None:
    wrong = explain(RULES, award(paid, eligible, carry, stored, points))
    assert isinstance(wrong, Mismatch)
    assert wrong.what == what


@given(st.integers(50, 10**13 - 1), st.integers(0, 9))
def test_what_was_earned_is_always_explained(amount: int, tenths: int) -> None:
    carry = Fraction(tenths, 10)
    earned = earn(RULES, amount, 0, True, carry)
    assert isinstance(earned, Earned)
    steps = explain(RULES, award(amount, earned.eligible, carry, earned.contribution, earned.points))
    assert isinstance(steps, tuple)
    assert Step(Code.POINTS, (earned.points,)) in steps


@pytest.mark.parametrize(
    ("why", "code"),
    [
        (Nothing.NOT_A_SALE, Code.NOT_A_SALE),
        (Nothing.BASELINE, Code.BASELINE),
        (Nothing.NO_PROGRAMME, Code.NO_PROGRAMME),
        (Nothing.BELOW_MINIMUM, Code.BELOW_MINIMUM),
    ],
)
def test_why_nothing_was_earned_is_told(why: Nothing, code: Code) -> None:
    steps = explain_nothing(RULES, 49, why)
    assert isinstance(steps, tuple)
    assert [step.code for step in steps] == [Code.PAID, code, Code.POINTS]


def test_a_payment_called_too_small_that_was_not_is_a_mismatch() -> None:
    wrong = explain_nothing(RULES, 50, Nothing.BELOW_MINIMUM)
    assert isinstance(wrong, Mismatch)
    assert str(wrong) == "points: stored 0, the rules give 5"
