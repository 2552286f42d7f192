"""The keeper with real sync processes, a hub behind real TLS, and a real ledger."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from certificates import Authority
from hub_stub import HUB_KEY, Hub, Served
from shop import Shop, payment

from vafa.app import forgetting, sync_talk
from vafa.app.sync_keeper import Keeper
from vafa.app.sync_talk import Begin, Forget, Now
from vafa.keys.device_key import load_or_create
from vafa.keys.sign import SigningKey
from vafa.model import events
from vafa.model.errors import LedgerError
from vafa.ports.clock import SystemClock
from vafa.sync import enrolment
from vafa.sync.links import LinkNow
from vafa.wire.messages import Facts

WITHIN_S = 30.0  # a deadline, not a wait


class Device:
    """An enrolled shop and its keeper."""

    def __init__(
        self, directory: Path, keep_warm_s: float = 60.0, module: str = "vafa.app.sync_process"
    ) -> None:
        self.directory = directory
        self.shop = Shop(directory, int(time.time() * 1000))
        key = SigningKey(load_or_create(directory / enrolment.SYNC_KEY))
        self.hub = Hub(key.public, lambda: self.shop.wall_ms)
        authority = Authority(directory)
        self.served = Served(self.hub, authority.server())
        enrolment.save(
            directory,
            enrolment.Enrolment(
                self.served.url, "m1", 1, HUB_KEY.public.hex(), "", "", authority.file.name,
                public_key=key.public.hex(),
            ),
        )  # fmt: skip
        self.fails = False
        self.keeper = Keeper(
            Begin(
                ledger_directory=str(directory), metered_bytes_a_day=2_000_000, keep_warm_s=keep_warm_s,
                log_format="json", log_level="info",
            ),
            lambda: Now(LinkNow("lo"), "", Facts("0.1.0", 2)),
            lambda _document, _from_at: "",
            self.attest,
            lambda told: self.shop.regaining.regain(told.rows, told.signature),
            self.forget,
            lambda: self.shop.ledger.head.seq,
            SystemClock(),
            module,
        )  # fmt: skip
        self.shop.ledger.followers.append(self.keeper.rows)
        self.thread = threading.Thread(target=self.keeper.run)
        self.thread.start()

    def forget(self, told: Forget) -> None:
        forgetting.heard(self.shop.ledger, told.told)

    def attest(self, hub_s: int) -> None:
        if self.fails:
            raise LedgerError("the disk is full")
        self.shop.ledger.write(lambda tx: tx.post(events.ClockAttested(hub_s, "hub")))

    def sell(self, number: int) -> None:
        self.shop.counter.post(payment(320_000_000_000 + number, 105 + number))

    def synced(self) -> bool:
        return self.hub.books.hash == self.shop.ledger.head.hash

    def close(self) -> None:
        self.keeper.stop()
        self.thread.join()
        self.served.close()
        self.shop.ledger.close()


def until(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + WITHIN_S
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < ends_at, "not within the deadline"
        tick.wait(0.02)


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "src"))


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    it = Device(tmp_path)
    yield it
    it.close()


def test_what_is_sold_is_at_the_hub_without_anybody_asking(device: Device) -> None:
    until(device.synced)
    process = device.keeper.process_id
    device.sell(1)
    until(device.synced)
    device.sell(2)
    until(device.synced)
    assert device.keeper.process_id == process, "it stays while sales come"
    assert device.served.connections == 1


def test_a_person_s_asking_waits_for_the_end_of_a_sync(device: Device) -> None:
    assert device.keeper.sync_now(WITHIN_S)
    requests = len(device.hub.requests)
    assert device.keeper.sync_now(WITHIN_S)
    assert len(device.hub.requests) > requests


def test_a_link_that_comes_up_wakes_the_process(device: Device) -> None:
    until(device.synced)
    requests = len(device.hub.requests)
    device.keeper.wake()
    until(lambda: len(device.hub.requests) > requests)


def test_the_process_ends_when_nothing_is_sold_and_begins_again_with_the_next_sale(tmp_path: Path) -> None:
    device = Device(tmp_path, keep_warm_s=0.0)
    try:
        until(lambda: device.synced() and device.keeper.process_id is None)
        device.sell(1)
        until(lambda: device.synced() and device.keeper.process_id is None)
        assert device.served.connections == 2
    finally:
        device.close()


def test_a_process_that_is_killed_is_begun_again_at_once_and_nothing_is_lost(device: Device) -> None:
    """Its first pause would be longer than this test waits."""
    until(device.synced)
    process = device.keeper.process_id
    assert process is not None
    os.kill(process, 9)
    device.sell(1)
    until(device.synced)
    assert device.keeper.fault is None
    assert device.keeper.process_id != process


def test_a_process_that_dies_again_and_again_is_begun_again_after_a_pause(device: Device) -> None:
    until(device.synced)
    for number in (1, 2):
        process = device.keeper.process_id
        assert process is not None
        os.kill(process, 9)
        device.sell(number)
        until(lambda: device.synced() or device.keeper.fault is not None)
    assert device.keeper.fault is not None
    assert device.keeper.next_at > time.monotonic() + 10
    assert not device.synced()
    assert device.keeper.sync_now(WITHIN_S), "a person need not wait"
    until(device.synced)


def test_who_asked_while_the_process_was_killed_is_answered_by_the_next_one(
    device: Device,
) -> None:
    until(device.synced)
    process = device.keeper.process_id
    assert process is not None
    os.kill(process, signal.SIGSTOP)  # it will not hear
    asked = threading.Thread(target=lambda: answers.append(device.keeper.sync_now(WITHIN_S)))
    answers: list[bool] = []
    asked.start()
    os.kill(process, 9)
    asked.join()
    assert answers == [True]
    assert device.keeper.process_id != process


def test_a_process_that_cannot_even_start_is_a_state_and_no_loop(tmp_path: Path) -> None:
    device = Device(tmp_path, module="vafa.no_such_module")
    try:
        until(lambda: device.keeper.fault is not None)
        assert device.keeper.next_at > time.monotonic() + 10
        device.sell(1)
    finally:
        device.close()


def test_what_the_daemon_could_not_write_comes_down_again(device: Device) -> None:
    device.fails = True
    device.keeper.sync_now(WITHIN_S)
    device.fails = False
    until(lambda: device.keeper.sync_now(WITHIN_S) and device.synced())


def test_stopping_ends_the_process_and_ringing_afterwards_does_no_harm(tmp_path: Path) -> None:
    device = Device(tmp_path)
    until(lambda: device.keeper.process_id is not None)
    process = device.keeper.process_id
    assert process is not None
    device.close()
    device.keeper.rows()
    device.keeper.wake()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_the_process_ends_when_the_daemon_is_gone(tmp_path: Path) -> None:
    import subprocess
    import sys

    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "vafa.app.sync_process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.communicate(b"", timeout=WITHIN_S)
    assert process.returncode == 0


def test_the_daemon_s_side_loads_nothing_of_what_the_process_needs(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = """
import sys
from vafa.app.without_asyncio import asyncio_kept_out
with asyncio_kept_out():
    import structlog
