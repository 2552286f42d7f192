"""Sadad (Bank Melli) PC-POS: bytes to frames and back.

    02 | LEN (3 ASCII) | VER (3 ASCII) | TYPE | DATA | 03 | LRC

LEN counts VER to LRC; LRC is the XOR of LEN to ETX. A frame ends where LEN says: 03 may stand in the data.

**Resynchronising.** A byte 02 that turns out not to begin a frame costs just that one byte: reading goes on
behind it, so a good frame inside or behind a broken one is found. The first bytes of a header are judged as
they come, which rejects nearly every false start at once. What remains is a frame cut short by the line: it
holds up to LEN bytes of what follows, until `flush` (the line went quiet, or the capture ended) frees them.

Every decision depends on the bytes alone, never on how they were split. Noise is counted, never kept: it may
hold a card number. Source: "PcPos Protocol" v1.5, checked against an independent Delphi implementation.
"""

from enum import IntEnum
from functools import cache

from msgspec import Struct

STX, ETX, NEWLINE = 0x02, 0x03, 0x0A
LEN_MIN, LEN_MAX = 6, 999  # VER, TYPE, ETX, LRC without data; what three digits can say
DATA_BYTES_MAX = LEN_MAX - LEN_MIN
NOISE_BYTES_MAX = 4096  # a longer run of noise is told in parts, so that it is seen while it lasts
QUIET_BEFORE_FLUSH_S = 2.0  # far above a pause inside a frame, below the 5 s after which a terminal repeats
_HALVES_BITS = (4096, 2048, 1024, 512, 256, 128, 64, 32, 16, 8)  # of 1,024 bytes: more than any frame has
_HEADER_BYTES = 8  # STX, LEN, VER, TYPE
_SLICE_BYTES = 4096  # how much of a large feed is looked at in one go: bounds the buffer

NO_START = "no frame start"
BAD_LENGTH = "bad length"
BAD_VERSION = "bad version"
UNKNOWN_TYPE = "unknown type"
NO_END = "no end mark"
BAD_CHECKSUM = "bad checksum"
CUT_SHORT = "cut short"


class FrameType(IntEnum):
    """The TYPE byte."""

    EOT = 0x04  # cancel, from either side
    ACK = 0x06
    NACK = 0x15
    REQUEST = 0x19
    RESPONSE = 0x1A
    NOTIFICATION = 0x1B  # UDP only
    INM = 0xF1  # "are you there"


_TYPES: dict[int, FrameType] = {int(kind): kind for kind in FrameType}


class Frame(Struct, frozen=True):
    """One good frame. `version` is three ASCII digits; `data` may hold a card number, so `repr` hides it."""

    version: str
    type: FrameType
    data: bytes = b""

    def __repr__(self) -> str:
        return f"Frame({self.version} {self.type.name}, {len(self.data)} bytes)"


class Noise(Struct, frozen=True):
    """`length` bytes that were no frame; `why` is the reason for the first of them."""

    length: int
    why: str


SADAD, SADAD2 = "000", "002"
INM = Frame(SADAD, FrameType.INM)
ACK = Frame(SADAD, FrameType.ACK)
NACK = Frame(SADAD, FrameType.NACK)
EOT = Frame(SADAD, FrameType.EOT)


def ack_for(version: str) -> Frame:
    """The ACK that answers a frame of this version."""
    return Frame(version, FrameType.ACK)


def checksum(covered: bytes | bytearray) -> int:
    """The LRC over LEN to ETX inclusive: all bytes XORed, by folding the whole in halves."""
    folded = int.from_bytes(covered, "little")
    for half_bits in _HALVES_BITS:
        folded ^= folded >> half_bits
    return folded & 0xFF


@cache
def ack_bytes(version: str) -> bytes:
    """`ack_for` as it goes on the wire. A terminal speaks one or two of the thousand there can be."""
    return encode(ack_for(version))


def encode(frame: Frame) -> bytes:
    """The frame's bytes on the wire. The caller keeps data within DATA_BYTES_MAX."""
    assert len(frame.data) <= DATA_BYTES_MAX, "a frame's data has no more than 993 bytes"
    assert len(frame.version) == 3, "a version has three digits"
    assert frame.version.isascii()
    assert frame.version.isdigit()
    covered = (
        f"{len(frame.data) + LEN_MIN:03d}{frame.version}".encode("ascii")
        + bytes([frame.type])
        + frame.data
        + bytes([ETX])
    )
    return bytes([STX]) + covered + bytes([checksum(covered)])


