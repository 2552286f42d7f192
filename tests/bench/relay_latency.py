"""What the relay adds to a chunk: `PYTHONPATH=tests python tests/bench/relay_latency.py [rounds]`. No test.

Round trips over loopback TCP, in turns over a direct line and over one through a real `vafa relay` with a
daemon's reader on it; half the difference of each percentile is what one chunk costs. Once as it is nearly
always, and once in the minutes after a borrowing was cut off, when the relay looks at what the terminal says.
"""

import contextlib
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

from relayed import TID, FeedReader, Process, free_port

from vafa.codecs.sadad_frames import encode
from vafa.codecs.sadad_journal import JournalRequest, journal_request_frame
from vafa.ports import relay_wire as wire
from vafa.ports.relay_lending import QUIET_S

CHUNK = bytes(284)
GOAL_MS = 2.0


def echo(listener: socket.socket) -> None:
    """A terminal that answers each chunk with the same."""
    while True:
        line, _ = listener.accept()
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_echo_line, args=(line,), daemon=True).start()


def _echo_line(line: socket.socket) -> None:
    with line:
        while data := line.recv(65_536):
            line.sendall(data)


class Daemon:
    """Acknowledges what it hears; borrows the line once, and is cut off in the middle of its question."""

    def __init__(self, reader: FeedReader) -> None:
        self.reader = reader
        self.newest = 0
        self.is_over = threading.Event()

    def read_all(self) -> None:
        with contextlib.suppress(OSError, AssertionError):  # the relay is ended at the end
            while True:
                message = self.reader.next()
                if message.kind == wire.LENT:  # the terminal here is an echo: no answer, so it is over
                    question = journal_request_frame(JournalRequest(with_order_ids=True))
                    self.reader.say(wire.ASK, encode(question))
                elif message.kind == wire.OVER:
                    self.is_over.set()
                elif message.number:
                    self.newest = message.number
                    self.reader.tell(wire.ACK, message.number)

    def borrow(self) -> None:
        time.sleep(QUIET_S + 0.2)
        self.reader.tell(wire.BORROW, self.newest)
        assert self.is_over.wait(10), "not lent"


def round_trip_ms(line: socket.socket) -> float:
    """One chunk there and back."""
    started = time.perf_counter()
    line.sendall(CHUNK)
    left = len(CHUNK)
    while left:
        left -= len(line.recv(left))
    return (time.perf_counter() - started) * 1000


def percentile(values: list[float], share: float) -> float:
    """The value below which so great a share lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(rounds: int, *, borrowed: bool) -> tuple[list[float], list[float], int]:
    """(direct, relayed) round trips in ms, and the relay's memory in KiB."""
    with tempfile.TemporaryDirectory() as place, socket.create_server(("127.0.0.1", 0)) as listener:
        directory, port = Path(place), free_port()
        terminal = listener.getsockname()
        (directory / "config.toml").write_text(
            '[shop]\nname = "x"\n[relay]\nsocket = "relay.sock"\ndirectory = "relay"\n[[terminal]]\n'
            f'id = "{TID}"\nmode = "proxy"\nlisten = "tcp:127.0.0.1:{port}"\n'
            f'address = "tcp:127.0.0.1:{terminal[1]}"\n'
        )
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        relay = Process(directory, "relay").ready()
        reader = FeedReader(directory / "relay.sock")
        daemon = Daemon(reader)
        threading.Thread(target=daemon.read_all, daemon=True).start()
        lines = [socket.create_connection(terminal), socket.create_connection(("127.0.0.1", port))]
        found: tuple[list[float], list[float]] = ([], [])
        for line in lines:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            round_trip_ms(line)
        if borrowed:
            daemon.borrow()
            rest = lines[1].recv(65_536)  # the question came back, as nobody's answer
            assert rest, "the line is gone"
        for _ in range(rounds):
            for line, values in zip(lines, found, strict=True):
                values.append(round_trip_ms(line))
        status = Path(f"/proc/{relay.process.pid}/status").read_text()
        memory_kb = int(status.split("VmRSS:")[1].split()[0])
        relay.process.terminate()
        relay.process.wait()
    return *found, memory_kb


def judged(rounds: int, what: str, *, borrowed: bool) -> bool:
    """Writes one comparison; True when the goal is met."""
    direct, relayed, memory_kb = measure(rounds, borrowed=borrowed)
    lines = [f"{what}: {rounds} round trips of {len(CHUNK)} bytes, ms; the relay takes {memory_kb} KiB"]
    added = {}
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        one, two = percentile(direct, share), percentile(relayed, share)
        added[name] = (two - one) / 2
        lines.append(f"  {name:<6} direct {one:7.3f}   relayed {two:7.3f}   added a chunk {added[name]:7.3f}")
    missed = added["p99"] > GOAL_MS
    lines.append(f"  goal: at most {GOAL_MS} ms added a chunk at p99: {'missed' if missed else 'met'}")
    sys.stdout.write("\n".join(lines) + "\n")
    return not missed


def main() -> int:
    """Writes both comparisons; 1 when a goal is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    met = [
        judged(rounds, "the line as ever", borrowed=False),
        judged(rounds, "after a cut-off", borrowed=True),
    ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