import vafa.app.sync_keeper
print(*sorted({"httpx", "ssl", "zstandard", "cryptography", "subprocess"} & sys.modules.keys()))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True
    )
    assert ran.stdout.strip() == ""


DEAF_ONCE = """
import os, pathlib, sys
from vafa.app.sync_talk import Ending, Synced, Wake, from_daemon, line_of
runs = pathlib.Path(os.environ["VAFA_TEST_RUNS"])
runs.write_text(runs.read_text() + "x")
for line in sys.stdin.buffer:
    said = from_daemon(line)
    if isinstance(said, Wake):
        if runs.read_text() == "x":  # it had made up its mind before it heard
            end = Ending(next_s=900.0, rows_s=900.0, newest=1 << 40)
        else:
            end = Synced(ok=True, received=1, next_s=900.0, wake=said.number)
        sys.stdout.buffer.write(line_of(end))
        sys.stdout.buffer.flush()
"""


@pytest.mark.parametrize("by", ["person", "link"])
def test_a_wake_that_an_ending_process_did_not_hear_is_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    (tmp_path / "deaf_once.py").write_text(DEAF_ONCE)
    runs = tmp_path / "runs"
    runs.write_text("")
    monkeypatch.setenv("VAFA_TEST_RUNS", str(runs))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2] / 'src'}")
    (tmp_path / "device").mkdir()
    device = Device(tmp_path / "device", module="deaf_once")
    try:
        if by == "person":
            assert device.keeper.sync_now(WITHIN_S)
        else:
            device.keeper.wake()
        until(lambda: runs.read_text() == "xx")
    finally:
        device.close()


def test_a_process_that_ends_whatever_it_is_told_is_not_begun_over_and_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deaf_always.py").write_text(DEAF_ONCE.replace('runs.read_text() == "x"', "True"))
    runs = tmp_path / "runs"
    runs.write_text("")
    monkeypatch.setenv("VAFA_TEST_RUNS", str(runs))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2] / 'src'}")
    (tmp_path / "device").mkdir()
    device = Device(tmp_path / "device", module="deaf_always")
    try:
        device.keeper.wake()
        until(lambda: runs.read_text() == "xx" and device.keeper.process_id is None)
        assert not device.keeper.sync_now(0.0)  # the next is another wake: twice again
        until(lambda: runs.read_text() == "xxxx" and device.keeper.process_id is None)
    finally:
        device.close()


@pytest.mark.parametrize("line", [b'{"say": "\xff"}', b'{"tell": "\xd9"}', b"[" * 100_000, b"", b"\xff"])
def test_a_line_that_is_none_of_ours_is_known_by_one_error(line: bytes) -> None:
    for read in (sync_talk.from_daemon, sync_talk.from_process):
        with pytest.raises(msgspec.DecodeError):
            read(line)
