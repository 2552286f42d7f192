"""The doctor's checks link, tls and hub: against real TLS with good and bad certificates, and real links."""

import datetime
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import DAY, NOW, Authority
from enrolling_hub import EnrollingHub, served
from namespaces import namespaces

from vafa.app import doctor_hub, doctor_link
from vafa.app.config import Config, Ledger, Shop
from vafa.app.doctor import CHECKS, examine
from vafa.app.findings import Finding, Patient
from vafa.keys import device_key
from vafa.keys.sign import SigningKey
from vafa.sync import enrolment
from vafa.sync.enrolment import SYNC_KEY, Enrolment

CHECKED = tuple(check for check in CHECKS if check.name in ("link", "tls", "hub"))


@pytest.fixture
def hub() -> EnrollingHub:
    return EnrollingHub()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def address(hub: EnrollingHub, authority: Authority) -> Iterator[str]:
    with served(hub, authority.server()) as url:
        yield url


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    config = Config(shop=Shop(name="x"), directory=tmp_path, ledger=Ledger(directory="."))
    return Patient(config_path=tmp_path / "c.toml", config=config, now_ms=time.time_ns() // 1_000_000)


def enrol(patient: Patient, address: str, ca: str, hub: EnrollingHub | None = None) -> None:
    directory = patient.config.ledger_directory
    key = device_key.load_or_create(directory / SYNC_KEY)
    pinned = hub.signing.public.hex() if hub else "00" * 32
    known = Enrolment(address, "m", 2, pinned, "00" * 32, "0102", ca, public_key=SigningKey(key).public.hex())
    enrolment.save(directory, known)


def found(patient: Patient) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(patient, checks=CHECKED).findings}


def test_a_device_that_is_not_enrolled_has_nothing_to_look_at_and_is_told_how(patient: Patient) -> None:
    assert {name: finding.level for name, finding in found(patient).items()} == dict.fromkeys(
        ("link", "tls", "hub"), "ok"
    )
    assert "vafa enrol CODE --hub URL" in found(patient)["hub"].what


def test_a_hub_that_is_well_is_ok_three_times_with_its_key_and_how_long_its_certificate_holds(
    patient: Patient, address: str, authority: Authority, hub: EnrollingHub
) -> None:
    enrol(patient, address, authority.file.name, hub)
    findings = found(patient)
    assert {finding.level for finding in findings.values()} == {"ok"}, findings
    assert "lo carries us" in findings["link"].what
    assert re.search(r"good for \d+ days, signed by the authority that was named", findings["tls"].what)
    assert "is ready; we are device 2, its key" in findings["hub"].what


def test_a_hub_whose_database_is_away_answers_and_is_not_ready(
    patient: Patient, address: str, authority: Authority, hub: EnrollingHub
) -> None:
    hub.is_ready = False
    enrol(patient, address, authority.file.name)
    finding = found(patient)["hub"]
    assert (finding.level, finding.code) == ("warn", "SYN-010")
    assert "the database is away" in finding.what


@pytest.mark.parametrize(
    ("host", "begins", "ends", "says"),
    [
        ("localhost", -9 * DAY, -DAY, "expired"),
        ("localhost", DAY, 9 * DAY, "not yet valid"),
        ("other.example", -DAY, 90 * DAY, "mismatch"),
    ],
)
def test_a_bad_certificate_is_named_with_what_may_be_behind_it(
    patient: Patient, authority: Authority, hub: EnrollingHub, host: str, begins: datetime.timedelta,
    ends: datetime.timedelta, says: str,
) -> None:  # fmt: skip
    with served(hub, authority.server(host, NOW + begins, NOW + ends)) as address:
        enrol(patient, address, authority.file.name)
        finding = found(patient)["tls"]
    assert (finding.level, finding.code) == ("warn", "SYN-005")
    assert says in finding.what.lower()
    assert ("clock" in finding.why) == (says != "mismatch")


