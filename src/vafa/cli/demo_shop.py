"""The demo's shop: a pretend terminal, a pretend printer and the real daemon, each a process.

Their folders go afterwards, but for the one that is to be kept.

Nothing here is special to the demo but the folders: the daemon runs as `vafa run`, hears real Sadad bytes on
a pty, and is asked over its own sockets. Children get a session of their own, so that Ctrl-C reaches only the
demo, which takes them down in order.
"""

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vafa.cli import demo_paper
from vafa.model.errors import Refused, VafaError

TERMINAL_ID = "40217736"
POINTS, PER_RIALS = 1, 10_000
ANSWER_TIMEOUT_S = 10  # the least a shop may set: the demo waits for it once
START_S = 30.0  # far longer than a slow machine takes
ANSWER_S = 60.0
LOOK = "vafa demo --keep DIR, then look at DIR/vafa.log"
_LOOK_EVERY_S = 0.05
_TICK_S = 0.2

_SHOP = f"""\
[shop]
name = "کافه نگین"
name_en = "Kafe Negin"
[ledger]
directory = "state"
[club]
programme = "programme.toml"
[local]
socket = "@/local.sock"
[control]
socket = "@/control.sock"
[log]
format = "json"
level = "debug"  # the power is cut when it says that the customer pays
[[terminal]]
id = "{TERMINAL_ID}"
"""
_SADAD = f"""\
address = "@/tty"
card_first = true
answer_timeout_s = {ANSWER_TIMEOUT_S}
"""
PROGRAMME = f"""\
schema = 1
[name]
fa = "کافه نگین"
en = "Kafe Negin"
[earn]
points = {POINTS}
per = {PER_RIALS}
currency = "IRR"
"""
VAFA = (sys.executable, "-m", "vafa.cli.main")

Answer = dict[str, Any]
Tick = Callable[[float], None]


def no_tick(_elapsed_s: float) -> None:
    """Nobody watches the waiting."""


