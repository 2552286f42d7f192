"""A device's life under a real systemd: `scripts/systemd`. Not part of the suite: it takes some ten minutes.

A fresh Debian 12 in a container; packages built from this tree in four variants: as it is, a newer one, one
that crashes at its start, one whose ledger leaves no way back. The tests are one story, on one device.
"""

import json
import py_compile
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from system.booted import ROOT, Machine, missing

from vafa import __version__

TERMINAL, RELAYED = "40217736", "40217737"
CONFIG = f"""
[shop]
name = "کافه نگین"
name_en = "Kafe Negin"
[update]
keys = ["KEY"]
confirm_after_min = 1
[[terminal]]
id = "{TERMINAL}"
address = "tcp:127.0.0.1:8888"
[[terminal]]
id = "{RELAYED}"
mode = "proxy"
listen = "tcp:127.0.0.1:8891"
address = "tcp:127.0.0.1:8890"
"""
CRASHES = ("vafa/cli/serve.py", "    stand_trial()\n", '    stand_trial()\n    raise RuntimeError("a bug")\n')
NO_WAY_BACK = ("release.json", r'"ledger_readable_since": \d+', '"ledger_readable_since": 99')
PACKAGES = ROOT / "build" / "systemd"
OLD = __version__
GOOD, BAD, ONE_WAY = f"{OLD}.1", f"{OLD}.2", f"{OLD}.3"
VARIANTS = {GOOD: None, BAD: CRASHES, ONE_WAY: NO_WAY_BACK}
ROLLED_BACK_WITHIN_S = 60.0  # 10 to 16 s on two busy cores; a machine may be busier

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "all is there")


def built(directory: Path) -> dict[str, Path]:
    """The package of each variant: this tree's, and it taken apart, changed and packed again."""
    shutil.rmtree(directory, ignore_errors=True)
    made = subprocess.run(
        [sys.executable, ROOT / "scripts/package/build.py", "--out", directory],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = {OLD: Path(made.stdout.strip())}
    parts = directory / "parts"
    for version, edit in VARIANTS.items():
        subprocess.run(["dpkg-deb", "--raw-extract", found[OLD], parts], check=True)
        release = parts / "opt/vafa/package"
        for file in (parts / "DEBIAN/control", release / "release.json", release / "bin/vafa"):
            file.write_text(file.read_text().replace(OLD, version))
        site = release / "lib/python3.11/site-packages"
        rewritten(site / "vafa/__init__.py", OLD, version)
        if edit is not None and edit[0].endswith(".py"):
            rewritten(site / edit[0], *edit[1:])
        elif edit is not None:
            place = release / edit[0]
            place.write_text(re.sub(*edit[1:], place.read_text()))
        found[version] = directory / f"vafa_{version}.deb"
        subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--build", parts, found[version]], check=True)
        shutil.rmtree(parts)
    return found


def rewritten(source: Path, old: str, new: str) -> None:
    """A module changed, and with it its byte code, which is never compared with it."""
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))
    py_compile.compile(
        str(source), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )


class Device:
    """The machine, and what a person at it does."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.run, self.say, self.unit, self.until = machine.run, machine.say, machine.unit, machine.until

    def vafa(self, *words: str, user: str = "root", check: bool = True) -> "subprocess.CompletedProcess[str]":
        return self.run("vafa", *words, user=user, check=check)

    def json(self, *words: str) -> Any:
        return json.loads(self.vafa(*words, "--json", check=False).stdout)

    def is_ready(self) -> bool:
        return self.unit("vafa", "ActiveState") == "active"

    def sell(self) -> str:
        """A sale by the service's user; our number of it. The customer pays at once."""
        said = self.vafa("sell", "1000000", "--terminal", TERMINAL, "--json", user="vafa").stdout
        sold = json.loads(said)["sold"]
        assert sold["outcome"] == "approved"
        return str(sold["number"])

    def releases(self) -> tuple[str, str]:
        found = self.json("update", "status")
        return found["current"], found["previous"]

    def pid(self, unit: str) -> int:
        return int(self.unit(unit, "MainPID"))

    def connects_through_the_relay(self) -> bool:
        program = "import socket; socket.create_connection(('127.0.0.1', 8891), 5).close()"
        return self.run("python3", "-c", program, check=False).returncode == 0


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    directory = tmp_path_factory.mktemp("systemd")
    packages = built(PACKAGES)
    machine = Machine(directory, f"vafa-{directory.name}")
    for version, package in packages.items():
        shutil.copy(package, machine.root / f"srv/vafa_{version}.deb")
    machine.boot()
    try:
        yield Device(machine)
    finally:
        machine.off()


