"""Writes that come during a flush share the next: each decides on the state before it, none is told early."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from shop import Shop, payment

from vafa.app.line import Line
from vafa.app.outcome import Outcome
from vafa.app.posting import REPOST_EVERY_S, Posting
from vafa.codecs.sadad_dialogue import Dialogue
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model.errors import LedgerError, PortError, Refused
from vafa.ports.clock import ManualClock
from vafa.ports.link import Link

LANES = 8
PATIENCE_S = 20.0


class Disk:
    """The ledger's connection, listened to. `commit` is done instead of a COMMIT when it is set."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.commits = 0
        self.commit: Callable[[], None] | None = None

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.commits += 1
            if self.commit is not None:
                self.commit()
        return self._connection.execute(sql, *values)

    def close(self) -> None:
        self._connection.close()


class Lanes:
    """Writes begun while an earlier one has the ledger: they all wait, then are let go at once."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.ledger: Ledger = shop.ledger
        assert self.ledger._connection is not None
        self.disk = Disk(self.ledger._connection)
        self.ledger._connection = self.disk  # type: ignore[assignment]
        self.answers: dict[int, Any] = {}
        self.errors: dict[int, Exception] = {}

    def run(self, writes: list[Callable[[], Any]]) -> None:
        """All of `writes` in threads of their own, queued in this order behind one that posts nothing."""
        entered, go_on = threading.Event(), threading.Event()

        def hold(_tx: Transaction) -> None:
            entered.set()
            assert go_on.wait(PATIENCE_S)

        threads = [threading.Thread(target=lambda: self.ledger.write(hold))]
        threads[0].start()
        assert entered.wait(PATIENCE_S)
        for number, write in enumerate(writes):
            threads.append(threading.Thread(target=self._one, args=(number, write)))
            threads[-1].start()
            while len(self.ledger._waiting) <= number:
                threading.Event().wait(0.001)
        go_on.set()
        for thread in threads:
            thread.join(PATIENCE_S)

    def _one(self, number: int, write: Callable[[], Any]) -> None:
        try:
            self.answers[number] = write()
        except (LedgerError, Refused) as error:
            self.errors[number] = error

    def pay(self, rrn: int) -> Callable[[], Outcome]:
        return lambda: self.shop.counter.post(payment(rrn))


@pytest.fixture
def lanes(tmp_path: Path) -> Iterator[Lanes]:
    shop = Shop(tmp_path)
    yield Lanes(shop)
    shop.ledger.close()


def awards(lanes: Lanes) -> int:
    found = lanes.shop.verified()
    assert found.bad == ()
    return found.awards


def test_eight_lanes_that_wait_are_written_with_one_flush_and_each_earns_once(lanes: Lanes) -> None:
    lanes.run([lanes.pay(number) for number in range(LANES)])
    assert lanes.disk.commits == 1
    assert lanes.errors == {}
    assert sorted(answer.seq for answer in lanes.answers.values()) == [
        lanes.answers[0].seq + number for number in range(LANES)
    ]
    assert awards(lanes) == LANES


def test_a_payment_that_all_lanes_tell_at_once_earns_once_and_all_get_its_number(lanes: Lanes) -> None:
    lanes.run([lanes.pay(7)] * LANES)
    assert {answer.number for answer in lanes.answers.values()} == {lanes.answers[0].number}
    assert [answer.seen_before for _, answer in sorted(lanes.answers.items())] == [False] + [True] * (
        LANES - 1
    )
    assert awards(lanes) == 1


def test_nobody_is_told_anything_before_the_commit(lanes: Lanes) -> None:
    told_early: list[int] = []
    lanes.disk.commit = lambda: told_early.extend(lanes.answers)
    lanes.run([lanes.pay(number) for number in range(LANES)])
    assert told_early == []
    assert len(lanes.answers) == LANES


def test_who_has_been_written_for_does_not_wait_for_the_next_flush(lanes: Lanes) -> None:
    told = threading.Semaphore(0)
    in_time: list[bool] = []

    def pay_and_write_again() -> None:
        lanes.pay(0)()
        lanes.ledger.write(lambda _tx: in_time.extend(told.acquire(timeout=5) for _ in range(LANES - 1)))

    def pay(number: int) -> Callable[[], None]:
        def paying() -> None:
            lanes.pay(number)()
            told.release()

        return paying

    lanes.run([pay_and_write_again, *(pay(number) for number in range(1, LANES))])
    assert in_time == [True] * (LANES - 1)


def test_a_commit_that_fails_fails_for_all_who_shared_it_and_the_next_starts_from_the_disk(
    lanes: Lanes,
) -> None:
    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    lanes.disk.commit = fail
    lanes.run([lanes.pay(number) for number in range(LANES)])
    assert lanes.answers == {}
    assert {type(error) for error in lanes.errors.values()} == {LedgerError}
    assert lanes.ledger.failure == "disk I/O error"
    assert lanes.pay(1)().seen_before is False
    assert lanes.ledger.failure == ""
    assert awards(lanes) == 1


def test_a_commit_without_memory_is_a_failure_and_the_next_starts_from_the_disk(lanes: Lanes) -> None:
    def fail() -> None:
        raise MemoryError

    lanes.disk.commit = fail
    lanes.run([lanes.pay(1)])
    assert [str(error) for error in lanes.errors.values()] == [
        "the ledger could not be written (out of memory)"
    ]
    assert lanes.ledger.failure
    assert lanes.pay(1)().seen_before is False
    assert lanes.ledger.failure == ""


def test_trouble_of_the_disk_ends_without_a_sale_when_it_is_looked_after(lanes: Lanes) -> None:
    def fail() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    lanes.disk.commit = fail
    lanes.run([lanes.pay(1)])
    assert lanes.ledger.failed is not None
    lanes.ledger.write(lambda tx: None)
    assert lanes.ledger.failed is not None, "a write of nothing does not show that the disk takes anything"
    lanes.ledger.look_after()
    assert lanes.ledger.failed is None
    assert lanes.ledger.failure == ""


@pytest.mark.parametrize("refused", [0, 3, LANES - 1])
def test_a_decision_that_raises_takes_back_its_own_rows_alone(lanes: Lanes, refused: int) -> None:
    def post_then_refuse(tx: Transaction) -> None:
        lanes.shop.counter.post_within(tx, payment(99), b"")
        raise Refused("a rule says no")

    writes: list[Callable[[], Any]] = [lanes.pay(number) for number in range(LANES)]
    writes[refused] = lambda: lanes.ledger.write(post_then_refuse)
    lanes.run(writes)
    assert {number: str(error) for number, error in lanes.errors.items()} == {refused: "a rule says no"}
    assert lanes.disk.commits == 1
    assert awards(lanes) == LANES - 1
    assert not lanes.shop.counter.knows(payment(99).key)


def no_line() -> Link:
    raise PortError("nothing is plugged in")


class Heard:
    """A payment that a lane of its own heard, and keeps until the disk takes it."""

    def __init__(self, lanes: Lanes, rrn: int) -> None:
        self.clock = ManualClock()
        tid = f"4021773{rrn}"
        talk = Dialogue(tid, lanes.shop.tokens.without_pans)
        self.posting = Posting(talk, Line(no_line, self.clock), self.clock, {}, tid)
        self._payment, self._post = payment(rrn), lanes.pay(rrn)

    def commit(self) -> Outcome | None:
        return self.posting.commit(self._payment, self._post)

    def try_again(self) -> bool:
        self.clock.advance(REPOST_EVERY_S)
        return self.posting.retry()


@pytest.mark.parametrize("failing", [0, 3, LANES])
@pytest.mark.parametrize("after_its_rows", [False, True])
def test_an_sqlite_error_in_one_decision_leaves_nothing_of_any_and_each_payment_earns_once_later(
    lanes: Lanes, failing: int, after_its_rows: bool
) -> None:
    def broken(tx: Transaction) -> None:
        if after_its_rows:
            lanes.shop.counter.post_within(tx, payment(99), b"")
        raise sqlite3.OperationalError("disk I/O error")

    heard = [Heard(lanes, number) for number in range(LANES)]
    writes: list[Callable[[], Any]] = [each.commit for each in heard]
    writes.insert(failing, lambda: lanes.ledger.write(broken))
    lanes.run(writes)
    assert [each.posting.waiting for each in heard] == [1] * LANES
    assert {each.posting.trouble for each in heard} == {"the ledger could not be written (disk I/O error)"}
    assert isinstance(lanes.errors[failing], LedgerError)
    assert (lanes.disk.commits, awards(lanes)) == (0, 0)
    lanes.disk = Disk(lanes.ledger._connected())
    lanes.ledger._connection = lanes.disk  # type: ignore[assignment]
    lanes.run([each.try_again for each in heard])
    assert [each.posting.waiting for each in heard] == [0] * LANES
    assert lanes.disk.commits == 1
    assert awards(lanes) == LANES
    assert not lanes.shop.counter.knows(payment(99).key)
    for each in heard:
        each.posting.close()
