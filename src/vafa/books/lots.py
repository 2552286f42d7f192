"""The dated lots of a holder, packed into the holder's row so that an award writes no row more.

Points without dates are in no lot: what of a balance no lot holds is one lot that never expires, is usable
and is drawn last. So a programme without expiry and pending keeps no lots at all, and rows of before need
none. Lots with the same dates are one lot under its first journal row, so a customer's row stays small.
"""

from collections.abc import Iterable

import msgspec


class Lot(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Points with dates. Ordered as they are drawn: nearest expiry first, then oldest.

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
        """Never-expiring last."""
        return not self.expires_at, self.expires_at, self.seq


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Lot])


def unpack(packed: bytes) -> list[Lot]:
    """The lots of a holder's row in the order they are drawn."""
    return _decoder.decode(packed) if packed else []


def pack(lots: Iterable[Lot]) -> bytes:
    """Canonical: in draw order, no empty lot, b'' for none."""
    kept = sorted((lot for lot in lots if lot.points), key=lambda lot: lot.draw_order)
    return _encoder.encode(kept) if kept else b""


def added(packed: bytes, new: Lot) -> bytes:
    """The packed lots with one more; it joins the lot that has its dates and programme."""
    lots = unpack(packed)
    for place, lot in enumerate(lots):
        if (lot.expires_at, lot.available_at, lot.programme) == (
            new.expires_at, new.available_at, new.programme,
        ):  # fmt: skip
            lots[place] = msgspec.structs.replace(lot, points=lot.points + new.points)
            return pack(lots)
    return pack([*lots, new])


def next_expiry(packed: bytes) -> int | None:
    """When the first of the lots lapses; None when none ever does."""
    return min((lot.expires_at for lot in unpack(packed) if lot.expires_at), default=None)
