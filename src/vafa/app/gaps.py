"""Sales that may be missing, and what a person does about them: enter a missed sale, close the gap.

A sale that was asked for and is unsure ends with the one that is entered for it (`app.unsure`).

A sale entered by hand has the identity the slip shows, so that the terminal's list, read later, adds nothing.
"""

import sqlite3

import msgspec

from vafa.app.counter import Counter
from vafa.app.message import RIALS
from vafa.app.outcome import Outcome
from vafa.app.sales import Asked
from vafa.app.standing import Gap
from vafa.app.status import read_gaps
from vafa.app.unsure import unsure_sale, was_paid
from vafa.books.rows import GapRow, PaymentState
from vafa.codecs.sadad_fields import RRN_DIGITS, TRACE_DIGITS, rrn_of
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.identity import NO_CARD, NO_MEMBER, ascii_digits
from vafa.model.money import Currency
from vafa.model.payment import Payment, PaymentKey, Scheme, Source


class Missed(msgspec.Struct, frozen=True):
    """A sale nobody heard, as a person reads it off the slip.

    rrn   the reference number; paid_at  UTC seconds, None when the slip's time is not known
    gap   the number of the gap it explains, '' for none: then the gap stays open
    sale  our number of the unsure sale it is, '' for none: its end, and who was promised its points
    """

    terminal: str
    amount: int
    rrn: str
    why: str
    paid_at: int | None = None
    member: bytes = NO_MEMBER
    gap: str = ""
    sale: str = ""
    currency: Currency = Currency.RIAL_CURRENT


class _Shown(Exception):
    """Ends the transaction of a preview, so that nothing of it is written."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("a preview")
        self.outcome = outcome


class Gaps:
    """Thread-safe: the ledger's lock is the only one."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._ledger = counter.ledger

    def open(self) -> tuple[Gap, ...]:
        """The gaps nobody has closed, oldest first."""
        return self._ledger.read(read_gaps)

    def close(self, number: str, by: str, why: str) -> Gap:
        """Close a gap; who and why stand in the journal. NotFound, or Refused when it is closed already."""

        def decide(tx: Transaction) -> Gap:
            gap = _open_gap(tx.connection, number)
            _close(tx, gap, by, why)
            return gap

        return self._ledger.write(decide)

    def record(self, missed: Missed, by: str) -> Outcome:
        """Award a missed sale, with who entered it and why. Known already: its first outcome, unchanged."""
        return self._ledger.write(lambda tx: self._record(tx, missed, by))

    def preview(self, missed: Missed, by: str) -> Outcome:
        """What `record` would do, done and taken back; numbers and claim code are not those of the record."""

        def decide(tx: Transaction) -> Outcome:
            raise _Shown(self._record(tx, missed, by))

        try:
            return self._ledger.write(decide)
        except _Shown as shown:
            return shown.outcome

    def _record(self, tx: Transaction, missed: Missed, by: str) -> Outcome:
        payment = Payment(
            key=PaymentKey(Scheme.RRN, missed.terminal, self._reference(missed.rrn)),
            amount=missed.amount,
            source=Source.RECORDED,
            paid_at=missed.paid_at,
            currency=missed.currency,
        )
        row = reads.payment(tx.connection, payment.key)
        if row is not None and row.state == PaymentState.UNDOING:
            raise Refused("that is the reference of a void or refund, not of a sale", fix="check the slip")
        gap = _open_gap(tx.connection, missed.gap) if missed.gap else None
        asked = _asked_for(tx.connection, missed) if missed.sale else None
        if row is None or asked is not None:
            tx.post(events.Recorded(payment.key, by, missed.why))
        promised = (asked.holder, asked.claim, asked.card) if asked else (NO_MEMBER, "", NO_CARD)
        outcome = self._counter.post_within(tx, payment, missed.member or promised[0], *promised[1:])
        if asked is not None:
            was_paid(tx, asked, payment.key)
        if gap is not None and row is None:
            _close(tx, gap, by, f"sale {payment.key.ref} was entered by hand: {missed.why}")
        return outcome

    def _reference(self, text: str) -> str:
        digits = ascii_digits(text).strip()
        if 0 < len(digits) <= TRACE_DIGITS and digits.isdigit():  # as a key it would match no sale ever told
            raise Refused(
                "that is too short for a reference number (RRN): it looks like the trace number",
                fix=f"the slip has both; write the RRN with all its {RRN_DIGITS} digits, zeros in front too",
            )
        reference = rrn_of(digits, self._counter.tokens.without_pans)
        if not (digits.isascii() and digits.isdigit() and len(digits) <= RRN_DIGITS and reference):
            raise Refused(
                f"a reference number (RRN) has up to {RRN_DIGITS} digits",
                fix="take it off the terminal's slip or list; the trace number is another one",
            )
        return reference


def _asked_for(connection: sqlite3.Connection, missed: Missed) -> Asked:
    """The unsure sale that a slip shows the end of. Refused where they are not the same sale."""
    asked = unsure_sale(connection, missed.sale)
    if (asked.tid, asked.amount, asked.currency) != (missed.terminal, missed.amount, missed.currency):
        told = f"{asked.amount:,} {RIALS[asked.currency].replace('-', ' ')} at terminal {asked.tid}"
        raise Refused(f"sale {asked.number} was asked for with {told}", fix="check slip and number")
    return asked


def _open_gap(connection: sqlite3.Connection, number: str) -> Gap:
    """The open gap a person means by its number or the number's end."""
    wanted = ascii_digits(number).strip()
    found = [
        each for each in read_gaps(connection) if wanted in (each.number, each.number.rpartition("-")[2])
    ]
    if found:
        return found[0]
    seq = wanted.rpartition("-")[2]
    row = reads.gap(connection, int(seq)) if seq.isascii() and seq.isdigit() and len(seq) <= 15 else None
    if row is not None:
        raise Refused("this gap is closed already", fix="vafa journal --kind gap_closed")
    raise NotFound("there is no gap of this number", fix="vafa gap list")


def _close(tx: Transaction, gap: Gap, by: str, why: str) -> None:
    _device, epoch, seq = (int(part) for part in gap.number.split("-"))
    assert tx.find(GapRow, (seq,)) is not None, "an open gap has its row"
    tx.post(events.GapClosed((epoch, seq), by, why))
