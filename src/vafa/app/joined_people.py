"""Two phones of one person: merged as an alias, and apart again.

A merge moves nothing. From then on both phones and all cards of both lead to one member, who gets what is
earned; lots, debts and granted bonuses stay with the id that has them, and what is spent is drawn from all.
So a merge of the wrong two is undone by dropping the alias. Where a hub ordered a merge, its word stands.
"""

import sqlite3

import msgspec

from vafa.app.members import checked_phone
from vafa.books.rows import AliasRow, MemberRow, MemberState
from vafa.keys.tokens import Tokens
from vafa.ledger import people
from vafa.ledger.ledger import Ledger, Transaction
from vafa.ledger.tables import find_row
from vafa.model import events
from vafa.model.errors import NotFound, Refused

OWN_WORD = 0  # the order of a merge that no hub ordered


class Joined(msgspec.Struct, frozen=True):
    """Two members who are, or would be, one person or two again. `number` our short number, '' not done.

    member, alias  ids; the alias answers, or answered, as the member
    balance, other_balance  what each of them owns; seen_before: it was so already
    """

    member: bytes
    alias: bytes
    balance: int
    debt: int
    other_balance: int
    other_debt: int
    seen_before: bool = False


class JoinedPeople:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(self, ledger: Ledger, tokens: Tokens) -> None:
        self._ledger = ledger
        self._tokens = tokens

    def merge(self, phone: str, other: str, why: str) -> Joined:
        """`other` answers as the member with `phone` from now on. Told again, it changes nothing."""

        def decide(tx: Transaction) -> Joined:
            found = self._merging(tx.connection, phone, other)
            if not found.seen_before:
                tx.post(events.Merge(found.member, found.alias, OWN_WORD, why))
            return found

        return self._ledger.write(decide)

    def unmerge(self, other: str, why: str) -> Joined:
        """`other`, an alias, stands alone again. NotFound when it is none; Refused when a hub ordered it."""

        def decide(tx: Transaction) -> Joined:
            alias, found = self._unmerging(tx.connection, other)
            tx.post(events.Unmerge(found.member, found.alias, alias.hub_order + 1, why))
            return found

        return self._ledger.write(decide)

    def foreseen(self, phone: str, other: str) -> Joined:
        """What `merge` would do now; without `phone` what `unmerge` would. Writes nothing."""
        if phone:
            return self._ledger.read(lambda connection: self._merging(connection, phone, other))
        return self._ledger.read(lambda connection: self._unmerging(connection, other)[1])

    def _merging(self, connection: sqlite3.Connection, phone: str, other: str) -> Joined:
        one, two = self._row(connection, phone), self._row(connection, other)
        member, alias = people.root(connection, one.id), people.root(connection, two.id)
        if checked_phone(phone) == checked_phone(other):
            raise Refused("these are one phone already")
        return _joined(member, alias, one, two, seen_before=member == alias)

    def _unmerging(self, connection: sqlite3.Connection, other: str) -> tuple[AliasRow, Joined]:
        """The alias of this phone that makes it somebody else's; not the one of its own two keys."""
        ids = self._tokens.member_ids(checked_phone(other))
        rows = (find_row(connection, AliasRow, (each,)) for each in ids)
        alias = next((row for row in rows if row is not None and row.member not in ids), None)
        if alias is None:
            raise NotFound("this phone answers as nobody else", fix="vafa member show PHONE")
        if alias.hub_order > OWN_WORD:
            raise Refused("the hub ordered this merge: undo it there", fix="vafa hub member")
        own = (find_row(connection, MemberRow, (each,)) for each in ids)
        two = next((row for row in own if row is not None), None)
        one = people.acting(connection, alias.member)
        if one is None or two is None:
            raise NotFound("nobody is known here by that alias", fix="vafa verify")
        return alias, _joined(alias.member, alias.alias, one, two, seen_before=False)

    def _row(self, connection: sqlite3.Connection, phone: str) -> MemberRow:
        row = people.first_here(connection, self._tokens.member_ids(checked_phone(phone)))
        if row is None or row.state != MemberState.ACTIVE:
            raise NotFound("this phone belongs to no member here", fix="vafa member add PHONE")
        return row


def _joined(member: bytes, alias: bytes, one: MemberRow, two: MemberRow, *, seen_before: bool) -> Joined:
    return Joined(member, alias, one.balance, one.debt, two.balance, two.debt, seen_before)
