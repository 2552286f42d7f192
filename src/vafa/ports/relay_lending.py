"""The line, lent to the daemon while it is idle, so that it can ask the terminal for its last transactions.

    FREE --daemon borrows--> LENT, or CONNECTING and then LENT --gives back, or is cut off--> FREE

Lent is a line where nothing crossed for QUIET_S, nothing waits at either end, and the daemon has understood
every record there is: it says the number of the newest one and vouches that nothing in them is unfinished.
The terminal's answers go to the daemon alone (see relay_sieve); what it says to the cash register unasked
goes there, and ends the borrowing. A cash register that wants the line has it at once when the terminal owes
no answer, else when it gave it, else after HELD_S_MAX: its bytes go out unchanged and in order, whatever the
daemon does. A borrower that dies is noticed by its socket; one that hangs, by the clock.

The terminal may still answer the daemon when the line is the cash register's again: for STRAYS_S those
answers do not reach it.
"""

import time
from collections.abc import Callable
from typing import Protocol

from vafa.ports import relay_wire as wire
from vafa.ports.relay_pair import Pair
from vafa.ports.relay_sieve import FLUSH_AFTER_S, Sieve, begins_a_question_of_lists
from vafa.ports.relay_wire import TO_REGISTER, TO_TERMINAL, Over

QUIET_S = 2.0  # longer than a register pauses between two frames, shorter than between two customers
HELD_S_MAX = 1.5  # a register repeats what is not answered within 5 s; a list of 13 rows takes 0.1 to 1 s
HELD_BYTES_MAX = 4096  # far more than a register says before it waits for an answer
BORROWED_S_MAX = 50.0  # three INMs, a request and its answer, each waited for in vain
STRAYS_S = 200.0  # a terminal repeats an answer after 180, 5 and 5 s
STRAYS_ACKNOWLEDGED_S = 15.0  # it repeats one whose ACK it missed after 5 and 5 s
BACKLOG_BYTES_MAX = 64 * 1024  # a borrower that does not read what it asked for

FREE, CONNECTING, IS_LENT = "free", "connecting", "lent"


class Borrower(Protocol):
    """The daemon's connection."""

    @property
    def backlog_bytes(self) -> int: ...

    def tell(self, kind: bytes, number: int = 0, payload: bytes = b"") -> None: ...


class Lendable(Protocol):
    """A line that can be lent."""

    pair: Pair

    def lend(self) -> str | None:
        """'' when the terminal can be asked, why not, or None: `lent`, or `unreachable`, will be called."""
        ...

    def take_back(self) -> bool:
        """It is over. True when nothing that was said to the daemon can reach a cash register any more."""
        ...


