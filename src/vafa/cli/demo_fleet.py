"""The processes of `vafa demo --hub`: a hub with its own PostgreSQL, two devices, and a link that can be cut.

All are the real programs. The link is a loopback connection that this process passes on: cut, it resets what
is open and takes nothing new, as a SIM without signal does in the end.
"""

import contextlib
import json
import os
import select
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from vafa.cli.demo_shop import START_S, TERMINAL_ID, VAFA, Shop
from vafa.model.errors import VafaError

HOST = "127.0.0.1"
_CHUNK = 65_536
_POLL_S = 0.1


class Cable:
    """A link to the hub's port: `address` is what a device connects to."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._cut = threading.Event()
        self._ended = threading.Event()
        self._open: set[socket.socket] = set()
        self._changing = threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(_POLL_S)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="cable", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Nothing passes any more."""
        self._cut.set()
        self._drop()

    def mend(self) -> None:
        """As before."""
        self._cut.clear()

    def close(self) -> None:
        """For good."""
        self._ended.set()
        self._thread.join()
        self._listener.close()
        self._drop()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self._cut.is_set():
                client.close()
                continue
            try:
                hub = socket.create_connection((HOST, self._target), timeout=5.0)
            except OSError:
                client.close()  # no hub: the device sees it as such
                continue
            with self._changing:
                self._open |= {client, hub}
            threading.Thread(target=self._pump, args=(client, hub), name="cable", daemon=True).start()

    def _pump(self, client: socket.socket, hub: socket.socket) -> None:
        ends = {client: hub, hub: client}
        with contextlib.suppress(OSError, ValueError), client, hub:  # either end went, or the link was cut
            while True:
                for source in select.select(list(ends), [], [])[0]:
                    if not (data := source.recv(_CHUNK)):
                        return
                    ends[source].sendall(data)

    def _drop(self) -> None:
        with self._changing:
            for end in self._open:
                with contextlib.suppress(OSError):  # gone already
                    end.shutdown(socket.SHUT_RDWR)
            self._open.clear()


class Hub:
    """`vafa hub run` with an embedded PostgreSQL below `state`."""

    def __init__(self, state: Path, log: Path) -> None:
        self.state, self.log = state, log
        state.mkdir(mode=0o711)
        self.port = _free_port()
        self.authority = certificates(state)
        self._environment = os.environ | {"VAFA_HUB_STATE": str(state / "hub"), "PYTHONIOENCODING": "utf-8"}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it takes requests. VafaError."""
        before = self.log.stat().st_size if self.log.exists() else 0
        pem, where = str(self.state / "server.pem"), f"{HOST}:{self.port}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                (
                    *VAFA,
                    "hub",
                    "run",
                    "--listen",
                    where,
                    "--tls-cert",
                    pem,
                    "--tls-key",
                    pem,
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        until = time.monotonic() + 2 * START_S
        while b"serving on" not in self.log.read_bytes()[before:]:
            if self._process.poll() is not None or time.monotonic() > until:
                last = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise VafaError(f"the hub did not start: {last}", fix="pip install 'vafa[hub]'; vafa hub run")
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """The power cut."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """In order; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(2 * START_S)

    def verb(self, *words: str) -> dict[str, Any]:
        """A verb of `vafa hub` with --json. VafaError when it fails."""
        ran = subprocess.run(
            (*VAFA, "hub", *words, "--json"), env=self._environment, capture_output=True, check=False
        )
        if ran.returncode not in (0, 10, 20):
            said = ran.stderr.decode(errors="replace").strip()
            raise VafaError(f"vafa hub {' '.join(words)}: {said}", fix="vafa demo --hub --keep DIR")
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def close(self) -> None:
        """Take it down, whatever it is at."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
            self._process.kill()
            self._process.wait()


class Device(Shop):
    """One of the shop's devices; its payment application is the demo."""

    def __init__(self, name: tuple[str, str], directory: Path, run: Path, hub: Hub) -> None:
        for path in (directory, run):
            path.mkdir(parents=True)
        super().__init__(directory, run, 'mode = "local"\n')
        self.name = name
        self.cable = Cable(hub.port)
        self.url = f"https://{HOST}:{self.cable.port}"
        self.refs: dict[str, int] = {}
        self.slowest_ms = 0.0

    def pay(self, ref: str, amount: int) -> dict[str, Any]:
        """Tell the device of a payment; its answer."""
        started = time.monotonic()
        answer = self.call(op="payment", terminal=TERMINAL_ID, ref=ref, amount=amount).answer()
        self.slowest_ms = max(self.slowest_ms, (time.monotonic() - started) * 1000)
        self.refs[ref] = amount
        return answer

    def asked(self, *words: str) -> dict[str, Any]:
        """A verb with --json, its answer."""
        code, printed = self.verb(*words, "--json")
        try:
            answer: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
        except (json.JSONDecodeError, IndexError):
            raise VafaError(f"vafa {' '.join(words)} ({code}): {printed.strip()}") from None
        return answer

    def close(self) -> None:
        super().close()
        self.cable.close()


def certificates(directory: Path) -> Path:
    """The hub's key and certificate beside its state; the file of the authority that vouches for it."""
    from vafa.keys.certificates import for_trials

    private, certificate = for_trials(HOST)
    server = directory / "server.pem"
    server.touch(mode=0o600)
    server.write_bytes(private + certificate)
    authority = directory / "authority.pem"
    authority.write_bytes(certificate)
    return authority


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as taken:
        return int(taken.getsockname()[1])