def pretend_terminals(device: Device) -> None:
    """Beside the device, as far as it can tell; from a copy of their own, so that no release stays in use."""
    device.run("cp", "-a", "/opt/vafa/package", "/srv/pretend")
    for tid, port in ((TERMINAL, 8888), (RELAYED, 8890)):
        command = (
            "sleep infinity | /srv/pretend/bin/python -P -m vafa.cli.main simulate sadad --json "
            f"--tcp 127.0.0.1:{port} --tid {tid} --pay-after-ms 10 --no-announce"
        )
        device.run("systemd-run", f"--unit=pretend-{port}", "sh", "-c", command)


def test_apt_installs_it_with_accounts_settings_and_nothing_started(device: Device) -> None:
    device.run("apt-get", "install", "-y", "--no-install-recommends", f"/srv/vafa_{OLD}.deb")
    assert device.vafa("--version").stdout.strip() == f"vafa, version {OLD}"
    assert "good" in device.vafa("run", "--check").stdout
    assert device.say("stat", "-c", "%U:%G %a", "/etc/vafa/config.toml") == "root:vafa 640"
    assert {"dialout", "lp", "vafa-pos"} <= set(device.say("id", "-nG", "vafa").split())
    assert device.unit("vafa", "ActiveState") == "inactive"
    assert device.releases() == (OLD, "")


def test_it_is_ready_with_a_key_that_systemd_hands_it(device: Device) -> None:
    key = device.vafa("update", "key", "/srv/release.key").stdout.strip()
    device.machine.put("/etc/vafa/config.toml", CONFIG.replace("KEY", key))
    device.run("sh", "-c", f"umask 077; echo {secrets.token_hex(32)} >/etc/credstore/vafa.key")
    pretend_terminals(device)
    device.run("systemctl", "enable", "--now", "vafa-relay", "vafa")
    assert device.is_ready()
    assert device.run("test", "-e", "/var/lib/vafa/keys/device.key", check=False).returncode == 1
    verified = device.run("vafa", "verify", CREDENTIALS_DIRECTORY="/etc/credstore")
    assert verified.returncode == 0
    device.until(lambda: device.json("status")["terminals"][0]["state"] == "answering")


def test_a_sale_is_made_by_the_service_s_user_and_awarded(device: Device) -> None:
    device.sell()
    assert device.json("status")["today"]["sales"] == 1


def test_who_is_not_in_the_group_may_not_ask(device: Device) -> None:
    refused = device.vafa("status", user="nobody", check=False)
    assert refused.returncode != 0
    assert "vafa" in refused.stderr
    assert "Traceback" not in refused.stderr
    device.run("useradd", "--groups", "vafa", "support")
    assert device.vafa("status", user="support", check=False).returncode in (0, 10, 20)


def test_a_hung_daemon_is_killed_by_the_watchdog_and_the_next_sale_is_awarded(device: Device) -> None:
    before, relay = device.pid("vafa"), device.pid("vafa-relay")
    device.run("systemctl", "kill", "--signal=STOP", "vafa")
    device.until(lambda: device.is_ready() and device.pid("vafa") not in (0, before))
    assert device.say("journalctl", "-u", "vafa", "--grep", "Watchdog timeout", "--no-pager", "-q")
    device.sell()
    assert device.json("status")["today"]["sales"] == 2
    assert device.pid("vafa-relay") == relay


def test_an_unsigned_package_is_refused(device: Device) -> None:
    refused = device.vafa("update", f"/srv/vafa_{GOOD}.deb", check=False)
    assert refused.returncode == 1
    assert "UPD-003" in refused.stderr
    assert device.releases() == (OLD, "")


def test_a_release_that_does_not_start_is_rolled_back_by_itself_within_seconds(device: Device) -> None:
    relay = device.pid("vafa-relay")
    device.vafa("update", "sign", f"/srv/vafa_{BAD}.deb", "--key", "/srv/release.key")
    began = time.monotonic()
    refused = device.vafa("update", f"/srv/vafa_{BAD}.deb", check=False)
    whole_s = time.monotonic() - began
    assert refused.returncode == 1
    assert "UPD-011" in refused.stderr
    device.until(device.is_ready)
    assert device.releases()[0] == OLD
    status = device.json("status")
    assert [each["code"] for each in status["trouble"]] == ["UPD-011"]
    device.sell()
    assert device.pid("vafa-relay") == relay
    assert device.connects_through_the_relay()
    down_s = down(device)
    sys.stdout.write(f"\nthe update {whole_s:.1f} s in all; without a daemon {down_s:.1f} s\n")
    assert down_s < ROLLED_BACK_WITHIN_S
    device.vafa("update", "clear")
    assert device.json("status")["trouble"] == []


