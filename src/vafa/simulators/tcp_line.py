"""A pretend machine behind a TCP port: one client at a time, the next one waits, as real terminals do."""

import select
import socket
import struct
from threading import Event

from vafa.model.errors import PortError
from vafa.simulators.line import POLL_S, READ_BYTES, Line, Speaker, be_away, now
from vafa.simulators.line_trouble import Drop


def serve_tcp(terminal: Speaker, host: str = "127.0.0.1", port: int = 0) -> Line:
    """Serve `terminal` at host:port (0: any free port). The line's `address` is `host:port`."""
    listener = _listen(host, port)
    port = listener.getsockname()[1]

    def serve(stopping: Event) -> None:
        nonlocal listener
        while not stopping.is_set():
            with listener:
                away_s = _take_clients(terminal, listener, stopping)
            if stopping.is_set():
                break
            be_away(terminal, away_s, stopping)  # whoever tries meanwhile is refused
            listener = _listen(host, port)
        listener.close()

    return Line(f"{host}:{port}", serve)


def _listen(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port), backlog=1)
    except OSError as error:
        raise PortError(
            f"cannot listen on {host}:{port}: {error.strerror}", fix="choose another port"
        ) from error
    listener.settimeout(POLL_S)
    return listener


def _take_clients(terminal: Speaker, listener: socket.socket, stopping: Event) -> float:
    """Serve one client after the other, until the terminal goes; how long it is away then."""
    while not stopping.is_set():
        try:
            client, _ = listener.accept()
        except TimeoutError:
            terminal.step(now())  # time passes for the customer too; what is said now is lost
            drop = terminal.take_drop()
        else:
            with client:
                drop = _talk(terminal, client, stopping)
                if drop is not None and drop.how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            terminal.step(now())  # what was to be said just now is lost with the client
            terminal.link_lost()
        if drop is not None and drop.away_s:
            return drop.away_s
    return 0.0


def _talk(terminal: Speaker, client: socket.socket, stopping: Event) -> Drop | None:
    """Serve one client until it goes, the line drops, or the server stops."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(1.0)
    try:
        while not stopping.is_set():
            if select.select([client], [], [], POLL_S)[0]:
                heard = client.recv(READ_BYTES)
                if not heard:
                    return None
                said = terminal.feed(heard, now())
            else:
                said = terminal.step(now())
            if said:
                client.sendall(said)
            if (drop := terminal.take_drop()) is not None:
                return drop
    except OSError:
        return None  # the client went in the middle: the same as having closed
    return None
