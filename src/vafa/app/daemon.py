"""The daemon's wiring: opens the ledger, joins the rooms, starts the threads, waits for a signal.

Ready for a payment means: ledger open and readable, sockets reachable, lanes running. Only then systemd is
told READY and the slower parts (the scheduler) are loaded. SIGTERM finishes the payment in hand. A thread
that dies of our own bug ends the process, so that systemd starts a whole one.
"""

import gc
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from vafa import __version__
from vafa.app import hub_questions
from vafa.app.aside import SealerAside, migrate_aside
from vafa.app.cable import Cable
from vafa.app.config import Config, Terminal
from vafa.app.control import Control
from vafa.app.counter import Counter
from vafa.app.desk import Desk
from vafa.app.elsewhere import Elsewhere
from vafa.app.hub_side import HubSide
from vafa.app.joining import tokens_of
from vafa.app.lane import Lane, LaneSettings
from vafa.app.ledger_start import device_key, open_epoch, require_ledger, tell_lost
from vafa.app.live import LaneState, Live, SaleTimes
from vafa.app.local_lines import SOCKET_MODE, LocalLines
from vafa.app.log_keeping import LogKeeper
from vafa.app.members import Members
from vafa.app.paper import Paper
from vafa.app.printers import Printers, letterhead
from vafa.app.programmes import Programmes, example
from vafa.app.sales import Sales
from vafa.app.status import facts
from vafa.app.sync_questions import SYNC_QUESTIONS
from vafa.app.told_again import ToldAgain
from vafa.club.programme import Programme, parse
from vafa.keys.seal import wrapping_key
from vafa.ledger.ledger import Ledger
from vafa.model.errors import Fault, LedgerError, ProgrammeError, VafaError
from vafa.model.payment import Scheme
from vafa.ports import notify
from vafa.ports.clock import Clock
from vafa.ports.line_server import LineServer
from vafa.ports.link import open_link
from vafa.ports.unix_place import UnixPlace

if TYPE_CHECKING:
    from vafa.app.jobs import Jobs
    from vafa.app.notified import Notified
    from vafa.app.proxy_lane import ProxyLane

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
EXIT_OUR_BUG = 70  # EX_SOFTWARE: systemd restarts us
STATUS_EVERY_S = 10.0
HUNG_AFTER_S = 60.0  # a lane blocks at most seconds; after this the watchdog is not fed any more

log = structlog.get_logger()


