"""The real daemon on a real line whose cable comes out while a customer pays, and goes in again."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from relayed import PATIENCE_S, Process, free_port, until

from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import verify
from vafa.model.events import Kind
from vafa.simulators.line import Line
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp

TID = "40217736"
AMOUNT = 125_000
KEYED = 11  # and the sale in hand: one fewer than a list, for the one read before was empty


class Shop:
    """A daemon, its terminal, and a cable between them."""

    def __init__(self, directory: Path, *, over_tcp: bool, poll: bool) -> None:
        self.directory = directory
        self.terminal = Terminal(tid=TID, pay_after_s=3_600.0, tail=b"" if over_tcp else b"\n")
        port = free_port()
        self._serve: Callable[[], Line] = (
            (lambda: serve_tcp(self.terminal, port=port))
            if over_tcp
            else (lambda: serve_pty(self.terminal, directory / "terminal"))
        )
        address = f"tcp:127.0.0.1:{port}" if over_tcp else str(directory / "terminal")
        (directory / "config.toml").write_text(
            '[shop]\nname = "Shop"\n[ledger]\ndirectory = "state"\n[local]\nsocket = "local.sock"\n'
            f'[control]\nsocket = "control.sock"\n[[terminal]]\nid = "{TID}"\naddress = "{address}"\n'
            f"poll = {str(poll).lower()}\n",
            encoding="utf-8",
        )
        self._cable = self._serve()
        self.daemon = Process(directory, "run").ready()

    def has_its_baseline(self) -> None:
        """The empty list was read: what comes from now on is of the club's time."""
        until(lambda: self.status()["terminals"][0].get("polled_age_s") is not None, "no list is read")

    def pull_the_cable(self) -> None:
        self._cable.stop()

    def plug_it_in(self) -> None:
        self._cable = self._serve()

    def the_customer_pays(self) -> None:
        """Whoever stands at the terminal; nothing it says now is heard."""
        self.terminal.step(time.monotonic() + 7_200)
        self.terminal.link_lost()

    def close(self) -> None:
        self.daemon.end(signal.SIGTERM)
        self._cable.stop()

    def vafa(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "vafa.cli.main",
                *arguments,
                "--config",
                str(self.directory / "config.toml"),
            ],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.vafa("status", "--json").stdout)
        return found

    def codes(self) -> set[str]:
        return {trouble["code"] for trouble in self.status().get("trouble", ())}

    def sell(self) -> dict[str, Any]:
        """What the cash register is told, however late."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S)
            line.connect(str(self.directory / "local.sock"))
            line.sendall(json.dumps({"op": "sell", "request": "r-1", "amount": AMOUNT}).encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile().readline())
            return answer

    def awarded(self) -> list[str]:
        """The reference numbers of what earned, in order."""
        connection = connect_reader(self.directory / "state/ledger.db")
        try:
            assert verify(connection, lambda *_: "").bad == ()
            found = reads.entries(connection, 0, (Kind.AWARD,))
            return [reads.paid_of(each.event).key.ref for each in found]
        finally:
            connection.close()


@pytest.fixture
def shop(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shop]:
    it = Shop(tmp_path, over_tcp=getattr(request, "param", "pty") == "tcp", poll=True)
    yield it
    it.close()


@pytest.fixture
def without_poll(tmp_path: Path) -> Iterator[Shop]:
    it = Shop(tmp_path, over_tcp=False, poll=False)
    yield it
    it.close()


def a_sale_whose_cable_comes_out(shop: Shop) -> tuple[threading.Thread, list[dict[str, Any]]]:
    """The terminal took the request; then the line is gone, the customer pays, others key theirs."""
    answers: list[dict[str, Any]] = []
    cashier = threading.Thread(target=lambda: answers.append(shop.sell()))
    cashier.start()
    until(lambda: "paying" in shop.status()["terminals"][0]["doing"], "the customer is not asked to pay")
    shop.pull_the_cable()
    shop.the_customer_pays()
    for number in range(KEYED):
        shop.terminal.key_sale(10_000 + number)
    return cashier, answers


@pytest.mark.parametrize("shop", ["pty", "tcp"], indirect=True)
def test_a_cable_out_between_request_and_answer_costs_no_sale_and_status_shows_it_until_it_is_settled(
    shop: Shop,
) -> None:
    shop.has_its_baseline()
    cashier, answers = a_sale_whose_cable_comes_out(shop)
    until(lambda: "TRM-008" in shop.codes(), "the unsure sale is not shown")
    closed = shop.status()
    assert closed["verdict"] == "broken"
    assert closed["terminals"][0]["state"] == "closed"
    assert {trouble["code"] for trouble in closed["trouble"]} & {"SER-002", "SER-006", "SER-010", "SER-011"}
    shop.plug_it_in()
    cashier.join(PATIENCE_S)
    assert [answer["outcome"] for answer in answers] == ["resolved_paid"]
    until(lambda: len(shop.awarded()) == KEYED + 1, "the sales keyed meanwhile are not found")
    assert sorted(shop.awarded()) == sorted(record.rrn for record in shop.terminal.journal)
    until(lambda: shop.codes() == set(), "it does not clear by itself")
    assert shop.vafa("status").returncode == 0


def test_more_sales_than_the_list_holds_while_the_cable_is_out_are_a_gap_until_a_person_closes_it(
    shop: Shop,
) -> None:
    shop.has_its_baseline()
    shop.pull_the_cable()
    rows = [shop.terminal.key_sale(AMOUNT + number) for number in range(KEYED + 3)]
    shop.plug_it_in()
    until(lambda: shop.codes() == {"GAP-001"}, "the list that does not reach back is not shown as a gap")
    assert sorted(shop.awarded()) == sorted(row.rrn for row in rows[1:])
    (gap,) = shop.status()["gaps"]
    assert shop.vafa("status").returncode == 10
    assert shop.vafa("gap", "close", gap["number"], "--why", "slips compared").returncode == 0
    assert (shop.codes(), shop.vafa("status").returncode) == (set(), 0)
    assert len(shop.awarded()) == KEYED + 2


def test_with_poll_off_the_sale_in_hand_is_settled_and_the_keyed_ones_are_never_heard(
    without_poll: Shop,
) -> None:
    """What makes the test above pass is the poll: without it the keyed sales earn nothing."""
    cashier, answers = a_sale_whose_cable_comes_out(without_poll)
    without_poll.plug_it_in()
    cashier.join(PATIENCE_S)
    until(lambda: without_poll.codes() == set(), "the unsure sale is not settled")
    assert [answer["outcome"] for answer in answers] == ["resolved_paid"]
    assert without_poll.awarded() == [without_poll.terminal.journal[0].rrn]
    assert without_poll.status()["gaps"] == []


def test_a_daemon_that_starts_without_its_terminal_finds_it_when_it_is_plugged_in(shop: Shop) -> None:
    shop.has_its_baseline()
    shop.pull_the_cable()
    until(lambda: shop.status()["terminals"][0]["state"] == "closed", "the loss is not noticed")
    shop.daemon.end(signal.SIGTERM)
    shop.daemon = Process(shop.directory, "run").ready()
    until(lambda: bool(shop.codes() & {"SER-002", "SER-010"}), "it does not say why")
    shop.terminal.key_sale(AMOUNT)
    shop.plug_it_in()
    until(lambda: shop.codes() == set(), "it does not recover")
    until(lambda: len(shop.awarded()) == 1, "the sale keyed meanwhile is not found")
