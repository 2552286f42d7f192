"""One Sadad terminal in mode `ecr`: the thread that leads its conversation and posts what it hears.

`step()` does one round: open the line, begin what waits (unsure sales first, then new ones), read until
something comes or a deadline passes, act on what the dialogue says. Everything that moves money is written
down before it is sent, and every end of a sale is a named one.
"""

import threading
from collections.abc import Callable

import msgspec
import structlog

from vafa.app.counter import Counter
from vafa.app.late_ack import LateAck
from vafa.app.line import Line
from vafa.app.live import LaneState, SaleTimes
from vafa.app.lookup import Lookup, wrong_terminal
from vafa.app.outcome import Outcome
from vafa.app.paper import Paper
from vafa.app.sales import Asked, Sales
from vafa.app.selling import SaleEnd, Selling, Work
from vafa.codecs import sadad_dialogue as dialogue
from vafa.codecs.sadad_fields import WRONG_TERMINAL
from vafa.codecs.sadad_frames import QUIET_BEFORE_FLUSH_S, Noise, Reader
from vafa.codecs.sadad_sale import SaleRequest
from vafa.model.errors import LedgerError, PortError, Refused, TerminalFault, VafaError
from vafa.model.events import SaleOutcome
from vafa.model.identity import NO_CARD
from vafa.model.pan import CardHint
from vafa.model.payment import Payment, PaymentKey
from vafa.ports.clock import Clock
from vafa.ports.link import Link

IDLE_WAIT_S = 5.0  # how long an idle lane sleeps; bytes and commands wake it at once
REPOST_EVERY_S = 1.0
TIMES_KEPT_MAX = 500

log = structlog.get_logger()


class LaneSettings(msgspec.Struct, frozen=True):
    """The lane's part of config.toml. `text_language` '' sends no text for the terminal's slip."""

    terminal_id: str
    address: str
    card_first: bool
    text_language: str
    answer_timeout_s: float


