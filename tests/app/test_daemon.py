"""The real daemon process: ready, one sale, SIGTERM with a payment in hand, kill -9, a second daemon."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import verify
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp

TID = "40217736"
PATIENCE_S = 30.0


class Daemon:
    """`vafa run` as systemd starts it: its own process, told where to say READY."""

    def __init__(self, directory: Path, terminals: str) -> None:
        self.directory = directory
        config = directory / "config.toml"
        if not config.exists():
            config.write_text(
                '[shop]\nname = "کافه نگین"\n[ledger]\ndirectory = "state"\n[local]\nsocket = "local.sock"\n'
                f'[control]\nsocket = "control.sock"\n{terminals}',
                encoding="utf-8",
            )
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.settimeout(PATIENCE_S)
        address = directory / f"notify.{os.urandom(3).hex()}"
        self._manager.bind(str(address))
        self.log = (directory / "log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vafa.cli.main", "run", "--config", str(config)],
            env=os.environ | {"NOTIFY_SOCKET": str(address)},
            stderr=self.log,
        )

    def told(self, word: str) -> str:
        """Waits until systemd would have heard `word`; what was said with it."""
        while word not in (said := self._manager.recv(4096).decode()):
            pass
        return said

    def ask(self, **message: Any) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S)
            line.connect(str(self.directory / "local.sock"))
            line.sendall(json.dumps(message).encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile().readline())
            return answer

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._manager.close()
        self.log.close()
        return code


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path, f'[[terminal]]\nid = "{TID}"\nmode = "local"\n')
    daemon.told("READY=1")
    yield daemon
    if daemon.process.poll() is None:
        daemon.end(signal.SIGKILL)


def rows(directory: Path) -> int:
    connection = connect_reader(directory / "state/ledger.db")
    try:
        found = verify(connection, lambda *_: "")
    finally:
        connection.close()
    assert found.bad == ()
    return found.awards


def pay(daemon: Daemon, ref: str) -> dict[str, Any]:
    return daemon.ask(op="payment", terminal=TID, ref=ref, amount=125_000, id=7)


def test_a_payment_is_awarded_and_a_stopped_daemon_leaves_all_in_order(local: Daemon, tmp_path: Path) -> None:
    answer = pay(local, "bill-1")
    assert (answer["answer"], answer["points"], answer["id"]) == ("paid", 12, 7)
    assert "\u06f1\u06f2 امتیاز برای این کارت محفوظ است" in answer["lines"]
    assert (tmp_path / "local.sock").stat().st_mode & 0o777 == 0o660
    assert local.end(signal.SIGTERM) == 0
    assert not (tmp_path / "local.sock").exists()
    assert rows(tmp_path) == 1


def test_what_was_answered_is_there_after_kill_9_and_answered_alike(local: Daemon, tmp_path: Path) -> None:
    first = pay(local, "bill-1")
    local.end(signal.SIGKILL)
    again = Daemon(tmp_path, "")
    try:
        again.told("READY=1")
        assert pay(again, "bill-1") == first
    finally:
        assert again.end(signal.SIGTERM) == 0
    assert rows(tmp_path) == 1


def test_a_second_daemon_on_the_same_ledger_is_refused_and_harms_nothing(
    local: Daemon, tmp_path: Path
) -> None:
    other = subprocess.run(
        [sys.executable, "-m", "vafa.cli.main", "run", "--config", str(tmp_path / "config.toml")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert other.returncode == 1
    assert "another vafa writes the ledger" in other.stderr
    assert "Traceback" not in other.stderr
    assert pay(local, "bill-2")["answer"] == "paid"


def refused(directory: Path) -> str:
    """What `vafa run` says when it does not start."""
    told = subprocess.run(
        [sys.executable, "-m", "vafa.cli.main", "run", "--config", str(directory / "config.toml")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    return told.stderr


def test_a_ledger_without_its_key_is_refused_and_gets_no_new_one(local: Daemon, tmp_path: Path) -> None:
    assert local.end(signal.SIGTERM) == 0
    (tmp_path / "state/keys/device.key").unlink()
    assert "[KEY-001]" in refused(tmp_path)
    assert not (tmp_path / "state/keys/device.key").exists()


def test_a_ledger_is_not_written_with_another_s_key(local: Daemon, tmp_path: Path) -> None:
    pay(local, "bill-1")
    assert local.end(signal.SIGTERM) == 0
    (tmp_path / "state/keys/device.key").write_text("5a" * 32 + "\n")
    assert "not the one this ledger was begun with" in refused(tmp_path)
    assert rows(tmp_path) == 1


def test_every_config_fault_is_told_at_once_and_nothing_is_started(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[shop]\nnam = "x"\n[[terminal]]\nbaud = 7\n')
    told = subprocess.run(
        [sys.executable, "-m", "vafa.cli.main", "run", "--config", str(tmp_path / "config.toml")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert told.returncode == 2
    for place in ("shop.nam", "terminal[0].baud", "terminal[0].id"):
        assert place in told.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "config.toml"]


def test_a_terminal_that_is_only_listened_to_is_asked_for_nothing_and_its_keypad_sales_earn(
    tmp_path: Path,
) -> None:
    terminal, listed = Terminal(tid=TID), threading.Event()
    terminal.say = lambda text: listed.set() if text.startswith("lists") else None
    with serve_tcp(terminal) as line:
        settings = f'[[terminal]]\nid = "{TID}"\naddress = "tcp:{line.address}"\nmode = "poll"\n'
        for _baseline_then_sale in range(2):
            terminal.key_sale(125_000)
            listed.clear()
            daemon = Daemon(tmp_path, settings)
            daemon.told("READY=1")
            try:
                assert listed.wait(PATIENCE_S)
                refused_here = daemon.ask(op="sell", request="r-1", amount=105, terminal=TID)
                assert (refused_here["answer"], refused_here["code"]) == ("failure", "ASK-003")
                assert "key the sale at the terminal" in refused_here["fix"]
            finally:
                assert daemon.end(signal.SIGTERM) == 0
    assert rows(tmp_path) == 1
    assert terminal.sales_asked == 0


def test_sigterm_finishes_the_payment_in_hand(tmp_path: Path) -> None:
    terminal = Terminal(tid=TID, pay_after_s=1.0)
    with serve_tcp(terminal) as line:
        daemon = Daemon(tmp_path, f'[[terminal]]\nid = "{TID}"\naddress = "tcp:{line.address}"\n')
        daemon.told("READY=1")
        answers: list[dict[str, Any]] = []
        paying = threading.Event()
        terminal.say = lambda text: paying.set() if "asks for" in text else None
        cashier = threading.Thread(
            target=lambda: answers.append(daemon.ask(op="sell", request="r-1", amount=125_000))
        )
        cashier.start()
        assert paying.wait(PATIENCE_S)
        assert daemon.end(signal.SIGTERM) == 0
        cashier.join(PATIENCE_S)
    assert [answer["outcome"] for answer in answers] == ["approved"]
    assert rows(tmp_path) == len(terminal.journal) == 1
