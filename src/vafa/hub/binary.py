"""PostgreSQL's binary forms of many values at once: arrays as parameters, rows for COPY.

psycopg writes both value by value in Python; for a backlog of a hundred thousand rows that is a third of
the hub's time. These write three types only (int8, text, bytea), which is all that the hub's tables have. A
number beyond 64 bits raises struct.error.
"""

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
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
        head = _array_head(1, None in values, _ELEMENTS[self.kind], len(values), 1)
        self.data = b"".join([head, *_column(self.kind, values)])


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
    prefix = [_count(len(before) + len(kinds))]
    for kind, value in before:
        prefix += _column(kind, [value])
    by_column = list(zip(*rows, strict=True)) or [()] * len(kinds)
    columns = [_column(kind, values) for kind, values in zip(kinds, by_column, strict=True)]
    told = chain.from_iterable(zip(repeat(b"".join(prefix)), *columns, strict=False))
    return b"".join([_COPY_HEAD, *told, _COPY_END])


def register(connection: psycopg.Connection[Any]) -> None:
    """Let this connection take arrays as parameters."""
    for array, dumper in _DUMPERS.items():
        connection.adapters.register_dumper(array, dumper)


def _column(kind: str, values: Sequence[Any]) -> list[bytes]:
    """The values of one column, each with its length before it. A column at a time: half the time."""
    if kind == "text":
        values = [None if value is None else value.encode() for value in values]
    if kind == "int8":
        if None not in values:
            return [_int8(8, value) for value in values]
        return [_NULL if value is None else _int8(8, value) for value in values]
    return [_NULL if value is None else _length(len(value)) + value for value in values]


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> bytes:
        return obj.data


_DUMPERS: dict[type[Array], type[Dumper]] = {
    array: type(f"_{array.__name__}Dumper", (_ArrayDumper,), {"oid": _ARRAYS[kind]})
    for kind, array in ARRAYS.items()
}
