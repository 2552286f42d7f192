"""`vafa doctor` as an installer meets it: its screen, exit codes, JSON, with a daemon up, down and silent."""

import fcntl
import json
import os
import subprocess
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from device import LANE, Device, Run
from hypothesis import given
from hypothesis import strategies as st
from shop import TID, payment

from vafa.app import doctor_ports
from vafa.app.config import load
from vafa.app.doctor import CHECKS
from vafa.app.findings import Finding
from vafa.app.live import LaneState
from vafa.app.standing import NotificationFacts, Trouble
from vafa.cli.doctor import screen
from vafa.cli.verbs import vafa as vafa_group
from vafa.ports.machine import Rights, is_locked
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp

HOLDS = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY), fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def nobody_s_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests is whom the ports are judged for, not an account of this machine."""
    monkeypatch.setattr(doctor_ports, "_account", lambda: None)
    monkeypatch.setattr("vafa.ports.machine.rights_of_process", lambda _pid: None)


def address(device: Device, text: str, more: str = "") -> None:
    """Write the terminal's address into the configuration, older than the daemon's start."""
    config = device.config.read_text().replace("/dev/ttyUSB0", text)
    device.config.write_text(config + more)
    os.utime(device.config, (0, 0))


@pytest.fixture
def pty() -> Iterator[str]:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        os.close(master)


def line_settings(path: str) -> object:
    """Speed and modes of a line: opening it as a port changes them."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        return termios.tcgetattr(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def held(path: str) -> Iterator[int]:
    command = [sys.executable, "-c", HOLDS, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.stdin.close()


# The screen


def test_the_screen_is_the_one_support_knows() -> None:
    serial = Finding(
        "fail", "serial", "/dev/ttyUSB0: permission denied for group 'dialout'",
        "the service user lost its group after the update", "sudo systemctl restart vafa", "SER-003",
    )  # fmt: skip
    clock = Finding(
        "warn", "clock", "device is 94 s behind the hub", "", "sudo timedatectl set-ntp true", "CLK-001"
    )
    assert (
        "\n".join([*screen(serial), *screen(clock), *screen(Finding("ok", "disk", "3 GB free"))])
        == """\
 FAIL  serial      /dev/ttyUSB0: permission denied for group 'dialout'
                   why  the service user lost its group after the update
                   fix  sudo systemctl restart vafa            [SER-003]
 warn  clock       device is 94 s behind the hub
                   fix  sudo timedatectl set-ntp true          [CLK-001]
 ok    disk        3 GB free"""
    )


@given(st.text("ab ", min_size=1, max_size=300).filter(str.strip), st.text("ab ", max_size=300))
def test_no_line_is_wider_than_the_screen_and_the_code_is_always_there(what: str, fix: str) -> None:
    words = [" ".join(word[:50] for word in text.split()) for text in (what, fix)]
    lines = screen(Finding("fail", "terminal", words[0], "", words[1], "TRM-021"))
    assert max(map(len, lines)) <= 80
    assert sum("[TRM-021]" in line for line in lines) == 1
    assert all(word in " ".join(lines) for word in " ".join(words).split())


# With the daemon up


def test_with_the_daemon_up_its_word_counts_and_its_line_is_not_touched(
    device: Device, vafa: Run, pty: str
) -> None:
    address(device, pty)
    settings = line_settings(pty)
    with device.up():
        ran = vafa("doctor", "--only", "serial", "--only", "terminal", "--only", "service")
    assert ran.code == 0, ran.out
    assert f" ok    serial      {pty}, 115200 8N1, held by vafa" in ran.out
    assert f" ok    terminal    {TID} at {pty}: answering, last frame 4 s ago" in ran.out
    assert " ok    service     vafa 0.1.0 answers, up 3d 04h, pid 4711" in ran.out
    assert line_settings(pty) == settings


def test_a_terminal_that_said_nothing_since_its_line_opened_is_a_warning(device: Device, vafa: Run) -> None:
    device.live = msgspec.structs.replace(device.live, lanes=(LaneState(TID, "ecr", "x", "open", "idle"),))
    with device.up():
        ran = vafa("doctor", "--only", "terminal")
    assert ran.code == 10
    assert "PC-POS mode" in ran.out
    assert "[TRM-021]" in ran.out


def test_what_status_says_is_wrong_stands_under_its_check(device: Device, vafa: Run, pty: str) -> None:
    address(device, pty)
    lane = msgspec.structs.replace(
        LANE, line="closed", trouble="/dev/x is in use by minicom (pid 9)", code="SER-005", fix="stop it"
    )
    device.live = msgspec.structs.replace(device.live, lanes=(lane,))
    with device.up():
        ran = vafa("doctor", "--only", "serial")
    assert ran.code == 20
    assert " FAIL  serial " in ran.out
    assert "minicom (pid 9)" in ran.out
    assert "[SER-005]" in ran.out
    assert " ok " not in ran.out


def test_a_terminal_whose_port_is_closed_is_no_terminal_in_order(device: Device, vafa: Run, pty: str) -> None:
    address(device, pty)
    lane = msgspec.structs.replace(LANE, line="closed", trouble="/dev/x is not there", code="SER-002")
    device.live = msgspec.structs.replace(device.live, lanes=(lane,))
    with device.up():
        ran = vafa("doctor", "--only", "terminal")
    assert ran.code == 20
    assert "its port is closed" in ran.out
    assert "--only serial" in ran.out


def test_a_configuration_changed_after_the_start_and_a_daemon_of_another_version_are_told(
    device: Device, vafa: Run
) -> None:
    device.live = msgspec.structs.replace(device.live, version="0.0.9")
    with device.up():
        ran = vafa("doctor", "--only", "config", "--only", "service")
    assert ran.code == 10
    assert "[CFG-010]" in ran.out
    assert "the daemon runs version 0.0.9, installed is 0.1.0" in ran.out


def test_what_was_heard_by_udp_is_counted_for_people_and_a_port_that_cannot_be_had_is_told(
    device: Device, vafa: Run
) -> None:
    heard = NotificationFacts(101, heard=3, strangers=1, garbage=7)
    device.live = msgspec.structs.replace(device.live, notifications=heard)
    with device.up():
        ran = vafa("doctor", "--only", "discovery")
    assert "3 heard, 1 of other terminals, 7 garbage" in " ".join(ran.out.split())
    trouble = Trouble("degraded", "Notifications are not heard: UDP port 101.", "see", "UDP-001")
    device.live = msgspec.structs.replace(
        device.live, notifications=msgspec.structs.replace(heard, trouble=(trouble,))
    )
    with device.up():
        ran = vafa("doctor", "--only", "discovery")
    assert (ran.code, "[UDP-001]" in ran.out) == (10, True)


# With the daemon down, or silent


def test_with_the_daemon_down_the_terminal_is_asked_and_nothing_is_sold(
    device: Device, vafa: Run, tmp_path: Path
) -> None:
    device.shop.ledger.close()
    terminal = Terminal(tid=TID, tail=b"\n")
    with serve_pty(terminal, tmp_path / "tty"):
        address(device, str(tmp_path / "tty"))
        ran = vafa("doctor", "--only", "terminal", "--only", "serial")
    assert ran.code == 0, ran.out
    assert "answers, and tells its last transactions" in " ".join(ran.out.split())
    assert ", opens" in ran.out
    assert (terminal.sales_asked, terminal.journal, terminal.slips) == (0, [], [])


def test_with_the_daemon_down_a_terminal_on_the_network_is_asked(device: Device, vafa: Run) -> None:
    device.shop.ledger.close()
    with serve_tcp(Terminal(tid=TID)) as line:
        address(device, f"tcp:{line.address}")
        ran = vafa("doctor", "--only", "terminal", "--only", "service")
    assert ran.code == 3, ran.out
    assert f" ok    terminal    {TID} at tcp:{line.address}: answers" in ran.out
    assert " FAIL  service     the daemon does not run" in ran.out


def test_a_daemon_that_holds_the_ledger_and_is_silent_keeps_its_line(
    device: Device, vafa: Run, tmp_path: Path
) -> None:
    terminal = Terminal(tid=TID, tail=b"\n")
    said: list[bytes] = []
    terminal.say = lambda text: said.append(text.encode())
    with serve_pty(terminal, tmp_path / "tty"):
        address(device, str(tmp_path / "tty"))
        ran = vafa("doctor", "--only", "terminal", "--only", "service", "--only", "serial")
    assert ran.code == 3
    assert "the daemon runs and does not answer" in ran.out
    assert "not asked, a silent daemon has its line" in ran.out
    assert "opens" not in ran.out


def test_a_port_that_is_not_there_or_held_is_named_with_who_holds_it(
    device: Device, vafa: Run, pty: str
) -> None:
    device.shop.ledger.close()
    ran = vafa("doctor", "--only", "serial")
    assert " FAIL  serial      /dev/ttyUSB0 is not there" in ran.out
    assert "[SER-002]" in ran.out
    address(device, pty)
    with held(pty) as pid:
        ran = vafa("doctor", "--only", "serial")
    assert ran.code == 20
    assert f"{pty} is in use by" in ran.out
    assert f"sudo kill {pid}" in ran.out
    assert "[SER-005]" in ran.out


def test_the_local_protocol_s_cable_is_looked_at_too(device: Device, vafa: Run, pty: str) -> None:
    device.shop.ledger.close()
    text = device.config.read_text().replace('address = "/dev/ttyUSB0"', 'address = "tcp:127.0.0.1:9"')
    device.config.write_text(f'{text}[local]\nserial = "{pty}"\nbaud = 9600\n')
    ran = vafa("doctor", "--only", "serial")
    assert (ran.code, f" ok    serial      {pty}, 9600 8N1, opens" in ran.out) == (0, True)
    device.config.write_text(f'{text}[local]\nserial = "/dev/ttyUSB77"\n')
    ran = vafa("doctor", "--only", "serial")
    assert (ran.code, "/dev/ttyUSB77 is not there" in ran.out) == (20, True)


def test_a_port_the_service_may_not_use_says_how_its_rights_are(
    device: Device, vafa: Run, pty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.shop.ledger.close()
    address(device, pty)
    Path(pty).chmod(0o600)
    stranger = Rights("vafa", 54_321, frozenset({54_321}))
    monkeypatch.setattr(doctor_ports, "_account", lambda: stranger)
    ran = vafa("doctor", "--only", "serial")
    assert f"{pty}: permission denied for user 'vafa'" in ran.out
    assert "crw-------" in ran.out
    assert "[SER-003]" in ran.out
    Path(pty).chmod(0o666)
    assert vafa("doctor", "--only", "serial").code == 0


def test_a_terminal_without_the_question_answers_and_one_that_is_deaf_does_not(
    device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.shop.ledger.close()
    monkeypatch.setattr("vafa.codecs.sadad_dialogue.INM_ANSWER_S", 0.1)
    refusing, deaf = Terminal(tid=TID), Terminal(tid=TID)
    refusing.fault("nack", times=-1)
    deaf.fault("deaf", times=-1)
    codes = []
    for terminal in (refusing, deaf):
        with serve_tcp(terminal) as line:
            address(device, f"tcp:{line.address}")
            ran = vafa("doctor", "--only", "terminal")
            device.config.write_text(device.config.read_text().replace(f"tcp:{line.address}", "/dev/ttyUSB0"))
        codes.append((ran.code, "[GAP-002]" in ran.out, "[TRM-021]" in ran.out))
    assert codes == [(10, True, False), (20, False, True)]


def test_a_lock_is_seen_without_being_tried_and_one_of_another_disk_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.lock"
    path.write_text("")
    assert not is_locked(path)
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_locked(path)
    assert not is_locked(path)
    other = f"1: FLOCK ADVISORY WRITE 1 fe:fe:{path.stat().st_ino} 0 EOF\n"
    (tmp_path / "locks").write_text(other)
    monkeypatch.setattr("vafa.ports.machine.PROC", tmp_path)
    assert not is_locked(path)


# A wrong configuration


def test_a_wrong_configuration_is_told_whole_and_the_rest_is_looked_at_all_the_same(
    device: Device, vafa: Run, pty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    device.shop.counter.post(payment())
    right = load(device.config)
    monkeypatch.setattr("device.load", lambda _path: right)  # the daemon read it while it was right
    second = f'[[terminal]]\nid = "B0000001"\naddress = "{pty}"\n'
    more = f"polll = true\nbaud = 11520\n{second}[jobs]\nbackups_kept = 0\n"
    address(device, "/dev/ttyUSB0", more)
    with device.up():
        ran = vafa("doctor")
    assert ran.code == 2
    text = " ".join(ran.out.split())
    for fault in ("terminal[0].polll: no such setting", "terminal[0].baud", "jobs.backups_kept"):
        assert fault in text
    assert text.count("[CFG-001]") == 3
    assert f" ok    serial      {pty}" in ran.out  # the terminal that is right
    assert "/dev/ttyUSB0 is not there" not in text  # the one that is wrong is not judged
    assert " ok    ledger " in ran.out
    assert " ok    service " in ran.out


@pytest.mark.parametrize("text", ["", "[shop", "\x00", "shop = 1\nterminal = 3\n", "[[shop]]\n[terminal]\n"])
def test_no_configuration_is_too_wrong(device: Device, vafa: Run, text: str) -> None:
    device.config.write_text(text)
    ran = vafa("doctor", "--json")
    report = json.loads(ran.out)
    assert ran.code == 2
    assert {finding["name"] for finding in report["findings"]} >= {"config", "service", "ledger", "disk"}
    if text in ("[shop", "\x00"):  # it does not tell where the daemon listens: nobody knows whether it runs
        assert "does not run" not in ran.out
        assert "serial" not in {finding["name"] for finding in report["findings"]}


def test_a_missing_configuration_says_where_to_take_one(device: Device, vafa: Run) -> None:
    device.config.unlink()
    ran = vafa("doctor")
    assert ran.code == 2
    assert "sudo install -m 640 -g vafa config.example.toml" in ran.out


def test_faults_of_the_programme_are_faults_of_the_configuration(device: Device, vafa: Run) -> None:
    (device.config.parent / "rules.toml").write_text("schema = 1\n")
    address(device, "/dev/ttyUSB0", '[club]\nprogramme = "rules.toml"\n')
    with device.up():
        ran = vafa("doctor", "--only", "config")
    assert ran.code == 2
    assert "[PRG-001]" in ran.out


# The ledger


def altered(device: Device, sql: str) -> None:
    import sqlite3

    with closing(sqlite3.connect(device.shop.ledger.path)) as connection, connection:
        connection.execute(sql)


def test_a_row_altered_among_the_newest_is_found_at_once(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment())
    with device.up():
        assert vafa("doctor", "--only", "ledger").code == 0
        altered(device, "UPDATE journal SET at = at + 1 WHERE seq = 2")
        ran = vafa("doctor", "--only", "ledger")
    assert ran.code == 20
    assert "journal 2: the chain breaks here" in ran.out
    assert "[LED-003]" in ran.out


def test_a_balance_altered_in_the_books_is_found_by_the_whole_look(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment())
    altered(device, "UPDATE payment SET seq = seq + 7")
    with device.up():
        assert vafa("doctor", "--only", "ledger").code == 0
        ran = vafa("doctor", "--only", "ledger", "--full")
    assert ran.code == 20
    assert "[LED-003]" in ran.out


def test_a_file_that_is_no_ledger_and_a_key_that_is_none_are_told(device: Device, vafa: Run) -> None:
    path = device.shop.ledger.path
    device.shop.ledger.close()
    (device.config.parent / "device.key").write_text("zz")
    ran = vafa("doctor", "--only", "ledger")
    assert "[KEY-001]" in ran.out
    for log in path.parent.glob("ledger.db-*"):
        log.unlink()
    path.write_bytes(b"no ledger at all" * 1_000)
    ran = vafa("doctor", "--only", "ledger")
    assert (ran.code, "[LED-003]" in ran.out) == (20, True)


# The command line


def test_json_has_a_schema_and_every_check_in_it(device: Device, vafa: Run) -> None:
    with device.up():
        ran = vafa("doctor", "--json")
    report = json.loads(ran.out)
    assert report["schema"] == 1
    assert report["verdict"] == {0: "ok", 10: "degraded", 20: "broken"}[ran.code]
    assert {finding["name"] for finding in report["findings"]} == {check.name for check in CHECKS}
    assert all(
        finding["code"] and finding["fix"] for finding in report["findings"] if finding["level"] != "ok"
    )


def test_a_check_that_does_not_exist_is_a_usage_error_that_names_them_all(device: Device, vafa: Run) -> None:
    ran = vafa("doctor", "--only", "cables")
    assert ran.code == 2
    assert "'cables' is none of config, service, unit, serial, terminal" in " ".join(ran.err.split())


def test_the_tab_key_offers_the_checks() -> None:
    environment = {"_VAFA_COMPLETE": "bash_complete", "COMP_WORDS": "vafa doctor --only c", "COMP_CWORD": "3"}
    ran = CliRunner().invoke(vafa_group, env=environment, prog_name="vafa", complete_var="_VAFA_COMPLETE")
    assert ran.output.split() == ["plain,config", "plain,clock"]
