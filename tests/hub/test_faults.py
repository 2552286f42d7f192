"""The real hub's process and the real courier over TLS, and what goes wrong between them and beneath."""

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import psycopg
import pytest
from hub.device_rows import LEDGER_ID, journal, sold
from hub.test_intake import agrees_with
from real_hub import READY_S, RealHub
from shop import Shop

from vafa.app import forgetting
from vafa.app.sync_journal import LedgerJournal
from vafa.hub import codes, merchants
from vafa.hub.backup import restore
from vafa.hub.database import Database, connect
from vafa.hub.embedded import EmbeddedPostgres
from vafa.hub.lines import lines_of
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey
from vafa.keys.tokens import Tokens
from vafa.model.chain import Row
from vafa.model.errors import HubError, StoreUnavailable
from vafa.sync.courier import Courier, Who, World
from vafa.sync.enrol import Enroller, Ledger, Wish, settle_keys
from vafa.sync.kept import Store
from vafa.sync.links import LinkNow
from vafa.sync.transport import HttpTransport
from vafa.wire.messages import Facts, Forgotten, Mark

NOW_MS = 1_767_000_000_000


class Linked:
    """A shop whose journal the real courier carries to a real hub. `now` moves by steps alone."""

    def __init__(self, directory: Path, database: Database) -> None:
        directory.mkdir()
        self.directory, self.database, self.now = directory, database, 1_000.0
        self.shop = Shop(directory)
        self.journal = LedgerJournal(self.shop.ledger.path)
        self.store = Store(None)
        self.merchant = ""
        self.transport: HttpTransport

    def reach(self, hub: RealHub) -> None:
        """The hub answers at its address of now; enrol there the first time."""
        if self.merchant:
            self.transport._url = hub.address
            return
        with self.database.transaction() as connection:
            at_ms = time.time_ns() // 10**6
            merchant = merchants.add(connection, "Kafe Negin", at_ms).merchant
            code = codes.make(connection, merchant, "", 48, at_ms)
        self.transport = HttpTransport(hub.address, str(hub.authority.file))
        ledger = Ledger(LEDGER_ID, Mark(), Tokens(DeviceKey(b"k" * 32)).own_key)
        enroller = Enroller(self.directory, self._post, lambda: NOW_MS)
        who = enroller.run(Wish(hub.address, code, str(hub.authority.file)), ledger).enrolment
        self.merchant, self.device = who.merchant, who.device
        world = World(
            lambda: NOW_MS, lambda: LinkNow("eth0"), lambda: Facts("0.1.0", 2), "boot", 10**9, Random(1)  # noqa: S311
        )  # fmt: skip
        self.courier = Courier(
            Who(who.merchant, who.device, who.hub_public_key),
            SigningKey(settle_keys(self.directory, who)),
            *(self.journal, self.store, self.transport, self, world, self.now),
        )

    def programme(self, document: str, from_at: int | None) -> str:
        """The courier's inbox."""
        return f"not taken here: {len(document)} {from_at}"

    def attest(self, hub_s: int) -> None:
        """The courier's inbox."""

    def forget(self, told: Sequence[Forgotten]) -> None:
        """The courier's inbox."""
        forgetting.heard(self.shop.ledger, told)

    def regain(self, rows: Sequence[Row], signature: bytes) -> str:
        """The courier's inbox."""
        return self.shop.regaining.regain(rows, signature)

    def _post(self, path: str, body: bytes) -> bytes:
        return self.transport.post(path, body, trusts_clock=False).body

    def step(self) -> None:
        """One step, when it is due."""
        self.now = max(self.now, self.courier.due_at(self.now))
        self.courier.step(self.now)

    def settle(self) -> None:
        """Until the hub has everything."""
        for _ in range(60):
            if not self.courier.waiting and self.store.kept.trouble is None and self.store.kept.last_ok_ms:
                return
            self.step()
        raise AssertionError(f"not settled: {self.store.kept}")

    def close(self) -> None:
        self.transport.close()
        self.store.close()
        self.journal.close()
        self.shop.ledger.close()


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with tempfile.TemporaryDirectory(prefix="vafa-hub-") as folder:
        Path(folder).chmod(0o755)
        hub = RealHub(Path(folder))
        # Held for the module: a hub that is killed and started again finds its database at once.
        hub.state.mkdir()
        with EmbeddedPostgres(hub.state, {"fsync": "off"}):
            yield hub


@pytest.fixture
def database(hub: RealHub) -> Iterator[Database]:
    it = Database(EmbeddedPostgres(hub.state).dsn)
    yield it
    it.close()


@pytest.fixture
def linked(database: Database, tmp_path: Path) -> Iterator[Linked]:
    it = Linked(tmp_path / "shop", database)
    yield it
    it.close()


def test_a_hub_killed_in_the_middle_of_a_batch_has_none_of_it_and_gets_all_of_it(
    hub: RealHub, linked: Linked, database: Database
) -> None:
    sold(linked.shop, 5)
    with hub.running(signal.SIGKILL) as process, connect(database.dsn) as holder:
        linked.reach(hub)
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE journal IN ACCESS EXCLUSIVE MODE")  # the batch gets this far and stands

        def strike() -> None:
            while not _waiting_for_a_lock(database.dsn):
                pass
            process.kill()
            holder.execute("ROLLBACK")

        striking = threading.Thread(target=strike)
        striking.start()
        linked.step()
        striking.join(60)
    assert linked.store.kept.trouble is not None
    with database.transaction() as connection:
        assert lines_of(connection, linked.merchant, linked.device) == []
    with hub.running():
        linked.reach(hub)
        linked.settle()
    agrees_with(database, linked.shop, linked.merchant, linked.device)


