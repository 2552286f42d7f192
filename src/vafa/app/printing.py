"""One printer's thread: takes pages, has them set, sends them; one that cannot print is a visible state.

Printing hangs on nothing and nothing hangs on it: pages come after the commit, wait in a short queue, are
tried for a bounded time, and are then given up, because the customer has gone; `vafa receipt print ID` prints
any of them again. Nothing is kept on disk: after a restart the queue is empty.

A page is tried again whole: half a slip helps nobody.
"""

import threading
from collections import deque
from collections.abc import Callable

import structlog
from msgspec import Struct
from msgspec.structs import replace

from vafa.app.live import PrinterState
from vafa.model.errors import PortError, VafaError
from vafa.ports.clock import Clock
from vafa.ports.printer import ANSWER_WITHIN_S, PrinterLine
from vafa.receipt.escpos import ASKED, Trouble, trouble
from vafa.receipt.page import Page
from vafa.receipt.press import Set
from vafa.receipt.profiles import PROFILES

QUEUE_MAX = 32  # a busy hour's rush; what is older is the least wanted
TRIED_FOR_S = 180.0  # long enough to change a roll of paper
RETRY_EVERY_S = 2.0
AFTER_A_SLIP_S = 15.0  # at 9600 baud the question waits behind 8 KiB of slip in the line's buffers
IDLE_LOOK_EVERY_S = 30.0  # how soon an open cover shows in `status` while nothing prints

CANNOT_SET = "cannot set the page"

log = structlog.get_logger()

_SAID = {
    Trouble.PAPER_OUT: ("paper out", "put in a new roll", "PRN-004"),
    Trouble.COVER_OPEN: ("cover open", "close the cover", "PRN-005"),
    Trouble.FAULT: ("fault", "look at its cutter and head; switch it off and on", "PRN-006"),
    Trouble.OFFLINE: ("offline", "press its FEED or ONLINE button; switch it off and on", "PRN-007"),
}  # the first that holds is said: an open cover also reads as offline


def told(answers: dict[bytes, int]) -> tuple[str, str, str] | None:
    """(what is wrong, what to do, code) by a printer's answers to ASKED; None: it can print."""
    found = trouble(answers)
    return next((said for each, said in _SAID.items() if found & each), None)


class Slip(Struct, frozen=True):
    """A page to be printed, and our number of what it tells of."""

    number: str
    page: Page
    until: float  # monotonic: tried no longer


