"""Connections to PostgreSQL: a few kept open, each transaction on one of them.

Small on purpose: the hub's requests are short and bounded, so a stack of idle connections is all the pool
there is. A server that was restarted has cut every idle connection; BEGIN is what notices, and then all of
them go and a fresh one is tried once, so that a restart costs no request that had not begun.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import OperationalError

from vafa.hub.binary import register
from vafa.model.errors import StoreUnavailable

Connection = psycopg.Connection[tuple[Any, ...]]
CONNECTIONS_MAX = 8
WAIT_S = 10.0  # for a free connection; then the request is told to come again
CONNECT_S = 5
# A transaction that stands still (a hub process that hangs) must not keep a device's row for ever.
_SESSION = "-c idle_in_transaction_session_timeout=60s -c lock_timeout=20s -c statement_timeout=120s"


class Database:
    """What the hub keeps its rows in. Safe for many threads."""

    def __init__(self, dsn: str, connections_max: int = CONNECTIONS_MAX) -> None:
        """Connects when first asked. `dsn` is libpq's connection string or URI; it is never shown."""
        self.dsn = dsn
        self._free: list[Connection] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(connections_max)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back by any exception.

        StoreUnavailable when the server does not answer, before or in the middle: nothing is then committed,
        or (only when COMMIT itself went unanswered) it may be, which a repeat of the request finds out.
        """
        if not self._places.acquire(timeout=WAIT_S):
            raise StoreUnavailable("every connection to PostgreSQL is busy", fix="wait; or start another hub")
        try:
            connection = self._begun()
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                _rolled_back(connection)
                raise
            finally:
                if (
                    connection.closed
                    or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
                ):
                    connection.close()
                else:
                    with self._lock:
                        self._free.append(connection)
        except OperationalError as error:
            raise unavailable(error) from error
        finally:
            self._places.release()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()

    def _begun(self) -> Connection:
        with self._lock:
            connection = self._free.pop() if self._free else None
        if connection is not None:
            try:
                connection.execute("BEGIN")
            except OperationalError:
                connection.close()
                self.close()
            else:
                return connection
        connection = connect(self.dsn)
        connection.execute("BEGIN")
        return connection


def connect(dsn: str) -> Connection:
    """One connection, in autocommit: who wants a transaction begins it. Raises psycopg's OperationalError."""
    connection = psycopg.connect(
        dsn, autocommit=True, connect_timeout=CONNECT_S, options=_SESSION, application_name="vafa-hub"
    )
    register(connection)
    return connection


def prepared(dsn: str, prepare: Callable[[Connection], Any]) -> None:
    """Run `prepare` (the migrations) on a connection of its own. StoreUnavailable when there is no server."""
    try:
        with connect(dsn) as connection:
            prepare(connection)
    except OperationalError as error:
        raise unavailable(error) from error


def unavailable(error: OperationalError) -> StoreUnavailable:
    """What to tell of a server that does not answer: its first line, which names no password."""
    first = str(error).strip().partition("\n")[0]
    return StoreUnavailable(
        f"PostgreSQL does not answer ({first})", fix="systemctl status postgresql; check --dsn"
    )


def _rolled_back(connection: Connection) -> None:
    """Undo; a connection that cannot even do that is closed by its caller, which undoes as well."""
    if not connection.closed:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()
