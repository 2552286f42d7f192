"""Printers of a real daemon: slips after the award, however the sale is heard, and never in a sale's way."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from app.test_daemon import PATIENCE_S, TID, Daemon

from vafa.simulators.printer import Printer
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.roll import Roll as Paper
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp

PRINT = ("-m", "vafa.cli.main", "receipt", "print")


class Roll:
    """A printer that tells of its slips; `held` makes it take nothing, as one at 9600 baud nearly does."""

    def __init__(self, code_page: str = "iransystem") -> None:
        self._come = threading.Condition()
        self.taking = threading.Event()
        self.taking.set()
        self.printer = Printer(
            code_page=code_page, bytes_a_second=1, wait=lambda _: self.taking.wait(PATIENCE_S)
        )
        self.printer.on_slip = lambda _: self._tell()

    def _tell(self) -> None:
        with self._come:
            self._come.notify_all()

    def slips_until(self, enough: Callable[[list[Paper]], bool]) -> list[Paper]:
        """Waits until what came out is `enough`."""
        with self._come:
            assert self._come.wait_for(lambda: enough(self.printer.slips), PATIENCE_S)
            return list(self.printer.slips)

    def slips(self, number: int) -> list[list[str]]:
        """Waits for so many slips; what can be read on them."""
        with self._come:
            assert self._come.wait_for(lambda: len(self.printer.slips) >= number, PATIENCE_S)
            return [slip.lines for slip in self.printer.slips]


def sold(daemon: Daemon, request: str, amount: int) -> dict[str, object]:
    return daemon.ask(op="sell", terminal=TID, request=request, amount=amount, id=1)


def config(terminal: str, printer: str) -> str:
    return (
        f'[[terminal]]\nid = "{TID}"\naddress = "tcp:{terminal}"\npoll = false\n'
        f'[[printer]]\nname = "counter"\n{printer}\n'
    )


def test_a_slip_follows_each_award_and_a_printer_that_stalls_delays_none(tmp_path: Path) -> None:
    roll = Roll()
    terminal = Terminal(tid=TID, pay_after_s=0.0)
    with serve_tcp(terminal) as line, serve_pty(roll.printer, tmp_path / "lp"):
        daemon = Daemon(
            tmp_path,
            config(
                line.address, f'address = "{tmp_path / "lp"}"\nprofile = "text-iransystem"\nflow = "none"'
            ),
        )
        daemon.told("READY=1")
        roll.taking.clear()
        for number in range(3):
            assert sold(daemon, f"r-{number}", 125_000)["outcome"] == "approved"
        assert roll.printer.slips == [], "three sales are done, nothing is on paper"
        roll.taking.set()
        papers = roll.slips(3)
        assert daemon.end(signal.SIGTERM) == 0
    assert all("۱۲ امتیاز برای این کارت محفوظ" in paper for paper in papers)


def test_a_slip_of_dots_goes_to_a_printer_in_the_network_and_again_on_demand(tmp_path: Path) -> None:
    roll = Roll()
    terminal = Terminal(tid=TID, pay_after_s=0.0)
    with serve_tcp(terminal) as line, serve_tcp(roll.printer) as paper:
        daemon = Daemon(tmp_path, config(line.address, f'address = "tcp:{paper.address}"'))
        daemon.told("READY=1")
        sale = sold(daemon, "r-1", 125_000)
        number = sale["paid"]["number"]  # type: ignore[index]
        first = roll.slips(1)[0]
        assert first[0].startswith("[dots 384x")
        again = subprocess.run(
            [sys.executable, *PRINT, number, "--config", str(tmp_path / "config.toml")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert again.returncode == 0, again.stderr
        assert roll.slips(2)[1] == first
        assert roll.printer.slips[1].png() == roll.printer.slips[0].png()
        assert daemon.end(signal.SIGTERM) == 0


def test_a_printer_pulled_out_in_the_middle_of_a_slip_prints_it_whole_when_it_is_back(tmp_path: Path) -> None:
    roll = Roll()
    terminal = Terminal(tid=TID, pay_after_s=0.0)
    with serve_tcp(terminal) as line, serve_pty(roll.printer, tmp_path / "lp"):
        daemon = Daemon(tmp_path, config(line.address, f'address = "{tmp_path / "lp"}"\nflow = "none"'))
        daemon.told("READY=1")
        roll.printer.trouble("drop-link")  # at its first bytes, far from the slip's end
        number = sold(daemon, "r-1", 125_000)["paid"]["number"]  # type: ignore[index]
        whole = ["[dots 384x128]", "[dots 384x128]"]
        papers = roll.slips_until(lambda slips: any(slip.lines[:2] == whole for slip in slips))
        again = subprocess.run(
            [sys.executable, *PRINT, number, "--config", str(tmp_path / "config.toml")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert again.returncode == 0, again.stderr
        papers = roll.slips_until(lambda slips: len(slips) > len(papers))
        assert papers[-1].png() == papers[-2].png(), "what came out after the cable was back was whole"
        assert daemon.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("wrong", ["", "--sample 125000"])
def test_printing_wants_one_thing_to_print(tmp_path: Path, wrong: str) -> None:
    done = subprocess.run(
        [sys.executable, *PRINT, *wrong.split()],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "Say an ID, or --sample" in done.stderr