class Press:
    """The printer called `name`. `offer` from any thread; `run` is its own.

    open_line  opens the printer; raises PortError
    set_page   a page in the profile's bytes; raises ReceiptFault
    """

    def __init__(
        self,
        name: str,
        address: str,
        profile: str,
        open_line: Callable[[], PrinterLine],
        set_page: Callable[[Page, str], Set],
        clock: Clock,
    ) -> None:
        self.name, self._address, self._profile = name, address, profile
        self._open_line, self._set_page, self._clock = open_line, set_page, clock
        self._waiting: deque[Slip] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._line: PrinterLine | None = None
        self._answered = False  # the last questions
        self._set: tuple[Slip, Set] | None = None  # the page in hand, set once
        self._state = PrinterState(name, address, profile, "not used yet")
        self._printed_at: float | None = None

    def offer(self, number: str, page: Page) -> None:
        """Print it soon. Returns at once; a queue that is full gives up its oldest page."""
        with self._changed:
            self._waiting.append(Slip(number, page, self._clock.monotonic() + TRIED_FOR_S))
            while len(self._waiting) > QUEUE_MAX:
                self._give_up(self._waiting.popleft(), "too many wait")
            self._changed.notify()

    def state(self) -> PrinterState:
        """The printer now."""
        with self._changed:
            now, printed_at = self._clock.monotonic(), self._printed_at
            return replace(
                self._state,
                waiting=len(self._waiting),
                printed_age_s=None if printed_at is None else now - printed_at,
            )

    def stop(self) -> None:
        """The thread ends after the page in hand; what waits is given up."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def run(self) -> None:
        """Until `stop`."""
        self.check()
        retry_s = self.step()
        while not self._wait(retry_s):
            retry_s = self.step()
        self._close()

    def check(self) -> None:
        """Set an empty page, once, at the start: a machine that cannot set Persian is known before a slip."""
        try:
            self._set_page(Page("fa"), self._profile)
        except VafaError as error:
            self._say(CANNOT_SET, str(error), error.fix, error.code)

    def _wait(self, retry_s: float) -> bool:
        """Until the next try, the next page, or the next look at an idle printer. True: to stop."""
        with self._changed:
            if retry_s:
                self._changed.wait_for(lambda: self._stopping, retry_s)
            else:
                self._changed.wait_for(lambda: self._stopping or self._waiting, IDLE_LOOK_EVERY_S)
            return self._stopping

    def step(self) -> float:
        """Print the next page, or look at the idle printer. Seconds to the next try; 0: when a page comes."""
        with self._changed:
            now = self._clock.monotonic()
            while self._waiting and self._waiting[0].until <= now:
                self._give_up(self._waiting.popleft(), self._state.doing)
            slip = self._waiting[0] if self._waiting else None
        try:
            done = self._print(slip) if slip else self._look()
        except PortError as error:
            self._close()
            self._say("not reached", str(error), error.fix, error.code)
            return RETRY_EVERY_S if slip else 0.0
        except VafaError as error:  # this page will never be set: the next one may
            self._say(CANNOT_SET, str(error), error.fix, error.code)
            assert slip is not None
            self._drop(slip)
            self._give_up(slip, str(error))
            return 0.0
        if done is None:
            return 0.0
        if slip is None:
            self._close()  # a printer in a network serves others too
            return 0.0
        if not done:
            return RETRY_EVERY_S
        self._drop(slip)
        with self._changed:
            self._printed_at, self._set = self._clock.monotonic(), None
            state, known = self._state, self._state.code
            self._state = replace(
                state, doing="ready", printed=state.printed + 1, last_given_up="",
                message=state.message if known else "",
            )  # fmt: skip
            waiting = bool(self._waiting)
        if not waiting:
            self._close()
        return 0.0

    def _drop(self, slip: Slip) -> None:
        """Out of the queue, unless a full queue has given it up meanwhile."""
        with self._changed:
            if self._waiting and self._waiting[0] is slip:
                self._waiting.popleft()

    def _look(self) -> bool:
        """What the idle printer says, for `status`."""
        if not PROFILES[self._profile].asks:
            return True
        if self._line is None:
            self._line = self._open_line()
        if (able := self._can_print()) and self._state.doing != CANNOT_SET:
            self._say("ready")  # what cannot be set is wrong until a slip comes out
        return able

    def _print(self, slip: Slip) -> bool | None:
        """Whether the whole page is on paper, as far as the printer says; None: nobody knows, and it is over.

        One that answered before the page and no more after it is gone with it, or took it and died. Printing
        it again and again may fill a shop with paper, so a person is told instead.
        """
        if self._set is None or self._set[0] is not slip:
            self._set = slip, self._set_page(slip.page, self._profile)
        if self._line is None:
            self._line = self._open_line()
        if not self._can_print():
            return False
        job = self._set[1]
        self._say("printing", job.fault, job.fix, job.code)
        for piece in job.pieces:
            self._line.send(piece)
        answered = self._answered
        done = self._can_print(AFTER_A_SLIP_S if answered else ANSWER_WITHIN_S)
        if self._answered or not answered:
            return done
        self._close()
        self._say(
            "not reached", "it answered before a slip and no more after it", "switch it off and on", "PRN-001"
        )
        self._drop(slip)
        self._give_up(slip, "no answer after it")
        return None

    def _can_print(self, within_s: float = ANSWER_WITHIN_S) -> bool:
        """False when the printer says that it cannot; one that does not answer is believed to."""
        if not PROFILES[self._profile].asks:
            self._answered = False
            return True
        assert self._line is not None
        answers = self._line.ask(ASKED, within_s)
        self._answered = bool(answers)
        with self._changed:
            paper_low = bool(trouble(answers) & Trouble.PAPER_LOW)
            self._state = replace(self._state, paper_low=paper_low)
        said = told(answers)
        if said is None:
            return True
        doing, fix, code = said
        self._say(doing, f"the printer says: {doing}", fix, code)
        return False

    def _say(self, doing: str, message: str = "", fix: str = "", code: str = "") -> None:
        with self._changed:
            if code and code != self._state.code:
                log.warning("printer", printer=self.name, doing=doing, message=message, code=code)
            self._state = replace(self._state, doing=doing, message=message, fix=fix, code=code)

    def _give_up(self, slip: Slip, why: str) -> None:
        log.warning("slip not printed", printer=self.name, number=slip.number, why=why)
        with self._changed:
            given_up = self._state.given_up + 1
            self._state = replace(self._state, given_up=given_up, last_given_up=slip.number)

    def _close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None
