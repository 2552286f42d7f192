"""A device restored from a backup that a real hub is ahead of: what it lost comes back, once."""

import contextlib
import json
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_device import Device
from real_hub import RealHub

from vafa.ledger.storage import connect_reader

PHONE = "09121236789"
WITHIN_S = 120.0
LOST = 800  # sales: more than one answer brings


@pytest.fixture
def hub() -> Iterator[RealHub]:
    with tempfile.TemporaryDirectory(prefix="vafa-hub-") as directory:
        Path(directory).chmod(0o755)  # as root, PostgreSQL runs as somebody else
        made = RealHub(Path(directory))
        with made.running():
            yield made


def all_sent(device: Device) -> dict[str, Any]:
    ends_at = time.monotonic() + WITHIN_S
    while True:
        ran = device.vafa("sync", "now", "--json")
        status: dict[str, Any] = json.loads(device.vafa("status", "--json").stdout)
        if status["queue"]["waiting"] == 0:
            return status
        assert time.monotonic() < ends_at, ran.stdout + ran.stderr


def all_back(device: Device) -> dict[str, Any]:
    """`vafa status`, once what was lost is counted again and at the hub."""
    ends_at = time.monotonic() + WITHIN_S
    while True:
        all_sent(device)
        standing = json.loads(device.vafa("sync", "status", "--json").stdout)
        if standing["came_back"][0] and not standing["facts"]["branch_left"]:
            return all_sent(device)
        assert time.monotonic() < ends_at, standing


def equal(device: Device, hub: RealHub, merchant: str) -> bool:
    """Chain and books of the device's newest row are the hub's."""
    shown = hub.vafa("device", "show", merchant, "1")
    with contextlib.closing(connect_reader(device.state / "ledger.db")) as connection:
        (head,) = connection.execute("SELECT max(seq) FROM journal").fetchone()
    return bool(shown["books_agree"]) and shown["rows"] == head and shown["waiting"] == 0


def enrolled(directory: Path, hub: RealHub) -> tuple[Device, str]:
    """A device that is not running, and its merchant."""
    device = Device(directory)
    merchant = hub.vafa("merchant", "add", "Kafe Negin")["merchants"][0]["merchant"]
    code = hub.vafa("code", "add", merchant)["code"]
    with device.running():
        assert device.vafa("member", "add", PHONE).returncode == 0
        device.enrol(code, "--hub", hub.address, "--ca", str(hub.authority.file))
    return device, merchant


def counted_up_to(device: Device) -> int:
    """The last row of the lost branch that is counted in the ledger file."""
    with contextlib.closing(connect_reader(device.state / "ledger.db")) as connection:
        (seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM branch").fetchone()
    return int(seq)


def healing(device: Device, beyond: int) -> int:
    """Waits until more than `beyond` is counted; how far it was seen."""
    ends_at = time.monotonic() + WITHIN_S
    while (seq := counted_up_to(device)) <= beyond:
        assert time.monotonic() < ends_at, f"counted to {seq}"
        time.sleep(0.002)
    return seq


def test_kill_9_of_device_and_hub_while_lost_rows_come_back_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    with tempfile.TemporaryDirectory(prefix="vafa-hub-") as directory:
        Path(directory).chmod(0o755)
        hub = RealHub(Path(directory))
        with hub.running(signal.SIGKILL):
            device, merchant = enrolled(tmp_path / "device", hub)
            with device.running():
                before = device.pay("1", member=PHONE)
                ran = device.vafa("backup", str(tmp_path / "b.vafa"))
                (recovery,) = (x.split()[-1] for x in ran.stdout.splitlines() if x.startswith("RECOVERY"))
                for number in range(2, LOST + 2):
                    device.pay(str(number), member=PHONE)
                all_sent(device)
                with contextlib.closing(connect_reader(device.state / "ledger.db")) as connection:
                    (end,) = connection.execute("SELECT max(seq) FROM journal").fetchone()
            (tmp_path / "code").write_text(recovery)
            words = ("--code-file", str(tmp_path / "code"), "--replace", "--yes")
            assert device.vafa("restore", str(tmp_path / "b.vafa"), *words).returncode == 0
            with device.running(signal.SIGKILL):
                device.pay("new 1", member=PHONE)
                seen = [healing(device, 0)]
            assert counted_up_to(device) < end, "it was cut in the middle"
            with device.running(signal.SIGKILL):
                seen.append(healing(device, counted_up_to(device)))
                assert device.pay("new 2", member=PHONE)["points"] == before["points"]
        # the hub was killed, too; sales go on
        with device.running():
            assert device.pay("new 3", member=PHONE)["points"] == before["points"]
            with hub.running():
                all_back(device)
                last = device.pay("new 4", member=PHONE)
                all_sent(device)
                assert equal(device, hub, merchant)
                found = hub.vafa("device", "show", merchant, "1")
    assert (found["lost_rows"], found["again"]["left_out"], found["again"]["short"]) == (0, 0, 0)
    assert (found["payments"]["count"], found["payments"]["only_left"]) == (LOST + 5, 0)
    assert last["balance"] == (LOST + 5) * before["points"]
    assert device.vafa("verify").returncode == 0


def test_a_restored_device_goes_on_in_a_new_epoch_and_the_hub_counts_each_payment_once(
    tmp_path: Path, hub: RealHub
) -> None:
    device = Device(tmp_path / "device")
    merchant = hub.vafa("merchant", "add", "Kafe Negin")["merchants"][0]["merchant"]
    code = hub.vafa("code", "add", merchant)["code"]
    backup = tmp_path / "b.vafa"
    with device.running():
        assert device.vafa("member", "add", PHONE).returncode == 0
        device.enrol(code, "--hub", hub.address, "--ca", str(hub.authority.file))
        before = device.pay("1", member=PHONE)
        ran = device.vafa("backup", str(backup))
        assert ran.returncode == 0, ran.stderr
        (recovery,) = (line.split()[-1] for line in ran.stdout.splitlines() if line.startswith("RECOVERY"))
        device.pay("2", member=PHONE)
        device.pay("3", member=PHONE)
        all_sent(device)
    (tmp_path / "code").write_text(recovery)
    ran = device.vafa("restore", str(backup), "--code-file", str(tmp_path / "code"), "--replace", "--yes")
    assert ran.returncode == 0, ran.stderr
    with device.running():
        again = device.pay("3", member=PHONE)  # the terminal tells it again: it is new here
        assert again["balance"] == before["balance"] + again["points"]
        last = device.pay("4", member=PHONE)
        status = all_back(device)
        assert device.pay("5", member=PHONE)["balance"] == last["balance"] + 2 * again["points"]  # 2 is back
        status = all_sent(device)
    assert (status["hub"]["state"], status["queue"]["suspense"]) == ("reachable", 0)
    shown = hub.vafa("device", "show", merchant, "1")
    (fork,) = shown["forks"]
    assert (fork["rows_there"], fork["accepted"], shown["lost_rows"]) == (3, False, 0)  # 2, 3, the hub's time
    assert shown["books_agree"]
    # 1 to 3 are in both branches and count once; none is in the one that was left alone
    found = shown["payments"]
    assert (found["count"], found["amount"], found["in_both"], found["only_left"]) == (5, 1_000_000, 3, 0)
    assert [(each["code"], each["level"]) for each in shown["trouble"]] == [("HUB-010", "degraded")]
    hub.vafa("device", "accept", merchant, "1", "--yes")
    assert hub.vafa("device", "show", merchant, "1")["trouble"] == []
    assert device.vafa("verify").returncode == 0
    assert equal(device, hub, merchant)
