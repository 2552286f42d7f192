"""A lane over real ptys and TCP ports that go away in every way, and come back, also under another name."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lane_bench import joined
from running_lane import HURRIED, Running, Serve, on_pty, on_tcp
from shop import TID, Shop

from vafa.model.events import SaleOutcome
from vafa.ports import usb_id
from vafa.ports.usb_id import Adapter
from vafa.simulators.faults import ALWAYS
from vafa.simulators.line import Line
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal

HOLDS = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in HURRIED.items():
        monkeypatch.setattr(name, value)


@pytest.fixture
def start(shop: Shop, tmp_path: Path) -> Iterator[Callable[[Serve], Running]]:
    started: list[Running] = []

    def begin(serve: Serve) -> Running:
        terminal = Terminal(tid=TID, tail=b"\n" if serve is on_pty else b"", response_waits_s=(0.3, 0.3, 0.3))
        terminal.line_trouble.reboot_s = 0.4
        it = Running(shop, terminal, *serve(terminal, tmp_path))
        started.append(it)
        it.until(lambda: it.lane._polling.answered_at is not None)
        return it

    yield begin
    for each in started:
        each.stop()


def heard_again(it: Running) -> None:
    """The terminal tells its list once more, and nothing is wrong."""
    before = it.lane._polling.answered_at
    it.until(lambda: it.lane._polling.answered_at != before and not it.code)


@pytest.mark.parametrize("serve", [on_pty, on_tcp])
@pytest.mark.parametrize("fault", ["reset", "reboot", "drop-link"])
def test_a_line_that_ends_in_a_sale_is_had_again_and_the_sale_earns_once(
    start: Callable[[Serve], Running], serve: Serve, fault: str
) -> None:
    it = start(serve)
    it.terminal.pay_after_s = 0.05
    it.terminal.fault(fault, 1, 1)  # with the first sale's request
    end = it.sell("r-1", 1_000)
    assert end.outcome in (SaleOutcome.APPROVED, SaleOutcome.RESOLVED_PAID)
    heard_again(it)
    assert it.sell("r-2", 2_000).outcome is SaleOutcome.APPROVED
    assert it.shop.ledger.head.till.member == 300
    assert it.terminal.sales_asked == 2


@pytest.mark.parametrize(
    ("serve", "fault", "codes"),
    [
        (on_tcp, "reset", {"SER-011"}),
        (on_tcp, "reboot", {"SER-010", "SER-011"}),
        (on_pty, "reset", {"SER-002", "SER-006"}),
        (on_pty, "reboot", {"SER-002", "SER-006"}),
    ],
)
def test_a_line_that_ends_while_idle_says_why_and_heals(
    start: Callable[[Serve], Running],
    monkeypatch: pytest.MonkeyPatch,
    serve: Serve,
    fault: str,
    codes: set[str],
) -> None:
    monkeypatch.setattr("vafa.app.line.REOPEN_S", (0.1,))
    it = start(serve)
    seen: set[str] = set()
    it.terminal.fault(fault)

    def is_shown() -> bool:
        seen.add(it.code)
        return bool(seen - {""})

    it.until(is_shown)
    assert it.lane.state().line == "closed"
    assert it.lane.state().fix
    heard_again(it)
    assert seen - {""} <= codes
    it.terminal.key_sale(1_000)
    it.until(lambda: it.shop.ledger.head.till.member == 100)


@pytest.mark.parametrize("how", ["by-id", "usb"])
def test_an_adapter_that_comes_back_under_another_name_is_found(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """ttyUSB0 is pulled out and comes back as ttyUSB1, while a sale is in hand."""
    by_id, adapters = tmp_path / "usb-FTDI_A50285BI-if00-port0", list[Adapter]()
    monkeypatch.setattr(usb_id, "plugged_in", lambda: adapters)
    terminal = Terminal(tid=TID, tail=b"\n", pay_after_s=3_600.0, response_waits_s=(0.3, 0.3, 0.3))

    def plug_in(name: str) -> Line:
        served = serve_pty(terminal, tmp_path / name)
        by_id.symlink_to(tmp_path / name)
        adapters.append(Adapter(os.path.realpath(by_id), "0403", "6001", "A50285BI", "1-1.2"))
        return served

    served = plug_in("ttyUSB0")
    keeps_the_name = os.open(by_id, os.O_RDWR | os.O_NOCTTY)  # so that the kernel gives the next one another
    it = Running(shop, terminal, served, str(by_id) if how == "by-id" else "usb:0403:6001:A50285BI")
    try:
        it.until(lambda: it.lane._polling.answered_at is not None)
        before = it.lane.state().wired
        ends: list[SaleOutcome] = []
        cashier = threading.Thread(target=lambda: ends.append(it.sell("r-1").outcome))
        cashier.start()
        it.until(lambda: terminal.sales_asked == 1)
        served.stop()
        by_id.unlink()
        adapters.clear()
        it.until(lambda: it.code == "SER-002")
        terminal.step(1e12)  # the customer pays, and nobody hears it
        terminal.link_lost()
        it.served = plug_in("ttyUSB1")
        joined([cashier])
        after = it.lane.state().wired
        assert (ends, it.code) == ([SaleOutcome.RESOLVED_PAID], "")
        assert (after != before, after.endswith(" 115200 8N1")) == (True, True)
        assert shop.ledger.head.till.member == 10
    finally:
        os.close(keeps_the_name)
        it.stop()


def test_a_port_another_program_holds_is_named_and_taken_when_it_is_free(shop: Shop, tmp_path: Path) -> None:
    terminal = Terminal(tid=TID, tail=b"\n")
    served, path = on_pty(terminal, tmp_path)
    command = [sys.executable, "-c", HOLDS, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        it = Running(shop, terminal, served, path)
        try:
            it.until(lambda: it.code == "SER-005")
            trouble = it.lane.state().trouble
            assert ("is in use by python" in trouble, f"(pid {other.pid})" in trouble) == (True, True)
            other.communicate()
            heard_again(it)
        finally:
            it.stop()


@pytest.mark.parametrize("serve", [on_pty, on_tcp])
@pytest.mark.parametrize(
    ("fault", "code"), [("mute", "TRM-010"), ("wrong-baud", "SER-007"), ("nack-storm", "TRM-011")]
)
def test_what_a_terminal_says_instead_of_answers_is_shown_and_over_when_it_answers(
    start: Callable[[Serve], Running], serve: Serve, fault: str, code: str
) -> None:
    it = start(serve)
    it.terminal.fault(fault, ALWAYS)
    it.until(lambda: it.code == code)
    it.terminal.fault(fault, 0)
    it.terminal.key_sale(1_000)
    it.until(lambda: it.shop.ledger.head.till.member == 100)
    it.until(lambda: it.code == "")
    assert it.sell("r-1", 500).outcome is SaleOutcome.APPROVED


def test_a_half_open_connection_is_opened_anew_and_what_was_keyed_meanwhile_earns(
    start: Callable[[Serve], Running],
) -> None:
    it = start(on_tcp)
    it.terminal.fault("half-open")
    it.until(lambda: it.lane._hearing._unanswered >= 1)
    it.terminal.key_sale(1_000)
    it.until(lambda: it.shop.ledger.head.till.member == 100)
    assert it.code == ""
