"""The sync process: the courier with everything it loads, apart from the daemon that sells.

    python -m vafa.app.sync_process      begun by the daemon's keeper, talks by its stdin and stdout

Why a process: TLS, HTTP and ciphers are 25 MB that the daemon need not keep, packing a thousand rows never
takes the interpreter from a sale, and the key the device signs with is never in the memory of the process
that talks to terminals. It reads the ledger, writes nothing but `sync/`, keeps the connection while sales
come, and ends when nothing has been said for a while, when the daemon is gone, or when the next try is not
soon.
"""

import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import SystemRandom

import msgspec

from vafa.app.without_asyncio import asyncio_kept_out

with asyncio_kept_out():
    import structlog

from vafa.app.logs import set_up
from vafa.app.sync_boot import boot_id
from vafa.app.sync_journal import LedgerJournal
from vafa.app.sync_talk import (
    LINE_BYTES_MAX,
    Activate,
    Attest,
    Begin,
    Ending,
    Forget,
    FromDaemon,
    FromProcess,
    Now,
    Regain,
    Rows,
    Synced,
    Taken,
    Wake,
    from_daemon,
    line_of,
)
from vafa.keys.sign import SigningKey
from vafa.ledger.storage import ledger_path
from vafa.model.chain import Row
from vafa.model.errors import SyncError, VafaError
from vafa.sync import enrolment, kept
from vafa.sync.courier import Courier, Who, World
from vafa.sync.enrol import settle_keys
from vafa.sync.links import LinkNow
from vafa.sync.transport import HttpTransport
from vafa.wire.messages import Facts, Forgotten

LOCK = "lock"
TAKEN_WITHIN_S = 30.0
NOT_SOON_S = 10.0  # a try that fails keeps no connection warm: there is nothing to stay for
LOOK_EVERY_S = 60.0

log = structlog.get_logger()


class DaemonGone(Exception):
    """Nobody is at the other end of stdin."""


