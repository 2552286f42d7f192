"""A release that was rolled back has migrated the ledger: may the one before go on with it?"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Shop, payment

from vafa.ledger.schema import READABLE_SINCE, SCHEMA_VERSION
from vafa.ledger.storage import connect_reader
from vafa.model.errors import LedgerError

NAMES = ("user_version", "application_id")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    it = Shop(tmp_path)
    yield it
    it.ledger.close()


def newer(path: Path, readable_since: int) -> None:
    """What a release to come may do: a column with a default, a table, an index; and say who can go on."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("ALTER TABLE member ADD COLUMN later INTEGER NOT NULL DEFAULT 0")
    connection.execute("CREATE TABLE later (id INTEGER PRIMARY KEY, what TEXT) STRICT")
    connection.execute("CREATE INDEX member_later ON member (later) WHERE later <> 0")
    connection.execute(f"PRAGMA application_id = {readable_since}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()


def test_a_newer_ledger_that_says_this_code_can_go_on_is_gone_on_with(shop: Shop) -> None:
    first = shop.counter.post(payment(1, 1_000))
    shop.ledger.close()
    newer(shop.ledger.path, SCHEMA_VERSION)
    shop.open()
    assert shop.counter.post(payment(1, 1_000)).seq == first.seq
    assert shop.counter.post(payment(2, 1_000)).seq > first.seq
    assert shop.verified().bad == ()
    assert shop.verified().awards == 2


def test_a_newer_ledger_that_says_only_later_code_can_go_on_is_refused(shop: Shop) -> None:
    shop.ledger.close()
    newer(shop.ledger.path, SCHEMA_VERSION + 1)
    with pytest.raises(LedgerError, match="newer Vafa"):
        shop.open()
    with pytest.raises(LedgerError, match="reads"):
        connect_reader(shop.ledger.path)


def test_the_newest_migration_writes_what_the_release_says_of_itself(shop: Shop) -> None:
    connection = connect_reader(shop.ledger.path)
    written = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in NAMES]
    connection.close()
    assert written == [SCHEMA_VERSION, READABLE_SINCE]
