"""A real PostgreSQL for the hub's tests: one server a session, its tables emptied before each test.

(A database a test, copied from a template, takes half a second each: 300 files.)
"""

import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from hub.served import NOW_MS, Hub, Till
from shop import Shop

from vafa.hub.database import Database, connect
from vafa.hub.embedded import EmbeddedPostgres
from vafa.hub.migrations import migrate

# A test's rows need not survive a power cut; what a crash does to real ones is PostgreSQL's to prove.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
_numbers = count()


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """PostgreSQL in a folder of its own (a short one: a socket's path is bounded)."""
    with tempfile.TemporaryDirectory(prefix="vafa-hub-") as directory:
        Path(directory).chmod(0o755)
        with EmbeddedPostgres(Path(directory), FAST) as running:
            yield running


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> str:
    """The name of a database that has the hub's tables and no rows."""
    with connect(server.dsn) as connection:
        connection.execute("CREATE DATABASE vafa_template")
    with connect(database_of(server, "vafa_template")) as connection:
        migrate(connection)
    return "vafa_template"


@pytest.fixture
def dsn(server: EmbeddedPostgres, template: str) -> str:
    """A database with the hub's tables, all empty."""
    found = database_of(server, template)
    with connect(found) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_version'"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"DELETE FROM {table}".encode())
    return found


@pytest.fixture
def fresh_dsn(server: EmbeddedPostgres) -> Iterator[str]:
    """A database of the test's own, without any table."""
    name = f"test_{next(_numbers)}"
    with connect(server.dsn) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield database_of(server, name)
    with connect(server.dsn) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    """Connections to it."""
    it = Database(dsn)
    yield it
    it.close()


def database_of(server: EmbeddedPostgres, name: str) -> str:
    """The connection string of one database of the server."""
    return psycopg.conninfo.make_conninfo(server.dsn, dbname=name)


@pytest.fixture(scope="session")
def serving(
    server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hub]:
    """A hub that answers on loopback, as long as the session."""
    database = Database(database_of(server, template))
    it = Hub(database, tmp_path_factory.mktemp("hub"))
    with it.up():
        yield it
    database.close()


@pytest.fixture
def hub(serving: Hub, dsn: str) -> Hub:
    """That hub, with an empty database and its clock at the beginning."""
    serving.now_ms = NOW_MS
    return serving


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A device's ledger, with everything around it."""
    (tmp_path / "shop").mkdir()
    it = Shop(tmp_path / "shop")
    yield it
    it.ledger.close()


@pytest.fixture
def till(hub: Hub) -> Till:
    """A device that is enrolled."""
    it = Till(hub)
    it.enrol(hub.code(hub.merchant()))
    return it
