"""The hub as a process: listens, serves, says when it is ready, ends in order."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import uvicorn
from fastapi import FastAPI

from vafa.model.errors import HubError

# A device keeps its connection between sales where its link allows; an idle one costs a few kB.
KEEP_ALIVE_S = 300
CONNECTIONS_MAX = 1_000
REQUESTS_AT_ONCE_MAX = 200
STOP_S = 20  # requests under way end first


class Listening(msgspec.Struct, frozen=True):
    """Where to listen; port 0 takes a free one. TLS where both files are named."""

    host: str
    port: int
    tls_cert: Path | None = None
    tls_key: Path | None = None


def parse_listen(text: str) -> tuple[str, int]:
    """`HOST:PORT`, `[::1]:PORT`, `:PORT` or `PORT`. HubError when it is none of these."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65_535:
        raise HubError(f"--listen {text!r} is no HOST:PORT", fix="e.g. --listen 0.0.0.0:8443", code="HUB-005")
    return host.strip("[]") or "127.0.0.1", int(port)


def bound(where: Listening) -> socket.socket:
    """A listening socket. HubError when the address cannot be had."""
    try:
        found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        # Named TCP: asyncio switches Nagle's delay off only where the protocol number says so, and an answer
        # in two parts would wait 40 ms for its first to be acknowledged.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(CONNECTIONS_MAX)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise HubError(
            f"{where.host}:{where.port} cannot be listened on ({error.strerror})",
            fix="another --listen; who has it: ss -tlnp",
            code="HUB-005",
        ) from error
    return listener


class _Telling(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Idle connections are cut first: in TLS each would wait half a minute for its device's goodbye."""
        for connection in list(self.server_state.connections):
            cycle, transport = getattr(connection, "cycle", None), getattr(connection, "transport", None)
            if transport is not None and (cycle is None or cycle.response_complete):
                transport.abort()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but no signal is raised again at the end: the database is still to stop."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(app: FastAPI, where: Listening, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called once requests are answered."""
    server = make_server(app, where, ready)
    server.run(sockets=[listener])


def make_server(app: FastAPI, where: Listening, ready: Callable[[], None]) -> uvicorn.Server:
    """The server, not running yet; `should_exit` ends it. HubError for certificates that cannot be used."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S,
        limit_concurrency=REQUESTS_AT_ONCE_MAX + CONNECTIONS_MAX,
        ssl_certfile=where.tls_cert,
        ssl_keyfile=where.tls_key,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise HubError(
            f"the TLS certificate or key cannot be used ({error})",
            fix="PEM files; the key must belong to the certificate and be readable by the hub's account",
            code="HUB-005",
        ) from error
    return _Telling(config, ready)
