"""One Sadad terminal in mode `ecr` or `poll`: the thread that leads its conversation and posts what it hears.

`step()` does one round: open the line, begin what waits (unsure sales, new ones, then a poll), read until
something comes or a deadline passes, act on what the dialogue says. Everything that moves money is written
down before it is sent, and every end of a sale is a named one.
"""

import threading
from collections.abc import Callable
from typing import Literal

import msgspec
import structlog

from vafa.app.counter import Counter
from vafa.app.hearing import Hearing
from vafa.app.lane_trouble import LastFault, lane_state
from vafa.app.line import Line
from vafa.app.live import LaneState, SaleTimes
from vafa.app.lookup import Lookup, answered_before, no_journal, wrong_terminal
from vafa.app.outcome import OF_AN_UNDOING, Outcome, used_reference
from vafa.app.paper import Paper
from vafa.app.polling import Polling
from vafa.app.posting import REPOST_EVERY_S, Posting
from vafa.app.sales import Asked, Sales
from vafa.app.selling import SaleEnd, Selling, Work, not_asked
from vafa.codecs import sadad_dialogue as dialogue
from vafa.codecs.sadad_fields import REFUSED_THRICE, USED_REFERENCE, WRONG_TERMINAL, Fault
from vafa.codecs.sadad_sale import SaleRequest
from vafa.model.errors import LedgerError, PortError, Refused, TerminalFault, VafaError
from vafa.model.events import SaleOutcome
from vafa.model.identity import NO_CARD
from vafa.model.money import Currency
from vafa.model.pan import CardHint
from vafa.model.payment import Payment
from vafa.ports.clock import Clock
from vafa.ports.link import Link

IDLE_WAIT_S = 5.0  # how long an idle lane sleeps; bytes and commands wake it at once
JOURNAL_ENDS_WITHIN_S = 1.0  # after a stop: an answer that comes is taken, a silent terminal not waited for

log = structlog.get_logger()


