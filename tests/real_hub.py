"""`vafa hub run` as a real process on its embedded PostgreSQL, behind real TLS on loopback."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from certificates import Authority

READY_S = 60.0


class RealHub:
    """One hub's state folder and its process. `authority` signed its certificate."""

    def __init__(self, directory: Path, host: str = "localhost", inside: str = "") -> None:
        """`inside`: the network namespace it serves in, at the address `host`."""
        self.directory, self._host = directory, host
        self._before = ["ip", "netns", "exec", inside] if inside else []
        self.state = directory / "hub"
        self.authority = Authority(directory, "hub authority")
        self.address = ""

    def vafa(self, *words: str) -> dict[str, Any]:
        """One administration command's JSON."""
        command = [
            *self._before,
            sys.executable,
            "-m",
            "vafa.cli.main",
            "hub",
            *words,
            "--state",
            str(self.state),
            "--json",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=READY_S)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @contextlib.contextmanager
    def running(self, ending: signal.Signals = signal.SIGTERM) -> Iterator[subprocess.Popen[bytes]]:
        """It serves on a port of its own, the same each time: `address`."""
        port = self.address.rpartition(":")[2] or "0"
        certificate = str(self.authority.server(self._host))
        process = subprocess.Popen(
            [
                *self._before, sys.executable, "-m", "vafa.cli.main", "hub", "run",
                "--state", str(self.state),
                "--listen", f"{self._listen()}:{port}", "--tls-cert", certificate, "--tls-key", certificate,
            ],
            stderr=subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
        )  # fmt: skip
        assert process.stderr is not None
        try:
            self.address = f"https://{self._host}:{self._port(process)}"
            yield process
        finally:
            process.send_signal(ending)
            process.wait(READY_S)
            process.stderr.close()

    def _listen(self) -> str:
        return "127.0.0.1" if self._host == "localhost" else self._host

    @staticmethod
    def _port(process: "subprocess.Popen[bytes]") -> int:
        """Out of the line that says where it serves."""
        assert process.stderr is not None
        said, until = b"", time.monotonic() + READY_S
        while b"serving on" not in said or not said.endswith(b"\n"):
            ready, _, _ = select.select([process.stderr], [], [], until - time.monotonic())
            chunk = os.read(process.stderr.fileno(), 4096) if ready else b""
            assert chunk, f"the hub does not serve: {said.decode()}"
            said += chunk
        (line,) = (line for line in said.decode().splitlines() if "serving on" in line)
        return int(line.partition("serving on https://")[2].partition(",")[0].rpartition(":")[2])
