"""Which sales of a terminal have no certain end, and when and how its journal is asked for them.

Waiting is measured on the monotonic clock: after a power cut the wall clock of such a device may say 1970,
and "not paid" must not be said while a customer can still be paying.
"""

from collections.abc import Callable
from math import inf

import msgspec
import structlog

from vafa.app import foreign
from vafa.app.counter import Counter
from vafa.app.resolve import Resolution, Verdict, resolve
from vafa.app.sales import TRACE_ROWS_MAX, Asked, Sales, last_live_seq
from vafa.app.selling import Selling
from vafa.books.rows import LaneRow
from vafa.codecs.sadad_fields import WRONG_TERMINAL, Fault
from vafa.codecs.sadad_journal import JournalFilter, JournalRequest
from vafa.codecs.sadad_outputs import JournalRefused, JournalRows, Output
from vafa.ledger import reads
from vafa.ledger.tables import find_row
from vafa.model.errors import LedgerError
from vafa.model.events import SaleOutcome
from vafa.model.payment import Source

# Seconds from the end of one question to the next, by how often it was asked in vain. A sale that stays
# unsure for good must not keep its terminal busy, nor a terminal that is silent keep the next sale waiting.
ASK_AGAIN_S = (5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 10.0, 30.0, 60.0)

log = structlog.get_logger()


class Lookup:
    """One terminal's; its lane's thread alone uses it. What it asks the ledger may raise LedgerError."""

    def __init__(
        self,
        sales: Sales,
        selling: Selling,
        counter: Counter,
        terminal_id: str,
        answer_timeout_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._sales = sales
        self._selling = selling
        self._counter = counter
        self._tid = terminal_id
        self._answer_timeout_s = answer_timeout_s
        self._monotonic = monotonic
        self._may_pay_until: dict[int, float] = {}  # sale's seq -> when its customer can no longer be paying
        self._earlier_may_pay_until = monotonic() + answer_timeout_s  # sales of before this start
        self._with_order_ids = True  # False once the terminal refused that question
        self._in_vain = 0
        self.due_at = 0.0
        self.suspended = False  # another terminal answered on this line: its journal proves nothing

    def recall(self) -> None:
        """After a start: the line is suspended still when another terminal was the last to answer on it."""
        self.suspended = foreign.is_in_doubt(self._counter, self._tid)
        others = [sale for sale in self._sales.unresolved(self._tid) if sale.response == WRONG_TERMINAL]
        if others:
            live_seq = self._counter.ledger.read(lambda connection: last_live_seq(connection, self._tid))
            self.suspended |= live_seq < others[-1].seq

    def note_another(self) -> None:
        """Another terminal showed itself where no sale's end can tell it: kept for after a restart."""
        self._counter.ledger.write(lambda tx: foreign.post_gap(tx, self._tid, foreign.ANOTHER))

    def in_doubt(self) -> list[Asked]:
        """Sales asked for without a certain end, oldest first; the sale in hand is among them."""
        sales = self._sales.unresolved(self._tid)
        return [asked for asked in sales if asked.response != WRONG_TERMINAL]

    def is_due(self) -> bool:
        """True when the journal is to be asked. That nothing is in doubt is looked up once, not at each
        step: from then on it takes something new (`now`) for a sale to be."""
        if self.suspended or self._monotonic() < self.due_at:
            return False
        try:
            found = self.in_doubt()
        except LedgerError:
            self.due_at = self._monotonic() + ASK_AGAIN_S[0]
            raise
        if not found:
            self.due_at = inf
        return bool(found)

    def question(self) -> JournalRequest:
        """What to ask the terminal."""
        return JournalRequest(filter=JournalFilter.ALL, with_order_ids=self._with_order_ids)

    def now(self) -> None:
        """There is something new to find out: the line is new, or a sale has no end that is written down."""
        self._in_vain, self.due_at = 0, 0.0

    def unsure(self, asked: Asked, sent_at: float) -> None:
        """A sale has become unsure; the last byte went to the terminal at `sent_at`."""
        self._may_pay_until[asked.seq] = sent_at + self._answer_timeout_s
        self.now()

    def refused(self, refusal: JournalRefused) -> None:
        """No rows. A terminal that refuses the rows with order ids is asked for those without, and so on.

        Where nobody heard the question it proves nothing of what the terminal knows: the better one again.
        """
        log.info("journal refused", terminal=self._tid, why=refusal.why, with_order_ids=self._with_order_ids)
        self._with_order_ids = not self._with_order_ids if refusal.by_terminal else True
        self._ask_later()

    def answered(self, journal: JournalRows) -> None:
        """Every sale in doubt against the rows; those that they settle get their end."""
        self._ask_later()
        for asked in self.in_doubt():
            until = self._may_pay_until.get(asked.seq, self._earlier_may_pay_until)
            may_pay = self._monotonic() < until
            found = resolve(asked, journal, self._tid, self._counter.knows, customer_may_pay=may_pay)
            log.info("sale looked up", number=asked.number, verdict=found.verdict.value, why=found.why)
            self._settle(asked, found)

    def _settle(self, asked: Asked, found: Resolution) -> None:
        if found.verdict is Verdict.UNSURE:
            if asked.ended is None:
                self._sales.end(asked, SaleOutcome.UNSURE, "", None)
            return
        paid = found.verdict is Verdict.PAID
        ending = SaleOutcome.RESOLVED_PAID if paid else SaleOutcome.RESOLVED_UNPAID
        payment = found.payment
        if payment is not None:  # the other rows of this list were read for nothing else
            payment = msgspec.structs.replace(payment, source=Source.LOOKED_UP)
        outcome = self._sales.end(asked, ending, found.response, payment)
        self._may_pay_until.pop(asked.seq, None)
        self._selling.resolved(asked, ending, found.response, outcome)

    def _ask_later(self) -> None:
        pause_s = ASK_AGAIN_S[min(self._in_vain, len(ASK_AGAIN_S) - 1)]
        self._in_vain += 1
        self.due_at = self._monotonic() + pause_s


def wrong_terminal(outputs: list[Output]) -> str:
    """What is wrong when another terminal than the configured one answered, '' when it did not."""
    faults = (each for each in outputs if isinstance(each, Fault))
    return next((fault.message for fault in faults if fault.code == WRONG_TERMINAL), "")


def no_journal(outputs: list[Output]) -> bool:
    """True when these end a question for the journal, which moves no money and is asked again."""
    return any(isinstance(each, JournalRefused) for each in outputs)


def answered_before(counter: Counter, tid: str) -> bool:
    """True when this terminal answered in an earlier run."""
    read = counter.ledger.read
    has_baseline = read(lambda connection: find_row(connection, LaneRow, (tid,))) is not None
    return has_baseline or bool(read(lambda c: reads.last_trace(c, tid, TRACE_ROWS_MAX)))
