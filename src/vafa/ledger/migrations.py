"""Schema changes by sqlite-utils; loaded only when a ledger is new or older than this Vafa.

Each migration and the record of it are one transaction. The last step of each sets `user_version`, so an
opening daemon sees with one PRAGMA that nothing is to be done and need not import sqlite-utils at all. Where
something is, `python -m vafa.ledger.migrations LEDGER` does it in a process that ends (`app.aside`).
"""

import sqlite3
import sys
from pathlib import Path

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from vafa.ledger.schema import (
    SINCE_2,
    SINCE_3,
    SINCE_4,
    SINCE_5,
    SINCE_6,
    SINCE_7,
    SINCE_8,
    SINCE_9,
    TABLES,
)

migrations = Migrations("vafa")


@migrations()
def m001_first_tables(db: Database) -> None:
    """The journal, the books derived from it, and the sealed phones beside them."""
    _run(db, TABLES)
    db.execute("PRAGMA user_version = 1")


@migrations()
def m002_aliases(db: Database) -> None:
    """Members that answer as another one."""
    _run(db, SINCE_2)
    db.execute("PRAGMA user_version = 2")


@migrations()
def m003_rules(db: Database) -> None:
    """Lots, tiers, stamps, holds, offers, budgets."""
    _run(db, SINCE_3)
    db.execute("PRAGMA user_version = 3")


@migrations()
def m004_people(db: Database) -> None:
    """What members were asked and told of themselves."""
    _run(db, SINCE_4)
    db.execute("PRAGMA user_version = 4")


@migrations()
def m005_redeeming(db: Database) -> None:
    """Holds by sale and member, the clock's attestations."""
    _run(db, SINCE_5)
    db.execute("PRAGMA user_version = 5")


@migrations()
def m006_claims(db: Database) -> None:
    """Claims by an index."""
    _run(db, SINCE_6)
    db.execute("PRAGMA user_version = 6")


@migrations()
def m007_branches(db: Database) -> None:
    """Branches that were left, and their rows."""
    _run(db, SINCE_7)
    db.execute("PRAGMA user_version = 7")


@migrations()
def m008_offers(db: Database) -> None:
    """Offers that are given, set aside and spent."""
    _run(db, SINCE_8)
    _settled(db, 8, readable_since=8)


@migrations()
def m009_forgotten_elsewhere(db: Database) -> None:
    """Which forgettings of other devices were heard."""
    _run(db, SINCE_9)
    _settled(db, 9, readable_since=8)


def _settled(db: Database, version: int, readable_since: int) -> None:
    """The last step of each since 8: what the schema is now, and whose code can go on with it."""
    db.execute(f"PRAGMA application_id = {readable_since}")
    db.execute(f"PRAGMA user_version = {version}")


def _run(db: Database, script: str) -> None:
    """Statement by statement: `executescript` would commit the transaction the migration is in."""
    for statement in script.strip().split(";\n"):
        if statement.strip(" ;\n"):
            db.execute(statement)


def migrate(path: Path) -> None:
    """Bring the ledger at `path` (an existing SQLite file in WAL mode) to the newest schema."""
    db = Database(sqlite3.connect(path))
    try:
        migrations.apply(db)
    finally:
        db.close()


if __name__ == "__main__":
    migrate(Path(sys.argv[1]))
