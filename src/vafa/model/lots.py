"""A lot: points with dates, and the order in which lots are drawn from. The law of every debit.

Points without dates are in no lot: what of a balance no lot holds is one lot that never expires, is usable
and is drawn last. `books` keeps lots and checks every draw by this law; `club` decides with it what may be
spent. (LOYALTY.md §2)
"""

from collections.abc import Sequence

import msgspec

Taken = tuple[int, int, int]  # what a debit drew from one lot, as events tell it: (seq, points, expires_at)
Given = tuple[
    int, int, int, int | None
]  # what came back: (seq, points, original expires_at, new one or None)


class Lot(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Points with dates.

    expires_at    UTC second at which they lapse; 0: never
    seq           journal row of the first credit in it
    points        what remains of it
    available_at  UTC second from which they can be used; 0: at once
    programme     the version (first eight bytes of its hash) of that credit
    """

    expires_at: int
    seq: int
    points: int
    available_at: int = 0
    programme: bytes = b""

    @property
    def draw_order(self) -> tuple[bool, int, int]:
        """Nearest expiry first, then oldest; never-expiring last."""
        return not self.expires_at, self.expires_at, self.seq

    def usable(self, at: int) -> bool:
        """True when a redemption at this UTC second may draw from it."""
        return self.available_at <= at


class Dates(msgspec.Struct, frozen=True, array_like=True):
    """The dates and version of a credit, by which its own lot is known."""

    available_at: int
    expires_at: int
    programme: bytes


class Draw(msgspec.Struct, frozen=True):
    """What a debit takes: `taken` from dated lots, `undated` from the points that are in no lot.

    kept  the lots after it, in draw order
    """

    taken: tuple[Taken, ...]
    undated: int
    kept: tuple[Lot, ...]

    @property
    def points(self) -> int:
        """All it takes."""
        return self.undated + sum(points for _, points, _ in self.taken)


def undated(lots: Sequence[Lot], balance: int) -> int:
    """The points of a balance that are in no dated lot."""
    return balance - sum(lot.points for lot in lots)


def next_lapse(lots: Sequence[Lot], at: int) -> tuple[int, int]:
    """(points, UTC second) of what lapses next after a UTC second; (0, 0) when nothing ever does."""
    first = min([lot.expires_at for lot in lots if lot.expires_at > at], default=0)
    return sum([lot.points for lot in lots if lot.expires_at == first]) if first else 0, first


def usable(lots: Sequence[Lot], balance: int, held: int, at: int) -> int:
    """What a new hold may set aside at a UTC second: nothing pending, nothing set aside already.

    What lapsed is still in it until its Expire is posted: on a clock nobody vouched for nothing lapses.
    """
    there = sum(lot.points for lot in lots if lot.usable(at)) + undated(lots, balance)
    return max(0, there - held)


def spend(lots: Sequence[Lot], balance: int, points: int, at: int) -> Draw:
    """A redemption of `points` at a UTC second: nearest expiry first, of what can be used.

    What is still pending comes last of all: it is reached only where a correction took usable points away
    from an open hold. Takes less when less is there: compare `points` of the answer.
    """
    order = sorted(lots, key=lambda lot: lot.draw_order)
    first = _drawn(order, [lot for lot in order if lot.usable(at)], undated(lots, balance), points)
    return _and_then(first, _drawn(first.kept, first.kept, 0, points - first.points))


def debit(lots: Sequence[Lot], balance: int, points: int) -> Draw:
    """Points taken by hand or for a debt: nearest expiry first, what is pending too."""
    order = sorted(lots, key=lambda lot: lot.draw_order)
    return _drawn(order, order, undated(lots, balance), points)


def claw_back(lots: Sequence[Lot], balance: int, points: int, own: Dates) -> Draw:
    """A sale's points go: its own lot first, then the rest as any debit. The own lot of points without dates
    is what is in no lot; a lot whose pending is over may have joined one that can be used."""
    order = sorted(lots, key=lambda lot: lot.draw_order)
    loose = undated(lots, balance)
    if own.expires_at or own.available_at:
        still = [lot for lot in order if _is_of(lot, own)]
        mine = sorted(still, key=lambda lot: lot.available_at != own.available_at)
        first = _drawn(order, mine, 0 if own.expires_at else loose, points)
    else:
        first = _drawn(order, [], loose, points)
    left = balance - first.points
    return _and_then(first, debit(first.kept, left, points - first.points))


def lapse(lots: Sequence[Lot], points_max: int, at: int) -> Draw:
    """What lapsed by an attested UTC second, at most `points_max` (the rest is held for a redemption)."""
    dated = [
        lot for lot in sorted(lots, key=lambda lot: lot.draw_order) if lot.expires_at and lot.expires_at <= at
    ]
    return _drawn(lots, dated, 0, min(points_max, sum(lot.points for lot in dated)))


def came_back(
    taken: Sequence[Taken], total: int, already: int, points: int, at: int, good_until: int
) -> tuple[tuple[Given, ...], int]:
    """(what returns to which lot, what returns to the points without dates) of `points` of a redemption of
    `total`, of which `already` came back.

    at, good_until  UTC seconds; a lot that lapsed by `at` is good until then again
    The longest-lived part returns first: what was drawn last. So parts return the same as the whole.
    """
    loose = total - sum(part for _, part, _ in taken)
    undated = min(max(0, loose - already), points)
    skip, rest = max(0, already - loose), points - undated
    back: list[Given] = []
    for seq, there, expires_at in reversed(taken):
        part = min(max(0, there - skip), rest)
        skip = max(0, skip - there)
        rest -= part
        if part:
            lapsed = expires_at and expires_at <= at
            back.append((seq, part, expires_at, max(good_until, expires_at) if lapsed else None))
    return tuple(back), undated


def _is_of(lot: Lot, own: Dates) -> bool:
    same = (lot.expires_at, lot.programme) == (own.expires_at, own.programme)
    return same and lot.available_at in (own.available_at, 0)


def _and_then(first: Draw, second: Draw) -> Draw:
    """Two draws as one; a lot drawn from twice is named once."""
    drawn: dict[tuple[int, int], int] = {}
    for seq, points, expires_at in (*first.taken, *second.taken):
        drawn[seq, expires_at] = drawn.get((seq, expires_at), 0) + points
    taken = tuple((seq, points, expires_at) for (seq, expires_at), points in drawn.items())
    return Draw(taken, first.undated + second.undated, second.kept)


def _drawn(lots: Sequence[Lot], order: Sequence[Lot], loose: int, points: int) -> Draw:
    """Take `points` from the lots in this order, then from the points without dates."""
    left: dict[Lot, int] = {}
    taken: list[Taken] = []
    for lot in order:
        part = min(lot.points, points)
        if part:
            taken.append((lot.seq, part, lot.expires_at))
            left[lot] = lot.points - part
            points -= part
    kept = (msgspec.structs.replace(lot, points=left.get(lot, lot.points)) for lot in lots)
    kept_lots = tuple(sorted((lot for lot in kept if lot.points), key=lambda lot: lot.draw_order))
    return Draw(tuple(taken), min(loose, points), kept_lots)
