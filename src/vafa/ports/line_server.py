"""Newline-delimited requests over a stream socket: under the local protocol and the control socket.

One thread a connection, each with hard limits, so that a client which hangs, floods or sends garbage harms
only itself: so many connections in all and per process, so long a line, so many requests a second (beyond,
its bytes simply wait in its own socket), so long to take an answer. Idling is allowed.

Where the file system does not keep strangers out (TCP), a connection's first line is judged and must come
soon; who has not sent it is a stranger, and makes way when the places are taken.
"""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec
import structlog

from vafa.ports.allowance import Allowance
from vafa.ports.line_splitter import LineSplitter

_RECEIVE_BYTES = 16_384
_BACKLOG = 128  # a crowd of strangers must not make the kernel drop who comes meanwhile

log = structlog.get_logger()


class Limits(msgspec.Struct, frozen=True):
    """What one client may take from the others."""

    connections: int = 32
    connections_per_process: int = 8
    line_bytes: int = 64 * 1024
    write_s: float = 5.0
    burst_requests: int = 100
    requests_per_s: float = 50.0
    first_line_s: float = 5.0


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end, by the kernel's word; pid 0 where it does not say."""

    pid: int
    uid: int
    gid: int


class Place(Protocol):
    """Where clients come in. `name` is what people know it by."""

    name: str

    def open(self, backlog: int) -> socket.socket:
        """A listening socket. PortError when there can be none."""
        ...

    def close(self) -> None:
        """Clears away what `open` left beside the socket."""
        ...

    def peer(self, connection: socket.socket) -> Peer:
        """Who has just connected."""
        ...


class Client(msgspec.Struct):
    """A connection being served. Strangers have not sent their first line; who leaves was sent away."""

    connection: socket.socket
    peer: Peer
    stranger: bool
    leaving: bool = False


Handle = Callable[[bytes, Peer], bytes | None]
First = Callable[[bytes], bytes | None]


def refusal(code: str, message: str) -> bytes:
    """The line for what the server itself refuses: `{"error": code, "message": message}`."""
    return msgspec.json.encode({"error": code, "message": message})


