"""Rows of the books to SQL and back: the columns are the struct's fields, in order, for every table."""

import sqlite3

import msgspec

from vafa.books.rows import TABLES, BookRow, Key, R, key_columns, key_of


class Statements(msgspec.Struct, frozen=True):
    """The SQL of one table, written once."""

    select: str
    find: str
    insert: str
    update: str
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
    width = len(key_columns(row_type))
    places = [f"{name} = ?{place}" for place, name in enumerate(row_type.__struct_fields__, 1)]
    return Statements(
        select=f"SELECT {columns} FROM {table}",
        find=f"SELECT {columns} FROM {table} WHERE {key}",
        insert=f"INSERT INTO {table} ({columns}) VALUES ({marks})",
        update=f"UPDATE {table} SET {', '.join(places[width:])} WHERE {' AND '.join(places[:width])}",
        replace=f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})",
        delete=f"DELETE FROM {table} WHERE {key}",
        all_by_key=f"SELECT {columns} FROM {table} ORDER BY {order}",
    )


SQL: dict[type[BookRow], Statements] = {row: _statements(row, table) for row, table in TABLES.items()}


def find_row(connection: sqlite3.Connection, row_type: type[R], key: Key) -> R | None:
    """The row with this primary key, or None."""
    values = connection.execute(SQL[row_type].find, key).fetchone()
    return None if values is None else row_type(*values)


def rows_where(connection: sqlite3.Connection, row_type: type[R], where: str, *values: object) -> list[R]:
    """Rows by a condition this program wrote (never a person's text), with `values` for its marks."""
    found = connection.execute(f"{SQL[row_type].select} WHERE {where}", values)
    return [row_type(*row) for row in found]
