"""A disk that is full, held, or changes bytes, under the real daemon: said, survived, over by itself."""

import json
import signal
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from faults.disks import destroy, fill, flip, resize, small_disk, used
from real_device import PATIENCE_S, TID, Device

from vafa.ledger import reads
from vafa.ledger.storage import LOG_BYTES, connect_reader
from vafa.model.events import Kind
from vafa.simulators.sadad import Slip, Terminal
from vafa.simulators.tcp_line import serve_tcp

AT_ONCE = 90  # a connection has an allowance of a hundred


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "device")


def status(device: Device) -> tuple[str, dict[str, str]]:
    """(verdict, code -> what to do) as `vafa status` tells it."""
    told = json.loads(device.vafa("status", "--json").stdout)
    return told["verdict"], {each["code"]: each["fix"] for each in told["trouble"]}


def until(condition: Callable[[], bool]) -> None:
    ends_at, tick = time.monotonic() + PATIENCE_S, threading.Event()
    while not condition():
        assert time.monotonic() < ends_at
        tick.wait(0.05)


def refs(device: Device) -> list[str]:
    """The payments in the journal."""
    with closing(connect_reader(device.state / "ledger.db")) as connection:
        kinds = (Kind.AWARD, Kind.PAYMENT)
        return [reads.paid_of(each.event).key.ref for each in reads.entries(connection, 0, kinds)]


