"""A link is a line to a terminal: bytes in, bytes out, and a way to wake whoever waits for bytes.

A lane's thread sleeps in `read`; it must wake at once both for the terminal's bytes and for a command from
another thread ("sell 125,000"). So every link waits on two descriptors, the line's own and an eventfd, and
`interrupt` writes to the second. An interrupt that comes while nobody reads is kept for the next read: a
command is never slept through.
"""

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from vafa.model.errors import PortError

READ_BYTES_MAX = 4096  # several frames of every known protocol, and a bound on what one read may bring
WRITE_LIMIT_S = 5.0  # a line that takes nothing for so long is stuck: far longer than 4 KiB at 9600 baud
TCP_PREFIX = "tcp:"

# What the kernel says of a line whose far end is gone, beside the plain end of file.
_HUNG_UP = select.POLLERR | select.POLLNVAL


class Gone(NamedTuple):
    """What to do about a line of this kind whose far end is gone, and the code to look up."""

    fix: str
    code: str


_GONE = Gone("check the cable and that the terminal is switched on", PortError.code)


class Link(Protocol):
    """What a lane needs of a line. One thread reads, writes and closes; any thread may interrupt."""

    name: str

    def read(self, wait_s: float) -> bytes:
        """The bytes that are there, at most READ_BYTES_MAX; b"" when none came in time, or on `interrupt`.

        PortError when the far end is gone.
        """
        ...

    def write(self, data: bytes) -> None:
        """All of `data`, within WRITE_LIMIT_S. PortError when the line is stuck or gone."""
        ...

    def interrupt(self) -> None:
        """Wakes a read that waits, or makes the next return at once. From any thread, also after close."""
        ...

    def close(self) -> None:
        """Gives the line back. A second call does nothing."""
        ...


class DescriptorLink:
    """A link over any non-blocking file descriptor: a serial line, a pty, a socket.

    name    what people know the line by: `ttyUSB0`, `192.0.2.1:8888`
    release closes the descriptor, and whatever belongs to it
    gone    what to do when its far end is
    """

    def __init__(
        self,
        descriptor: int,
        name: str,
        release: Callable[[], None],
        gone: Gone = _GONE,
    ) -> None:
        self.name = name
        self._when_gone = gone
        self._descriptor = descriptor
        self._release = release
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closed = False
        self._closing = threading.Lock()  # an interrupt must not reach a descriptor number somebody else got
        self._incoming = select.poll()
        self._incoming.register(descriptor, select.POLLIN)
        self._incoming.register(self._wake, select.POLLIN)
        self._outgoing = select.poll()
        self._outgoing.register(descriptor, select.POLLOUT)

    def read(self, wait_s: float) -> bytes:
        self._check_open()
        ready = dict(self._incoming.poll(max(0.0, wait_s) * 1000))
        if self._wake in ready:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
        if self._descriptor not in ready:
            return b""
        try:
            data = os.read(self._descriptor, READ_BYTES_MAX)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(_said(error)) from error
        if not data:  # readable, and yet nothing there: end of file, an unplugged adapter, a closed pty
            raise self._gone("the far end hung up")
        return data

    def write(self, data: bytes) -> None:
        self._check_open()
        rest = memoryview(data)
        until = time.monotonic() + WRITE_LIMIT_S
        while rest:
            left_s = until - time.monotonic()
            ready = dict(self._outgoing.poll(max(0.0, left_s) * 1000))
            if not ready:
                raise PortError(
                    f"{self.name} takes no bytes for {WRITE_LIMIT_S:.0f} s",
                    fix="check the cable, switch the terminal off and on",
                    code=self._when_gone.code,
                )
            if ready[self._descriptor] & _HUNG_UP:
                raise self._gone("the far end hung up")
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._gone(_said(error)) from error

    def interrupt(self) -> None:
        with self._closing:
            if not self._closed:
                os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            os.close(self._wake)
        self._release()

    def _check_open(self) -> None:
        if self._closed:
            raise PortError(f"{self.name} is closed")

    def _gone(self, why: str) -> PortError:
        fix, code = self._when_gone
        return PortError(f"{self.name}: the line is gone ({why})", fix=fix, code=code)


def _said(error: OSError) -> str:
    """What the kernel says, in words: without its number, which no person looks up."""
    return (error.strerror or str(error)).lower()


def open_link(address: str, baud: int) -> Link:
    """The link an address of config.toml names: `tcp:192.0.2.1:8888`, `/dev/ttyUSB0`, `usb:0403:6001`.

    `baud` counts for serial lines only. PortError when it cannot be opened; the message says what to do.
    """
    if address.startswith(TCP_PREFIX):
        from vafa.ports.tcp import connect

        return connect(address.removeprefix(TCP_PREFIX))
    from vafa.ports.serial_line import open_serial

    return open_serial(address, baud)
