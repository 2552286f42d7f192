"""Rows of the books to PostgreSQL and back, many at a time: columns and keys come from the row types.

Each statement names (merchant_id, device, line) first; see schema.py. Rows are read and written in bulk, a
statement a table and batch, because a backlog of 100,000 events must not cost 300,000 round trips. They are
written so that each row is reached by its key whatever the planner believes of the table's size: LATERAL with
LIMIT instead of a join, ON CONFLICT instead of UPDATE FROM. (Joins were planned as scans of the whole table
until the first ANALYZE: 650 events a second, and falling.)
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from vafa.books.rows import TABLES, BookRow, Key, R, key_columns
from vafa.hub.binary import ARRAYS, Array, copy_data
from vafa.hub.database import Connection

_INT64 = 2**63


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Whose rows: every statement begins with these."""

    merchant: str
    device: int
    line: int


_PLACE = ("merchant_id", "device", "line")
_COLUMN_TYPES = {"int": "int8", "str": "text", "bytes": "bytea"}


def _type_of(field: msgspec.structs.FieldInfo) -> str:
    """The PostgreSQL type of a field: `int`, `str`, `bytes`, or one of them or None."""
    named = getattr(field.type, "__name__", "")
    if named in _COLUMN_TYPES:
        return _COLUMN_TYPES[named]
    (inner,) = [each.__name__ for each in field.type.__args__ if each is not type(None)]
    return _COLUMN_TYPES[inner]


class Statements(msgspec.Struct, frozen=True):
    """The SQL of one table. `types` are those of the row's columns, without the place's."""

    types: tuple[str, ...]
    find: str
    copy: str
    update: str
    delete: str


def _statements(row_type: type[BookRow], table: str) -> Statements:
    fields = msgspec.structs.fields(row_type)
    columns, types = [field.name for field in fields], tuple(_type_of(field) for field in fields)
    width = len(key_columns(row_type))
    keys, others = columns[:width], columns[width:]
    placed = "merchant_id = %s AND device = %s AND line = %s"
    same = " AND ".join(f"{name} = given.{name}" for name in keys)
    listed, all_columns = ", ".join(columns), ", ".join((*_PLACE, *columns))
    sets = ", ".join(f"{name} = excluded.{name}" for name in others)
    return Statements(
        types=types,
        find=f"SELECT found.* FROM {_given(keys, types)} CROSS JOIN LATERAL "
        f"(SELECT {listed} FROM {table} WHERE {placed} AND {same} LIMIT 1) AS found",
        copy=f"COPY {table} ({all_columns}) FROM STDIN (FORMAT BINARY)",
        update=f"INSERT INTO {table} ({all_columns}) "
        f"SELECT %s, %s, %s, given.* FROM {_given(columns, types)} "
        f"ON CONFLICT ({', '.join((*_PLACE, *keys))}) DO UPDATE SET {sets}",
        delete=f"DELETE FROM {table} WHERE {placed} AND {' AND '.join(f'{name} = %s' for name in keys)}",
    )


def _given(columns: Sequence[str], types: Sequence[str]) -> str:
    """Rows that come as an array a column."""
    arrays = ", ".join(f"%s::{kind}[]" for kind, _ in zip(types, columns, strict=False))
    return f"unnest({arrays}) AS given ({', '.join(columns)})"


SQL: dict[type[BookRow], Statements] = {row: _statements(row, table) for row, table in TABLES.items()}


def find_rows(connection: Connection, place: Place, row_type: type[R], keys: Sequence[Key]) -> list[R]:
    """The rows of one table that have one of these primary keys."""
    values = (*_by_column(keys, SQL[row_type].types), *msgspec.structs.astuple(place))
    found = connection.execute(SQL[row_type].find.encode(), values, binary=True)
    return [row_type(*values) for values in found]


def insert_rows(
    connection: Connection, place: Place, row_type: type[BookRow], rows: Iterable[BookRow]
) -> None:
    """New rows of one table."""
    sql = SQL[row_type]
    copy_rows(connection, sql.copy, place, sql.types, map(msgspec.structs.astuple, rows))


def update_rows(
    connection: Connection, place: Place, row_type: type[BookRow], rows: Sequence[BookRow]
) -> None:
    """Rows of one table that have other values now."""
    values = _by_column([msgspec.structs.astuple(row) for row in rows], SQL[row_type].types)
    connection.execute(SQL[row_type].update.encode(), (*msgspec.structs.astuple(place), *values))


def delete_rows(connection: Connection, place: Place, row_type: type[BookRow], keys: Sequence[Key]) -> None:
    """Rows of one table that go, by their primary keys. Few do: a query each."""
    whose = msgspec.structs.astuple(place)
    with connection.cursor() as cursor:
        cursor.executemany(SQL[row_type].delete.encode(), [(*whose, *key) for key in keys])


def copy_rows(
    connection: Connection,
    statement: str,
    place: Place,
    types: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
) -> None:
    """Rows by COPY: the fastest way in. `types` are the columns' behind the place's."""
    whose = (("text", place.merchant), ("int8", place.device), ("int8", place.line))
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(copy_data(whose, types, rows))


def storable(row: BookRow) -> bool:
    """False for what PostgreSQL refuses: numbers beyond 64 bits, texts with a NUL. Devices send neither."""
    return askable(msgspec.structs.astuple(row))


def askable(values: Key) -> bool:
    """As `storable`, for a key: no row can have one that cannot be stored."""
    return not any(
        "\0" in value if isinstance(value, str) else isinstance(value, int) and not -_INT64 <= value < _INT64
        for value in values
    )


def _by_column(rows: Sequence[tuple[Any, ...]], types: Sequence[str]) -> list[Array]:
    """[(a, b), (c, d)] as arrays of (a, c) and (b, d)."""
    return [ARRAYS[kind](values) for kind, values in zip(types, zip(*rows, strict=True), strict=False)]
