"""A device whose daemon is the real process, as systemd starts it; one terminal that a program speaks for."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vafa.ledger import reads
from vafa.ledger.storage import connect_reader

TID = "40217736"
PATIENCE_S = 120.0


class Device:
    """One device: its configuration, and its daemon as systemd starts it."""

    def __init__(self, directory: Path, inside: str = "") -> None:
        """`inside`: the network namespace its daemon runs in."""
        self._before = ["ip", "netns", "exec", inside] if inside else []
        self.program = [sys.executable, "-m", "vafa.cli.main"]  # whose daemon `running` starts
        self.directory, self.state = directory, directory / "state"
        directory.mkdir()
        self.config = directory / "config.toml"
        self.config.write_text(
            '[shop]\nname = "کافه نگین"\n[ledger]\ndirectory = "state"\n[local]\nsocket = "l.sock"\n'
            f'[control]\nsocket = "c.sock"\n[[terminal]]\nid = "{TID}"\nmode = "local"\n',
            encoding="utf-8",
        )

    @contextlib.contextmanager
    def running(self, ending: signal.Signals = signal.SIGTERM) -> Iterator[subprocess.Popen[bytes]]:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
            (self.directory / "log").open("ab") as log,
        ):
            manager.settimeout(PATIENCE_S)
            place = self.directory / f"n.{os.urandom(3).hex()}"
            manager.bind(str(place))
            process = subprocess.Popen(
                [*self._before, *self.program, "run", "--config", str(self.config)],
                env=os.environ | {"NOTIFY_SOCKET": str(place)},
                stderr=log,
            )
            try:
                while b"READY=1" not in manager.recv(4096):
                    pass
                yield process
            finally:
                process.send_signal(ending)
                process.wait(PATIENCE_S)

    def vafa(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "vafa.cli.main", *words, "--config", str(self.config)],
            capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip

    def enrol(self, *words: str) -> dict[str, Any]:
        ran = self.vafa("enrol", *words, "--json")
        assert ran.returncode == 0, ran.stderr
        found: dict[str, Any] = json.loads(ran.stdout)
        return found

    def pay(self, ref: str, **fields: Any) -> dict[str, Any]:
        request = {"op": "payment", "terminal": TID, "ref": ref, "amount": 200_000}
        return self.ask(**request | fields)

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request of the local protocol and its answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE_S)
            line.connect(str(self.directory / "l.sock"))
            line.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile().readline())
            return answer

    def epochs(self) -> list[int]:
        """The device's number in each epoch."""
        with contextlib.closing(connect_reader(self.state / "ledger.db")) as connection:
            device = reads.device(connection)
            assert device is not None
            return list(device.numbers.values())
