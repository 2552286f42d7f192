"""A relay at work for tests: in a thread, or as the real process; far ends that use nothing but bytes."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

from vafa.ports import relay_wire as wire
from vafa.ports.relay import Relay, RelayedLine

TID = "40217736"
PATIENCE_S = 30.0


def until(is_so: Callable[[], bool], what: str) -> None:
    """Waits for something that another thread or process does."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, what
        threading.Event().wait(0.005)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Far:
    """One far end of the line: a socket, or the master side of a pty."""

    def __init__(self, descriptor: int, close: Callable[[], None]) -> None:
        self.descriptor = descriptor
        self.close = close
        os.set_blocking(descriptor, False)

    def say(self, data: bytes) -> None:
        """All of it, however slowly it is taken."""
        rest = memoryview(data)
        while rest:
            assert select.select([], [self.descriptor], [], PATIENCE_S)[1], "nothing takes the bytes"
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self.descriptor, rest) :]

    def hear(self, count: int) -> bytes:
        """Exactly so many bytes."""
        heard = b""
        while len(heard) < count:
            assert select.select([self.descriptor], [], [], PATIENCE_S)[0], f"{len(heard)} of {count} bytes"
            part = os.read(self.descriptor, count - len(heard))
            assert part, f"the line ended after {len(heard)} of {count} bytes"
            heard += part
        return heard

    def hear_end(self) -> bytes:
        """What comes until the other end says its last."""
        heard = b""
        while True:
            assert select.select([self.descriptor], [], [], PATIENCE_S)[0], "the end does not come"
            try:
                part = os.read(self.descriptor, 65_536)
            except ConnectionResetError:
                return heard + b"(reset)"
            if not part:
                return heard
            heard += part


def far_socket(line: socket.socket) -> Far:
    """A connected socket as a far end."""
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Far(line.fileno(), line.close)


class PtyPort:
    """A pretend serial port: `path` is what a program opens, `far` what is plugged in there."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self.far = Far(self._master, self.close)

    def close(self) -> None:
        for descriptor in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)


class RelayThread:
    """A Relay turned by a thread, as its process's main thread does."""

    def __init__(self, directory: Path, *lines: RelayedLine) -> None:
        self.socket_path = directory / "run" / "relay.sock"
        self.relay = Relay(list(lines), self.socket_path, directory / "state")
        self.ring = self.relay._served[0].source.ring
        self.relay.turn(0.0)
        self._stopping = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """The orderly end."""
        self.abandon()
        self.relay.close()

    def abandon(self) -> None:
        """Turns it no more."""
        self._stopping = True
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self.relay.turn(0.005)


@contextlib.contextmanager
def relay_over_tcp(directory: Path) -> Iterator[tuple[RelayThread, int, socket.socket]]:
    """A relay, the port where registers connect, and the listener that plays the terminal."""
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as terminal:
        terminal.settimeout(PATIENCE_S)
        address = f"tcp:127.0.0.1:{terminal.getsockname()[1]}"
        relay = RelayThread(directory, RelayedLine(TID, f"tcp:127.0.0.1:{port}", address, 115_200))
        try:
            yield relay, port, terminal
        finally:
            relay.stop()


@contextlib.contextmanager
def relay_over_serial(
    directory: Path, name: Path | None = None
) -> Iterator[tuple[RelayThread, PtyPort, PtyPort]]:
    """A relay between two pretend serial ports: the register's (also called `name`) and the terminal's."""
    register, terminal = PtyPort(), PtyPort()
    if name is not None:
        name.symlink_to(register.path)
    listen = register.path if name is None else str(name)
    relay = RelayThread(directory, RelayedLine(TID, listen, terminal.path, 115_200))
    try:
        until(lambda: relay.relay._served[0].line.state()[0] == "open", "the ports do not open")
        yield relay, register, terminal
    finally:
        relay.stop()
        register.close()
        terminal.close()


@contextlib.contextmanager
def connected(port: int, terminal: socket.socket) -> Iterator[tuple[Far, Far]]:
    """A register that connected through the relay, and the terminal's side of it."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as register:
        accepted, _ = terminal.accept()
        with accepted:
            yield far_socket(register), far_socket(accepted)


class FeedReader:
    """What a daemon does on the relay's socket, by hand."""

    def __init__(self, path: Path, terminal: str = TID) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.settimeout(PATIENCE_S)
        self._line.connect(str(path))
        self._line.sendall(wire.encode(wire.HELLO, 0, terminal.encode()))
        self._splitter = wire.Splitter()
        self._messages: list[wire.Message] = []
        self.states: list[tuple[str, str]] = []

    def next(self) -> wire.Message:
        """The next message that is no STATE."""
        while True:
            while not self._messages:
                received = self._line.recv(65_536)
                assert received, "the relay hung up"
                self._messages = self._splitter.feed(received)
            message = self._messages.pop(0)
            if message.kind != wire.STATE:
                return message
            self.states.append(wire.read_state(message))

    def hello(self) -> wire.Hello:
        return wire.read_hello(self.next())

    def copies(self, kind: bytes, count: int) -> tuple[bytes, int]:
        """So many bytes of one direction, and the number of the newest record seen for them."""
        heard, number = b"", 0
        while len(heard) < count:
            message = self.next()
            number = message.number
            if message.kind == kind:
                heard += message.payload
        return heard, number

    def say(self, kind: bytes, payload: bytes) -> None:
        self._line.sendall(wire.encode(kind, 0, payload))

    def tell(self, kind: bytes, number: int = 0) -> None:
        self._line.sendall(wire.encode(kind, number))

    def close(self) -> None:
        self._line.close()


class Process:
    """`vafa VERB --config` as systemd starts it: its own process, told where to say READY."""

    def __init__(self, directory: Path, verb: str) -> None:
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.settimeout(PATIENCE_S)
        address = directory / f"n.{os.urandom(3).hex()}"
        self._manager.bind(str(address))
        self._log = (directory / f"{verb}.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vafa.cli.main", verb, "--config", str(directory / "config.toml")],
            env=os.environ | {"NOTIFY_SOCKET": str(address)},
            stderr=self._log,
        )

    def ready(self) -> "Process":
        while b"READY=1" not in self._manager.recv(4096):
            assert self.process.poll() is None, "it did not start"
        return self

    def end(self, number: signal.Signals) -> int:
        """Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._manager.close()
        self._log.close()
        return code
