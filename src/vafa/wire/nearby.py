"""Dates, days and what a tier counts, told by how near they are to the sale: a lone award foretells nothing.

A date is mostly none, the start of one of the next Jalali months, or a day or half an hour near the sale, all
in Tehran's time; a day is mostly the sale's own; a period the sale's Jalali year or day. Each is one small
number then. Anything else costs what it is long. A part of the form, as wire.foretelling is.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from vafa.model import events
from vafa.model.calendar import from_jalali, to_jalali
from vafa.model.errors import Malformed
from vafa.wire.columns import Reader, Writer, unzigzag, zigzag

_TEHRAN_S, _DAY_S, _HALF_HOUR_S = 12_600, 86_400, 1_800
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAYS_MAX = 55_000  # since 1970: as far as the calendar reaches
_MONTHS_MAX = 60
_NUMBER_MAX = 2**53
_MONTHS, _DAYS, _HALF_HOURS, _SECONDS = range(4)
_UNITS_S = {_DAYS: _DAY_S, _HALF_HOURS: _HALF_HOUR_S, _SECONDS: 1}
_YEAR, _DAY, _PLAIN = range(3)  # what a period is told from
_ELIGIBLE, _POINTS = 0, 1  # values that follow; others are told from 2 on


def date_told(value: int, at: int) -> int:
    """A date's number, for a sale at that second."""
    if not value:
        return 0
    months = _months_to(value, at)
    if months is not None:
        return 1 + months * 4 + _MONTHS
    step = value - _midnight(at)
    unit = next(unit for unit, seconds in _UNITS_S.items() if step % seconds == 0)
    return 1 + zigzag(step // _UNITS_S[unit]) * 4 + unit


def date_heard(number: int, at: int) -> int:
    """The date again."""
    if not number:
        return 0
    many, unit = divmod(number - 1, 4)
    if unit == _MONTHS:
        return _month_after(at, many)
    return _midnight(at) + unzigzag(many) * _UNITS_S[unit]


def day_told(value: int, at: int) -> int:
    """A day's number; days are ordinals, 0 for none."""
    return zigzag(value - _day(at)) + 1 if value else 0


def day_heard(number: int, at: int) -> int:
    """The day again."""
    return unzigzag(number - 1) + _day(at) if number else 0


def write_counted(told: Sequence[tuple[events.Counted | None, events.Award]], out: Writer) -> None:
    """What tiers count, each with its award."""
    there = [(counted, award) for counted, award in told if counted is not None]
    out.small(0 if counted is None else zigzag(counted.metric) + 1 for counted, _ in told)
    out.small(_period_told(counted.period, award.at) for counted, award in there)
    out.small(_value_told(counted.value, award) for counted, award in there)
    out.small(zigzag(counted.since - counted.period) for counted, _ in there)


class CountedHeard:
    """What `write_counted` wrote, to be taken in order as the awards become known."""

    def __init__(self, count: int, into: Reader) -> None:
        metrics = into.small(count)
        there = sum(map(bool, metrics))
        self._metrics = iter(metrics)
        self._others = iter(list(zip(into.small(there), into.small(there), into.small(there), strict=True)))

    def take(self, plain: events.Award, at: int) -> events.Counted | None:
        """Of an award, at its second."""
        metric = next(self._metrics)
        if not metric:
            return None
        period_told, value, since = next(self._others)
        period = _period_heard(period_told, at)
        if value > _POINTS:
            counted = unzigzag(value - 2)
        else:
            counted = plain.points if value == _POINTS else plain.eligible
        return events.Counted(unzigzag(metric - 1), period, counted, period + unzigzag(since))


def standing_parts(parts: list[Any]) -> tuple[list[Any], list[int]]:
    """(what travels as MessagePack, the numbers a standing begins with): first and last time, the day."""
    count = 0
    while count < min(3, len(parts)) and type(parts[count]) is int and abs(parts[count]) <= _NUMBER_MAX:
        count += 1
    return [count, *parts[count:]], parts[:count]


def write_standings(found: Sequence[tuple[list[int], int]], out: Writer) -> None:
    """The numbers of standings, each with its sale's second."""
    firsts, lasts, days = list[int](), list[int](), list[int]()
    for numbers, at in found:
        firsts += [_time_told(number, at) for number in numbers[:1]]
        lasts += [0 if number == numbers[0] else 1 + _time_told(number, at) for number in numbers[1:2]]
        days += [day_told(number, at) for number in numbers[2:]]
    for column in (firsts, lasts, days):
        out.wide(column)


class StandingsHeard:
    """What `write_standings` wrote, to be taken in order; `counts`: how many numbers each begins with."""

    def __init__(self, counts: Sequence[Any], into: Reader) -> None:
        if any(type(count) is not int or not 0 <= count <= 3 for count in counts):
            raise Malformed("a standing begins with more numbers than any of ours")
        self._columns = [iter(into.wide(sum(count > place for count in counts))) for place in range(3)]

    def take(self, parts: Sequence[Any], at: int) -> list[Any]:
        """A standing's parts again, for a sale at that second."""
        count, *rest = parts
        numbers: list[int] = []
        if count:
            numbers.append(_time_heard(next(self._columns[0]), at))
        if count > 1:
            told = next(self._columns[1])
            numbers.append(_time_heard(told - 1, at) if told else numbers[0])
        if count > 2:
            numbers.append(day_heard(next(self._columns[2]), at))
        return [*numbers, *rest]


def _time_told(value: int, at: int) -> int:
    return zigzag(at - value) + 1 if value else 0


def _time_heard(number: int, at: int) -> int:
    return at - unzigzag(number - 1) if number else 0


def _period_told(period: int, at: int) -> int:
    near = {_YEAR: _year(at), _DAY: _day(at), _PLAIN: 0}
    base = min(near, key=lambda each: abs(period - near[each]))
    return zigzag(period - near[base]) * 3 + base


def _period_heard(number: int, at: int) -> int:
    step, base = divmod(number, 3)
    return unzigzag(step) + {_YEAR: _year(at), _DAY: _day(at), _PLAIN: 0}[base]


def _value_told(value: int, award: events.Award) -> int:
    if value == award.eligible:
        return _ELIGIBLE
    return _POINTS if value == award.points else zigzag(value) + 2


def _day(at: int) -> int:
    return (at + _TEHRAN_S) // _DAY_S + _EPOCH_DAY


def _midnight(at: int) -> int:
    return (_day(at) - _EPOCH_DAY) * _DAY_S - _TEHRAN_S


def _month_of(at: int) -> tuple[int, int] | None:
    """(Jalali year, month from 0); None where the calendar does not reach."""
    days = _day(at) - _EPOCH_DAY
    if not 0 <= days < _DAYS_MAX:
        return None
    year, month, _ = to_jalali(date.fromordinal(days + _EPOCH_DAY))
    return year, month - 1


def _year(at: int) -> int:
    month = _month_of(at)
    return month[0] if month else 0


def _month_after(at: int, months: int) -> int:
    """The second at which the month begins that comes so many after the sale's."""
    now = _month_of(at)
    if now is None or months > _MONTHS_MAX:
        raise Malformed("a date lies in no month of the calendar")
    years, month = divmod(now[1] + months, 12)
    first = from_jalali(now[0] + years, month + 1, 1)
    return (first.toordinal() - _EPOCH_DAY) * _DAY_S - _TEHRAN_S


def _months_to(value: int, at: int) -> int | None:
    """How many months after the sale's the month begins that begins at `value`; None where none does."""
    now, then = _month_of(at), _month_of(value)
    if now is None or then is None:
        return None
    months = (then[0] - now[0]) * 12 + then[1] - now[1]
    return months if 0 <= months <= _MONTHS_MAX and _month_after(at, months) == value else None
