"""The fields that rules beyond a rate add to an award: what was not foretold of them, in columns.

One number an award says which fields differ from what wire.foretelling foretold: 0 for an award of a rate
alone, 1 where all came as foretold. Numbers travel as the difference, a column a field; everything else as
MessagePack. What the points depend on (fixed points, what caps took) is read ahead of them.
"""

from collections.abc import Iterator, Sequence
from math import gcd
from typing import Any

import msgspec

from vafa.model import events
from vafa.model.errors import Malformed
from vafa.wire import bodies
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
_NUMBERS = (fields.AT, FIXED, *_DATES, fields.VISITS, fields.DAY, fields.BESIDE)
_PARTS = tuple(place for place in range(len(FIELDS)) if place not in _NUMBERS)
_PARTS_MASK = sum(_BIT[place] for place in _PARTS)
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


_PLAIN = Told()


def compared(awards: Sequence[events.Award]) -> list[Told]:
    """What is to be told of each award."""
    foreteller = Foreteller()
    return [_compared(award, foreteller) if events.has_grown(award) else _PLAIN for award in awards]


def _compared(award: events.Award, foreteller: Foreteller) -> Told:
    values = msgspec.structs.astuple(award)[FIRST_FIELD:]
    mask, steps, parts = 1, list[tuple[int, int]](), list[Any]()

    def tell(place: int, foretold: Any) -> Any:
        nonlocal mask
        value = values[place]
        if value != foretold:
            mask |= _BIT[place]
            if place in _NUMBERS:
                steps.append((place, _step(place, value - foretold)))
            else:
                parts.append(_part(place, value))
        return value

    foreteller.walk(award, tell)
    return Told(mask, tuple(steps), tuple(parts), unexplained(award.fixed, award.clipped))


def fits(award: events.Award) -> bool:
    """True when the columns carry the rules' fields exactly, and no field came after them."""
    if msgspec.structs.astuple(award)[FIRST_FIELD + len(FIELDS) :] != _LATER:
        return False
    numbers = (award.at, award.fixed, award.available_at, award.expires_at, award.visits, award.day)
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
    bodies.write_parts([each.parts for each in rules if each.parts], told, out)


class Heard(msgspec.Struct, frozen=True):
    """What `write` wrote: the awards' numbers, the steps and parts of all, what no rate explains."""

    masks: Sequence[int]
    steps: dict[int, list[int]]
    parts: Sequence[Sequence[Any]]
    extras: Sequence[Fraction]


def none_heard(count: int) -> Heard:
    """Of awards that were packed before rules had columns."""
    return Heard([0] * count, {}, [()] * count, [_PLAIN.extra] * count)


def read(count: int, heard: TokensHeard, into: Reader) -> Heard:
    """The columns again."""
    masks = into.small(count)
    if max(masks, default=0) > _MASK_MAX:
        raise Malformed("an award has fields this Vafa does not know")
    steps = {place: into.wide(sum(mask & _BIT[place] != 0 for mask in masks)) for place in _NUMBERS}
    of_those = iter(bodies.read_parts(sum(mask & _PARTS_MASK != 0 for mask in masks), heard, into))
    parts = [_typed(mask, next(of_those)) if mask & _PARTS_MASK else () for mask in masks]
    fixed = iter(steps[FIXED])
    extras = []
    for mask, own in zip(masks, parts, strict=True):
        clipped = own[_places(mask).index(CLIPPED)] if mask & _BIT[CLIPPED] else ()
        extras.append(unexplained(unzigzag(next(fixed)) if mask & _BIT[FIXED] else 0, clipped))
    return Heard(masks, steps, parts, extras)


def whole(plain: Sequence[events.Award], heard: Heard) -> list[events.Award]:
    """The awards with their rules' fields; `plain` are they without."""
    foreteller = Foreteller()
    steps = {place: iter(column) for place, column in heard.steps.items()}
    awards = []
    for award, mask, parts in zip(plain, heard.masks, heard.parts, strict=True):
        if not mask:
            awards.append(award)
            continue
        own = iter(parts)

        def tell(place: int, foretold: Any, mask: int = mask, own: Iterator[Any] = own) -> Any:
            if not mask & _BIT[place]:
                return foretold
            return foretold + _unstep(place, next(steps[place])) if place in steps else next(own)

        awards.append(foreteller.walk(award, tell))
    return awards


def _step(place: int, step: int) -> int:
    if place not in _DATES:
        return zigzag(step)
    number = next(number for number, unit_s in enumerate(_UNITS_S) if step % unit_s == 0)
    return zigzag(step // _UNITS_S[number]) * len(_UNITS_S) + number


def _unstep(place: int, step: int) -> int:
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


def _places(mask: int) -> list[int]:
    """The told fields that are no numbers, in the order of the walk."""
    return [place for place in _PARTS if mask & _BIT[place]]


def _typed(mask: int, parts: Sequence[Any]) -> Sequence[Any]:
    places = _places(mask)
    if len(parts) != len(places):
        raise Malformed("an award's rules have another number of fields than they say")
    try:
        found = [
            _encoder.encode(part)
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
