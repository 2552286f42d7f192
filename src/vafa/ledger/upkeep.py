"""What keeps a ledger file well over the years: checkpoint, integrity check, backup.

All three work on the file by path with a connection of their own, beside the daemon's writer: WAL lets them
read while sales go on. None of them changes a row.
"""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from vafa.ledger.storage import BROKEN, flush
from vafa.model.errors import LedgerDamaged, LedgerError

BUSY_WAIT_S = 2.0  # a checkpoint that cannot have the lock by then leaves it to the next one
COPY_PAGES = 512  # pages a step of a backup copies before it lets a sale through
COPY_PAUSE_S = 0.01
PROBLEMS_MAX = 20
_BACKUP_NAME = "ledger-*.db"

Check = Callable[[sqlite3.Connection], list[str]]


class CheckpointDone(msgspec.Struct, frozen=True):
    """What a checkpoint did. `busy`: a reader or writer was in the way; the next one does it.

    log_frames      pages in the write-ahead log before, moved_frames of them now in the database
    wal_bytes       size of the log's file afterwards
    """

    busy: bool
    log_frames: int
    moved_frames: int
    wal_bytes: int


class BackupDone(msgspec.Struct, frozen=True):
    """The finished backup, its size, and the older ones that made room for it."""

    path: Path
    size_bytes: int
    dropped: tuple[Path, ...]


def checkpoint(path: Path) -> CheckpointDone:
    """Moves the write-ahead log into the database and cuts it off, so that what was deleted is in no file.

    LedgerError when it cannot be done. (`log_file.move` leaves the log its size.)
    """
    wal = path.with_name(path.name + "-wal")
    try:
        with closing(open_beside(path, "rw")) as connection:
            _, log_frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            size = wal.stat().st_size if wal.exists() else 0
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: the checkpoint failed: {error}", fix="vafa verify") from error
    return CheckpointDone(bool(busy), log_frames, 0 if busy else log_frames, size)


def check_integrity(path: Path, also: Check | None = None) -> list[str]:
    """What is wrong with the file, [] when nothing is; at most PROBLEMS_MAX lines, never an exception.

    SQLite finds broken pages and indexes; it cannot see a changed value inside a sound row. `also` looks at
    the rows (the journal's chain) over the same read-only connection, in the same snapshot.
    """
    problems: list[str] = []
    try:
        with closing(open_beside(path, "ro")) as connection:
            connection.execute("BEGIN")
            problems += [f"{path.name}: {text}" for text in _structure(connection)]
            if not problems and also:
                problems = also(connection)
            connection.execute("ROLLBACK")
    except (sqlite3.Error, *BROKEN) as error:
        problems.append(f"{path.name}: {error}")
    return problems[:PROBLEMS_MAX]


def _structure(connection: sqlite3.Connection) -> list[str]:
    """What SQLite's own check says. On some broken pages it stops with a bare "malformed": then each table is
    checked by itself, so that the broken one is named."""
    try:
        found = connection.execute(f"PRAGMA integrity_check({PROBLEMS_MAX})").fetchall()
        return [text for (text,) in found if text != "ok"]
    except BROKEN as error:
        problems = [str(error)]
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        try:
            connection.execute(f"PRAGMA integrity_check('{table}')").fetchall()
        except BROKEN as error:
            problems.insert(0, f"table {table}: {error}")
    return problems


def backup(path: Path, directory: Path, kept: int, also: Check | None = None) -> BackupDone:
    """Copies the ledger while it is in use; the copy is checked and durable before it gets its name.

    Backups are named `ledger-NNNNNN.db`, counted up, for a clock that jumps must not make the newest one the
    oldest. LedgerDamaged when the copy does not verify: then no older backup is dropped for it.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    earlier = _backups(directory)
    target = directory / f"ledger-{_number(earlier[-1]) + 1 if earlier else 1:06d}.db"
    draft = directory / ".ledger-draft.db"
    try:
        copy(path, draft)
        problems = check_integrity(draft, also)
        if problems:
            raise LedgerDamaged(
                f"the backup of {path} does not verify: {problems[0]}",
                fix="vafa verify; older backups were kept",
            )
        flush(draft)
        draft.rename(target)
        flush(directory)
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"no backup to {directory}: {error}", fix="check space and permissions") from error
    finally:
        draft.unlink(missing_ok=True)
    dropped = tuple(earlier[: max(0, len(earlier) + 1 - kept)])
    for old in dropped:
        old.unlink()
    return BackupDone(target, target.stat().st_size, dropped)


def open_beside(path: Path, mode: str) -> sqlite3.Connection:
    """A connection beside the writer's; makes no file."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=BUSY_WAIT_S, isolation_level=None
    )
    connection.text_factory = _any_text
    return connection


def _any_text(text: bytes) -> str:
    """What SQLite says of a broken page may quote it."""
    return text.decode("utf-8", "replace")


def copy(path: Path, draft: Path) -> None:
    """An online copy into a file only we may read, as one plain file without a log beside it."""
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with closing(open_beside(path, "ro")) as source, closing(open_beside(draft, "rw")) as copy:
        source.execute("BEGIN")  # one snapshot: commits meanwhile would start the copying over again
        source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        source.backup(copy, pages=COPY_PAGES, progress=lambda *_: time.sleep(COPY_PAUSE_S))
        source.execute("ROLLBACK")
        copy.execute("PRAGMA journal_mode = DELETE")


def _backups(directory: Path) -> list[Path]:
    """Oldest first."""
    found = [path for path in directory.glob(_BACKUP_NAME) if path.stem.removeprefix("ledger-").isdigit()]
    return sorted(found, key=_number)


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("ledger-"))
