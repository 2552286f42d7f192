"""Finds the sale a caller means by whatever they read off paper, with both its halves.

A sale we asked a terminal for is a SaleAsked row and, once it was paid, a payment; a sale of a local
program or of the terminal's own keypad is a payment alone.
"""

import re
import sqlite3

import msgspec

from vafa.app.questions import Match, Several
from vafa.app.status import iso, midnight
from vafa.books.rows import PaymentRow, PaymentState, SaleRow
from vafa.ledger import reads
from vafa.ledger.reads import Entry
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.events import Kind, SaleOutcome
from vafa.model.identity import ascii_digits
from vafa.model.pan import mask_pans
from vafa.model.payment import TOLD_BY_TERMINAL, PaymentKey

AT_WITHIN_S = 300  # "amount and time": the slip shows minutes, and the terminal's clock may be off
_AMOUNT_AT = re.compile(r"(\d[\d,٬]{0,30})@(\d{1,2}):(\d{2})")
_SHORT_NUMBER = re.compile(r"(?:(?:\d{1,9}-)?\d{1,9}-)?(\d{1,15})")


class Sale(msgspec.Struct, frozen=True):
    """What a person means: a sale we asked for, its payment with its row of the books, or both."""

    number: str
    row: SaleRow | None
    asked: Entry | None
    paid: Entry | None
    payment: PaymentRow | None = None

    @property
    def first(self) -> Entry:
        """The journal row it begins with."""
        found = self.asked or self.paid
        assert found is not None
        return found

    @property
    def amount(self) -> int:
        if self.paid:
            return reads.paid_of(self.paid.event).amount
        assert isinstance(self.first.event, events.SaleAsked)
        return self.first.event.amount

    @property
    def terminal(self) -> str:
        if self.paid:
            return reads.paid_of(self.paid.event).key.tid
        assert isinstance(self.first.event, events.SaleAsked)
        return self.first.event.tid


def find(connection: sqlite3.Connection, text: str, zone: str, now_ms: int) -> list[Sale]:
    """The sales a person may mean, best first: by any number on paper, or AMOUNT@HH:MM of today.

    NotFound when there is none, Refused when the text is no such thing.
    """
    wanted = ascii_digits(text).strip()
    by_amount = _AMOUNT_AT.fullmatch(wanted)
    if by_amount:
        amount, hour, minute = (int(re.sub("[,٬]", "", part)) for part in by_amount.groups())
        if hour > 23 or minute > 59:
            raise Refused("a time of day is HH:MM, from 00:00 to 23:59")
        at = midnight(now_ms, zone) // 1000 + hour * 3600 + minute * 60
        entries = reads.find_by_amount(connection, amount, at, AT_WITHIN_S)
        entries += _asked_for(connection, amount, at)
    else:
        entries = reads.find_sale(connection, wanted)
        entries += _asked_as(connection, wanted)
    found: dict[int, Sale] = {}
    if not entries:
        _refuse_others(connection, wanted)
    for entry in entries:
        sale = _sale(connection, entry)
        found.setdefault(sale.first.row.seq, sale)
    if not found:
        raise NotFound(
            f"no sale is known here by {mask_pans(text)!r}",
            fix="try our number, the RRN or the trace number on the slip, or AMOUNT@HH:MM of today",
        )
    return list(found.values())[: reads.MATCHES_MAX]


def undoing_named(connection: sqlite3.Connection, text: str) -> Entry | None:
    """The void, refund or adjustment a short number names, also one whose sale is unknown here."""
    short = _SHORT_NUMBER.fullmatch(ascii_digits(text).strip())
    if not short:
        return None
    try:
        entry = reads.entry(connection, int(short.group(1)))
    except NotFound:
        return None
    undoing = events.Reversal | events.Refund | events.RefundUnmatched | events.Adjust
    return entry if isinstance(entry.event, undoing) else None


def _refuse_others(connection: sqlite3.Connection, wanted: str) -> None:
    """NotFound for the number of something that belongs to no sale."""
    entry = undoing_named(connection, wanted)
    if entry is not None and isinstance(entry.event, events.Adjust):
        raise NotFound("that is an adjustment by hand, no sale", fix="vafa journal --kind adjust")
    if entry is not None:
        raise NotFound(
            "that is a void or refund whose sale is unknown here", fix="vafa journal --kind refund_unmatched"
        )


def last_time_of(text: str, now_ms: int, zone: str) -> int:
    """UTC seconds when the shop's wall clock last showed HH:MM. Refused when the text is no such thing."""
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", ascii_digits(text).strip())
    hour, minute = (int(part) for part in found.groups()) if found else (24, 0)
    if hour > 23 or minute > 59:
        raise Refused("a time of day is HH:MM, from 00:00 to 23:59")
    at = midnight(now_ms, zone) // 1000 + hour * 3600 + minute * 60
    return at if at <= now_ms // 1000 + AT_WITHIN_S else at - 86_400


