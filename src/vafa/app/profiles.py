"""What members tell of themselves, each asked for once; and forgetting a person.

The name is sealed beside the journal like the phone; birthday, consent and referrer are in the books, under
the keyed id alone. A question that was answered with nothing was asked all the same and is not asked again.
"""

import sqlite3

import msgspec

from vafa.app.member_view import ASKED, MemberView
from vafa.app.members import Members, checked_phone
from vafa.books.rows import MemberRow, MemberState, PersonRow
from vafa.keys.seal import Person, SealedPerson, unopened
from vafa.ledger import people, reads, upkeep
from vafa.ledger.ledger import Transaction
from vafa.model import events, standing
from vafa.model.calendar import birthday
from vafa.model.errors import NotFound, Refused

FEEDBACK = 16  # the bit of Profile.fields that is no question
_SEALED = "SELECT wrapped_key, phone, name FROM secret WHERE member = ?"
_NAMED = "UPDATE secret SET wrapped_key = ?, phone = ?, name = ? WHERE member = ?"
_ERASING = "PRAGMA secure_delete = ON"  # what is deleted or replaced goes byte for byte, not only its row
_FORGET = "DELETE FROM secret WHERE member = ?"


class Telling(msgspec.Struct, frozen=True):
    """What a member is told to have said; None: not asked now. '' (False for consent): nothing.

    birthday  day/month of the Jalali calendar; referrer: the phone of the member who sent them
    feedback  they gave the shop their opinion just now
    """

    name: str | None = None
    birthday: str | None = None
    consent: bool | None = None
    referrer: str | None = None
    feedback: bool = False


class Forgotten(msgspec.Struct, frozen=True):
    """What forgetting did: `ids` that lead to nobody now, cards unbound, points that stay there."""

    ids: int
    cards: int
    points: int
    debt: int


class Profiles:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(self, members: Members) -> None:
        self._ledger = members.ledger
        self._members = members
        self._sealer = members.sealer

    def tell(self, member: bytes, telling: Telling, by: str) -> MemberView:
        """Keep what a member told. Refused for what is no birthday or no member; NotFound; SealingFailed.

        The same told again changes nothing, so the date of a consent is that of the first yes.
        """
        day = _day(telling.birthday)
        sender = self._sender(member, telling.referrer)
        name = None if telling.name is None else telling.name.strip()
        sealed = self._renamed(member, name) if name else None

        def decide(tx: Transaction) -> None:
            row = _known(tx, member)
            before = tx.find(PersonRow, (member,)) or PersonRow(member)
            known = standing.unpack(row.standing)
            same = people.root(tx.connection, known.referrer) == people.root(tx.connection, sender)
            if sender and known.referrer and not same:
                raise Refused("who sent this member was told before and stays", fix="vafa member show PHONE")
            said: dict[int, bool] = {  # bit -> whether it differs from what is known
                ASKED["name"]: sealed is not None,
                ASKED["birthday"]: day != known.birthday,
                ASKED["consent"]: telling.consent != (before.consent_at is not None),
                ASKED["referrer"]: bool(sender) and not known.referrer,
                FEEDBACK: True,
            }
            fields = _bits(telling)
            fields = sum(bit for bit in said if bit & fields and (said[bit] or not before.told & bit))
            if not fields:
                return
            at = tx.at_ms // 1000
            consent_at = at if telling.consent else None
            tx.post(events.Profile(member, fields, consent_at, known.referrer or sender, day, by, at))
            if sealed is not None:
                tx.connection.execute(_ERASING)
                tx.connection.execute(_NAMED, (*msgspec.structs.astuple(sealed), member))

        self._ledger.write(decide)
        return self._members.show(member)

    def forget(self, member: bytes, why: str, by: str) -> Forgotten:
        """Delete phone, name and the key they lie under; unbind the cards. The points stay under bare ids.

        All ids the person answers by are forgotten. Backups of before keep them until they are dropped.
        """

        def decide(tx: Transaction) -> Forgotten:
            _known(tx, member)
            would = answering(tx.connection, member)
            for each, tokens in would:
                forget_within(tx, each.id, tokens, why, by)
            return _forgotten(would)

        done = self._ledger.write(decide)
        upkeep.checkpoint(self._ledger.path)  # nor do they stay in the log
        return done

    def foreseen(self, member: bytes) -> Forgotten:
        """What `forget` would do now. Writes nothing."""
        return self._ledger.read(lambda connection: _forgotten(answering(connection, member)))

    def _sender(self, member: bytes, phone: str | None) -> bytes:
        """The member with the referrer's phone, b'' where none is told. Refused for nobody, for oneself.

        It is the phone's own id: the one it answers as is thanked, and its own again after an unmerge.
        """
        if not phone:
            return b""
        checked_phone(phone)
        try:
            sender = self._members.own_id(phone)
        except NotFound as error:
            raise Refused("who sent them is no member here", fix="vafa member add PHONE") from error
        if self._ledger.read(lambda c: people.root(c, sender) == people.root(c, member)):
            raise Refused("nobody sends themselves")
        return sender

    def _renamed(self, member: bytes, name: str) -> SealedPerson | None:
        """What is sealed of the member with another name; None where it is the name they have."""
        columns = self._ledger.read(lambda c: _columns(c, member))
        (person,) = self._sealer.opened([(member, SealedPerson(*columns))])
        if person is None:
            raise unopened()
        return None if person.name == name else self._sealer.sealed(member, Person(person.phone, name))