class LineServer:
    """Serves `place` from `start` to `stop`. `handle` gets one line without its newline and the peer, and
    gives the answer without a newline, or None for no answer. It runs in the connection's own thread.

    refuse  how the server words its own refusals: (code, message) -> line
    first   judges a connection's first line: None lets it in, anything else is its last answer
    """

    def __init__(
        self,
        place: Place,
        handle: Handle,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        refuse: Callable[[str, str], bytes] = refusal,
        first: First | None = None,
    ) -> None:
        self.place = place
        self._handle, self._limits, self._refuse, self._first = handle, limits, refuse, first
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, Client] = {}
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def clients(self) -> int:
        """How many connections are served now, strangers not counted."""
        with self._lock:
            return sum(not client.stranger for client in self._open.values())

    def start(self) -> None:
        """PortError when another process serves the place, or it cannot be made."""
        self._listener = self.place.open(_BACKLOG)
        self._acceptor = threading.Thread(target=self._accept, name=f"accept {self.place.name}", daemon=True)
        self._acceptor.start()

    def stop(self, within_s: float = 5.0) -> None:
        """Takes no more, lets each connection finish the request in hand, joins, clears the place."""
        if self._listener is None or self._acceptor is None:
            return
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._acceptor.join()
        self._listener.close()
        self._listener = None
        self.place.close()
        until = time.monotonic() + within_s
        for how in (socket.SHUT_RD, socket.SHUT_RDWR):  # first no more requests, then no more patience
            with self._lock:
                left = dict(self._open)
            for client in left.values():
                with contextlib.suppress(OSError):
                    client.connection.shutdown(how)
            for thread in left:
                thread.join(max(0.1, until - time.monotonic()))

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                log.error("socket_accept_failed", socket=self.place.name, why=error.strerror)
                self._stopping.wait(1.0)  # out of descriptors: some will be given back
                continue
            self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        try:
            peer = self.place.peer(connection)
        except OSError:  # gone already
            connection.close()
            return
        with self._lock:
            if self._has_room(peer) and self._started(connection, peer):
                return
        with connection, contextlib.suppress(OSError):
            connection.settimeout(0)  # a fresh socket's buffer takes a line; never wait for a stranger
            connection.send(
                self._refuse("SRV-001", "too many connections; close some, then try again") + b"\n"
            )

    def _has_room(self, peer: Peer) -> bool:
        """True when one more may come, which may send away the stranger that has waited longest."""
        staying = [client for client in self._open.values() if not client.leaving]
        if peer.pid and not self._has_room_of_its_own(
            [other for other in staying if other.peer.pid == peer.pid]
        ):
            return False
        if len(staying) < self._limits.connections:
            return True
        stranger = next((client for client in staying if client.stranger), None)
        if stranger is None:
            return False
        stranger.leaving = True
        with contextlib.suppress(OSError):
            stranger.connection.shutdown(socket.SHUT_RDWR)
        return True

    def _has_room_of_its_own(self, others: Sequence[Client]) -> bool:
        """Whether a process with these connections may have one more.

        Those it has closed already, whose threads on a busy machine have yet to hear of it, do not count: a
        cash register that connects for each sale is not sent away for its last ones. Only as many of them
        again, for they are threads.
        """
        most = self._limits.connections_per_process
        if len(others) < most:
            return True
        closed = sum(_is_closed(other.connection) for other in others)
        return len(others) - closed < most and len(others) < 2 * most

    def _started(self, connection: socket.socket, peer: Peer) -> bool:
        """Gives the connection its thread. False when the system has none left (TasksMax=): the next may."""
        client = Client(connection, peer, stranger=self._first is not None)
        thread = threading.Thread(
            target=self._serve, args=(client,), name=f"client {peer.pid or self.place.name}", daemon=True
        )
        self._open[thread] = client
        try:
            thread.start()
        except RuntimeError as error:
            del self._open[thread]
            log.error("connection_got_no_thread", socket=self.place.name, pid=peer.pid, why=str(error))
            return False
        return True

    def _serve(self, client: Client) -> None:
        """A connection's thread: its outermost boundary."""
        try:
            with client.connection:
                self._converse(client)
        except OSError:  # reset, did not read its answers, or never said who it is
            log.info("client_gone", socket=self.place.name, pid=client.peer.pid)
        finally:
            with self._lock:
                del self._open[threading.current_thread()]

    def _converse(self, client: Client) -> None:
        allowance = Allowance(self._limits.burst_requests, self._limits.requests_per_s, time.monotonic())
        for line in self._lines(client):
            if self._stopping.wait(allowance.take(time.monotonic())):
                return
            if line is None:
                self._send(
                    client, self._refuse("SRV-002", f"a line may have {self._limits.line_bytes} bytes")
                )
                return
            turned_away = self._first(line) if client.stranger and self._first else None
            if turned_away is not None:
                self._send(client, turned_away)
                return
            client.stranger = False
            answer = self._answer(line, client.peer)
            if answer is not None:
                self._send(client, answer)
            if self._stopping.is_set():
                return

    def _send(self, client: Client, answer: bytes) -> None:
        client.connection.settimeout(self._limits.write_s)
        client.connection.sendall(answer + b"\n")

    def _answer(self, line: bytes, peer: Peer) -> bytes | None:
        try:
            return self._handle(line, peer)
        except Exception:  # a thread's boundary: our bug costs one answer, not the server
            log.exception("request_crashed", socket=self.place.name, pid=peer.pid)
            return self._refuse("SRV-003", "an error of Vafa's own; it is in the log")

    def _lines(self, client: Client) -> Iterator[bytes | None]:
        """Complete lines, None for one that is too long. One cut off by the end of the stream is dropped."""
        splitter = LineSplitter(self._limits.line_bytes)
        introduced_by = time.monotonic() + self._limits.first_line_s
        while True:
            left_s = introduced_by - time.monotonic() if client.stranger else None
            if left_s is not None and left_s <= 0:
                raise TimeoutError
            client.connection.settimeout(left_s)
            chunk = client.connection.recv(_RECEIVE_BYTES)
            if not chunk:
                return
            yield from splitter.feed(chunk)


def _is_closed(connection: socket.socket) -> bool:
    """True when the other end has closed: not one that has said its last and waits for the answer."""
    place = connection.fileno()
    if place < 0:
        return True  # by its own thread, just now
    poll = select.poll()
    poll.register(place, 0)  # POLLHUP is told unasked
    return bool(poll.poll(0))
