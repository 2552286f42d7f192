"""The queue between those who want a sale and the lane that makes it: who waits for which request's end.

A request that is repeated while its sale is in hand joins the first; one whose sale has ended gets that end
again from the books; one that is unsure waits a bounded time for the terminal's journal to settle it.
"""

import threading
from collections import deque
from collections.abc import Callable

import msgspec

from vafa.app.outcome import Outcome
from vafa.app.sales import Asked, Sales
from vafa.codecs.sadad_fields import WRONG_TERMINAL
from vafa.model.errors import Refused, VafaError
from vafa.model.events import SaleOutcome
from vafa.model.money import Currency

QUEUE_MAX = 16
RESOLVE_WAIT_S = 20.0  # how long an unsure sale's caller waits for the journal before it is told UNSURE


class SaleEnd(msgspec.Struct, frozen=True):
    """How a sale ended, for whoever waited for it. `text` holds the terminal's words or ours."""

    number: str
    outcome: SaleOutcome
    response: str
    text: str
    paid: Outcome | None


class Work:
    """One request for a sale and those who wait for its end.

    asked     set by the lane when the sale is in the books; in_doubt when its answer was lost
    """

    def __init__(self, request: str, amount: int, member: bytes, currency: Currency) -> None:
        self.request = request
        self.amount = amount
        self.currency = currency
        self.member = member
        self.asked: Asked | None = None
        self.ended = threading.Event()
        self.in_doubt = threading.Event()
        self.end: SaleEnd | None = None
        self.error: VafaError | None = None


class Selling:
    """Thread-safe. `next` and the endings are the lane's; `sell` is everybody else's."""

    def __init__(self, sales: Sales, terminal_id: str) -> None:
        self._sales = sales
        self._tid = terminal_id
        self._change = threading.Condition()
        self._queue: deque[Work] = deque()
        self._open: dict[str, Work] = {}
        self._closed = False

    @property
    def waiting(self) -> bool:
        """True when a sale waits to be begun."""
        return bool(self._queue)

    def sell(
        self,
        request: str,
        amount: int,
        member: bytes,
        wake: Callable[[], None],
        currency: Currency = Currency.RIAL_CURRENT,
    ) -> SaleEnd:
        """Queue the sale, or join it, or give its end again. Blocks until then. Raises the error tree."""
        with self._change:
            work = self._open.get(request)
            if work is not None and self._was_settled(work):
                del self._open[request]
                work = None
            if work is None:
                known = self._sales.known(self._tid, request)
                if known is not None:
                    if (known.amount, known.currency) != (amount, currency):
                        raise Refused(
                            f"this request was a sale of {known.amount:,} rials, not {amount:,}",
                            fix="give each sale a request id of its own",
                        )
                    return self._end_of(known)
                work = self._queued(request, amount, member, currency)
            elif (work.amount, work.currency) != (amount, currency):
                raise Refused("this request is in hand with another amount")
        wake()
        return self._waited(work)

    def _was_settled(self, work: Work) -> bool:
        """True for an unsure sale that a person has settled: nobody told those who wait here."""
        known = self._sales.known(self._tid, work.request) if work.in_doubt.is_set() else None
        return known is not None and known.ended not in (None, SaleOutcome.UNSURE)

    def _queued(self, request: str, amount: int, member: bytes, currency: Currency) -> Work:
        if self._closed:
            raise Refused("vafa is stopping; no new sale is begun", fix="try again when it runs")
        if len(self._queue) >= QUEUE_MAX:
            raise Refused(f"{QUEUE_MAX} sales wait for this terminal already")
        work = Work(request, amount, member, currency)
        self._queue.append(work)
        self._open[request] = work
        return work

    def _waited(self, work: Work) -> SaleEnd:
        while not work.ended.wait(0.5):
            if work.in_doubt.is_set():
                work.ended.wait(RESOLVE_WAIT_S)
                break
        if work.error is not None:
            raise work.error
        if work.end is not None:
            return work.end
        assert work.asked is not None
        return doubtful(work.asked)

    def _end_of(self, known: Asked) -> SaleEnd:
        if known.ended in (None, SaleOutcome.UNSURE):
            return doubtful(known)
        assert known.ended is not None
        return SaleEnd(known.number, known.ended, known.response, "", self._sales.outcome(known))

    # The lane's side

    def next(self) -> Work | None:
        """The oldest request that waits, None when none does."""
        with self._change:
            return self._queue.popleft() if self._queue else None

    def wait(self, seconds: float) -> None:
        """Sleep until something is queued or `wake` is called; for a lane without a line."""
        with self._change:
            self._change.wait(seconds)

    def wake(self) -> None:
        """End a `wait`."""
        with self._change:
            self._change.notify_all()

    def end(self, work: Work, end: SaleEnd) -> None:
        """The sale has its end."""
        with self._change:
            self._open.pop(work.request, None)
        work.end = end
        work.ended.set()

    def fail(self, work: Work, error: VafaError) -> None:
        """The sale could not be asked, or its end not be written."""
        with self._change:
            self._open.pop(work.request, None)
        work.error = error
        work.ended.set()

    def resolved(self, asked: Asked, outcome: SaleOutcome, response: str, paid: Outcome | None) -> None:
        """The journal settled a sale: tell whoever still waits for it."""
        work = self._work_of(asked)
        if work is not None:
            self.end(work, SaleEnd(asked.number, outcome, response, "", paid))

    def close(self) -> None:
        """Accept nothing new."""
        with self._change:
            self._closed = True

    def refuse_waiting(self, error: VafaError) -> None:
        """Those who still wait were never asked at the terminal, and shall not be later unawares."""
        while (work := self.next()) is not None:
            self.fail(work, error)

    def _work_of(self, asked: Asked) -> Work | None:
        with self._change:
            found = [work for work in self._open.values() if work.asked and work.asked.seq == asked.seq]
        return found[0] if found else None


def doubtful(asked: Asked) -> SaleEnd:
    """An end that is none: the card may be charged, the lane goes on asking the terminal's journal."""
    text = "the terminal's answer was lost; its journal is being asked"
    if asked.response == WRONG_TERMINAL:
        text = "another terminal answered; look at its slip, then correct terminal_id or the line's address"
    return SaleEnd(asked.number, SaleOutcome.UNSURE, asked.response, text, None)


def not_asked(terminal_id: str) -> Refused:
    """Why a terminal that is only listened to takes no request."""
    return Refused(
        f"terminal {terminal_id} is only listened to (mode poll)",
        fix='key the sale at the terminal; with mode = "ecr" vafa sends the amount',
        code="ASK-003",
    )
