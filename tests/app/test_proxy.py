"""Real processes: a cash register, the relay, the daemon killed and stopped, a pretend terminal.

The cash register knows bytes and sockets only. Whatever happens to the daemon, its line is byte-identical;
every approval is awarded once, or a gap is posted.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from relayed import Process, PtyPort, connected, far_socket, free_port, until
from relayed_shop import ACK, Books, Line, configure, register_sells
from sadad_talk import TID, request, response

from vafa.cli import relay
from vafa.model.errors import ConfigError
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp


@pytest.fixture
def terminal_listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


@pytest.fixture
def line(tmp_path: Path, terminal_listener: socket.socket) -> Iterator[Line]:
    it = Line(tmp_path, terminal_listener.getsockname()[1])
    yield it
    it.end()


def stopped(line: Line) -> None:
    assert line.daemon.end(signal.SIGTERM) == 0


def killed(line: Line) -> None:
    line.daemon.end(signal.SIGKILL)


def running(_line: Line) -> None:
    """Nothing happens to it."""


@pytest.mark.parametrize("befalls", [running, stopped, killed])
@pytest.mark.parametrize("cut", [1, 150, 283])
def test_a_response_crosses_unchanged_and_is_awarded_once_whatever_befalls_the_daemon_in_its_middle(
    line: Line, terminal_listener: socket.socket, befalls: Callable[[Line], None], cut: int
) -> None:
    approval = response()
    with connected(line.port, terminal_listener) as (register, terminal):
        register.say(request())
        assert terminal.hear(len(request())) == request()
        terminal.say(approval[:cut])
        assert register.hear(cut) == approval[:cut]
        befalls(line)
        terminal.say(approval[cut:])
        assert register.hear(len(approval) - cut) == approval[cut:]
        register.say(ACK)
        assert terminal.hear(len(ACK)) == ACK
        if befalls is not running:
            line.restart_daemon()
        until(lambda: len(line.books.awards()) == 1, "not awarded")
        terminal.say(approval)  # the terminal missed our ACK: it says it again
        assert register.hear(len(approval)) == approval
        terminal.say(response(rrn="320062616117"))
        until(lambda: len(line.books.awards()) == 2, "the next one is not awarded")
    assert line.books.awards() == [("320062616116", "bill-7"), ("320062616117", "")]
    assert line.books.gaps() == []


def test_a_whole_morning_without_a_daemon_is_awarded_when_it_is_back(
    line: Line, terminal_listener: socket.socket
) -> None:
    killed(line)
    rrns = [f"3200626{number:05d}" for number in range(40)]
    for rrn in rrns:
        with connected(line.port, terminal_listener) as (register, terminal):
            register.say(request(order_id=rrn[-5:]))
            terminal.hear(len(request(order_id=rrn[-5:])))
            terminal.say(response(rrn=rrn))
            register.hear(len(response(rrn=rrn)))
    line.restart_daemon()
    until(lambda: len(line.books.awards()) == len(rrns), "not all are awarded")
    assert line.books.awards() == [(rrn, rrn[-5:]) for rrn in rrns]
    assert line.books.gaps() == []


def test_more_than_the_ring_holds_is_a_gap_and_what_it_holds_is_awarded(
    line: Line, terminal_listener: socket.socket
) -> None:
    stopped(line)
    with connected(line.port, terminal_listener) as (register, terminal):
        for number in range(1000):  # 300 KiB
            terminal.say(response(rrn=f"3200626{number:05d}"))
            register.hear(len(response()))
    line.restart_daemon()
    until(lambda: ("320062600999", "") in line.books.awards(), "the newest is not awarded")
    assert line.books.gaps() == ["more crossed the line than the relay could keep while vafa was away"]
    assert 700 < len(line.books.awards()) < 1000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_relay_that_ends_with_approvals_unread_is_a_gap(
    line: Line, terminal_listener: socket.socket, number: signal.Signals
) -> None:
    stopped(line)
    with connected(line.port, terminal_listener) as (register, terminal):
        terminal.say(response())
        register.hear(len(response()))
    line.relay.end(number)
    line.restart_relay()
    line.restart_daemon()
    until(lambda: len(line.books.gaps()) == 1, "no gap")
    assert line.books.awards() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_relay_that_ends_with_all_read_is_no_gap_and_the_daemon_listens_again(
    line: Line, terminal_listener: socket.socket, number: signal.Signals
) -> None:
    for rrn in ("320062616116", "320062616117"):
        with connected(line.port, terminal_listener) as (register, terminal):
            terminal.say(response(rrn=rrn))
            register.hear(len(response()))
        until(lambda rrn=rrn: (rrn, "") in line.books.awards(), "not awarded")  # type: ignore[misc]
        marks = [line.directory / f"{TID}.unread", line.directory / f"relay/{TID}.unread"]
        until(lambda marks=marks: {m.read_bytes() for m in marks} == {b"0"}, "not acknowledged")  # type: ignore[misc]
        line.relay.end(number)
        line.restart_relay()
    assert line.books.gaps() == []


def test_the_line_does_not_wait_for_a_daemon_that_is_stopped_in_its_tracks(
    line: Line, terminal_listener: socket.socket
) -> None:
    line.daemon.process.send_signal(signal.SIGSTOP)
    with connected(line.port, terminal_listener) as (register, terminal):
        for number in range(20):
            terminal.say(response(rrn=f"3200626{number:05d}"))
            register.hear(len(response()))
    assert line.books.awards() == []
    line.daemon.process.send_signal(signal.SIGCONT)
    until(lambda: len(line.books.awards()) == 20, "not awarded")
    assert line.books.gaps() == []


def test_a_cash_register_sells_through_a_tcp_line_of_the_pretend_terminal(tmp_path: Path) -> None:
    terminal = Terminal(tid=TID)
    with serve_tcp(terminal) as served:
        line = Line(tmp_path, int(served.address.rpartition(":")[2]))
        for bill in ("bill-1", "bill-2"):
            with socket.create_connection(("127.0.0.1", line.port)) as register:
                register_sells(far_socket(register), 125_000, bill)
        wanted = [(record.rrn, record.order_id) for record in terminal.journal]
        until(lambda: line.books.awards() == wanted, "not awarded")
        line.end()
    assert [order for _, order in wanted] == ["bill-1", "bill-2"]


def test_a_cash_register_sells_through_a_serial_pair_and_no_card_number_is_in_any_file(
    tmp_path: Path,
) -> None:
    terminal = Terminal(tid=TID, tail=b"\n")
    terminal.fault("full-pan", times=-1)
    register = PtyPort()
    with serve_pty(terminal, tmp_path / "tty"):
        configure(tmp_path, register.path, str(tmp_path / "tty"))
        relay = Process(tmp_path, "relay").ready()
        daemon = Process(tmp_path, "run").ready()
        books = Books(tmp_path)
        until(lambda: (tmp_path / "relay.log").read_text().endswith("line open\n"), "the ports do not open")
        answers = [register_sells(register.far, 105_000, "bill-1", b"\n")]
        until(lambda: len(books.awards()) == 1, "not awarded")
        daemon.end(signal.SIGKILL)
        answers.append(register_sells(register.far, 210_000, "bill-2", b"\n"))
        daemon = Process(tmp_path, "run").ready()
        until(lambda: len(books.awards()) == 2, "not awarded after the restart")
        assert daemon.end(signal.SIGTERM) == 0
        assert relay.end(signal.SIGTERM) == 0
    register.close()
    assert (books.gaps(), books.whole()) == ([], True)
    numbers = {card.number for card in terminal.cards}
    shown = [answer.decode("latin-1").replace("\0", "") for answer in answers]
    assert all(any(number in text for number in numbers) for text in shown)  # they did cross
    for path in tmp_path.rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            for number in numbers:
                assert number.encode() not in held, path
                assert number.encode("utf-16-le") not in held, path


def test_a_relay_without_a_line_to_forward_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'[shop]\nname = "x"\n[[terminal]]\nid = "{TID}"\n')
    relay = Process(tmp_path, "relay")
    assert relay.process.wait(30) == 2
    relay.end(signal.SIGTERM)
    assert "nothing to forward" in (tmp_path / "relay.log").read_text()


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The measuring tool brings modules of its own into the processes it measures."""
    for name in [each for each in os.environ if each.startswith("COVERAGE")]:
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("unmeasured")
def test_the_relay_loads_nothing_but_what_forwarding_takes(line: Line) -> None:
    """It runs for months beside a payment application: no ledger, no log, no click, no OpenSSL."""
    maps = Path(f"/proc/{line.relay.process.pid}/maps").read_text()
    assert not {name for name in ("_sqlite3", "libcrypto", "_ssl", "_asyncio") if name in maps}
    script = "import sys, vafa.cli.serve_relay, vafa.app.config, vafa.ports.relay; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not set(told.stdout.split()) & {"structlog", "click", "hashlib", "vafa.ledger", "vafa.app.lane"}


