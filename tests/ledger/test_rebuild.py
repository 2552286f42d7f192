"""The books made anew in memory and in slabs are those that were written row by row; so is a grown ledger."""

from pathlib import Path

import pytest
from hub.device_rows import busy
from shop import PROGRAMME, Shop, payment

from vafa.app.recheck import Recheck
from vafa.books.effect import Impossible
from vafa.books.rows import TABLES
from vafa.cli.measure import grown
from vafa.club.programme import parse
from vafa.ledger import rebuild as rebuilding
from vafa.ledger.rebuild import Rebuild
from vafa.ledger.schema import scratch_tables
from vafa.ledger.storage import connect_reader
from vafa.ledger.tables import SQL
from vafa.ledger.verify import verify
from vafa.model import events


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def rebuilt(shop: Shop) -> dict[str, list[tuple[object, ...]]]:
    import sqlite3

    scratch = sqlite3.connect(":memory:", isolation_level=None)
    scratch_tables(scratch)
    books = Rebuild(scratch)
    for seq, kind, body in shop.ledger.read(
        lambda c: c.execute("SELECT seq, kind, body FROM journal ORDER BY seq").fetchall()
    ):
        books.take(events.decode(kind, body), seq)
    found = {name: books.connection.execute(SQL[row].all_by_key).fetchall() for row, name in TABLES.items()}
    scratch.close()
    return found


@pytest.mark.parametrize("waiting", [1, 2, 7, 16_384])
def test_however_many_rows_wait_in_memory_the_books_are_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, waiting: int
) -> None:
    monkeypatch.setattr(rebuilding, "WAITING_CHANGES_MAX", waiting)
    monkeypatch.setattr(rebuilding, "KEPT_ROWS_MAX", 2 * waiting)
    busy(shop)
    stored = {
        name: shop.ledger.read(lambda c, row=row: c.execute(SQL[row].all_by_key).fetchall())  # type: ignore[misc]
        for row, name in TABLES.items()
    }
    shop.ledger.close()
    shop.open()
    assert rebuilt(shop) == stored
    shop.ledger.close()


def test_a_payment_that_was_posted_before_is_known_whatever_its_reference_and_wherever_it_is(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    for rrn in (500, 300, 400):
        shop.counter.post(payment(320_000_000_000 + rrn))
    shop.ledger.close()
    connection = connect_reader(shop.ledger.path)
    rows = [
        (seq, events.decode(kind, body))
        for seq, kind, body in connection.execute("SELECT seq, kind, body FROM journal ORDER BY seq")
    ]
    connection.close()
    awards = [event for _, event in rows if isinstance(event, events.Award)]
    for kept in (1, 32_768):
        monkeypatch.setattr(rebuilding, "KEPT_ROWS_MAX", kept)
        monkeypatch.setattr(rebuilding, "WAITING_CHANGES_MAX", kept)
        scratch = sqlite3.connect(":memory:", isolation_level=None)
        scratch_tables(scratch)
        books = Rebuild(scratch)
        for seq, event in rows:
            books.take(event, seq)
        for award in awards:
            with pytest.raises(Impossible, match="posted before"):
                books.take(award, 99)
        scratch.close()


def test_a_grown_ledger_is_one_that_verifies_and_goes_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grown, "SLAB_ROWS", 300)
    head, path = shop.ledger.head, shop.ledger.path
    shop.ledger.close()
    grown.grow(path, head, shop.tokens, parse(PROGRAMME), 1_000)
    shop.open()
    before = sum(shop.balances())
    assert before > 1_000
    outcome = shop.counter.post(payment(319_000_000_000, 1_000, card=grown.card_of(3)))
    assert sum(shop.balances()) == before + outcome.points == before + 100
    shop.ledger.close()
    connection = connect_reader(path)
    found = verify(connection, Recheck(connection))
    connection.close()
    assert (found.awards, found.bad) == (1_001, ())
