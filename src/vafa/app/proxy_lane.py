"""One Sadad terminal in mode `proxy`: the thread that reads the relay's copies and posts what they tell.

The relay forwards whether or not anybody listens; the line is spoken into only while it is lent (Borrowing),
when all that crossed is understood and durable and nothing in it is unfinished. A record is acknowledged
when all it told is committed and it holds no beginning of something unfinished; what was not acknowledged is
heard again after a crash, and a payment heard again is the same payment. Copies that were lost (the ring
overflowed, the relay ended with some unread) are a gap in the journal before anything behind them is
acknowledged.
"""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial

import msgspec
import structlog

from vafa.app import foreign
from vafa.app.borrowing import Borrowing
from vafa.app.counter import Counter
from vafa.app.exchange import MISSED_S, UNKNOWN_S
from vafa.app.hearing import Finding, Hearing
from vafa.app.lane_trouble import WELL, of_finding
from vafa.app.line import Line
from vafa.app.live import LaneState, SaleTimes
from vafa.app.outcome import OF_AN_UNDOING, used_reference
from vafa.app.overheard import Overheard
from vafa.codecs.sadad_fields import USED_REFERENCE, WRONG_TERMINAL, Fault
from vafa.codecs.sadad_frames import Frame, FrameType, Noise
from vafa.model.errors import LedgerError, PortError
from vafa.model.payment import Payment
from vafa.ports import relay_wire as wire
from vafa.ports.clock import Clock
from vafa.ports.link import Link

IDLE_WAIT_S = 5.0
REPOST_EVERY_S = 1.0
TIMES_KEPT_MAX = 500
TODO_MAX = 10_000  # a disk that fails for days of sales
LINE_FIX = (
    "Check the terminal's power, its cable and its cash register (PC-POS) mode; the next sale tries again."
)
OVERFLOWED = "more crossed the line than the relay could keep while vafa was away"
# gaps that end when the terminal's list shows all
HEALED = frozenset({OVERFLOWED, wire.KILLED_WITH_COPIES, foreign.ANOTHER})

log = structlog.get_logger()


class ProxySettings(msgspec.Struct, frozen=True):
    """The lane's part of config.toml."""

    terminal_id: str
    address: str
    poll: bool = True
    baud: int = 115_200


class Missed(msgspec.Struct, frozen=True):
    """Copies are lost. `noted`: the relay waits to hear that it is in the journal."""

    why: str
    noted: bool = False


class Todo(msgspec.Struct, frozen=True):
    """Something heard in record `number` of the relay's that is not durable yet."""

    number: int
    what: Payment | Missed
    heard_ms: float


