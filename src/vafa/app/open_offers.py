"""The open offers a customer holds: which of them a sale may use, and which the paper tells of.

How many a member has stands in the row an award reads anyway, so nothing is asked for whoever has none. An
offer is used for who is known for sure, by phone or by the terminal's hash of the card: a hint may be
somebody else, and an offer is there only once.
"""

import sqlite3
from collections.abc import Sequence
from typing import Protocol

import msgspec

from vafa.books.rows import MemberRow, OfferRow
from vafa.club import offers
from vafa.club.bonuses import Gain
from vafa.club.offers import Brings, Held
from vafa.club.programme import Programme
from vafa.ledger import reads
from vafa.ledger.offers import open_offers
from vafa.ledger.tables import find_row
from vafa.model import events
from vafa.model.events import KnownBy
from vafa.model.money import in_rial

UNREADABLE = Brings(name="unreadable", fa="unreadable")


class Customer(Protocol):
    """Who a payment's points go to, as the counter found them."""

    @property
    def row(self) -> MemberRow | None: ...
    @property
    def known_by(self) -> KnownBy: ...


def of_customer(
    connection: sqlite3.Connection, customer: Customer, others: Sequence[MemberRow]
) -> tuple[Held, ...]:
    """What a customer who is known for sure holds, under all ids of the person."""
    row = customer.row
    if row is None or not (row.offers or others) or customer.known_by not in (KnownBy.PHONE, KnownBy.CARD):
        return ()
    return tuple(each for owner in (row, *others) for each in of_member(connection, owner))


def of_member(connection: sqlite3.Connection, row: MemberRow) -> list[Held]:
    """What is open under one id. Nothing is asked where its row says that there is none."""
    if not row.offers:
        return []
    return [held(connection, each) for each in open_offers(connection, row.id)]


def held(connection: sqlite3.Connection, row: OfferRow) -> Held:
    """An offer's row with what it brings."""
    return Held(row.offer, brings(given(connection, row)), row.from_at, row.until)


def given(connection: sqlite3.Connection, row: OfferRow) -> events.Offer:
    """The event an offer was given with."""
    event = reads.entry(connection, row.seq).event
    assert isinstance(event, events.Offer), "an offer's row names the event that gave it"
    return event


def brings(event: events.Offer) -> Brings:
    """What an offer brings; nothing where its document cannot be read, which `verify` tells: a sale waits for
    no repair."""
    try:
        return offers.told(event.document)
    except (msgspec.DecodeError, ValueError):
        return UNREADABLE


def usable(programme: Programme, held_: Sequence[Held], at: int, paid: events.Paid) -> tuple[Gain, ...]:
    """The gains a payment may use."""
    amount = in_rial(paid.amount, paid.currency)
    return offers.for_sale(programme, held_, at, amount)


def to_tell(held_: Sequence[Held], at: int, used: tuple[bytes, ...]) -> bytes:
    """The open offer that the paper names: of those this sale does not use, the one that ends first."""
    rest = [each for each in held_ if each.id not in used and each.good_at(at)]
    return min(rest, key=lambda each: each.ends).id if rest else b""


def offers_spent(connection: sqlite3.Connection, event: events.Event) -> tuple[Gain, ...]:
    """The gains of the offers that an award spent; for any other event none."""
    names = event.offers if isinstance(event, events.Award) else ()
    rows = (find_row(connection, OfferRow, (name,)) for name in names)
    found = (held(connection, row) for row in rows if row is not None)
    return tuple(offers.gain(each.id, each.brings) for each in found)
