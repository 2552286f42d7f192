"""What the rules remember of a holder beside points: visits' times, stamps, rights used, the tier's metric.

Kept in two blobs of the holder's row, b'' for whom no rule ever asked. An award stores the `Standing` it was
decided on, so that its arithmetic can be done again from its own row; the tier's metric, which may hold a
number for each day, is told by the TierChanged it leads to. Which numbers there are to keep is decided in
`club`; here they are only kept, whatever the programme.
"""

from math import ceil

import msgspec

from vafa.model import events

DENOMINATOR_MAX = 2**40  # of a day's points; a finer fraction counts as the whole point above it
Fraction = tuple[int, int]


class Stamp(msgspec.Struct, frozen=True, array_like=True):
    """How full a stamp card is: `count` stamps of the rule `id`, the last at `at` (UTC seconds)."""

    id: str
    count: int
    at: int


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """What an award's rules look at of its holder. New fields are appended with a default.

    first_at, last_at  UTC seconds of the first and the newest purchase; 0: none
    day, day_points    a local day (date ordinal) and the points contributed on it, for the cap of a day
    granted            (rule, period): the newest period in which a right was used, e.g. a Jalali year
    birthday           Jalali (month, day) that the member gave
    referrer           the member who sent them
    feedback_at        when they last gave feedback, 0 never
    """

    first_at: int = 0
    last_at: int = 0
    day: int = 0
    day_points: Fraction = (0, 1)
    stamps: tuple[Stamp, ...] = ()
    granted: tuple[tuple[str, int], ...] = ()
    birthday: tuple[int, int] | None = None
    referrer: bytes = b""
    feedback_at: int = 0

    def stamp(self, rule: str) -> Stamp:
        """The stamp card of a rule; an empty one when there is none."""
        return next((stamp for stamp in self.stamps if stamp.id == rule), Stamp(rule, 0, 0))

    def period_of(self, rule: str) -> int | None:
        """The newest period in which a right was used; None when it never was."""
        return next((period for each, period in self.granted if each == rule), None)


class Window(msgspec.Struct, frozen=True, array_like=True):
    """The tier's metric: which one (events.Counted.metric), and what was counted in each period, oldest
    first. A metric of another kind begins anew."""

    metric: int
    parts: tuple[tuple[int, int], ...] = ()

    def total(self, since: int) -> int:
        """What was counted in the periods from `since` on."""
        return sum(value for period, value in self.parts if period >= since)


_encoder = msgspec.msgpack.Encoder()
_standing = msgspec.msgpack.Decoder(Standing)
_window = msgspec.msgpack.Decoder(Window)
NOBODY = Standing()


def unpack(packed: bytes) -> Standing:
    """The standing of a holder's row."""
    return _standing.decode(packed) if packed else NOBODY


def pack(standing: Standing) -> bytes:
    """Canonical: defaults at the end left out, b'' when all are."""
    values = list(msgspec.structs.astuple(standing))
    for default in msgspec.structs.astuple(NOBODY)[::-1]:
        if values[-1] != default:
            return _encoder.encode(values)
        values.pop()
    return b""


def unpack_window(packed: bytes) -> Window | None:
    """The tier's metric of a holder's row; None when nothing was ever counted."""
    return _window.decode(packed) if packed else None


def after_award(packed: bytes, visits: int, event: events.Award) -> bytes:
    """The standing after an award that was decided on it; `visits` are those before it."""
    old = unpack(packed)
    contribution = event.contribution
    if event.day and event.day == old.day:
        contribution = _sum(old.day_points, contribution)
    used = dict(event.granted)
    given = {stamp.id: stamp for stamp in old.stamps}
    for rule, count in event.stamps:
        given[rule] = Stamp(rule, old.stamp(rule).count + count, event.at)
    new = msgspec.structs.replace(
        old,
        first_at=old.first_at if old.first_at and visits else event.at,
        last_at=max(old.last_at, event.at),
        day=event.day or old.day,
        day_points=contribution if event.day else old.day_points,
        stamps=_sorted_stamps(given),
        granted=tuple(sorted((dict(old.granted) | used).items())) if used else old.granted,
    )
    return pack(new)


def after_void(packed: bytes, event: events.Reversal) -> bytes:
    """The standing after a whole sale was taken back: its stamps and rights go, its times stay."""
    if not event.stamps and not event.granted:
        return packed
    old = unpack(packed)
    given = {stamp.id: stamp for stamp in old.stamps}
    for rule, count in event.stamps:
        stamp = old.stamp(rule)
        given[rule] = msgspec.structs.replace(stamp, count=max(0, stamp.count - count))
    back = set(event.granted)
    granted = tuple(each for each in old.granted if each not in back)
    return pack(msgspec.structs.replace(old, stamps=_sorted_stamps(given), granted=granted))


def counted_in(packed: bytes, change: events.Counted | None) -> bytes:
    """The tier's metric with a purchase counted (or, below zero, taken out of the period it was in)."""
    if change is None:
        return packed
    old = unpack_window(packed)
    parts = dict(old.parts) if old is not None and old.metric == change.metric else {}
    if change.value < 0 and change.period not in parts:
        return packed  # it was counted under another metric, or has left the window
    parts[change.period] = max(0, parts.get(change.period, 0) + change.value)
    kept = tuple(sorted((period, value) for period, value in parts.items() if period >= change.since))
    return _encoder.encode(Window(change.metric, kept))


def _sorted_stamps(given: dict[str, Stamp]) -> tuple[Stamp, ...]:
    return tuple(sorted((stamp for stamp in given.values() if stamp.at), key=lambda stamp: stamp.id))


def _sum(one: Fraction, other: Fraction) -> Fraction:
    from fractions import Fraction as Exact

    total = Exact(*one) + Exact(*other)
    if total.denominator > DENOMINATOR_MAX:  # versions of unlike rates met on one day
        return ceil(total), 1
    return total.numerator, total.denominator
