"""Bugs planted in tiers, in what points are spent for, and in what goes back."""

from fractions import Fraction
from math import ceil
from typing import Any

from msgspec.structs import replace
from planting import Bug, Patch, both, instead

from vafa.app import counter, evaluating, moving, redeeming, returning, settling, undo
from vafa.books import effect
from vafa.books import moving as book_moving
from vafa.books import undo as book_undo
from vafa.club import earn, rewards, tiers
from vafa.model import lots as lot_law

DAY_S = 86_400
TIERS = (
    ("basic", {"at_least": 0}),
    ("gold", {"at_least": 2, "extra": 20}),
    ("ruby", {"at_least": 4, "extra": 50}),
)
VISITS = {"metric": "visits", "window": "ever", "window_days": 0, "tiers": TIERS}
ROLLING = {
    **VISITS, "window": "rolling", "window_days": 5,
    "evaluate": "month", "grace_days": 0, "inactive_months": 0,
}  # fmt: skip
FALLING = {**ROLLING, "metric": "points"}  # the first purchase reaches all, and nothing keeps it
MONEY = {"kind": "amount-off", "points": 3, "rial": 7}
FREE = {"min_balance": 0, "per_day": 0, "max_percent": 100}
SPENT = {"theme": "spending", "unit": 1, **FREE}


def _evaluated(**changes: Any) -> Patch:
    """Evaluations that go by another programme than the one in force."""
    return instead(tiers, "evaluated", lambda right: lambda p, *given: right(replace(p, **changes), *given))


def _quote(**changes: Any) -> Patch:
    return instead(redeeming, "quote", lambda right: lambda p, *given: right(replace(p, **changes), *given))


def _a_stamp_short(right: Any) -> Any:
    def wrong(*given: Any) -> Any:
        quoted = right(*given)
        if not getattr(quoted, "stamps", ()):
            return quoted
        return replace(quoted, stamps=tuple((card, count - 1) for card, count in quoted.stamps))

    return wrong


def _dearer(right: Any) -> Any:
    return lambda reward, points: ceil(Fraction(points * reward.rial, reward.points)) or right(reward, points)


def _only_the_eve(_right: Any) -> Any:
    from datetime import timedelta

    return lambda p, window, day: tiers.metric_now(p, window, day - timedelta(days=1))


def _any_lot(_right: Any) -> Any:
    return lambda lots, had, points, _own: lot_law.debit(lots, had, points)


VALUE: dict[str, Bug] = {
    "a tier's threshold is exclusive": Bug(
        instead(tiers, "_up", lambda right: lambda p, t, m: right(p, t, m - 1)), VISITS
    ),
    "tiers earn nothing extra": Bug(
        instead(earn, "_tier_rate", lambda _: lambda _p, _c, _n, rate: rate), VISITS
    ),
    "refunds leave the tier's metric": Bug(
        instead(tiers, "taken_out", lambda _: lambda *_: None), VISITS
    ),
    "a rolling window looks back a day more": Bug(
        instead(tiers, "metric_now", lambda right: lambda p, *given: right(
            replace(p, window_days=p.window_days + 1), *given
        )),
        ROLLING, 40,
    ),
    "last year does not hold through this one": Bug(
        instead(tiers, "_kept_by", _only_the_eve),
        {**VISITS, "window": "year", "evaluate": "month", "grace_days": 0, "inactive_months": 0},
        40,
    ),
    "one down is all the way down": Bug(
        _evaluated(downgrade="to_qualified"), {**FALLING, "downgrade": "one_down"}
    ),
    "all the way down is one down": Bug(
        _evaluated(downgrade="one_down"), {**FALLING, "downgrade": "to_qualified"}
    ),
    "there is no grace": Bug(_evaluated(grace_days=0), {**ROLLING, "grace_days": 40}),
    "nobody is away too long": Bug(
        _evaluated(inactive_months=0), {**VISITS, "evaluate": "month", "inactive_months": 1}
    ),
    "nobody is ever evaluated": Bug(
        instead(evaluating.Evaluations, "run", lambda _: lambda _self: ""), ROLLING
    ),
    "a debt is never paid": Bug(
        both(*(instead(where, "paying", lambda _: lambda *_: 0) for where in (effect, counter, undo))), {}
    ),
    "a debt has no cap": Bug(
        instead(undo, "debt_and_forgiven", lambda _: lambda _cap, _owed, short: (short, 0)), {"debt_cap": 5}
    ),
    "a sale that goes back takes any lot": Bug(
        both(*(instead(where, "claw_back", _any_lot) for where in (undo, moving, book_undo, book_moving))),
        {"months": 6, "rounded": "none"},
    ),
    "lots are drawn oldest first": Bug(
        instead(
            lot_law.Lot, "draw_order", lambda _: property(lambda lot: (not lot.expires_at, lot.seq, lot.seq))
        ),
        {**SPENT, "months": 6, "rounded": "none"},  # lives into the version that lapses first
    ),
    "a held point can be held again": Bug(
        instead(redeeming, "usable", lambda right: lambda lots, had, _held, at: right(lots, had, 0, at)),
        {**FREE, "hold_minutes": 1_440, "pending_hours": 0, "pending_days": 0},
        40,
    ),
    "a hold ends an hour late": Bug(
        instead(settling, "hold_is_over", lambda right: lambda until, now: right(until + 3_600, now)), {}
    ),
    "money off is rounded up": Bug(
        instead(rewards, "worth", _dearer), {**SPENT, "rewards": (("money", MONEY),)}
    ),
    "points come in any number": Bug(
        instead(rewards, "_down", lambda _: lambda points, _step: points),
        {**SPENT, "rewards": (("money", {**MONEY, "step": 5}),)},
    ),
    "the smallest redemption is one point": Bug(
        instead(rewards, "_up", lambda _: lambda _points, _step: 1),
        {**SPENT, "rewards": (("money", {**MONEY, "min_points": 9}),)},
    ),
    "points pay the whole bill": Bug(
        _quote(redeem_max_percent=100), {**SPENT, "rewards": (("money", MONEY),), "max_percent": 10}
    ),
    "a day's redemptions do not count": Bug(
        instead(redeeming, "spent_today", lambda _: lambda *_: 0), {**FREE, "per_day": 4}, 40
    ),
    "the least balance is not asked for": Bug(_quote(redeem_min_balance=0), {**FREE, "min_balance": 10}),
    "a capture costs all that was held": Bug(
        instead(redeeming, "cost", lambda _: lambda _reward, held, _applied: held),
        {**SPENT, "rewards": (("money", MONEY),)},
    ),
    "a full card gives one stamp too few": Bug(instead(redeeming, "quote", _a_stamp_short), SPENT),
    "stamps of a hold that ends are lost": Bug(
        instead(settling, "hold_event", lambda right: lambda *given: replace(right(*given), stamps=())), SPENT
    ),
    "what comes back never lapses": Bug(
        instead(returning, "came_back", lambda _: lambda _t, _all, _was, points, *_: ((), points)), SPENT
    ),
    "what comes back late is good for a day more": Bug(
        instead(returning, "good_again_until", lambda right: lambda *given: right(*given) + DAY_S), SPENT, 40
    ),
    "half the money brings all points back": Bug(
        instead(returning, "part_back", lambda _: lambda total, was, _gone, _amount: total - was), SPENT, 40
    ),
}  # fmt: skip
