"""A TCP line with the relay in it: listens where the cash register connects, connects on to the terminal.

    IDLE --register connects--> CONNECTING --terminal takes it--> PAIRED --both said their last--> IDLE
                                     |                              |
                                     +--refuses: register is reset  +--one breaks: the other is closed

One cash register at a time, as every known terminal has it; the next one waits to be accepted. Nothing of a
register is read before the terminal is there, so a refused connection has crossed nothing. A half that said
its last byte stays open for the other half, but not when the next register waits, and not for ever.
"""

import errno
import os
import socket
import struct
import time
from collections.abc import Callable

from vafa.model.errors import PortError
from vafa.ports.relay_loop import READABLE, WRITABLE, Watcher
from vafa.ports.relay_pair import Copy, End, Pair
from vafa.ports.relay_wire import TO_REGISTER, TO_TERMINAL
from vafa.ports.tcp import CONNECT_LIMIT_S, begin_connection, keep_alive, split_host_and_port

RELISTEN_S = 1.0
HALF_CLOSED_S_MAX = 300.0  # longer than a customer may take to pay
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets


class TcpLine:
    """Owns the listener and the two connections. `copy` gets every byte; `changed` says `state()` changed."""

    def __init__(
        self,
        listen: str,
        address: str,
        watcher: Watcher,
        copy: Copy,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._listen, self._address = listen, address
        self._watcher, self._copy, self._changed = watcher, copy, changed
        self._listener: socket.socket | None = None
        self._register: socket.socket | None = None
        self._terminal: socket.socket | None = None
        self.pair = Pair(watcher, copy, self._hung_up, self._broke)
        # Who borrows the line sets these: told that a register waits, that a borrowed connection stands or
        # does not, that an end goes, and that the terminal's connection is gone.
        self.wanted: Callable[[], None] = lambda: None
        self.lent: Callable[[], None] = lambda: None
        self.unreachable: Callable[[str], None] = lambda _why: None
        self.ending: Callable[[], None] = lambda: None
        self.ended: Callable[[], None] = lambda: None
        self._borrowed = False  # the terminal's connection is not a register's
        self._until: float | None = None  # of the connecting, or of the half-closed pair
        self._half_closed = False
        self._trouble = ""
        self._listen_at = 0.0

    def state(self) -> tuple[str, str]:
        """(`open` while a register may connect, what went wrong last)."""
        return ("closed" if self._listener is None else "open"), self._trouble

    def tick(self, now: float) -> None:
        """Listens again, gives up what takes too long."""
        if self._listener is None and now >= self._listen_at:
            self._listen_at = now + RELISTEN_S
            self._start_listening()
        if self._half_closed and self._until is None:
            self._until = now + HALF_CLOSED_S_MAX
        if self._until is not None and now >= self._until:
            if self.pair.ends:
                self._end_pair()
            else:
                self._refuse(f"no answer within {CONNECT_LIMIT_S:.0f} s")

    def due_in_s(self, now: float) -> float | None:
        """How long until `tick` has something to do; None while it has not."""
        if self._half_closed and self._until is None:
            return 0.0
        due = [
            at for at in (self._until, self._listen_at if self._listener is None else None) if at is not None
        ]
        return max(0.0, min(due) - now) if due else None

    def lend(self) -> str | None:
        """A register that is connected and silent shares its connection; without one the line has its own.

        '' when the terminal can be asked, None while it is being connected to, else why not.
        """
        if self._register is not None:
            if len(self.pair.ends) < 2 or self._half_closed:
                return "a cash register is coming or going"
            return "bytes wait on the line" if any(end.waiting for end in self.pair.ends) else ""
        self._borrowed = True
        self._connect()
        return None

    def take_back(self) -> bool:
        """Ends a connection of its own: what the terminal says to it can reach nobody any more."""
        if not self._borrowed:
            return False
        self._borrowed = False
        self._close_connections()
        self._watch_listener()
        return True

    def close(self) -> None:
        """Both connections and the listener. What waits is written as far as it is taken."""
        self.ending()
        for end in list(self.pair.ends):
            self.pair.flush(end)
        self._end_pair()
        if self._listener is not None:
            self._watcher.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def _start_listening(self) -> None:
        try:
            host, port = split_host_and_port(self._listen)
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family, backlog=1)
        except (PortError, OSError) as error:
            self._trouble = f"cannot listen on {self._listen}: {getattr(error, 'strerror', None) or error}"
        else:
            self._trouble = ""
            self._listener.settimeout(0)
            self._watch_listener()
        self._changed()

    def _watch_listener(self) -> None:
        """Only while a register would be taken: else the next one waits, unaccepted."""
        if self._listener is None:
            return
        if self._register is None or self._half_closed:
            self._watcher.watch(self._listener.fileno(), READABLE, self._accept)
        else:
            self._watcher.forget(self._listener.fileno())

    def _accept(self, _events: int) -> None:
        assert self._listener is not None
        if self._borrowed:  # it waits, unaccepted, until the line is taken back
            self._watcher.forget(self._listener.fileno())
            self.wanted()
            return
        if self._half_closed:
            self._end_pair()
        try:
            self._register, _ = self._listener.accept()
        except OSError:  # it went away meanwhile, or descriptors are short: asked again at once or later
            return
        self._register.settimeout(0)
        keep_alive(self._register)
        self._watch_listener()
        self._connect()

    def _connect(self) -> None:
        try:
            host, port = split_host_and_port(self._address)
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._terminal = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            self._terminal.settimeout(0)
            keep_alive(self._terminal)
            number = begin_connection(self._terminal, self._address, (host, port))
        except (PortError, OSError) as error:
            self._refuse(str(error))
            return
        if number not in (0, errno.EINPROGRESS):
            self._refuse(os.strerror(number))
            return
        self._until = self._clock() + CONNECT_LIMIT_S  # the last tick may be long ago
        self._watcher.watch(self._terminal.fileno(), WRITABLE, self._connected)

    def _connected(self, _events: int) -> None:
        assert self._terminal is not None
        number = self._terminal.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._refuse(os.strerror(number))
            return
        self._until = None
        self._trouble = ""
        if self._register is not None:
            self.pair.add(End(self._register.fileno(), TO_TERMINAL))
        self.pair.add(End(self._terminal.fileno(), TO_REGISTER))
        if self._borrowed:
            self.lent()
        self._changed()

    def _refuse(self, why: str) -> None:
        """The terminal does not take it: the register hears what it would hear of the terminal."""
        trouble = f"the terminal at {self._address} does not take a connection ({why})"
        if self._borrowed:
            self.unreachable(trouble)
            return
        self._trouble = trouble
        assert self._register is not None
        self._register.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._end_pair()
        self._changed()

    def _hung_up(self, end: End) -> None:
        """Pass the end of one direction on, once all before it is written."""
        self.ending()
        if end not in self.pair.ends:
            return  # a borrowed connection, taken back
        across = self.pair.across(end)
        if across is None or across.waiting:
            return
        if not across.said_eof:
            across.said_eof = True
            line = self._register if across.direction == TO_TERMINAL else self._terminal
            assert line is not None
            try:
                line.shutdown(socket.SHUT_WR)
            except OSError as error:
                self._broke(across, error.strerror or str(error))
                return
        if across.heard_eof and end.said_eof:
            self._end_pair()
        else:
            self._half_closed = True
            self._watch_listener()

    def _broke(self, end: End, _why: str) -> None:
        """A reset: the other side gets what waits for it as far as it takes it, then an end."""
        self.ending()
        if end not in self.pair.ends:
            return
        across = self.pair.across(end)
        if across is not None and across.waiting:
            end.waiting.clear()
            try:
                os.write(across.descriptor, across.waiting)
            except OSError:
                across.waiting.clear()
        self._end_pair()

    def _end_pair(self) -> None:
        self.ended()
        crossed = bool(self.pair.ends)
        self._close_connections()
        if crossed:
            self._copy(TO_TERMINAL, b"")
        self._watch_listener()

    def _close_connections(self) -> None:
        for end in list(self.pair.ends):
            self.pair.remove(end)
        for line in (self._register, self._terminal):
            if line is not None:
                self._watcher.forget(line.fileno())
                line.close()
        self._register = self._terminal = self._until = None
        self._half_closed = False
