"""Real processes: the daemon reads the terminal's list through the real relay, and nobody else notices.

The pretend terminal sits behind TCP or a pty; the cash register knows bytes only.
"""

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from relayed import Process, PtyPort, far_socket, until
from relayed_shop import Books, Line, configure, register_sells

from vafa.model.events import Kind
from vafa.ports.relay_lending import HELD_S_MAX
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp

TID = "40217736"
SLACK_S = 2.0  # two busy cores; the bound itself is a constant of the relay's
GONE = "the relay ended while copies of what crossed were unread"


class Shop:
    """A relay and a daemon before the pretend terminal; `sell` is one sale of the cash register's."""

    def __init__(self, terminal: Terminal, line: Line, sell: Callable[[int, str], bytes]) -> None:
        self.terminal, self.line, self.sell = terminal, line, sell
        self.books = line.books

    def references(self) -> list[str]:
        """Of all sales the terminal knows."""
        return sorted(record.rrn for record in self.terminal.journal)

    def awarded(self) -> list[str]:
        return sorted(reference for reference, _ in self.books.awards())

    def set_baseline(self) -> None:
        """One sale, and the first list read."""
        self.sell(105_000, "bill-1")
        until(lambda: self.books.has(Kind.BASELINE), "the list is not read")
        until(lambda: len(self.books.awards()) == 1, "not awarded")

    def begin_a_borrowing(self) -> None:
        """The daemon has the line, and its question is not answered: for seconds, if nobody else wants it."""
        assert self.line.daemon.end(signal.SIGTERM) == 0
        self.line.restart_daemon()
        self.sell(106_000, "bill-2")
        self.terminal.fault("deaf", 1)
        until(lambda: "deaf" not in self.terminal.faults.waiting(), "the line is not borrowed")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    terminal = Terminal(tid=TID)
    with serve_tcp(terminal) as served:
        line = Line(tmp_path, int(served.address.rpartition(":")[2]))

        def sell(amount: int, bill: str) -> bytes:
            with socket.create_connection(("127.0.0.1", line.port)) as register:
                return register_sells(far_socket(register), amount, bill)

        yield Shop(terminal, line, sell)
        line.end()


@pytest.fixture
def serial_shop(tmp_path: Path) -> Iterator[Shop]:
    terminal, register = Terminal(tid=TID, tail=b"\n"), PtyPort()
    with serve_pty(terminal, tmp_path / "tty"):
        line = Line.__new__(Line)
        configure(tmp_path, register.path, str(tmp_path / "tty"))
        line.directory, line.books = tmp_path, Books(tmp_path)
        line.relay = Process(tmp_path, "relay").ready()
        line.daemon = Process(tmp_path, "run").ready()
        until(lambda: (tmp_path / "relay.log").read_text().endswith("line open\n"), "the ports do not open")
        yield Shop(terminal, line, lambda amount, bill: register_sells(register.far, amount, bill, b"\n"))
        line.end()
    register.close()


@pytest.fixture(params=["tcp", "serial"])
def either(request: pytest.FixtureRequest) -> Shop:
    shop: Shop = request.getfixturevalue("shop" if request.param == "tcp" else "serial_shop")
    return shop


def test_keypad_sales_made_while_the_daemon_was_dead_are_found_on_the_idle_line(either: Shop) -> None:
    either.set_baseline()
    either.line.daemon.end(signal.SIGKILL)
    either.terminal.key_sale(77_000)
    either.sell(106_000, "bill-2")
    either.line.restart_daemon()
    until(lambda: either.awarded() == either.references(), "not all are awarded")
    assert either.books.gaps() == []


@pytest.mark.parametrize("befalls", ["nothing", "SIGKILL", "SIGSTOP", "SIGTERM"])
def test_a_sale_begun_in_the_middle_of_a_borrowing_gets_its_answer_in_time_whatever_befalls_the_daemon(
    either: Shop, befalls: str
) -> None:
    either.set_baseline()
    either.begin_a_borrowing()
    daemon = either.line.daemon
    if befalls == "SIGKILL":
        daemon.end(signal.SIGKILL)
    elif befalls != "nothing":
        daemon.process.send_signal(signal.Signals[befalls])
    begun = time.monotonic()
    answer = either.sell(107_000, "bill-3")
    assert time.monotonic() - begun < HELD_S_MAX + SLACK_S
    assert b"1\x000\x007\x000\x000\x000\x00" in answer
    if befalls == "SIGSTOP":
        daemon.process.send_signal(signal.SIGCONT)
    elif befalls != "nothing":
        daemon.end(signal.SIGKILL)
        either.line.restart_daemon()
    until(lambda: len(either.awarded()) == 3, "not all are awarded")
    assert either.awarded() == either.references()
    assert either.books.gaps() == []


def test_a_gap_of_a_killed_relay_heals_by_the_list_and_each_sale_is_awarded_once(shop: Shop) -> None:
    shop.set_baseline()
    shop.line.daemon.end(signal.SIGKILL)
    for number in range(5):
        shop.sell(200_000 + number, f"bill-{number}")
    shop.line.relay.end(signal.SIGKILL)
    shop.line.restart_relay()
    shop.line.restart_daemon()
    until(lambda: shop.books.gaps() == [GONE], "no gap")
    assert shop.books.open_gaps() == 1
    shop.sell(106_000, "bill-9")
    until(lambda: shop.books.open_gaps() == 0, "the gap stays")
    assert shop.awarded() == shop.references()


def test_with_poll_off_the_same_gap_stays_for_a_person(tmp_path: Path) -> None:
    terminal = Terminal(tid=TID)
    with serve_tcp(terminal) as served:
        line = Line(tmp_path, int(served.address.rpartition(":")[2]), poll=False)
        line.daemon.end(signal.SIGKILL)
        with socket.create_connection(("127.0.0.1", line.port)) as register:
            register_sells(far_socket(register), 105_000, "bill-1")
        line.relay.end(signal.SIGKILL)
        line.restart_relay()
        line.restart_daemon()
        until(lambda: line.books.gaps() == [GONE], "no gap")
        with socket.create_connection(("127.0.0.1", line.port)) as register:
            register_sells(far_socket(register), 106_000, "bill-2")
        until(lambda: len(line.books.awards()) == 1, "the next one is not awarded")
        assert not line.books.has(Kind.BASELINE)
        line.end()
    assert line.books.open_gaps() == 1
    assert [order for _, order in line.books.awards()] == ["bill-2"]
