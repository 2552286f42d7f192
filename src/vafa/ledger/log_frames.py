"""The write-ahead log's header and frames as they lie in its file, and the one byte that keeps one from being
valid.

A frame's checksum goes on from that of the frame before it, over its first eight bytes and its page (SQLite
file format, 4.1 and 4.2). It is linear: what the sum lacks to the stored one, walked backwards, tells which
word is wrong and by how much. Mostly: a word's highest bits count in few ways, and several bytes could then
have been meant. Only where there is one it is put right; sixty-four bits agree afterwards.
"""

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

HEADER_BYTES, FRAME_HEAD_BYTES = 32, 24
_MAGIC = {"<": 0x377F0682, ">": 0x377F0683}  # in which order the words of what is summed are read
_FORMAT = 3_007_000
_WORD = 0xFFFF_FFFF
Sums = tuple[int, int]


class Frame(NamedTuple):
    """One that is of this run of the log. `ends`: it is a commit's last."""

    number: int
    ends: bool


class LogFile:
    """A log with its header, put right where a byte of that was wrong."""

    def __init__(self, descriptor: int, header: bytes) -> None:
        self._descriptor = descriptor
        self.header = header
        self._order = ">" if header[3] & 1 else "<"
        (self.page_bytes,) = struct.unpack_from(">I", header, 8)
        self.frame_bytes: int = FRAME_HEAD_BYTES + self.page_bytes
        self.salts = header[16:24]  # in each frame of this run; the run before had others

    def offset(self, number: int) -> int:
        """Where this frame begins; the first is number 0."""
        return HEADER_BYTES + number * self.frame_bytes

    def frame(self, number: int) -> bytes:
        """All of it; less where the file ends."""
        return os.pread(self._descriptor, self.frame_bytes, self.offset(number))

    def own_from(self, number: int) -> Iterator[Frame]:
        """The frames of this run from there to the end of the file, valid or not."""
        size = os.fstat(self._descriptor).st_size
        for each in range(number, (size - HEADER_BYTES) // self.frame_bytes):
            head = os.pread(self._descriptor, 16, self.offset(each))
            if head[8:16] == self.salts:
                yield Frame(each, head[4:8] != bytes(4))

    def is_whole(self, number: int) -> bool:
        """Its sums go on from those of the frame before it, valid or not."""
        return self._meant(found := self.frame(number), self._sums_after(number - 1)) == [found]

    def mended_from(self, number: int) -> tuple[int, dict[int, bytes]]:
        """From frame `number`, where SQLite ended: (how far whole commits go when a byte is put right here
        and there, what belongs at which offset of the file for that)."""
        end, fixes, unfinished = number, dict[int, bytes](), dict[int, bytes]()
        before = self._sums_after(number - 1)
        while (mended := self._mended(number, before)) is not None:
            unfinished |= wrong_bytes(self.frame(number), mended, self.offset(number))
            before = _stored(mended[16:24])
            number += 1
            if mended[4:8] != bytes(4):
                end, fixes, unfinished = number, fixes | unfinished, {}
        return end, fixes

    def _mended(self, number: int, before: Sums) -> bytes | None:
        """The frame as it was; None when that is not certain. Where its own sums may be what is wrong, the
        next frame knows, which goes on from them."""
        meant = self._meant(self.frame(number), before)
        if len(meant) > 1:
            following = self.frame(number + 1)
            meant = [each for each in meant if self._meant(following, _stored(each[16:24])) == [following]]
        return meant[0] if len(meant) == 1 else None

    def _meant(self, frame: bytes, before: Sums) -> list[bytes]:
        """What it may have been before at most one byte of it changed."""
        if len(frame) < self.frame_bytes or _apart(frame[8:16], self.salts) > 1:
            return []
        found = _meant(frame[:8] + frame[FRAME_HEAD_BYTES:], frame[16:24], before, self._order)
        whole = [right[:8] + self.salts + sums + right[8:] for right, sums in found]
        return [each for each in whole if _apart(each, frame) <= 1]

    def _sums_after(self, number: int) -> Sums:
        return _stored(self.frame(number)[16:24] if number >= 0 else self.header[24:])


def mended_header(header: bytes, page_bytes: int, first: bytes) -> bytes | None:
    """The header as it was; None when more than one byte of it is wrong, or it never was one.

    page_bytes  of the database
    first       frame: it tells between several headers that may have been, for it goes on from one
    """
    meant = [
        (order, b"".join(each))
        for order, magic in _MAGIC.items()
        for each in _meant(header[:24], header[24:], (0, 0), order)
        if each[0].startswith(struct.pack(">III", magic, _FORMAT, page_bytes))
    ]
    if len(meant) > 1:
        summed, stored = first[:8] + first[FRAME_HEAD_BYTES:], _stored(first[16:24])
        meant = [
            (order, each)
            for order, each in meant
            if each[16:24] == first[8:16] and _sums(summed, _stored(each[24:]), order) == stored
        ]
    return meant[0][1] if len(meant) == 1 else None


def destroyed_header(page_bytes: int, salts: bytes) -> bytes:
    """As far as its first frame tells it: enough to find the others, and it makes none of them valid."""
    return struct.pack(">IIII", _MAGIC["<"], _FORMAT, page_bytes, 0) + salts + bytes(8)


def wrong_bytes(found: bytes, right: bytes, offset: int) -> dict[int, bytes]:
    """What belongs at which offset, for bytes that were found at `offset`."""
    return {
        offset + place: right[place : place + 1]
        for place in range(len(found))
        if found[place] != right[place]
    }


def _meant(summed: bytes, stored: bytes, before: Sums, order: str) -> list[tuple[bytes, bytes]]:
    """Each (what is summed, its sums) that agree when at most one byte of both is changed."""
    sums = _sums(summed, before, order)
    packed = struct.pack(">II", *sums)
    if packed == stored:
        return [(summed, stored)]
    lacks = [(there - here) & _WORD for there, here in zip(_stored(stored), sums, strict=True)]
    meant = [(right, stored) for right in _put_right(summed, lacks[0], lacks[1], order)]
    return [*meant, (summed, packed)] if _apart(packed, stored) == 1 else meant


def _sums(data: bytes, before: Sums, order: str) -> Sums:
    first, second = before
    for even, odd in struct.iter_unpack(order + "II", data):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second


def _put_right(data: bytes, lacks_first: int, lacks_second: int, order: str) -> Iterator[bytes]:
    """Each way to change one byte by which the sums lack this much.

    An even word that lacks d makes both sums lack d at its place, an odd one the second alone; every pair of
    words after it adds the second to the first, and the first to the second. That is taken back pair by pair.
    """
    for pair in range(len(data) - 8, -1, -8):
        if lacks_first == lacks_second:
            yield from _one_byte_changed(data, pair, lacks_first, order)
        elif lacks_first == 0:
            yield from _one_byte_changed(data, pair + 4, lacks_second, order)
        lacks_second = (lacks_second - lacks_first) & _WORD
        lacks_first = (lacks_first - lacks_second) & _WORD


def _one_byte_changed(data: bytes, place: int, lacks: int, order: str) -> Iterator[bytes]:
    (word,) = struct.unpack_from(order + "I", data, place)
    right = struct.pack(order + "I", (word + lacks) & _WORD)
    if _apart(right, data[place : place + 4]) == 1:
        yield data[:place] + right + data[place + 4 :]


def _apart(one: bytes, other: bytes) -> int:
    """In how many bytes they differ."""
    return sum(a != b for a, b in zip(one, other, strict=True))


def _stored(sums: bytes) -> Sums:
    first, second = struct.unpack(">II", sums)
    return first, second
