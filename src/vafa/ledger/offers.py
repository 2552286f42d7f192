"""Questions to the books about offers."""

import sqlite3

from vafa.books.rows import MemberRow, OfferRow
from vafa.ledger.tables import rows_where

OFFERS_SHOWN_MAX = 500


def open_offers(connection: sqlite3.Connection, holder: bytes) -> list[OfferRow]:
    """A member's open offers that nothing has set aside, in the order they were given."""
    return rows_where(
        connection, OfferRow, "holder = ? AND spent_seq = 0 AND hold = x'' ORDER BY seq", holder
    )


def offers_of(connection: sqlite3.Connection, holder: bytes) -> list[OfferRow]:
    """A member's offers, open or not, the newest first."""
    where = f"holder = ? ORDER BY seq DESC LIMIT {OFFERS_SHOWN_MAX}"
    return rows_where(connection, OfferRow, where, holder)


def newest_offers(connection: sqlite3.Connection) -> list[OfferRow]:
    """Everybody's open offers, the newest first."""
    where = f"spent_seq = 0 ORDER BY seq DESC LIMIT {OFFERS_SHOWN_MAX}"
    return rows_where(connection, OfferRow, where)


def offers_named(connection: sqlite3.Connection, start: bytes, end: bytes) -> list[OfferRow]:
    """The offers whose id lies between two, both included; two at most."""
    return rows_where(connection, OfferRow, "offer BETWEEN ? AND ? LIMIT 2", start, end)


def offers_over(connection: sqlite3.Connection, at: int, rows_max: int) -> list[OfferRow]:
    """Open offers whose window had closed by a UTC second; those set aside wait."""
    where = "spent_seq = 0 AND until IS NOT NULL AND until <= ? AND hold = x'' ORDER BY until LIMIT ?"
    return rows_where(connection, OfferRow, where, at, rows_max)


def members_after(connection: sqlite3.Connection, after: bytes, rows_max: int) -> list[MemberRow]:
    """Members in the order of their ids, those after `after`."""
    return rows_where(connection, MemberRow, "state = 1 AND id > ? ORDER BY id LIMIT ?", after, rows_max)


def joined_at(connection: sqlite3.Connection, row: MemberRow) -> int:
    """When a member joined, UTC seconds by the device's clock."""
    found = connection.execute("SELECT at FROM journal WHERE seq = ?", (row.joined_seq,)).fetchone()
    return int(found[0]) // 1000 if found else 0