class Lane:
    """The desk's Seller for one terminal. `run` is its thread; `sell`, `state` and `stop` are for others."""

    def __init__(
        self,
        settings: LaneSettings,
        counter: Counter,
        sales: Sales,
        paper: Paper,
        clock: Clock,
        open_line: Callable[[], Link],
        times: dict[int, SaleTimes],
    ) -> None:
        self.settings = settings
        self.selling = Selling(sales, settings.terminal_id)
        self._counter = counter
        self._sales = sales
        self._paper = paper
        self._clock = clock
        self._times = times
        self._log = log.bind(terminal=settings.terminal_id)
        self._line = Line(open_line, clock)
        self._talk = dialogue.Dialogue(
            settings.terminal_id, counter.tokens.without_pans, settings.answer_timeout_s
        )
        self._reader = Reader()
        self._work: Work | None = None  # the sale in hand
        self._card = CardHint()  # what card-first told of its card
        self._lookup = Lookup(
            sales, self.selling, counter, settings.terminal_id, settings.answer_timeout_s, clock.monotonic
        )
        self._sent_at = 0.0
        self._unposted: dict[PaymentKey, Callable[[], Outcome | None]] = {}  # what still has to be done
        self._repost_at = 0.0
        self._acknowledging = threading.Lock()
        self._late_ack = LateAck(self._acknowledge, settings.terminal_id)
        self._stopping = threading.Event()
        self._last_byte_at = 0.0
        self._last_frame_at: float | None = None
        self.stepped_at = clock.monotonic()
        self._trouble = ""
        self._noise = self._faults = 0

    # For other threads

    def sell(self, request: str, amount: int, member: bytes) -> SaleEnd:
        """Ask the terminal for a payment and wait for its end, which may be UNSURE; a repeat joins."""
        return self.selling.sell(request, amount, member, self._wake)

    def state(self) -> LaneState:
        """How the lane stands now."""
        seen = self._last_frame_at
        return LaneState(
            terminal=self.settings.terminal_id,
            mode="ecr",
            address=self.settings.address,
            line="open" if self._line.is_open else "closed",
            doing=self._doing(),
            last_frame_age_s=None if seen is None else self._clock.monotonic() - seen,
            trouble=self._line.trouble or self._trouble,
            noise=self._noise,
            faults=self._faults,
            unposted=len(self._unposted),
        )

    def stop(self) -> None:
        """No new sale begins; `run` returns when the one in hand has ended."""
        self._stopping.set()
        self.selling.close()
        self._wake()

    # The thread

    def run(self) -> None:
        """Steps until stopped and idle."""
        while not (self._stopping.is_set() and self._work is None and not self._talk.busy):
            self.step()
        self.selling.refuse_waiting(Refused("vafa stopped before this sale was begun", fix="ask again"))
        self._repost_at = 0.0
        self._repost()
        self._late_ack.close()
        self._line.close()

    def step(self) -> None:
        """One round; blocks at most IDLE_WAIT_S. A failing disk or line is a state, not an end."""
        self.stepped_at = self._clock.monotonic()
        try:
            self._repost()
            if self._line.reopen():
                self._lookup.now()
                self._reader = Reader()
            if self._line.is_open:
                self._round()
            else:
                if self._line.failure is not None:  # nobody shall be asked to pay when it comes back
                    self.selling.refuse_waiting(self._line.failure)
                self.selling.wait(min(self._line.patience_s, IDLE_WAIT_S))
                self._act(self._talk.tick(self._clock.monotonic()))
        except PortError as error:
            self._line.lost(error)
            self._late_ack.disarm()
            self._act(self._talk.link_lost(self._clock.monotonic()))
        except LedgerError as error:
            self._disk_failed(error)
            self._stopping.wait(REPOST_EVERY_S)

    def _round(self) -> None:
        if not self._talk.busy:
            self._begin()
        received = self._line.read(self._wait_s())
        now = self._clock.monotonic()
        if received:
            self._last_byte_at = now
            seen_now = self._reader.feed(received)
        elif self._reader.pending and now - self._last_byte_at >= QUIET_BEFORE_FLUSH_S:
            seen_now = self._reader.flush()  # a frame that was cut off must not hold back the next one
        else:
            seen_now = []
        for seen in seen_now:
            if isinstance(seen, Noise):
                self._noise += 1
                self._log.warning("noise on the line", bytes=seen.length, why=seen.why)
            else:
                self._last_frame_at = now
            self._act(self._talk.feed(seen, now))
        self._act(self._talk.tick(self._clock.monotonic()))

    def _begin(self) -> None:
        """Start the next conversation: an unsure sale's journal before a new sale."""
        now = self._clock.monotonic()
        if not self._unposted and self._lookup.is_due() and self._in_doubt():
            self._act(self._talk.ask_journal(self._lookup.question(), now))
            return
        work = None if self._stopping.is_set() else self.selling.next()
        if work is None:
            return
        self._work, self._card = work, CardHint()
        if self.settings.card_first:
            self._act(self._talk.ask_card(now))
        else:
            self._ask_sale()

    def _ask_sale(self) -> None:
        """Write the sale down, then send it."""
        work = self._work
        assert work is not None
        try:
            asked = self._sales.ask(
                self.settings.terminal_id, work.request, work.amount, work.member, self._card
            )
            text = (
                self._paper.request_text(asked, self.settings.text_language)
                if self.settings.text_language
                else b""
            )
        except VafaError as error:
            self._work = None
            self.selling.fail(work, error)
            return
        work.asked = asked
        self._log.info("sale asked", number=asked.number, rials=asked.amount)
        request = SaleRequest(
            amount=asked.amount,
            order_id=asked.order_id,
            receipt_text=text,
            card_hash=self._card.pan_sha256,
        )
        self._act(self._talk.sell(request, self._clock.monotonic()))

    def _act(self, outputs: list[dialogue.Output]) -> None:
        for output in outputs:
            match output:
                case dialogue.Send(data):
                    self._sent_at = self._clock.monotonic()
                    self._line.write(data)
                case dialogue.Taken():
                    self._log.info("customer pays")
                case dialogue.SaleDone():
                    self._sale_done(output, wrong_terminal(outputs))
                case dialogue.Late(payment) | dialogue.Repeat(payment):
                    self._heard_again(payment)
                case dialogue.CardSeen(info):
                    self._card, self._lookup.suspended = info.card, False
                    self._ask_sale()
                case dialogue.CardRefused(why):
                    self._log.warning("no card before the sale", why=why)
                    self._without_card(wrong_terminal(outputs))
                case dialogue.JournalRows():
                    self._lookup.answered(output)
                case dialogue.JournalRefused():
                    self._lookup.refused(output)
                case dialogue.Fault(code, message):
                    self._faults += 1
                    self._trouble = message
                    self._lookup.suspended |= code == WRONG_TERMINAL
                    self._log.warning("terminal fault", code=code, message=message)

    def _without_card(self, other: str) -> None:
        """Card-first brought no card: the sale is asked without one, but not of another terminal."""
        if not other:
            self._ask_sale()
            return
        work, self._work = self._work, None
        assert work is not None
        self.selling.fail(work, TerminalFault(other, code=WRONG_TERMINAL))

    # What ends a sale

    def _sale_done(self, done: dialogue.SaleDone, other: str) -> None:
        """`other` says that another terminal answered: unsure for good, its journal proves nothing."""
        work, self._work = self._work, None
        assert work is not None
        assert work.asked is not None
        asked, payment = self._with_card(work.asked, done.payment)
        response = WRONG_TERMINAL if other else done.response
        self._card = CardHint()
        self._log.info(
            "sale ended", number=asked.number, outcome=done.outcome.name.lower(), response=response
        )
        outcome = self._commit(payment, lambda: self._sales.end(asked, done.outcome, response, payment))
        if done.outcome is SaleOutcome.UNSURE and not other:
            self._lookup.unsure(asked, self._sent_at)
            work.in_doubt.set()
        elif payment is not None and outcome is None:
            self.selling.fail(work, LedgerError("the sale is approved; its points are not durable yet"))
        else:
            text = other or done.text
            self.selling.end(work, SaleEnd(asked.number, done.outcome, response, text, outcome))

    def _heard_again(self, payment: Payment | None) -> None:
        """A RESPONSE nobody waits for: of a sale before a power cut, or whose ACK the terminal missed."""
        if payment is None:
            self._acknowledge()
            return
        heard = payment

        def post() -> Outcome:
            in_hand = self._work.asked if self._work else None
            same = [
                sale
                for sale in self._lookup.in_doubt()
                if sale.amount == heard.amount and (in_hand is None or sale.seq != in_hand.seq)
            ]
            if len(same) != 1 or self._counter.knows(heard.key):
                return self._counter.post(heard)
            outcome = self._sales.end(same[0], SaleOutcome.APPROVED, "00", heard)
            assert outcome is not None
            self.selling.resolved(same[0], SaleOutcome.APPROVED, "00", outcome)
            return outcome

        outcome = self._commit(payment, post)
        if outcome is not None:
            self._log.info("payment heard", number=outcome.number, again=outcome.seen_before)

    def _commit(self, payment: Payment | None, post: Callable[[], Outcome | None]) -> Outcome | None:
        """Make it durable, then acknowledge. A failing disk keeps the payment in memory, and says so."""
        heard_ms = self._clock.monotonic() * 1000
        self._late_ack.arm()
        try:
            outcome = post()
        except LedgerError as error:
            self._disk_failed(error)
            if payment is not None:
                self._unposted.setdefault(payment.key, post)
            return None
        durable_ms = self._clock.monotonic() * 1000
        self._trouble = ""  # a sale went through: what was wrong is over (its own faults come after this)
        if payment is not None:
            self._lookup.suspended = False
        self._late_ack.disarm()
        self._acknowledge()
        if outcome is not None:
            self._times[outcome.seq] = SaleTimes(heard_ms, durable_ms, self._clock.monotonic() * 1000)
            for old in list(self._times)[:-TIMES_KEPT_MAX]:  # shared by all lanes: another may be at it
                self._times.pop(old, None)
        return outcome

    def _with_card(self, asked: Asked, payment: Payment | None) -> tuple[Asked, Payment | None]:
        """The payment with the hash that card-first told, when that card paid; else the sale without it."""
        if payment is None or not self._card.pan_sha256 or not payment.card.mask:
            return asked, payment
        if payment.card.mask != self._card.mask:
            return msgspec.structs.replace(asked, card=NO_CARD), payment
        return asked, msgspec.structs.replace(payment, card=self._card)

    def _repost(self) -> None:
        """What a failing disk left in memory, tried again until it takes it."""
        now = self._clock.monotonic()
        if not self._unposted or now < self._repost_at:
            return
        for key, post in list(self._unposted.items()):
            try:
                post()
            except LedgerError as error:
                self._disk_failed(error)
                self._repost_at = now + REPOST_EVERY_S
                return
            del self._unposted[key]
        self._trouble = ""
        self._log.info("the ledger takes payments again")

    def _disk_failed(self, error: LedgerError) -> None:
        self._trouble = str(error)
        self._log.error("the ledger does not answer", error=str(error), fix=error.fix)

    def _acknowledge(self) -> None:
        """Send the ACK that is owed, once: by the lane after its commit, or by the late-ack thread."""
        with self._acknowledging:
            for output in self._talk.acknowledge(self._clock.monotonic()):
                assert isinstance(output, dialogue.Send)
                try:
                    self._line.write(output.data)
                except PortError as error:
                    self._log.warning("ACK not sent", error=str(error))  # the terminal repeats its answer

    def _wake(self) -> None:
        self._line.interrupt()
        self.selling.wake()

    def _wait_s(self) -> float:
        """Until the next deadline of anything."""
        now = self._clock.monotonic()
        due = [now + IDLE_WAIT_S]
        if self._reader.pending:
            due.append(self._last_byte_at + QUIET_BEFORE_FLUSH_S)
        if self._talk.deadline is not None:
            due.append(self._talk.deadline)
        elif self.selling.waiting and not self._stopping.is_set():
            due.append(now)
        elif self._unposted:
            due.append(self._repost_at)
        elif not self._lookup.suspended and self._in_doubt():
            due.append(self._lookup.due_at)
        return max(0.0, min(due) - now)

    def _in_doubt(self) -> list[Asked]:
        """Sales to look up; none while the ledger cannot tell them: the line is served all the same."""
        try:
            return self._lookup.in_doubt()
        except LedgerError as error:
            self._disk_failed(error)
            return []

    def _doing(self) -> str:
        work = self._work
        if work is not None:
            return f"{self._talk.state.value} {work.amount:,}"
        return "resolving" if self._talk.busy else "idle"
