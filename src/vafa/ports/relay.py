"""The relay: a small process between cash registers and terminals that forwards every byte, whatever else is.

    cash register <--> relay <--> terminal
                         | copies, numbered
                       daemon

It owns both ends of each line in mode `proxy`, so it must outlive the daemon's stops, crashes and upgrades:
one thread, no ledger, no log of its own beyond a line on stderr when a line changes, everything it needs
imported when it starts. It understands nothing of what it forwards; only while and after the daemon borrows
an idle line it looks at the heads of the terminal's frames, to tell the daemon's answers from the register's.
"""

import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

from vafa.model.errors import PortError
from vafa.ports import notify
from vafa.ports.link import TCP_PREFIX
from vafa.ports.relay_lending import Lending
from vafa.ports.relay_loop import READABLE, Loop
from vafa.ports.relay_readers import ReaderSocket, Source
from vafa.ports.relay_serial import SerialLine
from vafa.ports.relay_tcp import TcpLine
from vafa.ports.relay_unread import SETTLED_AFTER_S, UnreadMark
from vafa.ports.relay_wire import CUT, KILLED_WITH_COPIES

IDLE_S = 30.0
INSTANCE_BYTES = 8


class RelayedLine(NamedTuple):
    """One line: where the cash register comes in, where the terminal is. Both `tcp:...` or both ports."""

    terminal: str
    listen: str
    address: str
    baud: int


class _Served:
    """One line at work."""

    def __init__(self, line: RelayedLine, loop: Loop, marks: tuple[Path, Path]) -> None:
        self.terminal = line.terminal
        quick, durable = (place / f"{line.terminal}.unread" for place in marks)
        self.mark = UnreadMark(quick, durable)
        self.source = Source(self._state, KILLED_WITH_COPIES if self.mark.was_unread else "")
        self._said: tuple[str, str] | None = None
        self.line: SerialLine | TcpLine
        if line.address.startswith(TCP_PREFIX):
            listen, address = (each.removeprefix(TCP_PREFIX) for each in (line.listen, line.address))
            self.line = TcpLine(listen, address, loop, self._copy, self._changed)
            self.lending = Lending(self.line, self._newest)
            self.line.wanted, self.line.lent = self.lending.wanted, self.lending.lent
            self.line.unreachable, self.line.ended = self.lending.unreachable, self.lending.connection_ends
        else:
            self.line = SerialLine(line.listen, line.address, line.baud, loop, self._copy, self._changed)
            self.lending = Lending(self.line, self._newest)
        self.line.ending = self.lending.line_ends
        self.source.lending = self.lending

    def settle(self, now: float) -> None:
        """What is due; the mark as the ring stands."""
        self.line.tick(now)
        self.lending.tick(now)
        self.mark.set(now, unread=self.source.unread)

    def due_in_s(self, now: float) -> float:
        """How long until `settle` has something to do."""
        due = [IDLE_S, self.line.due_in_s(now), self.lending.due_in_s(now)]
        if self.source.unread:
            due.append(SETTLED_AFTER_S)
        return min(each for each in due if each is not None)

    def push(self) -> None:
        if self.source.reader is not None:
            self.source.reader.push()

    def close(self) -> None:
        """The line first: what it still carries is copied too."""
        self.line.close()
        self.push()

    def _copy(self, direction: bytes, data: bytes) -> None:
        self.source.ring.add(direction if data else CUT, data)
        self.lending.crossed_at = time.monotonic()
        self.mark.set(self.lending.crossed_at, unread=True)
        self.push()

    def _newest(self) -> int:
        return self.source.ring.newest

    def _state(self) -> tuple[str, str]:
        line, trouble = self.line.state()
        return line, "; ".join(each for each in (trouble, self.mark.trouble) if each)

    def _changed(self) -> None:
        state = self._state()
        if state != self._said:
            self._said = state
            level, words = ("<4>", f": {state[1]}") if state[1] else ("<6>", "")
            sys.stderr.write(f"{level}terminal {self.terminal}: line {state[0]}{words}\n")
            sys.stderr.flush()
        self.push()


class Relay:
    """All lines of one device. `run` serves until SIGTERM or SIGINT, or `stop` from a signal handler.

    socket_path      where the daemon reads the copies; its directory is best in memory
    state_directory  where it is kept, durably, whether copies were unread
    """

    def __init__(self, lines: list[RelayedLine], socket_path: Path, state_directory: Path) -> None:
        """PortError when the socket or the state's directory cannot be made."""
        for directory in (socket_path.parent, state_directory):
            try:
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise PortError(
                    f"{directory} cannot be made: {error.strerror}", fix="start it as a service"
                ) from error
        self._loop = Loop()
        marks = (socket_path.parent, state_directory)
        instance = os.urandom(INSTANCE_BYTES).hex()
        sources: dict[str, Source] = {}
        self._socket = ReaderSocket(socket_path, self._loop, sources, instance)
        self._served = [_Served(line, self._loop, marks) for line in lines]
        sources |= {served.terminal: served.source for served in self._served}
        self._stopping = False

    def run(self) -> int:
        """The exit code. Says READY once every line was tried."""
        woken, wakes = socket.socketpair()
        for end in (woken, wakes):
            end.settimeout(0)
        signal.set_wakeup_fd(wakes.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._loop.watch(woken.fileno(), READABLE, lambda _events: self._drain(woken))
        interval_s = min(notify.watchdog_interval_s() or IDLE_S, IDLE_S)
        self.turn(0.0)
        notify.ready(f"{len(self._served)} lines")
        fed_at = time.monotonic()
        while not self._stopping:
            self.turn(interval_s)
            if time.monotonic() - fed_at >= interval_s / 2:
                fed_at = time.monotonic()
                notify.watchdog()
        notify.stopping()
        signal.set_wakeup_fd(-1)
        self._loop.forget(woken.fileno())
        woken.close()
        wakes.close()
        self.close()
        return 0

    def turn(self, wait_s: float) -> None:
        """One round: what is ready, what is due, at most `wait_s` of waiting."""
        now = time.monotonic()
        self._loop.turn(min([wait_s, *(served.due_in_s(now) for served in self._served)]))
        now = time.monotonic()
        for served in self._served:
            served.settle(now)

    def close(self) -> None:
        """Ends every line, tells the reader all of it, leaves the marks as they are."""
        for served in self._served:
            served.close()
        self._loop.turn(0.0)  # acknowledgements that are already here
        for served in self._served:
            served.mark.close(unread=served.source.unread)
        self._socket.close()
        self._loop.close()

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _drain(self, woken: socket.socket) -> None:
        try:
            woken.recv(4096)
        except BlockingIOError:
            return
