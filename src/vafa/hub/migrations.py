"""Schema changes of the hub, each in one transaction with the record of it; run at every start.

Several processes may start at once: the first holds an advisory lock, the others then find nothing to do. A
database newer than this program is refused, because its rows may mean what this program does not know.
"""

from collections.abc import Callable

import psycopg

from vafa.hub.schema import BRANCHES, FORGOTTEN, OFFERS, PEOPLE, REDEEMING, RULES, TABLES
from vafa.model.errors import HubError

Connection = psycopg.Connection[tuple[object, ...]]
SERVER_VERSION_MIN = 150_000
_LOCK = 0x7661_6661  # "vafa": nobody else's advisory lock
# The one table without merchant_id: it is about the database, not about anybody's data.
_VERSION_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY, at timestamptz NOT NULL)"
)
_VERSION = "SELECT coalesce(max(version), 0) FROM schema_version"
_RECORD = "INSERT INTO schema_version (version, at) VALUES (%s, now())"


def _first_tables(connection: Connection) -> None:
    _run(connection, TABLES)


def _rules(connection: Connection) -> None:
    _run(connection, RULES)


def _people(connection: Connection) -> None:
    _run(connection, PEOPLE)


def _redeeming(connection: Connection) -> None:
    _run(connection, REDEEMING)


def _branches(connection: Connection) -> None:
    _run(connection, BRANCHES)


def _offers(connection: Connection) -> None:
    _run(connection, OFFERS)


def _forgotten(connection: Connection) -> None:
    """Also from the journals that are here: a device that hears of it only now must hear of all."""
    from vafa.hub.forgotten import note_held  # what it reads rows with is needed for nothing else here

    _run(connection, FORGOTTEN)
    note_held(connection)


def _run(connection: Connection, script: str) -> None:
    for statement in script.strip().split(";\n"):
        if statement.strip(" ;\n"):
            connection.execute(statement.encode())


# Only ever added to: a step that ran somewhere is never changed.
STEPS: tuple[Callable[[Connection], None], ...] = (
    _first_tables, _rules, _people, _redeeming, _branches, _offers, _forgotten,
)  # fmt: skip
SCHEMA_VERSION = len(STEPS)


def migrate(connection: Connection) -> int:
    """Bring the database to this program's schema. How many steps were taken. Raises HubError."""
    server = connection.info.server_version
    if server < SERVER_VERSION_MIN:
        raise HubError(
            f"PostgreSQL {server // 10_000} is too old: the hub needs 15 or newer",
            fix="update the server, or run without --dsn for the embedded one",
            code="HUB-003",
        )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(_VERSION_TABLE)
        version = stored_version(connection)
        if version > SCHEMA_VERSION:
            raise HubError(
                f"the database has schema {version}, this Vafa knows {SCHEMA_VERSION}",
                fix="update Vafa on this machine, or restore a backup made with this version",
                code="HUB-003",
            )
        for number, step in enumerate(STEPS[version:], version + 1):
            step(connection)
            connection.execute(_RECORD, (number,))
    return SCHEMA_VERSION - version


def stored_version(connection: Connection) -> int:
    """The schema the database has; 0 before the first step."""
    found = connection.execute(_VERSION).fetchone()
    assert found is not None
    assert isinstance(found[0], int)
    return found[0]
