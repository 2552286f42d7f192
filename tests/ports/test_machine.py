"""What the machine tells: rights, mounts, units and the clock, each allowed to be missing."""

import os
import stat
from pathlib import Path

import pytest

from vafa.ports import machine
from vafa.ports.machine import Rights

MOUNTS = r"""
20 1 254:0 / / rw,relatime - ext4 /dev/vda rw
21 20 0:30 / /var/lib/vafa rw,nosuid - tmpfs none rw,size=2048k
22 20 254:3 / /mnt/a\040b ro - vfat /dev/sdb1 rw
23 20 254:4 / /var/lib/vafa-relay rw - ext4 /dev/vdb rw
24 20 254:5 / /var/lib/vafa rw - ext4 /dev/mmcblk0p2 rw
"""


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "PROC", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "point", "source"),
    [
        ("/etc/vafa", "/", "/dev/vda"),
        ("/var/lib/vafa", "/var/lib/vafa", "/dev/mmcblk0p2"),  # what was mounted last covers what was there
        ("/var/lib/vafa/backups", "/var/lib/vafa", "/dev/mmcblk0p2"),
        ("/var/lib/vafa-relay", "/var/lib/vafa-relay", "/dev/vdb"),  # not a part of vafa's name
        ("/mnt/a b/c", "/mnt/a b", "/dev/sdb1"),
    ],
)
def test_a_path_s_mount_is_the_last_of_the_longest(proc: Path, path: str, point: str, source: str) -> None:
    (proc / "self").mkdir()
    (proc / "self" / "mountinfo").write_text(MOUNTS)
    found = machine.mount_of(Path(path))
    assert found is not None
    assert (found.point, found.source) == (point, source)


@pytest.mark.parametrize(
    ("mode", "rights", "may"),
    [
        (0o660, (0, {0}), True),  # root
        (0o660, (7, {5}), True),  # the group
        (0o660, (7, {6}), False),
        (0o600, (7, {5}), False),
        (0o606, (7, {6}), True),
        (0o606, (7, {5}), False),  # the group's own bits count, not the others'
        (0o640, (7, {5}), False),  # reading alone is not enough
    ],
)
def test_a_file_s_rights_are_the_kernel_s(
    monkeypatch: pytest.MonkeyPatch, mode: int, rights: tuple[int, set[int]], may: bool
) -> None:
    owned = os.stat_result((stat.S_IFCHR | mode, 1, 1, 1, 3, 5, 0, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda _path, **_: owned)
    assert Rights("x", rights[0], frozenset(rights[1])).may_read_and_write(Path("/dev/ttyUSB0")) == may


def test_a_running_process_has_the_groups_of_its_start() -> None:
    mine = machine.rights_of_process(os.getpid())
    assert mine is not None
    assert mine.uid == os.geteuid()
    assert set(os.getgroups()) <= mine.groups
    assert machine.rights_of_process(2**22 + 1) is None


def test_a_unit_is_read_off_its_cgroup(proc: Path) -> None:
    for pid, text in ((1, "0::/system.slice/ModemManager.service\n"), (2, "0::/user.slice\n")):
        (proc / str(pid)).mkdir()
        (proc / str(pid) / "cgroup").write_text(text)
    assert [machine.unit_of(pid) for pid in (1, 2, 3)] == ["ModemManager", "", ""]


def test_a_command_that_is_not_there_fails_or_hangs_says_nothing() -> None:
    assert machine.said(["no-such-program-of-ours"]) == ""
    assert machine.said(["false"]) == ""
    assert machine.said(["sleep", "60"], wait_s=0.05) == ""
    assert machine.said(["echo", "yes"]) == "yes\n"


def test_the_clock_s_state_is_known_or_honestly_not() -> None:
    assert machine.clock_is_synchronised() in (True, False, None)
