"""What is traced, a kind of day each: what was there before, what was promised, what is judged besides."""

import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from crash import altered
from crash.joined_judge import joined, restored_or_not, synced
from crash.judge import Answers, judged
from crash.morning import CONFIG, PHONES, Daemon, morning, payment, told
from crash.old_ledger import old_ledger
from crash.states import Judge, State, states
from crash.strace_log import TRACED, Answer, Create, Step, StraceLog, Write
from crash.two_hubs import enrolling_hub, syncing_hub

from vafa.ledger.schema import SCHEMA_VERSION

ENDS = (signal.SIGKILL, signal.SIGTERM)
Vafa = Sequence[str]
BEGUN_WITHIN_S = 30.0
SHORT = altered.command("short")  # a log of few pages: thousands of disks of it are quickly made
HASTY = altered.command("short", "hasty")  # checkpoints and backups all the time


class Day(NamedTuple):
    """Traced steps. The first `begins` were there before; `promised` was said before them.

    opening  what is done up to the first answer
    """

    steps: Sequence[Step]
    judge: Judge
    begins: int = 0
    promised: Answers = ()
    opening: str = ""

    def states(self, seed: int, images_per_step: int) -> Iterator[State]:
        """What a power cut may leave of it."""
        return states(self.steps, seed, images_per_step, self.begins, self.promised, self.opening)


