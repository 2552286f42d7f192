"""The lane's thread over real lines: a pty and a TCP port, with the pretend terminal behind them."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lane_bench import joined
from shop import TID, Shop

from vafa.app.lane import Lane, LaneSettings
from vafa.app.paper import Paper
from vafa.app.selling import SaleEnd
from vafa.model.errors import PortError, Refused
from vafa.model.events import SaleOutcome
from vafa.ports.clock import SystemClock
from vafa.ports.link import open_link
from vafa.simulators.faults import ALWAYS
from vafa.simulators.line import Line
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp

ANSWER_TIMEOUT_S = 2.0
PATIENCE_S = 20.0
Serve = Callable[[Terminal, Path], tuple[Line, str]]


class Running:
    """A lane in its thread, and the terminal it talks to."""

    def __init__(self, shop: Shop, terminal: Terminal, served: Line, address: str) -> None:
        self.shop, self.terminal, self._served = shop, terminal, served
        paper = Paper("کافه نگین", "", "fa", "Asia/Tehran", shop.programmes)
        settings = LaneSettings(TID, address, False, "fa", ANSWER_TIMEOUT_S)
        clock = SystemClock()
        self.lane = Lane(
            settings, shop.counter, shop.sales, paper, clock, lambda: open_link(address, 115200), {}
        )
        self._thread = threading.Thread(target=self.lane.run, name="lane")
        self._thread.start()

    def sell(self, request: str, amount: int = 105) -> SaleEnd:
        return self.lane.sell(request, amount, b"")

    def until(self, is_so: Callable[[], bool]) -> None:
        """Ask often, for a bounded time: the lane has a thread of its own."""
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < end
            self.lane._stopping.wait(0.01)

    def stop(self) -> None:
        self.lane.stop()
        joined([self._thread])
        self._served.stop()


def on_pty(terminal: Terminal, directory: Path) -> tuple[Line, str]:
    path = directory / "terminal"
    return serve_pty(terminal, path), str(path)


def on_tcp(terminal: Terminal, _directory: Path) -> tuple[Line, str]:
    served = serve_tcp(terminal)
    return served, f"tcp:{served.address}"


@pytest.fixture(params=[on_pty, on_tcp])
def running(shop: Shop, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Running]:
    serve: Serve = request.param
    terminal = Terminal(tid=TID, tail=b"\n" if serve is on_pty else b"")
    it = Running(shop, terminal, *serve(terminal, tmp_path))
    it.until(lambda: it.lane.state().line == "open")
    yield it
    it.stop()


def test_sales_are_paid_and_posted_over_a_real_line(running: Running) -> None:
    ends = [running.sell(f"r-{number}", 1_000 + number) for number in range(5)]
    assert [end.outcome for end in ends] == [SaleOutcome.APPROVED] * 5
    assert len({end.paid.number for end in ends if end.paid}) == 5
    assert running.terminal.sales_asked == 5


def test_noise_and_split_frames_cost_nothing(running: Running) -> None:
    for fault in ("noise", "split", "repeat-response"):
        running.terminal.fault(fault, ALWAYS)
    ends = [running.sell(f"r-{number}").outcome for number in range(3)]
    assert set(ends) <= {SaleOutcome.APPROVED, SaleOutcome.RESOLVED_PAID}  # noise may hold a frame for 2 s
    assert running.shop.ledger.head.till.member == 30


def test_a_line_that_drops_after_the_request_ends_in_one_award(running: Running) -> None:
    running.terminal.fault("drop-link")
    end = running.sell("r-1")
    assert end.outcome in (SaleOutcome.RESOLVED_PAID, SaleOutcome.APPROVED)
    assert running.terminal.sales_asked == 1
    assert running.shop.ledger.head.till.member == 10


def test_a_lost_answer_is_settled_by_the_journal(running: Running) -> None:
    running.terminal.fault("silence-after-request")
    assert running.sell("r-1").outcome is SaleOutcome.RESOLVED_PAID
    assert running.sell("r-2").outcome is SaleOutcome.APPROVED


def test_callers_from_many_threads_each_get_their_own_end(running: Running) -> None:
    ends: dict[int, SaleEnd] = {}

    def till(number: int) -> None:
        ends[number] = running.sell(f"r-{number}", 1_000 + number)

    threads = [threading.Thread(target=till, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    joined(threads)
    assert {number: end.paid.amount for number, end in ends.items() if end.paid} == {
        number: 1_000 + number for number in range(8)
    }
    assert running.shop.verified().bad == ()


def test_a_stop_finishes_the_payment_in_hand_and_refuses_the_next(running: Running) -> None:
    running.terminal.pay_after_s = 0.3
    ends: list[SaleEnd] = []
    first = threading.Thread(target=lambda: ends.append(running.sell("r-1")))
    first.start()
    running.until(lambda: running.terminal.sales_asked == 1)
    running.lane.stop()
    with pytest.raises(Refused):
        running.sell("r-2")
    joined([first])
    assert [end.outcome for end in ends] == [SaleOutcome.APPROVED]


def test_a_terminal_that_is_not_there_refuses_its_sales_with_what_to_do(shop: Shop, tmp_path: Path) -> None:
    terminal = Terminal(tid=TID)
    served = serve_tcp(terminal)
    it = Running(shop, terminal, served, str(tmp_path / "ttyUSB9"))
    it.until(lambda: it.lane._line.failure is not None)
    with pytest.raises(PortError) as refused:
        it.sell("r-1")
    assert refused.value.code == "SER-002"
    assert terminal.sales_asked == 0
    it.stop()