def down(device: Device) -> float:
    """Seconds between the last stop of the daemon that was well, and READY of the one it went back to."""
    lines = device.say("journalctl", "-u", "vafa", "-o", "json", "--no-pager").splitlines()
    rows = [json.loads(line) for line in lines]
    at = [(int(row["__MONOTONIC_TIMESTAMP"]) / 1e6, str(row.get("MESSAGE", ""))) for row in rows]
    stopped = [when for when, said in at if said.startswith("Stopping vafa.service")]
    ready = [when for when, said in at if said.startswith("Started vafa.service")]
    return ready[-1] - stopped[-1 if stopped[-1] < ready[-1] else -2]


def test_a_release_after_which_there_is_no_way_back_is_refused(device: Device) -> None:
    device.vafa("update", "sign", f"/srv/vafa_{ONE_WAY}.deb", "--key", "/srv/release.key")
    refused = device.vafa("update", f"/srv/vafa_{ONE_WAY}.deb", check=False)
    assert refused.returncode == 1
    assert "UPD-007" in refused.stderr
    assert device.releases()[0] == OLD


def test_a_good_release_is_on_trial_sells_and_is_confirmed_with_the_relay_the_same_process(
    device: Device,
) -> None:
    relay = device.pid("vafa-relay")
    device.vafa("update", "sign", f"/srv/vafa_{GOOD}.deb", "--key", "/srv/release.key")
    assert f"release {GOOD} runs, on trial" in device.vafa("update", f"/srv/vafa_{GOOD}.deb").stdout
    assert device.json("update", "status")["on_trial"] == GOOD
    assert device.json("status")["version"] == GOOD
    device.sell()
    assert device.vafa("update", f"/srv/vafa_{GOOD}.deb", check=False).stderr.count("UPD-010") == 1
    device.until(lambda: not device.json("update", "status")["on_trial"])
    assert device.releases() == (GOOD, OLD)
    assert "unconfirmed" not in device.say("systemctl", "cat", "vafa")
    assert device.pid("vafa-relay") == relay
    assert device.connects_through_the_relay()


def test_the_way_back_by_hand_is_a_trial_too_and_outlives_a_power_cut(device: Device) -> None:
    sales = device.json("status")["today"]["sales"]
    assert f"release {OLD} runs" in device.vafa("update", "rollback").stdout
    assert device.json("update", "status")["on_trial"] == OLD
    device.machine.cut()
    device.machine.boot()
    device.until(device.is_ready)
    assert device.json("status")["version"] == OLD
    assert device.json("status")["today"]["sales"] == sales
    pretend_terminals_again(device)
    device.sell()
    device.until(lambda: not device.json("update", "status")["on_trial"])
    assert device.releases() == (OLD, GOOD)


def pretend_terminals_again(device: Device) -> None:
    device.run("rm", "-rf", "/srv/pretend")
    pretend_terminals(device)
    device.until(lambda: device.json("status")["terminals"][0]["state"] == "answering")


def test_apt_takes_a_newer_package_with_a_trial_too_and_the_settings_are_kept(device: Device) -> None:
    settings = (device.machine.root / "etc/vafa/config.toml").read_text()
    device.run("apt-get", "install", "-y", f"/srv/vafa_{GOOD}.deb")
    device.until(lambda: device.is_ready() and device.json("status")["version"] == GOOD)
    assert device.json("update", "status")["on_trial"] == GOOD
    assert (device.machine.root / "etc/vafa/config.toml").read_text() == settings
    device.vafa("update", "rollback")
    device.until(lambda: device.is_ready() and device.json("status")["version"] == OLD)


def test_a_purge_leaves_ledger_and_keys_unless_it_is_told_otherwise(device: Device) -> None:
    there: Callable[[str], bool] = lambda path: device.run("test", "-e", path, check=False).returncode == 0  # noqa: E731
    device.run("apt-get", "purge", "-y", "vafa")
    assert there("/var/lib/vafa/ledger.db")
    assert not there("/opt/vafa")
    assert not there("/etc/vafa")
    assert device.unit("vafa", "ActiveState") == "inactive"
    device.run("apt-get", "install", "-y", f"/srv/vafa_{GOOD}.deb")
    device.run("apt-get", "purge", "-y", "vafa", VAFA_PURGE_LEDGER="yes")
    assert not there("/var/lib/vafa")
