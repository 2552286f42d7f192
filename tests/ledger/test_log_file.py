"""The write-ahead log at its full size: nothing of it is ever read as a sale, and no sale makes it longer."""

import itertools
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from shop import Shop, payment

from vafa.app import log_keeping
from vafa.app.log_keeping import LogKeeper
from vafa.ledger import log_file
from vafa.ledger.ledger import Transaction
from vafa.ledger.log_file import LogMoved
from vafa.ledger.storage import FRAME_BYTES, LOG_BYTES, connect_reader
from vafa.model.errors import LedgerError


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "shop").mkdir()
    opened = Shop(tmp_path / "shop")
    yield opened
    opened.ledger.close()


def size(shop: Shop) -> int:
    return log_file.of(shop.ledger.path).stat().st_size


def sell(shop: Shop, number: int) -> None:
    shop.counter.post(payment(320062616116 + number))


def test_a_sale_does_not_make_a_full_log_longer(shop: Shop) -> None:
    LogKeeper(shop.ledger).fill()
    assert size(shop) == LOG_BYTES
    for number in range(20):
        sell(shop, number)
    assert size(shop) == LOG_BYTES
    assert shop.verified().bad == ()


def test_between_any_two_slices_the_ledger_is_free_for_sales(shop: Shop) -> None:
    """A thread that filled took the lock again before one that waited for it: a sale waited for all."""
    sizes: list[int] = []

    def sold_meanwhile(seconds: float) -> bool:
        assert 0 < seconds < 0.01
        sizes.append(size(shop))
        sell(shop, len(sizes))
        return False

    LogKeeper(shop.ledger, sold_meanwhile).fill()
    assert size(shop) == LOG_BYTES
    assert len(sizes) >= LOG_BYTES // log_file.SLICE_BYTES - 1
    assert max(b - a for a, b in itertools.pairwise(sizes)) <= log_file.SLICE_BYTES


def test_the_filling_goes_on_after_a_sale_s_failure_took_the_log_away(shop: Shop) -> None:
    """A connection that is given up empties the log into the database, and deletes it."""

    def broken(_: Transaction) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    assert shop.ledger.extend_log()
    with pytest.raises(LedgerError, match="could not be written"):
        shop.ledger.write(broken)
    assert not log_file.of(shop.ledger.path).exists()
    assert shop.ledger.extend_log()
    assert size(shop) >= log_file.SLICE_BYTES


def test_a_keeper_that_is_stopped_fills_no_further(shop: Shop) -> None:
    keeper, before = LogKeeper(shop.ledger), size(shop)
    keeper.stop()
    keeper.fill()
    assert size(shop) - before <= log_file.SLICE_BYTES


def test_what_was_sold_before_and_after_the_filling_is_there_after_a_kill(shop: Shop, tmp_path: Path) -> None:
    sell(shop, 1)
    LogKeeper(shop.ledger).fill()
    sell(shop, 2)
    killed = tmp_path / "killed"
    shutil.copytree(shop.directory, killed)
    again = Shop(killed)
    try:
        assert again.ledger.head == shop.ledger.head
        assert again.verified().bad == ()
        sell(again, 3)
    finally:
        again.ledger.close()


def test_a_log_of_nothing_but_zeros_is_an_empty_log(shop: Shop) -> None:
    head = shop.ledger.head
    shop.restart()
    assert size(shop) == 0
    LogKeeper(shop.ledger).fill()
    copy = shop.directory.with_name("killed")
    shutil.copytree(shop.directory, copy)
    again = Shop(copy)
    assert again.ledger.head == head
    again.ledger.close()


def test_a_disk_with_little_room_keeps_it_for_sales(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    before = size(shop)
    full = SimpleNamespace(f_bavail=log_file.FREE_BYTES_MIN // 4096, f_frsize=4095)
    monkeypatch.setattr(os, "fstatvfs", lambda _: full)
    LogKeeper(shop.ledger).fill()
    assert size(shop) == before


def test_a_disk_that_refuses_is_an_error_with_words(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", refuse)
        with pytest.raises(LedgerError, match="Input/output error"):
            LogKeeper(shop.ledger).fill()
    assert "Input/output error" in shop.ledger.failure
    sell(shop, 1)  # on what the disk has, made durable anew
    assert shop.ledger.failure == ""


def test_a_moved_log_begins_anew_and_nothing_is_lost(shop: Shop) -> None:
    for number in range(5):
        sell(shop, number)
    before = size(shop)
    moved = log_file.move(shop.ledger.path)
    assert moved.whole
    assert moved.frames == (before - 32) // FRAME_BYTES
    sell(shop, 6)
    assert size(shop) == before  # the next sale went to its beginning
    assert shop.verified().bad == ()


def test_beside_a_reader_what_can_be_is_moved_and_the_rest_waits(shop: Shop) -> None:
    from vafa.ledger.storage import connect_reader

    reader = connect_reader(shop.ledger.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM journal").fetchone()
    sell(shop, 1)
    assert not log_file.move(shop.ledger.path).whole
    reader.close()
    assert log_file.move(shop.ledger.path).whole


def test_the_log_is_moved_by_a_thread_of_its_own_after_so_many_sales(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, moves = LogKeeper(shop.ledger), list[LogMoved]()
    monkeypatch.setattr(log_keeping, "COMMITS_UNTIL_MOVED", 3)
    move = log_file.move

    def moved(path: Path) -> LogMoved:
        moves.append(move(path))
        keeper.stop()
        return moves[-1]

    monkeypatch.setattr(log_file, "move", moved)
    for number in range(3):
        sell(shop, number)
    keeper.run()
    assert [each.whole for each in moves] == [True]


def test_the_hours_job_fills_the_log_and_leaves_a_few_sales_in_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = LogKeeper(shop.ledger)
    sell(shop, 1)
    assert keeper.job() == ""
    assert size(shop) == LOG_BYTES
    monkeypatch.setattr(log_keeping, "COMMITS_WORTH_MOVING", 1)
    done = keeper.job()
    assert isinstance(done, LogMoved)
    assert done.whole
    assert keeper.job() == ""


def test_a_log_that_outgrew_its_size_beside_a_long_reader_shrinks_back(shop: Shop) -> None:
    keeper = LogKeeper(shop.ledger)
    keeper.fill()
    with closing(connect_reader(shop.ledger.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM journal").fetchone()
        for number in range(1_000):  # no page may go into the database past what the reader sees
            sell(shop, number)
    outgrown = size(shop)
    assert outgrown > LOG_BYTES
    assert keeper.moved().whole
    sell(shop, 1_001)
    assert size(shop) == LOG_BYTES
    assert shop.verified().bad == ()
