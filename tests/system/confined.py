"""Runs a Python program under the system call filter of a unit, without systemd: confined.py PROGRAM [UNIT].

What the unit's SystemCallFilter= lines allow is asked of systemd-analyze and loaded with libseccomp; new
privileges are off, and memory is never both writable and executable (MemoryDenyWriteExecute=).
"""

import ctypes
import errno
import os
import re
import subprocess
import sys
from pathlib import Path

UNITS = Path(__file__).parents[2] / "systemd"
LIBRARY = "libseccomp.so.2"
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000  # seccomp.h: SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(x)
_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1  # prctl.h: PR_SET_MDWE; kernels before 6.3 refuse it, harmlessly


def calls(name: str) -> set[str]:
    """The system calls of a set like @system-service, those of the sets in it counted; a call is its own."""
    if not name.startswith("@"):
        return {name}
    asked = ["systemd-analyze", "--no-pager", "syscall-filter", name]
    lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.splitlines()[1:]
    words = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return set().union(*(calls(word) for word in words))


def allowed(unit: str) -> set[str]:
    """What the unit's lines leave, read in their order as systemd does."""
    left: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", (UNITS / unit).read_text("utf-8"), re.MULTILINE):
        named = set().union(*(calls(word) for word in line.removeprefix("~").split()))
        left = left - named if line.startswith("~") else left | named
    return left


def confine(names: set[str]) -> None:
    """From here on every other system call fails with EPERM, in this process and all it starts."""
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    filters = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ERRNO | errno.EPERM)))
    for name in names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # else of another architecture
            assert library.seccomp_rule_add(filters, ctypes.c_uint32(_ALLOW), number, 0) == 0, name
    assert library.seccomp_load(filters) == 0, "the filter is loaded, and with it no_new_privs"
    ctypes.CDLL(None).prctl(_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0)


if __name__ == "__main__":
    confine(allowed(sys.argv[2] if len(sys.argv) > 2 else "vafa.service"))
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])  # noqa: S606 - a list, never a shell
