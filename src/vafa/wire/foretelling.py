"""What rules beyond a rate put into an award, foretold from the awards before it in the payload.

Both sides walk an award's fields in one order; each field is `tell(its place, what is foretold)`. The writer
compares and notes what differs, the reader takes what was noted: so the foretelling is written once. It
knows how shops work (all of a month lapse together, a visit follows the last one) and how the grocery
example counts (spending, by the Jalali year); a wrong guess costs a few bytes and nothing else.

This is a part of the form: what it foretells for given awards never changes, a better one is another form.
"""

from collections.abc import Callable
from datetime import date
from math import gcd
from typing import Any

import msgspec

from vafa.model import events
from vafa.model.calendar import from_jalali, to_jalali
from vafa.model.remembering import after_award
from vafa.model.standing import NOT_LOOKED_AT

FIRST_FIELD = 10  # of an award: those before it travel in columns of their own
FIELDS = events.Award.__struct_fields__[FIRST_FIELD : FIRST_FIELD + 17]
DEFAULTS = events.Award.__struct_defaults__[:17]
AT, LESS, FIXED, CLIPPED, AVAILABLE, EXPIRES, VISITS, TIER, STANDING = range(9)
DAY, STAMPS, GRANTED, COUNTED, BUDGET, OFFERS, BESIDE, LAPSING = range(9, 17)
_BY_DAY = 10_000  # a metric's period above it is a day's ordinal, below it a Jalali year
_SPENT_IN_A_YEAR = 11
_STANDING_BYTES_MAX = 1_000
_TEHRAN_S = 12_600
_MONTHS_GOOD = 7
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAYS_MAX = 55_000  # since 1970: as far as the calendar reaches
# A payload must not grow beyond measure by what is foretold again and again: longer texts are told each time.
_TEXT_CHARS_MAX, _STAMPS_MAX, _BUDGET_BITS_MAX = 100, 20, 256

Tell = Callable[[int, Any], Any]


class Foreteller:
    """One payload's. `walk` is asked for each award with rules, in their order."""

    def __init__(self) -> None:
        self._last_of: dict[bytes, events.Award] = {}
        self._before: dict[bool, events.Award] = {}
        self._budgets: dict[bytes, tuple[int, int]] = {}
        self._standing_is_told = False

    def walk(self, plain: events.Award, tell: Tell) -> events.Award:
        """The award with the fields that `tell` answers; `plain` is it without them."""
        holder = plain.holder
        is_known = bool(holder) and not plain.claim
        last = self._last_of.get(holder) if holder else None
        before = self._before.get(is_known)
        at = tell(AT, events.instant_of_rules(plain.paid, 0))
        less, fixed, clipped = tell(LESS, ()), tell(FIXED, 0), tell(CLIPPED, ())
        pends = before is not None and before.available_at
        available_at = tell(AVAILABLE, at + before.available_at - before.at if before and pends else 0)
        expires_at = tell(EXPIRES, before.expires_at if before else _first_expiry(at))
        visits = tell(VISITS, last.visits + 1 if last else 0)
        tier = tell(TIER, last.tier if last and len(last.tier) <= _TEXT_CHARS_MAX else "")
        standing = tell(STANDING, self._standing(last, visits))
        days = before is not None and before.day
        day = tell(DAY, before.day + _day_of(at) - _day_of(before.at) if before and days else 0)
        rules = (
            at, less, fixed, clipped, available_at, expires_at, visits, tier, standing, day,
            tell(STAMPS, _stamps(before)),
            tell(GRANTED, ()),
            tell(COUNTED, _counted(plain, at, before) if is_known else None),
            tell(BUDGET, self._budgets.get(plain.programme)),
            tell(OFFERS, ()),
            tell(BESIDE, 0),
            tell(LAPSING, (0, 0)),
        )  # fmt: skip
        fields: tuple[Any, ...] = (*msgspec.structs.astuple(plain)[:FIRST_FIELD], *rules)
        award = events.Award(*fields)
        self._take(award, is_known)
        return award

    def _take(self, award: events.Award, is_known: bool) -> None:  # noqa: FBT001 - a key, no switch
        self._before[is_known] = award
        if award.holder:
            self._last_of[award.holder] = award
        if award.budget is not None:
            after = _sum(award.budget, award.contribution)
            if max(map(int.bit_length, after)) <= _BUDGET_BITS_MAX:
                self._budgets[award.programme] = after
        if award.standing and award.standing != NOT_LOOKED_AT:
            self._standing_is_told = True

    def _standing(self, last: events.Award | None, visits: int) -> bytes:
        if not visits:
            return b""
        if last is None or not self._standing_is_told or last.standing == NOT_LOOKED_AT:
            return NOT_LOOKED_AT
        try:
            after = after_award(last.standing, last.visits, last)
        except (msgspec.DecodeError, ArithmeticError):
            return b""
        return after if len(after) <= _STANDING_BYTES_MAX else b""


def _stamps(before: events.Award | None) -> tuple[tuple[str, int], ...]:
    if before is None or len(before.stamps) > _STAMPS_MAX:
        return ()
    return before.stamps if all(len(name) <= _TEXT_CHARS_MAX for name, _ in before.stamps) else ()


def _first_expiry(at: int) -> int:
    """The start of the seventh Jalali month from now: six months, rounded to their end, in Tehran."""
    days = (at + _TEHRAN_S) // 86_400
    if not 0 <= days < _DAYS_MAX:
        return 0
    year, month, _ = to_jalali(date.fromordinal(days + _EPOCH_DAY))
    years, month = divmod(month - 1 + _MONTHS_GOOD, 12)
    return (from_jalali(year + years, month + 1, 1).toordinal() - _EPOCH_DAY) * 86_400 - _TEHRAN_S


def _counted(plain: events.Award, at: int, before: events.Award | None) -> events.Counted | None:
    """What the tier's metric gains: as before, of this amount or these points, in the period it is now."""
    if before is None:
        days = (at + _TEHRAN_S) // 86_400
        if not 0 <= days < _DAYS_MAX:
            return None
        year, _, _ = to_jalali(date.fromordinal(days + _EPOCH_DAY))
        return events.Counted(_SPENT_IN_A_YEAR, year, plain.eligible, year - 1)
    then = before.counted
    if then is None:
        return None
    value = then.value
    if value == before.eligible:
        value = plain.eligible
    elif value == before.points:
        value = plain.points
    later = _day_of(at) - _day_of(before.at) if then.period > _BY_DAY else 0
    return events.Counted(then.metric, then.period + later, value, then.since + later)


def _day_of(at: int) -> int:
    return (at + _TEHRAN_S) // 86_400


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    numerator, denominator = one[0] * other[1] + other[0] * one[1], one[1] * other[1]
    divisor = gcd(numerator, denominator) or 1
    return numerator // divisor, denominator // divisor
