"""Offers given and withdrawn by people: to one member or a segment of them; once for a request.

A request names what somebody wanted, and the offer's identity follows from it and the member: a command that
was cut off is given again and gives nobody anything twice. Many are given in slices, so that no sale waits.
"""

import sqlite3
from datetime import timedelta

import msgspec

from vafa.app import open_offers
from vafa.app.granting import regular
from vafa.app.programmes import Programmes
from vafa.books.rows import MemberRow, MemberState, OfferRow
from vafa.club import offers
from vafa.club.offers import BY_HAND, ID_BYTES, OPEN_MAX, Brings, document, identity, template_of
from vafa.club.programme import Programme, Segment
from vafa.club.segments import is_in, segment_of
from vafa.club.settings import DAYS_MAX
from vafa.club.windows import day_start, local, parsed_day
from vafa.ledger import people, reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.ledger.offers import members_after, offers_named
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.events import OfferEnd

SLICE_MEMBERS = 50  # given an offer in one transaction
LOOKED_AT_MAX = 100  # members in one transaction, to find those


class Wish(msgspec.Struct, frozen=True):
    """An offer somebody wants to give.

    request   its identity; template: an [offer.NAME] of the programme, '' for `own`
    days      for how many days after the first, 0: as the template says; from_day: the first, '' today
    """

    request: str
    template: str
    own: Brings | None
    days: int
    from_day: str
    why: str
    by: str


class Given(msgspec.Struct, frozen=True):
    """An offer as it was given, or would be. seen_before: this request had given it."""

    event: events.Offer
    seen_before: bool = False


class Slice(msgspec.Struct, frozen=True):
    """A part of a segment. offers: given; before: those that this request had given; full: members who hold
    too many; next: after whom to go on, b'' when all were looked at."""

    offers: int
    before: int
    full: int
    next: bytes


