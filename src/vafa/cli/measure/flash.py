"""What an award costs the flash, counted by the kernel on a disk nobody else writes to.

An ext4 image with a journal is mounted as a disk of its own (root, a loop device): its counters then hold the
ledger's writes, the file system's journal and nothing else. Awards are counted over whole checkpoint cycles,
so that what the log puts off is paid for. Without root the file system's own disk is counted, others' writes
with it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from vafa.cli.measure.figures import Measured
from vafa.cli.measure.floor import Floor
from vafa.cli.measure.stage import Stage

SECTOR_BYTES = 512  # of /sys/.../stat, whatever the disk's own sectors are
IMAGE_BYTES = 256 * 1024 * 1024
FLOOR_WRITES = 500
# 4 KiB blocks as on any real disk (a small image would get 1 KiB), and no work left for the background
_MKFS = ("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard")
_SECTORS_WRITTEN, _FLUSHES = 6, 15  # Documentation/admin-guide/iostats; flushes since Linux 5.5


class Disk(Struct, frozen=True):
    """Where to write, whose counters to read, and whether they count us alone."""

    directory: Path
    counters: Path
    alone: bool

    @property
    def about(self) -> str:
        return "an ext4 disk of its own" if self.alone else "others' writes counted too (no root or mkfs)"


class Written(Struct, frozen=True):
    """Counters of a disk."""

    sectors: int
    flushes: int


def measure_flash(directory: Path, cycles: int) -> list[Measured]:
    """Flushes and bytes per award over `cycles` checkpoint cycles, beside those of a floor write."""
    names = ("award_flushes", "award_flash")
    try:
        with own_disk(directory) as disk:
            return _count(disk, cycles)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return [Measured(name, None, note=f"not measured: {str(said).strip()[:120]}") for name in names]


def _count(disk: Disk, cycles: int) -> list[Measured]:
    stage, floor = Stage(disk.directory / "state"), Floor(disk.directory)
    try:
        stage.enrol_members()
        stage.warm_up()
        os.sync()
        before = written(disk)
        for _ in range(FLOOR_WRITES):
            floor.write()
        between = written(disk)
        floor_flushes = (between.flushes - before.flushes) / FLOOR_WRITES
        floor_bytes = (between.sectors - before.sectors) * SECTOR_BYTES / FLOOR_WRITES
        awards, flushes, sectors = _cycles(disk, stage, cycles)
    finally:
        floor.close()
        stage.close()
    per_award = sectors * SECTOR_BYTES / awards
    note = f"{awards:,} awards, {cycles} checkpoints; {disk.about}"
    return [
        Measured("award_flushes", flushes / awards, floor_flushes, "flushes", note, disk.alone),
        Measured(
            "award_flash",
            per_award,
            floor_bytes,
            "bytes",
            f"{per_award / max(floor_bytes, 1):.2f} x floor",
            disk.alone,
        ),
    ]


def _cycles(disk: Disk, stage: Stage, cycles: int) -> tuple[int, int, int]:
    """(awards, flushes, sectors) from one beginning of the log to another, `cycles` later."""
    stage.award_until_log_restarts()
    start = written(disk)
    awards = sum(stage.award_until_log_restarts() for _ in range(cycles))
    end = written(disk)
    return awards, end.flushes - start.flushes, end.sectors - start.sectors


def written(disk: Disk) -> Written:
    """What the disk's counters say now."""
    fields = disk.counters.read_text("ascii").split()
    return Written(int(fields[_SECTORS_WRITTEN]), int(fields[_FLUSHES]))


@contextmanager
def own_disk(directory: Path) -> Iterator[Disk]:
    """A disk to count on; unmounted and removed afterwards, whatever happens. OSError without counters."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        place = directory / "shared"
        place.mkdir()
        yield Disk(place, _counters(place), alone=False)
        return
    image, mount = directory / "disk.img", directory / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    _run(*_MKFS, str(image))
    try:
        _run("mount", "-o", "loop", str(image), str(mount))
        yield Disk(mount, _counters(mount), alone=True)
    finally:
        if mount.is_mount():
            _run("umount", "--lazy", str(mount))  # gone from here at once, even when something still looks
        image.unlink()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _counters(directory: Path) -> Path:
    device = directory.stat().st_dev
    counters = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    if not counters.exists() or len(counters.read_text("ascii").split()) <= _FLUSHES:
        raise OSError(f"the kernel keeps no flush counters for the disk under {directory}")
    return counters