def test_an_authority_nobody_trusts_and_one_that_is_gone(
    patient: Patient, address: str, tmp_path: Path, hub: EnrollingHub
) -> None:
    enrol(patient, address, Authority(tmp_path, "another").file.name)
    assert found(patient)["tls"].code == "SYN-005"
    enrol(patient, address, "hub-ca-gone.pem")
    assert "hub-ca-gone.pem is gone" in found(patient)["tls"].what


def test_a_certificate_that_ends_soon_is_told_in_time(
    patient: Patient, authority: Authority, hub: EnrollingHub
) -> None:
    with served(hub, authority.server(ends=NOW + 10 * DAY)) as address:
        enrol(patient, address, authority.file.name)
        finding = found(patient)["tls"]
    assert (finding.level, finding.code) == ("warn", "SYN-021")
    assert "ends in 9 days" in finding.what


def test_nobody_there_is_no_fault_of_the_certificate(patient: Patient, authority: Authority) -> None:
    with socket.socket() as taken:  # bound and not listening: refused
        taken.bind(("127.0.0.1", 0))
        enrol(patient, f"https://localhost:{taken.getsockname()[1]}", authority.file.name)
        findings = found(patient)
    assert {findings[name].code for name in ("tls", "hub")} == {"SYN-006"}
    assert "refused" in findings["tls"].what


def test_a_key_that_is_not_the_enrolled_one_is_found(patient: Patient, address: str) -> None:
    enrol(patient, address, "")
    (patient.config.ledger_directory / SYNC_KEY).write_text("ab" * 32)
    assert found(patient)["hub"].code == "ENR-001"


def test_an_enrolment_that_cannot_be_read_is_the_hub_s_finding(patient: Patient) -> None:
    (patient.config.ledger_directory / enrolment.FILE).write_text("{")
    assert found(patient)["hub"].code == "ENR-001"
    assert found(patient)["link"].level == "ok"


def test_a_name_that_is_not_found_is_told_apart_from_a_link_that_is_down(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(patient, "https://hub.invalid", "")
    monkeypatch.setattr(doctor_link, "addresses_of", lambda _enrolled: ())
    with namespaces("device", "world") as (near, world):

        def codes() -> list[str]:
            return [each.code for each in near.inside(lambda: list(doctor_link.look(patient)))]

        assert codes() == ["LINK-002"]
        near.link_to(world, "wlan0", "far", "192.168.7.2/24", "192.168.7.1/24")
        assert codes() == ["LINK-003"]
        near.ip("route", "add", "default", "via", "192.168.7.1")
        assert codes() == ["LINK-005"]


def test_a_route_into_nothing_is_told_though_it_is_gone_around(patient: Patient) -> None:
    enrol(patient, "https://203.0.113.9", "")
    with namespaces("device", "world") as (near, world):
        near.link_to(world, "wwan0", "far-sim", "198.51.100.2/24", "198.51.100.1/24")
        near.link_to(world, "wlan0", "far-wifi", "192.168.7.2/24", "192.168.7.1/24")
        near.ip("route", "add", "default", "via", "198.51.100.1", "metric", "700")
        near.ip("route", "add", "default", "via", "192.168.7.1", "metric", "600")
        world.ip("link", "set", "far-wifi", "down")
        (finding,) = near.inside(lambda: list(doctor_link.look(patient)))
    assert (finding.code, finding.level) == ("LINK-001", "warn")
    assert "sent by wwan0 instead" in finding.why


def test_the_host_of_an_address_has_its_port() -> None:
    def of(address: str) -> tuple[str, int]:
        return doctor_link.name_and_port(Enrolment(address, "m", 1, "", "", ""))

    assert of("https://hub.example") == ("hub.example", 443)
    assert of("https://hub.example:8443") == ("hub.example", 8443)
    assert of("https://[2001:db8::9]:8443") == ("2001:db8::9", 8443)
    assert of("https://[2001:db8::9]") == ("2001:db8::9", 443)


def test_each_check_has_its_row() -> None:
    assert [check.look for check in CHECKED] == [doctor_link.look, doctor_hub.look_at_tls, doctor_hub.look]