class Offering:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(self, ledger: Ledger, programmes: Programmes) -> None:
        self._ledger = ledger
        self._programmes = programmes

    def give(self, member: bytes, wish: Wish) -> Given:
        """Give one member an offer, durably and once. Refused, NotFound."""

        def decide(tx: Transaction) -> Given:
            given = self._planned(tx.connection, member, wish, tx.at_ms // 1000)
            if not given.seen_before:
                tx.post(given.event)
            return given

        return self._ledger.write(decide)

    def foreseen(self, member: bytes, wish: Wish, now: int) -> Given:
        """What `give` would do. Writes nothing."""
        return self._ledger.read(lambda connection: self._planned(connection, member, wish, now))

    def give_segment(self, name: str, wish: Wish, after: bytes) -> Slice:
        """Give the next members of a segment an offer each, those after the id `after`."""
        return self._ledger.write(lambda tx: self._to_segment(tx, name, wish, after, post=True))

    def foreseen_segment(self, name: str, wish: Wish, after: bytes) -> Slice:
        """What `give_segment` would do. Writes nothing."""
        return self._ledger.write(lambda tx: self._to_segment(tx, name, wish, after, post=False))

    def withdraw(self, offer: bytes, why: str, by: str) -> tuple[OfferRow, bool]:
        """End an open offer: its row, and whether it had been withdrawn before. Refused for a used one."""

        def decide(tx: Transaction) -> tuple[OfferRow, bool]:
            row = tx.find(OfferRow, (offer,))
            assert row is not None, "it was found by its name"
            if was_withdrawn(tx.connection, row):
                return row, True
            _may_be_withdrawn(row)
            now = tx.at_ms // 1000
            tx.post(events.OfferEnded(offer, row.holder, OfferEnd.WITHDRAWN, why, by, now))
            return row, False

        return self._ledger.write(decide)

    def foreseen_withdrawal(self, offer: bytes) -> tuple[OfferRow, bool]:
        """What `withdraw` would do. Writes nothing."""

        def question(connection: sqlite3.Connection) -> tuple[OfferRow, bool]:
            (row,) = offers_named(connection, offer, offer)
            if was_withdrawn(connection, row):
                return row, True
            _may_be_withdrawn(row)
            return row, False

        return self._ledger.read(question)

    def _planned(self, connection: sqlite3.Connection, member: bytes, wish: Wish, now: int) -> Given:
        row = people.acting(connection, member)
        if row is None or row.state != MemberState.ACTIVE:
            raise NotFound("this phone belongs to no member here", fix="vafa member add PHONE")
        event = self._event(self._programme(now), row.id, wish, now)
        earlier = offers_named(connection, event.offer, event.offer)
        if earlier:
            first = open_offers.given(connection, earlier[0])
            if first.document != event.document:
                raise Refused(
                    "this request gave something else", fix="give each offer a request id of its own"
                )
            return Given(first, seen_before=True)
        if row.offers >= OPEN_MAX:
            raise Refused(f"this member holds {row.offers} offers already", fix="vafa offer list PHONE")
        return Given(event)

    def _to_segment(self, tx: Transaction, name: str, wish: Wish, after: bytes, *, post: bool) -> Slice:
        now = tx.at_ms // 1000
        programme = self._programme(now)
        segment = segment_of(programme, name)
        if segment is None:
            raise _not_there("segment", name, [each.id for each in programme.segments])
        rows = members_after(tx.connection, after, LOOKED_AT_MAX)
        given = before = full = 0
        for row in rows:
            if not _is_one_of(tx.connection, programme, segment, row, now):
                continue
            event = self._event(programme, row.id, wish, now)
            if tx.find(OfferRow, (event.offer,)) is not None:
                before += 1
            elif row.offers >= OPEN_MAX:
                full += 1
            else:
                given += 1
                if post:
                    tx.post(event)
            if given == SLICE_MEMBERS:
                return Slice(given, before, full, row.id)
        return Slice(given, before, full, rows[-1].id if len(rows) == LOOKED_AT_MAX else b"")

    def _event(self, programme: Programme, member: bytes, wish: Wish, now: int) -> events.Offer:
        what, days, version = wish.own, wish.days, b""
        if what is None:
            template = template_of(programme, wish.template)
            if template is None:
                raise _not_there("offer", wish.template, [each.id for each in programme.offers])
            what, days, version = offers.brings(template), days or template.valid_days, programme.id
        if not 1 <= days <= DAYS_MAX:
            raise Refused(f"an offer is good for 1 to {DAYS_MAX} days", fix="say --days")
        from_at, until = _window(wish.from_day, days, programme, now)
        name = identity(member, BY_HAND + wish.request, 0)
        return events.Offer(
            name, member, document(what), from_at, until, wish.by, wish.why, version, 0, 0, now
        )

    def _programme(self, now: int) -> Programme:
        programme = self._programmes.at(now)
        if programme is None:
            raise Refused("no programme is active: nothing can be given", fix="vafa programme show")
        return programme


def found(connection: sqlite3.Connection, text: str) -> OfferRow:
    """The offer of an id, or of its beginning. NotFound, Refused where it could be several."""
    wanted = text.strip().lower()
    try:
        start = bytes.fromhex(wanted + "0" * (2 * ID_BYTES - len(wanted)))
        end = bytes.fromhex(wanted + "f" * (2 * ID_BYTES - len(wanted)))
    except ValueError:
        start = end = b""
    rows = offers_named(connection, start, end) if len(start) == ID_BYTES and wanted else []
    if not rows:
        raise NotFound(f"there is no offer {text[:20]!r}", fix="vafa offer list")
    if len(rows) > 1:
        raise Refused(f"{text!r} begins the ids of several offers", fix="give more of its digits")
    return rows[0]


def was_withdrawn(connection: sqlite3.Connection, row: OfferRow) -> bool:
    """True when a person ended it."""
    if not row.spent_seq:
        return False
    ended = reads.entry(connection, row.spent_seq).event
    return isinstance(ended, events.OfferEnded) and ended.end == OfferEnd.WITHDRAWN


def _may_be_withdrawn(row: OfferRow) -> None:
    if row.spent_seq:
        raise Refused("this offer was used or has ended", fix=f"vafa offer show {row.offer.hex()}")
    if row.hold:
        raise Refused("this offer is set aside for a payment now", fix="vafa redeem release REQUEST")


def _is_one_of(
    connection: sqlite3.Connection, programme: Programme, segment: Segment, row: MemberRow, now: int
) -> bool:
    """Of a merged person the one they answer as is looked at."""
    if not is_in(programme, segment, regular(connection, row), now):
        return False
    acting = people.acting(connection, row.id)
    return acting is not None and acting.id == row.id


def _window(from_day: str, days: int, programme: Programme, now: int) -> tuple[int, int]:
    """From now, or from the start of a day, through the so many-th day after it."""
    if not from_day:
        return offers.window(now, days, programme.zone)
    try:
        first = parsed_day(from_day.replace("-", "/"), programme.calendar)
    except ValueError:
        raise Refused(f"there is no day {from_day!r}", fix="write it as 1405/01/31") from None
    if first < local(now, programme.zone).date():
        raise Refused("an offer begins today or later", fix="leave --from out")
    start = day_start(first, programme.zone)
    return max(start, now), day_start(first + timedelta(days=days + 1), programme.zone)


def _not_there(what: str, name: str, known: list[str]) -> NotFound:
    listed = ", ".join(known) or f"none: write a [{what}.NAME] in the programme"
    return NotFound(f"the rules in force have no {what} {name!r}", fix=f"known: {listed}")
