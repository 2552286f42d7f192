"""The relay's side of its socket: who reads the copies of which line, and how far. Never waits for them.

One reader a line, the daemon's lane; a new one takes the place of an old one, which is hung or dead. A reader
that takes nothing costs its socket's buffer and one record; the ring holds the rest.
"""

import contextlib
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from pathlib import Path

from vafa.model.errors import PortError
from vafa.ports import relay_wire as wire
from vafa.ports.relay_lending import Lending
from vafa.ports.relay_loop import GONE, READABLE, WRITABLE, Watcher
from vafa.ports.relay_ring import Ring

SOCKET_MODE = 0o600  # the copies may hold card numbers: the daemon runs as the same user, nobody else reads
READERS_WAITING = 8
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid


class Source:
    """What is read of one line: its ring, how it stands, what an earlier relay left behind.

    missing  why copies may have been lost with an earlier instance; the daemon notes it, then it is ''
    lending  lends the line to the reader; None: it cannot be lent
    """

    def __init__(self, state: Callable[[], tuple[str, str]], missing: str) -> None:
        self.ring = Ring()
        self.state = state
        self.missing = missing
        self.reader: Reader | None = None
        self.lending: Lending | None = None

    @property
    def unread(self) -> bool:
        """True while a restart of the relay would lose something the daemon does not know."""
        return self.ring.unread or bool(self.missing)


class Reader:
    """One connection from the daemon."""

    def __init__(
        self, line: socket.socket, watcher: Watcher, sources: dict[str, Source], instance: str
    ) -> None:
        self._line, self._watcher = line, watcher
        self._sources, self._instance = sources, instance
        self._splitter = wire.Splitter()
        self._source: Source | None = None
        self._read_to = 0
        self._out = b""
        self._told_first: deque[bytes] = deque()  # before copies: they can wait
        self._told_state: tuple[str, str] | None = None
        self._watch()

    @property
    def is_closed(self) -> bool:
        """True when the daemon went, or was sent away."""
        return self._line.fileno() < 0

    @property
    def backlog_bytes(self) -> int:
        """What it was told and has not taken."""
        return sum(map(len, self._told_first))

    def tell(self, kind: bytes, number: int = 0, payload: bytes = b"") -> None:
        """A message beside the copies."""
        if not self.is_closed:
            self._told_first.append(wire.encode(kind, number, payload))
            self.push()

    def push(self) -> None:
        """Send what the socket takes now: the line's state when it changed, then copies."""
        source = self._source
        while source is not None:
            if not self._out:
                self._out = self._next(source)
            if not self._out:
                break
            try:
                sent = self._line.send(self._out, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except BlockingIOError:
                break
            except OSError:  # it died; the next one goes on from its last acknowledgement
                self.close()
                return
            self._out = self._out[sent:]
        self._watch()

    def close(self) -> None:
        """This reader is done. A second call does nothing."""
        if self.is_closed:
            return
        self._watcher.forget(self._line.fileno())
        self._line.close()
        source, self._source = self._source, None
        if source is None:
            return
        if source.reader is self:
            source.reader = None
        if source.lending is not None:
            source.lending.gone(self)

    def _next(self, source: Source) -> bytes:
        if self._told_first:
            return self._told_first.popleft()
        state = source.state()
        if state != self._told_state:
            self._told_state = state
            return wire.encode_state(*state)
        record = source.ring.after(self._read_to)
        if record is None:
            return b""
        self._read_to = record.number
        return wire.encode(record.kind, record.number, record.data)

    def _act(self, events: int) -> None:
        if events & (READABLE | GONE):
            self._hear()
        if not self.is_closed:
            self.push()

    def _hear(self) -> None:
        try:
            data = self._line.recv(4096)
            messages = self._splitter.feed(data)
        except BlockingIOError:
            return
        except (OSError, wire.NotTheRelay):
            data, messages = b"", []
        for message in messages:
            self._obey(message)
        if not data:
            self.close()

    def _obey(self, message: wire.Message) -> None:
        source = self._source
        if message.kind == wire.HELLO and source is None:
            self._begin(message.payload.decode("ascii", "replace"))
        elif message.kind == wire.ACK and source is not None:
            source.ring.acknowledge(message.number)
        elif message.kind == wire.NOTED and source is not None:
            source.missing = ""
        elif source is not None and source.lending is not None:
            self._borrow(source.lending, message)

    def _borrow(self, lending: Lending, message: wire.Message) -> None:
        if message.kind == wire.BORROW:
            lending.borrow(self, message.number)
        elif message.kind == wire.ASK:
            lending.ask(self, message.payload)
        elif message.kind == wire.GIVE_BACK:
            lending.give_back(self)

    def _begin(self, terminal: str) -> None:
        source = self._sources.get(terminal)
        if source is None:
            why = f"the relay has no line of terminal {terminal}: it was started with another configuration"
            with contextlib.suppress(OSError):
                self._line.send(wire.encode(wire.REFUSED, 0, why.encode()), socket.MSG_DONTWAIT)
            self.close()
            return
        if source.reader is not None:
            source.reader.close()
        source.reader, self._source = self, source
        self._read_to = source.ring.acked
        self._out = wire.encode_hello(wire.Hello(source.ring.acked, self._instance, source.missing))

    def _watch(self) -> None:
        if not self.is_closed:
            events = READABLE | (WRITABLE if self._out else 0)
            self._watcher.watch(self._line.fileno(), events, self._act)


class ReaderSocket:
    """The unix socket readers connect to. PortError when it cannot be made or another relay serves it."""

    def __init__(self, path: Path, watcher: Watcher, sources: dict[str, Source], instance: str) -> None:
        self._path, self._watcher = path, watcher
        self._sources, self._instance = sources, instance
        _refuse_live(path)
        self._listener = _bound(path)
        self._readers: list[Reader] = []
        watcher.watch(self._listener.fileno(), READABLE, self._accept)

    def close(self) -> None:
        """Every reader, the listener and its file."""
        for reader in self._readers:
            reader.close()
        self._watcher.forget(self._listener.fileno())
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def _accept(self, _events: int) -> None:
        try:
            line, _ = self._listener.accept()
        except OSError:  # it went meanwhile
            return
        raw = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(raw)[1] not in (os.getuid(), 0):
            line.close()
            return
        line.settimeout(0)
        self._readers = [reader for reader in self._readers if not reader.is_closed]
        self._readers.append(Reader(line, self._watcher, self._sources, self._instance))


def _bound(path: Path) -> socket.socket:
    """The listener: nobody can reach it before it has its mode, hence the rename."""
    private = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        private.unlink(missing_ok=True)
        listener.bind(str(private))
        private.chmod(SOCKET_MODE)
        listener.listen(READERS_WAITING)
        listener.settimeout(0)
        private.rename(path)
    except OSError as error:
        listener.close()
        private.unlink(missing_ok=True)
        raise PortError(
            f"{path} cannot be made: {error.strerror or error}", fix=f"check the directory {path.parent}"
        ) from error
    return listener


def _refuse_live(path: Path) -> None:
    """PortError when a living relay serves `path`: two would each have half of the bytes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return  # nobody, or a dead one's file
    raise PortError(f"{path} is served by another relay", fix="systemctl status vafa-relay", code="RUN-002")
