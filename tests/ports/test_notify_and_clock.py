"""What systemd hears, and the clock that can be told to lie."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vafa.ports import notify
from vafa.ports.clock import ManualClock, SystemClock


@pytest.fixture(params=["file", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        name = str(tmp_path / "notify") if request.param == "file" else f"@vafa-test-{os.getpid()}"
        line.bind(name.replace("@", "\0"))
        line.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield line


def test_the_manager_hears_each_state(manager: socket.socket) -> None:
    assert notify.ready("40217736\nanswers")
    assert manager.recv(1000) == b"READY=1\nSTATUS=40217736 answers"
    assert notify.watchdog()
    assert manager.recv(1000) == b"WATCHDOG=1"
    assert notify.status("پایانه")
    assert manager.recv(1000) == "STATUS=پایانه".encode()
    assert notify.stopping()
    assert manager.recv(1000) == b"STOPPING=1"


def test_without_a_manager_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify.watchdog()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not notify.watchdog()


@pytest.mark.parametrize(
    ("allowed_us", "for_process", "interval_s"),
    [
        ("30000000", "", 15.0),
        ("30000000", "self", 15.0),
        ("30000000", "1", None),  # meant for another process
        ("0", "", None),
        ("", "", None),
        ("soon", "", None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_asked(
    monkeypatch: pytest.MonkeyPatch, allowed_us: str, for_process: str, interval_s: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", allowed_us)
    monkeypatch.setenv("WATCHDOG_PID", for_process.replace("self", str(os.getpid())))
    assert notify.watchdog_interval_s() == interval_s


def test_a_jump_moves_only_the_wall_clock() -> None:
    clock = ManualClock(wall_ms=1000, monotonic=5.0)
    clock.advance(2.5)
    assert (clock.wall_ms(), clock.monotonic()) == (3500, 7.5)
    clock.jump(-1)
    assert (clock.wall_ms(), clock.monotonic()) == (2500, 7.5)


def test_the_system_clock_shows_what_the_machine_shows() -> None:
    before, clock = time.time_ns() // 1_000_000, SystemClock()
    assert before <= clock.wall_ms() <= time.time_ns() // 1_000_000
    assert clock.monotonic() <= time.monotonic()