def several(sales: list[Sale]) -> Several:
    """The list a person picks from."""
    return Several(
        matches=tuple(
            Match(sale.number, sale.terminal, sale.amount, iso(sale.first.row.at)) for sale in sales
        )
    )


def paid_or_several(
    connection: sqlite3.Connection, text: str, zone: str, now_ms: int
) -> PaymentKey | Several:
    """The payment a person means, or the list they pick it from. NotFound, also where it was not paid."""
    sales = find(connection, text, zone, now_ms)
    if len(sales) > 1:
        return several(sales)
    if sales[0].payment is None:
        raise NotFound(f"sale {sales[0].number} was not paid", fix=f"vafa why {sales[0].number}")
    return sales[0].payment.key


def result(sale: Sale) -> str:
    """How it stands, in a word or two."""
    if sale.paid is not None:
        assert sale.payment is not None
        return _paid_result(sale.paid.event, sale.payment)
    assert sale.row is not None
    if not sale.row.outcome:
        return "in hand"
    return SaleOutcome(sale.row.outcome).name.lower().replace("_", " ")


def _paid_result(event: events.Event, payment: PaymentRow) -> str:
    if payment.state == PaymentState.REVERSED:
        return "voided"
    if payment.refunded and payment.refunded == payment.amount:
        return "refunded"
    part = f", {payment.refunded:,} rial refunded" if payment.refunded else ""
    if not isinstance(event, events.Award):
        return "paid, earned nothing" + part
    if payment.state == PaymentState.WAITING:
        return "points wait for a claim" + part
    return ("claimed" if event.claim else "awarded") + part


def _sale(connection: sqlite3.Connection, entry: Entry) -> Sale:
    """The sale of an Award, Payment or SaleAsked row, with its other half where there is one."""
    device = reads.device(connection)
    assert device is not None
    asked = entry if isinstance(entry.event, events.SaleAsked) else _asked_of(connection, entry)
    paid = entry if asked is not entry else None
    row = None
    if asked is not None:
        assert isinstance(asked.event, events.SaleAsked)
        row = reads.sale(connection, asked.event.tid, asked.event.request)
        if paid is None and row is not None and row.ended_seq:
            paid = _payment_of(connection, row)
    shown = paid or entry
    payment = reads.payment(connection, reads.paid_of(paid.event).key) if paid else None
    return Sale(device.short_number(shown.row.epoch, shown.row.seq), row, asked, paid, payment)


def _payment_of(connection: sqlite3.Connection, row: SaleRow) -> Entry | None:
    """The payment an ended sale names."""
    ended = reads.entry(connection, row.ended_seq).event
    if not isinstance(ended, events.SaleEnded) or ended.key is None:
        return None
    payment = reads.payment(connection, ended.key)
    return reads.entry(connection, payment.seq) if payment else None


def _asked_of(connection: sqlite3.Connection, paid: Entry) -> Entry | None:
    """The SaleAsked a payment answers: its SaleEnded names the payment, mostly in the very next row."""
    key, source = reads.paid_of(paid.event).key, reads.paid_of(paid.event).source
    if source not in TOLD_BY_TERMINAL:
        return None
    following = reads.entries(connection, paid.row.seq, (Kind.SALE_ENDED,))
    for count, entry in enumerate(following):
        if isinstance(entry.event, events.SaleEnded) and entry.event.key == key:
            row = reads.sale(connection, *entry.event.sale)
            return reads.entry(connection, row.seq) if row else None
        if count == reads.RECENT_ROWS_MAX:
            break
    return None


def _asked_as(connection: sqlite3.Connection, wanted: str) -> list[Entry]:
    """The sale asked for in the journal row a short number names."""
    short = _SHORT_NUMBER.fullmatch(wanted)
    if not short:
        return []
    try:
        entry = reads.entry(connection, int(short.group(1)))
    except NotFound:
        return []
    if isinstance(entry.event, events.SaleEnded):
        row = reads.sale(connection, *entry.event.sale)
        return [reads.entry(connection, row.seq)] if row else []
    return [entry] if isinstance(entry.event, events.SaleAsked) else []


def _asked_for(connection: sqlite3.Connection, amount: int, at: int) -> list[Entry]:
    """Sales asked for with this amount at about this time."""
    recent = reads.newest(connection, (Kind.SALE_ASKED,), reads.RECENT_ROWS_MAX)
    return [
        entry
        for entry in recent
        if isinstance(entry.event, events.SaleAsked)
        and entry.event.amount == amount
        and abs(entry.row.at // 1000 - at) <= AT_WITHIN_S
    ][: reads.MATCHES_MAX]
