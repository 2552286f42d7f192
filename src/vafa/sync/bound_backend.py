"""Connections that leave by one interface, whatever the kernel's routes say.

SO_BINDTODEVICE must be set before a connection is begun, and needs no root on a socket that is bound to
nothing yet (Linux 5.7). httpx sets the options it is given after connecting, which is too late; hence a
backend for its engine that differs in this one step.
"""

import contextlib
import socket
from collections.abc import Iterable
from typing import Any

import httpcore
from httpcore._backends.sync import SyncStream  # the engine's own stream, which it makes of any socket


class BoundBackend(httpcore.SyncBackend):
    """Connects by `interface`, to the first of a name's addresses that answers."""

    def __init__(self, interface: str) -> None:
        self._interface = interface.encode()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the interface decides
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """As httpcore's own, which says what it raises."""
        failed: OSError | None = None
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                line = socket.socket(family, kind, protocol)
                try:
                    with contextlib.suppress(PermissionError):  # before Linux 5.7: the kernel's route, then
                        line.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface)
                    line.settimeout(timeout)
                    line.connect(address)
                    for option in (*(socket_options or ()), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)):
                        line.setsockopt(*option)
                except OSError as error:
                    line.close()
                    failed = error
                else:
                    return SyncStream(line)
        except OSError as error:  # the name is not found
            failed = error
        if isinstance(failed, TimeoutError):
            raise httpcore.ConnectTimeout(str(failed)) from failed
        raise httpcore.ConnectError(str(failed or "the hub has no address")) from failed
