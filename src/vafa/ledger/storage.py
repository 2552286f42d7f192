"""Opening the file: the settings that make a commit durable, set and read back, and who may open it.

synchronous=FULL in WAL mode is one fsync per commit; some builds default to NORMAL, which loses acknowledged
rows at a power cut, and `PRAGMA journal_mode=WAL` can silently answer something else. So both are read back.
"""

import fcntl
import operator
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

from vafa.books.rows import HoldState, MemberState, PaymentState
from vafa.ledger.schema import SCHEMA_VERSION
from vafa.ledger.trouble import explained
from vafa.model.errors import LedgerBusy, LedgerDamaged, LedgerError
from vafa.model.events import Kind, SaleOutcome
from vafa.model.payment import Scheme

SQLITE_MIN = (3, 37, 0)  # STRICT tables
PAGE_BYTES = 1024
WAL_PAGES_AUTOCHECKPOINT = 4_000
FRAME_BYTES = 24 + PAGE_BYTES  # of the write-ahead log: SQLite file format §4.1
LOG_BYTES = 32 + (WAL_PAGES_AUTOCHECKPOINT + 100) * FRAME_BYTES  # and the last commit before a checkpoint
CACHE_KIB = 1_024
BUSY_TIMEOUT_MS = 2_000
REWRITE_BYTES = 65_536
# What Python raises for a file whose schema is broken: SQLite's message quotes it, and where the quoted bytes
# are no UTF-8 the error about the message is all that is left.
BROKEN = (sqlite3.DatabaseError, UnicodeDecodeError)


# Python's sqlite3 asks of each parameter that is no plain int, float, str or bytearray how to adapt it, and
# learns by three failed look-ups that bytes are bytes: a twenty-fifth of an award. Told, it knows at once.
_NOTHING: dict[None, None] = {}
sqlite3.register_adapter(bytes, bytes.__bytes__)
sqlite3.register_adapter(type(None), _NOTHING.get)
for _numbered in (Kind, Scheme, SaleOutcome, PaymentState, MemberState, HoldState):
    sqlite3.register_adapter(_numbered, operator.index)


def ledger_path(directory: Path) -> Path:
    """The ledger file of a state directory."""
    return directory / "ledger.db"


def connect_writer(path: Path, migrate: Callable[[Path], None]) -> sqlite3.Connection:
    """The one writing connection, created and where needed migrated by `migrate`.

    Usable from any thread under a lock.
    """
    if sqlite3.sqlite_version_info < SQLITE_MIN:
        raise LedgerError(f"SQLite {sqlite3.sqlite_version} is too old; 3.37 or newer is needed")
    _require_file(path)
    _make_durable(path.with_name(path.name + "-wal"))
    try:
        connection = _connect(path)
        _prepare(connection, path, migrate)
        _pragma(connection, "user_version")  # the first look makes the log
    except BROKEN as error:
        raise explained(error, f"{path} cannot be opened", path) from error
    try:
        flush(path.parent)  # the log's name: when SQLite's own sync of it fails it goes on regardless
    except OSError as error:
        connection.close()
        raise explained(error, f"{path.parent} cannot be made durable", path) from error
    return connection


def _require_file(path: Path) -> None:
    """A directory, a device or a pipe in the ledger's place: SQLite would wait for a pipe for ever."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # there is none, or it may not be seen: SQLite says which
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise LedgerDamaged(
            f"{path} is {kind}, not a ledger",
            fix="move it away, then restore the newest backup: vafa restore",
        )


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
    )


def _prepare(connection: sqlite3.Connection, path: Path, migrate: Callable[[Path], None]) -> None:
    version = int(_pragma(connection, "user_version"))
    if not _can_go_on(connection, version):
        connection.close()
        raise LedgerError(
            f"{path} was written by a newer Vafa (schema {version}, this one knows {SCHEMA_VERSION})",
            fix="install the newer version again, or restore a backup of this one",
            code="LED-004",
        )
    if version < SCHEMA_VERSION:
        if version == 0:
            _require_none_of_others(connection, path)
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        path.chmod(0o600)
        migrate(path)
    settings = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 0,
        "wal_autocheckpoint": WAL_PAGES_AUTOCHECKPOINT,
        "journal_size_limit": LOG_BYTES,  # a log that grew beside a long reader shrinks when it begins anew
        "cache_size": -CACHE_KIB,
    }
    for name, value in settings.items():
        connection.execute(f"PRAGMA {name} = {value}")
        answered = _pragma(connection, name)
        if answered != value:
            connection.close()
            raise LedgerError(
                f"SQLite refused {name}={value} (it says {answered}): a power cut could lose sales",
                fix="put the ledger on a local disk with a file system that supports shared memory",
                code="LED-005",
            )


def _can_go_on(connection: sqlite3.Connection, version: int) -> bool:
    """Whether this code may read and write a ledger of schema `version`, be it newer than its own.

    A release that was rolled back may have migrated it. The migration then says since which schema's code can
    go on, in the header's application_id; 0, as all wrote up to schema 7, says nobody but its own.
    """
    if version <= SCHEMA_VERSION:
        return True
    since = int(_pragma(connection, "application_id"))
    return 0 < since <= SCHEMA_VERSION


def _require_none_of_others(connection: sqlite3.Connection, path: Path) -> None:
    """A database that never was a ledger is left as it is."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and "_sqlite_migrations" not in tables:
        connection.close()
        raise LedgerDamaged(
            f"{path} is a database of another program (tables: {', '.join(sorted(tables))[:80]})",
            fix="move it away, then restore the newest backup: vafa restore",
        )


