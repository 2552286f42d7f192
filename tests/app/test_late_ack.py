"""The ACK to the terminal: after the commit, or after 300 ms when it hangs; a failing disk loses nothing."""

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar
from unittest.mock import patch

import pytest
from lane_bench import Bench

from vafa.app import late_ack
from vafa.app.late_ack import LateAck
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model.errors import LedgerError
from vafa.model.events import SaleOutcome
from vafa.simulators.faults import ALWAYS

T = TypeVar("T")
PHONE = "09121236789"


class Disk:
    """Between the shop and its ledger: what happens to a commit, as the test wants it."""

    def __init__(self, ledger: Ledger) -> None:
        self._write, self._read = ledger.write, ledger.read
        self.fails = self.is_unreadable = False
        self.before_return: Callable[[], None] = lambda: None
        ledger.write = self.write  # type: ignore[method-assign]
        ledger.read = self.read  # type: ignore[method-assign]

    def write(self, decide: Callable[[Transaction], T]) -> T:
        if self.fails:
            raise LedgerError("the ledger could not be written (disk I/O error)", fix="check the disk")
        answer = self._write(decide)
        self.before_return()
        return answer

    def read(self, question: Callable[..., T]) -> T:
        if self.is_unreadable:
            raise LedgerError("the ledger could not be read (disk I/O error)", fix="check the disk")
        return self._read(question)


@pytest.fixture
def disk(bench: Bench) -> Disk:
    return Disk(bench.shop.ledger)


def acks(bench: Bench) -> int:
    """ACKs of version 000 that left: ours to a sale's RESPONSE."""
    return sum(data[4:8] == b"000\x06" for data in bench.written)


def until_paying(bench: Bench, sale: int = 1) -> None:
    bench.terminal.pay_after_s = 5
    bench.run(lambda: bench.requests_sent() == sale)


# --- when it goes -----------------------------------------------------------------------------------------


def test_the_ack_goes_after_the_commit_and_once(bench: Bench, disk: Disk) -> None:
    at_commit: list[int] = []
    disk.before_return = lambda: at_commit.append(acks(bench))
    bench.sell()
    assert at_commit == [0, 0]  # the sale asked, the sale ended with its award
    assert acks(bench) == 1


def test_the_ack_goes_while_the_commit_hangs(bench: Bench, disk: Disk) -> None:
    work = bench.queue()
    until_paying(bench)
    acknowledged = threading.Event()
    bench.on_written = lambda: acknowledged.set() if acks(bench) else None
    waited: list[bool] = []
    disk.before_return = lambda: waited.append(acknowledged.wait(10))
    bench.run(work.ended.is_set)
    assert waited == [True]
    assert acks(bench) == 1
    assert work.end is not None
    assert work.end.outcome is SaleOutcome.APPROVED


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LateAck, threading.Semaphore]]:
    monkeypatch.setattr(late_ack, "ACK_WAIT_MAX_S", 0.01)
    count = threading.Semaphore(0)
    it = LateAck(count.release, "test")
    yield it, count
    it.close()


def test_an_ack_that_was_in_time_is_not_sent_again_late(sent: tuple[LateAck, threading.Semaphore]) -> None:
    late, count = sent
    for _ in range(20):
        late.arm()
        late.disarm()
    late.arm()
    assert count.acquire(timeout=10)
    late.close()
    assert not count.acquire(blocking=False)


def test_one_late_ack_for_each_answer_that_waits(sent: tuple[LateAck, threading.Semaphore]) -> None:
    late, count = sent
    for _ in range(3):
        late.arm()
        assert count.acquire(timeout=10)
    late.close()
    assert not count.acquire(blocking=False)


def test_an_ack_that_waits_is_sent_though_the_thread_had_gone_to_sleep(
    sent: tuple[LateAck, threading.Semaphore],
) -> None:
    late, count = sent
    late.arm()
    late.disarm()
    assert any(late._sleeps or count.acquire(timeout=0.01) for _ in range(1_000)), (
        "it sleeps when none is armed"
    )
    late.arm()
    assert count.acquire(timeout=10)


# --- a disk that fails ------------------------------------------------------------------------------------


