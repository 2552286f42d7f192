"""Sales we ask a terminal for: written down before the request leaves, ended in a named state, not by guess.

A sale that was asked for and not ended (power cut, lost answer) stays open in the books; its lane resolves it
from the terminal's own journal.
"""

import sqlite3

import msgspec

from vafa.app.counter import Counter
from vafa.app.earning import circumstances
from vafa.app.outcome import Outcome, outcome_at
from vafa.books.rows import SaleRow
from vafa.club.earn import Earned, earn
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.chain import Row
from vafa.model.errors import Refused
from vafa.model.events import Kind, KnownBy, SaleOutcome
from vafa.model.money import AMOUNT_MAX, Currency
from vafa.model.pan import CardHint
from vafa.model.payment import HEARD_LIVE, Payment

PAID = (SaleOutcome.APPROVED, SaleOutcome.RESOLVED_PAID)
TRACE_ROWS_MAX = 1_000


class Asked(msgspec.Struct, frozen=True):
    """A sale in the books. `order_id` is what the terminal is told, `claim` drawn ahead for the paper.

    balance      what the text before payment may say, None when nobody is known for sure
    known_trace  the newest trace we had heard of when it was asked
    ended        None while it is in hand; UNSURE until it is resolved
    """

    tid: str
    request: str
    seq: int
    number: str
    at_ms: int
    amount: int
    order_id: str
    claim: str
    holder: bytes
    card: bytes
    points_promised: int
    known_trace: str
    balance: int | None = None
    ended: SaleOutcome | None = None
    response: str = ""
    currency: Currency = Currency.RIAL_CURRENT