class Reader:
    """Turns bytes, however split, into frames and noise. Holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._noise_length = 0
        self._noise_why = ""
        self._newline_may_follow = False

    @property
    def pending(self) -> bool:
        """True while bytes wait for more: an unfinished frame, or noise not told yet."""
        return bool(self._held) or self._noise_length > 0

    @property
    def held_bytes(self) -> int:
        """How many of the bytes fed last may still become a frame: who keeps copies must keep those."""
        return len(self._held)

    def feed(self, received: bytes) -> list[Frame | Noise]:
        """The frames and runs of noise that `received` completes. Never raises."""
        seen: list[Frame | Noise] = []
        for start in range(0, len(received), _SLICE_BYTES):
            self._held += received[start : start + _SLICE_BYTES]
            self._read_held(seen, more_may_come=True)
        return seen

    def flush(self) -> list[Frame | Noise]:
        """Lets go of everything held, for the end of a capture or a line gone quiet.

        Frames may be among it: they stood behind the start of one that was cut short.
        """
        seen: list[Frame | Noise] = []
        self._read_held(seen, more_may_come=False)
        self._tell_noise(seen)
        return seen

    def _read_held(self, seen: list[Frame | Noise], *, more_may_come: bool) -> None:
        held, at = self._held, 0
        while at < len(held):
            if held[at] == NEWLINE and self._newline_may_follow:
                self._newline_may_follow = False  # terminals end every message so on a serial line
                at += 1
                continue
            if held[at] != STX:
                start = held.find(STX, at)
                end = len(held) if start < 0 else start
                self._add_noise(end - at, NO_START, seen)
                at = end
                continue
            found = _judge(held, at)
            if found is None and more_may_come:
                break
            if isinstance(found, Frame):
                self._tell_noise(seen)
                seen.append(found)
                self._newline_may_follow = True
                at += _HEADER_BYTES + len(found.data) + 2
            else:
                self._add_noise(1, found or CUT_SHORT, seen)
                at += 1
        del held[:at]

    def _add_noise(self, length: int, why: str, seen: list[Frame | Noise]) -> None:
        self._newline_may_follow = False
        while length:
            self._noise_why = self._noise_why or why
            taken = min(length, NOISE_BYTES_MAX - self._noise_length)
            self._noise_length += taken
            length -= taken
            if self._noise_length == NOISE_BYTES_MAX:
                self._tell_noise(seen)

    def _tell_noise(self, seen: list[Frame | Noise]) -> None:
        if self._noise_length:
            seen.append(Noise(self._noise_length, self._noise_why))
        self._noise_length, self._noise_why = 0, ""


def _judge(held: bytearray, at: int) -> Frame | str | None:
    """The frame that begins at the STX at `at`, or why none does, or None while that cannot be told."""
    header = bytes(held[at + 1 : at + _HEADER_BYTES])
    refusal = _header_refusal(header)
    if refusal or len(header) < _HEADER_BYTES - 1:
        return refusal or None
    lrc_at = at + 3 + int(header[:3])  # STX and LEN are four bytes, LEN counts the LRC itself
    if lrc_at >= len(held):
        return None
    if held[lrc_at - 1] != ETX:
        return NO_END
    if checksum(held[at + 1 : lrc_at]) != held[lrc_at]:
        return BAD_CHECKSUM
    data = bytes(held[at + _HEADER_BYTES : lrc_at - 1])
    return Frame(header[3:6].decode("ascii"), _TYPES[header[6]], data)


def _header_refusal(header: bytes) -> str:
    """Why these first bytes of LEN, VER and TYPE begin no frame, or ''. More bytes never change a refusal."""
    length, version, kind = header[:3], header[3:6], header[6:7]
    if length and (not length.isdigit() or (len(length) == 3 and int(length) < LEN_MIN)):
        return BAD_LENGTH
    if version and not version.isdigit():
        return BAD_VERSION
    if kind and kind[0] not in _TYPES:
        return UNKNOWN_TYPE
    return ""