class Traced:
    """One device's directory, in which daemons and commands run traced one after the other."""

    def __init__(self, directory: Path, vafa: Vafa, prepare: Callable[[Path], None] = lambda _: None) -> None:
        self.directory, self.state, self._vafa = directory, directory / "state", vafa
        self.state.mkdir()
        self.config = directory / "config.toml"
        self.config.write_text(CONFIG.format(directory))
        prepare(self.state)
        self.log = StraceLog(self.state)
        self.begins = self.log.found()
        self._runs = 0

    @contextmanager
    def running(self, ending: signal.Signals) -> Iterator[Daemon]:
        """The daemon, until it is ended so."""
        path, self._runs = self.directory / f"run{self._runs}.strace", self._runs + 1
        daemon = Daemon(
            [*self._vafa, "run", "--config", str(self.config)], self.directory / "local.sock", path
        )
        try:
            yield daemon
            daemon.end(ending)
        finally:
            daemon.abandon()
        self.log.read(path)

    def command(self, *words: str) -> str:
        """A command to its end, what it said."""
        path, self._runs = self.directory / f"run{self._runs}.strace", self._runs + 1
        strace = ["strace", "-f", "-qq", "-xx", "-s", "1000000", "-o", str(path), "-e", f"trace={TRACED}"]
        strace += ["-e", "signal=none", "--seccomp-bpf"]
        command = [*strace, *self._vafa, *words, "--config", str(self.config)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        self.log.read(path)
        return ran.stdout


def sales(directory: Path, vafa: Vafa = SHORT) -> Day:
    """Awards, members, voids, refunds, holds, captures, releases."""
    log = morning(vafa, directory, 40, spend_after=6, undo_after=8)
    return Day(log.steps, _judge())


def upkeep(directory: Path, vafa: Vafa = HASTY) -> Day:
    """Checkpoints every few sales, a backup with its sealed keys between them."""
    log = morning(vafa, directory, 40, awaited="backups/ledger-*.db", undo_after=20)
    return Day(log.steps, _judge())


def enrolment(directory: Path, vafa: Vafa = SHORT) -> Day:
    """A second device of a merchant: members join before it enrols; later its key is changed by a code."""
    with enrolling_hub(directory) as (hub, url, certificates):
        there = Traced(directory, vafa)
        for run, code in enumerate(("BBBB", "CCCC")):
            with there.running(ENDS[run]) as daemon:
                daemon.ask(op="member", member=PHONES[run], name="Sara")
                for number in range(4 * run, 4 * run + 2):
                    daemon.ask(**told(number))
                said = daemon.control(do="enrol", code=code, hub=url, certificates=certificates)
                assert said["is"] == "enrolled", said
                for number in range(4 * run + 2, 4 * run + 4):
                    daemon.ask(**told(number))
        assert len({request.signing_key for request in hub.requests}) == 2
    return Day(with_keys_told(there.log.steps), _judge(joined), there.begins)


def with_keys_told(steps: Sequence[Step]) -> list[Step]:
    """The moment a new key leaves for the hub, as an answer that promises the key: what a process that made
    one sends from then on in TLS records longer than a handshake's."""
    keys: dict[str, str] = {}
    makers: dict[str, str] = {}
    found: list[Step] = []
    for step in steps:
        said = step
        match step:
            case Create(path, _, process) if path.startswith("keys/sync.key"):
                makers[path] = process
            case Write(path, _, data) if path in makers:
                keys[makers[path]] = data.decode().strip()
            case Answer(data, process) if process in keys and data[:1] == b"\x17" and len(data) > 200:
                said = Answer(b'{"tell":"key told","key":"%s"}' % keys[process].encode())
        found.append(said)
    return found


def sync_answers(directory: Path, vafa: Vafa = SHORT) -> Day:
    """Marks, a programme, members, messages and the time come down from a hub, between sales."""
    with syncing_hub(directory) as (hub, prepare):
        there = Traced(directory, vafa, prepare)
        for run in (0, 1):
            with there.running(ENDS[run]) as daemon:
                for number in range(8 * run, 8 * run + 8):
                    daemon.ask(**payment(number))
                    if number % 4 == 3:
                        hub.brings(1 + number // 4)
                        sync_now(daemon)
    return Day(there.log.steps, _judge(synced(hub.device_key)), there.begins)


def sync_now(daemon: Daemon) -> None:
    """A sync that went well. The daemon sells before it has begun to sync."""
    until = time.monotonic() + BEGUN_WITHIN_S
    while (said := daemon.control(do="sync now"))["is"] == "failure":
        assert time.monotonic() < until, daemon.said()
        time.sleep(0.02)
    assert said["ok"], daemon.said()


def migration(directory: Path, vafa: Vafa = SHORT, schema: int | None = None) -> Day:
    """The first start on a ledger of an earlier schema, and sales on it."""
    before: list[dict[str, Any]] = []
    version = 1 + secrets.randbelow(SCHEMA_VERSION - 1) if schema is None else schema
    there = Traced(directory, vafa, lambda state: before.extend(old_ledger(state, version)))
    for run in (0, 1):
        with there.running(ENDS[run]) as daemon:
            for number in range(3 * run, 3 * run + 3):
                daemon.ask(**told(number))
    return Day(there.log.steps, _judge(), there.begins, before, "migration")


def backup_and_restore(directory: Path, vafa: Vafa = HASTY) -> Day:
    """`vafa backup`, sales that it does not hold, `vafa restore`, sales after it."""
    there = Traced(directory, vafa, lambda state: (state / "usb").mkdir())
    with there.running(signal.SIGTERM) as daemon:
        daemon.ask(op="member", member=PHONES[0], name="Sara")
        for number in range(6):
            daemon.ask(**told(number))
    said = there.command("backup", str(there.state / "usb/one.vafa"))
    code = directory / "code"
    code.write_text(said.partition("RECOVERY CODE")[2].split()[0])
    with there.running(signal.SIGKILL) as daemon:
        for number in range(6, 10):
            daemon.ask(**payment(number))
    words = ("--replace", "--yes", "--code-file", str(code))
    there.command("restore", str(there.state / "usb/one.vafa"), *words)
    with there.running(signal.SIGTERM) as daemon:
        for number in range(10, 14):
            daemon.ask(**payment(number))
    return Day(there.log.steps, restored_or_not, there.begins)


DAYS: Mapping[str, Callable[[Path], Day]] = {
    "sales": sales,
    "upkeep": upkeep,
    "enrolment": enrolment,
    "sync answers": sync_answers,
    "migration": migration,
    "backup and restore": backup_and_restore,
}


def _judge(*more: Any) -> Judge:
    return lambda image, answers, directory: judged(image, answers, directory, more)
