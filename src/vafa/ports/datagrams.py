"""Listening for UDP datagrams that nobody asked for: bounded in size, many to a read at most one.

Several programs may listen beside each other (SO_REUSEADDR): a broadcast reaches them all. Nothing is ever
sent from here, so nobody can use a device of ours to reach another.
"""

import errno
import os
import select
import socket

from msgspec import Struct

from vafa.model.errors import PortError

DATAGRAM_BYTES_MAX = 2_048  # more than any we know; a longer one is cut, and then malformed
PRIVILEGED_BELOW = 1_024


class Datagram(Struct, frozen=True):
    """What came, on which of our ports, and which address sent it."""

    data: bytes
    sender: str
    port: int


class Datagrams:
    """Open UDP ports. One thread reads; any may interrupt."""

    def __init__(self, listeners: dict[int, socket.socket]) -> None:
        self._listeners = {listener.fileno(): (port, listener) for port, listener in listeners.items()}
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ready = select.poll()
        for descriptor in (*self._listeners, self._wake):
            self._ready.register(descriptor, select.POLLIN)

    @property
    def ports(self) -> tuple[int, ...]:
        """Those that are open."""
        return tuple(port for port, _ in self._listeners.values())

    def read(self, wait_s: float) -> list[Datagram]:
        """At most one datagram of each port; [] when none came in time, or on `interrupt`."""
        found = []
        for descriptor, _ in self._ready.poll(max(0.0, wait_s) * 1000):
            if descriptor == self._wake:
                os.eventfd_read(self._wake)
                continue
            port, listener = self._listeners[descriptor]
            try:
                data, sender = listener.recvfrom(DATAGRAM_BYTES_MAX)
            except OSError:  # its checksum was wrong, or another thread of the kernel's had it
                continue
            found.append(Datagram(data, str(sender[0]), port))
        return found

    def interrupt(self) -> None:
        """Wakes a read, from any thread, while it is open."""
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Gives the ports back."""
        for _, listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        os.close(self._wake)


def listen(*ports: int, host: str = "") -> Datagrams:
    """Listen on each of the ports of `host` ('' = every address). PortError when one cannot be had."""
    listeners: dict[int, socket.socket] = {}
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        listeners[port] = listener
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
        except OSError as error:
            for each in listeners.values():
                each.close()
            raise _refused(port, error) from error
    return Datagrams({each.getsockname()[1]: each for each in listeners.values()})


def listen_where_allowed(*ports: int, host: str = "") -> tuple[Datagrams, list[PortError]]:
    """Listen on those that can be had, and why on the others not. PortError when none can."""
    had, refused = [], []
    for port in ports:
        try:
            listen(port, host=host).close()
            had.append(port)
        except PortError as error:
            refused.append(error)
    if not had:
        raise refused[0]
    return listen(*had, host=host), refused


def _refused(port: int, error: OSError) -> PortError:
    if error.errno == errno.EACCES and port < PRIVILEGED_BELOW:
        return PortError(f"UDP port {port} is for root only", fix="run it with sudo", code="UDP-001")
    if error.errno == errno.EADDRINUSE:
        fix = f"sudo ss -lunp sport = :{port}"
        return PortError(f"UDP port {port} is taken by another program", fix=fix, code="UDP-002")
    return PortError(f"UDP port {port} cannot be opened: {error.strerror}", fix="vafa doctor", code="UDP-003")
