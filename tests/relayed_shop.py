"""A shop whose cash register's line runs through the real relay: its processes, its ledger, its register."""

import signal
from pathlib import Path

from relayed import Far, Process, free_port
from sadad_talk import TID, request

from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import verify
from vafa.model.events import Award, GapDetected, Kind

INM = bytes.fromhex("02303036303030f103f4")
ACK = bytes.fromhex("02303036303030060303")


def configure(directory: Path, listen: str, address: str, *, poll: bool = True) -> None:
    (directory / "config.toml").write_text(
        '[shop]\nname = "Negin"\n[ledger]\ndirectory = "state"\n[local]\nsocket = "local.sock"\n'
        '[control]\nsocket = "control.sock"\n[relay]\nsocket = "relay.sock"\ndirectory = "relay"\n'
        f'[[terminal]]\nid = "{TID}"\nmode = "proxy"\nlisten = "{listen}"\naddress = "{address}"\n'
        f"poll = {str(poll).lower()}\n"
    )


def register_sells(line: Far, amount: int, order_id: str, tail: bytes = b"") -> bytes:
    """INM, ACK, REQUEST, ACK, RESPONSE, ACK as a cash register does; the RESPONSE."""
    line.say(INM)
    assert line.hear(len(ACK + tail)) == ACK + tail
    line.say(request(amount, order_id))
    assert line.hear(len(ACK + tail)) == ACK + tail
    head = line.hear(4)
    answer = head + line.hear(int(head[1:4]) + len(tail))
    line.say(ACK)
    return answer


class Books:
    """The ledger, read from outside."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "state/ledger.db"

    def awards(self) -> list[tuple[str, str]]:
        """(RRN, order id) of each award."""
        return [(e.paid.key.ref, e.paid.order_id) for e in self._of(Kind.AWARD) if isinstance(e, Award)]

    def gaps(self) -> list[str]:
        return [e.why for e in self._of(Kind.GAP_DETECTED) if isinstance(e, GapDetected)]

    def whole(self) -> bool:
        connection = connect_reader(self._path)
        try:
            return verify(connection, lambda *_: "").bad == ()
        finally:
            connection.close()

    def open_gaps(self) -> int:
        connection = connect_reader(self._path)
        try:
            return len(reads.open_gaps(connection))
        finally:
            connection.close()

    def has(self, kind: Kind) -> bool:
        return bool(self._of(kind))

    def _of(self, kind: Kind) -> list[object]:
        connection = connect_reader(self._path)
        try:
            return [each.event for each in reads.entries(connection, 0, (kind,))]
        finally:
            connection.close()


class Line:
    """The real relay on a TCP line in front of a raw terminal; the daemon comes and goes."""

    def __init__(self, directory: Path, terminal_port: int, *, poll: bool = True) -> None:
        self.directory = directory
        self.port = free_port()
        configure(directory, f"tcp:127.0.0.1:{self.port}", f"tcp:127.0.0.1:{terminal_port}", poll=poll)
        self.relay = Process(directory, "relay").ready()
        self.daemon = Process(directory, "run").ready()
        self.books = Books(directory)

    def restart_daemon(self) -> None:
        self.daemon = Process(self.directory, "run").ready()

    def restart_relay(self) -> None:
        self.relay = Process(self.directory, "relay").ready()

    def end(self) -> None:
        assert self.daemon.end(signal.SIGTERM) in (0, -signal.SIGKILL)
        assert self.relay.end(signal.SIGTERM) in (0, -signal.SIGKILL)
        assert self.books.whole()
