"""Room kept aside on the ledger's disk, for the day somebody fills it.

A file of nothing, given up when the disk is full. What it held is enough to move the write-ahead log into
the database and empty it: the log repeats each page many times, so that sales go on in the room it leaves.
Where the ledger itself is what fills the disk, this only puts the end off.
"""

import os
from pathlib import Path

NAME = "ledger.reserve"
BYTES = 1 << 20
BYTES_MIN = 128 << 10  # less would not hold what a log has of new pages
PART_OF_FREE = 4  # never more than this part of what is free: others live here too


def keep(ledger: Path) -> bool:
    """True when all of it is there, or could be made now; where there is less room, less is kept.

    Allocated, not written: it costs no flash.
    """
    path = ledger.with_name(NAME)
    try:
        has = path.stat().st_size if path.exists() else 0
        if has >= BYTES:
            return True
        disk = os.statvfs(ledger.parent)
        size = min(BYTES, disk.f_bavail * disk.f_frsize // PART_OF_FREE)
        if size < max(BYTES_MIN, 2 * has):
            return False
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
    except OSError:  # full again meanwhile, or read-only: it is tried again
        return False
    return size >= BYTES


def give_up(ledger: Path) -> bool:
    """Its room is free now."""
    try:
        ledger.with_name(NAME).unlink()
    except OSError:
        return False
    return True
