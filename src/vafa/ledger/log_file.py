"""The write-ahead log's file: kept at its full size, and moved into the database before a sale has to do it.

A commit into blocks that the file has is one flush. One that makes the file longer is two, and three times
the flash (ext4: 1.07 flushes and 9 kB an award against 2.14 and 30 kB), for the file system records the new
size. SQLite lets the log grow as it is needed and deletes it at an orderly end, so a small shop, whose log
never came to its full size between two starts, paid that for every sale.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from vafa.ledger import storage
from vafa.ledger.upkeep import open_beside
from vafa.model.errors import LedgerError

SLICE_BYTES = 256 * 1024
FREE_BYTES_MIN = 16 * storage.LOG_BYTES  # a disk with less room keeps it for sales
_ROUNDS = 3  # sales that come while the log is moved are moved in the next round


class LogMoved(msgspec.Struct, frozen=True):
    """`frames` pages are in the database now; `whole`: all there were, so that the log begins anew."""

    frames: int
    whole: bool


def of(path: Path) -> Path:
    """The log of the ledger at `path`."""
    return path.with_name(path.name + "-wal")


def extend(path: Path) -> bool:
    """Append a slice of zeros to the log, durably; True when it was too short and may still be.

    Zeros end what SQLite reads of a log. For `Ledger.extend_log` alone: a commit must not go where they go,
    and a sync that fails takes its pages with it. OSError when the disk refuses.
    """
    descriptor = os.open(of(path), os.O_RDWR | os.O_CLOEXEC)  # no lock is on this file that closing drops
    try:
        size = os.fstat(descriptor).st_size
        disk = os.fstatvfs(descriptor)
        if size >= storage.LOG_BYTES or disk.f_bavail * disk.f_frsize < FREE_BYTES_MIN:
            return False
        os.pwrite(descriptor, bytes(min(SLICE_BYTES, storage.LOG_BYTES - size)), size)
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    return True


def move(path: Path) -> LogMoved:
    """Copy the log's pages into the database, beside sales that go on. LedgerError when the disk refuses."""
    try:
        with closing(open_beside(path, "rw")) as connection:
            for _ in range(_ROUNDS):
                _busy, frames, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if moved == frames:
                    break
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: the log could not be moved: {error}", fix="vafa verify") from error
    return LogMoved(max(moved, 0), moved == frames)
