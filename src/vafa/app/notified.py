"""Hears a terminal say by UDP that something happened, and has its lane ask it what.

Unproven: the datagram's layout comes from one vendor's library, and nobody has seen a terminal send one for a
sale keyed at its own keypad. Anybody in the shop's network can send one, too. So it is a bell and nothing
more: no field of it becomes a payment, its terminal's own list does; a lane asks at most once in ten seconds
however often it rings, and not at all while its terminal refuses. What is no notification is counted.

A port that cannot be had is tried again each minute, and shown; sales do not depend on it.
"""

import threading
from collections.abc import Callable, Mapping

import structlog

from vafa.app.standing import NotificationFacts, Trouble
from vafa.codecs.sadad_announce import read_notification
from vafa.codecs.sadad_fields import Malformed
from vafa.model.errors import PortError
from vafa.ports.datagrams import Datagrams, listen

REOPEN_S = 60.0
WAIT_S = 5.0

log = structlog.get_logger()


class Notified:
    """One thread listens; `facts` may be asked from any. `bells`: terminal id -> ask that one soon."""

    def __init__(
        self,
        port: int,
        bells: Mapping[str, Callable[[], None]],
        open_port: Callable[[int], Datagrams] = listen,
    ) -> None:
        self._port, self._bells, self._open_port = port, bells, open_port
        self._stopping = threading.Event()
        self._line: Datagrams | None = None
        self._closing = threading.Lock()
        self._failure: PortError | None = None
        self._rung = self._strangers = self._garbage = 0

    def run(self) -> None:
        """Listen until stopped."""
        while not self._stopping.is_set():
            self.step()
        with self._closing:
            line, self._line = self._line, None
        if line is not None:
            line.close()

    def step(self) -> None:
        """One round; blocks at most WAIT_S with the port open, REOPEN_S without."""
        if self._line is None and not self._open():
            self._stopping.wait(REOPEN_S)
            return
        assert self._line is not None
        for datagram in self._line.read(WAIT_S):
            self._hear(datagram.data)

    def _open(self) -> bool:
        try:
            line = self._open_port(self._port)
        except PortError as error:
            if self._failure is None:
                log.warning("notifications cannot be heard", error=str(error), fix=error.fix)
            self._failure = error
            return False
        with self._closing:
            self._line, self._failure = line, None
        return True

    def _hear(self, data: bytes) -> None:
        seen = read_notification(data)
        if isinstance(seen, Malformed):
            self._garbage += 1
            return
        ring = self._bells.get(seen.terminal_id)
        if ring is None:
            self._strangers += 1
            return
        self._rung += 1
        ring()

    def stop(self) -> None:
        """`run` returns soon."""
        self._stopping.set()
        with self._closing:
            if self._line is not None:
                self._line.interrupt()

    def facts(self) -> NotificationFacts:
        """What was heard so far, and whether anything can be."""
        error = self._failure
        trouble: tuple[Trouble, ...] = ()
        if error is not None:
            fix = f'{error.fix}; see "Changing the unit" in docs/operations.md; sales do not depend on it.'
            trouble = (Trouble("degraded", f"Notifications are not heard: {error}.", fix, error.code),)
        return NotificationFacts(self._port, self._rung, self._strangers, self._garbage, trouble)
