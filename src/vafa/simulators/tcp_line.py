"""A pretend machine behind a TCP port: one client at a time, the next one waits, as real terminals do."""

import select
import socket
from threading import Event

from vafa.model.errors import PortError
from vafa.simulators.line import POLL_S, READ_BYTES, Line, Speaker, now


def serve_tcp(terminal: Speaker, host: str = "127.0.0.1", port: int = 0) -> Line:
    """Serve `terminal` at host:port (0: any free port). The line's `address` is `host:port`."""
    try:
        listener = socket.create_server((host, port), backlog=1)
    except OSError as error:
        raise PortError(
            f"cannot listen on {host}:{port}: {error.strerror}", fix="choose another port"
        ) from error
    listener.settimeout(POLL_S)

    def serve(stopping: Event) -> None:
        with listener:
            while not stopping.is_set():
                try:
                    client, _ = listener.accept()
                except TimeoutError:
                    terminal.step(now())  # time passes for the customer too; what is said now is lost
                    continue
                with client:
                    _talk(terminal, client, stopping)
                terminal.step(now())  # what was to be said just now is lost with the client
                terminal.link_lost()

    return Line(f"{host}:{listener.getsockname()[1]}", serve)


def _talk(terminal: Speaker, client: socket.socket, stopping: Event) -> None:
    """Serve one client until it goes, the line drops, or the server stops."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.settimeout(1.0)
    try:
        while not stopping.is_set():
            if select.select([client], [], [], POLL_S)[0]:
                heard = client.recv(READ_BYTES)
                if not heard:
                    return
                said = terminal.feed(heard, now())
            else:
                said = terminal.step(now())
            if said:
                client.sendall(said)
            if terminal.take_drop():
                return
    except OSError:
        return  # the client went in the middle: the same as having closed
