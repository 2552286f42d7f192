"""PostgreSQL's binary forms of many values at once: arrays as parameters, rows for COPY.

psycopg writes both value by value in Python; for a backlog of a hundred thousand rows that is a third of
the hub's time. These write three types only (int8, text, bytea), which is all that the hub's tables have. A
number beyond 64 bits raises struct.error.
"""

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_int8 = Struct(">iq").pack  # length, value
_length = Struct(">i").pack
_count = Struct(">h").pack
_array_head = Struct(">iiIii").pack  # dimensions, has nulls, element type; elements, lowest index
_NULL = _length(-1)
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = _count(-1)
_ELEMENTS = {"int8": 20, "text": 25, "bytea": 17}
_ARRAYS = {"int8": 1016, "text": 1009, "bytea": 1001}


class Array:
    """An array of one type, written. The classes below are that type, for psycopg to tell them apart."""

    kind = ""

    def __init__(self, values: Sequence[Any]) -> None:
        parts = [_array_head(1, any(v is None for v in values), _ELEMENTS[self.kind], len(values), 1)]
        _write_column(parts, values, self.kind)
        self.data = b"".join(parts)


class Int8Array(Array):
    """int8[]"""

    kind = "int8"


class TextArray(Array):
    """text[]"""

    kind = "text"


class ByteaArray(Array):
    """bytea[]"""

    kind = "bytea"


ARRAYS: dict[str, type[Array]] = {each.kind: each for each in (Int8Array, TextArray, ByteaArray)}


def copy_data(
    before: Sequence[tuple[str, Any]], kinds: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> bytes:
    """What COPY (FORMAT BINARY) takes: each row's columns are those of `before`, then its own of `kinds`."""
    prefix: list[bytes] = [_count(len(before) + len(kinds))]
    for kind, value in before:
        _write_column(prefix, [value], kind)
    start, parts = b"".join(prefix), [_COPY_HEAD]
    append = parts.append
    for row in rows:
        append(start)
        for kind, value in zip(kinds, row, strict=True):
            if value is None:
                append(_NULL)
            elif kind == "int8":
                append(_int8(8, value))
            else:
                data = value.encode() if kind == "text" else value
                append(_length(len(data)))
                append(data)
    append(_COPY_END)
    return b"".join(parts)


def register(connection: psycopg.Connection[Any]) -> None:
    """Let this connection take arrays as parameters."""
    for array, dumper in _DUMPERS.items():
        connection.adapters.register_dumper(array, dumper)


def _write_column(parts: list[bytes], values: Sequence[Any], kind: str) -> None:
    for value in values:
        if value is None:
            parts.append(_NULL)
        elif kind == "int8":
            parts.append(_int8(8, value))
        else:
            data = value.encode() if kind == "text" else value
            parts.append(_length(len(data)))
            parts.append(data)


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> bytes:
        return obj.data


_DUMPERS: dict[type[Array], type[Dumper]] = {
    array: type(f"_{array.__name__}Dumper", (_ArrayDumper,), {"oid": _ARRAYS[kind]})
    for kind, array in ARRAYS.items()
}