def sell(device: Device, most: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(reference, answer) of sale after sale, as many on one connection as are let through at once."""
    for first in range(0, most, AT_ONCE):
        with socket.socket(socket.AF_UNIX) as line, line.makefile() as answers:
            line.settimeout(PATIENCE_S)
            line.connect(str(device.directory / "l.sock"))
            for number in range(first, min(first + AT_ONCE, most)):
                request = {"op": "payment", "terminal": TID, "ref": f"sale-{number:04d}", "amount": 200_000}
                line.sendall(json.dumps(request).encode() + b"\n")
                yield f"sale-{number:04d}", json.loads(answers.readline())


def sell_until_refused(device: Device) -> list[str]:
    """The sales that were acknowledged, up to the first that was not."""
    taken: list[str] = []
    for ref, answer in sell(device, 5_000):
        if answer["answer"] == "failure":
            assert answer["code"] == "LED-001"
            return taken
        taken.append(ref)
    raise AssertionError("the disk was never full")


def test_a_disk_that_the_ledger_fills_is_filled_by_rows_and_not_by_its_log(device: Device) -> None:
    with small_disk(device.state, 1_024), device.running():
        taken = sell_until_refused(device)
        database, log = (device.state / name for name in ("ledger.db", "ledger.db-wal"))
        assert database.stat().st_size > 400 * 1024, "before, the log took all: the rows had a twentieth"
        assert log.stat().st_size < 600 * 1024
        verdict, troubles = status(device)
        assert verdict == "broken"
        assert "Free disk space" in troubles["LED-001"]
        assert device.vafa("journal", "--limit", "1").returncode == 0, "what is there stays readable"
        assert refs(device) == taken
        resize(device.state, 16_384)
        assert device.pay("after")["answer"] == "paid"
        assert status(device) == ("ok", {})
        assert refs(device) == [*taken, "after"]
        assert device.vafa("verify").returncode == 0


def test_when_somebody_else_fills_the_disk_sales_go_on_in_the_room_kept_aside(device: Device) -> None:
    with small_disk(device.state, 8_192), device.running():
        assert device.pay("before")["answer"] == "paid"
        until((device.state / "ledger.reserve").exists)
        filler = fill(device.state)
        assert {answer["answer"] for _, answer in sell(device, 100)} == {"paid"}
        verdict, troubles = status(device)
        assert (verdict, list(troubles)) == ("degraded", ["LED-008"])
        filler.unlink()
        assert device.pay("after")["answer"] == "paid"
        assert status(device) == ("ok", {})
        assert (device.state / "ledger.reserve").exists()


def test_a_log_that_has_its_full_size_takes_sales_on_a_full_disk_without_a_byte_more(device: Device) -> None:
    with small_disk(device.state, 80 * 1_024), device.running():
        until(lambda: (device.state / "ledger.db-wal").stat().st_size == LOG_BYTES)
        until((device.state / "ledger.reserve").exists)
        fill(device.state)
        assert {answer["answer"] for _, answer in sell(device, 100)} == {"paid"}
        assert status(device) == ("ok", {})
        assert (device.state / "ledger.reserve").exists(), "not needed yet"
        assert len(refs(device)) == 100


@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_program_that_holds_the_ledger_is_named_and_the_trouble_ends_with_it_without_a_sale(
    device: Device, how: str
) -> None:
    with device.running():
        device.pay("one")
        with closing(sqlite3.connect(device.state / "ledger.db", isolation_level=None)) as other:
            other.execute(f"BEGIN {how}")
            assert device.pay("two")["code"] == "LED-002"
            verdict, troubles = status(device)
            assert (verdict, list(troubles)) == ("broken", ["LED-002"])
            assert "fuser -v" in troubles["LED-002"]
            other.execute("ROLLBACK")
        until(lambda: status(device) == ("ok", {}))
        assert device.pay("two")["answer"] == "paid"
        assert refs(device) == ["one", "two"]


def test_a_sale_approved_while_the_ledger_is_held_waits_in_memory_and_is_posted_by_itself(
    tmp_path: Path, device: Device
) -> None:
    terminal = Terminal(tid=TID)
    other: list[sqlite3.Connection] = []

    def hold(_slip: Slip) -> None:
        """Between the question, which was written, and the approval, which cannot be."""
        held = sqlite3.connect(device.state / "ledger.db", isolation_level=None, check_same_thread=False)
        held.execute("BEGIN IMMEDIATE")
        other.append(held)

    terminal.on_slip = hold
    with serve_tcp(terminal) as served:
        text = device.config.read_text("utf-8").replace('mode = "local"', f'address = "tcp:{served.address}"')
        device.config.write_text(text, encoding="utf-8")
        with device.running():
            sold: list[dict[str, Any]] = []
            asking = threading.Thread(
                target=lambda: sold.append(device.ask(op="sell", request="r-1", amount=200_000))
            )
            asking.start()
            until(lambda: "LED-007" in status(device)[1])
            other[0].execute("ROLLBACK")
            until(lambda: len(refs(device)) == 1)
            until(lambda: "LED-007" not in status(device)[1])
            other[0].close()
            asking.join()
            assert device.vafa("verify").returncode == 0


def test_a_byte_of_the_log_that_the_disk_changed_is_put_right(device: Device) -> None:
    with device.running(signal.SIGKILL):
        for number in range(12):
            device.pay(f"sale-{number}")
    log = device.state / "ledger.db-wal"
    flip(log, used(log) // 2)
    with device.running():
        assert len(refs(device)) == 12
        assert status(device) == ("ok", {})
        assert "log put right" in (device.directory / "log").read_text()
        assert device.vafa("verify").returncode == 0


def test_a_place_of_the_log_that_the_disk_destroyed_is_found_kept_and_told_as_a_gap(device: Device) -> None:
    with device.running(signal.SIGKILL):
        for number in range(12):
            device.pay(f"sale-{number}")
    log = device.state / "ledger.db-wal"
    destroy(log, used(log) // 2)
    with device.running():
        left = refs(device)
        assert 0 < len(left) < 12
        (kept,) = device.state.glob("ledger.damaged-*.wal")
        assert kept.stat().st_size > 0
        verdict, troubles = status(device)
        assert verdict == "degraded"
        assert "vafa gap close" in troubles["GAP-001"]
        assert "commits cannot be read" in device.vafa("status").stdout.replace("\n! ", " ")
        assert device.pay("sale-11")["answer"] == "paid", "told again, a lost sale earns"
        assert device.vafa("verify").returncode == 0
    with device.running():
        assert len(list(device.state.glob("ledger.damaged-*.wal"))) == 1, "told once"


def test_a_log_cut_off_in_its_last_commit_is_what_a_power_cut_leaves(device: Device) -> None:
    with device.running(signal.SIGKILL):
        device.pay("one")
        device.pay("two")
    log = device.state / "ledger.db-wal"
    destroy(log, used(log) - 1_030)  # a part of its last page, and of its sums
    with device.running():
        assert refs(device) == ["one"]
        assert status(device) == ("ok", {})


def test_a_page_that_the_disk_changed_under_the_sales_is_damage_and_not_a_full_disk(device: Device) -> None:
    with device.running():
        device.pay("one")
    database = device.state / "ledger.db"
    with closing(sqlite3.connect(database)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'payment'").fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:
        file.seek((root - 1) * page_bytes)
        file.write(struct.pack(">BHHHB", 77, 9, 9, 9, 9))
    with device.running():
        assert device.pay("two")["code"] == "LED-003"
        device.ask(op="member", member="09121236789")  # another page can be written, and proves nothing
        verdict, troubles = status(device)
        assert verdict == "broken"
        assert "restore the newest backup" in troubles["LED-003"]
    assert device.vafa("verify").returncode != 0