class LaneSettings(msgspec.Struct, frozen=True):
    """The lane's part of config.toml. `text_language` '' sends no text for the terminal's slip.

    mode  ecr: asks for payments; poll: only listens to what the terminal's journal tells
    poll  whether the journal is asked while nothing else is to do
    """

    terminal_id: str
    address: str
    card_first: bool
    text_language: str
    answer_timeout_s: float
    mode: Literal["ecr", "poll"] = "ecr"
    poll: bool = True
    baud: int = 115_200


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
        self._log = log.bind(terminal=settings.terminal_id)
        self._line = Line(open_line, clock)
        self._talk = dialogue.Dialogue(
            settings.terminal_id, counter.tokens.without_pans, settings.answer_timeout_s
        )
        self._hearing = Hearing(
            clock.monotonic, self._log, known_before=answered_before(counter, settings.terminal_id)
        )
        self._work: Work | None = None  # the sale in hand
        self._card = CardHint()  # what card-first told of its card
        self._lookup = Lookup(
            sales, self.selling, counter, settings.terminal_id, settings.answer_timeout_s, clock.monotonic
        )
        if settings.mode == "ecr":  # with mode poll no later answer could lift it
            self._lookup.recall()
        self._polling = Polling(settings.terminal_id, counter, self._lookup.in_doubt, clock.monotonic)
        self._asker: Lookup | Polling = self._lookup  # whose question the terminal's journal answers
        self._sent_at = 0.0
        self._posting = Posting(self._talk, self._line, clock, times, settings.terminal_id)
        self._stopping = threading.Event()
        self._leave_at = 0.0  # once stopping
        self.stepped_at = clock.monotonic()
        self._fault = LastFault()

    # For other threads

    def sell(self, request: str, amount: int, member: bytes, currency: Currency) -> SaleEnd:
        """Ask the terminal for a payment and wait for its end, which may be UNSURE; a repeat joins."""
        if self.settings.mode != "ecr":
            raise not_asked(self.settings.terminal_id)
        return self.selling.sell(request, amount, member, self._wake, currency)

    def state(self) -> LaneState:
        """How the lane stands now."""
        return lane_state(
            self.settings,
            self._line,
            self._hearing,
            self._posting,
            self._polling,
            self._fault,
            self._doing(),
            self._clock.monotonic(),
        )

    def poll_soon(self) -> None:
        """Somebody says that something happened at the terminal: its own list shall tell."""
        self._polling.hint()
        self._wake()

    def stop(self) -> None:
        """No new sale begins; `run` returns when the one in hand has ended."""
        self._leave_at = self._clock.monotonic() + JOURNAL_ENDS_WITHIN_S
        self._stopping.set()
        self.selling.close()
        self._wake()

    # The thread

    def run(self) -> None:
        """Steps until stopped and idle."""
        while not self._may_leave():
            self.step()
        self.selling.refuse_waiting(Refused("vafa stopped before this sale was begun", fix="ask again"))
        self._posting.close()
        self._line.close()

    def _may_leave(self) -> bool:
        """A question for the journal moves no money and is asked again."""
        is_free = not self._talk.busy or self._clock.monotonic() >= self._leave_at
        return self._stopping.is_set() and self._work is None and is_free

    def step(self) -> None:
        """One round; blocks at most IDLE_WAIT_S. A failing disk or line is a state, not an end."""
        self.stepped_at = self._clock.monotonic()
        try:
            if self._posting.retry():
                self._fault.sale_went_through()
            if self._line.reopen():
                self._hearing.opened()
                if not self._line.is_renewed:  # a terminal that is silent is not asked more often for it
                    self._lookup.now()
                    self._polling.opened()
            if self._line.is_open:
                self._round()
            else:
                if self._line.failure is not None:  # nobody shall be asked to pay when it comes back
                    self.selling.refuse_waiting(self._line.failure)
                self.selling.wait(min(self._line.patience_s, IDLE_WAIT_S))
                self._act(self._talk.tick(self._clock.monotonic()))
        except PortError as error:
            self._line.lost(error)
            self._hearing.withdrawn()
            self._posting.line_lost()
            self._act(self._talk.link_lost(self._clock.monotonic()))
        except LedgerError as error:
            self._posting.failed(error)
            self._stopping.wait(REPOST_EVERY_S)

    def _round(self) -> None:
        if not self._talk.busy:
            self._begin()
        received = self._line.read(self._wait_s())
        now = self._clock.monotonic()
        for seen in self._hearing.take(received):
            self._act(self._talk.feed(seen, now))
        self._act(self._talk.tick(self._clock.monotonic()))
        if not self._talk.busy and self._hearing.ended():
            self._line.renew()

    def _begin(self) -> None:
        """Start what is next: an unsure sale's journal, a poll that must not wait, a new sale, a poll."""
        now = self._clock.monotonic()
        if not self._posting.waiting and self._must_look_up():
            self._ask_journal(self._lookup)
            return
        presses = self._may_poll() and self._polling.is_pressing()
        work = None if self._stopping.is_set() or presses else self.selling.next()
        if work is None:
            if presses or (self._may_poll() and self._polling.is_due()):
                self._ask_journal(self._polling)
            return
        self._work, self._card = work, CardHint()
        self._hearing.asked()
        if self.settings.card_first:
            self._act(self._talk.ask_card(now))
        else:
            self._ask_sale()

    def _ask_journal(self, asker: Lookup | Polling) -> None:
        self._asker = asker
        self._hearing.asked()
        self._act(self._talk.ask_journal(asker.question(), self._clock.monotonic()))

    def _may_poll(self) -> bool:
        """False where the journal is not to be asked, proves nothing, or could not be written down."""
        return (
            self.settings.poll
            and not self._lookup.suspended
            and not self._posting.waiting
            and not self._stopping.is_set()
        )

    def _ask_sale(self) -> None:
        """Write the sale down, then send it."""
        work = self._work
        assert work is not None
        try:
            asked = self._sales.ask(
                self.settings.terminal_id, work.request, work.amount, work.member, self._card, work.currency
            )
            language = self.settings.text_language
            text = self._paper.request_text(asked, language) if language else b""
        except VafaError as error:
            self._work = None
            self._lookup.now()  # a disk that fails may have kept it all the same
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
                    self._log.debug("customer pays")
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
                    self._asker.answered(output)
                    self._posting.trouble = ""  # the ledger answers
                    self._fault.answered()
                case dialogue.JournalRefused():
                    self._asker.refused(output)
                case dialogue.Fault(code, _) if code == REFUSED_THRICE and no_journal(outputs):
                    continue  # busy, or without this question; what stays unknown is shown as that
                case dialogue.Fault(code, _):
                    self._lookup.suspended |= code == WRONG_TERMINAL
                    self._faulted(output)

    def _faulted(self, fault: Fault) -> None:
        if self._fault.happened(fault, self._clock.monotonic()):
            self._log.warning("terminal fault", code=fault.code, message=fault.message)

    def _without_card(self, other: str) -> None:
        """Card-first brought no card: the sale is asked without one, but not of another terminal."""
        if not other:
            self._ask_sale()
            return
        work, self._work = self._work, None
        assert work is not None
        self.selling.fail(work, TerminalFault(other, code=WRONG_TERMINAL))
        self._lookup.note_another()

    # What ends a sale

    def _sale_done(self, done: dialogue.SaleDone, other: str) -> None:
        """`other`: another terminal answered; unsure for good. The log hears of it behind the ACK."""
        work, self._work = self._work, None
        assert work is not None
        assert work.asked is not None
        asked, payment = self._with_card(work.asked, done.payment)
        response = WRONG_TERMINAL if other else done.response
        self._card = CardHint()
        outcome = self._commit(payment, lambda: self._sales.end(asked, done.outcome, response, payment))
        self._log.info(
            "sale ended", number=asked.number, outcome=done.outcome.name.lower(), response=response
        )
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
            self._posting.acknowledge()
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
        """As Posting.commit; a sale that went through ends what was wrong before it."""
        outcome = self._posting.commit(payment, post)
        if self._posting.trouble:
            self._lookup.now()  # an end that is not written down leaves a sale in doubt
        else:
            self._fault.sale_went_through()  # its own faults come after this
            if payment is not None:
                self._lookup.suspended = False
        if outcome is not None and outcome.why == OF_AN_UNDOING:
            self._faulted(Fault(USED_REFERENCE, used_reference(outcome)))
        return outcome

    def _with_card(self, asked: Asked, payment: Payment | None) -> tuple[Asked, Payment | None]:
        """The payment with the hash that card-first told, when that card paid; else the sale without it."""
        if payment is None or not self._card.pan_sha256 or not payment.card.mask:
            return asked, payment
        if payment.card.mask != self._card.mask:
            return msgspec.structs.replace(asked, card=NO_CARD), payment
        return asked, msgspec.structs.replace(payment, card=self._card)

    def _wake(self) -> None:
        self._line.interrupt()
        self.selling.wake()

    def _wait_s(self) -> float:
        """Until the next deadline of anything."""
        now = self._clock.monotonic()
        due = [now + IDLE_WAIT_S]
        if self._stopping.is_set() and self._work is None:
            due.append(self._leave_at)
        if self._hearing.due_at is not None:
            due.append(self._hearing.due_at)
        if self._talk.deadline is not None:
            due.append(self._talk.deadline)
        elif self.selling.waiting and not self._stopping.is_set():
            due.append(now)
        elif self._posting.waiting:
            due.append(self._posting.retry_at)
        elif not self._lookup.suspended:
            due.append(self._lookup.due_at)
        if not self._talk.busy and self._may_poll():
            due.append(self._polling.next_at)
        return max(0.0, min(due) - now)

    def _must_look_up(self) -> bool:
        """False while the ledger cannot tell what is in doubt: the line is served all the same."""
        try:
            return self._lookup.is_due()
        except LedgerError as error:
            self._posting.failed(error)
            return False

    def _doing(self) -> str:
        work = self._work
        if work is not None:
            return f"{self._talk.state.value} {work.amount:,}"
        if not self._talk.busy:
            return "idle"
        return "resolving" if self._asker is self._lookup else "polling"
