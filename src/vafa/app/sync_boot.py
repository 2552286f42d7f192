"""Which boot of the machine this is: monotonic times kept from another one mean nothing."""

import os
from functools import cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> str:
    """The kernel's own name of this boot; where it has none, this process stands for it."""
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return f"process {os.getpid()}"
