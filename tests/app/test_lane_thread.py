"""The lane's thread over real lines: a pty and a TCP port, with the pretend terminal behind them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lane_bench import joined
from running_lane import Running, Serve, on_pty, on_tcp
from shop import TID, Shop

from vafa.app.selling import SaleEnd
from vafa.model.errors import PortError, Refused
from vafa.model.events import SaleOutcome
from vafa.simulators.faults import ALWAYS
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp


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


def test_a_stop_does_not_wait_out_a_silent_terminal_s_journal(shop: Shop, tmp_path: Path) -> None:
    terminal = Terminal(tid=TID)
    terminal.fault("mute", ALWAYS)
    it = Running(shop, terminal, *on_tcp(terminal, tmp_path))
    it.until(lambda: it.lane.state().doing == "polling")
    it.stop()
    assert it.lane._polling._refusals == 0, "the question's own time was waited for"


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
