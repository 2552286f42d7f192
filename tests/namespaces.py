"""Real network namespaces for tests: a device's, with interfaces named like a shop's, and the world outside.

Each has a name of its own and is removed again. A socket belongs to the namespace its thread was in when it
was made, so `inside` runs one call in a thread of its own that has moved there.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000


def ip(*words: str) -> str:
    """One `ip` command; its output."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
    return done.stdout


def needed() -> None:
    """Skips a test where namespaces cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("ip") is None:
        pytest.skip("network namespaces need the command ip (Debian: iproute2)")


class Namespace:
    """One network namespace, by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ip(self, *words: str) -> str:
        """`ip` in this namespace."""
        return ip("-n", self.name, *words)

    def batch(self, commands: str) -> None:
        """Many `ip` commands, one a line."""
        subprocess.run(["ip", "-n", self.name, "-batch", "-"], input=commands.encode(), check=True)

    def inside(self, work: Callable[[], T]) -> T:
        """What `work` returns, run in a thread that is in this namespace."""

        def there() -> T:
            _enter(Path("/run/netns") / self.name)
            return work()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(there).result()

    def link_to(self, far: "Namespace", name: str, far_name: str, ours: str, theirs: str) -> None:
        """A cable from here (interface `name`, address `ours`) to `far`; an address is `198.51.100.1/24`."""
        self.ip("link", "add", name, "type", "veth", "peer", "name", far_name, "netns", far.name)
        for space, interface, address in ((self, name, ours), (far, far_name, theirs)):
            space.ip("addr", "add", address, "dev", interface, *(["nodad"] if ":" in address else []))
            space.ip("link", "set", interface, "up")


@contextlib.contextmanager
def namespaces(*roles: str) -> Iterator[list[Namespace]]:
    """New namespaces, one for each role, removed at the end."""
    needed()
    made: list[Namespace] = []
    try:
        for role in roles:
            space = Namespace(f"vafa-{role}-{secrets.token_hex(4)}")
            ip("netns", "add", space.name)
            made.append(space)
            space.ip("link", "set", "lo", "up")
        yield made
    finally:
        for space in made:
            ip("netns", "delete", space.name)


def _enter(path: Path) -> None:
    """Moves the calling thread (os.setns comes with Python 3.12 only)."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(descriptor)
