"""A real daemon whose clock leaps 56 years, falls back by a second, keeps summer time and stands still.

libfaketime shows it another wall clock, read anew at each question from a file; the monotonic one is left
alone, as in a machine. A minute of its jobs is half a second here, so that periods can be counted.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import resident_kb
from real_device import PATIENCE_S, Device

from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.model.events import Kind

PRELOADED = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
YEARS_56_S, HOUR_S = 56 * 31_557_600, 3_600
PERIOD_S, LOOK_S = 0.5, 0.1
QUICK = f"""
import sys, threading, time
time.sleep = threading.Event().wait  # the call behind it fails under libfaketime
import vafa.app.jobs as jobs
jobs._MINUTE_S = jobs.SETTLE_EVERY_S = {PERIOD_S}
jobs.WATCH_EVERY_S = {LOOK_S}
run = jobs.Jobs._run
def told(self, job):
    run(self, job)
    print("ran", job.name, file=sys.stderr, flush=True)
jobs.Jobs._run = told
from vafa.cli.main import main
main()
"""
GROWN_KB_MAX = 2_000
RULES = """schema = 1
[name]
fa = "کافه"
[earn]
points = 1
per = 10000
currency = "IRR"
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
rial = 1000
points = 1
min_points = 1
max_points = 1000
"""
PHONE = "09120000001"


class Clock:
    """What the daemon's wall clock shows."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.off(0)

    def off(self, seconds: int) -> None:
        """So many seconds beside the right time, and it goes."""
        self._show(f"{seconds:+d}")

    def stopped(self) -> None:
        """It shows one moment, and goes on showing it."""
        self._show(time.strftime("%Y-%m-%d %H:%M:%S", time.localtime()))

    def _show(self, text: str) -> None:
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text + "\n", "ascii")
        fresh.rename(self.file)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    if PRELOADED is None:
        assert os.environ.get("CI") != "true", "libfaketime is missing"
        pytest.skip("libfaketime is missing (Debian: faketime)")
    (tmp_path / "rules.toml").write_text(RULES, encoding="utf-8")
    device = Device(tmp_path / "d")
    with device.config.open("a", encoding="utf-8") as config:
        config.write("[jobs]\ncheckpoint_every_min = 1\n")
    yield device
    shutil.rmtree(device.state)


def test_jobs_sales_and_holds_go_on_whatever_the_clock_does(device: Device, tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    shown = {"LD_PRELOAD": str(PRELOADED), "FAKETIME_TIMESTAMP_FILE": str(clock.file)}
    how = {"FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}
    given = [f"{name}={value}" for name, value in (shown | how).items()]
    device.program = ["env", *given, sys.executable, "-c", QUICK]
    steps: list[tuple[str, Callable[[], None]]] = [
        ("right", lambda: clock.off(0)),
        ("56 years forth", lambda: clock.off(YEARS_56_S)),
        ("right after it", lambda: clock.off(0)),
        ("56 years back", lambda: clock.off(-YEARS_56_S)),
        ("a second back", lambda: clock.off(-YEARS_56_S - 1)),
        ("right again", lambda: clock.off(0)),
        ("summer time ends", lambda: clock.off(-HOUR_S)),
        ("summer time begins", lambda: clock.off(0)),
        ("stopped", clock.stopped),
        ("it goes again", lambda: clock.off(0)),
    ]
    with device.running() as process:
        activated = device.vafa("programme", "activate", str(tmp_path / "rules.toml"))
        assert activated.returncode == 0, activated.stderr
        joined = device.ask(op="member", member=PHONE)
        assert joined["answer"] == "known", joined
        resident = ended = 0
        for number, (name, step) in enumerate(steps):
            assert device.pay(f"p-{number}", member=PHONE)["answer"] == "paid", name
            if "years" in name:
                asked = device.ask(
                    op="hold", request=f"h-{number}", member=PHONE, reward="off", amount=10_000
                )
                assert asked["answer"] == "redeemed", asked
                ended += 1
            step()
            done, began = _runs(device), time.monotonic()
            _until(lambda done=done: _runs(device) >= done + 2, f"two periods after: {name}")  # type: ignore[misc]
            _until(lambda ended=ended: _ended(device) == ended, f"a hold's end after: {name}")  # type: ignore[misc]
            most = (time.monotonic() - began) / PERIOD_S + 3
            assert _runs(device) - done <= most, f"{name}: what was not missed is not caught up"
            resident = resident or resident_kb(process.pid)
        assert resident_kb(process.pid) - resident < GROWN_KB_MAX
    assert "job_failed" not in (device.directory / "log").read_text("utf-8")
    verified = device.vafa("verify", "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["points"] == len(steps) * 20


def _runs(device: Device) -> int:
    """How often the job that is due each period has run."""
    return (device.directory / "log").read_text("utf-8").count("ran checkpoint")


def _ended(device: Device) -> int:
    connection = connect_reader(device.state / "ledger.db")
    try:
        return len(list(reads.entries(connection, 0, (Kind.RELEASE,))))
    finally:
        connection.close()


def _until(so: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < ends, what
        time.sleep(0.05)
