"""The daemon under its unit's limit of memory: it sells and drains far below it; past it, nothing is lost.

A leak is what the limit is for. The kernel kills the daemon in the middle of sales, systemd starts it again
(here: the test does), and whoever had an answer finds his sale in the books.
"""

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from enrolled_device import Enrolled
from memory_group import MemoryGroup, missing
from real_device import PATIENCE_S, Device

UNIT = Path(__file__).parents[2] / "systemd/vafa.service"
LIMIT_BYTES = int(re.findall(r"^MemoryMax=(\d+)M$", UNIT.read_text("utf-8"), re.MULTILINE)[0]) << 20
SALES, POINTS = 120, 20
PHONE = "09120000001"
LEAKS = """
import threading, time, pathlib, sys
from vafa.cli.main import main
def leak():
    while not pathlib.Path({begin!r}).exists():
        time.sleep(0.02)
    kept = []
    while True:
        kept.append(b"x" * 2_000_000)
        time.sleep(0.01)
threading.Thread(target=leak, daemon=True).start()
main()
"""

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "one can be made")


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    it = MemoryGroup(LIMIT_BYTES)
    yield it
    it.close()


def test_sales_a_sealed_phone_and_a_drained_backlog_stay_below_half_of_the_limit(
    tmp_path: Path, group: MemoryGroup
) -> None:
    enrolled = Enrolled(tmp_path)
    device = enrolled.device
    device.program = [*group.enter, *device.program]
    try:
        with device.running():
            assert device.ask(op="member", member=PHONE)["answer"] == "known"
            for number in range(SALES):
                assert device.pay(f"p-{number}")["answer"] == "paid"
            drained = device.vafa("sync", "now")
            assert drained.returncode == 0, drained.stderr
            assert sum(row.kind == 13 for row in enrolled.hub.books.log) == SALES
    finally:
        enrolled.served.close()
    assert group.killed() == 0
    assert group.peak_bytes() < LIMIT_BYTES / 2, "the daemon, what it starts, and the files it wrote"


def test_a_leak_ends_in_a_kill_and_whoever_had_an_answer_is_in_the_books(
    tmp_path: Path, group: MemoryGroup
) -> None:
    device, begin = Device(tmp_path / "d"), tmp_path / "begin"
    sound, answered = device.program, dict[str, str]()
    device.program = [*group.enter, sys.executable, "-c", LEAKS.format(begin=str(begin))]
    with device.running() as leaking:
        asked = ""
        ends = time.monotonic() + PATIENCE_S
        while leaking.poll() is None:
            assert time.monotonic() < ends, "a leak without an end"
            asked = f"p-{len(answered)}"
            try:
                told = device.pay(asked)
            except (OSError, ValueError):
                continue  # it is being killed: no answer, or half of one
            answered[asked] = told["number"]
            begin.touch()
        assert leaking.returncode == -signal.SIGKILL
    assert group.killed() >= 1
    assert len(answered) >= 2
    device.program = [*group.enter, *sound]
    with device.running():
        for ref, number in answered.items():
            assert device.pay(ref)["number"] == number, "said again, it is the sale that was answered"
        device.pay(f"p-{len(answered)}")
        device.pay("after")
    verified = device.vafa("verify", "--json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["points"] == (len(answered) + 2) * POINTS
