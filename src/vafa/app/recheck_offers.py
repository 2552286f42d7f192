"""Recomputes what offers say: that a rule gave one, and when; what it took off; the clock it lapsed by.

That an offer is used once, within its window and by whom it is for, the books check already.
"""

import sqlite3
from collections.abc import Callable, Iterator

import msgspec

from vafa.app.granting import RULE, sale_of
from vafa.books.effect import State, payment_row
from vafa.books.rows import MemberRow
from vafa.club import grants
from vafa.club.bonuses import Gain
from vafa.club.lots import OWN_CLOCK_ADDS_S
from vafa.club.offers import Brings, brings, document, gain, identity, money_off, template_of, told
from vafa.club.programme import Programme
from vafa.ledger import reads
from vafa.model import events
from vafa.model.errors import VafaError
from vafa.model.events import OfferEnd
from vafa.model.standing import unpack

ProgrammeOf = Callable[[bytes], Programme]


class OfferRecheck:
    """Part of `Recheck`: told every event in order, from the first one on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._brings: dict[bytes, Brings] = {}
        self._causes: dict[bytes, int] = {}  # the journal rows of the sales that offers were given for
        self._mark = 0
        self._went_up: events.Event | None = None  # the sale that brought its member a tier

    def gains(self, event: events.Event) -> tuple[Gain, ...]:
        """Of the offers an award spent, as far as they were given before it."""
        names = event.offers if isinstance(event, events.Award) else ()
        return tuple(gain(name, self._brings[name]) for name in names if name in self._brings)

    def untold(self, event: events.Event) -> str:
        """What is wrong with the offer that an award's paper named, '' when nothing is."""
        told_of = event.told if isinstance(event, events.Award) else b""
        known = not told_of or told_of in self._brings
        return "" if known else f"its paper names offer {told_of.hex()}, which was never given"

    def went_up(self, sale: events.Event) -> None:
        """The newest sale brought its member a tier."""
        self._went_up = sale

    def __call__(
        self, event: events.Event, books: State, programme_of: ProgrammeOf, last: events.Event | None
    ) -> str:
        """What is wrong with the row, '' when nothing is. `last`: the newest sale."""
        match event:
            case events.ClockAttested():
                self._mark = max(self._mark, event.mark)
                return ""
            case events.Offer():
                fault = self._given(event, books, programme_of, last)
                return f"offer {event.offer.hex()}: {fault}" if fault else ""
            case events.OfferEnded(end=OfferEnd.LAPSED):
                return (
                    "" if self._attested(event.at) else f"an offer lapsed by {event.at}, nobody attested it"
                )
            case events.OfferEnded(end=OfferEnd.UNEARNED):
                gone = self._went_back(self._causes.get(event.offer, 0), books)
                return "" if gone else f"offer {event.offer.hex()} ended, and its sale did not go back"
            case events.Hold() if event.offer:
                off = money_off(self._brings[event.offer], event.bill)
                return (
                    "" if event.rials == off > 0 else f"hold: {event.rials} rial off, the offer takes {off}"
                )
            case _:
                return ""

    def _given(
        self, event: events.Offer, books: State, programme_of: ProgrammeOf, last: events.Event | None
    ) -> str:
        try:
            what = told(event.document)
        except (msgspec.DecodeError, ValueError):
            return "its document cannot be read"
        self._brings[event.offer], self._causes[event.offer] = what, event.cause
        if document(what) != event.document:
            return "its document is not in canonical form"
        if not event.programme:
            return "a rule gave it without a programme" if event.by == RULE else ""
        try:
            programme = programme_of(event.programme)
        except VafaError as error:
            return str(error)
        template = template_of(programme, what.name)
        if template is None or brings(template) != what:
            return f"its programme has no such offer {what.name!r}"
        return self._not_due(event, what, books, programme, last) if event.by == RULE else ""

    def _not_due(
        self,
        event: events.Offer,
        what: Brings,
        books: State,
        programme: Programme,
        last: events.Event | None,
    ) -> str:
        """What is wrong with an offer that a rule gave."""
        if event.offer != identity(event.holder, what.name, event.occasion):
            return "its id is not that of its member, rule and occasion"
        due = {
            (each.template.id, each.occasion, each.from_at, each.until)
            for each in self._due(event, books, programme, last)
        }
        is_due = (what.name, event.occasion, event.from_at, event.until) in due
        return "" if is_due else f"the rule {what.name!r} did not give it then"

    def _due(
        self, event: events.Offer, books: State, programme: Programme, last: events.Event | None
    ) -> Iterator[grants.Due]:
        """What the rules give on the occasion that the event tells of."""
        row = books.find(MemberRow, (event.holder,))
        assert row is not None, "the books give offers to members alone"
        if event.why in grants.BY_TIME:
            if self._attested(event.at):
                yield from grants.by_time(programme, unpack(row.standing), event.at)
        elif event.why == grants.RETURNED:
            yield from self._due_with_return(event, programme)
        elif isinstance(last, events.Award) and last.holder == event.holder:
            yield from grants.after_sale(programme, sale_of(last, row, went_up=self._went_up is last))

    def _due_with_return(self, event: events.Offer, programme: Programme) -> Iterator[grants.Due]:
        undoing = reads.entry(self._connection, event.cause).event
        if isinstance(undoing, events.Reversal | events.Refund):
            sale = reads.payment(self._connection, undoing.key)
            if sale is not None:
                yield from grants.after_return(programme, sale.seq, event.at)

    def _went_back(self, seq: int, books: State) -> bool:
        """True when nothing is left of the sale in this journal row."""
        sale = reads.entry(self._connection, seq).event if seq else None
        row = payment_row(books, sale.paid.key) if isinstance(sale, events.Award) else None
        return row is not None and row.refunded == row.amount

    def _attested(self, at: int) -> bool:
        return bool(self._mark) and at <= self._mark + OWN_CLOCK_ADDS_S
