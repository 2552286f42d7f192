"""Where Sadad frames stand in bytes, read a second time: slowly, whole, with nothing of `codecs/`.

02 | LEN 3 | VER 3 | TYPE | DATA | 03 | LRC      LEN counts VER to LRC; the LRC is the XOR of LEN to 03
"""

from typing import NamedTuple

TYPES = (0x04, 0x06, 0x15, 0x19, 0x1A, 0x1B, 0xF1)


class Standing(NamedTuple):
    """A frame and where it stands: bytes `start` to `end`."""

    start: int
    end: int
    version: str
    type: int
    data: bytes


def frames_in(data: bytes) -> list[Standing]:
    """The frames of a capture, from left to right; one never begins inside another."""
    found, at = [], 0
    while (at := data.find(b"\x02", at)) >= 0:
        frame = _frame_at(data, at)
        if frame is None:
            at += 1
        else:
            found.append(frame)
            at = frame.end
    return found


def _frame_at(data: bytes, at: int) -> Standing | None:
    digits = data[at + 1 : at + 7]
    if len(digits) < 6 or any(not 0x30 <= byte <= 0x39 for byte in digits):
        return None
    length = int(digits[:3])
    end = at + 4 + length
    if length < 6 or end > len(data) or data[at + 7] not in TYPES or data[end - 2] != 0x03:
        return None
    total = 0
    for byte in data[at + 1 : end - 1]:
        total ^= byte
    if total != data[end - 1]:
        return None
    return Standing(at, end, digits[3:].decode(), data[at + 7], data[at + 8 : end - 2])


def resealed(data: bytes) -> bytes:
    """Spoilt bytes as a frame again: whatever stands where LEN and LRC should is made to fit."""
    version, rest = data[4:7], data[7:-2]
    if len(version) < 3 or any(not 0x30 <= byte <= 0x39 for byte in version):
        version = b"000"
    kind, body = (rest[:1] or b"\x1a"), rest[1:994]
    covered = b"%03d" % (len(body) + 6) + version + kind + body + b"\x03"
    total = 0
    for byte in covered:
        total ^= byte
    return b"\x02" + covered + bytes([total])