class Sales:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._ledger = counter.ledger
        self._device: reads.Device | None = None  # who writes, in the epoch it was last looked up in

    def ask(
        self,
        tid: str,
        request: str,
        amount: int,
        member: bytes,
        card: CardHint,
        currency: Currency = Currency.RIAL_CURRENT,
    ) -> Asked:
        """Commit that a sale is about to be asked for. Asking with the same request gives the same sale.

        Refused when the amount is none, or the request was used for another amount or in the other rial.
        """
        if not 1 <= amount <= AMOUNT_MAX:
            raise Refused(f"an amount is 1 to {AMOUNT_MAX:,} rials, not {amount:,}")
        request = self._counter.tokens.without_pans(request)

        def decide(tx: Transaction) -> Asked:
            row = tx.find(SaleRow, (tid, request))
            if row is None:
                event, balance = self._asked_event(tx, tid, request, amount, member, card, currency)
                posted = tx.post(event)
                return _asked(posted, event, self._number(tx, posted), balance)
            earlier = asked_sale(tx.connection, row)
            if (earlier.amount, earlier.currency) != (amount, currency):
                raise Refused(
                    f"request {request!r} was a sale of {earlier.amount:,} rials, not {amount:,}",
                    fix="give each sale a request id of its own",
                )
            return earlier

        return self._ledger.write(decide)

    def known(self, tid: str, request: str) -> Asked | None:
        """The sale of an earlier request, None when it was never asked."""
        request = self._counter.tokens.without_pans(request)

        def question(connection: sqlite3.Connection) -> Asked | None:
            row = reads.sale(connection, tid, request)
            return asked_sale(connection, row) if row else None

        return self._ledger.read(question)

    def end(
        self, asked: Asked, outcome: SaleOutcome, response: str, payment: Payment | None
    ) -> Outcome | None:
        """How the sale ended, with its award in the same commit. Ending an ended sale changes nothing."""
        assert (payment is not None) == (outcome in PAID), "paid if and only if there is a payment"

        def decide(tx: Transaction) -> Outcome | None:
            row = tx.find(SaleRow, (asked.tid, asked.request))
            assert row is not None, "only an asked sale can end"
            result = None
            if payment is not None:
                paid = msgspec.structs.replace(payment, currency=asked.currency)  # no terminal says which
                result = self._counter.post_within(tx, paid, asked.holder, asked.claim, asked.card)
            if row.outcome in reads.OPEN_OUTCOMES and row.outcome != outcome:
                key = result.key if result else None
                tx.post(events.SaleEnded((asked.tid, asked.request), outcome, response, key))
            return result

        return self._ledger.write(decide)

    def outcome(self, asked: Asked) -> Outcome | None:
        """The award of a sale that ended paid, as it was first answered; None for any other sale."""

        def question(connection: sqlite3.Connection) -> Outcome | None:
            row = reads.sale(connection, asked.tid, asked.request)
            if row is None or row.outcome not in PAID:
                return None
            ended = reads.entry(connection, row.ended_seq).event
            assert isinstance(ended, events.SaleEnded)
            assert ended.key is not None
            payment = reads.payment(connection, ended.key)
            assert payment is not None
            return outcome_at(connection, reads.entry(connection, payment.seq))

        return self._ledger.read(question)

    def unresolved(self, tid: str) -> list[Asked]:
        """Sales of a terminal that were asked for and have no certain end, oldest first."""
        return self._ledger.read(lambda c: [asked_sale(c, row) for row in reads.open_sales(c, tid)])

    def _number(self, tx: Transaction, row: Row) -> str:
        """Our short number of a row that was just posted."""
        if self._device is None or self._device.epoch != row.epoch:
            self._device = reads.device(tx.connection)
            assert self._device is not None
        return self._device.short_number(row.epoch, row.seq)

    def _asked_event(
        self,
        tx: Transaction,
        tid: str,
        request: str,
        amount: int,
        member: bytes,
        card: CardHint,
        currency: Currency,
    ) -> tuple[events.SaleAsked, int | None]:
        holder = self._counter.holder(tx, member, card)
        programme = self._counter.programmes.at(tx.at_ms // 1000)
        promised = 0
        if programme is not None:
            carry = holder.carry(programme)
            around = circumstances(tx, programme, holder.id, holder.row, tx.at_ms // 1000)
            earned = earn(programme, amount, currency, True, carry, around)  # noqa: FBT003
            promised = earned.points if isinstance(earned, Earned) else 0
        known = holder.known_by is not KnownBy.NOBODY
        event = events.SaleAsked(
            tid=tid,
            request=request,
            amount=amount,
            currency=currency,
            order_id=f"{tx.head.epoch}{tx.head.seq + 1:08d}",
            claim="" if known else self._counter.draw_claim(tx),
            holder=holder.id if holder.known_by is KnownBy.PHONE else b"",
            card=holder.card,
            programme=programme.id if programme else b"",
            points_promised=promised,
            known_trace=reads.last_trace(tx.connection, tid, TRACE_ROWS_MAX),
        )
        return event, holder.shown_balance


def last_live_seq(connection: sqlite3.Connection, tid: str) -> int:
    """The journal row of the last payment a terminal answered itself; 0 when none is among the newest."""
    for each in reads.newest(connection, (Kind.AWARD, Kind.PAYMENT), TRACE_ROWS_MAX):
        paid = reads.paid_of(each.event)
        if paid.key.tid == tid and paid.source in HEARD_LIVE:
            return each.row.seq
    return 0


def _response(connection: sqlite3.Connection, row: SaleRow) -> str:
    """The terminal's code a sale ended with, '' when it has none."""
    event = reads.entry(connection, row.ended_seq).event if row.ended_seq else None
    return event.response if isinstance(event, events.SaleEnded) else ""


def asked_sale(connection: sqlite3.Connection, row: SaleRow) -> Asked:
    """The sale of a row, as it stands now."""
    entry = reads.entry(connection, row.seq)
    event = entry.event
    assert isinstance(event, events.SaleAsked)
    device = reads.device(connection)
    assert device is not None
    asked = _asked(entry.row, event, device.short_number(entry.row.epoch, row.seq))
    ended = SaleOutcome(row.outcome) if row.outcome else None
    return msgspec.structs.replace(asked, ended=ended, response=_response(connection, row))


def _asked(row: Row, event: events.SaleAsked, number: str, balance: int | None = None) -> Asked:
    """The sale as it was asked for in a journal row, which holds `event`."""
    return Asked(
        tid=event.tid,
        request=event.request,
        seq=row.seq,
        number=number,
        at_ms=row.at,
        amount=event.amount,
        order_id=event.order_id,
        claim=event.claim,
        holder=event.holder,
        card=event.card,
        points_promised=event.points_promised,
        known_trace=event.known_trace,
        balance=balance,
        currency=Currency(event.currency),
    )
