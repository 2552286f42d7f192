"""A control group of the kernel's with a limit of memory, as systemd makes one for a unit with MemoryMax=.

Version 2 where the machine has it, else version 1; only root may make one, and not in every container.
"""

import secrets
from pathlib import Path

_TWO, _ONE = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")


def missing() -> str:
    """Why no group can be made here; '' where one can."""
    try:
        MemoryGroup(64 << 20).close()
    except OSError as error:
        return f"no control group with a limit of memory can be made here ({error.strerror})"
    return ""


class MemoryGroup:
    """`enter` goes before a command that is to run in it."""

    def __init__(self, limit_bytes: int) -> None:
        is_two = (_TWO / "cgroup.controllers").exists()
        self._limit, self._events, self._peak = (
            ("memory.max", "memory.events", "memory.peak")
            if is_two
            else ("memory.limit_in_bytes", "memory.oom_control", "memory.max_usage_in_bytes")
        )
        self.place = (_TWO if is_two else _ONE) / f"vafa-test-{secrets.token_hex(4)}"
        self.place.mkdir()
        try:
            (self.place / self._limit).write_text(str(limit_bytes), "ascii")
            swap = self.place / "memory.swap.max"
            if swap.exists():
                swap.write_text("0", "ascii")
        except OSError:
            self.close()
            raise
        self.enter = ["sh", "-c", 'echo $$ > "$0"/cgroup.procs && exec "$@"', str(self.place)]

    def killed(self) -> int:
        """How many processes in it were killed for lack of memory."""
        said = dict(line.split() for line in (self.place / self._events).read_text("ascii").splitlines())
        return int(said["oom_kill"])

    def peak_bytes(self) -> int:
        """The most it ever held, cached pages of files counted."""
        return int((self.place / self._peak).read_text("ascii"))

    def close(self) -> None:
        """After its last process has ended."""
        self.place.rmdir()
