"""What the rules remember of a holder beside points: visits' times, stamps, rights used, the tier's metric.

Kept in two blobs of the holder's row, b'' for whom no rule ever asked. An award stores the `Standing` it was
decided on, so that its arithmetic can be done again from its own row; the tier's metric, which may hold a
number for each day, is told by the TierChanged it leads to.
"""

import msgspec

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

    def total(self, since: int, until: int | None = None) -> int:
        """What was counted in the periods from `since` to `until`, both included; None: to the newest."""
        return sum(
            value for period, value in self.parts if period >= since and (until is None or period <= until)
        )


_encoder = msgspec.msgpack.Encoder()
_standing = msgspec.msgpack.Decoder(Standing)
_window = msgspec.msgpack.Decoder(Window)
NOBODY = Standing()
_DEFAULTS = msgspec.structs.astuple(NOBODY)


# What an award stores whose rules look at nothing of it: thirteen bytes less of each journal row and upload.
NOT_LOOKED_AT = b"\xc0"


def unpack(packed: bytes) -> Standing:
    """The standing of a holder's row, or as an award stored it."""
    return _standing.decode(packed) if packed not in {b"", NOT_LOOKED_AT} else NOBODY


def pack(standing: Standing) -> bytes:
    """Canonical: defaults at the end left out, b'' when all are."""
    values = msgspec.structs.astuple(standing)
    told = len(values)
    while told and values[told - 1] == _DEFAULTS[told - 1]:
        told -= 1
    return _encoder.encode(values[:told]) if told else b""


def unpack_window(packed: bytes) -> Window | None:
    """The tier's metric of a holder's row; None when nothing was ever counted."""
    return _window.decode(packed) if packed else None


def pack_window(window: Window) -> bytes:
    """Canonical bytes of a tier's metric."""
    return _encoder.encode(window)
