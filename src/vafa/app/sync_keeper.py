"""Keeps a sync process when there is something to sync, and none when there is not.

One thread of the daemon's, on an enrolled device only. It starts the process when rows were committed, a link
came up, a person asks or the next try is due; tells it what only the daemon knows; writes what it brings down
(the daemon alone writes the ledger); and lets it go when it ends. It costs no wake-up while nothing happens.
"""

import contextlib
import os
import select
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import structlog

from vafa.app.sync_talk import (
    LINE_BYTES_MAX,
    Activate,
    Attest,
    Begin,
    Ending,
    Forget,
    FromDaemon,
    Now,
    Regain,
    Rows,
    Synced,
    Taken,
    Wake,
    from_process,
    line_of,
)
from vafa.ports.clock import Clock
from vafa.sync.kept import Trouble

if TYPE_CHECKING:
    import subprocess

FIRST_S = 2.0  # after READY: the start has better to do
CRASHED_RETRY_S, CRASHED_RETRY_MAX_S = 30.0, 900.0
AT_ONCE_EVERY_S = 300.0  # how often a process that was ended from outside is begun anew at once
END_WITHIN_S = 3.0
NEVER = float("inf")

log = structlog.get_logger()


class Keeper:
    """`run` is its thread's; everything else may be called from any.

    begin     what a process is begun with
    now       the link and the facts, looked at whenever something is told
    activate  writes a programme version: '' or why it is refused; raises VafaError where it cannot be tried
    attest    journals the hub's time
    forget    forgets people whom other devices forgot; raises VafaError as `activate` does
    regain    counts rows that were lost: '' or why they are refused; raises VafaError as `activate` does
    reached   is told the hub's address
    """

    def __init__(
        self,
        begin: Begin,
        now: Callable[[], Now],
        activate: Callable[[str, int | None], str],
        attest: Callable[[int], None],
        regain: Callable[[Regain], str],
        forget: Callable[[Forget], None],
        head: Callable[[], int],
        clock: Clock,
        module: str = "vafa.app.sync_process",
        reached: Callable[[str], None] = lambda _peer: None,
    ) -> None:
        self._begin, self._now, self._clock, self._module = begin, now, clock, module
        self._activate, self._attest, self._regain, self._forget = activate, attest, regain, forget
        self._head, self._reached = head, reached
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ringing = threading.Lock()  # its number may be another file's once it is closed
        self._wake: Wake | None = None
        self._told_wake: Wake | None = None  # the newest one that a process was told
        self._told_twice = 0  # the number of the newest that was told to a second one
        self._stopping = False
        self._process: subprocess.Popen[bytes] | None = None
        self._received = b""
        self._next_at = clock.monotonic() + FIRST_S
        self._rows_at = self._next_at
        self._told_head = 0
        self._crashes = 0
        self._has_worked = False  # the process that runs
        self._at_once_again_at = 0.0
        self._fault: Trouble | None = None
        self._synced = threading.Condition()
        self._asked = self._answered = 0  # numbers of wakes

    @property
    def next_at(self) -> float:
        """The monotonic second of the next try, as far as it is planned."""
        return self._next_at

    @property
    def fault(self) -> Trouble | None:
        """Why the process does not work; None while it does."""
        return self._fault

    @property
    def process_id(self) -> int | None:
        """The sync process, None while there is none."""
        process = self._process
        return None if process is None else process.pid

    def rows(self) -> None:
        """Rows were committed. On the award's own thread: a write of eight bytes."""
        self._ring()

    def wake(self) -> None:
        """A link came up, or another one carries us."""
        with self._synced:
            self._asked += 1
            self._wake = Wake(by_person=self._wake is not None and self._wake.by_person, number=self._asked)
        self._ring()

    def sync_now(self, timeout_s: float) -> bool:
        """A person asks: try at once; True when a sync ended within so long."""
        with self._synced:
            self._asked = asked = self._asked + 1
            self._wake = Wake(by_person=True, number=asked)
            self._ring()
            return self._synced.wait_for(lambda: self._answered >= asked or self._stopping, timeout_s)

    def stop(self) -> None:
        """Ends `run` and the process."""
        self._stopping = True
        self._ring()

    def run(self) -> None:
        """Until `stop`."""
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._end_process()
            with self._synced:
                self._synced.notify_all()
            with self._ringing:
                os.close(self._bell)
                self._bell = -1

    def _turn(self) -> None:
        """Wait for what comes first, and do what it asks for."""
        now = self._clock.monotonic()
        if self._process is None and now >= self._due_at():
            self._start()
        process = self._process
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        wait_s = None
        if process is not None and process.stdout is not None:
            poll.register(process.stdout.fileno(), select.POLLIN)
        else:
            due = self._due_at()
            wait_s = None if due == NEVER else max(0.0, due - self._clock.monotonic())
        ready = dict(poll.poll(None if wait_s is None else wait_s * 1000))
        if self._bell in ready:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._bell)
            self._pass_on()
        if len(ready) > (self._bell in ready):
            self._listen()

    def _due_at(self) -> float:
        if self._wake is not None:
            return 0.0
        return min(self._next_at, self._rows_at) if self._head() > self._told_head else self._next_at

    def _start(self) -> None:
        import subprocess  # with the first sync, not before a sale can be heard

        # -P: nothing that lies in the working directory is ever imported.
        command = [sys.executable, "-P", "-m", self._module]
        self._told_head = self._head()
        self._received, self._has_worked = b"", False
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except OSError as error:
            self._ended(None, f"no process could be started: {error.strerror}")
            return
        wake = self._take_wake()
        self._say(self._begin, self._now(), *([wake] if wake else []))

    def _pass_on(self) -> None:
        """What happened here, for the process that runs; else it decides whether one is due."""
        if self._process is None:
            return
        wake = self._take_wake()
        said: list[FromDaemon] = [self._now(), wake] if wake else []
        head = self._head()
        if head > self._told_head:
            self._told_head = head
            said.append(Rows())
        if said:
            self._say(*said)

    def _take_wake(self) -> Wake | None:
        with self._synced:
            wake, self._wake = self._wake, None
            self._told_wake = wake or self._told_wake
            return wake

    def _put_back(self) -> None:
        """A wake that was told to a process which was just ending, and which nobody obeyed, is for the next.

        For the next one alone: a process that ends whatever it is told must not be begun over and over.
        """
        with self._synced:
            told, self._told_wake = self._told_wake, None
            if told is not None and told.number > max(self._answered, self._told_twice):
                self._wake, self._told_twice = self._wake or told, told.number

    def _say(self, *messages: FromDaemon) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        try:
            process.stdin.write(b"".join(map(line_of, messages)))
            process.stdin.flush()
        except BrokenPipeError:
            log.warning("the sync process hears no more")  # its end is read from its other pipe

    def _listen(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        chunk = os.read(process.stdout.fileno(), 65_536)
        if not chunk or len(self._received) > LINE_BYTES_MAX:
            self._ended(process, "it ended in the middle")
            return
        *lines, self._received = (self._received + chunk).split(b"\n")
        for line in lines:
            if self._process is not None:
                self._answer(line)

    def _answer(self, line: bytes) -> None:
        try:
            told = from_process(line)
        except msgspec.DecodeError as error:
            self._ended(self._process, f"it said something else than was asked ({error})")
            return
        match told:
            case Synced():
                self._crashes, self._fault, self._has_worked = 0, None, True
                self._next_at = self._clock.monotonic() + told.next_s
                if told.peer:
                    self._reached(told.peer)
                self._ended_up_to(told.wake)
            case Ending():
                self._fault = Trouble(told.code, told.fault, told.fix) if told.fault else None
                now = self._clock.monotonic()
                self._next_at, self._rows_at = now + told.next_s, now + told.rows_s
                self._told_head = told.newest or self._told_head
                self._end_process()
                if told.fault:
                    self._ended_up_to(self._asked)
                self._put_back()
            case Activate(document, from_at):
                self._say(self._written(lambda: self._activate(document, from_at)))
            case Attest(hub_s):
                self._say(self._written(lambda: self._done(lambda: self._attest(hub_s))))
            case Forget():
                self._say(self._written(lambda: self._done(lambda: self._forget(told))))
            case Regain():
                self._say(self._written(lambda: self._regain(told)))

    @staticmethod
    def _done(work: Callable[[], None]) -> str:
        """What is never refused."""
        work()
        return ""

    def _written(self, work: Callable[[], str]) -> Taken:
        from vafa.model.errors import VafaError

        try:
            return Taken(refused=work())
        except VafaError as error:
            return Taken(failed=str(error))

    def _ended(self, process: "subprocess.Popen[bytes] | None", why: str) -> None:
        """Without a word. Where it had worked, or a signal ended it, at once; else wait longer each time."""
        self._end_process()
        if self._stopping:
            return
        code, now = process.returncode if process is not None else None, self._clock.monotonic()
        is_of_outside = self._has_worked or (code is not None and code < 0)
        if is_of_outside and now >= self._at_once_again_at:
            log.warning("sync process", why=why, exit_code=code, retry_s=0.0)
            self._at_once_again_at = now + AT_ONCE_EVERY_S
            self._next_at = self._rows_at = now
            self._put_back()
            return
        self._crashes += 1
        wait_s = min(CRASHED_RETRY_S * 2.0 ** (self._crashes - 1), CRASHED_RETRY_MAX_S)
        self._next_at = self._rows_at = now + wait_s
        text = f"the sync process does not work: {why}" + (f", exit code {code}" if code else "")
        log.error("sync process", why=why, exit_code=code, retry_s=wait_s)
        self._fault = Trouble("SYN-019", text, "journalctl -u vafa -n 50; report it")
        self._ended_up_to(self._asked)

    def _end_process(self) -> None:
        """Its stdin is closed, which ends it; whoever does not end is ended."""
        process, self._process = self._process, None
        if process is None:
            return
        import subprocess

        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()  # it waits for a slow hub: what it sent is sent again
            process.wait()

    def _ended_up_to(self, wake: int) -> None:
        """Whoever asked, up to this wake, has their sync behind them, however it ended."""
        with self._synced:
            self._answered = max(self._answered, wake)
            self._synced.notify_all()

    def _ring(self) -> None:
        with self._ringing:
            if self._bell >= 0:  # after the end there is nobody to ring for
                os.eventfd_write(self._bell, 1)
