"""The journal as the sync process reads it: in slices, so that no read is open for long."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Shop, payment

from vafa.app import sync_journal
from vafa.app.sync_journal import LedgerJournal


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    it = Shop(tmp_path)
    for number in range(25):
        it.counter.post(payment(320_000_000_000 + number))
    yield it
    it.ledger.close()


def test_slices_give_the_rows_that_one_read_gives(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(LedgerJournal(shop.ledger.path)) as journal:
        whole = journal.rows_after(2, 1_000)
        monkeypatch.setattr(sync_journal, "_SLICE_ROWS", 4)
        assert [row.seq for row in whole] == list(range(3, shop.ledger.head.seq + 1))
        assert journal.rows_after(2, 1_000) == whole
        assert journal.rows_after(2, 4) == whole[:4]
        assert journal.rows_after(2, 9) == whole[:9]
        monkeypatch.setattr(sync_journal, "_BODIES_BYTES_MAX", 1)
        assert journal.rows_after(2, 9) == whole[:1], "one is always read"


def test_between_two_slices_the_ledger_may_begin_its_log_anew(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that stood open through them all would keep it from that."""
    monkeypatch.setattr(sync_journal, "_SLICE_ROWS", 4)
    begun_anew = []
    with contextlib.closing(LedgerJournal(shop.ledger.path)) as journal:
        ask = journal._all

        def asked(sql: str, *values: int) -> object:
            found = ask(sql, *values)
            with contextlib.closing(sqlite3.connect(shop.ledger.path)) as other:
                begun_anew.append(other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
            return found

        monkeypatch.setattr(journal, "_all", asked)
        assert len(journal.rows_after(0, 20)) == 20
    assert begun_anew == [True] * 5
