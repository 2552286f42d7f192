"""Members out of a read-only ledger, while the daemon is down: nothing sealed is opened.

A phone is found by its keyed id where the device's key may be read; its last four digits need no key.
"""

import sqlite3

from vafa.app.config import Config
from vafa.app.joining import tokens_of
from vafa.app.member_view import MemberView, member_view
from vafa.app.offer_questions import MemberOffer
from vafa.app.offer_words import in_words as in_words_of
from vafa.app.questions import HistoryLine, Member, MemberIs, MembersAre
from vafa.app.status import iso
from vafa.books.rows import MemberRow, MemberState
from vafa.keys.device_key import load
from vafa.ledger import people, reads
from vafa.model.errors import NotFound
from vafa.model.identity import ascii_digits, last4_masked, phone_e164


def found(connection: sqlite3.Connection, config: Config, text: str) -> MembersAre:
    """Members by phone, the last four digits of one, or the id in hex. A phone needs the key."""
    rows = [row for row in _rows(connection, config, text) if row.state == MemberState.ACTIVE]
    return MembersAre(members=tuple(_member(connection, row) for row in rows))


def shown(connection: sqlite3.Connection, config: Config, who: str) -> MemberIs:
    """The one member of a phone or an id. NotFound."""
    members = found(connection, config, who).members
    if len(members) != 1:
        raise NotFound("no one member is known by that", fix="vafa member find LAST-FOUR-DIGITS")
    return MemberIs(member=members[0])


def in_words(view: MemberView) -> Member:
    """A member as the command line shows them."""
    history = tuple(
        HistoryLine(line.number, iso(line.at_ms), line.amount, line.points, line.what)
        for line in view.history
    )
    person = view.person
    return Member(
        id=view.id,
        phone=view.phone,
        name=view.name,
        balance=view.balance,
        debt=view.debt,
        visits=view.visits,
        spent=view.spent,
        cards=view.cards,
        history=history,
        birthday=person.birthday if person else "",
        consent=iso(person.consent_at * 1000) if person and person.consent_at else "",
        referrer=person.referrer if person else "",
        unasked=person.unasked if person else (),
        also=person.also if person else (),
        value=view.value,
        offers=tuple(
            MemberOffer(
                each.id.hex(),
                each.brings.name,
                each.brings.fa,
                in_words_of(each.brings),
                "" if each.from_at is None else iso(each.from_at * 1000),
                "" if each.until is None else iso(each.until * 1000),
            )
            for each in sorted(view.offers, key=lambda each: each.ends)
        ),
    )


def _rows(connection: sqlite3.Connection, config: Config, text: str) -> list[MemberRow]:
    digits = ascii_digits(text).strip()
    if len(digits) == 4 and digits.isdigit():
        return reads.members_ending(connection, digits)
    phone = phone_e164(digits)
    if phone:
        tokens = tokens_of(config.ledger_directory, load(config.key_file))
        ids: list[bytes] = list(tokens.member_ids(phone))
    else:
        try:
            ids = [bytes.fromhex(digits)]
        except ValueError:
            return []
    row = people.first_here(connection, ids)
    return [row] if row else []


def _member(connection: sqlite3.Connection, row: MemberRow) -> Member:
    return in_words(member_view(connection, row, last4_masked(row.last4), ""))
