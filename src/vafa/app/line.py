"""A lane's line: opened with patience, lost without fuss, its state in words for `status`."""

import logging
import threading
from collections.abc import Callable

import structlog

from vafa.model.errors import PortError
from vafa.ports.clock import Clock
from vafa.ports.link import Link

REOPEN_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # between attempts to open a lost line; the last one is kept
STEADY_AFTER_S = 10.0  # a line that stood so long was a good one, though it was silent

log = structlog.get_logger()


class Line:
    """One thread opens, reads and loses it; any thread may write or interrupt.

    error    why it is closed; None while it is open, or was not tried yet
    failure  why it could not be opened when that was last tried; None once it could
    changed_at  since when it is open, or closed
    is_renewed  it was given up and opened again only because nobody answered on it
    """

    def __init__(self, open_line: Callable[[], Link], clock: Clock) -> None:
        self._open_line = open_line
        self._clock = clock
        self._link: Link | None = None
        self._attempts = 0  # without a byte heard since: a line that opens and breaks at once is not hurried
        self._opened_at = 0.0
        self._next_attempt_at = 0.0
        self._writing = threading.Lock()
        self.error: PortError | None = None
        self.failure: PortError | None = None
        self.changed_at = clock.monotonic()
        self.is_renewed = False

    @property
    def trouble(self) -> str:
        """Why it is closed, in words; '' while it is open."""
        return str(self.error or "")

    @property
    def name(self) -> str:
        """What the system calls it: `ttyUSB0`; '' while it is closed."""
        link = self._link
        return link.name if link is not None else ""

    @property
    def is_open(self) -> bool:
        """True while bytes can flow, as far as we know."""
        return self._link is not None

    def reopen(self) -> bool:
        """Try to open a closed line when its patience is over. True when it has just opened."""
        if self._link is not None or self.patience_s:
            return False
        try:
            self._link = self._open_line()
        except PortError as error:
            if self.failure is None:
                log.warning("line cannot be opened", error=str(error), fix=error.fix)
            if self.error is None:
                self.changed_at = self._clock.monotonic()
            self.error = self.failure = error
            self.is_renewed = False
            self._be_patient()
            return False
        self.error = self.failure = None
        if not self.is_renewed:
            self.changed_at = self._clock.monotonic()
        self._opened_at = self._clock.monotonic()
        log.log(logging.DEBUG if self._attempts > 1 else logging.INFO, "line open", line=self._link.name)
        return True

    @property
    def patience_s(self) -> float:
        """How long until the next attempt to open it."""
        return max(0.0, self._next_attempt_at - self._clock.monotonic())

    def read(self, wait_s: float) -> bytes:
        """What came within `wait_s`, b'' when nothing did. PortError when the line is gone."""
        if self._link is None:
            raise PortError("the line is closed")
        data = self._link.read(wait_s)
        if data:
            self._attempts = 0
        return data

    def write(self, data: bytes) -> None:
        """Send `data`; into a closed line it goes nowhere, as into a cut cable. PortError when it breaks."""
        with self._writing:
            if self._link is not None:
                self._link.write(data)

    def interrupt(self) -> None:
        """Wake a `read`."""
        link = self._link
        if link is not None:
            link.interrupt()

    def lost(self, error: PortError) -> None:
        """Close what broke; `reopen` tries again."""
        level = logging.DEBUG if self._attempts else logging.WARNING  # one that comes and goes is told once
        log.log(level, "line lost", error=str(error), fix=error.fix)
        self.error, self.changed_at, self.is_renewed = error, self._clock.monotonic(), False
        if self._clock.monotonic() - self._opened_at >= STEADY_AFTER_S:
            self._attempts = 0
        self._be_patient()
        self.close()

    def renew(self) -> None:
        """Close a line on which nobody answers; the next `reopen` opens it again."""
        self.is_renewed = True
        self.close()

    def _be_patient(self) -> None:
        pause_s = REOPEN_S[min(self._attempts, len(REOPEN_S) - 1)]
        self._next_attempt_at = self._clock.monotonic() + pause_s
        self._attempts += 1

    def close(self) -> None:
        """Give the port back."""
        with self._writing:
            link, self._link = self._link, None
        if link is not None:
            link.close()