def _make_durable(log: Path) -> None:
    """Everything readable in the write-ahead log is on the disk, or the ledger does not open.

    A commit whose sync failed or was cut off by a kill can still be read from memory. Answering "seen before"
    from it would acknowledge what a power cut loses; and once a sync has failed the kernel has given those
    pages up, so that a later sync says yes without writing them. Writing the same bytes again helps.
    """
    if not log.exists():
        return
    try:
        descriptor = os.open(
            log, os.O_RDWR | os.O_CLOEXEC
        )  # SQLite holds no lock on this file that closing drops
        try:
            offset = 0
            while chunk := os.pread(descriptor, REWRITE_BYTES, offset):
                offset += os.pwrite(descriptor, chunk, offset)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LedgerError(
            f"{log} cannot be made durable ({error})", fix="check disk space and the disk; then: vafa verify"
        ) from error


def connect_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection; LedgerError when there is nothing to read or it may not be read."""
    if not path.exists():
        raise LedgerError(
            f"there is no ledger at {path}", fix="start the daemon once: vafa run", code="LED-006"
        )
    _require_file(path)
    if not os.access(path, os.R_OK):
        raise LedgerError(
            f"{path} may be read by root and the vafa user only", fix="run it with sudo", code="LED-001"
        )
    try:
        connection = sqlite3.connect(
            _reading(path), uri=True, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None
        )
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        version = int(_pragma(connection, "user_version"))
        readable = _can_go_on(connection, version)
    except BROKEN as error:
        raise explained(error, f"{path} cannot be read", path) from error
    if version < SCHEMA_VERSION or not readable:
        connection.close()
        newer = version > SCHEMA_VERSION
        raise LedgerError(
            f"{path} has schema {version}, this Vafa reads {SCHEMA_VERSION}",
            fix="install the newer version again"
            if newer
            else "start the daemon once: it brings it up to date",
            code="LED-004",
        )
    return connection


def _reading(path: Path) -> str:
    """Read-only. On a disk that is so itself SQLite could not make the log's index; where the log is empty it
    need not, for nothing can change."""
    log = path.with_name(path.name + "-wal")
    is_still = os.statvfs(path).f_flag & os.ST_RDONLY and not (log.exists() and log.stat().st_size)
    return f"{path.as_uri()}?mode=ro" + ("&immutable=1" if is_still else "")


def lock_ledger(path: Path) -> int:
    """An exclusive lock held by the one process that writes this ledger; gone with the process.

    Returns the lock's file descriptor. LedgerBusy when another daemon has it.
    """
    lock = path.with_suffix(".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerError(
            f"{lock} cannot be opened ({error.strerror})",
            fix="run as the vafa user or with sudo; is the disk full or read-only?",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise LedgerBusy(
            f"another vafa writes the ledger at {path.parent}",
            fix="stop it first (systemctl stop vafa), or give this one a directory of its own",
        ) from None
    return descriptor


def _pragma(connection: sqlite3.Connection, name: str) -> int | str:
    answer: int | str = connection.execute(f"PRAGMA {name}").fetchone()[0]
    return answer


def flush(path: Path) -> None:
    """A file's content, or a directory's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
