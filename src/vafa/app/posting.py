"""Makes what a lane heard durable, then acknowledges it; keeps in memory what a failing disk does not take.

The ACK goes once: after the commit by the lane, or after 300 ms by the late-ack thread.
"""

import threading
from collections.abc import Callable

import structlog

from vafa.app.late_ack import LateAck
from vafa.app.line import Line
from vafa.app.live import SaleTimes
from vafa.app.outcome import Outcome
from vafa.codecs import sadad_dialogue as dialogue
from vafa.model.errors import LedgerError, PortError
from vafa.model.payment import Payment, PaymentKey
from vafa.ports.clock import Clock

REPOST_EVERY_S = 1.0
TIMES_KEPT_MAX = 500

log = structlog.get_logger()


class Posting:
    """One lane's. `acknowledge` is called by two threads, everything else by the lane's.

    waiting  how many payments are in memory only
    trouble  what the ledger said when it last failed, '' once it takes payments again
    """

    def __init__(
        self,
        talk: dialogue.Dialogue,
        line: Line,
        clock: Clock,
        times: dict[int, SaleTimes],
        terminal_id: str,
    ) -> None:
        self._talk = talk
        self._line = line
        self._clock = clock
        self._times = times
        self._log = log.bind(terminal=terminal_id)
        self._unposted: dict[PaymentKey, Callable[[], Outcome | None]] = {}  # what still has to be done
        self._acknowledging = threading.Lock()
        self._late_ack = LateAck(self.acknowledge, terminal_id)
        self.retry_at = 0.0
        self.trouble = ""

    @property
    def waiting(self) -> int:
        return len(self._unposted)

    def commit(self, payment: Payment | None, post: Callable[[], Outcome | None]) -> Outcome | None:
        """Make it durable, then acknowledge. A failing disk keeps the payment in memory, and says so."""
        heard_ms = self._clock.monotonic() * 1000
        self._late_ack.arm()
        try:
            outcome = post()
        except LedgerError as error:
            self.failed(error)
            if payment is not None:
                self._unposted.setdefault(payment.key, post)
            return None
        durable_ms = self._clock.monotonic() * 1000
        self.trouble = ""
        self._late_ack.disarm()
        self.acknowledge()
        if outcome is not None:
            self._times[outcome.seq] = SaleTimes(heard_ms, durable_ms, self._clock.monotonic() * 1000)
            for old in list(self._times)[:-TIMES_KEPT_MAX]:  # shared by all lanes: another may be at it
                self._times.pop(old, None)
        return outcome

    def retry(self) -> bool:
        """What a failing disk left in memory, tried again until it is taken. True when all of it just was."""
        now = self._clock.monotonic()
        if not self._unposted or now < self.retry_at:
            return False
        for key, post in list(self._unposted.items()):
            try:
                post()
            except LedgerError as error:
                self.failed(error)
                self.retry_at = now + REPOST_EVERY_S
                return False
            del self._unposted[key]
        self.trouble = ""
        self._log.info("the ledger takes payments again")
        return True

    def failed(self, error: LedgerError) -> None:
        """The ledger did not answer."""
        self.trouble = str(error)
        self._log.error("the ledger does not answer", error=str(error), fix=error.fix)

    def acknowledge(self) -> None:
        """Send the ACK that is owed, once."""
        with self._acknowledging:
            for output in self._talk.acknowledge(self._clock.monotonic()):
                assert isinstance(output, dialogue.Send)
                try:
                    self._line.write(output.data)
                except PortError as error:
                    self._log.warning("ACK not sent", error=str(error))  # the terminal repeats its answer

    def line_lost(self) -> None:
        """No ACK is owed on a line that is gone."""
        self._late_ack.disarm()

    def close(self) -> None:
        """The last try, then the thread ends."""
        self.retry_at = 0.0
        self.retry()
        self._late_ack.close()
