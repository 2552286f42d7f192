"""What an award makes the books remember of its holder. The sync foretells the next standing from it."""

from fractions import Fraction as Exact
from math import ceil

import msgspec

from vafa.model import events
from vafa.model.standing import Fraction, Stamp, pack, unpack

DENOMINATOR_MAX = 2**40  # of a day's points; a finer fraction counts as the whole point above it


def after_award(packed: bytes, visits: int, event: events.Award) -> bytes:
    """The standing after an award that was decided on it; `visits` are those before it."""
    old = unpack(packed)
    contribution = event.contribution
    if event.day and event.day == old.day:
        contribution = _sum(old.day_points, contribution)
    granted, stamps = old.granted, old.stamps
    if event.granted:
        granted = tuple(sorted((dict(granted) | dict(event.granted)).items()))
    if event.stamps:
        given = {stamp.id: stamp for stamp in stamps}
        for rule, count in event.stamps:
            given[rule] = Stamp(rule, old.stamp(rule).count + count, event.at)
        stamps = sorted_stamps(given)
    new = msgspec.structs.replace(
        old,
        first_at=old.first_at if old.first_at and visits else event.at,
        last_at=max(old.last_at, event.at),
        day=event.day or old.day,
        day_points=contribution if event.day else old.day_points,
        stamps=stamps,
        granted=granted,
    )
    return pack(new)


def sorted_stamps(given: dict[str, Stamp]) -> tuple[Stamp, ...]:
    """The stamp cards of a standing, in the order it is written in."""
    return tuple(sorted((stamp for stamp in given.values() if stamp.at), key=lambda stamp: stamp.id))


def _sum(one: Fraction, other: Fraction) -> Fraction:
    total = Exact(*one) + Exact(*other)
    if total.denominator > DENOMINATOR_MAX:  # versions of unlike rates met on one day
        return ceil(total), 1
    return total.numerator, total.denominator
