"""`vafa` with one thing altered from outside, so that production needs no switch for tests.

altered.py lazy ...      commits are not synced (synchronous=NORMAL): the crash states must show losses
altered.py hasty ...     checkpoints every few awards, jobs every second: more of the delicate moments
altered.py unfilled ...  the log is not given its full size: injected faults are counted by the sales alone
altered.py short ...     the log's full size is 272 KiB, and it is filled in as many slices
"""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from vafa.app import jobs, log_keeping
from vafa.cli.main import main
from vafa.ledger import log_file, storage


def lazy() -> None:
    """What an SQLite built with another default would do if nobody read the setting back."""
    connect = storage.connect_writer

    def connect_lazily(path: Path, migrate: Callable[[Path], None]) -> sqlite3.Connection:
        connection = connect(path, migrate)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    storage.connect_writer = connect_lazily


def hasty() -> None:
    """A long day in a short one: the log starts over again and again, backups are made between sales."""
    storage.WAL_PAGES_AUTOCHECKPOINT = 60
    log_keeping.COMMITS_WORTH_MOVING, log_keeping.COMMITS_UNTIL_MOVED = 1, 7
    jobs._MINUTE_S = jobs._HOUR_S = 0.06


def unfilled() -> None:
    """The log grows as SQLite needs it: then every sync counted is one of the sales'."""
    log_file.FREE_BYTES_MIN = 1 << 62


def short() -> None:
    """A short log, filled in as many slices: images of the disk that are quickly made."""
    storage.LOG_BYTES, log_file.SLICE_BYTES = 17 * 16_384, 16_384


if __name__ == "__main__":
    {"lazy": lazy, "hasty": hasty, "unfilled": unfilled, "short": short}[sys.argv.pop(1)]()
    main()
