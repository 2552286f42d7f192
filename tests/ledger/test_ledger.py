"""The one write path: what is posted is there once, chained, and rebuilt from the journal alike."""

import contextlib
import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Shop

from vafa.books.rows import MemberRow, PaymentRow
from vafa.ledger.ledger import Ledger, Transaction
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import Verified, verify
from vafa.model import events
from vafa.model.errors import LedgerBusy, LedgerDamaged, LedgerError
from vafa.model.payment import PaymentKey, Scheme

MEMBER = b"\1\2" + b"m" * 8
CARD = b"\1\1\2" + b"c" * 8
PROGRAMME = b"p" * 8


def key(number: int) -> PaymentKey:
    return PaymentKey(Scheme.RRN, "40217736", f"{number:012d}")


def award(
    number: int, holder: bytes = MEMBER, carry: tuple[int, int] = (0, 1), claim: str = "", before: int = 0
) -> events.Award:
    paid = events.Paid(key(number), 105, 0, 1_700_000_000, 1, f"{number:06d}")
    points = (carry[0] * 2 + 21 * carry[1]) // (2 * carry[1])
    return events.Award(paid, holder, claim, PROGRAMME, 105, (21, 2), carry, points, before + points, 1)


def opened() -> events.EpochOpened:
    return events.EpochOpened(b"L" * 16, 1, None, b"\1\2", "first start")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    book = Ledger(tmp_path, lambda: 1_700_000_000_000)
    book.write(lambda tx: (tx.post(opened()), tx.post(events.Enrol(MEMBER, "6789", "test"))))
    yield book
    book.close()


