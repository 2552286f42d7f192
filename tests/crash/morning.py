"""A shop's morning under strace: the daemon is driven over its socket, killed, started again and stopped."""

import ctypes
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from crash.strace_log import TRACED, StraceLog

_START_S = 30.0
_EXIT_S = 30.0
_libc = ctypes.CDLL(None)
_TGKILL = {"x86_64": 234, "aarch64": 131}[platform.machine()]


class Daemon:
    """One run of a command under strace, with its local socket as a client sees it."""

    def __init__(
        self, command: Sequence[str], socket_path: Path, log: Path, strace_options: Sequence[str] = ()
    ) -> None:
        self._socket_path = socket_path
        strace = ["strace", "-f", "-qq", "-xx", "-s", "1000000", "-o", str(log), "-e", f"trace={TRACED}"]
        strace += ["-e", "signal=none", "--seccomp-bpf"]
        self._output = log.with_suffix(".out").open("wb")
        self._strace = subprocess.Popen(
            [*strace, *strace_options, *command], stdout=self._output, stderr=subprocess.STDOUT
        )
        self._client: socket.socket | None = None
        self._rest = b""
        self._asked = 0

    def ask(self, **request: Any) -> dict[str, Any]:
        """A request that is granted, its answer."""
        answer = self.try_to(**request)
        assert answer["answer"] != "failure", answer
        return answer

    def try_to(self, **request: Any) -> dict[str, Any]:
        """One request, its answer. Connects anew now and then: a connection has an allowance."""
        if self._client is None:
            self._client = self._connect()
        self._client.sendall(msgspec.json.encode(request) + b"\n")
        while b"\n" not in self._rest:
            received = self._client.recv(65_536)
            assert received, self.said()
            self._rest += received
        line, _, self._rest = self._rest.partition(b"\n")
        self._asked += 1
        if self._asked % 90 == 0:
            self._client.close()
            self._client = None
        answer: dict[str, Any] = msgspec.json.decode(line)
        return answer

    def control(self, **question: Any) -> dict[str, Any]:
        """One question of the control socket, its answer."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_EXIT_S)
            line.connect(str(self._socket_path.with_name("control.sock")))
            line.sendall(msgspec.json.encode(question) + b"\n")
            answer: dict[str, Any] = msgspec.json.decode(line.makefile("rb").readline())
            return answer

    def ask_at_once(self, requests: Sequence[dict[str, Any]]) -> None:
        """Each on a connection of its own, all sent before the first answer is read: lanes that meet."""
        clients = [self._connect() for _ in requests]
        for client, request in zip(clients, requests, strict=True):
            client.sendall(msgspec.json.encode(request) + b"\n")
        said = []
        for client in clients:
            with client, client.makefile("rb") as answers:
                said.append(answers.readline())
        assert not [answer for answer in said if b'"answer":"failure"' in answer], said

    def end(self, how: signal.Signals) -> None:
        """Send a signal to the daemon itself and wait until it is gone.

        To its main thread by name: while strace holds that one for a moment, the kernel would give the signal
        to another thread, and Python's main thread would hear of it only when its wait times out.
        """
        pid = self._pid()
        assert _libc.syscall(_TGKILL, pid, pid, int(how)) == 0
        self._strace.wait(_EXIT_S)
        if self._client is not None:
            self._client.close()
        self._output.close()

    def wait_for(self, directory: Path, pattern: str) -> None:
        """Until the daemon has made a file of its own accord."""
        until = time.monotonic() + _START_S
        while not list(directory.glob(pattern)):
            assert time.monotonic() < until, self.said()
            time.sleep(0.02)

    def wait_until_said(self, words: str) -> None:
        """Until the daemon's outputs have these words."""
        until = time.monotonic() + _START_S
        while words not in self.said():
            assert time.monotonic() < until, self.said()
            time.sleep(0.02)

    def abandon(self) -> None:
        """After a failed test: nothing may go on running."""
        if self._strace.poll() is None:
            self.end(signal.SIGKILL)

    def said(self) -> str:
        """What the daemon wrote to its outputs."""
        return Path(self._output.name).read_text("utf-8", "replace")

    def _connect(self) -> socket.socket:
        until = time.monotonic() + _START_S
        while True:
            assert self._strace.poll() is None, self.said()
            client = socket.socket(socket.AF_UNIX)
            try:
                client.connect(str(self._socket_path))
            except OSError:
                client.close()
                assert time.monotonic() < until, self.said()
                time.sleep(0.02)  # a process starts: there is nothing to wait on but its socket
                continue
            client.settimeout(_EXIT_S)
            return client

    def _pid(self) -> int:
        children = Path(f"/proc/{self._strace.pid}/task/{self._strace.pid}/children").read_text().split()
        return int(children[0])


