"""The disk of its own that flash is counted on: always taken down again."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from vafa.cli.measure.flash import measure_flash, own_disk, written
from vafa.cli.measure.floor import Floor

MOUNTS = Path("/proc/self/mountinfo")


def _can_mount() -> bool:
    """Root in a container may still not be allowed a loop device."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        return False
    with tempfile.TemporaryDirectory() as place:
        try:
            with own_disk(Path(place)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


needs_disk = pytest.mark.skipif(not _can_mount(), reason="needs root, mkfs.ext4 and a loop device")


def _interrupted(directory: Path) -> None:
    with own_disk(directory) as disk:
        assert str(disk.directory) in MOUNTS.read_text()
        raise KeyboardInterrupt


@needs_disk
def test_ctrl_c_leaves_no_mount_and_no_file_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path)
    assert str(tmp_path) not in MOUNTS.read_text()
    assert not list(tmp_path.rglob("*.img"))


@needs_disk
def test_a_disk_of_its_own_counts_every_flush_and_whole_blocks(tmp_path: Path) -> None:
    with own_disk(tmp_path) as disk:
        floor = Floor(disk.directory)
        before = written(disk)
        for _ in range(8):
            floor.write()
        after = written(disk)
        floor.close()
    assert after.flushes - before.flushes >= 8
    assert after.sectors - before.sectors >= 8 * 8  # a block of 4 KiB each


def test_without_a_way_to_mount_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError("mount: not permitted")

    monkeypatch.setattr("vafa.cli.measure.flash.os.geteuid", lambda: 0)
    monkeypatch.setattr("vafa.cli.measure.flash.shutil.which", lambda _name: "/sbin/mkfs.ext4")
    monkeypatch.setattr("vafa.cli.measure.flash.subprocess.run", refused)
    found = measure_flash(tmp_path, 1)
    assert [each.value for each in found] == [None, None]
    assert found[0].note == "not measured: mount: not permitted"


def test_without_root_the_shared_disk_is_counted_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = tmp_path / "stat"
    counters.write_text("1 0 8 1 7 0 800 3 0 1 1 0 0 0 0 50 9\n")
    monkeypatch.setattr("vafa.cli.measure.flash.os.geteuid", lambda: 1000)
    monkeypatch.setattr("vafa.cli.measure.flash._counters", lambda _directory: counters)
    with own_disk(tmp_path) as disk:
        assert not disk.alone
        assert "others' writes" in disk.about
        assert (written(disk).sectors, written(disk).flushes) == (800, 50)
