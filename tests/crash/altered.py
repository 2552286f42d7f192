"""`vafa` with one thing altered from outside, so that production needs no switch for tests.

altered.py lazy ...      commits are not synced (synchronous=NORMAL): the crash states must show losses
altered.py hasty ...     checkpoints every few awards, jobs every second: more of the delicate moments
"""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from vafa.app import jobs
from vafa.cli.main import main
from vafa.ledger import storage


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
    jobs._MINUTE_S = jobs._HOUR_S = 0.06


if __name__ == "__main__":
    {"lazy": lazy, "hasty": hasty}[sys.argv.pop(1)]()
    main()
