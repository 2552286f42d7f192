"""Asks one terminal's journal on its idle line and posts what nobody told us: sales of its own keypad.

The first answer sets the terminal's baseline: what stands there before anything we know is older than the
club. Afterwards every payment the ledger does not know is awarded, oldest first; a list that shows none of
the payments of the list before it posts a gap (app.read_up says why, and how that is known after a power
cut), in the same commit as its payments, so that each gap is posted once. What may be an unsure sale of ours
is left to resolution.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import structlog

from vafa.app.counter import Counter
from vafa.app.foreign import ANOTHER
from vafa.app.outcome import Outcome, evidence_against
from vafa.app.poll import PAUSE_MIN_S, Reading, pause_s, read_rows, refused_pause_s
from vafa.app.read_up import READ_BEFORE, SOON_AFTER, Known, proves
from vafa.app.sales import TRACE_ROWS_MAX, Asked
from vafa.books.rows import GapRow, LaneRow, PaymentRow, PaymentState
from vafa.codecs.sadad_journal import JournalFilter, JournalRequest
from vafa.codecs.sadad_outputs import JournalRefused, JournalRows
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.errors import NotFound
from vafa.model.events import Kind
from vafa.model.identity import NO_MEMBER
from vafa.model.payment import Payment, PaymentKey, Source

HEALED_BY = "vafa"  # who closed a gap that no person had to look into
HEALS = frozenset({ANOTHER})
CUT_SHORT = "its list does not reach back to the sales it showed before"
UNDECIDED = "a sale left its list before it was known whose it was"
REFUSALS_SHOWN = 5  # a terminal may be busy or off for a while; after this a person shall know

log = structlog.get_logger()


class Polled(msgspec.Struct, frozen=True):
    """What one answer led to.

    gap     why sales may be missing, '' when none are
    healed  how many gaps of before it closed
    """

    reading: Reading
    baseline: bool = False
    gap: str = ""
    posted: tuple[Outcome, ...] = ()
    healed: int = 0


class Polling:
    """One terminal's; its lane's thread alone uses it. What it asks the ledger may raise LedgerError."""

    def __init__(
        self,
        terminal_id: str,
        counter: Counter,
        in_doubt: Callable[[], list[Asked]],
        monotonic: Callable[[], float],
        heals: frozenset[str] = HEALS,
    ) -> None:
        """`heals`: why a gap was found that ends when the list shows all there was since."""
        self._heals = heals
        self._shown: frozenset[PaymentKey] | None = None  # in the last list that was read; None: in none yet
        self._shown_to = ""  # its newest trace
        self._tid = terminal_id
        self._counter = counter
        self._read_up = counter.read_up
        self._in_doubt = in_doubt
        self._monotonic = monotonic
        self._log = log.bind(terminal=terminal_id)
        self._filter = JournalFilter.OK
        self._with_order_ids = True
        self._refusals = 0
        self._compared: set[PaymentKey] = set()
        self._left: tuple[Payment, ...] = ()  # what the last list left to resolution
        self._asked_at: float | None = None
        self._hinted = False
        self.due_at = self._not_before = 0.0
        self.answered_at: float | None = None
        self.trouble = ""
        self.disagreeing: dict[PaymentKey, str] = {}  # in the terminal's list now -> our number

    # What a lane does with it

    def opened(self) -> None:
        """The line is new: sales may have been made while it was not there."""
        self._with_order_ids, self._refusals = True, 0
        self.due_at = min(self.due_at, self._soonest)

    def is_due(self) -> bool:
        """True when the journal is to be asked."""
        return self._monotonic() >= self.next_at

    def is_pressing(self) -> bool:
        """True when so many sales were made since the last list that it is read before another one."""
        return not self._refusals and self._read_up.unread(self._tid) >= READ_BEFORE

    @property
    def next_at(self) -> float:
        """When the journal is to be asked, as things stand: early when it fills with sales."""
        hurried = self._hinted or self._read_up.unread(self._tid) >= SOON_AFTER
        if self._refusals or not hurried:  # one that refuses is left in peace
            return self.due_at
        return max(min(self._soonest, self.due_at), self._not_before)

    def hint(self) -> None:
        """Something may have happened: ask sooner, never hurried. From any thread."""
        self._hinted = True

    @property
    def _soonest(self) -> float:
        return 0.0 if self._asked_at is None else self._asked_at + PAUSE_MIN_S

    def later(self, pause_s: float) -> None:
        """It was not the terminal that could not be asked: soon again."""
        self._not_before = self._monotonic() + pause_s
        self.due_at = max(self.due_at, self._not_before)

    def question(self) -> JournalRequest:
        """What to ask the terminal."""
        self._read_up.asked(self._tid)
        self._asked_at, self._hinted = self._monotonic(), False
        return JournalRequest(filter=self._filter, with_order_ids=self._with_order_ids)

    def refused(self, refusal: JournalRefused) -> None:
        """No rows: later, and other rows. A terminal without order ids is asked for those it has."""
        self._refusals += 1
        self._filter = JournalFilter.OK
        self._with_order_ids = not self._with_order_ids if refusal.by_terminal else True
        self.due_at = self._monotonic() + refused_pause_s(self._refusals)
        self._log.info("poll refused", why=refusal.why, times=self._refusals)
        if self._refusals >= REFUSALS_SHOWN:
            self.trouble = f"it does not tell its last transactions ({refusal.why})"

    def answered(self, journal: JournalRows) -> None:
        """Post what is new."""
        self.due_at = self._monotonic() + pause_s(journal.rows, self._counter.zone)
        self._refusals, self.trouble = 0, ""
        in_doubt = self._in_doubt()
        polled = self._counter.ledger.write(lambda tx: self._decide(tx, journal, in_doubt))
        if polled is None:
            # Failed transactions take places of the list too: with them it may be as long as it can be.
            self._filter, self.due_at = JournalFilter.ALL, self._monotonic()
            return
        self._filter, self.answered_at = JournalFilter.OK, self._monotonic()
        self._left = polled.reading.left
        self._shown, self._shown_to = polled.reading.shown, polled.reading.newest_trace
        self._read_up.read(self._tid, self._shown)
        self._tell(polled)
        self._compare(polled.reading)

    # What the rows mean

    def _decide(self, tx: Transaction, journal: JournalRows, in_doubt: list[Asked]) -> Polled | None:
        """Everything an answer leads to in one commit; None when all rows are needed to judge it."""
        reading = read_rows(
            journal, self._tid, lambda key: reads.payment(tx.connection, key) is not None, in_doubt
        )
        lane = tx.find(LaneRow, (self._tid,))
        if lane is None:
            return self._baseline(tx, reading)
        if reading.shown:
            is_whole = reading.is_whole and self._reaches_back(tx, lane, reading)
            reading = msgspec.structs.replace(reading, is_whole=is_whole)
        if not reading.is_whole and not reading.is_full and self._filter is JournalFilter.OK:
            return None
        gap = ""
        if reading.is_full and not reading.is_whole:
            gap = self._gap(tx, lane, reading, CUT_SHORT)
        elif self._undecided_left(tx, reading):
            gap = self._gap(tx, lane, reading, UNDECIDED)
        healed = 0 if gap else self._heal(tx, reading)
        posted = tuple(self._counter.post_within(tx, payment, NO_MEMBER) for payment in reading.new)
        return Polled(reading, gap=gap, posted=posted, healed=healed)

    def _reaches_back(self, tx: Transaction, lane: LaneRow, reading: Reading) -> bool:
        """True when the list shows a payment of the list that was read before it."""
        if self._shown is not None:
            return not self._shown.isdisjoint(reading.shown)
        known = []
        for row in self._rows(tx, reading.known):
            with suppress(NotFound):  # pruned behind a checkpoint: it proves nothing
                paid = reads.paid_of(reads.entry(tx.connection, row.seq).event)
                known.append(Known(row.seq, paid.source))
        return proves(known, max(lane.seq, self._gap_read_at(tx)))

    def _read_to(self, tx: Transaction, lane: LaneRow) -> str:
        """After a start: the trace of the newest payment that a list showed, as far as the rows tell."""
        read_at, before_a_reading = max(lane.seq, self._gap_read_at(tx)), False
        for each in reads.newest(tx.connection, (Kind.AWARD, Kind.PAYMENT), TRACE_ROWS_MAX):
            paid = reads.paid_of(each.event)
            if paid.key.tid != self._tid:
                continue
            if before_a_reading or paid.source == Source.POLLED or each.row.seq < read_at:
                return paid.trace
            before_a_reading = paid.source == Source.LIVE_AFTER_LIST
        return lane.trace

    def _gap_read_at(self, tx: Transaction) -> int:
        """The journal row of the newest gap that a list showed; 0 when there was none."""
        found = reads.newest_gap(tx.connection, self._tid)
        return found[0] if found is not None and found[1].why in (CUT_SHORT, UNDECIDED) else 0

    def _heal(self, tx: Transaction, reading: Reading) -> int:
        """Close the gaps behind which this list shows every payment; how many.

        It reaches back behind a gap when it shows a payment that the terminal told before the gap was found,
        or when it is all the terminal has. (A baseline heals nothing: what it did not award may be missing.)
        """
        if reading.unreadable:
            return 0
        open_gaps = self._open_gaps(tx)
        if not open_gaps:
            return 0
        is_all = not reading.is_full and self._filter is JournalFilter.ALL
        told = [reads.entry(tx.connection, row.seq) for row in self._rows(tx, reading.known)]
        oldest = min((each.row.seq for each in told if _told_by_terminal(each.event)), default=None)
        healed = [
            row
            for row in open_gaps
            if is_all or (reading.is_whole and oldest is not None and oldest < row.seq)
        ]
        for row in healed:
            opened = reads.entry(tx.connection, row.seq).row
            why = f"the terminal's list shows every sale since; {len(reading.new)} of them were not known"
            tx.post(events.GapClosed((opened.epoch, row.seq), HEALED_BY, why))
        return len(healed)

    def _rows(self, tx: Transaction, payments: Sequence[Payment]) -> list[PaymentRow]:
        rows = (reads.payment(tx.connection, payment.key) for payment in payments)
        return [row for row in rows if row is not None and row.state != PaymentState.UNDOING]

    def _open_gaps(self, tx: Transaction) -> list[GapRow]:
        """The open gaps of this terminal that its list can heal."""
        found = []
        for row in reads.open_gaps(tx.connection):
            try:
                event = reads.entry(tx.connection, row.seq).event
            except NotFound:
                continue  # pruned behind a checkpoint
            if isinstance(event, events.GapDetected) and event.tid == self._tid and event.why in self._heals:
                found.append(row)
        return found

    def _baseline(self, tx: Transaction, reading: Reading) -> Polled:
        """The first answer. A row after one that was heard live was made while the lane was there."""
        tx.post(events.Baseline(self._tid, reading.newest_trace, reading.earlier))
        for payment in reading.new[: reading.earlier]:
            self._counter.baseline_within(tx, payment)
        later = reading.new[reading.earlier :]
        posted = tuple(self._counter.post_within(tx, payment, NO_MEMBER) for payment in later)
        return Polled(reading, baseline=True, posted=posted)

    def _undecided_left(self, tx: Transaction, reading: Reading) -> bool:
        """True when a payment that resolution was to decide on can be heard of no more."""
        there = {payment.key for payment in (*reading.new, *reading.left)}
        gone = (payment.key for payment in self._left if payment.key not in there)
        return any(reads.payment(tx.connection, key) is None for key in gone)

    def _gap(self, tx: Transaction, lane: LaneRow, reading: Reading, why: str) -> str:
        """Post that sales may be missing, unless that was posted and nothing was heard since, or is open."""
        if self._open_gaps(tx):
            return ""
        after = self._shown_to or self._read_to(tx, lane)
        earlier = reads.newest_gap(tx.connection, self._tid)
        if earlier is not None and earlier[1].after_trace == after and after:
            return ""
        tx.post(events.GapDetected(self._tid, after, reading.oldest_trace, why))
        return why

    def _tell(self, polled: Polled) -> None:
        reading = polled.reading
        if polled.baseline:
            self._log.info("baseline set", rows=reading.earlier, newest=reading.newest_trace)
        if polled.healed:
            self._log.info("gap closed by the terminal's list", gaps=polled.healed)
        if polled.gap:
            self._log.warning("gap", why=polled.gap, oldest=reading.oldest_trace)
        for outcome in polled.posted:
            self._log.info("payment found", number=outcome.number, result=outcome.result)
        if reading.left:
            self._log.info("left to resolution", rows=len(reading.left))

    def _compare(self, reading: Reading) -> None:
        """What differs from the first hearing of a payment: an alarm, once; never a second award."""
        now_there = {payment.key for payment in (*reading.new, *reading.known)}
        self._compared &= now_there
        self.disagreeing = {key: each for key, each in self.disagreeing.items() if key in now_there}
        fresh = [payment for payment in reading.known if payment.key not in self._compared]
        if not fresh:
            return
        for payment, fields in self._counter.ledger.read(lambda connection: self._against(connection, fresh)):
            self._compared.add(payment.key)
            first = self._counter.seen(payment) if fields else None
            if first is not None:
                self.disagreeing[payment.key] = first.number
                self._log.warning("evidence disagrees", number=first.number, fields=fields)

    def _against(
        self, connection: sqlite3.Connection, payments: Sequence[Payment]
    ) -> list[tuple[Payment, tuple[str, ...]]]:
        """The payments with what of them differs from their first hearing, all under one lock. Not the rows
        of voids and refunds, which are known by their own reference."""
        found = []
        for payment in payments:
            row = reads.payment(connection, payment.key)
            if row is not None and row.state != PaymentState.UNDOING:
                paid = reads.paid_of(reads.entry(connection, row.seq).event)
                found.append((payment, evidence_against(paid, payment, self._counter.tokens)))
        return found


def _told_by_terminal(event: events.Event) -> bool:
    """False for a sale a person entered: what was missed before it may be missed still."""
    return reads.paid_of(event).source != Source.RECORDED