def test_an_approved_sale_that_cannot_be_written_is_kept_told_and_posted_once_later(
    bench: Bench, disk: Disk
) -> None:
    member = bytes.fromhex(bench.shop.members.add(PHONE, "", "test").id)
    bench.terminal.fault("repeat-response", ALWAYS)
    work = bench.queue(amount=1_000, member=member)
    until_paying(bench)
    disk.fails = True
    bench.run(work.ended.is_set)
    assert isinstance(work.error, LedgerError)
    bench.run_for(3)
    state = bench.lane.state()
    assert (state.unposted, "disk I/O error" in state.trouble) == (1, True)
    disk.fails = False
    bench.run(lambda: bench.lane.state().unposted == 0)
    bench.run_for(30)
    assert bench.shop.balances() == [100]
    assert bench.lane.state().trouble == ""
    again = bench.lane.selling.sell("r-1", 1_000, b"", lambda: None)
    assert again.outcome is SaleOutcome.APPROVED
    assert again.paid is not None
    assert again.paid.member == member
    assert bench.requests_sent() == 1


def test_the_claim_code_that_was_printed_is_the_awards_though_the_disk_failed(
    bench: Bench, disk: Disk
) -> None:
    work = bench.queue()
    until_paying(bench)
    disk.fails = True
    bench.run(work.ended.is_set)
    disk.fails = False
    bench.run(lambda: bench.lane.state().unposted == 0)
    assert work.asked is not None
    end = bench.lane.selling.sell("r-1", 105, b"", lambda: None)
    assert end.paid is not None
    assert end.paid.claim == work.asked.claim


def test_a_terminal_gets_its_ack_though_nothing_can_be_written(bench: Bench, disk: Disk) -> None:
    work = bench.queue()
    until_paying(bench)
    disk.fails = True
    acknowledged = threading.Event()
    bench.on_written = lambda: acknowledged.set() if acks(bench) else None
    bench.run(work.ended.is_set)
    assert acknowledged.wait(10)


def test_while_the_disk_fails_a_sale_is_refused_at_once_and_never_asked(bench: Bench, disk: Disk) -> None:
    work = bench.queue("r-1")
    until_paying(bench)
    disk.fails = True
    bench.run(work.ended.is_set)
    with pytest.raises(LedgerError):
        bench.sell("r-2", 205)
    assert bench.requests_sent() == 1


def test_a_ledger_that_cannot_be_read_leaves_the_line_served_and_sales_refused(
    bench: Bench, disk: Disk
) -> None:
    work = bench.queue("r-1")
    until_paying(bench)
    disk.fails = disk.is_unreadable = True
    bench.run(work.ended.is_set)
    with pytest.raises(LedgerError):
        bench.sell("r-2", 205)
    bench.terminal.say = lambda _text: None
    disk.fails = disk.is_unreadable = False
    bench.run(lambda: bench.lane.state().unposted == 0)
    assert bench.sell("r-3", 305).outcome is SaleOutcome.APPROVED
    assert bench.shop.ledger.head.till.member == 40


def test_a_declined_sale_whose_end_the_disk_refused_gets_it_from_the_terminals_journal(
    bench: Bench, disk: Disk
) -> None:
    bench.sell("r-1")
    bench.terminal.next("decline")
    work = bench.queue("r-2")
    until_paying(bench, 2)
    disk.fails = True
    bench.run(work.ended.is_set)
    disk.fails = False
    bench.run(lambda: not bench.shop.sales.unresolved(bench.terminal_id))
    assert bench.lane.selling.sell("r-2", 105, b"", lambda: None).outcome is SaleOutcome.RESOLVED_UNPAID


def test_what_is_in_doubt_is_read_when_something_is_new_not_at_each_step(bench: Bench) -> None:
    bench.sell("r-1")
    bench.run_for(200)
    with patch.object(bench.shop.sales, "unresolved", side_effect=AssertionError("nothing is new")):
        for number in range(2, 7):
            bench.sell(f"r-{number}")


def test_a_stop_posts_what_the_disk_had_refused(bench: Bench, disk: Disk) -> None:
    work = bench.queue()
    until_paying(bench)
    disk.fails = True
    bench.run(work.ended.is_set)
    disk.fails = False
    bench.lane.stop()
    bench.lane.run()
    assert bench.shop.ledger.head.till.member == 10
