"""Newline-delimited requests over a unix socket: the server under the local protocol and the control socket.

One thread a connection, each with hard limits, so that a client which hangs, floods or sends garbage harms
only itself: so many connections in all and per process, so long a line, so many requests a second (beyond,
its bytes simply wait in its own socket), so long to take an answer. Idling is allowed.

The socket has its mode and group before anybody can reach it: it is bound under a private name and renamed.
"""

import contextlib
import grp
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import structlog

from vafa.model.errors import PortError
from vafa.ports.allowance import Allowance

_SUN_PATH_BYTES_MAX = 107  # sockaddr_un.sun_path without its closing NUL
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_RECEIVE_BYTES = 16_384
_STALE_PROBE_S = 1.0

log = structlog.get_logger()


class Limits(msgspec.Struct, frozen=True):
    """What one client may take from the others."""

    connections: int = 32
    connections_per_process: int = 8
    line_bytes: int = 64 * 1024
    write_s: float = 5.0
    burst_requests: int = 100
    requests_per_s: float = 50.0


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end, by the kernel's word (SO_PEERCRED)."""

    pid: int
    uid: int
    gid: int


Handle = Callable[[bytes, Peer], bytes | None]


def refusal(code: str, message: str) -> bytes:
    """The line for what the server itself refuses: `{"error": code, "message": message}`."""
    return msgspec.json.encode({"error": code, "message": message})


