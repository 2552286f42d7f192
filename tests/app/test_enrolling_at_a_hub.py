"""Real daemons enrol at a real hub: its own process, PostgreSQL, TLS, codes made by its command line."""

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_device import Device
from real_hub import RealHub

from vafa.ledger.storage import connect_reader
from vafa.sync import enrolment

PHONE = "09121236789"


@pytest.fixture(scope="module")
def hub() -> Iterator[RealHub]:
    with tempfile.TemporaryDirectory(prefix="vafa-hub-") as directory:
        Path(directory).chmod(0o755)  # as root, PostgreSQL runs as somebody else
        made = RealHub(Path(directory))
        with made.running():
            yield made


@pytest.fixture(scope="module")
def merchant(hub: RealHub) -> str:
    found: str = hub.vafa("merchant", "add", "Kafe Negin")["merchants"][0]["merchant"]
    return found


def enrolled(device: Device, hub: RealHub, merchant: str) -> dict[str, object]:
    code = hub.vafa("code", "add", merchant)["code"]
    return device.enrol(code, "--hub", hub.address, "--ca", str(hub.authority.file))


def test_two_devices_of_a_merchant_have_one_key_for_phones_and_their_own_numbers(
    tmp_path: Path, hub: RealHub, merchant: str
) -> None:
    first, second = Device(tmp_path / "first"), Device(tmp_path / "second")
    with first.running(), second.running():
        for device in (first, second):
            assert device.vafa("member", "add", PHONE).returncode == 0
            device.pay("1", member=PHONE)
        one, two = enrolled(first, hub, merchant), enrolled(second, hub, merchant)
        assert one["device"] != two["device"]
        assert (one["merged"], two["merged"]) == (0, 1)
        assert one["fingerprint"] == two["fingerprint"] == hub.vafa("key")["fingerprint"]
        assert second.pay("2", member=PHONE)["balance"] == 2 * second.pay("1", member=PHONE)["points"]
    known = [enrolment.load(device.state) for device in (first, second)]
    assert known[0] is not None
    assert known[1] is not None
    assert known[0].key_id == known[1].key_id
    assert second.vafa("verify").returncode == 0


def test_a_person_forgotten_at_one_device_is_forgotten_at_one_that_was_away_and_in_its_backup(
    tmp_path: Path, hub: RealHub, merchant: str
) -> None:
    first, second = Device(tmp_path / "first"), Device(tmp_path / "second")
    backup, code = tmp_path / "b.vafa", tmp_path / "code"
    with first.running(), second.running():
        for device in (first, second):
            assert device.vafa("member", "add", PHONE).returncode == 0
            enrolled(device, hub, merchant)
        second.pay("1", member=PHONE)
        assert second.vafa("sync", "now").returncode == 0
        said = second.vafa("backup", str(backup)).stdout.splitlines()
        code.write_text(next(line.split()[-1] for line in said if line.startswith("RECOVERY")))
    with first.running():
        assert first.vafa("member", "forget", PHONE, "--why", "asked", "--yes").returncode == 0
        assert first.vafa("sync", "now").returncode == 0
    assert (sealed(first), sealed(second)) == (0, 1)
    with second.running():
        assert second.vafa("sync", "now").returncode == 0
        assert sealed(second) == 0
        assert second.vafa("member", "show", PHONE).returncode != 0
        assert second.vafa("member", "add", PHONE).returncode == 0, "they may come again"
        assert second.vafa("sync", "now").returncode == 0
        assert sealed(second) == 1
    words = ("--code-file", str(code), "--replace", "--yes")
    assert second.vafa("restore", str(backup), *words).returncode == 0
    assert sealed(second) == 1
    with second.running():
        assert second.vafa("sync", "now").returncode == 0
        assert sealed(second) == 0
    for device in (first, second):
        assert device.vafa("verify").returncode == 0


def sealed(device: Device) -> int:
    """How many phones it keeps."""
    with contextlib.closing(connect_reader(device.state / "ledger.db")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM secret").fetchone()
    return int(count)


def test_rotated_keys_replace_the_old_ones_and_the_same_ledger_keeps_its_number(
    tmp_path: Path, hub: RealHub, merchant: str
) -> None:
    device = Device(tmp_path / "device")
    with device.running():
        number = enrolled(device, hub, merchant)["device"]
        before = enrolment.load(device.state)
        done = device.enrol("--rotate")
        after = enrolment.load(device.state)
        assert (done["device"], done["again"]) == (number, True)
        assert before is not None
        assert after is not None
        assert before.public_key != after.public_key
        assert enrolled(device, hub, merchant)["device"] == number
    assert len(device.epochs()) <= 2


def test_a_used_and_a_wrong_code_are_refused_with_what_to_do(
    tmp_path: Path, hub: RealHub, merchant: str
) -> None:
    code = hub.vafa("code", "add", merchant)["code"]
    first, second = Device(tmp_path / "first"), Device(tmp_path / "second")
    where = ("--hub", hub.address, "--ca", str(hub.authority.file))
    with first.running(), second.running():
        first.enrol(code, *where)
        for wrong, expected in (
            (code, "ENR-003"),
            (code[:-1] + ("0" if code[-1] != "0" else "1"), "ENR-002"),
        ):
            ran = second.vafa("enrol", wrong, *where)
            assert f"[{expected}]" in ran.stderr, ran.stderr
    assert enrolment.load(second.state) is None
    assert json.loads((first.state / enrolment.FILE).read_text())["merchant"] == merchant


def test_a_device_the_hub_took_off_syncs_again_at_once_after_a_new_code(
    tmp_path: Path, hub: RealHub, merchant: str
) -> None:
    device = Device(tmp_path / "device")
    with device.running():
        number = enrolled(device, hub, merchant)["device"]
        assert device.vafa("sync", "now").returncode == 0
        hub.vafa("device", "revoke", merchant, str(number), "--yes")
        device.pay("1")
        assert device.vafa("sync", "now").returncode != 0
        status = json.loads(device.vafa("status", "--json").stdout)
        assert (status["hub"]["state"], status["trouble"][0]["code"]) == ("refused", "SYN-013")
        assert enrolled(device, hub, merchant)["device"] == number
        ends_at = time.monotonic() + 30
        while (status := json.loads(device.vafa("status", "--json").stdout))["queue"]["waiting"]:
            assert time.monotonic() < ends_at, status
        assert (status["hub"]["state"], status["trouble"]) == ("reachable", [])
