"""Several terminals on one device: eight lanes of one daemon, each with ten payments a second.

Half of the pretend terminals are on ptys, half on TCP; a cash register for each asks the local protocol for
sales at seeded moments, so that lanes meet as they do in a shop. How long an award took is the daemon's own
word (`vafa why`): from the decoded approval to its commit, waiting for other lanes counted. Every payment
must be awarded once, and nobody may be refused.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from math import ceil
from pathlib import Path
from random import Random
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from vafa.cli.measure.figures import Measured, percentile
from vafa.cli.measure.running import daemon, write_config_of
from vafa.cli.measure.stage import every_card
from vafa.model.errors import PortError

if TYPE_CHECKING:
    from vafa.simulators.sadad import Terminal

LANES = 8
PER_S = 10.0
ROUND_S = 6.0  # 480 sales: the daemon remembers the times of its last 500
CUSTOMER_PAYS_S = 0.01
ANSWER_WITHIN_S = 20.0
_SEED = 11


def measure_lanes(directory: Path, state: Path, seconds: float) -> list[Measured]:
    """So many seconds of sales on the ledger in `state`, in rounds of ROUND_S at most."""
    with ExitStack() as stack:
        short = Path(stack.enter_context(TemporaryDirectory(prefix="vafa-")))  # sockets need short paths
        terminals, addresses = _terminals(directory, stack)
        config = write_config_of(short, state, addresses)
        with daemon(config):
            registers = [stack.enter_context(_connected(short / "local.sock")) for _ in terminals]
            control = stack.enter_context(_connected(short / "control.sock"))
            took_s: list[float] = []
            with floors(directory) as floors_s:
                numbers: list[str] = []
                for number in range(ceil(seconds / ROUND_S)):
                    sales = round(min(ROUND_S, seconds - number * ROUND_S) * PER_S)
                    paid = _round(number, sales, registers, list(addresses))
                    took_s += [_award_s(control, sale) for sale in paid]
                    numbers += paid
        log = (short / "log").read_text(errors="replace")
    sold = sum(terminal.sales_asked for terminal in terminals)
    awarded = _awards(state, list(addresses))
    if not len(numbers) == sold == awarded or "locked" in log:
        raise PortError(
            f"{sold} sales on {LANES} lanes: {len(numbers)} answered, {awarded} awarded, or a lock"
        )
    p99_s, floor_p99_s = percentile(took_s, 0.99), percentile(floors_s, 0.99)
    means = f"means {fmean(took_s) * 1000:.2f} on {fmean(floors_s) * 1000:.2f} ms"
    note = f"award {p99_s * 1000:.2f} ms at p99, {means}, the slowest {max(took_s) * 1000:.1f} ms;\n"
    note += f"{sold:,} payments, each awarded once"
    return [Measured("lanes_p99", p99_s / floor_p99_s, floor_p99_s * 1000, "ms", note)]


def _terminals(directory: Path, stack: ExitStack) -> tuple[list["Terminal"], dict[str, str]]:
    """The pretend terminals, and the address of each terminal id."""
    from vafa.simulators.pty_line import serve_pty
    from vafa.simulators.sadad import Terminal
    from vafa.simulators.tcp_line import serve_tcp

    cards = every_card()
    terminals, addresses = [], {}
    for lane in range(LANES):
        terminal = Terminal(tid=f"4021774{lane}", cards=cards, pay_after_s=CUSTOMER_PAYS_S)
        if lane % 2:
            line = stack.enter_context(serve_pty(terminal, directory / f"tty{lane}"))
            addresses[terminal.tid] = line.address
        else:
            line = stack.enter_context(serve_tcp(terminal))
            addresses[terminal.tid] = f"tcp:{line.address}"
        terminals.append(terminal)
    return terminals, addresses


class Asker:
    """A connection to the daemon: one JSON line there, one back."""

    def __init__(self, line: socket.socket) -> None:
        line.settimeout(ANSWER_WITHIN_S)
        self._line, self._answers = line, line.makefile("rb")

    def ask(self, **message: Any) -> dict[str, Any]:
        self._line.sendall(msgspec.json.encode(message) + b"\n")
        answer: dict[str, Any] = msgspec.json.decode(self._answers.readline())
        return answer

    def close(self) -> None:
        self._answers.close()
        self._line.close()


def _connected(path: Path) -> "closing[Asker]":
    line = socket.socket(socket.AF_UNIX)
    line.connect(str(path))
    return closing(Asker(line))


def _round(number: int, sales: int, registers: list[Asker], ids: list[str]) -> list[str]:
    """So many sales on each lane, all lanes at once; our number of each payment."""
    begin = time.monotonic() + 0.2
    paid: list[str] = []
    refused: list[str] = []

    def lane(index: int) -> None:
        moments = Random(_SEED * number + index)  # noqa: S311 - when customers come, no secret
        for count in range(sales):
            until_s = begin + (count + moments.random()) / PER_S - time.monotonic()
            time.sleep(max(0.0, until_s))
            amount = 100_000 + 1_000 * count
            sold = registers[index].ask(
                op="sell", request=f"lanes-{number}-{index}-{count}", amount=amount, terminal=ids[index]
            )
            if sold.get("outcome") == "approved":
                paid.append(sold["paid"]["number"])
            else:
                refused.append(str(sold))

    threads = [threading.Thread(target=lane, args=(index,)) for index in range(len(registers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        raise PortError(f"{len(refused)} of the lanes' sales were not approved, the first: {refused[0]}")
    return paid


def _awards(state: Path, ids: list[str]) -> int:
    """How many payments of these terminals the ledger has, now that its daemon has ended."""
    from vafa.ledger.storage import connect_reader, ledger_path

    with closing(connect_reader(ledger_path(state))) as connection:
        counted = (
            connection.execute("SELECT count(*) FROM payment WHERE tid = ?", (tid,)).fetchone() for tid in ids
        )
        return sum(count for (count,) in counted)


def _award_s(control: Asker, sale: str) -> float:
    """From the decoded approval to the commit, as the daemon saw it."""
    told = control.ask(do="why", sale=sale)
    at_ms = {moment["what"]: moment["ms"] for moment in told["moments"]}
    took_ms: float = at_ms["durable"] - at_ms["heard"]
    return took_ms / 1000


@contextmanager
def floors(directory: Path) -> Iterator[list[float]]:
    """Floor writes at their own pace for as long as the block runs; filled at its end, in seconds.

    In a process of their own: what they take must not hold the threads of this one.
    """
    found: list[float] = []
    command = [sys.executable, "-m", "vafa.cli.measure.floor", str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        try:
            yield found
        finally:
            told, _ = writer.communicate()
        found += msgspec.json.decode(told, type=list[float])
