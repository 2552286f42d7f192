"""The fields that rules beyond a rate add to an award: what was not foretold of them, in columns.

One number an award says which fields differ from what wire.foretelling foretold: 0 for an award of a rate
alone, 1 where all came as foretold. Numbers travel as the difference or as what wire.nearby makes of them, a
column a field; everything else as MessagePack. What the points depend on (fixed points, what caps took) is
read ahead of them.
"""

from collections.abc import Iterator, Sequence
from math import gcd
from typing import Any

import msgspec

from vafa.model import events
from vafa.model.errors import Malformed
from vafa.wire import bodies, nearby
from vafa.wire import foretelling as fields
from vafa.wire.columns import Reader, Writer, unzigzag, zigzag
from vafa.wire.foretelling import CLIPPED, FIELDS, FIRST_FIELD, FIXED, STANDING, Foreteller
from vafa.wire.tokens import TokensHeard, TokensTold

Fraction = tuple[int, int]
_STEP_MAX = 2**53
# The bits of an award's number behind the lowest ("has rules"): what differs most often in the first byte.
_FIRST = (fields.VISITS, fields.TIER, STANDING, fields.COUNTED, fields.EXPIRES, fields.AVAILABLE)
_ORDER = (*_FIRST, *(place for place in range(len(FIELDS)) if place not in _FIRST))
_BIT = {place: 2 << number for number, place in enumerate(_ORDER)}
_MASK_MAX = (2 << len(_ORDER)) - 1
_DATES = (fields.AVAILABLE, fields.EXPIRES)
_NEAR = (*_DATES, fields.DAY)
_NUMBERS = (fields.AT, FIXED, *_DATES, fields.VISITS, fields.DAY, fields.BESIDE)
_SECOND_PARTS = tuple(place for place in range(len(FIELDS)) if place not in _NUMBERS)
_PARTS = tuple(place for place in _SECOND_PARTS if place != fields.COUNTED)  # since ROWS_3
_UNITS_S = (86_400, 1_800, 1)  # of a date's step: mostly days
_TYPES = [field.type for field in msgspec.structs.fields(events.Award)[FIRST_FIELD:]]
_LATER = events.Award.__struct_defaults__[len(FIELDS) :]  # of fields that this form does not know
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


class Told(msgspec.Struct, frozen=True, gc=False):
    """What of one award's rules is told: which fields, the numbers' steps, the other fields as MessagePack.

    extra  the part of the contribution that no rate explains: fixed points, less what caps took
    """

    mask: int = 0
    steps: tuple[tuple[int, int], ...] = ()
    parts: tuple[Any, ...] = ()
    extra: Fraction = (0, 1)
    counted: tuple[tuple[events.Counted | None, events.Award], ...] = ()
    standing: tuple[tuple[list[int], int], ...] = ()


_PLAIN = Told()


def compared(awards: Sequence[events.Award]) -> list[Told]:
    """What is to be told of each award."""
    foreteller = Foreteller()
    return [_compared(award, foreteller) if events.has_grown(award) else _PLAIN for award in awards]


def _compared(award: events.Award, foreteller: Foreteller) -> Told:
    values = msgspec.structs.astuple(award)[FIRST_FIELD:]
    mask, steps, parts = 1, list[tuple[int, int]](), list[Any]()
    counted: tuple[tuple[events.Counted | None, events.Award], ...] = ()
    standing: tuple[tuple[list[int], int], ...] = ()

    def tell(place: int, foretold: Any) -> Any:
        nonlocal mask, counted, standing
        value = values[place]
        if value != foretold:
            mask |= _BIT[place]
            if place in _NUMBERS:
                steps.append((place, _step(place, value, foretold, award.at)))
            elif place == fields.COUNTED:
                counted = ((value, award),)
            else:
                part = _part(place, value)
                if place == STANDING and isinstance(part, list):
                    part, numbers = nearby.standing_parts(part)
                    standing = ((numbers, award.at),)
                parts.append(part)
        return value

    foreteller.walk(award, tell)
    return Told(mask, tuple(steps), tuple(parts), unexplained(award.fixed, award.clipped), counted, standing)


def fits(award: events.Award) -> bool:
    """True when the columns carry the rules' fields exactly, and no field came after them."""
    if msgspec.structs.astuple(award)[FIRST_FIELD + len(FIELDS) :] != _LATER:
        return False
    numbers = (award.at, award.fixed, award.available_at, award.expires_at, award.visits, award.day)
    if award.counted is not None:
        numbers = (*numbers, *msgspec.structs.astuple(award.counted))
    return max(map(abs, (*numbers, award.beside))) <= _STEP_MAX and all(den > 0 for *_, den in award.clipped)


def unexplained(fixed: int, clipped: Sequence[tuple[int, int, int]]) -> Fraction:
    """Fixed points less what caps took, in lowest terms."""
    total: Fraction = (fixed, 1)
    for _, num, den in clipped:
        numerator, denominator = total[0] * den - num * total[1], total[1] * den
        divisor = gcd(numerator, denominator)
        total = numerator // divisor, denominator // divisor
    return total


def tokens_of(told: Sequence[Told]) -> Iterator[bytes]:
    """The tokens in the order `write` names them."""
    for each in told:
        if each.parts:
            yield from bodies.tokens_of(list(each.parts))


def write(rules: Sequence[Told], told: TokensTold, out: Writer) -> None:
    """The columns."""
    out.small(each.mask for each in rules)
    columns: dict[int, list[int]] = {place: [] for place in _NUMBERS}
    for each in rules:
        for place, step in each.steps:
            columns[place].append(step)
    for column in columns.values():
        out.wide(column)
    nearby.write_counted([pair for each in rules for pair in each.counted], out)
    bodies.write_parts([each.parts for each in rules if each.parts], told, out)
    nearby.write_standings([each_one for each in rules for each_one in each.standing], out)


