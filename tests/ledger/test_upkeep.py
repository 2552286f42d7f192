"""Each job of upkeep is seen by its effect: the log shrinks, a flipped byte is found, the backup reopens."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vafa.ledger import upkeep
from vafa.ledger.storage import connect_reader, connect_writer
from vafa.ledger.upkeep import backup, check_integrity, checkpoint
from vafa.model.errors import LedgerDamaged, LedgerError

ROWS = 500


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    """A writer in use, with pages of 1 KiB and rows that still lie in the write-ahead log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE journal (seq INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
        connection.execute("CREATE INDEX body ON journal (body)")
        connection.executemany(
            "INSERT INTO journal VALUES (?, ?)", [(n, b"row %05d " % n * 8) for n in range(ROWS)]
        )
        yield connection


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM journal").fetchone()[0])


def rows_read_right(connection: sqlite3.Connection) -> list[str]:
    """Stands for the chain: knows what every row must say."""
    return [
        f"journal {seq}: altered"
        for seq, body in connection.execute("SELECT seq, body FROM journal NOT INDEXED")
        if body != b"row %05d " % seq * 8
    ]


def test_a_checkpoint_empties_the_log_into_the_database(writer: sqlite3.Connection, path: Path) -> None:
    wal = path.with_name("ledger.db-wal")
    full_bytes, before_bytes = wal.stat().st_size, path.stat().st_size
    done = checkpoint(path)
    assert not done.busy
    assert 0 < done.log_frames == done.moved_frames <= (full_bytes - 32) // (1024 + 24)
    assert done.wal_bytes == wal.stat().st_size == 0
    assert path.stat().st_size > before_bytes
    assert count(path) == ROWS


def test_a_checkpoint_beside_a_reader_says_busy_and_harms_nothing(
    writer: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BUSY_WAIT_S", 0.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM journal").fetchone()
        writer.execute("INSERT INTO journal VALUES (9999, x'00')")
        done = checkpoint(path)
        assert done.busy
        assert done.wal_bytes > 0
    assert not checkpoint(path).busy


def test_a_checkpoint_of_no_ledger_is_an_error_and_makes_no_file(path: Path) -> None:
    with pytest.raises(LedgerError, match="checkpoint failed"):
        checkpoint(path)
    assert not path.exists()


def test_a_sound_file_has_no_problems(writer: sqlite3.Connection, path: Path) -> None:
    assert check_integrity(path) == []
    assert check_integrity(path, rows_read_right) == []


@pytest.mark.parametrize(("page", "named"), [(2, "Page 2"), (6, "table journal"), (40, "table journal")])
def test_a_byte_flipped_in_a_pages_structure_is_found_and_named(
    writer: sqlite3.Connection, path: Path, page: int, named: str
) -> None:
    checkpoint(path)
    writer.close()
    flip(path, (page - 1) * 1024)  # the page's type
    problems = check_integrity(path, rows_read_right)
    assert problems[0].startswith("ledger.db: ")
    assert named in problems[0]


def test_a_byte_flipped_in_a_rows_value_is_found_by_the_chain(path: Path, writer: sqlite3.Connection) -> None:
    writer.execute("DROP INDEX body")
    checkpoint(path)
    writer.close()
    flip(path, path.read_bytes().index(b"row 00321 ") + 4)
    assert check_integrity(path) == []  # SQLite has no checksums
    assert check_integrity(path, rows_read_right) == ["journal 321: altered"]


def test_a_file_that_is_no_database_is_a_problem_not_a_crash(path: Path) -> None:
    path.write_bytes(b"x" * 4096)
    assert check_integrity(path) == ["ledger.db: file is not a database"]
    assert check_integrity(path.with_name("none.db")) == ["none.db: unable to open database file"]


def test_a_backup_reopens_with_every_row_the_log_held(writer: sqlite3.Connection, path: Path) -> None:
    done = backup(path, path.parent / "backups", kept=3)
    assert done.path.name == "ledger-000001.db"
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o600
    assert done.size_bytes == done.path.stat().st_size
    assert count(done.path) == ROWS
    assert check_integrity(done.path, rows_read_right) == []
    assert [file.name for file in done.path.parent.iterdir()] == ["ledger-000001.db"]  # no log, no draft
    writer.execute("INSERT INTO journal VALUES (9999, x'00')")  # the ledger is still in use
    assert count(done.path) == ROWS


def test_a_backup_is_one_moment_even_when_sales_go_on(
    writer: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "COPY_PAGES", 5)
    sold = iter(range(ROWS, 100_000))
    monkeypatch.setattr(
        "vafa.ledger.upkeep.time.sleep",
        lambda _: writer.execute("INSERT INTO journal VALUES (?, x'00')", (next(sold),)),
    )
    done = backup(path, path.parent / "backups", kept=3)
    assert next(sold) > ROWS + 5  # sales did go on
    assert count(done.path) == ROWS


def test_only_the_newest_backups_are_kept_whatever_the_clock_says(
    writer: sqlite3.Connection, path: Path
) -> None:
    directory = path.parent / "backups"
    directory.mkdir()
    (directory / "ledger-mine.db").touch()
    for _ in range(5):
        done = backup(path, directory, kept=2)
    assert [old.name for old in done.dropped] == ["ledger-000003.db"]
    names = sorted(file.name for file in directory.iterdir())
    assert names == ["ledger-000004.db", "ledger-000005.db", "ledger-mine.db"]


def test_a_damaged_ledger_pushes_no_good_backup_out(writer: sqlite3.Connection, path: Path) -> None:
    directory = path.parent / "backups"
    backup(path, directory, kept=1, also=rows_read_right)
    writer.execute("UPDATE journal SET body = x'00' WHERE seq = 7")
    with pytest.raises(LedgerDamaged, match="journal 7: altered"):
        backup(path, directory, kept=1, also=rows_read_right)
    assert [file.name for file in directory.iterdir()] == ["ledger-000001.db"]


def test_a_backup_that_cannot_be_written_says_where(writer: sqlite3.Connection, path: Path) -> None:
    (path.parent / "backups").mkdir()
    with pytest.raises(LedgerError, match="no backup to"):
        backup(path.with_name("none.db"), path.parent / "backups", kept=1)
    assert list((path.parent / "backups").iterdir()) == []


def test_a_schema_that_is_no_text_any_more_is_a_problem_not_a_crash(
    writer: sqlite3.Connection, path: Path
) -> None:
    """SQLite's message quotes the broken name; where that is no UTF-8 Python cannot say even the message."""
    checkpoint(path)
    writer.close()
    data = bytearray(path.read_bytes())
    at = data.index(b"CREATE TABLE")
    data[at : at + 40] = b"\xff\xfe" * 20
    path.write_bytes(bytes(data))
    assert check_integrity(path)
    with pytest.raises(LedgerDamaged):
        connect_reader(path)
    with pytest.raises(LedgerDamaged):
        connect_writer(path, lambda _path: None)
