"""What paper and people are told of offers: used with a sale, new with it, open again; and how one stands.

What a paper says is read back from the journal alone, so the first paper and every later one are equal.
"""

import sqlite3
from collections.abc import Iterator
from datetime import date
from typing import Literal

import msgspec

from vafa.app import open_offers
from vafa.books.rows import HoldRow, OfferRow
from vafa.club.lots import last_valid_day
from vafa.club.offers import Brings
from vafa.ledger import reads
from vafa.ledger.tables import find_row
from vafa.model import events
from vafa.model.events import Kind, OfferEnd

_FOLLOW_SALE = (Kind.BIND, Kind.TIER_CHANGED, Kind.ADJUST, Kind.OFFER)
_FOLLOW_RETURN = (Kind.OFFER, Kind.OFFER_ENDED)
_ENDS = {
    OfferEnd.LAPSED: "lapsed",
    OfferEnd.WITHDRAWN: "withdrawn",
    OfferEnd.UNEARNED: "its sale went back",
}


class Told(msgspec.Struct, frozen=True):
    """An offer as paper tells it: used with this sale, open until the end of a UTC second (None: without
    end), or open again."""

    how: Literal["used", "open", "back"]
    fa: str
    en: str
    until: int | None = None

    def last_day(self, zone: str) -> date | None:
        """The last day on which it is good."""
        return None if self.until is None else last_valid_day(self.until, zone)


def told_with_sale(connection: sqlite3.Connection, sale: reads.Entry) -> tuple[Told, ...]:
    """What the paper of an award says: the offer it used, and one that is open: the newest it gave, else what
    the award says was told."""
    award = sale.event
    if not isinstance(award, events.Award):
        return ()
    used = tuple(_told(connection, name, "used") for name in award.offers)
    new = min(_given_after(connection, sale, _FOLLOW_SALE), key=_ends, default=None)
    if new is not None:
        return (*used, new)
    return (*used, _told(connection, award.told, "open")) if award.told else used


def told_with_return(connection: sqlite3.Connection, undoing: reads.Entry) -> tuple[Told, ...]:
    """What the paper of a void or refund says: offers that can be used again, and one that came with it."""
    event = undoing.event
    if not isinstance(event, events.Reversal | events.Refund):
        return ()
    names = [*event.offers, *_money_off_back(connection, undoing)]
    back = tuple(_told(connection, name, "back") for name in names)
    new = min(_given_after(connection, undoing, _FOLLOW_RETURN), key=_ends, default=None)
    return back if new is None else (*back, new)


def used(connection: sqlite3.Connection, name: bytes) -> Told | None:
    """An offer that was used; None for none."""
    return _told(connection, name, "used") if name else None


def offer_moments(connection: sqlite3.Connection, sale: reads.Entry) -> Iterator[tuple[float, str, str, int]]:
    """The offers a sale used and gave, for its time line: (UTC ms, what, detail, journal row or 0)."""
    names = sale.event.offers if isinstance(sale.event, events.Award) else ()
    for name in names:
        what = called(connection, name)
        yield sale.row.at, "offer used", f"{name.hex()} {what.name}: {in_words(what)}", 0
    for each in _rows_given_after(connection, sale, _FOLLOW_SALE):
        assert isinstance(each.event, events.Offer)
        what = open_offers.brings(each.event)
        detail = f"{each.event.offer.hex()} {what.name}: {in_words(what)}"
        yield each.row.at, "offer given", detail, each.row.seq


def called(connection: sqlite3.Connection, name: bytes) -> Brings:
    """What an offer brings, by its id."""
    row = find_row(connection, OfferRow, (name,))
    assert row is not None, "an event names an offer that was given"
    return open_offers.held(connection, row).brings


def state_of(connection: sqlite3.Connection, row: OfferRow, at: int) -> str:
    """How an offer stands at a UTC second, in a word or two."""
    if not row.spent_seq:
        if row.hold:
            return "set aside"
        if row.from_at is not None and at < row.from_at:
            return "not yet"
        return "over" if row.until is not None and row.until <= at else "open"
    ended = reads.entry(connection, row.spent_seq).event
    if isinstance(ended, events.OfferEnded):
        return _ENDS.get(OfferEnd(ended.end), "ended")
    return "used"


def in_words(what: Brings) -> str:
    """What an offer brings, in English."""
    parts = [f"{what.extra} % more points"] if what.extra else []
    parts += [f"{what.points:,} points"] if what.points else []
    parts += [f"{what.discount:,} rial off"] if what.discount else []
    most = f", {what.max_discount:,} rial at most" if what.max_discount else ""
    parts += [f"{what.percent_off} % off{most}"] if what.percent_off else []
    least = f", from {what.at_least:,} rial on" if what.at_least else ""
    return " and ".join(parts) + least


def _told(connection: sqlite3.Connection, name: bytes, how: Literal["used", "open", "back"]) -> Told:
    row = find_row(connection, OfferRow, (name,))
    assert row is not None, "an event names an offer that was given"
    what = open_offers.held(connection, row).brings
    return Told(how, what.fa, what.en, row.until)


def _given_after(
    connection: sqlite3.Connection, entry: reads.Entry, following: tuple[Kind, ...]
) -> Iterator[Told]:
    """The offers that a row brought with it, as the paper tells them; not what a sale heard late gave and is
    over."""
    for each in _rows_given_after(connection, entry, following):
        assert isinstance(each.event, events.Offer)
        if each.event.until is not None and each.event.until <= entry.row.at // 1000:
            continue
        what = open_offers.brings(each.event)
        yield Told("open", what.fa, what.en, each.event.until)


def _rows_given_after(
    connection: sqlite3.Connection, entry: reads.Entry, following: tuple[Kind, ...]
) -> Iterator[reads.Entry]:
    """The Offer rows that name a row as their cause, among the rows that may follow it."""
    for each in reads.entries(connection, entry.row.seq):
        if each.row.kind not in following:
            return
        if isinstance(each.event, events.Offer) and each.event.cause == entry.row.seq:
            yield each


def _money_off_back(connection: sqlite3.Connection, undoing: reads.Entry) -> Iterator[bytes]:
    """The offers of the sale's redemptions that came back: their rows stand right before the undoing's."""
    assert isinstance(undoing.event, events.Reversal | events.Refund)
    for seq in range(undoing.row.seq - 1, 0, -1):
        before = reads.entry(connection, seq).event
        if not isinstance(before, events.AwardRefund) or before.ref != undoing.event.ref:
            return
        row = find_row(connection, HoldRow, (before.hold,))
        if row is not None and row.offer:
            yield row.offer


def _ends(told: Told) -> int:
    return 2**62 if told.until is None else told.until
