"""The hub's own code over a real PostgreSQL, as a hub of the simulation."""

from collections.abc import Callable

from hub.device_rows import LEDGER_ID
from hub_stub import HUB_KEY
from simulated.hubs import Disagreement, MemoryKey, Row, Said

from vafa.hub import devices, merchants, suspense
from vafa.hub.branches import missing
from vafa.hub.database import Connection, Database
from vafa.hub.devices import Device
from vafa.hub.journal import held
from vafa.hub.lines import current, lines_of
from vafa.hub.replay import path
from vafa.hub.sync import Sync
from vafa.hub.tables import Place

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'schema_version'"


class PostgresHub:
    """What the simulation asks of a hub. `merchant`: an id of its own, or the recorded one."""

    public = HUB_KEY.public

    def __init__(self, database: Database, clock_ms: Callable[[], int], merchant: str = "") -> None:
        self._database, self._clock_ms = database, clock_ms
        self._sync = Sync(database, MemoryKey(), clock_ms)
        with database.transaction() as connection:
            self.merchant = merchants.add(connection, "simulated", clock_ms()).merchant
            if merchant:
                sql = "UPDATE merchant SET merchant_id = %s WHERE merchant_id = %s"
                connection.execute(sql, (merchant, self.merchant))
                self.merchant = merchant
            self._tables = [row[0] for row in connection.execute(_TABLES)]
            connection.execute("CREATE SCHEMA IF NOT EXISTS kept")
        self.backup()

    def enrol(self, number: int, key: bytes) -> None:
        device = Device(number, f"till {number}", LEDGER_ID, key, bytes(32), b"k" * 8, 0, None)
        with self._database.transaction() as connection:
            devices.add(connection, self.merchant, device)
        self.backup()  # an enrolment that a restored hub has forgotten is an operator's matter

    def answer(self, body: bytes) -> Said:
        reply = self._sync.answer(body)
        return Said(reply.status, reply.body)

    def backup(self) -> None:
        with self._database.transaction() as connection:
            self._each(connection, "DROP TABLE IF EXISTS kept.{0}", "CREATE TABLE kept.{0} AS TABLE {0}")

    def restore(self) -> None:
        with self._database.transaction() as connection:
            self._each(connection, "DELETE FROM {0}", "INSERT INTO {0} SELECT * FROM kept.{0}")

    def _each(self, connection: Connection, *statements: str) -> None:
        for table in self._tables:
            for statement in statements:
                connection.execute(statement.format(table).encode())

    def rows(self, number: int) -> list[Row]:
        with self._database.transaction() as connection:
            lines = lines_of(connection, self.merchant, number)
            if not lines:
                return []
            newest, rows = current(lines), list[Row]()
            if suspense.count(connection, self.merchant, number, newest.line):
                raise Disagreement(f"device {number} has rows in suspense")
            for part in path(lines, newest, newest.seq):
                place = Place(self.merchant, number, part.line)
                found = held(connection, place, part.first_seq, part.last_seq)
                rows += [Row(row.epoch, row.seq, row.hash, row.state) for row in found]
            if (newest.hash, newest.state) != (rows[-1].hash, rows[-1].state):
                raise Disagreement(f"device {number}: the end of its line is not its last row")
            return rows

    def branches(self, number: int) -> int:
        with self._database.transaction() as connection:
            return len(lines_of(connection, self.merchant, number))

    def has(self, number: int, row: Row) -> bool:
        sql = """SELECT hash FROM journal WHERE merchant_id = %s AND device = %s AND seq = %s"""
        with self._database.transaction() as connection:
            return (row.hash,) in connection.execute(sql, (self.merchant, number, row.seq)).fetchall()

    def lost(self, number: int) -> int:
        with self._database.transaction() as connection:
            lines = lines_of(connection, self.merchant, number)
            if not lines:
                return 0
            own = current(lines)
            place = Place(self.merchant, number, own.line)
            return sum(part.rows for part in missing(connection, place, lines, own.seq))


def replayed(
    database: Database, recorded: list[tuple[int, bytes | None]], keys: dict[int, bytes]
) -> PostgresHub:
    """A real hub after everything that a MemoryHub was sent, in the same order, byte for byte."""
    now_ms = recorded[0][0] if recorded else 0

    hub = PostgresHub(database, lambda: now_ms, "7KQ2MX")
    for number, key in keys.items():
        hub.enrol(number, key)
    for at_ms, body in recorded:
        now_ms = at_ms
        if body is None:
            hub.restore()
        elif body:
            hub.answer(body)
        else:
            hub.backup()
    return hub
