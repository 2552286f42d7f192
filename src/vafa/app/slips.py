"""Which committed rows become slips, and on which printer: the printers follow the journal.

So one place prints for every way a payment is heard (asked, polled, overheard, resolved later), always after
the commit, and never twice: a payment heard again adds no row. What was committed before the start is not
printed by itself, nor what is told of a payment long past: the customer has gone.
"""

import sqlite3
import threading
from collections.abc import Mapping, Sequence
from typing import Protocol

import structlog

from vafa.app.outcome import outcome_at
from vafa.app.paper import Paper
from vafa.app.undo import undone_at
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger
from vafa.ledger.reads import Entry
from vafa.model import events
from vafa.model.errors import LedgerError
from vafa.model.events import Kind
from vafa.model.payment import HEARD_LIVE, TOLD_BY_TERMINAL
from vafa.receipt.page import Page
from vafa.receipt.slip import Slip

PRINTED = (Kind.AWARD, Kind.PAYMENT, Kind.REVERSAL, Kind.REFUND)
LATE_S = 600  # a sale found in the terminal's list after this is no longer printed
FAILED_WAIT_S = 5.0

log = structlog.get_logger()


class Taker(Protocol):
    """A Press."""

    def offer(self, number: str, page: Page) -> None:
        """Print it soon; returns at once."""
        ...


class Slips:
    """Follows the ledger; `wake` is called after each commit, `run` is a thread."""

    def __init__(self, ledger: Ledger, paper: Paper, presses: Mapping[str, Sequence[Taker]]) -> None:
        """`presses`: terminal id -> the printers its slips go to."""
        self._ledger, self._paper, self._presses = ledger, paper, presses
        self._seq = ledger.head.seq
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self.late = 0  # slips of payments too long past

    def wake(self) -> None:
        """Something was committed."""
        self._changed.set()

    def stop(self) -> None:
        """The thread ends soon."""
        self._stopping.set()
        self._changed.set()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopping.is_set():
            self._changed.wait()
            self._changed.clear()
            try:
                self.step()
            except LedgerError as error:  # the lanes say so too; the rows are still there afterwards
                log.warning("slips wait for the ledger", error=str(error))
                self._stopping.wait(FAILED_WAIT_S)
                self._changed.set()

    def step(self) -> None:
        """Offer the slips of all rows committed since the last step."""
        until = self._ledger.head.seq
        if until == self._seq:
            return
        for number, tid, slip in self._ledger.read(self._news):
            page = self._paper.page(slip)
            for press in self._presses.get(tid, ()) if page.blocks else ():
                press.offer(number, page)
        self._seq = until

    def _news(self, connection: sqlite3.Connection) -> list[tuple[str, str, Slip]]:
        """(our number, terminal id, slip) of the rows that are to be printed."""
        entries = reads.entries(connection, self._seq, PRINTED)
        return [found for entry in entries if (found := self._slip(connection, entry)) is not None]

    def _slip(self, connection: sqlite3.Connection, entry: Entry) -> tuple[str, str, Slip] | None:
        if isinstance(entry.event, events.Reversal | events.Refund):
            undone = undone_at(connection, entry)
            return undone.number, entry.event.key.tid, self._paper.undone_slip(undone)
        paid = reads.paid_of(entry.event)
        if paid.source not in TOLD_BY_TERMINAL:
            return None
        if paid.source not in HEARD_LIVE and (paid.paid_at or 0) < entry.row.at // 1000 - LATE_S:
            self.late += 1
            return None
        outcome = outcome_at(connection, entry)
        return outcome.number, paid.key.tid, self._paper.slip(outcome)