def test_who_may_not_read_the_ledger_is_told_so(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vafa.ledger.storage.os.access", lambda *_: False)
    with pytest.raises(LedgerError, match="may be read by root and the vafa user only"):
        connect_reader(ledger.path)


def verified(ledger: Ledger) -> Verified:
    connection = connect_reader(ledger.path)
    try:
        return verify(connection, lambda *_: "")
    finally:
        connection.close()


def test_an_award_is_one_journal_row_and_its_effect_on_the_books(ledger: Ledger) -> None:
    posted = ledger.write(lambda tx: tx.post(award(1)))
    assert (posted.epoch, posted.seq) == (1, 3)
    member = ledger.read(lambda c: c.execute("SELECT balance, visits, spent FROM member").fetchall())
    assert member == [(10, 1, 105)]
    assert ledger.head.till.member == 10
    assert ledger.head.till.issued == -10


def test_the_fraction_of_a_point_is_carried_and_makes_one_later(ledger: Ledger) -> None:
    ledger.write(lambda tx: tx.post(award(1)))
    ledger.write(lambda tx: tx.post(award(2, carry=(1, 2), before=10)))
    assert ledger.write(lambda tx: tx.find(MemberRow, (MEMBER,))) == MemberRow(
        MEMBER, 1, "6789", 2, balance=21, visits=2, spent=210
    )


def test_a_decision_that_raises_leaves_nothing_behind(ledger: Ledger) -> None:
    def decide(tx: Transaction) -> None:
        tx.post(award(1))
        raise RuntimeError("no")

    before = ledger.head
    with pytest.raises(RuntimeError, match="no"):
        ledger.write(decide)
    assert ledger.head == before
    assert verified(ledger).rows == 2


def test_a_payment_is_posted_once_and_the_books_refuse_the_second(ledger: Ledger) -> None:
    ledger.write(lambda tx: tx.post(award(1)))
    with pytest.raises(ValueError, match="posted before"):
        ledger.write(lambda tx: tx.post(award(1, carry=(1, 2))))
    row = ledger.write(lambda tx: tx.find(PaymentRow, (1, "40217736", f"{1:012d}", 0)))
    assert row is not None
    assert row.key == key(1)


def test_points_wait_on_an_unclaimed_card_until_the_claim_takes_them_all(ledger: Ledger) -> None:
    ledger.write(lambda tx: tx.post(award(1, holder=CARD, claim="482917")))
    ledger.write(lambda tx: tx.post(award(2, holder=CARD, carry=(1, 2), claim="482918", before=10)))
    part = events.Claimed(PROGRAMME, (key(1), key(2)), 210, (21, 1), (0, 1), 21, 21)
    ledger.write(lambda tx: tx.post(events.Claim(MEMBER, "482918", CARD, (part,), "test")))
    members = ledger.read(lambda c: c.execute("SELECT id, balance FROM member").fetchall())
    assert members == [(MEMBER, 21)]
    assert verified(ledger).bad == ()


def test_the_head_survives_closing_and_the_chain_goes_on(tmp_path: Path) -> None:
    first = Ledger(tmp_path, lambda: 1)
    first.write(lambda tx: tx.post(opened()))
    head = first.head
    first.close()
    second = Ledger(tmp_path, lambda: 2)
    assert second.head == head
    second.write(lambda tx: tx.post(events.Enrol(MEMBER, "6789", "test")))
    assert verified(second) == Verified(2, 0, 0, second.head.hash, ())
    second.close()


def test_a_second_writer_is_refused_while_the_first_lives(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(LedgerBusy, match="another vafa"):
        Ledger(tmp_path, lambda: 1)


def test_a_commit_is_durable_before_it_is_acknowledged(ledger: Ledger) -> None:
    assert ledger.read(lambda c: c.execute("PRAGMA synchronous").fetchone()) == (2,)
    assert ledger.read(lambda c: c.execute("PRAGMA journal_mode").fetchone()) == ("wal",)
    assert ledger.read(lambda c: c.execute("PRAGMA page_size").fetchone()) == (1024,)


def test_a_ledger_whose_log_may_lose_its_name_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite syncs the folder of a new log itself, and goes on as if nothing were when the disk refuses."""
    synced, sync = [], os.fsync

    def refuse(descriptor: int) -> None:
        sync(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            synced.append(sorted(path.name for path in tmp_path.iterdir()))
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(LedgerError, match="cannot be made durable"):
        Ledger(tmp_path, lambda: 1)
    assert "ledger.db-wal" in synced[0]


def test_a_ledger_of_a_newer_version_is_refused_with_words(tmp_path: Path, ledger: Ledger) -> None:
    ledger.close()
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("PRAGMA application_id = 99")  # since when it can be gone on with
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LedgerError, match="newer Vafa"):
        Ledger(tmp_path, lambda: 1)


def test_a_ledger_whose_newest_row_was_altered_is_not_written_on(tmp_path: Path, ledger: Ledger) -> None:
    ledger.read(lambda c: c.execute("UPDATE journal SET at = at + 1 WHERE seq = 2"))
    ledger.close()
    with pytest.raises(LedgerDamaged, match="newest journal row 2"):
        Ledger(tmp_path, lambda: 1)


TAMPERINGS = [
    ("UPDATE journal SET at = at + 1 WHERE seq = 3", "journal 3"),
    ("UPDATE journal SET kind = 12 WHERE seq = 3", "journal 3"),
    ("UPDATE journal SET epoch = 2 WHERE seq = 2", "journal 2"),
    ("UPDATE journal SET till = x'9105' WHERE seq = 3", "journal 3"),
    ("UPDATE journal SET state = zeroblob(32) WHERE seq = 3", "journal 3"),
    ("UPDATE journal SET hash = zeroblob(32) WHERE seq = 3", "journal 3"),
    (
        "UPDATE journal SET body = CAST(substr(body, 1, length(body) - 1) || x'0b' AS BLOB) WHERE seq = 3",
        "journal 3",
    ),
    ("DELETE FROM journal WHERE seq = 2", "journal 3"),
    ("UPDATE member SET balance = 1000", "member 01026d6d6d6d6d6d6d6d"),
    ("UPDATE member SET carry = x'90'", "member 01026d6d6d6d6d6d6d6d"),
    ("DELETE FROM payment", "payment 1/40217736/000000000001/0"),
    ("UPDATE payment SET amount = 1", "payment 1/40217736/000000000001/0"),
    ("INSERT INTO token VALUES (x'0101', x'02', 3)", "token 0101/02"),
]


@pytest.mark.parametrize(("sql", "place"), TAMPERINGS)
def test_verify_names_the_first_altered_row(ledger: Ledger, sql: str, place: str) -> None:
    ledger.write(lambda tx: tx.post(award(1)))
    assert verified(ledger).bad == ()
    ledger.read(lambda c: c.execute(sql))
    assert [bad.place for bad in verified(ledger).bad] == [place]


def test_every_column_of_the_journal_and_the_books_is_tried_by_the_tamperings(ledger: Ledger) -> None:
    columns = ledger.read(lambda c: [row[1] for row in c.execute("PRAGMA table_info(journal)")])
    assert {name for name in columns if any(f"SET {name} " in sql for sql, _ in TAMPERINGS)} >= set(
        columns
    ) - {"seq"}


def test_a_ledger_of_the_first_schema_gets_what_came_later_and_keeps_its_rows(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.members.add("09121236789", "", "test")
    shop.ledger.close()
    with contextlib.closing(sqlite3.connect(shop.ledger.path)) as old:
        for table in (
            "alias",
            "lot",
            "hold",
            "offer",
            "budget",
            "person",
            "branch",
            "branch_row",
            "heard_forget",
        ):
            old.execute(f"DROP TABLE {table}")
        old.execute("DROP INDEX journal_claim")
        old.execute("DROP INDEX member_expiry")
        old.execute("DROP INDEX member_tier")
        old.execute("DROP INDEX journal_clock")
        for column in ("lots", "next_expiry", "held", "tier", "tier_since", "metric", "standing", "offers"):
            old.execute(f"ALTER TABLE member DROP COLUMN {column}")
        old.execute("DELETE FROM _sqlite_migrations WHERE name > 'm001_first_tables'")
        old.execute("PRAGMA user_version = 1")
        old.commit()
    shop.open()
    try:
        shop.ledger.write(lambda tx: tx.post(events.Merge(b"m" * 10, b"a" * 10, 0, "test")))
        assert shop.verified().bad == ()
        assert len(shop.members.find("6789")) == 1
    finally:
        shop.ledger.close()
