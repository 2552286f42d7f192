"""Schema changes by sqlite-utils; loaded only when a ledger is new or older than this Vafa.

Each migration and the record of it are one transaction. The last step of each sets `user_version`, so an
opening daemon sees with one PRAGMA that nothing is to be done and need not import sqlite-utils at all.
"""

import sqlite3
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from vafa.ledger.schema import TABLES

migrations = Migrations("vafa")


@migrations()
def m001_first_tables(db: Database) -> None:
    """The journal, the books derived from it, and the sealed phones beside them."""
    for statement in TABLES.strip().split(";\n"):
        if statement.strip(" ;\n"):
            db.execute(statement)
    db.execute("PRAGMA user_version = 1")


def migrate(path: Path) -> None:
    """Bring the ledger at `path` (an existing SQLite file in WAL mode) to the newest schema."""
    db = Database(sqlite3.connect(path))
    try:
        migrations.apply(db)
    finally:
        db.close()
