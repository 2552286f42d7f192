"""Offers as people see them, on the daemon's connection or a read-only one."""

import sqlite3

from vafa.app import open_offers
from vafa.app.offer_questions import OfferIs, OfferLine, OffersAre
from vafa.app.offer_words import in_words, state_of
from vafa.app.offering import found
from vafa.app.status import iso
from vafa.books.rows import OfferRow
from vafa.ledger import people, reads
from vafa.ledger.offers import OFFERS_SHOWN_MAX, newest_offers, offers_of
from vafa.ledger.tables import find_row
from vafa.model import events


def listed(connection: sqlite3.Connection, member: bytes, now: int) -> OffersAre:
    """A person's offers under all their ids, open or not; for b'' everybody's open ones."""
    if member:
        rows = [row for each in people.ids(connection, member) for row in offers_of(connection, each)]
    else:
        rows = newest_offers(connection)
    rows.sort(key=lambda row: -row.seq)
    lines = tuple(_line(connection, row, now) for row in rows[:OFFERS_SHOWN_MAX])
    return OffersAre(offers=lines, more=len(rows) >= OFFERS_SHOWN_MAX)


def shown(connection: sqlite3.Connection, text: str, now: int) -> OfferIs:
    """The offer of an id or its beginning. NotFound, Refused."""
    return OfferIs(offer=_line(connection, found(connection, text), now))


def line_of(connection: sqlite3.Connection, name: bytes, now: int) -> OfferLine:
    """An offer that is known to be there."""
    row = find_row(connection, OfferRow, (name,))
    assert row is not None, "it was given"
    return _line(connection, row, now)


def planned(event: events.Offer, now: int) -> OfferLine:
    """An offer that is not given yet."""
    start = event.from_at or 0
    return _worded(event, "not yet" if start > now else "open", "")


def _line(connection: sqlite3.Connection, row: OfferRow, now: int) -> OfferLine:
    number = ""
    device = reads.device(connection)
    if row.spent_seq and device is not None:
        ended = reads.entry(connection, row.spent_seq).row
        number = device.short_number(ended.epoch, ended.seq)
    return _worded(open_offers.given(connection, row), state_of(connection, row, now), number)


def _worded(event: events.Offer, state: str, number: str) -> OfferLine:
    what = open_offers.brings(event)
    return OfferLine(
        offer=event.offer.hex(),
        member=event.holder.hex(),
        name=what.name,
        name_fa=what.fa,
        name_en=what.en,
        brings=in_words(what),
        state=state,
        given=iso(event.at * 1000),
        from_="" if event.from_at is None else iso(event.from_at * 1000),
        until="" if event.until is None else iso(event.until * 1000),
        by=event.by,
        why=event.why,
        number=number,
    )