class Call:
    """One request to the daemon on a connection of its own; the answer may take as long as a customer."""

    def __init__(self, path: Path, request: Answer) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(str(path))
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            self.close()
            raise VafaError(f"the daemon cannot be asked: {error.strerror}", fix=LOOK) from error
        self._socket.settimeout(_TICK_S)

    def answer(self, tick: Tick = no_tick) -> Answer:
        """The answer; `tick(elapsed seconds)` is called while it is awaited. VafaError when none comes."""
        with self._socket:
            answer: Answer = json.loads(self._line(tick))
        return answer

    def _line(self, tick: Tick) -> bytes:
        started, taken = time.monotonic(), b""
        while not taken.endswith(b"\n"):
            elapsed = time.monotonic() - started
            if elapsed > ANSWER_S:
                raise VafaError(f"no answer within {ANSWER_S:.0f} s", fix=LOOK)
            try:
                chunk = self._socket.recv(65_536)
            except TimeoutError:
                tick(elapsed)
                continue
            if not chunk:
                raise VafaError("the daemon hung up", fix=LOOK)
            taken += chunk
        return taken

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Shop:
    """`state` holds what a device keeps (ledger, key, log), `run` the sockets and the pretend serial port.

    terminal  the rest of its terminal's settings; `@` stands for `run`
    """

    def __init__(self, state: Path, run: Path, terminal: str = _SADAD) -> None:
        self.state, self.run = state, run
        self.config = state / "config.toml"
        self.log = state / "vafa.log"
        self.config.write_text((_SHOP + terminal).replace("@", str(run)), encoding="utf-8")
        (state / "programme.toml").write_text(PROGRAMME, encoding="utf-8")
        self._environment = os.environ | {"VAFA_CONFIG": str(self.config), "PYTHONIOENCODING": "utf-8"}
        self._daemon: subprocess.Popen[bytes] | None = None
        self._terminal: subprocess.Popen[str] | None = None
        self.printer: demo_paper.Printer | None = None

    # The terminal

    def start_terminal(self, pay_after_ms: int) -> None:
        """Plug the pretend terminal in."""
        options = ("--pty", str(self.run / "tty"), "--pay-after-ms", str(pay_after_ms), "--json")
        with (self.state / "terminal.log").open("ab") as errors:
            self._terminal = subprocess.Popen(
                (*VAFA, "simulate", "sadad", *options),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=self._environment,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
        self._terminal_says()

    def terminal(self, **command: Any) -> Answer:
        """Tell the pretend terminal or its customers something; its reply."""
        assert self._terminal is not None
        assert self._terminal.stdin is not None
        try:
            self._terminal.stdin.write(json.dumps(command) + "\n")
            self._terminal.stdin.flush()
        except BrokenPipeError as error:
            raise VafaError("the pretend terminal has ended", fix=LOOK) from error
        return self._terminal_says()

    def _terminal_says(self) -> Answer:
        assert self._terminal is not None
        assert self._terminal.stdout is not None
        ready = select.select([self._terminal.stdout], [], [], START_S)[0]
        line = self._terminal.stdout.readline() if ready else ""
        reply: Answer = json.loads(line) if line else {"ok": False, "error": "it ended or hangs"}
        if not reply["ok"]:
            raise VafaError(f"the pretend terminal: {reply['error']}", fix="vafa simulate sadad --help")
        return reply

    # The printer

    def start_printer(self) -> None:
        """Plug a pretend printer in, before the daemon is switched on."""
        with self.config.open("a", encoding="utf-8") as config:
            config.write(demo_paper.CONFIG.replace("@", str(self.run)))
        self.printer = demo_paper.Printer(VAFA, self.run, self.state, self._environment)

    def await_slips(self, slips: int) -> int:
        """Wait until the printer has made so many; how many it has made. 0 without a printer."""
        return self.printer.wait_for(slips, START_S) if self.printer is not None else 0

    # The daemon

    def start_daemon(self) -> None:
        """Switch the device on; returns when a payment can be taken."""
        before = self.log_bytes
        with self.log.open("ab") as log:
            self._daemon = subprocess.Popen(
                (*VAFA, "run"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self.await_logged("ready", before)

    def kill_daemon(self) -> None:
        """The power cut: SIGKILL, nothing is finished, nothing is closed."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()

    def stop_daemon(self) -> int:
        """Switch it off in order; its exit code."""
        assert self._daemon is not None
        self._daemon.terminate()
        try:
            return self._daemon.wait(START_S)
        except subprocess.TimeoutExpired as error:
            raise VafaError(f"the daemon does not stop within {START_S:.0f} s", fix=LOOK) from error

    @property
    def log_bytes(self) -> int:
        """How long the daemon's log is now."""
        return self.log.stat().st_size if self.log.exists() else 0

    def await_logged(self, event: str, after_bytes: int) -> None:
        """Wait until the daemon's log has `event` beyond its first `after_bytes` bytes."""
        wanted, until = f'"event": "{event}"'.encode(), time.monotonic() + START_S
        while wanted not in self.log.read_bytes()[after_bytes:]:
            assert self._daemon is not None
            if self._daemon.poll() is not None or time.monotonic() > until:
                last = self.log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
                raise VafaError(f"the daemon never said {event!r}: {last}", fix=LOOK)
            time.sleep(_LOOK_EVERY_S)

    # Whoever asks it

    def call(self, **request: Any) -> Call:
        """A request of the local protocol, as a cash register makes it."""
        return Call(self.run / "local.sock", request)

    def verb(self, *words: str) -> tuple[int, str]:
        """A verb of the command line, as support types it: exit code and what it printed."""
        try:
            ran = subprocess.run(
                (*VAFA, *words),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=ANSWER_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise VafaError(f"vafa {words[0]} does not end within {ANSWER_S:.0f} s", fix=LOOK) from error
        return ran.returncode, ran.stdout.decode("utf-8", "replace")

    def close(self) -> None:
        """Take down what still runs, the daemon first: it would look for a terminal that is gone."""
        for process in (self._daemon, self._terminal):
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):  # a command nobody reads any more
                        stream.close()
        if self.printer is not None:
            self.printer.close()


@contextlib.contextmanager
def folders(keep: Path | None, name: str) -> Iterator[tuple[Path, Path]]:
    """Where to keep what stays, and where to run: temporary, or `keep` for the first; the rest goes after.

    Refused when `keep` holds something already.
    """
    run = Path(tempfile.mkdtemp(prefix=f"vafa-{name}-"))
    try:
        kept = run / name if keep is None else keep.absolute()
        if kept.exists() and (not kept.is_dir() or any(kept.iterdir())):
            raise Refused(f"{keep} is not empty", fix="name a new directory")
        kept.mkdir(parents=True, exist_ok=True)
        yield kept, run
    finally:
        shutil.rmtree(run, ignore_errors=True)  # a database's own account may still hold a file for a moment


@contextlib.contextmanager
def open_shop(keep: Path | None) -> Iterator[Shop]:
    """A shop in temporary folders, or with what it keeps in `keep`; its processes end after. Refused."""
    with folders(keep, "device") as (state, run), contextlib.closing(Shop(state, run)) as shop:
        yield shop
