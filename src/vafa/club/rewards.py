"""What points and stamps buy, and what a wish for it costs: the quote before a hold.

An `amount-off` turns points into money off the bill, any number within minimum, maximum and step; `threshold`
and `free-item` give something for a number of points; `stamps` gives one for a full stamp card. The cost is
computed from what is really applied: never more points than the bill takes, and after the payment never more
than what was taken off.

Source: LOYALTY.md §3 (pro rata) and §4.
"""

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from vafa.club.programme import Programme, Reward
from vafa.model.standing import Standing

AMOUNT_OFF, STAMPS = "amount-off", "stamps"
MINUTE_S = 60
HOLD_S_MAX = 24 * 60 * MINUTE_S  # the longest a programme may let a hold stand


class No(StrEnum):
    """Why a reward cannot be had now; the words stand in app.redeem_words."""

    DEBT = "debt"
    BALANCE = "balance"  # the programme wants more points to be there before any is spent
    TOO_FEW = "too_few"
    BELOW_MINIMUM = "below_minimum"
    BILL_TOO_SMALL = "bill_too_small"
    DAY_SPENT = "day_spent"
    TOO_FEW_STAMPS = "too_few_stamps"


class Means(Struct, frozen=True):
    """What a member has to spend. usable: points; spent_today: those redeemed or held since midnight."""

    usable: int
    debt: int = 0
    spent_today: int = 0
    standing: Standing = Standing()


class Quote(Struct, frozen=True):
    """What a redemption takes, and what it is worth: rial off the bill, or what the reward costs the shop."""

    reward: str
    points: int
    rials: int
    stamps: tuple[tuple[str, int], ...] = ()


def reward_of(programme: Programme, name: str) -> Reward | None:
    """The reward a programme calls so."""
    return next((each for each in programme.rewards if each.id == name), None)


def stamps_needed(programme: Programme, reward: Reward) -> int:
    """How many stamps fill the card that a `stamps` reward is given for."""
    return next(card.needed for card in programme.stamps if card.id == reward.stamp)


def quote(
    programme: Programme, reward: Reward, means: Means, bill: int, wanted: int | None = None
) -> Quote | No:
    """The most a member may have of a reward on a bill of so many rial, or `wanted` points of it; or why not.

    A debt blocks what costs points; a stamp card is full whatever is owed.
    """
    if reward.kind == STAMPS:
        needed = stamps_needed(programme, reward)
        if means.standing.stamp(reward.stamp).count < needed:
            return No.TOO_FEW_STAMPS
        return Quote(reward.id, 0, reward.cost, ((reward.stamp, needed),))
    return _for_points(programme, reward, means, bill, wanted)


def _for_points(
    programme: Programme, reward: Reward, means: Means, bill: int, wanted: int | None
) -> Quote | No:
    if means.debt:
        return No.DEBT
    if means.usable < programme.redeem_min_balance:
        return No.BALANCE
    today = means.usable
    if programme.redeem_per_day:
        today = max(0, programme.redeem_per_day - means.spent_today)
    if reward.kind == AMOUNT_OFF:
        return _amount_off(programme, reward, means.usable, today, bill, wanted)
    if means.usable < reward.points:
        return No.TOO_FEW
    return No.DAY_SPENT if today < reward.points else Quote(reward.id, reward.points, reward.cost)


def _amount_off(
    programme: Programme, reward: Reward, usable: int, today: int, bill: int, wanted: int | None
) -> Quote | No:
    """Points for money off: down to a whole step, up to what bill, maximum, day and member allow."""
    step = max(reward.step, 1)
    least = _up(max(reward.min_points, 1), step)
    of_bill = points_of(reward, bill * programme.redeem_max_percent // 100)
    most = min(of_bill, usable, today, reward.max_points or usable)
    points = _down(most if wanted is None else min(most, wanted), step)
    rials = worth(reward, points)
    if points >= least and rials:
        return Quote(reward.id, points, rials)
    if usable < least:
        return No.TOO_FEW
    if today < least:
        return No.DAY_SPENT
    return No.BILL_TOO_SMALL if of_bill < least else No.BELOW_MINIMUM


def worth(reward: Reward, points: int) -> int:
    """The rial that so many points of an amount-off take off, rounded down to a whole one."""
    return points * reward.rial // reward.points


def points_of(reward: Reward, rials: int) -> int:
    """The most points of an amount-off that are worth no more than so many rial."""
    return rials * reward.points // reward.rial


def cost(reward: Reward, held: int, applied: int) -> int:
    """The points a capture takes when `applied` rial were really taken off: the fewest worth that much.

    What is no money off was had or not had as a whole.
    """
    if reward.kind != AMOUNT_OFF or applied >= worth(reward, held):
        return held
    return min(held, -(-applied * reward.points // reward.rial))


def next_reward(rewards: Sequence[Reward], usable: int) -> tuple[Reward, int] | None:
    """(the cheapest reward of fixed cost that is out of reach, points missing); None when there is none."""
    missing = sorted(
        (each.points - usable, each.id, each)
        for each in rewards
        if each.kind not in (AMOUNT_OFF, STAMPS) and each.points > usable
    )
    return (missing[0][2], missing[0][0]) if missing else None


def hold_is_over(until: int, now: int) -> bool:
    """True when a hold's deadline has passed; also when the clock fell so far back that it never would."""
    return now >= until or until - now > HOLD_S_MAX


def part_back(total: int, returned: int, gone: int, amount: int) -> int:
    """Of `total` points paid for a sale of `amount`, those that come back when `gone` of it in all went back
    and `returned` did already. One floor over the sum, so splitting and ordering never matter; where a return
    of its own brought more back already, nothing."""
    assert 0 <= gone <= amount, "no more is refunded than was paid"
    return max(0, (total if gone == amount else total * gone // amount) - returned)


def debt_and_forgiven(debt_cap: int, owed: int, short: int) -> tuple[int, int]:
    """(what a member comes to owe more, what is forgiven) of points that are not there to be taken back.

    debt_cap  the most the programme lets a member owe; 0: no bound
    """
    debt = min(short, max(0, debt_cap - owed)) if debt_cap else short
    return debt, short - debt


def _down(points: int, step: int) -> int:
    return points - points % step


def _up(points: int, step: int) -> int:
    return points + -points % step