def _waiting_for_a_lock(dsn: str) -> bool:
    with connect(dsn) as connection:
        found = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
    return found != (0,)


def test_a_database_that_restarts_costs_a_hub_nothing_but_a_try(
    hub: RealHub, linked: Linked, database: Database
) -> None:
    with hub.running():
        linked.reach(hub)
        sold(linked.shop, 2)
        linked.settle()
        server = EmbeddedPostgres(hub.state)
        server._program = server._usable_program()
        server._run("pg_ctl", "-D", str(server._data), "-m", "immediate", "-w", "restart")
        sold(linked.shop, 2, 320062640000)
        linked.settle()
    agrees_with(database, linked.shop, linked.merchant, linked.device)


def test_a_database_that_is_away_is_said_signed_and_waited_for(
    hub: RealHub, linked: Linked, database: Database
) -> None:
    with hub.running():
        linked.reach(hub)
        server = EmbeddedPostgres(hub.state)
        server._program = server._usable_program()
        server._run("pg_ctl", "-D", str(server._data), "-m", "immediate", "-w", "stop")
        sold(linked.shop, 1)
        linked.step()
        trouble = linked.store.kept.trouble
        assert trouble is not None
        assert "database does not answer" in trouble.text
        assert linked.store.kept.held
        server._start()
        linked.settle()
    agrees_with(database, linked.shop, linked.merchant, linked.device)


def test_a_hub_restored_from_an_older_backup_gets_the_rest_again(
    hub: RealHub, linked: Linked, database: Database, tmp_path: Path
) -> None:
    with hub.running():
        linked.reach(hub)
        sold(linked.shop, 3)
        linked.settle()
        hub.vafa("backup", str(tmp_path / "hub.dump"))
        then = journal(linked.shop)[-1].seq
        sold(linked.shop, 4, 320062640000)
        linked.settle()
    database.close()
    hub.vafa("restore", str(tmp_path / "hub.dump"), "--yes")
    with database.transaction() as connection:
        assert lines_of(connection, linked.merchant, linked.device)[0].seq == then
    with hub.running():
        linked.reach(hub)
        sold(linked.shop, 1, 320062650000)
        linked.settle()
        assert linked.store.kept.safe.seq == 0  # what the lost dump's time said is not in the dump itself
    agrees_with(database, linked.shop, linked.merchant, linked.device)


def test_a_dump_that_cannot_be_put_back_leaves_all_as_it_was(
    hub: RealHub, linked: Linked, database: Database, tmp_path: Path
) -> None:
    whole, torn, other = (tmp_path / name for name in ("hub.dump", "torn.dump", "notes.txt"))
    with hub.running():
        linked.reach(hub)
        sold(linked.shop, 3)
        linked.settle()
        hub.vafa("backup", str(whole))
        database.close()
        with pytest.raises(HubError, match="a hub is at work on it"):
            restore(database, whole)
    torn.write_bytes(whole.read_bytes()[:-2_000])
    other.write_text("PG? no")
    refusals = (
        (torn, "pg_restore failed"),
        (other, "is no dump of a hub"),
        (tmp_path / "x", "cannot be read"),
    )
    for file, words in refusals:
        with pytest.raises(HubError, match=words):
            restore(database, file)
    agrees_with(database, linked.shop, linked.merchant, linked.device)
    with database.transaction() as connection:
        held = len(merchants.merchants(connection))
        connection.execute("ALTER SCHEMA public RENAME TO before_restore")  # as a power cut leaves it
        connection.execute("CREATE SCHEMA public")
    database.close()
    assert restore(database, whole) == held
    agrees_with(database, linked.shop, linked.merchant, linked.device)


def test_a_hub_that_is_stopped_ends_in_order_and_its_key_stays(hub: RealHub, linked: Linked) -> None:
    with hub.running() as process:
        linked.reach(hub)
        linked.settle()
        before = hub.vafa("key")["fingerprint"]
        process.terminate()
        assert process.wait(60) == 0
    with hub.running():
        assert hub.vafa("key")["fingerprint"] == before
        linked.reach(hub)
        sold(linked.shop, 1)
        linked.settle()


@pytest.mark.parametrize("spoiled", ["cert", "key"])
def test_tls_files_that_cannot_be_used_are_named(hub: RealHub, spoiled: str, tmp_path: Path) -> None:
    good, bad = hub.authority.server(), tmp_path / "bad.pem"
    shutil.copy(hub.authority.file, bad) if spoiled == "key" else bad.write_text("no PEM")
    files = {"cert": good, "key": good, spoiled: bad}
    command = [sys.executable, "-m", "vafa.cli.main", "hub", "run", "--state", str(hub.state)]
    command += ["--listen", "127.0.0.1:0", "--tls-cert", str(files["cert"]), "--tls-key", str(files["key"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=READY_S)
    assert (done.returncode, "[HUB-005]" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_a_lost_connection_in_a_transaction_is_one_error_of_ours(database: Database) -> None:

    def cut() -> None:
        with database.transaction() as connection:
            pid = connection.info.backend_pid
            with connect(database.dsn) as other:
                other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            connection.execute("SELECT 1")

    with pytest.raises(StoreUnavailable) as told:
        cut()
    assert isinstance(told.value.__cause__, psycopg.OperationalError)
    with database.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
