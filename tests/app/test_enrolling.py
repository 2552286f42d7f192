"""`vafa enrol` by the real daemon and with it down, against a hub behind real TLS."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from enrolling_hub import EnrollingHub, served
from real_device import Device

from vafa.keys.sign import fingerprint
from vafa.ledger.storage import connect_reader
from vafa.sync import enrolment
from vafa.sync.enrolment import MERCHANT_KEY

PHONE = "09121236789"
NOBODY = 65534


@pytest.fixture
def hub() -> EnrollingHub:
    made = EnrollingHub()
    made.codes = {"AAAA": ("negin", 0), "BBBB": ("negin", 0), "CCCC": ("negin", 2)}
    return made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def address(hub: EnrollingHub, authority: Authority) -> Iterator[str]:
    with served(hub, authority.server()) as url:
        yield url


def words(code: str, address: str, authority: Authority) -> list[str]:
    return [code, "--hub", address, "--ca", str(authority.file)]


def test_the_running_daemon_enrols_and_a_later_device_finds_who_joined_before(
    tmp_path: Path, hub: EnrollingHub, address: str, authority: Authority
) -> None:
    first, second = Device(tmp_path / "first"), Device(tmp_path / "second")
    with first.running():
        done = first.enrol(*words("AA-AA", address, authority))
        assert (done["device"], done["fingerprint"]) == (1, fingerprint(hub.signing.public))
    assert first.epochs() == [1]  # nothing of it changed: its key became the merchant's
    with second.running():
        assert second.vafa("member", "add", PHONE).returncode == 0
        before = second.pay("1", member=PHONE)
        done = second.enrol(*words("bbbb", address, authority))
        assert (done["device"], done["merged"], done["again"]) == (2, 1, False)
        after = second.pay("2", member=PHONE)
        assert after["balance"] == before["balance"] + after["points"]
        assert (before["number"][:4], after["number"][:4]) == ("1-1-", "2-2-")
        status = json.loads(second.vafa("status", "--json").stdout)
        assert (status["hub"]["host"], status["queue"]["enrolled"]) == (address[8:], True)
    assert second.epochs() == [1, 2]
    with second.running():  # what it is outlives a restart
        assert second.pay("3", member=PHONE)["balance"] == after["balance"] + after["points"]
        shown = second.vafa("member", "show", PHONE)
        assert shown.returncode == 0
    assert second.epochs() == [1, 2]
    assert second.vafa("verify").returncode == 0


def test_with_the_daemon_down_it_enrols_under_the_ledger_s_lock(
    tmp_path: Path, hub: EnrollingHub, address: str, authority: Authority
) -> None:
    hub.token_keys["negin"] = b"m" * 32
    device = Device(tmp_path / "device")
    with device.running():
        pass
    if os.geteuid() == 0:
        for path in (device.state, *device.state.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    done = device.enrol(*words("AAAA", address, authority))
    assert (done["device"], enrolment.merchant_key(device.state)) == (1, b"m" * 32)
    assert len({path.stat().st_uid for path in (device.state, *device.state.rglob("*"))}) == 1  # the daemon's
    with device.running():
        assert device.pay("1")["number"].startswith("1-2-")
    assert device.epochs() == [1, 1]  # the key is another one


def test_a_daemon_killed_between_the_hub_s_answer_and_the_journal_ends_it_at_its_next_start(
    tmp_path: Path, hub: EnrollingHub, address: str, authority: Authority
) -> None:
    hub.token_keys["negin"] = b"m" * 32
    device = Device(tmp_path / "device")
    with device.running():
        assert device.vafa("member", "add", PHONE).returncode == 0
    device.enrol(*words("AAAA", address, authority))
    known = enrolment.load(device.state)
    key = (device.state / MERCHANT_KEY).read_bytes()
    assert known is not None
    other = Device(tmp_path / "other")  # a device whose files say enrolled and whose journal does not
    with other.running():
        assert other.vafa("member", "add", PHONE).returncode == 0
    enrolment.save(other.state, known)
    enrolment.write_durably(other.state / MERCHANT_KEY, key)
    with other.running():
        assert other.pay("1", member=PHONE)["number"].startswith("1-2-")
    with contextlib.closing(connect_reader(other.state / "ledger.db")) as connection:
        assert connection.execute("SELECT count(*) FROM alias").fetchone() == (1,)
    assert other.vafa("verify").returncode == 0


def test_enrolling_again_and_rotating_keep_number_hub_and_certificates(
    tmp_path: Path, hub: EnrollingHub, address: str, authority: Authority
) -> None:
    hub.codes["CCCC"] = ("negin", 1)
    device = Device(tmp_path / "device")
    with device.running():
        device.enrol(*words("AAAA", address, authority))
        first = hub.devices[1].sign
        assert device.enrol("CCCC", "--hub", address)["again"]
        second = hub.devices[1].sign
        ran = device.vafa("enrol", "--rotate")
        assert ran.returncode == 0, ran.stderr
        assert "device 1 of Kafe Negin has new keys at localhost:" in ran.stdout
    assert len({first, second, hub.devices[1].sign}) == 3
    assert device.epochs() == [1]


def test_what_goes_wrong_says_what_to_do_and_changes_nothing(
    tmp_path: Path, hub: EnrollingHub, address: str, authority: Authority
) -> None:
    device = Device(tmp_path / "device")
    with device.running():
        for wrong, code in (
            (words("ZZZZ", address, authority), "ENR-002"),
            (["AAAA", "--hub", address], "SYN-005"),  # nobody the system trusts has signed it
            (words("AAAA", "https://localhost:9", authority), "SYN-006"),
            (words("AAAA", "http://localhost", authority), "ENR-012"),
            (words("AAAA", "https://", authority), "ENR-012"),
            (words("AAAA", "https://a hub", authority), "ENR-012"),
            (["AAAA"], "ENR-012"),
            (["--rotate"], "ENR-006"),
        ):
            ran = device.vafa("enrol", *wrong)
            assert f"[{code}]" in ran.stderr, ran.stderr
            assert "Traceback" not in ran.stderr
        assert device.vafa("enrol").returncode == 2
        assert device.vafa("enrol", "AAAA", "--rotate", "--hub", address).returncode == 2
    assert enrolment.load(device.state) is None
    assert hub.devices == {}


def test_an_enrolment_that_cannot_be_read_stops_no_sale_and_is_trouble(tmp_path: Path) -> None:
    device = Device(tmp_path / "device")
    with device.running():
        pass
    (device.state / enrolment.FILE).write_text("{")
    with device.running():
        assert device.pay("1")["answer"] == "paid"
        status = json.loads(device.vafa("status", "--json").stdout)
    assert [each["code"] for each in status["trouble"]] == ["ENR-001"]
