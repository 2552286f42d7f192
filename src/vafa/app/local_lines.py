"""Where payment applications reach the desk: a unix socket always, a loopback port and a cable where set.

The same desk answers on each; what differs is who may come. The socket's group keeps strangers out, a port
asks for the secret, a cable ends where somebody has plugged it.
"""

from collections.abc import Callable

from vafa.app.cable import Cable
from vafa.app.config import Config
from vafa.app.desk import Desk, refusal
from vafa.app.introduction import Introduction, load_or_make
from vafa.app.live import LocalLine
from vafa.model.errors import PortError, VafaError
from vafa.ports.clock import Clock
from vafa.ports.line_server import Limits, LineServer, Peer
from vafa.ports.link import Link, open_link
from vafa.ports.unix_place import UnixPlace

SOCKET_MODE = 0o660
PORT_LIMITS = Limits(connections=16)  # with both sockets' 32 below the unit's TasksMax=128


class LocalLines:
    """All lines of one desk. `start` opens all servers or none; a cable may be plugged later."""

    def __init__(self, config: Config, desk: Desk, clock: Clock) -> None:
        self._config = config
        self._desk = desk
        self._servers: list[LineServer] = []
        self.cable: Cable | None = None
        if config.local.serial:
            self.cable = Cable(
                config.local.serial,
                lambda: _open_cable(config.local.serial, config.local.baud),
                desk.answer,
                refusal,
                clock,
            )

    def start(self) -> None:
        """VafaError when a socket, the port or its secret cannot be had."""
        try:
            for make in self._to_be_served():
                server = make()
                server.start()
                self._servers.append(server)
        except VafaError:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the servers, each with the request in hand; the cable is ended by its own `stop`."""
        while self._servers:
            self._servers.pop().stop()

    def states(self) -> tuple[LocalLine, ...]:
        """Each line as it stands, for `status`."""
        served = tuple(
            LocalLine(
                kind="socket" if isinstance(server.place, UnixPlace) else "tcp",
                address=str(server.place),
                state="listening",
                clients=server.clients,
            )
            for server in self._servers
        )
        return (*served, self.cable.state()) if self.cable else served

    def _to_be_served(self) -> list[Callable[[], LineServer]]:
        return [self._socket, self._port] if self._config.local.tcp else [self._socket]

    def _answer(self, line: bytes, _peer: Peer) -> bytes:
        return self._desk.answer(line)

    def _socket(self) -> LineServer:
        place = UnixPlace(self._config.local_socket, SOCKET_MODE, self._config.local.group)
        return LineServer(place, self._answer, refuse=refusal)

    def _port(self) -> LineServer:
        from vafa.ports.loopback_place import LoopbackPlace

        local = self._config.local
        introduction = Introduction(load_or_make(self._config.local_secret, local.group))
        return LineServer(
            LoopbackPlace(local.tcp), self._answer, PORT_LIMITS, refusal, introduction.turned_away
        )


def _open_cable(path: str, baud: int) -> Link:
    """The cable's line. PortError in the words of its own settings."""
    try:
        return open_link(path, baud)
    except PortError as error:
        fix = error.fix.replace("terminal.address", "local.serial").replace("terminal.baud", "local.baud")
        raise PortError(str(error), fix=fix, code=error.code) from error
