"""The jobs that run beside the sales, on a device whose clock lies.

A flat RTC cell starts in 1970 and jumps 56 years at the first NTP answer. APScheduler 3 plans by the wall
clock: after a jump back it fires nothing for years, after a jump forth its own triggers catch up run by run
until the memory is gone. So the next run is always computed from *now* (`FromNow`), and a watch compares the
wall clock with the monotonic one and plans every job anew on a jump, to the moment it is due on the
monotonic clock: a jump neither skips nor repeats a run.

Import this module after READY only: APScheduler costs 95 ms of CPU. Of what it would load another 3 MB are
kept out: reading its own version and plugins out of installed packages (importlib.metadata, with email and
zipfile behind it), and pools of processes.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import structlog

from vafa.app.config import Jobs as JobSettings
from vafa.app.stand_ins import kept_out
from vafa.app.without_asyncio import asyncio_kept_out
from vafa.model.errors import LedgerDamaged
from vafa.ports.clock import Clock


class _NotLookedFor(Exception):
    """What APScheduler is told when it asks which version it is."""


def _no_version(_package: str) -> str:
    raise _NotLookedFor


with (
    asyncio_kept_out(),
    kept_out(
        "importlib.metadata",
        version=_no_version,
        PackageNotFoundError=_NotLookedFor,
        entry_points=lambda **_: (),  # its plugins are given as objects, never by name
    ),
    kept_out("concurrent.futures.process", BrokenProcessPool=_NotLookedFor),
):
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.base import BaseTrigger

JUMP_S = 5.0  # clocks that have parted by more were set, or go wrong: then all is planned anew
WATCH_EVERY_S = 30.0
_MINUTE_S, _HOUR_S = 60.0, 3600.0
SETTLE_EVERY_S = 60.0  # a hold outlives its deadline by this at most, unless somebody touches it

log = structlog.get_logger()


class Job(msgspec.Struct, frozen=True):
    """`work` is run every `every_s` seconds, first one interval after the start; never twice at once."""

    name: str
    every_s: float
    work: Callable[[], object]


class Outcome(msgspec.Struct, frozen=True):
    """The last run of a job, for `vafa status`. `fault` is '' when it went well."""

    at_ms: int
    result: object = None
    fault: str = ""


class FromNow(BaseTrigger):  # type: ignore[misc]  # APScheduler 3 has no types
    """Fires one interval from now, whatever had been planned: nothing is ever caught up."""

    def __init__(self, interval_s: float, clock: Clock) -> None:
        self._interval_s, self._clock = interval_s, clock
        self._due = 0.0  # monotonic

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        """APScheduler asks again from each run it believes missed until the answer lies beyond `now`; this
        one does at once."""
        self._due = self._clock.monotonic() + self._interval_s
        return now + timedelta(seconds=self._interval_s)

    def planned_anew(self, now: datetime) -> datetime:
        """The moment of the run already due, told on a wall clock that was just set."""
        return now + timedelta(seconds=max(0.0, self._due - self._clock.monotonic()))


def threaded() -> BackgroundScheduler:
    """One thread that plans and one that works: jobs queue behind each other, never beside."""
    return BackgroundScheduler(timezone=UTC, executors={"default": ThreadPoolExecutor(1)})


class Jobs:
    """Runs jobs from `start` to `stop`. `make_scheduler` is APScheduler's, replaced in simulations."""

    def __init__(
        self,
        jobs: Sequence[Job],
        clock: Clock,
        make_scheduler: Callable[[], BackgroundScheduler] = threaded,
    ) -> None:
        self._clock = clock
        self._scheduler = make_scheduler()
        self._triggers = {job.name: FromNow(job.every_s, clock) for job in jobs}
        self._outcomes: dict[str, Outcome] = {}
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="clock watch", daemon=True)
        self._apart_s = self._clocks_apart_s()
        for job in jobs:
            self._scheduler.add_job(
                self._run,
                self._triggers[job.name],
                args=(job,),
                id=job.name,
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,  # late is better than not
            )

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Job name -> its last run; a job that has not run yet is not in it."""
        return dict(self._outcomes)

    def start(self) -> None:
        self._watcher.start()  # first: without a thread to spare nothing is begun
        try:
            self._scheduler.start()
        except RuntimeError:
            self._stopping.set()
            raise

    def stop(self) -> None:
        """Waits for the job in hand; the service manager bounds the whole."""
        self._stopping.set()
        self._watcher.join()
        self._scheduler.shutdown(wait=True)

    def watch_clock(self) -> bool:
        """One look at the clocks; True when the wall clock was set, and every job is planned anew."""
        apart_s = self._clocks_apart_s()
        moved_s = apart_s - self._apart_s  # since they were last planned: many small steps are a jump too
        if abs(moved_s) < JUMP_S:
            return False
        self._apart_s = apart_s
        log.warning("clock_set", moved_s=round(moved_s))
        now = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC)
        for name, trigger in self._triggers.items():
            self._scheduler.modify_job(name, next_run_time=trigger.planned_anew(now))
        return True

    def _clocks_apart_s(self) -> float:
        return self._clock.wall_ms() / 1000 - self._clock.monotonic()

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_EVERY_S):
            self.watch_clock()

    def _run(self, job: Job) -> None:
        """A job's outermost boundary: what went wrong becomes the outcome that `status` shows."""
        try:
            outcome = Outcome(self._clock.wall_ms(), job.work())
            if outcome.result != "":  # nothing to tell each minute
                log.info("job_done", job=job.name, result=outcome.result)
        except Exception as error:
            outcome = Outcome(self._clock.wall_ms(), fault=str(error) or type(error).__name__)
            log.exception("job_failed", job=job.name)
        self._outcomes[job.name] = outcome


def ledger_jobs(
    settings: JobSettings,
    checkpoint: Callable[[], object],
    check_integrity: Callable[[], list[str]],
    backup: Callable[[], object],
    settle: Callable[[], object],
) -> tuple[Job, ...]:
    """The jobs of a ledger: its upkeep (ledger.upkeep) as often as config.toml says, and what time ends."""

    def check() -> str:
        problems = check_integrity()
        if problems:
            raise LedgerDamaged("; ".join(problems), fix="vafa verify, then docs/operations.md")
        return "sound"

    return (
        Job("checkpoint", settings.checkpoint_every_min * _MINUTE_S, checkpoint),
        Job("integrity", settings.integrity_every_h * _HOUR_S, check),
        Job("backup", settings.backup_every_h * _HOUR_S, backup),
        Job("points", SETTLE_EVERY_S, settle),
    )