def forget_within(
    tx: Transaction,
    member: bytes,
    tokens: tuple[bytes, ...],
    why: str,
    by: str,
    origin: tuple[int, int, int] | None = None,
) -> None:
    """One id of a person forgotten, as part of a larger decision; its cards are `tokens`, `origin` the row of
    another device that says so."""
    tx.connection.execute(_ERASING)
    tx.post(events.Forget(member, by, why, tokens, origin))
    tx.connection.execute(_FORGET, (member,))


def _day(text: str | None) -> tuple[int, int] | None:
    """(month, day) as told; None for nothing. Refused when the Jalali calendar has no such day."""
    if not text:
        return None
    day = birthday(text)
    if day is None:
        raise Refused(
            "that is no day of the Jalali calendar", fix="day and month, for instance 31/06; 30/12 is one too"
        )
    return day


def _bits(telling: Telling) -> int:
    """Profile.fields of what was asked."""
    asked = sum(bit for name, bit in ASKED.items() if getattr(telling, name) is not None)
    return asked | (FEEDBACK if telling.feedback else 0)


def _known(tx: Transaction, member: bytes) -> MemberRow:
    row = tx.find(MemberRow, (member,))
    if row is None or row.state != MemberState.ACTIVE:
        raise NotFound("this phone belongs to no member here", fix="vafa member add PHONE")
    return row


def _columns(connection: sqlite3.Connection, member: bytes) -> tuple[bytes, bytes, bytes | None]:
    """The secret row. NotFound for somebody who was forgotten."""
    columns: tuple[bytes, bytes, bytes | None] | None = connection.execute(_SEALED, (member,)).fetchone()
    if columns is None:
        raise NotFound("nothing is sealed of this member", fix="vafa member add PHONE")
    return columns


Forgetting = list[tuple[MemberRow, tuple[bytes, ...]]]  # a row and the cards that lead to it


def answering(connection: sqlite3.Connection, member: bytes) -> Forgetting:
    """All ids a person answers by that are members, with their cards."""
    rows = [row for row in people.owners(connection, member) if row.state == MemberState.ACTIVE]
    return [(row, tuple(t.token for t in reads.tokens_of_member(connection, row.id))) for row in rows]


def _forgotten(each: Forgetting) -> Forgotten:
    rows = [row for row, _ in each]
    cards = sum(len(tokens) for _, tokens in each)
    return Forgotten(len(rows), cards, sum(row.balance for row in rows), sum(row.debt for row in rows))
