"""Columns of numbers, tokens and texts, written one after the other and read back in the same order.

Two streams. What has structure (zeros, small numbers, texts, MessagePack) goes into `plain`, which zstd
packs. What is as good as random (tokens, milliseconds, card digits) goes into `raw` bit by bit: zstd cannot
shrink it and would only spoil its statistics of the rest.

Nothing tells a column's length: the reader knows it from what it has read before. Each read is bounds-checked
and ends in Malformed, never in another error.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from vafa.model.errors import Malformed
from vafa.wire.compress import read_varint, varint

TOKEN_BYTES_MAX = 64
_TEXT_BYTES_MAX = 1_024
_WIDTH_MAX = 62
_FEW = 3  # a width for so few numbers costs more than their lengths
_LENGTH_BITS = 6


def zigzag(number: int) -> int:
    """0, -1, 1, -2, 2 ... as 0, 1, 2, 3, 4 ..."""
    return number * 2 if number >= 0 else -number * 2 - 1


def unzigzag(number: int) -> int:
    """The signed number again."""
    return number >> 1 if number & 1 == 0 else -(number >> 1) - 1


def width_of(numbers: Sequence[int]) -> int:
    """The bits a number that give the fewest in all, larger ones being escaped."""
    lengths = Counter([(number + 1).bit_length() for number in numbers])
    best, best_bits, above = _WIDTH_MAX, 1 << 62, 0
    for width in range(max(lengths, default=0), 0, -1):
        # numbers with more bits than `width` are escaped: all ones, then a varint in the plain stream
        if width <= _WIDTH_MAX:
            bits = width * len(numbers) + above
            if bits <= best_bits:
                best, best_bits = width, bits
        above += lengths[width] * (width + 10)
    return best if any(numbers) else 0


def _joined(numbers: list[int], width: int) -> int:
    """Numbers of `width` bits as one, the first lowest. Pair by pair: few steps are of long numbers."""
    while len(numbers) > 1:
        if len(numbers) % 2:
            numbers.append(0)
        pairs = iter(numbers)
        numbers = [low | high << width for low, high in zip(pairs, pairs, strict=True)]
        width *= 2
    return numbers[0]


def _parted(joined: int, width: int, count: int) -> list[int]:
    """The numbers again."""
    wide = width << (count - 1).bit_length()
    numbers = [joined]
    while wide > width:
        wide //= 2
        mask = (1 << wide) - 1
        numbers = [half for number in numbers for half in (number & mask, number >> wide)]
    return numbers[:count]


def _bits_of(digits: int) -> int:
    return int(10**digits - 1).bit_length()


class Writer:
    """Collects columns. Numbers are not negative: `zigzag` what may be."""

    def __init__(self) -> None:
        self.plain = bytearray()
        self._bits, self._bit_count = 0, 0
        self._raw = bytearray()

    @property
    def raw(self) -> bytes:
        """The raw stream, its last byte filled with zeros."""
        rest = self._bits.to_bytes((self._bit_count + 7) // 8, "little") if self._bit_count else b""
        return bytes(self._raw) + rest

    def small(self, numbers: Iterable[int]) -> None:
        """Numbers with structure: mostly below 128, often the same."""
        told = list(numbers)
        if told and max(told) < 0x80:
            self.plain += bytes(told)
        else:
            self.plain += b"".join(map(varint, told))

    def wide(self, numbers: Sequence[int]) -> None:
        """Numbers without structure, in as many bits each as serves most of them."""
        if len(numbers) <= _FEW:
            for number in numbers:
                self.long(number)
            return
        width = width_of(numbers)
        self.plain.append(width)
        if not width:
            return
        escape = (1 << width) - 1
        self._put(_joined([min(number, escape) for number in numbers], width), width * len(numbers))
        self.small(number - escape for number in numbers if number >= escape)

    def flags(self, flags: Sequence[int]) -> None:
        """Zeros and ones without structure."""
        if len(flags) <= _FEW:
            self.small(flags)
        else:
            self.wide(flags)

    def long(self, number: int) -> None:
        """One number without structure: its length in bits, then the bits behind its first."""
        length = number.bit_length()
        self._put(length, _LENGTH_BITS)
        if length > 1:
            self._put(number - (1 << length - 1), length - 1)

    def digits(self, numbers: Sequence[int], digits: int) -> None:
        """Decimal numbers of so many digits at most, any as likely as another."""
        width = _bits_of(digits)
        if numbers:
            self._put(_joined(list(numbers), width), width * len(numbers))

    def token(self, token: bytes) -> None:
        """Random bytes."""
        self._put(int.from_bytes(token, "little"), len(token) * 8)

    def blob(self, blob: bytes) -> None:
        """Bytes with structure, their length first."""
        self.small((len(blob),))
        self.plain += blob

    def text(self, text: str) -> None:
        """A short text."""
        self.blob(text.encode())

    def _put(self, number: int, width: int) -> None:
        self._bits |= number << self._bit_count
        self._bit_count += width
        if self._bit_count >= 256:
            whole = self._bit_count // 8
            self._raw += (self._bits & ((1 << whole * 8) - 1)).to_bytes(whole, "little")
            self._bits >>= whole * 8
            self._bit_count -= whole * 8


class Reader:
    """Reads what a Writer wrote, in the same order. Malformed where the streams do not hold it.

    has_rules  what rules added to awards is in columns of its own
    is_near    dates, days and what tiers count are told by wire.nearby
    """

    has_rules = is_near = True

    def __init__(self, plain: bytes, raw: bytes) -> None:
        self._plain, self._at = plain, 0
        self._raw, self._raw_at = raw, 0
        self._bits, self._bit_count = 0, 0

    def small(self, count: int) -> list[int]:
        plain, at, numbers = self._plain, self._at, []
        chunk = plain[at : at + count]
        if len(chunk) == count and chunk.isascii():
            self._at += count
            return list(chunk)
        for _ in range(count):
            if at < len(plain) and plain[at] < 0x80:
                numbers.append(plain[at])
                at += 1
            else:
                number, at = read_varint(plain, at)
                numbers.append(number)
        self._at = at
        return numbers

    def wide(self, count: int) -> list[int]:
        if count <= _FEW:
            return [self.long() for _ in range(count)]
        (width,) = self.small(1)
        if width > _WIDTH_MAX:
            raise Malformed("a column is wider than any of ours")
        if not width:
            return [0] * count
        escape = (1 << width) - 1
        numbers = _parted(self._take(width * count), width, count)
        escapes = [place for place, number in enumerate(numbers) if number == escape]
        for place, more in zip(escapes, self.small(len(escapes)), strict=True):
            numbers[place] += more
        return numbers

    def flags(self, count: int) -> list[int]:
        return self.small(count) if count <= _FEW else self.wide(count)

    def long(self) -> int:
        length = self._take(_LENGTH_BITS)
        if length < 2:
            return length
        return (1 << length - 1) + self._take(length - 1)

    def digits(self, count: int, digits: int) -> list[int]:
        width = _bits_of(digits)
        return _parted(self._take(width * count), width, count) if count else []

    def token(self, length: int) -> bytes:
        if length > TOKEN_BYTES_MAX:
            raise Malformed("a token is longer than any of ours")
        return self._take(length * 8).to_bytes(length, "little")

    def blob(self, length_max: int) -> bytes:
        (length,) = self.small(1)
        if length > length_max:
            raise Malformed("a text or body is too long")
        return self.bytes(length)

    def bytes(self, length: int) -> bytes:
        found = self._plain[self._at : self._at + length]
        if len(found) != length:
            raise Malformed("a text or body is cut off")
        self._at += length
        return found

    def text(self) -> str:
        try:
            return self.blob(_TEXT_BYTES_MAX).decode()
        except UnicodeDecodeError as error:
            raise Malformed("a text is no UTF-8") from error

    def end(self) -> None:
        """Nothing may be left over."""
        if self._at != len(self._plain) or self._raw_at != len(self._raw) or self._bits:
            raise Malformed("bytes are left over after the last column")

    def _take(self, width: int) -> int:
        while self._bit_count < width:
            chunk = self._raw[self._raw_at : self._raw_at + max(32, (width - self._bit_count + 7) // 8)]
            if not chunk:
                raise Malformed("the bits end before the last number")
            self._bits |= int.from_bytes(chunk, "little") << self._bit_count
            self._raw_at += len(chunk)
            self._bit_count += len(chunk) * 8
        number = self._bits & ((1 << width) - 1)
        self._bits >>= width
        self._bit_count -= width
        return number


class SecondReader(Reader):
    """Reads payloads of the second form: dates told from what was foretold."""

    is_near = False


class FirstReader(Reader):
    """Reads payloads of the first form: their decimal numbers told their own lengths."""

    has_rules = is_near = False

    def digits(self, count: int, digits: int) -> list[int]:  # noqa: ARG002 - as in the newer form
        return self.wide(count)