class Lending:
    """One line's. `newest` tells the number of its newest record; `clock` monotonic seconds."""

    def __init__(
        self, line: Lendable, newest: Callable[[], int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._line, self._newest, self._clock = line, newest, clock
        self._state = FREE
        self._borrower: Borrower | None = None
        self._sieve = Sieve()
        self._since = 0.0
        self._held = bytearray()
        self._wanted_at: float | None = None
        self._heard_at = 0.0
        self._strays_until: float | None = None
        self._register_tail = b""
        self.crossed_at = clock()

    # What the daemon asks

    def borrow(self, borrower: Borrower, number: int) -> None:
        """Lend the line, or say why not."""
        now = self._clock()
        why: str | None = ""
        if self._state is not FREE:
            why = "the line is lent already"
        elif number != self._newest():
            why = "more has crossed the line meanwhile"
        elif now - self.crossed_at < QUIET_S:
            why = "the line is not quiet"
        else:
            self._borrower, self._state, self._since = borrower, CONNECTING, now
            why = self._line.lend()
            if why:
                self._borrower, self._state = None, FREE
        if why:
            borrower.tell(wire.OVER, Over.IN_USE, why.encode())
        elif why is not None:
            self.lent()

    def ask(self, borrower: Borrower, data: bytes) -> None:
        """A frame for the terminal; of a borrower that was cut off already it goes nowhere."""
        if borrower is not self._borrower or self._state is not IS_LENT:
            return
        if self._sieve.ask(data):
            self._line.pair.say(TO_TERMINAL, data)
            self._settle()
        else:
            self._end(Over.CUT_OFF, "only questions for lists may be asked on a lent line")

    def give_back(self, borrower: Borrower) -> None:
        """The borrower is done."""
        if borrower is self._borrower:
            self._borrower = None
            self._end()

    def gone(self, borrower: Borrower) -> None:
        """The borrower's connection is closed."""
        if borrower is self._borrower:
            self._borrower = None
            self._end()

    # What the line tells

    def lent(self) -> None:
        """The terminal can be asked."""
        self._state, self._sieve, self._strays_until = IS_LENT, Sieve(), None
        self._wanted_at, self._since = None, self._clock()
        self._line.pair.divert = self._divert
        if self._borrower is not None:
            self._borrower.tell(wire.LENT)

    def unreachable(self, why: str) -> None:
        """The terminal takes no connection."""
        self._end(Over.UNREACHABLE, why)

    def wanted(self) -> None:
        """A cash register wants the line."""
        if self._state is not FREE and self._wanted_at is None:
            self._wanted_at = self._clock()
            self._settle()

    def line_ends(self) -> None:
        """An end of the line hung up or broke: what was held goes on first."""
        self._end(Over.CUT_OFF, "the line was cut")

    def connection_ends(self) -> None:
        """Nothing more can come from the terminal's connection of now."""
        self.line_ends()
        self._forget_strays()

    # Time

    def due_in_s(self, now: float) -> float | None:
        """How long until `tick` has something to do; None while it has not."""
        due = []
        if self._state is not FREE:
            due.append(self._since + BORROWED_S_MAX)
            if self._wanted_at is not None:
                due.append(self._wanted_at + HELD_S_MAX)
        if self._strays_until is not None:
            due.append(self._strays_until)
        if self._line.pair.divert is not None and self._sieve.is_holding:
            due.append(self._heard_at + FLUSH_AFTER_S)
        return max(0.0, min(due) - now) if due else None

    def tick(self, now: float) -> None:
        """Cuts off what has lasted too long."""
        if self._state is not FREE:
            if self._wanted_at is not None and now >= self._wanted_at + HELD_S_MAX:
                self._end(Over.CUT_OFF, "the cash register needs the line")
            elif now >= self._since + BORROWED_S_MAX:
                self._end(Over.CUT_OFF, "the line was borrowed for too long")
        if self._line.pair.divert is None:
            return
        if self._sieve.is_holding and now >= self._heard_at + FLUSH_AFTER_S:
            self._pass_on(self._sieve.flush())
        if self._strays_until is not None and now >= self._strays_until:
            self._forget_strays()

    # The bytes

    def _divert(self, direction: bytes, data: bytes) -> bytes:
        """What of the bytes goes on now."""
        if direction == TO_REGISTER:
            self._heard_at = self._clock()
            return self._sorted(self._sieve.feed(data))
        if self._state is IS_LENT:
            self._held += data
            self.wanted()
            if len(self._held) > HELD_BYTES_MAX:
                self._end(Over.CUT_OFF, "the cash register needs the line")
            return b""
        if begins_a_question_of_lists(self._register_tail + data):
            self._sieve.claim_no_more()
        self._register_tail = data[-3:]
        return data

    def _sorted(self, parts: tuple[bytes, bytes]) -> bytes:
        """The daemon's part to the daemon; the cash register's comes back."""
        ours, theirs = parts
        if self._state is IS_LENT:
            if ours and self._borrower is not None:
                self._borrower.tell(wire.ANSWER, 0, ours)
            if self._borrower is not None and self._borrower.backlog_bytes > BACKLOG_BYTES_MAX:
                self._end(Over.CUT_OFF, "the answers are not read")
            elif self._sieve.interrupted:
                self._end(Over.CUT_OFF, "the terminal has something to say to the cash register")
            else:
                self._settle()
        elif not self._sieve.may_stray and not self._sieve.owes:
            self._forget_strays()
        return theirs

    def _pass_on(self, parts: tuple[bytes, bytes]) -> None:
        theirs = self._sorted(parts)
        if theirs:
            self._line.pair.forward(TO_REGISTER, theirs)

    def _settle(self) -> None:
        """A cash register that waits has the line as soon as the terminal owes nothing."""
        if self._wanted_at is not None and not (self._state is IS_LENT and self._sieve.owes):
            self._end(Over.CUT_OFF, "the cash register needs the line")

    # The end

    def _end(self, how: Over = Over.CUT_OFF, why: str = "") -> None:
        if self._state is FREE:
            return
        was_lent = self._state is IS_LENT
        borrower, self._borrower = self._borrower, None
        self._state, self._wanted_at = FREE, None
        if borrower is not None:
            borrower.tell(wire.OVER, how, why.encode())
        if was_lent:
            window_s = STRAYS_S if self._sieve.owes else STRAYS_ACKNOWLEDGED_S
            self._strays_until, self._register_tail = self._clock() + window_s, b""
            self._sieve.end()
        held, self._held = bytes(self._held), bytearray()
        if self._line.take_back() or not self._sieve.may_stray:
            self._forget_strays()
        if held:
            self._line.pair.forward(TO_TERMINAL, self._divert(TO_TERMINAL, held))

    def _forget_strays(self) -> None:
        """From now on nothing is looked at."""
        self._strays_until = None
        self._line.pair.divert = None
        _, theirs = self._sieve.flush()
        if theirs:
            self._line.pair.forward(TO_REGISTER, theirs)