class Daemon:
    """One run of `vafa run`. Raises the error tree from `start`; afterwards nothing escapes."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._told_again = ToldAgain(clock.monotonic)
        self._started_at = clock.monotonic()
        self._wake = threading.Event()
        self._crashed: str = ""
        self._threads: list[threading.Thread] = []
        self._servers: list[LineServer | LocalLines] = []
        self._local: LocalLines | None = None
        self._jobs: Jobs | None = None
        self._notified: Notified | None = None
        self._times: dict[int, SaleTimes] = {}
        self._is_begun = self._is_syncing = False
        self._unbegun = ""
        self.lanes: dict[str, Lane] = {}
        self.listeners: dict[str, ProxyLane] = {}

    def start(self) -> None:
        """Everything a payment needs, then READY. From its first line on SIGTERM means an orderly end."""
        for number in ENDING_SIGNALS:
            signal.signal(number, lambda *_: self._wake.set())
        # Held back in every thread started from here on, so that the main one always hears them at once.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
        config, clock = self._config, self._clock
        directory = config.ledger_directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        except OSError as error:
            raise LedgerError(
                f"{directory} cannot be made ({error})", fix="sudo install -d -o vafa it"
            ) from error
        require_ledger(config)
        key = device_key(config)
        tokens = tokens_of(directory, key)
        programme = configured_programme(config.programme_file)
        self.ledger = Ledger(directory, clock.wall_ms, migrate_aside)
        self._log_keeper = LogKeeper(self.ledger)
        open_epoch(self.ledger, tokens.own_key_id)
        tell_lost(self.ledger, [t.id for t in config.terminal])
        sealer = SealerAside(wrapping_key(key))
        self._hub = HubSide(self.ledger, tokens, sealer, config, clock)
        self._hub.settle()
        self._programmes = Programmes(self.ledger)
        if not self._programmes.knows(programme.id):  # one that was superseded here stays so
            self._programmes.activate(programme, None)
        self._counter = Counter(self.ledger, tokens, self._programmes, config.shop.zone)
        elsewhere = Elsewhere(directory, clock.wall_ms)
        self._members = Members(self.ledger, tokens, sealer, elsewhere)
        shop = config.shop
        texts = (letterhead(config), elsewhere.message)
        self._paper = Paper(shop.name, shop.name_en, shop.language, shop.zone, self._programmes, *texts)
        self._printers = Printers(config, self.ledger, self._paper, clock)
        self._make_lanes(Sales(self._counter))
        self._notified = self._bells()
        self._open_sockets()
        for lane in self._all_lanes():
            self._thread(f"lane {lane.settings.terminal_id}", lane.run)
        if self._cable is not None:
            self._thread("cable", self._cable.run)
        if self._notified is not None:
            self._thread("notifications", self._notified.run)
        for name, work in self._printers.threads():
            self._thread(name, work)
        self._thread("log", self._log_keeper.run)
        notify.ready(self._summary())
        log.info("ready", version=__version__, terminals=[t.id for t in config.terminal])
        self._begin_the_rest()

    def _begin_the_rest(self) -> None:
        """What a sale does not need: sync, jobs, the log's full size. A machine without a descriptor, a
        thread or memory to spare gets them when it has."""
        self.ledger.look_after()
        if self._is_begun:
            return
        try:
            from vafa.app.upkeep_jobs import start_jobs  # the scheduler is loaded after READY

            if not self._is_syncing:
                self._hub.begin(self._counter, self._memory_only)
                self._is_syncing = True
            self._fill_log()
            self._jobs = start_jobs(self._config, self.ledger, self._clock, self._log_keeper)
            self._is_begun, self._unbegun = True, ""
            log.info("jobs and sync begun")
        except (OSError, MemoryError, RuntimeError) as error:  # RuntimeError: no thread can be started
            self._unbegun = str(error) or "out of memory"
            log.error("jobs and sync are not begun", reason=self._unbegun)

    def _fill_log(self) -> None:
        """Behind READY: a disk that refuses costs sales some time, no more; the job says it again."""
        try:
            self._log_keeper.fill()
        except LedgerError as error:
            log.warning("log not filled", reason=str(error), fix=error.fix)

    def _open_sockets(self) -> None:
        """All of them or none: a socket that cannot be opened ends the start, and the process with it."""
        self._local = self._local_lines()
        for server in (self._local, self._control_server()):
            try:
                server.start()
            except VafaError:
                self._close()
                raise
            self._servers.append(server)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; the exit code."""
        gc.freeze()  # what was loaded to start stays: no sale waits while the collector looks through it
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
        interval_s = min(notify.watchdog_interval_s() or STATUS_EVERY_S, STATUS_EVERY_S)
        while not self._wake.wait(interval_s):
            if self._lanes_live():
                notify.watchdog()
            notify.status(self._summary())
            self._begin_the_rest()
        return self.stop()

    def stop(self) -> int:
        """Finish the payment in hand, then close. EXIT_OUR_BUG when a thread had died."""
        notify.stopping()
        log.info("stopping", **({"crashed": self._crashed} if self._crashed else {}))
        for lane in self._all_lanes():
            lane.stop()
        if self._cable is not None:
            self._cable.stop()
        if self._notified is not None:
            self._notified.stop()
        self._printers.stop()
        self._log_keeper.stop()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(1.0)
                notify.watchdog()
        if self._jobs is not None:
            self._jobs.stop()
        self._hub.stop()
        self._close()
        log.info("stopped")
        return EXIT_OUR_BUG if self._crashed else 0

    def _close(self) -> None:
        for server in self._servers:
            server.stop()
        self.ledger.close()

    def live(self) -> Live:
        """What only the running daemon knows, for `status`."""
        local = tuple(
            LaneState(t.id, "local", "", "local", "a program tells us", disagreeing=self._told_again.of(t.id))
            for t in self._config.terminal
            if t.mode == "local"
        )
        return Live(
            version=__version__,
            pid=_pid(),
            up_s=self._clock.monotonic() - self._started_at,
            lanes=tuple(lane.state() for lane in self._all_lanes()) + local,
            ledger_failure=self.ledger.failure,
            ledger_fix=self.ledger.failed.fix if self.ledger.failed else "",
            ledger_code=self.ledger.failed.code if self.ledger.failed else "",
            has_reserve=self.ledger.has_reserve,
            unbegun=self._unbegun,
            jobs=self._jobs_seen(),
            local=self._local.states() if self._local else (),
            notifications=self._notified.facts() if self._notified else None,
            hub=self._hub.live(),
            printers=self._printers.states(),
        )

    def _make_lanes(self, sales: Sales) -> None:
        for terminal in self._config.terminal:
            if terminal.mode in ("ecr", "poll"):
                self.lanes[terminal.id] = Lane(
                    lane_settings(terminal),
                    self._counter,
                    sales,
                    self._paper,
                    self._clock,
                    lambda t=terminal: open_link(t.address, t.baud),  # type: ignore[misc]
                    self._times,
                )
            elif terminal.mode == "proxy":
                self._make_listener(terminal)

    def _make_listener(self, terminal: Terminal) -> None:
        from vafa.app.proxy_lane import ProxyLane, ProxySettings  # a megabyte no other mode needs
        from vafa.ports.relay_feed import connect_relay

        self.listeners[terminal.id] = ProxyLane(
            ProxySettings(terminal.id, terminal.address, terminal.poll, terminal.baud),
            self._counter,
            self._clock,
            lambda: connect_relay(self._config.relay_socket, terminal.id),
            self._times,
        )

    def _bells(self) -> "Notified | None":
        """Loaded only where the flag is on."""
        if not self._config.notifications.sadad:
            return None
        from vafa.app.notified import Notified

        bells = {tid: lane.poll_soon for tid, lane in self.lanes.items() if lane.settings.poll}
        return Notified(self._config.notifications.port, bells)

    @property
    def _cable(self) -> Cable | None:
        return self._local.cable if self._local else None

    def _local_lines(self) -> LocalLines:
        config = self._config
        desk = Desk(
            self._counter,
            self._members,
            self._paper,
            self._clock,
            Scheme.RRN if config.local.key == "rrn" else Scheme.SENDER,
            tuple(t.id for t in config.terminal if t.mode == "local"),
            self._sellers(),
            self._told_again,
        )
        return LocalLines(config, desk, self._clock)

    def _sellers(self) -> dict[str, Lane]:
        """The lanes that can be asked for a payment."""
        return {tid: lane for tid, lane in self.lanes.items() if lane.settings.mode == "ecr"}

    def _jobs_seen(self) -> dict[str, tuple[bool, float, str]]:
        now_ms = self._clock.wall_ms()
        if self._jobs is None:
            return {}
        return {
            name: (not ran.fault, (now_ms - ran.at_ms) / 1000, ran.fault)
            for name, ran in self._jobs.outcomes.items()
        }

    def _control_server(self) -> LineServer:
        config = self._config
        control = Control(
            self.ledger,
            self._counter,
            self._members,
            self._paper,
            self._programmes,
            self._sellers(),
            self.live,
            self._times,
            lambda: facts(config),
            self._clock,
            self._printers.print_on,
            {hub_questions.Enrol: self._hub.enrol, **dict.fromkeys(SYNC_QUESTIONS, self._hub.sync)},
        )
        return LineServer(
            UnixPlace(config.control_socket, SOCKET_MODE, config.control.group),
            lambda line, peer: control.answer(line, by=f"uid {peer.uid}"),
            refuse=control.refusal,
        )

    def _thread(self, name: str, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # our bug: say so, end the process, start whole again
                log.exception("thread died", thread=name)
                self._ends_crashed(name, type(error))

        thread = threading.Thread(target=guarded, name=name)
        thread.start()
        self._threads.append(thread)

    def thread_died(self, told: threading.ExceptHookArgs) -> None:
        """For `threading.excepthook`. A socket without its acceptor is deaf; a client's thread ends alone."""
        name = told.thread.name if told.thread is not None else "a thread"
        if told.exc_type is not SystemExit and told.exc_value is not None:
            log.error("thread died", thread=name, exc_info=told.exc_value)
            if not name.startswith("client "):
                self._ends_crashed(name, told.exc_type)

    def _ends_crashed(self, name: str, kind: type[BaseException]) -> None:
        self._crashed = f"{name}: {kind.__name__}"
        self._wake.set()

    def _lanes_live(self) -> bool:
        now = self._clock.monotonic()
        return all(now - lane.stepped_at < HUNG_AFTER_S for lane in self._all_lanes())

    def _all_lanes(self) -> "list[Lane | ProxyLane]":
        return [*self.lanes.values(), *self.listeners.values()]

    def _memory_only(self) -> int:
        return sum(lane.state().unposted for lane in self._all_lanes())

    def _summary(self) -> str:
        count = len(self._config.terminal)
        lanes = self._all_lanes()
        closed = sum(lane.state().line == "closed" for lane in lanes)
        lines = f"{closed} of {len(lanes)} lines closed" if closed else "all lines open"
        noun = "terminal" if count == 1 else "terminals"
        return f"{count} {noun}, {lines}, journal at {self.ledger.head.seq}"


def lane_settings(terminal: Terminal) -> LaneSettings:
    """A terminal's configuration as its lane needs it."""
    return LaneSettings(
        terminal_id=terminal.id,
        address=terminal.address,
        card_first=terminal.card_first,
        text_language="" if terminal.text == "off" else terminal.text,
        answer_timeout_s=terminal.answer_timeout_s,
        mode="poll" if terminal.mode == "poll" else "ecr",
        poll=terminal.poll,
        baud=terminal.baud,
    )


def configured_programme(path: Path | None) -> Programme:
    """The club's rules the configuration names, or the packaged plain example. ProgrammeError."""
    if path is None:
        return parse(example(), "the packaged example programme")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProgrammeError(str(path), [Fault("file", f"cannot be read: {error}")]) from error
    return parse(text, str(path))


def _pid() -> int:
    import os

    return os.getpid()
