"""Who holds a serial line: what /proc tells of it, and nothing is opened, asked or stopped to find out.

A service under `ProtectProc=invisible` sees its own user's processes only; the kernel's table of locks names
the number of a locking one all the same. Where nothing is to be seen, '' is the answer.
"""

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
_PTY_MAJORS = range(136, 144)
_COMM_LETTERS_MAX = 32  # the kernel keeps 15; a line of text from another program is never trusted


def holder(path: str, proc: Path = PROC) -> str:
    """`minicom (pid 4711)`, `pid 4711` where its name is hidden, or ''. Never this process."""
    try:
        device = Path(path).stat()
    except OSError:
        return ""  # it went meanwhile
    # who has locked it keeps us out; whoever merely has it open as well does not
    for pid in (*_lockers(device, proc), *_openers(device, proc)):
        if pid != os.getpid():
            name = _name(pid, proc)
            return f"{name} (pid {pid})" if name else f"pid {pid}"
    return ""


def locked_here(path: str, proc: Path = PROC) -> bool:
    """True when this process has locked it already: one port under two names."""
    try:
        return os.getpid() in _lockers(Path(path).stat(), proc)
    except OSError:
        return False


def _openers(device: os.stat_result, proc: Path) -> Iterator[int]:
    """Processes with the device open, as far as we may look; also one in a container, by another name."""
    for process in sorted(proc.glob("[0-9]*")):
        try:
            there = any(_is(each, device) for each in (process / "fd").iterdir())
        except OSError:
            continue  # not ours to look at, or ended just now
        if there:
            yield int(process.name)


def _is(opened: Path, device: os.stat_result) -> bool:
    """True when an open file is this device. Each container counts its ptys anew: their file system tells."""
    name = str(opened.readlink())
    if not name.startswith("/dev/") or name.endswith(" (deleted)"):
        return False
    found = opened.stat()
    is_pty = os.major(device.st_rdev) in _PTY_MAJORS
    return found.st_rdev == device.st_rdev and (not is_pty or found.st_dev == device.st_dev)


def _lockers(device: os.stat_result, proc: Path) -> Iterator[int]:
    """Processes with a lock on the device: `1: FLOCK  ADVISORY  WRITE 4711 00:05:123 0 EOF`."""
    wanted = f"{os.major(device.st_dev):02x}:{os.minor(device.st_dev):02x}:{device.st_ino}"
    try:
        rows = (proc / "locks").read_text().splitlines()
    except OSError:
        return
    for row in rows:
        fields = row.split()
        if "->" not in fields and len(fields) > 5 and fields[5] == wanted and fields[4].isdigit():
            yield int(fields[4])


def _name(pid: int, proc: Path) -> str:
    try:
        text = (proc / str(pid) / "comm").read_text(errors="replace")
    except OSError:
        return ""
    return "".join(letter for letter in text.strip() if letter.isprintable())[:_COMM_LETTERS_MAX]
