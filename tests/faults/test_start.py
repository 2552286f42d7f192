"""What may lie in the ledger's place when the daemon starts: refused with what to do, and left as it is."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from faults.disks import small_disk
from real_device import PATIENCE_S, Device

from vafa.ledger.storage import ledger_path


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """One that sold, and is stopped."""
    made = Device(tmp_path / "device")
    with made.running():
        made.pay("one")
    return made


def refused(device: Device) -> str:
    """What `vafa run` says when it does not start."""
    command = [sys.executable, "-m", "vafa.cli.main", "run", "--config", str(device.config)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "fix: " in ran.stderr
    return ran.stderr


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def of_another_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text)")


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 32)


def of_a_newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 99")  # only code of that schema can go on with it
        connection.execute("PRAGMA user_version = 99")


def gone_though_it_had_backups(path: Path) -> None:
    backups = path.parent / "backups"
    backups.mkdir()
    path.rename(backups / "ledger-000007.db")


def emptied_though_it_had_backups(path: Path) -> None:
    gone_though_it_had_backups(path)
    path.write_bytes(b"")


def without_its_key(path: Path) -> None:
    (path.parent / "keys" / "device.key").unlink()


def with_a_lock_that_is_none(path: Path) -> None:
    path.with_suffix(".lock").unlink()
    path.with_suffix(".lock").mkdir()


def with_a_log_that_is_none(path: Path) -> None:
    path.with_name("ledger.db-wal").mkdir()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (a_directory, "LED-003", "is a directory, not a ledger"),
        (a_pipe, "LED-003", "is a pipe or a device"),
        (of_another_program, "LED-003", "another program (tables: notes)"),
        (garbage, "LED-003", "file is not a database"),
        (of_a_newer_version, "LED-004", "newer Vafa"),
        (gone_though_it_had_backups, "LED-009", "vafa restore"),
        (emptied_though_it_had_backups, "LED-009", "vafa restore"),
        (without_its_key, "KEY-001", "device.key"),
        (with_a_lock_that_is_none, "LED-001", "ledger.lock"),
        (with_a_log_that_is_none, "LED-001", "ledger.db-wal"),
    ],
)
def test_what_is_no_ledger_of_ours_is_refused_with_what_to_do_and_left_as_it_is(
    device: Device, change: Callable[[Path], None], code: str, words: str
) -> None:
    path = ledger_path(device.state)
    change(path)
    before = path.read_bytes() if path.is_file() else b""
    said = refused(device)
    assert f"[{code}]" in said
    assert words in said
    assert (path.read_bytes() if path.is_file() else b"") == before
    shown = device.vafa("status")
    assert shown.returncode == 3
    assert "Traceback" not in shown.stderr


def test_a_disk_that_is_read_only_at_the_start_is_said_and_nothing_is_lost(tmp_path: Path) -> None:
    device = Device(tmp_path / "device")
    with small_disk(device.state, 8_192):
        with device.running():
            device.pay("one")
        subprocess.run(["mount", "-o", "remount,ro", str(device.state)], check=True)
        said = refused(device)
        assert "Read-only file system" in said
        assert "1 sale" in device.vafa("status").stdout, "what is there can be read"
        subprocess.run(["mount", "-o", "remount,rw", str(device.state)], check=True)
        with device.running():
            assert device.pay("two")["answer"] == "paid"