class ProxyLane:
    """`run` is its thread; `state` and `stop` are for others."""

    def __init__(
        self,
        settings: ProxySettings,
        counter: Counter,
        clock: Clock,
        open_feed: Callable[[], Link],
        times: dict[int, SaleTimes],
    ) -> None:
        self.settings = settings
        self._counter = counter
        self._clock = clock
        self._times = times
        self._log = log.bind(terminal=settings.terminal_id)
        self._line = Line(open_feed, clock)
        self._todo: deque[Todo] = deque()
        self._instance = ""
        self._stopping = threading.Event()
        self._last_frame_at: float | None = None
        self.stepped_at = clock.monotonic()
        self._borrowing = Borrowing(settings.terminal_id, counter, clock.monotonic, self._line.write, HEALED)
        self._borrowing.suspended = foreign.is_in_doubt(counter, settings.terminal_id)
        self._crossed_at = 0.0
        self._trouble = self._disk_trouble = ""
        self._faults = 0
        # what is said either way, for what the bytes show of the line: a speed set wrongly garbles both
        self._hearing = {
            each: Hearing(clock.monotonic, self._log, known_before=True)
            for each in (wire.TO_REGISTER, wire.TO_TERMINAL)
        }
        self._begin_anew()

    def _begin_anew(self) -> None:
        """What belongs to one connection with the relay."""
        self._splitter = wire.Splitter()
        self._overheard = Overheard(self.settings.terminal_id, self._counter.tokens.without_pans)
        self._greeted = False
        self._heard_to = self._acked = 0
        self._relayed = ("closed", "")
        for each in self._hearing.values():
            each.opened()
        self._borrowing.connected()

    # For other threads

    def state(self) -> LaneState:
        """How the lane stands now."""
        seen = self._last_frame_at
        failure = self._line.failure
        line, line_trouble = self._relayed
        listening = self._line.is_open and line == "open"
        polling = self._borrowing.polling
        polled, now = polling.answered_at, self._clock.monotonic()
        finding = self._finding() if listening else None
        wrong = of_finding(finding, self.settings.address, self.settings.baud, now) if finding else WELL
        return LaneState(
            terminal=self.settings.terminal_id,
            mode="proxy",
            address=self.settings.address,
            line="open" if listening else "closed",
            doing=self._doing() if listening else "not listening",
            last_frame_age_s=None if seen is None else now - seen,
            trouble=self._line.trouble
            or line_trouble
            or self._disk_trouble
            or wrong.message
            or self._trouble,
            noise=sum(each.noise for each in self._hearing.values()),
            faults=self._faults,
            unposted=sum(isinstance(todo.what, Payment) for todo in tuple(self._todo)),
            poll_trouble=self._borrowing.trouble if self.settings.poll and listening else "",
            polled_age_s=None if polled is None else now - polled,
            disagreeing=tuple(polling.disagreeing.values()),
            fix=failure.fix if failure is not None else LINE_FIX if line_trouble else wrong.fix,
            code=failure.code if failure is not None else "SER-004" if line_trouble else wrong.code,
            finding=finding.kind if finding else "",
            cut_off=wrong.cut_off,
            since_s=now - finding.since if finding else None,
            nacks=self._hearing[wire.TO_REGISTER].nacks,
        )

    def _finding(self) -> Finding | None:
        """What the bytes say of the terminal, else of the line: a speed set wrongly garbles both ways."""
        terminal = self._hearing[wire.TO_REGISTER]
        if (found := terminal.finding()) is not None:
            return found
        found = self._hearing[wire.TO_TERMINAL].finding()
        if found is None or found.kind == "refusing":
            return None
        answers = (terminal.last_frame_at or found.since) > found.since
        return None if found.kind == "garbled" and answers else found  # the register's start, printed

    def stop(self) -> None:
        """`run` returns after what is here already."""
        self._stopping.set()
        self._line.interrupt()

    # The thread

    def run(self) -> None:
        """Steps until stopped."""
        while not self._stopping.is_set():
            self.step()
        self._line.close()

    def step(self) -> None:
        """One round; blocks at most IDLE_WAIT_S. A failing disk or an absent relay is a state, not an end."""
        self.stepped_at = self._clock.monotonic()
        try:
            if self._line.reopen():
                self._begin_anew()
            if self._line.is_open:
                self._listen()
            else:
                self._stopping.wait(min(self._line.patience_s, IDLE_WAIT_S))
            self._post()
            self._acknowledge()
            self._borrow()
        except PortError as error:
            self._line.lost(error)
        except LedgerError as error:
            self._disk_trouble = str(error)
            self._log.error("the ledger does not answer", error=str(error), fix=error.fix)
            self._stopping.wait(REPOST_EVERY_S)

    def _listen(self) -> None:
        if len(self._todo) >= TODO_MAX:
            return  # the relay's ring keeps what comes now
        received = self._line.read(0.0 if self._todo else self._wait_s())
        try:
            messages = self._splitter.feed(received)
        except wire.NotTheRelay as error:
            raise PortError(str(error), fix="sudo systemctl restart vafa-relay") from error
        for message in messages:
            self._take(message)
        for each in self._hearing.values():
            each.take(b"")
        now = self._clock.monotonic()
        self._take_heard(self._heard_to, self._overheard.tick(now))

    def _take(self, message: wire.Message) -> None:
        number, now = message.number, self._clock.monotonic()
        match message.kind:
            case wire.HELLO:
                self._greet(wire.read_hello(message))
            case wire.STATE:
                self._relayed = wire.read_state(message)
                self._borrowing.can_lend = number == wire.CAN_LEND
            case wire.LENT | wire.ANSWER | wire.OVER:
                if message.kind == wire.ANSWER:
                    self._hearing[wire.TO_REGISTER].take(message.payload)
                self._take_seen(self._borrowing.heard(message))
            case wire.REFUSED:
                raise PortError(
                    message.payload.decode("utf-8", "replace"), fix="sudo systemctl restart vafa-relay"
                )
            case wire.TO_TERMINAL | wire.TO_REGISTER | wire.CUT if self._greeted:
                if number > self._heard_to + 1:
                    self._missed(number, OVERFLOWED)
                    self._take_heard(number, self._overheard.cut(number, now))
                self._heard_to, self._crossed_at = number, now
                if message.kind == wire.CUT:
                    for each in self._hearing.values():
                        each.opened()
                    self._take_heard(number, self._overheard.cut(number, now))
                else:
                    if message.kind == wire.TO_REGISTER:
                        self._last_frame_at = now
                    self._listen_to(message)
                    heard = self._overheard.feed(message.kind, number, message.payload, now)
                    self._take_heard(number, heard)
            case _:
                raise PortError("the relay speaks out of turn", fix="sudo systemctl restart vafa-relay")

    def _listen_to(self, message: wire.Message) -> None:
        """What the bytes say of the line, whatever they say."""
        for seen in self._hearing[message.kind].take(message.payload):
            if message.kind == wire.TO_TERMINAL and isinstance(seen, Frame) and seen.type is FrameType.INM:
                self._hearing[wire.TO_REGISTER].asked_by_another()

    def _greet(self, hello: wire.Hello) -> None:
        """Go on behind the last acknowledgement. Another relay's numbers mean nothing any more."""
        if self._instance not in ("", hello.instance):
            self._log.warning("the relay was started anew", missing=hello.missing)
            self._todo = deque(msgspec.structs.replace(todo, number=0) for todo in self._todo)
        self._instance, self._greeted = hello.instance, True
        self._overheard.exchange.unknown(self._clock.monotonic(), UNKNOWN_S)
        self._heard_to = self._acked = hello.acked
        if hello.missing:
            self._missed(hello.acked + 1, hello.missing, noted=True)

    def _missed(self, number: int, why: str, *, noted: bool = False) -> None:
        self._log.warning("copies of the line are lost", why=why)
        now = self._clock.monotonic()
        self._todo.append(Todo(number, Missed(why, noted), now * 1000))
        self._overheard.exchange.unknown(now, MISSED_S)
        self._borrowing.missed()

    def _take_heard(self, number: int, heard: list[Payment | Fault | Noise]) -> None:
        for each in heard:
            match each:
                case Payment():
                    self._trouble = ""  # a sale went through: its own faults come after it
                    self._borrowing.suspended = False
                    if all(todo.what != each for todo in self._todo):  # heard again after a reconnect
                        self._todo.append(Todo(number, each, self._clock.monotonic() * 1000))
                case Fault(code, _) if code == WRONG_TERMINAL:
                    self._borrowing.suspended = True
                    self._todo.append(Todo(number, Missed(foreign.ANOTHER), self._clock.monotonic() * 1000))
                    self._take_seen([each])
                case _:
                    self._take_seen([each])

    def _take_seen(self, seen: list[Fault | Noise]) -> None:
        for each in seen:
            if isinstance(each, Fault):  # noise is counted, and logged now and then, by Hearing
                self._fault(each.code, each.message)

    def _borrow(self) -> None:
        """Write down what the terminal's list told; ask for it when nothing else is to do."""
        if self._borrowing.post():
            self._disk_trouble = ""  # the ledger answers
        if self._may_borrow():
            self._take_seen(self._borrowing.step(self._free_at(), self._heard_to))

    def _may_borrow(self) -> bool:
        """True for a conversation that is under way, and where all that was heard is finished.

        (It is durable too: what cannot be posted ends the round before this is asked.)
        """
        if not self._line.is_open or self._borrowing.is_talking:
            return self._line.is_open
        return (
            self.settings.poll
            and self._greeted
            and self._relayed[0] == "open"
            and self._overheard.needed_from is None
            and not self._stopping.is_set()
        )

    def _free_at(self) -> float:
        return max(self._crossed_at, self._overheard.exchange.open_until)

    def _doing(self) -> str:
        return "polling" if self._borrowing.is_talking else self._overheard.doing

    def _fault(self, code: str, message: str) -> None:
        self._faults += 1
        self._trouble = message
        self._log.warning("terminal fault", code=code, message=message)

    def _post(self) -> None:
        """All that waits, in order; LedgerError leaves it, and what is behind it, for the next round."""
        while self._todo:
            todo = self._todo[0]
            if isinstance(todo.what, Payment):
                self._post_payment(todo.what, todo.heard_ms)
            else:
                post_gap = partial(foreign.post_gap, tid=self.settings.terminal_id, why=todo.what.why)
                self._counter.ledger.write(post_gap)
                if todo.what.noted:
                    self._line.write(wire.encode(wire.NOTED))
            self._todo.popleft()
            self._disk_trouble = ""

    def _post_payment(self, payment: Payment, heard_ms: float) -> None:
        outcome = self._counter.post(payment)
        durable_ms = self._clock.monotonic() * 1000
        if outcome.disagrees:
            self._log.error("a payment was heard again with other facts", differs=outcome.disagrees)
        self._log.info("payment heard", number=outcome.number, again=outcome.seen_before)
        if outcome.why == OF_AN_UNDOING:
            self._fault(USED_REFERENCE, used_reference(outcome))
        if not outcome.seen_before:
            self._times[outcome.seq] = SaleTimes(heard_ms, durable_ms)
            for old in list(self._times)[:-TIMES_KEPT_MAX]:  # shared by all lanes: another may be at it
                self._times.pop(old, None)

    def _acknowledge(self) -> None:
        """Tell the relay what it need not keep for us any more."""
        if not self._greeted or not self._line.is_open:
            return
        needed = [todo.number for todo in self._todo if todo.number]
        if self._overheard.needed_from is not None:
            needed.append(self._overheard.needed_from)
        safe = min([self._heard_to, *(number - 1 for number in needed)])
        if safe > self._acked:
            self._line.write(wire.encode(wire.ACK, safe))
            self._acked = safe

    def _wait_s(self) -> float:
        now = self._clock.monotonic()
        due = [now + IDLE_WAIT_S, self._overheard.due_at() or float("inf")]
        if self._may_borrow():
            due.append(self._borrowing.due_at(self._free_at()))
        return max(0.0, min(due) - now)