class Heard(msgspec.Struct, frozen=True):
    """What `write` wrote: the awards' numbers, the steps and parts of all, what no rate explains."""

    masks: Sequence[int]
    steps: dict[int, list[int]]
    parts: Sequence[Sequence[Any]]
    extras: Sequence[Fraction]
    counted: nearby.CountedHeard | None = None  # None before ROWS_3: it was a part
    standings: nearby.StandingsHeard | None = None  # as well


def none_heard(count: int) -> Heard:
    """Of awards that were packed before rules had columns."""
    return Heard([0] * count, {}, [()] * count, [_PLAIN.extra] * count)


def read(count: int, heard: TokensHeard, into: Reader) -> Heard:
    """The columns again."""
    masks = into.small(count)
    if max(masks, default=0) > _MASK_MAX:
        raise Malformed("an award has fields this Vafa does not know")
    steps = {place: into.wide(sum(mask & _BIT[place] != 0 for mask in masks)) for place in _NUMBERS}
    counted, places = None, _SECOND_PARTS
    if into.is_near:
        counted, places = (
            nearby.CountedHeard(sum(mask & _BIT[fields.COUNTED] != 0 for mask in masks), into),
            _PARTS,
        )
    parts_mask = sum(_BIT[place] for place in places)
    of_those = iter(bodies.read_parts(sum(mask & parts_mask != 0 for mask in masks), heard, into))
    of_each = [[place for place in places if mask & _BIT[place]] for mask in masks]
    parts = [_typed(its, next(of_those), into) if its else () for its in of_each]
    standings = None
    if into.is_near:
        pairs = (pair for its, own in zip(of_each, parts, strict=True) for pair in zip(its, own, strict=True))
        begun = [part for place, part in pairs if place == STANDING and isinstance(part, list)]
        standings = nearby.StandingsHeard([part[0] if part else None for part in begun], into)
    fixed = iter(steps[FIXED])
    extras = []
    for mask, its, own in zip(masks, of_each, parts, strict=True):
        clipped = own[its.index(CLIPPED)] if mask & _BIT[CLIPPED] else ()
        extras.append(unexplained(unzigzag(next(fixed)) if mask & _BIT[FIXED] else 0, clipped))
    return Heard(masks, steps, parts, extras, counted, standings)


def whole(plain: Sequence[events.Award], heard: Heard) -> list[events.Award]:
    """The awards with their rules' fields; `plain` are they without."""
    foreteller = Foreteller()
    steps = {place: iter(column) for place, column in heard.steps.items()}
    awards = []
    for award, mask, parts in zip(plain, heard.masks, heard.parts, strict=True):
        if not mask:
            awards.append(award)
            continue
        awards.append(foreteller.walk(award, _Telling(award, mask, iter(parts), steps, heard)))
    return awards


class _Telling:
    """Answers the walk of one award with what was told of it, else with what is foretold."""

    def __init__(
        self,
        plain: events.Award,
        mask: int,
        own: Iterator[Any],
        steps: dict[int, Iterator[int]],
        heard: Heard,
    ) -> None:
        self._plain, self._mask, self._own, self._steps = plain, mask, own, steps
        self._counted, self._standings = heard.counted, heard.standings
        self._at = 0

    def __call__(self, place: int, foretold: Any) -> Any:
        value = self._told(place, foretold) if self._mask & _BIT[place] else foretold
        if place == fields.AT:
            self._at = value
        return value

    def _told(self, place: int, foretold: Any) -> Any:
        if place in self._steps:
            step = next(self._steps[place])
            if self._counted is None or place not in _NEAR:
                return foretold + _second_unstep(place, step)
            heard = nearby.date_heard if place in _DATES else nearby.day_heard
            return heard(step, self._at)
        if place == fields.COUNTED and self._counted is not None:
            return self._counted.take(self._plain, self._at)
        part = next(self._own)
        if place == STANDING and isinstance(part, list) and self._standings is not None:
            return _encoder.encode(self._standings.take(part, self._at))
        return part


def _step(place: int, value: int, foretold: int, at: int) -> int:
    if place in _DATES:
        return nearby.date_told(value, at)
    return nearby.day_told(value, at) if place == fields.DAY else zigzag(value - foretold)


def _second_unstep(place: int, step: int) -> int:
    """Of a date in ROWS_2: how far it is from the foretold one."""
    if place not in _DATES:
        return unzigzag(step)
    number, unit = divmod(step, len(_UNITS_S))
    return unzigzag(number) * _UNITS_S[unit]


def _part(place: int, value: Any) -> Any:
    """A field as plain lists; a standing by its parts, so that zstd and the tokens' table see into it."""
    if place == STANDING:
        parts = bodies.parts_of(value)
        return value if parts is None else parts
    return _decoder.decode(_encoder.encode(value))


def _typed(places: Sequence[int], parts: Sequence[Any], into: Reader) -> Sequence[Any]:
    """What was told of fields that are no numbers, as they are in an award."""
    if len(parts) != len(places):
        raise Malformed("an award's rules have another number of fields than they say")
    try:
        found = [
            (part if into.is_near else _encoder.encode(part))
            if place == STANDING and isinstance(part, list)
            else msgspec.convert(part, _TYPES[place])
            for place, part in zip(places, parts, strict=True)
        ]
    except msgspec.ValidationError as error:
        raise Malformed(f"an award's rules do not unpack ({error})") from error
    clipped: Any = found[places.index(CLIPPED)] if CLIPPED in places else ()
    if any(den < 1 for _, _, den in clipped):
        raise Malformed("what a cap took has no denominator")
    return found
