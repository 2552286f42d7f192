"""`vafa doctor`, the disk: is there space, may it be written, does it outlive a power cut, is it worn?"""

import os
from collections.abc import Iterator
from pathlib import Path

from vafa.app.findings import Finding, Level, Patient
from vafa.ports import machine

FREE_BYTES_MIN = 16 << 20  # a checkpoint and a day's sales still fit
FREE_BYTES_LOW = 200 << 20
FREE_FILES_MIN = 100
_IN_MEMORY = ("tmpfs", "ramfs")
_OVER_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")  # no shared memory: SQLite's log needs it
_WORN = ("0x09", "0x0A", "0x0B")  # eMMC: 80 % of its life gone, 90 %, beyond
_PRE_EOL = ("pre_eol_info 0x02", "pre_eol_info 0x03")  # four fifths of the spare blocks used; urgent


def look(patient: Patient) -> Iterator[Finding]:
    """The ledger's place, and the backups' where that is another."""
    places = {"the ledger": patient.config.ledger_directory, "backups": patient.config.backup_directory}
    seen: set[str] = set()
    for whose, directory in places.items():
        place = _existing(directory.absolute())
        mount = machine.mount_of(place)
        if mount is not None and mount.point in seen:
            continue
        seen.add(mount.point if mount is not None else str(place))
        found = [*_of_mount(whose, place, mount), *_of_space(whose, place)]
        yield from found or [_good(whose, place, mount)]


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    while path != path.parent:
        try:
            if path.exists():
                break
        except PermissionError:  # its directory is not for us: that one is judged
            return _existing(path.parent)
        path = path.parent
    return path


def _of_mount(whose: str, place: Path, mount: machine.Mount | None) -> Iterator[Finding]:
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        point = mount.point if mount is not None else str(place)
        yield Finding(
            "fail", "disk", f"{place} ({whose}) is mounted read-only",
            "a disk with errors is made so by the kernel: worn-out flash, or a power cut",
            f"sudo dmesg --level err; then: sudo mount -o remount,rw {point}", "DSK-002",
        )  # fmt: skip
    if mount is None:
        return
    if mount.kind in _IN_MEMORY:
        yield Finding(
            "fail", "disk", f"{place} ({whose}) is in memory ({mount.kind})", "a power cut loses all points",
            "set ledger.directory in config.toml to a place on a disk, e.g. /var/lib/vafa", "DSK-003",
        )  # fmt: skip
    if mount.kind in _OVER_NETWORK:
        yield Finding(
            "fail", "disk", f"{place} ({whose}) lies over the network ({mount.kind})",
            "a commit there is not durable", "set ledger.directory in config.toml to a local disk", "DSK-003",
        )  # fmt: skip
    wear = machine.flash_wear(mount.source)
    if any(mark in wear for mark in (*_PRE_EOL, *_WORN)):
        yield Finding(
            "warn", "disk", f"the flash of {mount.source} is nearly worn out", f"it says {wear}",
            "have a backup on another disk (jobs.backup_directory), and replace the device", "DSK-004",
        )  # fmt: skip


def _of_space(whose: str, place: Path) -> Iterator[Finding]:
    room = os.statvfs(place)
    free = room.f_bavail * room.f_frsize
    if free < FREE_BYTES_LOW:
        level: Level = "fail" if free < FREE_BYTES_MIN else "warn"
        yield Finding(
            level, "disk", f"{_size(free)} free at {place} ({whose})",
            "without space sales are kept in memory only" if level == "fail" else "",
            f"sudo du -xh {place} | sort -h | tail; sudo journalctl --vacuum-size=50M", "DSK-001",
        )  # fmt: skip
    if room.f_files and room.f_favail < FREE_FILES_MIN:
        yield Finding(
            "fail", "disk", f"no more files can be made at {place} ({whose})", "all inodes are used",
            f"sudo du -x --inodes {place} | sort -n | tail", "DSK-001",
        )  # fmt: skip


def _good(whose: str, place: Path, mount: machine.Mount | None) -> Finding:
    room = os.statvfs(place)
    parts = [f"{_size(room.f_bavail * room.f_frsize)} free at {place} ({whose})"]
    if mount is not None:
        wear = machine.flash_wear(mount.source)
        parts.append(f"{mount.kind}{', wear ' + wear if wear else ''}")
    return Finding("ok", "disk", ", ".join(parts))


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MB"
