"""The machine a measurement was made on: without it a figure means nothing."""

import os
import platform
import sqlite3
from pathlib import Path

from msgspec import Struct

from vafa import __version__


class Machine(Struct, frozen=True):
    """Facts of the machine and of what was measured."""

    vafa: str
    cpu: str
    cores: int
    memory_mb: int
    kernel: str
    python: str
    sqlite: str
    file_system: str


def machine_of(directory: Path) -> Machine:
    """The machine as it is now, and the file system that `directory` lies on."""
    return Machine(
        vafa=__version__,
        cpu=_field("/proc/cpuinfo", ("model name", "Model", "Hardware")) or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=int((_field("/proc/meminfo", ("MemTotal",)) or "0").split()[0]) // 1024,
        kernel=platform.release(),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        file_system=file_system(directory, Path("/proc/self/mountinfo").read_text()),
    )


def _field(path: str, names: tuple[str, ...]) -> str:
    """The first line of a /proc file that is named so."""
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


def file_system(directory: Path, mountinfo: str) -> str:
    """Type and source of the mount `directory` is under, by the kernel's table (proc_pid_mountinfo(5))."""
    best, found = -1, "unknown"
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        point = mount.split()[4]
        if directory.resolve().is_relative_to(point) and len(point) >= best:
            kind, device, *_ = source.split()
            best, found = len(point), f"{kind} on {device}"
    return found
