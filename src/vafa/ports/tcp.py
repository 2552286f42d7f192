"""A TCP line to a terminal in the shop's network (Sadad listens on port 8888).

A terminal that loses power sends no goodbye. Short keepalives and a user timeout make a dead line known
within DEAD_AFTER_S instead of two hours, so that the next sale does not meet it. (The kernel looks at the
user timeout when a probe goes out, so it adds up to one interval.)

A terminal serves one connection, and one that never looks after it keeps serving a connection whose far end
is long gone: the cable was out, or this device lost its power in the middle. A new one then waits for ever.
So each connection comes from the same port of ours as the one before: the terminal's own TCP takes its
first packet for one of the old connection and asks back, ours answers that there is none, and the old one
ends (RFC 9293 §3.5.1, "half-open connections"). The packet is repeated a second later and begins the new
connection.
"""

import errno
import socket
import zlib

from vafa.model.errors import PortError
from vafa.ports.link import DescriptorLink, Gone

CONNECT_LIMIT_S = 5.0
_KEEPALIVE_IDLE_S, _KEEPALIVE_EVERY_S, _KEEPALIVE_PROBES = 10, 5, 3
_UNACKNOWLEDGED_LIMIT_MS = 20_000
DEAD_AFTER_S = _KEEPALIVE_IDLE_S + _KEEPALIVE_EVERY_S * _KEEPALIVE_PROBES + _KEEPALIVE_EVERY_S  # 30

_GONE = Gone(
    "it restarts, or its network broke; vafa connects again by itself. If it stays: its power, its network",
    "SER-011",
)
# Somebody has it; our last connection closes still; a unit that lets nobody choose a port (SocketBindDeny=).
_NOT_FREE = {errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EPERM, errno.EACCES}
_OUR_PORTS_FROM, _OUR_PORTS = 20_000, 10_000
_ports_used: dict[str, int] = {}  # host:port -> where our last connection to it came from
_NO_ROUTE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
_ADDRESS_FIX = "check that the terminal is on, in this network, and its address (its own menu shows it)"


def connect(host_and_port: str) -> DescriptorLink:
    """The link to `192.0.2.1:8888`, `name:8888` or `[2001:db8::1]:8888`; PortError when nobody is there."""
    host, port = split_host_and_port(host_and_port)
    try:
        line = _connected(host_and_port, (host, port))
    except OSError as error:
        raise _explained(host_and_port, error) from error
    line.settimeout(0)
    keep_alive(line)
    return DescriptorLink(line.fileno(), host_and_port, line.close, _GONE)


def _connected(host_and_port: str, there: tuple[str, int]) -> socket.socket:
    """A connection from the port the last one came from; the system's choice where that is still in use."""
    ours = _our_port(host_and_port, there[1])
    try:
        line = socket.create_connection(there, CONNECT_LIMIT_S, source_address=("", ours))
    except OSError as error:
        if error.errno not in _NOT_FREE:
            raise
        line = socket.create_connection(there, CONNECT_LIMIT_S)
    _ports_used[host_and_port] = line.getsockname()[1]
    return line


def begin_connection(line: socket.socket, host_and_port: str, there: tuple[str, int]) -> int:
    """`connect_ex` of a socket that does not block, from the port the last connection there came from."""
    try:
        line.bind(("", _our_port(host_and_port, there[1])))
    except OSError as error:
        if error.errno not in _NOT_FREE:
            raise
    number = line.connect_ex(there)
    _ports_used[host_and_port] = line.getsockname()[1]
    return number


def _our_port(host_and_port: str, theirs: int) -> int:
    """That of the last connection there, else the same after each power cut; never their own number.

    Below the ports that Linux gives out by itself (32768 to 60999). On one machine a socket that came from
    the number it goes to would meet itself.
    """
    usual = _OUR_PORTS_FROM + zlib.crc32(host_and_port.encode()) % _OUR_PORTS
    ours = _ports_used.get(host_and_port) or usual
    return ours if ours != theirs else ours + 1


def keep_alive(line: socket.socket) -> None:
    """Bytes leave at once, and a far end that lost its power is known in about half a minute."""
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_EVERY_S)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_PROBES)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_LIMIT_MS)


def split_host_and_port(text: str) -> tuple[str, int]:
    """("192.0.2.1", 8888). PortError when it is not host:port."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port[:6]) < 65536:
        raise PortError(f"tcp:{text} is no address", fix='write it as "tcp:192.0.2.1:8888"')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _explained(host_and_port: str, error: OSError) -> PortError:
    """What a person can do about a terminal that takes no connection."""
    match error:
        case TimeoutError() if error.errno is None:
            why = f"no answer within {CONNECT_LIMIT_S:.0f} s"
        case ConnectionRefusedError():
            return PortError(
                f"tcp:{host_and_port}: the machine is there, but nothing listens on that port",
                fix="a terminal that restarts does this for a minute. If it stays: its cash register "
                "(PC-POS) mode is off (ask the PSP), the port is wrong, or the address is another machine's",
                code="SER-010",
            )
        case socket.gaierror():
            return PortError(
                f"tcp:{host_and_port}: no machine of that name",
                fix="write the terminal's address as numbers, as its own menu shows it",
                code="SER-009",
            )
        case _ if error.errno in _NO_ROUTE:
            why = "no way to that machine"
        case _:
            why = error.strerror or str(error)
    return PortError(f"tcp:{host_and_port}: {why}", fix=_ADDRESS_FIX, code="SER-004")
