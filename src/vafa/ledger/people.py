"""Who answers as whom: a person may have several ids here, each with what it owns.

A merge is an alias: from then on the alias answers as the member, whose row gets what is earned; lots, debts
and bonuses stay where they are, so that it can be undone. An enrolment makes aliases too: at a merchant's
devices whoever joined before has their points under the id they had, and answers as the merchant's id for
the phone.
"""

import sqlite3
from collections.abc import Sequence

from vafa.books.rows import AliasRow, MemberRow, MemberState
from vafa.ledger.tables import find_row, rows_where

_HAS_OTHER_ID = (
    "SELECT EXISTS (SELECT 1 FROM alias WHERE alias = ?) OR EXISTS (SELECT 1 FROM alias WHERE member = ?)"
)
_OF_CARD = (
    "SELECT token.seq, EXISTS (SELECT 1 FROM alias WHERE alias = id) OR EXISTS (SELECT 1 FROM alias "
    f"WHERE alias.member = id), {', '.join(MemberRow.__struct_fields__)} FROM token "
    "CROSS JOIN member ON id = token.member WHERE token = ?"
)
STEPS_MAX = 16  # a person of more phones than that is a mistake; it also ends what should never be a circle


def root(connection: sqlite3.Connection, member: bytes) -> bytes:
    """The id a member answers as: their own, or that of the one they were merged into."""
    for _ in range(STEPS_MAX):
        alias = find_row(connection, AliasRow, (member,))
        if alias is None:
            break
        member = alias.member
    return member


def ids(connection: sqlite3.Connection, member: bytes) -> list[bytes]:
    """Every id of the person, the one they answer as first, then in the order they were merged."""
    found = [root(connection, member)]
    for each in found:  # grows while it is walked: aliases of aliases
        if len(found) > STEPS_MAX:
            break
        found += [row.alias for row in rows_where(connection, AliasRow, "member = ? ORDER BY seq", each)]
    return found


def owners(connection: sqlite3.Connection, member: bytes) -> list[MemberRow]:
    """The rows whose points the person has, the acting one first; what is spent is drawn from all of them.

    An id that was forgotten is nobody's until its own phone joins again, also where another phone of the
    person has: it is told only where nobody else answers.
    """
    rows = (find_row(connection, MemberRow, (each,)) for each in ids(connection, member))
    found = sorted((row for row in rows if row is not None), key=lambda row: row.state != MemberState.ACTIVE)
    return [row for row in found if row.state != MemberState.FORGOTTEN] or found[:1]


def stands_alone(connection: sqlite3.Connection, member: bytes) -> bool:
    """True for nearly everybody: no other id answers as this one, nor this one as another."""
    (has_other,) = connection.execute(_HAS_OTHER_ID, (member, member)).fetchone()
    return not has_other


def of_card(connection: sqlite3.Connection, token: bytes) -> list[tuple[MemberRow, bool]]:
    """The members a card belongs to, and whether each stands alone: what a sale asks of nearly every card,
    in one question."""
    found = connection.execute(_OF_CARD, (token,)).fetchall()
    if len(found) > 1:  # a family
        found.sort()
    return [(MemberRow(*columns), not has_other) for _, has_other, *columns in found]


def acting(connection: sqlite3.Connection, member: bytes) -> MemberRow | None:
    """The row that gets what the person earns; None when nobody is known by this id here."""
    if stands_alone(connection, member):
        return find_row(connection, MemberRow, (member,))
    return next(iter(owners(connection, member)), None)


def first_here(connection: sqlite3.Connection, phone_ids: Sequence[bytes]) -> MemberRow | None:
    """The row that answers for the first of a phone's ids that is known here."""
    rows = (acting(connection, each) for each in phone_ids)
    return next((row for row in rows if row is not None), None)


def joined(connection: sqlite3.Connection, phone_ids: Sequence[bytes]) -> MemberRow | None:
    """The row that answers for a phone which is a member's; None for one that was forgotten, also where
    another phone of the same person has joined again."""
    own = find_row(connection, MemberRow, (joining(connection, phone_ids),))
    if own is not None and own.state == MemberState.FORGOTTEN:
        return None
    row = first_here(connection, phone_ids)
    return row if row is not None and row.state == MemberState.ACTIVE else None


def joining(connection: sqlite3.Connection, phone_ids: Sequence[bytes]) -> bytes:
    """The id under which a phone joins: who was forgotten and comes again finds what the bare id kept."""
    known = (each for each in phone_ids if find_row(connection, MemberRow, (each,)) is not None)
    return next(known, phone_ids[0])


def others(connection: sqlite3.Connection, member: bytes) -> list[MemberRow]:
    """The rows of the person under other ids than this one; none for nearly everybody."""
    if stands_alone(connection, member):
        return []
    return [row for row in owners(connection, member) if row.id != member]


def not_among(connection: sqlite3.Connection, members: Sequence[bytes]) -> int:
    """The points of the person that lie under none of these ids of theirs."""
    if len(members) == 1 and stands_alone(connection, members[0]):
        return 0
    return sum(row.balance for row in owners(connection, members[0]) if row.id not in members)


def beside(connection: sqlite3.Connection, member: bytes) -> int:
    """The points of the person that lie under other ids than this one."""
    return sum(row.balance for row in others(connection, member))
