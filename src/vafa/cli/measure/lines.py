"""How soon the receipt's lines are there: from an approval's last byte to the answer on the local socket.

The daemon is a process of its own on a pty; the pretend terminal and the cash register that asked for the
sale sit here, in one loop, so that both moments are read off one clock.
"""

import os
import select
import socket
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import msgspec

from vafa.cli.measure.figures import Measured, percentile
from vafa.cli.measure.floor import Floor
from vafa.cli.measure.running import Running
from vafa.cli.measure.stage import MEMBERS, TERMINAL_ID
from vafa.model.errors import PortError

if TYPE_CHECKING:
    from vafa.simulators.sadad import Terminal

CUSTOMER_PAYS_S = 0.01  # the approval comes apart from the ACK that took the request
ANSWER_WITHIN_S = 20.0
_TURN_S = 0.002
_TYPE_AT, _RESPONSE = 7, b"\x1a"  # STX, LEN 3, VER 3, TYPE (PcPos §2)


class Counter:
    """The terminal's end of the line, and a cash register's connection to the daemon."""

    def __init__(self, master: int, terminal: "Terminal", register: socket.socket) -> None:
        self._master, self._terminal, self._register = master, terminal, register
        self._received = b""

    def sell(self, request: str, amount: int, member: str | None) -> float:
        """One sale; seconds from the approval's last byte on the line to the answer with its lines."""
        asked = {"op": "sell", "request": request, "amount": amount}
        asked |= {"member": member} if member else {}
        self._register.sendall(msgspec.json.encode(asked) + b"\n")
        told_at, give_up = 0.0, time.perf_counter() + ANSWER_WITHIN_S
        while time.perf_counter() < give_up:
            readable, _, _ = select.select([self._master, self._register.fileno()], [], [], _TURN_S)
            if self._register.fileno() in readable:
                answer = self._answer()
                if answer is not None:
                    return self._checked(answer, told_at)
            if self._speak(self._master in readable):
                told_at = time.perf_counter()
        raise PortError(f"the sale {request} had no answer within {ANSWER_WITHIN_S:.0f} s")

    def _speak(self, heard: bool) -> bool:  # noqa: FBT001 - what select said
        """Let the terminal act; True when the last byte of an approval has just been written."""
        now = time.monotonic()
        said = self._terminal.feed(os.read(self._master, 4096), now) if heard else self._terminal.step(now)
        rest = said
        while rest:
            rest = rest[os.write(self._master, rest) :]
        return said[_TYPE_AT : _TYPE_AT + 1] == _RESPONSE

    def _answer(self) -> dict[str, Any] | None:
        self._received += self._register.recv(65_536)
        line, newline, rest = self._received.partition(b"\n")
        if not newline:
            return None
        self._received = rest
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    @staticmethod
    def _checked(answer: dict[str, Any], told_at: float) -> float:
        took_s = time.perf_counter() - told_at
        if answer.get("outcome") != "approved" or not answer["paid"]["lines"]:
            raise PortError(f"a measured sale ended {answer.get('outcome') or answer.get('message')}")
        assert told_at, "the answer came after the approval"
        return took_s


@contextmanager
def terminal_line(link: Path) -> Iterator[tuple[int, "Terminal"]]:
    """A pretend terminal behind a pty whose slave is found at `link`."""
    from vafa.simulators.sadad import Terminal

    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        link.symlink_to(os.ttyname(slave))
        terminal = Terminal(tid=TERMINAL_ID, pay_after_s=CUSTOMER_PAYS_S, tail=b"\n")
        yield master, terminal
    finally:
        link.unlink(missing_ok=True)
        os.close(master)
        os.close(slave)


def measure_lines(running: Running, line: tuple[int, "Terminal"], sales: int, directory: Path) -> Measured:
    """`sales` sales through the running daemon, every second one to a member who said so.

    `directory` lies on the ledger's disk, for the floor beside it.
    """
    took_s, floors_s = [], []
    floor = Floor(directory)
    with socket.socket(socket.AF_UNIX) as register:
        register.connect(str(running.local_socket))
        counter = Counter(*line, register)
        try:
            for number in range(sales):
                member = f"0912{number % MEMBERS:07d}" if number % 2 else None
                floors_s.append(floor.write())
                took_s.append(counter.sell(f"bench-{number}", 100_000 + 1_000 * number, member))
        finally:
            floor.close()
    first, worst = took_s[0] * 1000, max(took_s) * 1000  # the first: while the rest of the daemon begins
    note = f"median {median(took_s) * 1000:.1f}, first {first:.1f}, worst {worst:.1f} ms; {sales} sales"
    return Measured("lines_p99", percentile(took_s, 0.99) * 1000, fmean(floors_s) * 1000, "ms", note)
