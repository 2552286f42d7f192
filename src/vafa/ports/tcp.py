"""A TCP line to a terminal in the shop's network (Sadad listens on port 8888).

A terminal that loses power sends no goodbye. Short keepalives and a user timeout make a dead line known in
about half a minute instead of two hours, so that the next sale does not meet it.
"""

import socket

from vafa.model.errors import PortError
from vafa.ports.link import DescriptorLink

CONNECT_LIMIT_S = 5.0
_KEEPALIVE_IDLE_S, _KEEPALIVE_EVERY_S, _KEEPALIVE_PROBES = 10, 5, 3
_UNACKNOWLEDGED_LIMIT_MS = 20_000


def connect(host_and_port: str) -> DescriptorLink:
    """The link to `192.0.2.1:8888`, `name:8888` or `[2001:db8::1]:8888`; PortError when nobody is there."""
    host, port = split_host_and_port(host_and_port)
    try:
        line = socket.create_connection((host, port), timeout=CONNECT_LIMIT_S)
    except OSError as error:
        why = _why(error)
        raise PortError(
            f"tcp:{host_and_port}: {why}",
            fix="check that the terminal is on, its address, and that its cash register (PC-POS) mode is on",
            code="SER-004",
        ) from error
    line.settimeout(0)
    keep_alive(line)
    return DescriptorLink(line.fileno(), host_and_port, line.close)


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
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise PortError(f"tcp:{text} is no address", fix='write it as "tcp:192.0.2.1:8888"')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _why(error: OSError) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {CONNECT_LIMIT_S:.0f} s"
        case ConnectionRefusedError():
            return "the machine is there, but nothing listens on that port"
        case socket.gaierror():
            return "no machine of that name"
        case _:
            return error.strerror or str(error)
