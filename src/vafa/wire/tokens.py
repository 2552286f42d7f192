"""Tokens (member ids, cards, programmes, holds): told once in a payload, named by a number ever after.

A token's first bytes say its kind and the key that made it, the same for thousands; its last eight are
random. So the beginning is a number into the list of beginnings met, the rest goes bit by bit. The table
stands before the columns, in the order in which the columns first name its tokens: so "a new one" needs no
number.
"""

from collections.abc import Iterable, Sequence

from vafa.model.errors import Malformed
from vafa.wire.columns import TOKEN_BYTES_MAX, Reader, Writer

_RANDOM_BYTES = 8
_KEY_ID_BYTES = 2
_TOKENS_MAX = 100_000


class TokensTold:
    """The writer's side: all tokens in the order they will be named, then the columns that name them."""

    def __init__(self, tokens: Iterable[bytes], out: Writer) -> None:
        self._numbers = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
        self._out = out
        self._next = 0
        beginnings: dict[bytes, int] = {}
        places = []
        for token in self._numbers:
            places.append(beginnings.setdefault(token[:-_RANDOM_BYTES], len(beginnings)))
        out.small((len(self._numbers), len(beginnings)))
        _write_beginnings(list(beginnings), out)
        out.small(len(token) - len(token[:-_RANDOM_BYTES]) for token in self._numbers)
        out.small(places)
        for token in self._numbers:
            out.token(token[-_RANDOM_BYTES:])

    def number(self, token: bytes) -> int | None:
        """The token's number, or None where it is the next new one."""
        number = self._numbers[token]
        if number == self._next:
            self._next += 1
            return None
        assert number < self._next, "tokens are named in the order they were given"
        return number

    def column(self, tokens: Sequence[bytes]) -> None:
        """A column of tokens: which are new, and the numbers of the others."""
        numbers = [self.number(token) for token in tokens]
        self._out.flags([int(number is not None) for number in numbers])
        self._out.wide([number for number in numbers if number is not None])


def _write_beginnings(beginnings: Sequence[bytes], out: Writer) -> None:
    """Each ends in the id of the key that made the token (model.identity), mostly the one before's."""
    key_id = b""
    for beginning in beginnings:
        out.small((len(beginning),))
        kind, its_key = beginning[:-_KEY_ID_BYTES], beginning[-_KEY_ID_BYTES:]
        out.plain += kind
        if len(its_key) == _KEY_ID_BYTES:
            out.small((int(its_key != key_id),))
            if its_key != key_id:
                out.token(its_key)
            key_id = its_key
        else:
            out.plain += its_key


def _read_beginnings(count: int, into: Reader) -> list[bytes]:
    key_id, beginnings = b"", list[bytes]()
    for _ in range(count):
        (length,) = into.small(1)
        if length > TOKEN_BYTES_MAX:
            raise Malformed("a token is longer than any of ours")
        if length < _KEY_ID_BYTES:
            beginnings.append(into.bytes(length))
            continue
        kind = into.bytes(length - _KEY_ID_BYTES)
        if into.small(1)[0]:
            key_id = into.token(_KEY_ID_BYTES)
        beginnings.append(kind + key_id)
    return beginnings


class TokensHeard:
    """The reader's side."""

    def __init__(self, into: Reader) -> None:
        self._into = into
        self._next = 0
        count, beginning_count = into.small(2)
        if max(count, beginning_count) > _TOKENS_MAX:
            raise Malformed("more tokens than a payload may tell")
        beginnings = _read_beginnings(beginning_count, into)
        lengths = into.small(count)
        places = into.small(count)
        if max(places, default=-1) >= beginning_count:
            raise Malformed("a token has a beginning that was not told")
        self._tokens = [
            beginnings[place] + into.token(length) for place, length in zip(places, lengths, strict=True)
        ]

    def token(self, number: int | None) -> bytes:
        """The token with this number, or the next new one."""
        if number is None:
            number = self._next
            self._next += 1
        elif number >= self._next:
            raise Malformed("a token is named before it was told")
        if number >= len(self._tokens):
            raise Malformed("a token is named that was not told")
        return self._tokens[number]

    def column(self, count: int) -> list[bytes]:
        """A column of tokens."""
        seen = self._into.flags(count)
        numbers = iter(self._into.wide(sum(map(bool, seen))))
        return [self.token(next(numbers) if was else None) for was in seen]
