"""The dated lots of a holder, packed into the holder's row so that an award writes no row more.

Points without dates are in no lot (model.lots). So a programme without expiry and pending keeps no lots at
all, and rows of before need none. Lots with the same dates are one lot under its first journal row, and a
pending that is over is forgotten with the next credit, so a customer's row stays small.
"""

from collections.abc import Iterable

import msgspec

from vafa.model.lots import Lot, Taken

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Lot])


def unpack(packed: bytes) -> list[Lot]:
    """The lots of a holder's row in the order they are drawn."""
    return _decoder.decode(packed) if packed else []


def pack(lots: Iterable[Lot]) -> bytes:
    """Canonical: in draw order, no empty lot, b'' for none."""
    kept = [lot for lot in lots if lot.points]
    if len(kept) > 1:
        kept.sort(key=_draw_order)
    return _encoder.encode(kept) if kept else b""


def _draw_order(lot: Lot) -> tuple[bool, int, int]:
    return lot.draw_order


def added(packed: bytes, new: Lot, at: int = 0) -> bytes:
    """`with_one`, packed."""
    return pack(with_one(unpack(packed), new, at))


def with_one(before: list[Lot], new: Lot, at: int = 0) -> list[Lot]:
    """The lots with one more; it joins the lot that has its dates and programme.

    at  UTC second by which what was pending can be used: such lots lose that date, and without an expiry
        they are no dated lots any more
    """
    lots: dict[tuple[int, int, bytes], Lot] = {}
    for lot in _joined(before, new):
        available_at = lot.available_at if lot.available_at > at else 0
        if not available_at and not lot.expires_at:
            continue
        dates = (lot.expires_at, available_at, lot.programme)
        there = lots.get(dates)
        if there is not None:
            lots[dates] = msgspec.structs.replace(there, points=there.points + lot.points)
        elif lot.available_at == available_at:
            lots[dates] = lot
        else:
            lots[dates] = msgspec.structs.replace(lot, available_at=available_at)
    return list(lots.values())


def _joined(lots: list[Lot], new: Lot) -> list[Lot]:
    """With the new one; points that come back to a lot which is still there join it, whatever its pending."""
    for place, lot in enumerate(lots):
        if (lot.seq, lot.expires_at) == (new.seq, new.expires_at):
            lots[place] = msgspec.structs.replace(lot, points=lot.points + new.points)
            return lots
    return [*lots, new]


def find(lots: Iterable[Lot], taken: Taken) -> Lot:
    """The lot that something was drawn from."""
    seq, _, expires_at = taken
    return next(lot for lot in lots if (lot.seq, lot.expires_at) == (seq, expires_at))


def next_expiry(packed: bytes) -> int | None:
    """When the first of the lots lapses; None when none ever does."""
    return first_expiry(unpack(packed))


def first_expiry(lots: Iterable[Lot]) -> int | None:
    """The same of lots that are unpacked."""
    return min([lot.expires_at for lot in lots if lot.points and lot.expires_at], default=None)
