"""How a stored number came about, derived anew from the stored inputs.

Steps are never stored, hashed or sent (LOYALTY.md §6): they are computed from the programme, the eligible
amount and the carry, and must reach the stored contribution and points. Where they do not, the answer is a
`Mismatch` that names the first value that differs; `verify` reports it, nobody rounds it away.

A step is a code and its numbers. The words, Persian and English, stand in receipt/explained.py.
"""

from enum import StrEnum
from fractions import Fraction

from msgspec import Struct

from vafa.club.earn import Earned, contribution, earn
from vafa.club.programme import CURRENCIES, Programme
from vafa.model.events import Nothing


class Code(StrEnum):
    """What a step says; `values` below it, in order. Never rename: the words are looked up by it."""

    PAID = "paid"  # amount
    ELIGIBLE = "eligible"  # eligible amount
    RATE = "rate"  # points, per
    CONTRIBUTION = "contribution"  # eligible, points, per, contribution
    SUM = "sum"  # carry before, contribution, their sum
    POINTS = "points"  # points
    CARRY_AFTER = "carry_after"  # carry after
    NOT_A_SALE = "not_a_sale"
    BELOW_MINIMUM = "below_minimum"  # minimum
    BASELINE = "baseline"
    NO_PROGRAMME = "no_programme"


class Step(Struct, frozen=True):
    code: Code
    values: tuple[int | Fraction, ...] = ()


class Mismatch(Struct, frozen=True):
    """The stored value is not what the rules give for the stored inputs."""

    what: str
    stored: int | Fraction
    computed: int | Fraction

    def __str__(self) -> str:
        return f"{self.what}: stored {self.stored}, the rules give {self.computed}"


def explain(
    programme: Programme, paid: int, eligible: int, carry: Fraction, stored: Fraction, points: int
) -> tuple[Step, ...] | Mismatch:
    """The arithmetic of an award, from `paid` minor units to `points`; `stored` is its contribution."""
    if not 0 <= carry < 1:
        return Mismatch("carry", carry, carry - carry.__floor__())
    result = earn(programme, paid, CURRENCIES[programme.currency], True, carry)  # noqa: FBT003
    if isinstance(result, Nothing):
        return Mismatch("points", points, 0)
    wrong = _first_difference(result, eligible, stored, points)
    if wrong:
        return wrong
    steps = [
        Step(Code.PAID, (paid,)),
        Step(Code.RATE, (programme.points, programme.per)),
        Step(Code.CONTRIBUTION, (eligible, programme.points, programme.per, result.contribution)),
    ]
    if eligible != paid:
        steps.insert(1, Step(Code.ELIGIBLE, (eligible,)))
    if carry:
        steps.append(Step(Code.SUM, (carry, result.contribution, carry + result.contribution)))
    steps.append(Step(Code.POINTS, (result.points,)))
    if result.carry_after:
        steps.append(Step(Code.CARRY_AFTER, (result.carry_after,)))
    return tuple(steps)


def explain_nothing(programme: Programme | None, paid: int, why: Nothing) -> tuple[Step, ...] | Mismatch:
    """Why a payment earned nothing. A stored "below the minimum" is checked against the minimum."""
    steps = [Step(Code.PAID, (paid,))]
    match why:
        case Nothing.NOT_A_SALE:
            steps.append(Step(Code.NOT_A_SALE))
        case Nothing.BASELINE:
            steps.append(Step(Code.BASELINE))
        case Nothing.NO_PROGRAMME:
            steps.append(Step(Code.NO_PROGRAMME))
        case Nothing.BELOW_MINIMUM:
            assert programme is not None, "a minimum comes from a programme"
            if paid >= programme.minimum:
                return Mismatch("points", 0, contribution(programme, paid).__floor__())
            steps.append(Step(Code.BELOW_MINIMUM, (programme.minimum,)))
    return (*steps, Step(Code.POINTS, (0,)))


def _first_difference(result: Earned, eligible: int, stored: Fraction, points: int) -> Mismatch | None:
    if eligible != result.eligible:
        return Mismatch("eligible", eligible, result.eligible)
    if stored != result.contribution:
        return Mismatch("contribution", stored, result.contribution)
    if points != result.points:
        return Mismatch("points", points, result.points)
    return None
