"""Real daemons, killed every few seconds, at a terminal where people also pay by keypad: is any sale lost?

    python tests/crash/keypad_soak.py [ecr|proxy] [SALES] [SEED]

Every sale the terminal approved must be awarded, or lie between the two traces of a gap in the journal. For
times the terminal tells no list, so that sales heard live pile up, and while the daemon is dead people key
more sales than a list holds. Not run by pytest: it takes some minutes.
"""

import contextlib
import json
import random
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from relayed import TID, Process, far_socket, until
from relayed_shop import Books, Line, register_sells

from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.model.events import GapDetected, Kind
from vafa.simulators.sadad import Slip, Terminal
from vafa.simulators.sadad_bytes import Message
from vafa.simulators.tcp_line import serve_tcp

PATIENCE_S = 20.0
PAUSES_S = {"ecr": (0.0, 0.0, 0.0, 0.1, 1.0, 11.0), "proxy": (0.0, 0.0, 0.3, 3.0, 13.0)}


class Till:
    """The terminal with its people, the cash register, and the daemon that comes and goes."""

    def __init__(self, directory: Path, mode: str, rng: random.Random) -> None:
        self.directory, self.mode, self.rng = directory, mode, rng
        self.approved: dict[str, tuple[int, bool]] = {}  # reference -> (trace, keyed)
        self.keying = self.is_dumb = False
        self.kills = 0
        self.terminal = Terminal(tid=TID)
        self.terminal.on_slip = self._approved
        self._hear = self.terminal._hear_request
        self.terminal._hear_request = self._request  # type: ignore[method-assign]

    def _approved(self, slip: Slip) -> None:
        self.approved[slip.rrn] = (slip.trace, self.keying)

    def _request(self, message: Message, now: float) -> None:
        if self.is_dumb and message.data.startswith((b"0013", b"0001")):
            self.terminal.fault("nack", 1)
        self._hear(message, now)

    def start(self, port: int) -> None:
        if self.mode == "proxy":
            self.line = Line(self.directory, port)
            self.daemon, self.register = self.line.daemon, self.line.port
            return
        (self.directory / "config.toml").write_text(
            '[shop]\nname = "Negin"\n[ledger]\ndirectory = "state"\n[local]\nsocket = "local.sock"\n'
            '[control]\nsocket = "control.sock"\n'
            f'[[terminal]]\nid = "{TID}"\naddress = "tcp:127.0.0.1:{port}"\n'
        )
        self.daemon = Process(self.directory, "run").ready()

    def key(self, count: int) -> None:
        self.keying = True
        for _ in range(count):
            self.terminal.key_sale(self.rng.randrange(1_000, 90_000))
        self.keying = False

    def sell(self, number: int) -> None:
        """One sale of the cash register's; its end may be cut off."""
        amount = self.rng.randrange(1_000, 90_000)
        with contextlib.suppress(OSError, AssertionError, ValueError):
            if self.mode == "proxy":
                with socket.create_connection(("127.0.0.1", self.register), PATIENCE_S) as line:
                    register_sells(far_socket(line), amount, f"bill-{number}")
                return
            with socket.socket(socket.AF_UNIX) as line:
                line.settimeout(PATIENCE_S)
                line.connect(str(self.directory / "local.sock"))
                request = {"op": "sell", "request": f"r-{number}", "amount": amount}
                line.sendall(json.dumps(request).encode() + b"\n")
                line.recv(65_536)

    def kill(self) -> None:
        """The power goes in the middle of whatever it is, and comes back after a while."""
        self.daemon.end(signal.SIGKILL)
        self.kills += 1
        self.key(self.rng.choice((0, 0, 0, 1, 2, 6, 15)))
        self.daemon = Process(self.directory, "run").ready()

    def end(self) -> None:
        """Until the list was read once more."""
        self.is_dumb = False
        self.key(1)
        last = next(reversed(self.approved))
        books = Books(self.directory)
        until(lambda: last in {ref for ref, _ in books.awards()}, "the last sale is not found")
        self.daemon.end(signal.SIGTERM)
        assert books.whole()
        if self.mode == "proxy":
            self.line.relay.end(signal.SIGTERM)

    def judge(self) -> tuple[int, int, list[str]]:
        """(gaps, sales lost and told, sales lost in silence)."""
        connection = connect_reader(self.directory / "state/ledger.db")
        with contextlib.closing(connection):
            kinds = (Kind.AWARD, Kind.PAYMENT)
            paid = [reads.paid_of(each.event).key.ref for each in reads.entries(connection, 0, kinds)]
            found = [each.event for each in reads.entries(connection, 0, (Kind.GAP_DETECTED,))]
        assert len(paid) == len(set(paid))
        gaps = [
            (int(each.after_trace or 0), int(each.before_trace or 1_000_000))
            for each in found
            if isinstance(each, GapDetected)
        ]
        lost = {ref: self.approved[ref][0] for ref in self.approved if ref not in set(paid)}
        silent = [ref for ref, trace in lost.items() if not any(a < trace < b for a, b in gaps)]
        return len(gaps), len(lost) - len(silent), silent


def soak(directory: Path, mode: str, sales: int, seed: int) -> int:
    rng = random.Random(seed)  # noqa: S311 - not secret
    till = Till(directory, mode, rng)
    with serve_tcp(till.terminal) as served:
        till.start(int(served.address.rpartition(":")[2]))
        until(lambda: Books(directory).has(Kind.BASELINE), "no baseline")
        next_kill = time.monotonic() + rng.uniform(2, 6)
        while len(till.approved) < sales:
            till.sell(len(till.approved) * 1_000 + till.kills)
            if rng.random() < 0.15:
                till.key(rng.choice((1, 1, 1, 3)))
            if rng.random() < 0.06:
                till.is_dumb = not till.is_dumb
            time.sleep(rng.choice(PAUSES_S[mode]))
            if time.monotonic() >= next_kill:
                till.kill()
                next_kill = time.monotonic() + rng.uniform(2, 25 if mode == "proxy" else 8)
        till.end()
    gaps, told, silent = till.judge()
    keyed = sum(keyed for _, keyed in till.approved.values())
    print(  # noqa: T201 - what it is run for
        f"{mode}: {len(till.approved)} sales, {keyed} of them by keypad, {till.kills} kills, {gaps} gaps, "
        f"{told} lost and told, {len(silent)} lost in silence {silent}"
    )
    return len(silent)


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    with tempfile.TemporaryDirectory() as place:
        sys.exit(
            soak(Path(place), given.get(0, "ecr"), int(given.get(1, "250")), int(given.get(2, "1"))) != 0
        )