class LineServer:
    """Serves `path` from `start` to `stop`. `handle` gets one line without its newline and the peer, and
    gives the answer without a newline, or None for no answer. It runs in the connection's own thread.

    mode    permission bits of the socket file
    group   the group it is given to, '' for the process's own
    refuse  how the server words its own refusals: (code, message) -> line
    """

    def __init__(
        self,
        path: Path,
        mode: int,
        group: str,
        handle: Handle,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        refuse: Callable[[str, str], bytes] = refusal,
    ) -> None:
        self.path = path
        self._mode, self._group = mode, group
        self._handle, self._limits, self._refuse = handle, limits, refuse
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, tuple[socket.socket, Peer]] = {}
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._inode = 0

    def start(self) -> None:
        """PortError when another process serves the path, or it cannot be made."""
        _refuse_live(self.path)
        self._listener = self._bind()
        self._acceptor = threading.Thread(target=self._accept, name=f"accept {self.path.name}", daemon=True)
        self._acceptor.start()

    def stop(self, within_s: float = 5.0) -> None:
        """Takes no more, lets each connection finish the request in hand, joins, removes the socket file."""
        if self._listener is None or self._acceptor is None:
            return
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._acceptor.join()
        self._listener.close()
        self._listener = None
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:  # not the socket of a successor
                self.path.unlink()
        until = time.monotonic() + within_s
        for how in (socket.SHUT_RD, socket.SHUT_RDWR):  # first no more requests, then no more patience
            with self._lock:
                left = dict(self._open)
            for connection, _ in left.values():
                with contextlib.suppress(OSError):
                    connection.shutdown(how)
            for thread in left:
                thread.join(max(0.1, until - time.monotonic()))

    def _bind(self) -> socket.socket:
        private = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        if len(os.fsencode(private)) > _SUN_PATH_BYTES_MAX:
            raise PortError(
                f"{self.path}: the name of a socket may have {_SUN_PATH_BYTES_MAX - 12} bytes at most"
            )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            private.unlink(missing_ok=True)
            listener.bind(str(private))
            private.chmod(self._mode)
            if self._group:
                _give(private, self._group)
            listener.listen(self._limits.connections)
            self._inode = private.stat().st_ino
            private.rename(self.path)  # replaces what a dead process left
        except PortError as error:
            listener.close()
            private.unlink(missing_ok=True)
            raise PortError(f"{self.path}: {error}", fix=error.fix) from error
        except OSError as error:
            listener.close()
            with contextlib.suppress(OSError):
                private.unlink(missing_ok=True)
            raise PortError(
                f"{self.path} cannot be made: {error.strerror}", fix=f"check the directory {self.path.parent}"
            ) from error
        return listener

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if self._stopping.is_set():
                    return
                log.error("socket_accept_failed", socket=str(self.path), why=error.strerror)
                self._stopping.wait(1.0)  # out of descriptors: some will be given back
                continue
            self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        peer = Peer(*_CREDENTIALS.unpack(raw))
        with self._lock:
            of_process = sum(other.pid == peer.pid for _, other in self._open.values())
            full = (
                len(self._open) >= self._limits.connections
                or of_process >= self._limits.connections_per_process
            )
            if not full and self._started(connection, peer):
                return
        with connection, contextlib.suppress(OSError):
            connection.settimeout(0)  # a fresh socket's buffer takes a line; never wait for a stranger
            connection.send(
                self._refuse("SRV-001", "too many connections; close some, then try again") + b"\n"
            )

    def _started(self, connection: socket.socket, peer: Peer) -> bool:
        """Gives the connection its thread. False when the system has none left (TasksMax=): the next may."""
        thread = threading.Thread(
            target=self._serve, args=(connection, peer), name=f"client {peer.pid}", daemon=True
        )
        self._open[thread] = (connection, peer)
        try:
            thread.start()
        except RuntimeError as error:
            del self._open[thread]
            log.error("connection_got_no_thread", socket=self.path.name, pid=peer.pid, why=str(error))
            return False
        return True

    def _serve(self, connection: socket.socket, peer: Peer) -> None:
        """A connection's thread: its outermost boundary."""
        try:
            with connection:
                self._converse(connection, peer)
        except OSError:
            log.info("client_gone", socket=self.path.name, pid=peer.pid)  # reset, or did not read its answers
        finally:
            with self._lock:
                del self._open[threading.current_thread()]

    def _converse(self, connection: socket.socket, peer: Peer) -> None:
        allowance = Allowance(self._limits.burst_requests, self._limits.requests_per_s, time.monotonic())
        for line in self._lines(connection):
            if self._stopping.wait(allowance.take(time.monotonic())):
                return
            answer = self._answer(line, peer)
            if answer is not None:
                connection.settimeout(self._limits.write_s)
                connection.sendall(answer + b"\n")
                connection.settimeout(None)
            if self._stopping.is_set():
                return

    def _answer(self, line: bytes, peer: Peer) -> bytes | None:
        try:
            return self._handle(line, peer)
        except Exception:  # a thread's boundary: our bug costs one answer, not the server
            log.exception("request_crashed", socket=self.path.name, pid=peer.pid)
            return self._refuse("SRV-003", "an error of Vafa's own; it is in the log")

    def _lines(self, connection: socket.socket) -> Iterator[bytes]:
        """Complete lines. One that was cut off by the end of the stream is no request and is dropped."""
        rest = bytearray()
        while chunk := connection.recv(_RECEIVE_BYTES):
            searched = len(rest)
            rest += chunk
            while (end := rest.find(b"\n", searched)) >= 0 and end <= self._limits.line_bytes:
                line = bytes(rest[:end])
                del rest[: end + 1]
                searched = 0
                yield line
            if len(rest) > self._limits.line_bytes:
                connection.settimeout(self._limits.write_s)
                too_long = f"a line may have {self._limits.line_bytes} bytes"
                connection.sendall(self._refuse("SRV-002", too_long) + b"\n")
                return


def _give(path: Path, group: str) -> None:
    """Hands a file to a group, which without root's powers must be one of ours. PortError when it is not."""
    try:
        gid = grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise PortError(f"there is no group {group!r}", fix=f"sudo groupadd --system {group}") from error
    try:
        os.chown(path, -1, gid)
    except PermissionError as error:
        raise PortError(
            f"it cannot be given to the group {group!r}, of which this process is no member",
            fix=f"sudo systemctl edit vafa: [Service] SupplementaryGroups={group}; then restart it",
        ) from error


def _refuse_live(path: Path) -> None:
    """PortError when a living process serves `path`, or it is something else than a socket."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise PortError(f"{path} is in the way: it is no socket", fix=f"look at it, then: sudo rm {path}")
    except OSError:
        return  # not there, or its directory is not: binding says which
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_STALE_PROBE_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return  # left by a process that died
        except OSError as error:
            raise PortError(f"{path} cannot be tried: {error}", fix="run as the service user") from error
    raise PortError(f"{path} is served by another process", fix="systemctl status vafa", code="RUN-002")