def test_the_relay_is_started_by_hand_and_by_a_person_who_asks_for_help(tmp_path: Path) -> None:
    told = CliRunner().invoke(relay.command, ["--help"])
    assert "Forward every byte" in told.output
    (tmp_path / "c.toml").write_text(f'[shop]\nname = "x"\n[[terminal]]\nid = "{TID}"\n')
    refused = CliRunner().invoke(relay.command, ["--config", str(tmp_path / "c.toml")])
    assert isinstance(refused.exception, ConfigError)


def test_an_absent_relay_is_what_status_says_first(tmp_path: Path) -> None:
    configure(tmp_path, f"tcp:127.0.0.1:{free_port()}", f"tcp:127.0.0.1:{free_port()}")
    daemon = Process(tmp_path, "run").ready()
    status = [sys.executable, "-m", "vafa.cli.main", "status", "--json", "--config"]
    told = subprocess.run(
        [*status, str(tmp_path / "config.toml")], capture_output=True, text=True, check=False
    )
    assert daemon.end(signal.SIGTERM) == 0
    found = json.loads(told.stdout)
    assert (told.returncode, found["verdict"], found["trouble"][0]["code"]) == (20, "broken", "RUN-004")
    assert "systemctl start vafa-relay" in found["trouble"][0]["fix"]
