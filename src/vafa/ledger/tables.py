"""Rows of the books to SQL and back: the columns are the struct's fields, in order, for every table."""

import sqlite3

import msgspec

from vafa.books.rows import TABLES, BookRow, Key, R, key_columns, key_of

_updates: dict[tuple[type[BookRow], tuple[int, ...]], str] = {}


class Statements(msgspec.Struct, frozen=True):
    """The SQL of one table, written once."""

    select: str
    find: str
    insert: str
    replace: str
    delete: str
    all_by_key: str

    def key_values(self, row: BookRow) -> Key:
        """The parameters of `find` and `delete` for a row."""
        return key_of(row)


def _statements(row_type: type[BookRow], table: str) -> Statements:
    columns = ", ".join(row_type.__struct_fields__)
    marks = ", ".join("?" for _ in row_type.__struct_fields__)
    key = " AND ".join(f"{name} = ?" for name in key_columns(row_type))
    order = ", ".join(key_columns(row_type))
    return Statements(
        select=f"SELECT {columns} FROM {table}",
        find=f"SELECT {columns} FROM {table} WHERE {key}",
        insert=f"INSERT INTO {table} ({columns}) VALUES ({marks})",
        replace=f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})",
        delete=f"DELETE FROM {table} WHERE {key}",
        all_by_key=f"SELECT {columns} FROM {table} ORDER BY {order}",
    )


SQL: dict[type[BookRow], Statements] = {row: _statements(row, table) for row, table in TABLES.items()}


def update_of(old: BookRow, new: BookRow) -> tuple[str, tuple[object, ...]]:
    """The statement that makes `old` the row `new` of the same key, and its parameters.

    It names what has changed alone: SQLite writes an index anew for each of its columns that a statement
    sets, though the value be the same, and an award must not pay for an index it leaves as it is.
    """
    row_type, width = type(new), len(key_columns(type(new)))
    before, after = msgspec.structs.astuple(old), msgspec.structs.astuple(new)
    places = tuple([n for n in range(width, len(after)) if before[n] != after[n]])
    sql = _updates.get((row_type, places))
    if sql is None:
        names = row_type.__struct_fields__
        sets = ", ".join(f"{names[n]} = ?" for n in places or (width,))
        keys = " AND ".join(f"{name} = ?" for name in names[:width])
        sql = _updates[row_type, places] = f"UPDATE {TABLES[row_type]} SET {sets} WHERE {keys}"
    return sql, (*[after[n] for n in places or (width,)], *after[:width])


def find_row(connection: sqlite3.Connection, row_type: type[R], key: Key) -> R | None:
    """The row with this primary key, or None."""
    values = connection.execute(SQL[row_type].find, key).fetchone()
    return None if values is None else row_type(*values)


def rows_where(connection: sqlite3.Connection, row_type: type[R], where: str, *values: object) -> list[R]:
    """Rows by a condition this program wrote (never a person's text), with `values` for its marks."""
    found = connection.execute(f"{SQL[row_type].select} WHERE {where}", values)
    return [row_type(*row) for row in found]
