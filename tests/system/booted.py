"""A whole Debian 12 with a systemd of its own, in a container: the device as an installer meets it.

Needs root, mmdebstrap (once, to make the root file system) and systemd-nspawn. The container has no network
but its own loopback. Commands run inside through nsenter; `cut` is a power cut.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "build" / "debian-12.tar"
INCLUDED = "systemd-sysv,dbus,python3,libfribidi0,zlib1g,libgcc-s1,ca-certificates"
PATIENCE_S = 120.0
# nspawn wants a folder of its own below /run, read-only on some machines: it gets one in a mount namespace.
BOOT = """
mkdir -p /run/systemd/nspawn && mount -t tmpfs none /run/systemd/nspawn &&
exec systemd-nspawn --quiet --boot --directory="$1" --machine="$2" --private-network --keep-unit \
    --register=no --console=pipe --link-journal=no
"""


def missing() -> str:
    """Why no Debian can be booted here; '' when it can."""
    if os.geteuid() != 0:
        return "needs root"
    for tool, package in (("systemd-nspawn", "systemd-container"), ("nsenter", "util-linux")):
        if shutil.which(tool) is None:
            return f"{tool} is missing (Debian: {package})"
    if not DEBIAN.exists() and shutil.which("mmdebstrap") is None:
        return "mmdebstrap is missing (Debian: mmdebstrap)"
    return ""


def debian() -> Path:
    """The root file system as an archive; made once, from Debian's mirror, and kept in build/."""
    if not DEBIAN.exists():
        DEBIAN.parent.mkdir(exist_ok=True)
        draft = DEBIAN.with_suffix(".part.tar")
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=apt", f"--include={INCLUDED}", "bookworm", draft], check=True
        )
        draft.rename(DEBIAN)
    return DEBIAN


class Machine:
    """One device. `root` is its file system, seen from outside."""

    def __init__(self, directory: Path, name: str) -> None:
        self.root, self.name = directory / "root", name
        self.root.mkdir(parents=True)
        subprocess.run(["tar", "-xf", debian(), "-C", self.root], check=True)
        self._log = (directory / "console").open("ab")
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.leader = 0

    def boot(self) -> None:
        """Until systemd says that it is up."""
        command = ["unshare", "--mount", "sh", "-c", BOOT, "boot", str(self.root), self.name]
        self._nspawn = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )
        self.leader = self.until(self._leader)
        self.until(
            lambda: (
                self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
                in ("running", "degraded")
            )
        )

    def _leader(self) -> int:
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, "systemd-nspawn ended: see the console's log"
        pid = self._nspawn.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for child in map(int, children):
            if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                return child
        return 0

    def run(
        self, *words: str, user: str = "root", check: bool = True, given: str = "", **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """A command inside, as `user`."""
        before = [
            "nsenter",
            "--target",
            str(self.leader),
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--ipc",
            "--cgroup",
            "--root",
            "--wd",
        ]
        who = [] if user == "root" else ["runuser", "-u", user, "--"]
        clean = [
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG=C.UTF-8",
            "DEBIAN_FRONTEND=noninteractive",
        ]
        ran = subprocess.run(
            [*before, *clean, *(f"{name}={value}" for name, value in environment.items()), *who, *words],
            input=given, capture_output=True, text=True, check=False, timeout=PATIENCE_S * 4,
        )  # fmt: skip
        if check and ran.returncode != 0:
            raise AssertionError(f"{' '.join(words)}: {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return ran

    def say(self, *words: str, user: str = "root") -> str:
        """What a command inside says, without its last newline."""
        return self.run(*words, user=user).stdout.strip()

    def unit(self, name: str, what: str) -> str:
        """A property of a unit."""
        return self.say("systemctl", "show", name, f"--property={what}", "--value")

    def put(self, path: str, text: str) -> None:
        """A file inside, from outside."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")

    def until(self, look: Callable[[], T], within_s: float = PATIENCE_S) -> T:
        """What `look` finds, as soon as it finds something."""
        deadline = time.monotonic() + within_s
        while True:
            if found := look():
                return found
            assert time.monotonic() < deadline, f"not within {within_s} s"
            time.sleep(0.1)

    def cut(self) -> None:
        """The power goes: every process inside is gone at once."""
        os.kill(self.leader, signal.SIGKILL)
        self._ended()

    def off(self) -> None:
        """An orderly end."""
        if self._nspawn is not None:
            self.run("systemctl", "poweroff", check=False)
            self._ended()
        self._log.close()

    def _ended(self) -> None:
        assert self._nspawn is not None
        self._nspawn.wait(PATIENCE_S)
        self._nspawn, self.leader = None, 0
