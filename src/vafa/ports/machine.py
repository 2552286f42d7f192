"""What the machine tells of itself, read without touching anything: mounts, units, rights, the clock.

Each answer may be missing (no systemd, not root, another kernel): then it is None, '' or empty, and whoever
asked says less. Nothing here takes a lock, opens a port or writes.
"""

import ctypes
import os
import subprocess
from pathlib import Path

from msgspec import Struct

PROC = Path("/proc")
COMMAND_S = 5.0  # a service manager that is busier than this has other troubles
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64 bit; the kernel writes no more than its own


class Mount(Struct, frozen=True):
    """Where a path lies: mount point, file system type, device, options."""

    point: str
    kind: str
    source: str
    options: tuple[str, ...]


class Rights(Struct, frozen=True):
    """Who asks for a file: user id and all group ids; `name` for people."""

    name: str
    uid: int
    groups: frozenset[int]

    def may_read_and_write(self, path: Path) -> bool:
        """By owner, group and mode alone, as for a device file."""
        found = path.stat()
        if self.uid == 0:
            return True
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid in self.groups else 0
        return (found.st_mode >> shift) & 0o6 == 0o6


def unit_of(pid: int) -> str:
    """The systemd service a process belongs to (`ModemManager`), '' when it is none's."""
    last = _text(PROC / str(pid) / "cgroup").strip().rpartition("/")[2]
    return last.removesuffix(".service") if last.endswith(".service") else ""


def is_locked(path: Path) -> bool:
    """True when some process holds a flock on the file; the lock is not tried, so nobody is disturbed."""
    try:
        found = path.stat()
    except OSError:
        return False
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    rows = (line.split() for line in _text(PROC / "locks").splitlines())
    return any("FLOCK" in row and "->" not in row and wanted in row for row in rows)


def rights_of_process(pid: int) -> Rights | None:
    """What a running process may: its groups are those of its start, whatever its account has got since."""
    rows = dict(line.split(":", 1) for line in _text(PROC / str(pid) / "status").splitlines() if ":" in line)
    if "Uid" not in rows or "Groups" not in rows:
        return None
    groups = {int(group) for group in (rows["Groups"] + " " + rows.get("Gid", "")).split()}
    return Rights(f"process {pid}", int(rows["Uid"].split()[1]), frozenset(groups))


def rights_of_account(name: str) -> Rights | None:
    """What an account may when it starts anew; None when there is no such account."""
    import pwd

    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Rights(name, entry.pw_uid, frozenset(os.getgrouplist(name, entry.pw_gid)))


def mount_of(path: Path) -> Mount | None:
    """The mount a path lies on: of those at or above it, the last mounted of the longest."""
    real = os.path.realpath(path)
    found: Mount | None = None
    for line in _text(PROC / "self" / "mountinfo").splitlines():
        before, dash, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if not dash or len(fields) < 6 or len(rest) < 3:
            continue
        point = fields[4].encode().decode("unicode_escape")  # a blank stands as \040
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and (found is None or len(point) >= len(found.point)):
            options = (*fields[5].split(","), *rest[2].split(","))
            found = Mount(point, rest[0], rest[1], options)
    return found


def has_systemd() -> bool:
    """True where systemd is the service manager."""
    return Path("/run/systemd/system").is_dir()


def unit(name: str, *properties: str) -> dict[str, str]:
    """The unit's properties by name; {} where systemd does not answer."""
    answer = said(["systemctl", "show", name, *(f"--property={each}" for each in properties)])
    return dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)


def said(command: list[str], wait_s: float = COMMAND_S) -> str:
    """What a command prints; '' when it is not there, fails or takes too long."""
    try:
        ran = subprocess.run(  # only commands this project writes out itself
            command, capture_output=True, timeout=wait_s, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout.decode("utf-8", "replace") if ran.returncode == 0 else ""


def clock_is_synchronised() -> bool | None:
    """Whether the kernel's clock is disciplined by a time server; None when the kernel does not tell."""
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes 0: only read
    try:
        state = int(ctypes.CDLL(None).adjtimex(buffer))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def flash_wear(source: str) -> str:
    """What an eMMC says of its own wear (`life_time`, `pre_eol_info`), '' for every other disk."""
    device = Path("/sys/class/block") / Path(source).name
    found = [
        f"{name} {_text(parent / 'device' / name).strip()}"
        for parent in (device, Path(os.path.realpath(device)).parent)
        for name in ("life_time", "pre_eol_info")
        if (parent / "device" / name).is_file()
    ]
    return ", ".join(dict.fromkeys(found))


def serial_ports() -> list[str]:
    """The serial ports this machine has now: names that stay (by-id) first."""
    stable = sorted(str(path) for path in Path("/dev/serial/by-id").glob("*"))
    plain = [str(path) for kind in ("USB", "ACM", "AMA") for path in sorted(Path("/dev").glob(f"tty{kind}*"))]
    return stable + plain


def _text(path: Path) -> str:
    """A small file of /proc or /sys; '' when it is not there or not for us."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