class Lines:
    """The daemon's lines, as they come."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._received = b""
        self._put_back: list[FromDaemon] = []

    def read(self, timeout_s: float) -> list[FromDaemon]:
        """What has come, after at most so long where nothing had; DaemonGone at the end of it."""
        if not self._put_back:
            self._receive(timeout_s)
        said, self._put_back = self._put_back, []
        return said

    def begin(self) -> Begin:
        """The first line."""
        while True:
            said = self.read(LOOK_EVERY_S)
            for place, each in enumerate(said):
                if isinstance(each, Begin):
                    self._put_back = said[place + 1 :]
                    return each

    def _receive(self, timeout_s: float) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not poll.poll(max(0.0, timeout_s) * 1000):
            return
        chunk = os.read(self._descriptor, 65_536)
        if not chunk or len(self._received) > LINE_BYTES_MAX:
            raise DaemonGone
        *lines, self._received = (self._received + chunk).split(b"\n")
        self._put_back = [from_daemon(line) for line in lines if line]


class SyncProcess:
    """One run: from Begin to Ending. It is its courier's inbox: what comes down is the daemon's to write."""

    def __init__(self, begin: Begin, lines: Lines, out: int) -> None:
        self._begin, self._lines, self._out = begin, lines, out
        self._now = Now(LinkNow(), "", Facts("", 0))
        self._heard: list[FromDaemon] = []
        self._woken = 0
        self._peer: Callable[[], str] = str

    def run(self) -> Ending:
        """Sync until there is no reason to stay."""
        directory = Path(self._begin.ledger_directory)
        who = enrolment.load(directory)
        if who is None:
            raise SyncError("this device is not enrolled", fix="vafa enrol CODE --hub URL")
        key = SigningKey(settle_keys(directory, who))
        certificates = str(directory / who.ca) if who.ca else ""
        journal = LedgerJournal(ledger_path(directory))
        store = kept.Store(kept.path_in(directory))
        transport = HttpTransport(who.hub, certificates, lambda: self._now.bind_to)
        self._peer = lambda: transport.peer
        try:
            self._hear(LOOK_EVERY_S)  # the link and the facts come right behind Begin
            world = World(
                lambda: time.time_ns() // 1_000_000,
                lambda: self._now.link,
                lambda: self._now.facts,
                boot_id(),
                self._begin.metered_bytes_a_day,
                SystemRandom(),
            )
            whom = Who(who.merchant, who.device, who.hub_public_key)
            courier = Courier(whom, key, journal, store, transport, self, world, time.monotonic())
            return self._follow(courier, store)
        finally:
            transport.close()
            store.close()
            journal.close()

    def _follow(self, courier: Courier, store: kept.Store) -> Ending:
        used_at = time.monotonic()
        while True:
            self._obey(courier)
            now = time.monotonic()
            syncs = courier.syncs
            due = courier.step(now)
            now = time.monotonic()
            if courier.syncs != syncs:
                used_at = now
                is_ok = store.kept.trouble is None
                received, next_s = store.kept.received.seq, due - now
                told = Synced(ok=is_ok, received=received, next_s=next_s, wake=self._woken, peer=self._peer())
                self._tell(told)
            next_s = due - now
            stays_s = self._begin.keep_warm_s if store.kept.trouble is None else NOT_SOON_S
            left_s = used_at + stays_s - now
            if not self._heard and next_s > NOT_SOON_S and (left_s <= 0 or store.kept.trouble is not None):
                self._hear(0.0)  # what was said while the hub was asked: a link that came up, a person
                if not self._heard:
                    newest = courier.newest
                    return Ending(next_s=next_s, rows_s=courier.rows_wait_s(now), newest=newest)
                continue
            self._hear(min(next_s, LOOK_EVERY_S, max(left_s, 0.1)))

    def _hear(self, timeout_s: float) -> None:
        self._heard += self._lines.read(timeout_s)

    def _obey(self, courier: Courier) -> None:
        heard, self._heard = self._heard, []
        for said in heard:
            match said:
                case Now():
                    self._now = said
                case Wake(by_person, number):
                    courier.wake(by_person=by_person)
                    self._woken = number
                case Rows() | Begin() | Taken():
                    continue  # looked for at each step anyway; the others belong elsewhere

    def programme(self, document: str, from_at: int | None) -> str:
        """The daemon activates it."""
        self._tell(Activate(document, from_at))
        return self._taken().refused

    def attest(self, hub_s: int) -> None:
        """The daemon journals it."""
        self._tell(Attest(hub_s))
        self._taken()

    def forget(self, told: Sequence[Forgotten]) -> None:
        """The daemon forgets them."""
        self._tell(Forget(list(told)))
        self._taken()

    def regain(self, rows: Sequence[Row], signature: bytes) -> str:
        """The daemon counts them."""
        self._tell(Regain(list(rows), signature))
        return self._taken().refused

    def _taken(self) -> Taken:
        ends_at = time.monotonic() + TAKEN_WITHIN_S
        while time.monotonic() < ends_at:
            for place, said in enumerate(self._heard):
                if isinstance(said, Taken):
                    del self._heard[place]
                    if said.failed:
                        raise SyncError(f"what came down could not be written: {said.failed}", code="SYN-018")
                    return said
            self._hear(ends_at - time.monotonic())
        raise SyncError("the daemon does not take what came down", fix="vafa status", code="SYN-018")

    def _tell(self, message: FromProcess) -> None:
        tell(self._out, message)


def tell(out: int, message: FromProcess) -> None:
    """One line to the daemon. DaemonGone when it is."""
    line = line_of(message)
    try:
        while line:  # a signal may cut a long one
            line = line[os.write(out, line) :]
    except BrokenPipeError as error:
        raise DaemonGone from error


def goes_last() -> bool:
    """From here on this process computes when nobody else wants to, so that a sale never waits for it: a
    merely nice process still delays who wakes up by milliseconds. False where the system refuses."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except PermissionError:
        return False
    return True


def main() -> int:
    """Until the end of it; 0 unless something broke that is not the world's fault."""
    signal.pthread_sigmask(
        signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT}
    )  # the daemon's threads hold them
    is_idle = goes_last()
    lines, out = Lines(sys.stdin.fileno()), os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever prints, prints to the log
    try:
        begin = lines.begin()
        set_up(begin.log_format, begin.log_level)  # type: ignore[arg-type]  # the daemon's own setting
        if not is_idle:
            log.warning("the sync process may not make itself less urgent than sales")
        tell(out, _run(begin, lines, out))
    except DaemonGone:
        return 0
    return 0


def _run(begin: Begin, lines: Lines, out: int) -> Ending:
    folder = kept.path_in(Path(begin.ledger_directory)).parent
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with (folder / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return SyncProcess(begin, lines, out).run()
    except BlockingIOError:
        return Ending(next_s=5.0, rows_s=5.0)  # one of the daemon before still waits for the hub
    except (VafaError, OSError, msgspec.DecodeError) as error:
        log.error("sync", reason=str(error))
        fix, code = (error.fix, error.code) if isinstance(error, VafaError) else ("", "SYN-001")
        return Ending(next_s=60.0, rows_s=60.0, fault=str(error), fix=fix, code=code)


if __name__ == "__main__":
    sys.exit(main())
