"""Spoils real frames, from a seed: what a bad line, a broken program or somebody with time would send.

One to a few changes an input. Half of them are small (a bit, a byte, a digit), because a frame that is nearly
right gets furthest; the rest cut, double, splice and swell. The same seed gives the same inputs anywhere.
"""

from collections.abc import Callable, Sequence
from random import Random

BYTES_MAX = 4_096  # the usual input's; a target may allow more
CHANGES = (1, 1, 1, 1, 2, 2, 3, 5, 9)  # so many changes, drawn from these
FAITHFUL_SHARE = 0.02  # an input that is not spoilt at all: what must go on being understood
WHOLE_NOISE_SHARE = 0.01
EDGES = bytes(
    (0, 1, 2, 3, 4, 6, 10, 13, 21, 32, 34, 48, 57, 92, 123, 125, 127, 128, 0xC1, 0xDC, 0xDF, 0xF1, 255)
)
NUMBERS = tuple(
    str(number).encode() for number in (0, -1, 1, 9, 255, 256, 999, 2**31, 2**53 + 1, 2**63, 2**64, 10**13,
    10**400)
)  # fmt: skip


class Mutator:
    """`next()` gives one input. `words` are what the format is made of: put in whole, now and then."""

    def __init__(
        self, random: Random, seeds: Sequence[bytes], words: Sequence[bytes], bytes_max: int = BYTES_MAX
    ) -> None:
        self._random, self._seeds = random, seeds
        self._words = (*words, *NUMBERS)
        self._bytes_max = bytes_max
        changes: list[tuple[Callable[[bytearray], None], int]] = [
            (self._flip, 6), (self._set, 4), (self._edge, 3), (self._digit, 4), (self._word, 3),
            (self._cut, 2), (self._drop, 2), (self._double, 1), (self._splice, 2), (self._add, 2),
            (self._swap, 1), (self._swell, 1),
        ]  # fmt: skip
        self._changes = [change for change, weight in changes for _ in range(weight)]

    def next(self) -> bytes:
        """The next input, of at most `bytes_max` bytes."""
        random = self._random
        dice = random.random()
        if dice < WHOLE_NOISE_SHARE:
            return random.randbytes(random.randrange(200))
        data = bytearray(random.choice(self._seeds))
        if dice >= WHOLE_NOISE_SHARE + FAITHFUL_SHARE:
            for _ in range(random.choice(CHANGES)):
                random.choice(self._changes)(data)
        return bytes(data[: self._bytes_max])

    def _place(self, data: bytearray) -> int:
        return int(self._random.random() * len(data))

    def _flip(self, data: bytearray) -> None:
        if data:
            data[self._place(data)] ^= 1 << self._random.getrandbits(3)

    def _set(self, data: bytearray) -> None:
        if data:
            data[self._place(data)] = self._random.getrandbits(8)

    def _edge(self, data: bytearray) -> None:
        if data:
            data[self._place(data)] = self._random.choice(EDGES)

    def _digit(self, data: bytearray) -> None:
        """Some digit becomes another one: the frame stays well-formed and says something else."""
        start = self._place(data)
        for at in range(start, min(len(data), start + 40)):
            if 0x30 <= data[at] <= 0x39:
                data[at] = 0x30 + self._random.randrange(10)
                return

    def _word(self, data: bytearray) -> None:
        word, at = self._random.choice(self._words), self._place(data)
        end = at + len(word) if self._random.getrandbits(1) else at  # in the place of others, or between them
        data[at:end] = word

    def _cut(self, data: bytearray) -> None:
        del data[self._place(data) :]

    def _drop(self, data: bytearray) -> None:
        at = self._place(data)
        del data[at : at + 1 + self._random.randrange(9)]

    def _double(self, data: bytearray) -> None:
        at = self._place(data)
        part = bytes(data[at : at + 1 + self._random.randrange(64)])
        data[at:at] = part * self._random.choice((1, 1, 2, 8))

    def _splice(self, data: bytearray) -> None:
        """This one's beginning and another one's end."""
        other = self._random.choice(self._seeds)
        del data[self._place(data) :]
        data += other[int(self._random.random() * len(other)) :]

    def _add(self, data: bytearray) -> None:
        """Another one behind this one, whole or in part, with noise between."""
        other = self._random.choice(self._seeds)
        data += self._random.randbytes(self._random.randrange(4))
        data += other[: len(other) if self._random.getrandbits(1) else self._place(data)]

    def _swap(self, data: bytearray) -> None:
        if data:
            a, b = self._place(data), self._place(data)
            data[a], data[b] = data[b], data[a]

    def _swell(self, data: bytearray) -> None:
        """Much of one thing: a bracket, a digit, a zero."""
        at = self._place(data)
        some = data[at : at + 1] or b"["
        data[at:at] = bytes(some) * self._random.choice((20, 300, 2_000))
