"""The daemon's side of the relay's socket: a link whose bytes are the relay's messages (see relay_wire)."""

import socket
from pathlib import Path

from vafa.model.errors import PortError
from vafa.ports import relay_wire as wire
from vafa.ports.link import DescriptorLink

CONNECT_LIMIT_S = 2.0
RELAY_DOWN = "RUN-004"


def connect_relay(path: Path, terminal: str) -> DescriptorLink:
    """Asks the relay at `path` for the copies of a terminal's line. PortError when no relay is there."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(CONNECT_LIMIT_S)
    try:
        line.connect(str(path))
        line.sendall(wire.encode(wire.HELLO, 0, terminal.encode()))
    except OSError as error:
        line.close()
        raise PortError(
            f"the relay does not answer at {path} ({error.strerror or error})",
            fix="sudo systemctl start vafa-relay; if it stops again: journalctl -u vafa-relay -n 50",
            code=RELAY_DOWN,
        ) from error
    line.settimeout(0)
    return DescriptorLink(line.fileno(), f"relay {terminal}", line.close)
