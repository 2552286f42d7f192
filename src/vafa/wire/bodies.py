"""Bodies of all kinds but awards: their own MessagePack, with tokens replaced by numbers.

A kind this Vafa does not know travels the same way: nothing here looks at what a body means.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from vafa.model.errors import Malformed
from vafa.wire import limits
from vafa.wire.columns import TOKEN_BYTES_MAX, Reader, Writer
from vafa.wire.compress import read_varint, varint
from vafa.wire.tokens import TokensHeard, TokensTold

_TOKEN_BYTES_MIN = 8
_NEW, _SEEN = 1, 2  # MessagePack extension codes; the events use none
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder()


def _no_ext(code: int, _data: memoryview) -> Any:
    raise ValueError(f"extension {code} in a journal's body")


_without_ext = msgspec.msgpack.Decoder(ext_hook=_no_ext)


def parts_of(body: bytes) -> Any:
    """The body's parts; None where it is no plain canonical MessagePack, which then travels as it is."""
    try:
        parts = _without_ext.decode(body)
        canonical = _encoder.encode(parts) == body
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return parts if canonical and isinstance(parts, list) else None


def tokens_of(parts: Any) -> Iterator[bytes]:
    """The tokens among the parts, in their order."""
    return (leaf for leaf in _leaves(parts) if _is_token(leaf))


def write(body: bytes, parts: Any, told: TokensTold, out: Writer) -> None:
    """One body, its tokens as numbers."""
    if parts is None:
        out.small((1,))
        out.blob(body)
        return

    out.small((0,))
    out.blob(_encoder.encode(_named(parts, told)))


def read(heard: TokensHeard, into: Reader) -> bytes:
    """The body again."""
    if into.small(1)[0]:
        return into.blob(limits.ROW_BODY_BYTES_MAX)

    return _encoder.encode(_unnamed(into, heard))


def _named(parts: list[Any], told: TokensTold) -> Any:
    def named(leaf: Any) -> Any:
        if not _is_token(leaf):
            return leaf
        number = told.number(leaf)
        return Ext(_NEW, b"\0") if number is None else Ext(_SEEN, varint(number))

    return _each(parts, named)


def _unnamed(into: Reader, heard: TokensHeard) -> list[Any]:
    def unnamed(leaf: Any) -> Any:
        if not _is_ext(leaf):
            return leaf
        return heard.token(None if leaf.code == _NEW else read_varint(leaf.data, 0)[0])

    try:
        parts = _decoder.decode(into.blob(limits.ROW_BODY_BYTES_MAX))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed(f"a row's body is no MessagePack ({error})") from error
    if not isinstance(parts, list):
        raise Malformed("a row's body is no array")
    found: list[Any] = _each(parts, unnamed)
    return found


def write_parts(lists: Sequence[Sequence[Any]], told: TokensTold, out: Writer) -> None:
    """Lists of parts, as many as the reader knows from elsewhere."""
    for parts in lists:
        out.blob(_encoder.encode(_named(list(parts), told)))


def read_parts(count: int, heard: TokensHeard, into: Reader) -> Iterator[list[Any]]:
    """Those lists again."""
    return (_unnamed(into, heard) for _ in range(count))


def read_more(count: int, heard: TokensHeard, into: Reader) -> list[list[Any]]:
    """The last parts of many awards, as they were packed before rules had columns; most have none."""
    return [_unnamed(into, heard) if has_more else [] for has_more in into.small(count)]


def _is_token(leaf: Any) -> bool:
    return isinstance(leaf, bytes) and _TOKEN_BYTES_MIN <= len(leaf) <= TOKEN_BYTES_MAX


def _is_ext(leaf: Any) -> bool:
    return isinstance(leaf, Ext)


def _leaves(parts: Any) -> Iterator[Any]:
    if isinstance(parts, list):
        for part in parts:
            yield from _leaves(part)
    else:
        yield parts


def _each(parts: Any, change: Any) -> Any:
    return [_each(part, change) for part in parts] if isinstance(parts, list) else change(parts)
