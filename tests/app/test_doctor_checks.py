"""The doctor's checks on worlds no test machine is: units of systemd, a worn disk, 1970, old zone data."""

from collections.abc import Callable, Iterable
from datetime import timedelta, timezone, tzinfo
from pathlib import Path

import pytest

from vafa.app import doctor_clock, doctor_disk, doctor_service
from vafa.app.config import Config, Shop, Terminal
from vafa.app.doctor import CHECKS, examine, exit_code
from vafa.app.findings import Check, Finding, Patient
from vafa.model.errors import LedgerError, NotRunning
from vafa.ports import machine
from vafa.ports.machine import Mount

NOW_MS = 1_767_000_000_000
GOOD_UNIT = {
    "LoadState": "loaded", "UnitFileState": "enabled", "NeedDaemonReload": "no", "NRestarts": "0",
    "TimeoutStopUSec": "3min 20s", "MemoryCurrent": "33000000", "MemoryMax": "268435456",
}  # fmt: skip


def patient(tmp_path: Path, now_ms: int = NOW_MS) -> Patient:
    config = Config(shop=Shop(name="x"), directory=tmp_path, terminal=(Terminal(id="1"),))
    silence = NotRunning("nobody there")
    return Patient(config_path=tmp_path / "c.toml", config=config, silence=silence, now_ms=now_ms)


def codes(findings: Iterable[Finding]) -> list[str]:
    return [finding.code for finding in findings]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, [""]),
        ({"LoadState": "not-found"}, ["RUN-011"]),
        ({"UnitFileState": "disabled"}, ["RUN-011"]),
        ({"NeedDaemonReload": "yes"}, ["RUN-011"]),
        ({"NRestarts": "7"}, ["RUN-012"]),
        ({"TimeoutStopUSec": "1min 30s"}, ["RUN-013"]),  # a customer may take 180 s
        ({"TimeoutStopUSec": "infinity"}, [""]),
        ({"MemoryCurrent": "260000000"}, ["RUN-013"]),
        ({"MemoryCurrent": "[not set]", "MemoryMax": "infinity"}, [""]),
    ],
)
def test_a_unit_is_judged_by_what_systemd_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], expected: list[str]
) -> None:
    monkeypatch.setattr(machine, "has_systemd", lambda: True)
    monkeypatch.setattr(machine, "unit", lambda *_: GOOD_UNIT | changed)
    assert codes(doctor_service.look_at_unit(patient(tmp_path))) == expected


@pytest.mark.parametrize(
    ("result", "words"),
    [("exit-code", "exit code 2"), ("oom-kill", "out of memory"), ("watchdog", "no sign of life")],
)
def test_why_the_service_stopped_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: str, words: str
) -> None:
    monkeypatch.setattr(machine, "has_systemd", lambda: True)
    monkeypatch.setattr(
        machine, "unit", lambda *_: {"LoadState": "loaded", "Result": result, "ExecMainStatus": "2"}
    )
    (finding,) = doctor_service.look(patient(tmp_path))
    assert words in finding.why
    assert (finding.code, finding.level) == ("RUN-001", "fail")


@pytest.mark.parametrize(
    ("now_ms", "synchronised", "level", "code"),
    [
        (3_600_000, True, "fail", "CLK-001"),  # 1970: a flat cell
        (NOW_MS, False, "warn", "CLK-010"),
        (NOW_MS, True, "ok", ""),
        (NOW_MS, None, "ok", ""),
    ],
)
def test_a_clock_is_judged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    now_ms: int,
    synchronised: bool | None,
    level: str,
    code: str,
) -> None:
    monkeypatch.setattr(machine, "clock_is_synchronised", lambda: synchronised)
    (finding,) = doctor_clock.look(patient(tmp_path, now_ms))
    assert (finding.level, finding.code) == (level, code)


def test_zone_data_that_still_has_iran_s_summer_time_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def zone(hours: float) -> Callable[[str], tzinfo]:
        return lambda _name: timezone(timedelta(hours=hours))

    monkeypatch.setattr(doctor_clock, "ZoneInfo", zone(4.5))
    assert codes(doctor_clock.look_at_zone(patient(tmp_path))) == ["CLK-011"]
    monkeypatch.setattr(doctor_clock, "ZoneInfo", zone(3.5))
    assert codes(doctor_clock.look_at_zone(patient(tmp_path))) == [""]


@pytest.mark.parametrize(
    ("kind", "wear", "expected"),
    [
        ("ext4", "", [""]),
        ("ext4", "life_time 0x01 0x02, pre_eol_info 0x01", [""]),
        ("ext4", "life_time 0x0A 0x02, pre_eol_info 0x01", ["DSK-004"]),
        ("ext4", "life_time 0x01 0x02, pre_eol_info 0x02", ["DSK-004"]),
        ("tmpfs", "", ["DSK-003"]),
        ("nfs4", "", ["DSK-003"]),
    ],
)
def test_a_disk_is_judged_by_its_kind_and_wear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, wear: str, expected: list[str]
) -> None:
    monkeypatch.setattr(machine, "mount_of", lambda _path: Mount("/", kind, "/dev/mmcblk0p2", ("rw",)))
    monkeypatch.setattr(machine, "flash_wear", lambda _source: wear)
    monkeypatch.setattr(doctor_disk, "FREE_BYTES_LOW", 0)
    assert codes(doctor_disk.look(patient(tmp_path))) == expected


@pytest.mark.parametrize(("least", "low", "level"), [(1 << 60, 1 << 61, "fail"), (0, 1 << 60, "warn")])
def test_little_space_is_a_warning_and_none_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int, low: int, level: str
) -> None:
    monkeypatch.setattr(machine, "mount_of", lambda _path: Mount("/", "ext4", "/dev/vda", ("rw",)))
    monkeypatch.setattr(doctor_disk, "FREE_BYTES_MIN", least)
    monkeypatch.setattr(doctor_disk, "FREE_BYTES_LOW", low)
    found = [finding for finding in doctor_disk.look(patient(tmp_path)) if finding.code == "DSK-001"]
    assert [finding.level for finding in found] == [level]


# The table


def test_a_check_joins_with_a_row_and_trouble_comes_first(tmp_path: Path) -> None:
    rows = (
        Check("a", "", lambda _: [Finding("ok", "a", "fine")]),
        Check("b", "", lambda _: [Finding("warn", "b", "hm", fix="x", code="X-1")]),
        Check("c", "", lambda _: [Finding("fail", "c", "no", fix="x", code="X-2")]),
    )
    report = examine(patient(tmp_path), checks=rows)
    assert [finding.name for finding in report.findings] == ["c", "b", "a"]
    assert (report.verdict, exit_code(report)) == ("broken", 20)
    report = examine(patient(tmp_path), only=["a"], checks=rows)
    assert (report.verdict, exit_code(report)) == ("ok", 0)


@pytest.mark.parametrize(
    "error", [LedgerError("page 7", fix="restore", code="LED-003"), PermissionError("no")]
)
def test_a_check_that_cannot_look_is_a_finding_and_the_others_go_on(tmp_path: Path, error: Exception) -> None:
    def breaks(_patient: Patient) -> Iterable[Finding]:
        raise error

    rows = (Check("a", "", breaks), Check("b", "", lambda _: [Finding("ok", "b", "fine")]))
    first, second = examine(patient(tmp_path), checks=rows).findings
    assert first.level == "fail"
    assert str(error) in first.what
    assert second.what == "fine"


def test_each_check_has_a_name_of_its_own_that_fits_its_column() -> None:
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
    assert all(len(name) <= 10 and name.islower() for name in names)
    assert all(check.about for check in CHECKS)
