"""A TCP port of this machine alone: the place of a line server.

Loopback and nothing else: the local protocol has no encryption, and a socket that the shop's network reaches
would be a cash register for everybody in it. Also on loopback any user of this machine may connect, and a web
page in its browser may: a server here asks each connection's first line for a secret (see `LineServer`).
"""

import socket

from vafa.model.errors import PortError
from vafa.ports.line_server import Peer
from vafa.ports.tcp import split_host_and_port

_NOBODY_KNOWN = Peer(pid=0, uid=-1, gid=-1)  # TCP does not tell which process called


def loopback_fault(text: str) -> str:
    """What is wrong with an address such as `127.0.0.1:7117` or `[::1]:7117`; '' when nothing is."""
    from ipaddress import ip_address  # only those pay for it who set the address

    try:
        host, _ = split_host_and_port(text)
        number = ip_address(host)
    except PortError:
        return 'expected a port of this machine, such as "127.0.0.1:7117" or "[::1]:7117"'
    except ValueError:
        return f'expected an IP number, not {host!r}: "127.0.0.1:7117" or "[::1]:7117"'
    if number.is_loopback and getattr(number, "ipv4_mapped", None) is None:
        return ""
    return (
        f"{host} can be reached from outside, and this protocol is not encrypted: only this machine's own "
        "127.0.0.1 or [::1] is allowed"
    )


class LoopbackPlace:
    """`address` as `loopback_fault` lets it pass."""

    def __init__(self, address: str) -> None:
        assert not loopback_fault(address), address
        self.name = address

    def __str__(self) -> str:
        return self.name

    def open(self, backlog: int) -> socket.socket:
        """PortError when another program has the port, or the machine has no such address."""
        host, port = split_host_and_port(self.name)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            # what a restart leaves behind in TIME_WAIT; a port that is listened on stays refused
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(backlog)
        except OSError as error:
            listener.close()
            raise PortError(
                f"{self.name} cannot be listened on: {error.strerror}",
                fix=f"choose another port for local.tcp; who has it: sudo ss -ltnp 'sport = :{port}'",
                code="RUN-005",
            ) from error
        return listener

    def close(self) -> None:
        """Nothing stays behind."""

    def peer(self, connection: socket.socket) -> Peer:
        """Nobody known. Answers leave at once from here on."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _NOBODY_KNOWN
