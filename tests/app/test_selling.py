"""Who waits for which sale: repeats join, ended sales answer again, a crowd is refused."""

import threading
from collections.abc import Iterator

import pytest
from lane_bench import Bench, joined
from shop import TID, Shop, payment

from vafa.app import selling
from vafa.app.selling import QUEUE_MAX, SaleEnd, Selling, Work
from vafa.model.errors import LedgerError, Refused
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint

APPROVED = SaleEnd("1-1-4", SaleOutcome.APPROVED, "00", "", None)


class Crowd:
    """Callers of `sell`, each in a thread of its own."""

    def __init__(self, queue: Selling) -> None:
        self._queue = queue
        self._threads: list[threading.Thread] = []
        self.arrived = threading.Semaphore(0)
        self.ends: list[SaleEnd] = []
        self.errors: list[Exception] = []

    def ask(self, request: str, amount: int = 105) -> None:
        def call() -> None:
            try:
                self.ends.append(self._queue.sell(request, amount, b"", self.arrived.release))
            except (Refused, LedgerError) as error:
                self.errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        self._threads.append(thread)
        assert self.arrived.acquire(timeout=10)

    def join(self) -> None:
        joined(self._threads)


@pytest.fixture
def queue(shop: Shop) -> Selling:
    return Selling(shop.sales, TID)


@pytest.fixture
def crowd(queue: Selling) -> Iterator[Crowd]:
    it = Crowd(queue)
    yield it
    it.join()


def in_hand(queue: Selling) -> Work:
    work = queue.next()
    assert work is not None
    return work


def test_a_repeated_request_joins_the_sale_in_hand_and_gets_its_end(queue: Selling, crowd: Crowd) -> None:
    for _ in range(3):
        crowd.ask("r-1")
    work = in_hand(queue)
    assert queue.next() is None
    crowd.ask("r-1")
    queue.end(work, APPROVED)
    crowd.join()
    assert crowd.ends == [APPROVED] * 4


def test_requests_are_served_in_their_order(queue: Selling, crowd: Crowd) -> None:
    for request in ("r-1", "r-2", "r-3"):
        crowd.ask(request)
    taken = [in_hand(queue) for _ in range(3)]
    assert [work.request for work in taken] == ["r-1", "r-2", "r-3"]
    for work in taken:
        queue.end(work, APPROVED)


def test_a_request_in_hand_with_another_amount_is_refused(queue: Selling, crowd: Crowd) -> None:
    crowd.ask("r-1", 105)
    with pytest.raises(Refused, match="another amount"):
        queue.sell("r-1", 106, b"", lambda: None)
    queue.end(in_hand(queue), APPROVED)


def test_an_ended_request_with_another_amount_is_refused(shop: Shop, queue: Selling) -> None:
    asked = shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    shop.sales.end(asked, SaleOutcome.APPROVED, "00", payment())
    with pytest.raises(Refused, match="was a sale of 105"):
        queue.sell("r-1", 106, b"", lambda: None)


def test_the_seventeenth_waiting_sale_is_refused(queue: Selling, crowd: Crowd) -> None:
    for number in range(QUEUE_MAX):
        crowd.ask(f"r-{number}")
    with pytest.raises(Refused, match="wait for this terminal already"):
        queue.sell("one more", 105, b"", lambda: None)
    queue.refuse_waiting(Refused("the test is over"))
    crowd.join()
    assert len(crowd.errors) == QUEUE_MAX


def test_a_stopping_lane_takes_nothing_new_and_refuses_what_was_never_asked(
    queue: Selling, crowd: Crowd
) -> None:
    crowd.ask("r-1")
    queue.close()
    with pytest.raises(Refused, match="stopping"):
        queue.sell("r-2", 105, b"", lambda: None)
    queue.refuse_waiting(Refused("vafa stopped"))
    crowd.join()
    assert [str(error) for error in crowd.errors] == ["vafa stopped"]


def test_an_unsure_sale_is_told_unsure_in_time_and_its_end_to_whoever_asks_again(
    shop: Shop, queue: Selling, crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selling, "RESOLVE_WAIT_S", 0.01)
    crowd.ask("r-1")
    work = in_hand(queue)
    work.asked = shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    work.in_doubt.set()
    crowd.join()
    assert [(end.outcome, end.number) for end in crowd.ends] == [(SaleOutcome.UNSURE, "1-1-3")]
    outcome = shop.sales.end(work.asked, SaleOutcome.RESOLVED_PAID, "00", payment())
    queue.resolved(work.asked, SaleOutcome.RESOLVED_PAID, "00", outcome)
    again = queue.sell("r-1", 105, b"", lambda: None)
    assert (again.outcome, again.paid) == (SaleOutcome.RESOLVED_PAID, outcome)


def test_a_sale_of_before_a_restart_is_unsure_until_it_is_looked_up(shop: Shop, queue: Selling) -> None:
    shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    end = queue.sell("r-1", 105, b"", lambda: None)
    assert (end.outcome, end.paid) == (SaleOutcome.UNSURE, None)
    assert "journal is being asked" in end.text


def test_what_went_wrong_reaches_all_who_wait(queue: Selling, crowd: Crowd) -> None:
    crowd.ask("r-1")
    crowd.ask("r-1")
    queue.fail(in_hand(queue), LedgerError("the disk is full"))
    crowd.join()
    assert [str(error) for error in crowd.errors] == ["the disk is full"] * 2


def test_a_sale_queued_while_the_lane_stops_is_never_asked(bench: Bench) -> None:
    work = bench.queue()
    bench.lane.stop()
    bench.lane.run()
    assert isinstance(work.error, Refused)
    assert bench.terminal.sales_asked == 0
