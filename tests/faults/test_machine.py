"""A machine without descriptors, memory or room in a file: sales go on where they can, all is well after."""

import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crash import altered
from crash.morning import CONFIG, UNALTERED, Daemon, payment
from faults.disks import used
from real_device import PATIENCE_S, TID, Device

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and os.environ.get("CI") != "true", reason="strace is missing"
)


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "device")


class Till:
    """A payment application that keeps its connection."""

    def __init__(self, device: Device) -> None:
        self.line = socket.socket(socket.AF_UNIX)
        self.line.settimeout(PATIENCE_S)
        self.line.connect(str(device.directory / "l.sock"))
        self._answers = self.line.makefile()

    def pay(self, ref: str) -> dict[str, Any]:
        request = {"op": "payment", "terminal": TID, "ref": ref, "amount": 200_000}
        self.line.sendall(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer

    def close(self) -> None:
        self._answers.close()
        self.line.close()


@pytest.fixture
def till(device: Device) -> Iterator[tuple[subprocess.Popen[bytes], Till]]:
    """A running daemon that has begun all it does, and a connection to it."""
    with device.running() as process:
        until(lambda: "jobs and sync begun" in (device.directory / "log").read_text())
        connected = Till(device)
        assert connected.pay("first")["answer"] == "paid"
        yield process, connected
        connected.close()


def until(condition: Callable[[], bool]) -> None:
    ends_at, tick = time.monotonic() + PATIENCE_S, threading.Event()
    while not condition():
        assert time.monotonic() < ends_at
        tick.wait(0.05)


def verdict(device: Device) -> str:
    told: str = json.loads(device.vafa("status", "--json").stdout)["verdict"]
    return told


def test_without_descriptors_to_spare_who_is_connected_sells_and_who_comes_waits(
    device: Device, till: tuple[subprocess.Popen[bytes], Till]
) -> None:
    process, connected = till
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    held = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (held, hard))
    late = [Till(device) for _ in range(3)]
    until(lambda: "socket_accept_failed" in (device.directory / "log").read_text())
    for number in range(50):
        assert connected.pay(f"sale-{number}")["answer"] == "paid"
    logged = (device.directory / "log").read_text().count("socket_accept_failed")
    assert logged < 50, "it waits between its attempts"
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard))
    assert [each.pay(f"late-{n}")["answer"] for n, each in enumerate(late)] == ["paid"] * 3
    for each in late:
        each.close()
    assert verdict(device) == "ok"


def test_without_memory_to_spare_nothing_that_was_acknowledged_is_lost_and_all_is_well_after(
    device: Device, till: tuple[subprocess.Popen[bytes], Till]
) -> None:
    process, connected = till
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 65_536
    resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    said = [connected.pay(f"sale-{number}") for number in range(30)]
    resource.prlimit(process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert {answer["answer"] for answer in said} <= {"paid", "failure"}
    again = [connected.pay(f"sale-{number}") for number in range(30)]
    assert {answer["answer"] for answer in again} == {"paid"}
    assert process.poll() is None
    assert device.pay("another")["answer"] == "paid"
    assert verdict(device) == "ok"
    assert device.vafa("verify").returncode == 0


def test_writes_that_are_cut_short_are_no_acknowledgement_and_end_with_the_limit(
    device: Device, till: tuple[subprocess.Popen[bytes], Till]
) -> None:
    """A file may not grow beyond a place within a page: the kernel writes what fits, then refuses."""
    process, connected = till
    log = device.state / "ledger.db-wal"
    limit = used(log) + 3_333
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    said = [connected.pay(f"sale-{number}")["answer"] for number in range(5)]
    assert "failure" in said
    assert verdict(device) == "broken"
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert [connected.pay(f"sale-{number}")["answer"] for number in range(5)] == ["paid"] * 5
    assert verdict(device) == "ok"
    assert device.vafa("verify").returncode == 0


@needs_strace
@pytest.mark.parametrize(
    "injected",
    [
        "pwrite64:error=EROFS:when=200..230",  # the kernel makes a failing disk read-only
        "pwrite64:error=EIO:when=200..230",
        "fdatasync:error=EIO:when=20..24",
    ],
)
def test_a_disk_that_fails_for_a_while_is_told_and_sales_go_on_after_it_without_a_restart(
    tmp_path: Path, injected: str
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "config.toml").write_text(CONFIG.format(tmp_path))
    command = (*altered.command("unfilled"), "run", "--config", str(tmp_path / "config.toml"))
    daemon = Daemon(command, tmp_path / "local.sock", tmp_path / "log", ["-e", f"inject={injected}"])
    try:
        said: list[str] = []
        for number in range(60):  # each told again until it is taken, as a payment application does
            while not said or said[-1] != f"paid {number}":
                said.append(f"{daemon.try_to(**payment(number))['answer']} {number}")
                assert len(said) < 600
        assert any(each.startswith("failure") for each in said)
        daemon.end(signal.SIGKILL)
    finally:
        daemon.abandon()


@contextlib.contextmanager
def threads_begun(directory: Path, *injected: str) -> Iterator[tuple[Daemon, Path]]:
    """A daemon on a new ledger whose calls for a thread are traced."""
    (directory / "state").mkdir(parents=True)
    (directory / "config.toml").write_text(CONFIG.format(directory))
    command = (*UNALTERED, "run", "--config", str(directory / "config.toml"))
    options = ["-e", "trace=clone3,clone", *injected]
    daemon = Daemon(command, directory / "local.sock", directory / "log", options)
    try:
        yield daemon, directory / "log"
        daemon.end(signal.SIGTERM)
    finally:
        daemon.abandon()


@needs_strace
def test_jobs_that_get_no_thread_at_the_start_are_said_and_begun_when_there_is_one(tmp_path: Path) -> None:
    with threads_begun(tmp_path / "well") as (daemon, log):
        until(lambda: "jobs and sync begun" in daemon.said())
        calls = [
            line.split("(")[0].split() for line in log.read_text().splitlines() if "CLONE_THREAD" in line
        ]
    main, name = calls[0]
    last = sum(call == [main, name] for call in calls)  # strace counts the calls of each thread
    with threads_begun(tmp_path / "short", "-e", f"inject={name}:error=EAGAIN:when={last}") as (daemon, _):
        until(lambda: "jobs and sync are not begun" in daemon.said())
        assert daemon.ask(**payment(1))["answer"] == "paid"
        shown = subprocess.run(
            [*UNALTERED, "status", "--config", str(tmp_path / "short" / "config.toml")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "JOB-003" in shown.stdout
        until(lambda: "jobs and sync begun" in daemon.said())
        assert daemon.ask(**payment(2))["answer"] == "paid"
