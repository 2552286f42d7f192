"""The real daemon with a hub: sales reach it by themselves, and support sees how that goes."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from enrolled_device import Enrolled
from hub_stub import HUB_KEY
from real_device import PATIENCE_S, Device

from vafa.keys.device_key import load_or_create
from vafa.keys.tokens import Tokens
from vafa.wire import signing
from vafa.wire.messages import Have, Programme, ReceiptMessage, RemoteMember

PROGRAMME = 'schema = 1\n[name]\nfa = "کافه"\n[earn]\npoints = 1\nper = 20000\ncurrency = "IRR"\n'


@pytest.fixture
def enrolled(tmp_path: Path) -> Iterator[Enrolled]:
    it = Enrolled(tmp_path)
    yield it
    it.served.close()


def until(condition: Callable[[], bool], enrolled: Enrolled) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    import threading

    tick = threading.Event()
    while not condition():
        assert time.monotonic() < ends_at, enrolled.logged()
        tick.wait(0.05)


def awards(enrolled: Enrolled) -> int:
    return sum(row.kind == 13 for row in enrolled.hub.books.log)


def test_sales_reach_the_hub_and_support_sees_it(enrolled: Enrolled) -> None:
    device = enrolled.device
    with device.running():
        device.pay("one")
        until(lambda: awards(enrolled) == 1, enrolled)
        now = device.vafa("sync", "now")
        assert now.returncode == 0, now.stderr + enrolled.logged()
        assert "0 waiting" in now.stdout
        assert "reachable" in now.stdout
        status = json.loads(device.vafa("sync", "status", "--json").stdout)
        assert status["facts"]["reach"][:1] == [True]
        assert status["received"]
        assert status["process"] > 0
        assert all(len(line) <= 80 for line in now.stdout.splitlines())
        shown = device.vafa("status").stdout
        assert "localhost" in shown
        assert "0 waiting" in shown
        log = device.vafa("sync", "log").stdout
        assert "rows" in log
        assert " B " in log
    down = device.vafa("sync", "status")
    assert down.returncode == 0
    assert "reachable" in down.stdout
    assert "not running" in down.stderr
    assert device.vafa("sync", "log", "-n", "1").returncode == 0
    assert device.vafa("sync", "now").returncode == 3


def test_a_hub_that_is_away_is_a_state_and_the_sale_goes_on(enrolled: Enrolled) -> None:
    device = enrolled.device
    enrolled.served.mishaps.extend(["html 502"] * 1_000)
    with device.running():
        assert device.pay("one")["points"] > 0
        now = device.vafa("sync", "now")
        assert now.returncode == 1
        assert "SYN-010" in now.stderr
        assert "unreachable" in now.stdout
        assert device.pay("two")["points"] > 0
        enrolled.served.mishaps.clear()
        device.vafa("sync", "now")
        until(lambda: awards(enrolled) == 2, enrolled)


def test_a_daemon_killed_in_the_middle_of_a_sync_sends_again_and_nothing_doubles(enrolled: Enrolled) -> None:
    device = enrolled.device
    enrolled.served.mishaps.extend(["reset after commit"] * 3)
    with device.running(signal.SIGKILL):
        device.pay("one")
        until(lambda: awards(enrolled) == 1, enrolled)
    with device.running():
        device.pay("two")
        device.vafa("sync", "now")
        until(lambda: awards(enrolled) == 2, enrolled)


def test_a_programme_that_comes_down_is_activated_by_the_daemon(enrolled: Enrolled) -> None:
    version = Programme(1, PROGRAMME, None, b"")
    signature = HUB_KEY.sign(signing.programme_input("negin", version))
    version = msgspec.structs.replace(version, signature=signature)
    enrolled.hub.answer = msgspec.structs.replace(enrolled.hub.answer, programmes=(version,), have=Have(1))
    device = enrolled.device
    with device.running():
        device.vafa("sync", "now")
        enrolled.hub.answer = msgspec.structs.replace(enrolled.hub.answer, programmes=())
        assert device.pay("one", amount=200_000)["points"] == 10
        until(lambda: {2, 3} <= {row.kind for row in enrolled.hub.books.log}, enrolled)


def test_a_member_of_another_till_is_greeted_offline_and_a_message_is_on_their_slip(
    enrolled: Enrolled,
) -> None:
    device = enrolled.device
    tokens = Tokens(load_or_create(device.state / "keys" / "device.key"))
    there = tokens.member_id("+989121236789")
    here = tokens.member_id("+989350000001")
    enrolled.hub.answer = msgspec.structs.replace(
        enrolled.hub.answer,
        members=(RemoteMember(there, "6789", (), 1_240, 1_767_000_000),),
        messages=(ReceiptMessage(1, here, "تولدت مبارک", "Happy birthday", None, None),),
        have=Have(0, 1, 1),
    )
    with device.running():
        assert device.vafa("sync", "now").returncode == 0
        enrolled.served.mishaps.extend(["html 502"] * 1_000)  # the network is gone
        greeted = device.ask(op="identify", member="09121236789")
        assert "other tills (1,240 points" in greeted["message"]
        device.ask(op="member", member="09350000001")
        paid = device.pay("one", member="09350000001", lang="en")
        assert "Happy birthday" in paid["lines"]
        assert "Happy birthday" not in device.pay("two", lang="en")["lines"]


def test_the_daemon_that_synced_has_loaded_nothing_of_it(enrolled: Enrolled) -> None:
    device = enrolled.device
    with device.running() as daemon:
        device.pay("one")
        until(lambda: awards(enrolled) == 1, enrolled)
        maps = Path(f"/proc/{daemon.pid}/maps").read_text()
        loaded = [name for name in ("libssl", "_ssl", "zstd", "_rust") if name in maps]
    assert loaded == []


def test_a_device_without_a_hub_has_no_sync_process_and_says_so(tmp_path: Path) -> None:
    device = Device(tmp_path / "alone")
    with device.running():
        ran = device.vafa("sync", "status")
        assert ran.returncode == 1
        assert "ENR-006" in ran.stderr
        assert "vafa enrol" in ran.stderr
        assert not (device.state / "sync").exists()