TID = "C0000301"
PHONES = ("09121236789", "09351112233")
CONFIG = """
[shop]
name = "کافه نگین"
[ledger]
directory = "{0}/state"
[local]
socket = "{0}/local.sock"
[control]
socket = "{0}/control.sock"
[[terminal]]
id = "C0000301"
protocol = "sadad"
mode = "local"
[jobs]
checkpoint_every_min = 1
integrity_every_h = 1
backup_every_h = 1
"""
UNALTERED = (sys.executable, "-m", "vafa.cli.main")


SLOW_DISK = ("-e", "inject=fdatasync:delay_enter=20000")  # in microseconds; as long as it takes, others wait


def payment(number: int, **more: Any) -> dict[str, Any]:
    """A payment of the morning: its number says all."""
    card = {"mask": f"621986******{number % 7:04d}", "sha256": f"{number % 5 + 1:064x}" if number % 3 else ""}
    given = {"op": "payment", "terminal": TID, "ref": f"sale-{number:04d}", "amount": 1_000 + number}
    return given | {"card": card} | more


def told(number: int) -> dict[str, Any]:
    """The same, every fourth by a member who said so."""
    return payment(number, **({"member": PHONES[0]} if number % 4 == 0 else {}))


REWARDS = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 10
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
points = 1
rial = 10
"""


def spend(daemon: Daemon, number: int) -> None:
    """A redemption before the payment with this number: held, then captured, released or left to time out."""
    request = f"spend-{number:04d}"
    daemon.ask(op="hold", request=request, member=PHONES[0], reward="off", amount=1_000, points=20)
    if number % 3 == 0:
        daemon.ask(op="capture", request=request, applied=150, terminal=TID, ref=f"sale-{number:04d}")
    elif number % 3 == 1:
        daemon.ask(op="release", request=request)


def undo(daemon: Daemon, number: int) -> None:
    """After the payment with this number: an earlier one is voided, refunded in two parts, or another one
    that nobody knows is."""
    sale = {"terminal": TID, "ref": f"sale-{number - 2:04d}", "request": f"undo-{number:04d}"}
    match number % 4:
        case 0:
            daemon.ask(op="void", **sale)
        case 1:
            daemon.ask(op="refund", amount=300, **sale)
            daemon.ask(op="refund", amount=200, **sale | {"request": f"more-{number:04d}"})
        case 2:
            daemon.ask(op="void", **sale | {"ref": f"lost-{number:04d}"})
        case _:
            return


def morning(
    vafa: Sequence[str],
    directory: Path,
    payments: int,
    awaited: str = "",
    at_once: int = 1,
    spend_after: int | None = None,
    undo_after: int | None = None,
) -> StraceLog:
    """Half the payments, a kill -9, a start, repeats, the other half, and an orderly end.

    awaited  a pattern of files that must have appeared before the last payments
    at_once  how many payments are told together, each by a client of its own
    spend_after, undo_after  from which payment on points are redeemed, payments undone; None: never
    """
    state = directory / "state"
    state.mkdir()
    config = directory / "config.toml"
    config.write_text(CONFIG.format(directory))
    if spend_after is not None:
        (directory / "rewards.toml").write_text(REWARDS)
        config.write_text(config.read_text() + '[club]\nprogramme = "rewards.toml"\n')
    log = StraceLog(state)
    for run in (0, 1):
        path = directory / f"run{run}.strace"
        command = (*vafa, "run", "--config", str(config))
        daemon = Daemon(command, directory / "local.sock", path, SLOW_DISK if at_once > 1 else ())
        try:
            daemon.ask(op="member", member=PHONES[run], name="Sara")
            first = run * payments // 2
            numbers = range(max(0, first - 3), first + payments // 2)
            if at_once > 1:
                for begin in range(0, len(numbers), at_once):
                    daemon.ask_at_once([told(number) for number in numbers[begin : begin + at_once]])
                numbers = range(0)
            for number in numbers:
                if spend_after is not None and number >= max(first, spend_after):
                    spend(daemon, number)
                daemon.ask(**told(number))
                if undo_after is not None and number >= max(first + 2, undo_after):
                    undo(daemon, number)
                if awaited and number == payments - 5:
                    daemon.wait_for(state, awaited)
            daemon.end(signal.SIGTERM if run else signal.SIGKILL)
        finally:
            daemon.abandon()
        log.read(path)
    return log
