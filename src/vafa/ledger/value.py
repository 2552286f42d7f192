"""Questions to the books about what is held, spent and about to lapse."""

import sqlite3

from vafa.books.rows import HoldRow, HoldState, MemberRow
from vafa.books.value import packed_key
from vafa.ledger.tables import rows_where
from vafa.model import events
from vafa.model.events import Kind
from vafa.model.payment import PaymentKey

HOLDS_LOOKED_AT_MAX = 200  # of one member, newest first: more than anybody redeems on a day


def holds_of_request(connection: sqlite3.Connection, request: str) -> list[HoldRow]:
    """The holds made under a request: one for each of a person's ids that points were drawn from."""
    return rows_where(connection, HoldRow, "request = ? AND request <> '' ORDER BY seq", request)


def captured_for(connection: sqlite3.Connection, key: PaymentKey) -> list[HoldRow]:
    """The redemptions that paid a part of a sale and did not all come back yet."""
    where = f"payment = ? AND payment <> x'' AND state = {int(HoldState.CAPTURED)} ORDER BY seq"
    return rows_where(connection, HoldRow, where, packed_key(key))


def redeemed_for(connection: sqlite3.Connection, key: PaymentKey, before_seq: int = 2**62) -> list[HoldRow]:
    """The redemptions of a sale that stand before a journal row, whatever came back of them since."""
    where = "payment = ? AND payment <> x'' AND ended_seq < ? ORDER BY seq"
    return rows_where(connection, HoldRow, where, packed_key(key), before_seq)


def newest_holds(connection: sqlite3.Connection, holder: bytes) -> list[HoldRow]:
    """A member's holds, the newest first."""
    where = f"holder = ? ORDER BY seq DESC LIMIT {HOLDS_LOOKED_AT_MAX}"
    return rows_where(connection, HoldRow, where, holder)


def open_holds(connection: sqlite3.Connection, holder: bytes) -> list[HoldRow]:
    """A member's open holds, oldest first."""
    where = f"holder = ? AND state = {int(HoldState.OPEN)} ORDER BY seq"
    return rows_where(connection, HoldRow, where, holder)


def holds_over(connection: sqlite3.Connection, now: int, far: int, rows_max: int) -> list[HoldRow]:
    """Open holds whose deadline is past at the UTC second `now`, or beyond `far`: the clock fell."""
    where = f"state = {int(HoldState.OPEN)} AND (until <= ? OR until > ?) ORDER BY until LIMIT ?"
    return rows_where(connection, HoldRow, where, now, far, rows_max)


def lapsing_members(
    connection: sqlite3.Connection, at: int, after: tuple[int, bytes], rows_max: int
) -> list[MemberRow]:
    """Members with a lot that lapsed by a UTC second, by (next_expiry, id), those after `after`."""
    where = "next_expiry <= ? AND (next_expiry, id) > (?, ?) ORDER BY next_expiry, id LIMIT ?"
    return rows_where(connection, MemberRow, where, at, *after, rows_max)


def attested_mark(connection: sqlite3.Connection) -> int:
    """The newest time that was attested, UTC seconds; 0 while nobody has."""
    sql = f"SELECT body FROM journal WHERE kind = {int(Kind.CLOCK_ATTESTED)}"
    marks = [
        events.decode(Kind.CLOCK_ATTESTED, body)
        for (body,) in connection.execute(f"{sql} ORDER BY seq DESC LIMIT 2")
    ]
    return max((each.mark for each in marks if isinstance(each, events.ClockAttested)), default=0)
