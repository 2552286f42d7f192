"""Jobs keep their pace while the wall clock jumps 56 years either way, and catch nothing up."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
import structlog
from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler

from vafa.app.config import Jobs as JobSettings
from vafa.app.jobs import WATCH_EVERY_S, Job, Jobs, ledger_jobs
from vafa.ports.clock import ManualClock, SystemClock

YEARS_56_S = 56 * 365.25 * 86_400
PATIENCE_S = 20.0


class Stepped(BackgroundScheduler):  # type: ignore[misc]  # APScheduler 3 has no types
    """APScheduler without its thread: the simulation decides when it wakes."""

    def start(self) -> None:
        BaseScheduler.start(self)

    def shutdown(self, *, wait: bool = True) -> None:
        BaseScheduler.shutdown(self, wait)

    def wakeup(self) -> None:
        self.woken = True


class Simulation:
    """Jobs, the scheduler's thread and the watch, in one thread on a clock that is told what to show."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **every_s: float) -> None:
        self.clock = ManualClock(wall_ms=0)  # 1970: the RTC cell is flat
        clock = self.clock

        class Told(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> "Told":
                return cls.fromtimestamp(clock.wall_ms() / 1000, tz)

        monkeypatch.setattr("apscheduler.schedulers.base.datetime", Told)
        self.scheduler = Stepped(timezone=UTC, executors={"default": DebugExecutor()})
        self.runs: dict[str, list[float]] = {name: [] for name in every_s}
        jobs = [Job(name, every, self.work(name)) for name, every in every_s.items()]
        self.jobs = Jobs(jobs, self.clock, lambda: self.scheduler)
        self.scheduler.start()

    def work(self, name: str) -> Callable[[], object]:
        return lambda: self.runs[name].append(self.clock.monotonic())

    def live(self, seconds: float) -> None:
        """As the two threads would: the scheduler sleeps as long as it wants, the watch looks every 30 s."""
        end = self.clock.monotonic() + seconds
        wakes = look = self.clock.monotonic()
        while self.clock.monotonic() < end:
            now = self.clock.monotonic()
            if now >= look:
                self.jobs.watch_clock()
                look = now + WATCH_EVERY_S
            if now >= wakes or self.scheduler.woken:
                self.scheduler.woken = False
                wakes = now + (self.scheduler._process_jobs() or PATIENCE_S)
            self.clock.advance(max(0.01, min(wakes, look, end) - now))


@pytest.fixture(autouse=True)
def _quiet() -> object:
    with structlog.testing.capture_logs() as logged:
        yield logged


def gaps(runs: list[float]) -> list[float]:
    return [later - earlier for earlier, later in zip([0.0, *runs], runs, strict=False)]


def test_a_quiet_day_runs_each_job_once_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Simulation(monkeypatch, checkpoint=3600.0, backup=86_400.0)
    shop.live(86_401)
    assert len(shop.runs["checkpoint"]) == 24
    assert len(shop.runs["backup"]) == 1


@pytest.mark.parametrize("jump_s", [YEARS_56_S, -YEARS_56_S / 100, 3600.0, -3600.0])
@pytest.mark.parametrize("after_s", [10.0, 1800.0, 3599.0])
def test_no_run_is_later_than_one_interval_and_none_is_caught_up(
    monkeypatch: pytest.MonkeyPatch, jump_s: float, after_s: float
) -> None:
    shop = Simulation(monkeypatch, checkpoint=3600.0, backup=86_400.0)
    if jump_s < 0:
        shop.clock.jump(YEARS_56_S)
    shop.live(after_s)
    shop.clock.jump(jump_s)
    shop.live(6 * 3600)
    assert 6 <= len(shop.runs["checkpoint"]) <= 8
    assert max(gaps(shop.runs["checkpoint"])) <= 3600 + WATCH_EVERY_S
    assert len(shop.runs["backup"]) <= 1  # it may come early, once


def test_a_scheduler_that_wakes_before_the_watch_sees_one_run_not_half_a_million(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Simulation(monkeypatch, checkpoint=3600.0)
    shop.clock.jump(YEARS_56_S)
    now = datetime.fromtimestamp(shop.clock.wall_ms() / 1000, UTC)
    planned = shop.scheduler.get_job("checkpoint")
    assert len(planned._get_run_times(now)) == 1
    shop.scheduler._process_jobs()
    assert len(shop.runs["checkpoint"]) == 1
    assert shop.scheduler.get_job("checkpoint").next_run_time == now + timedelta(hours=1)


def test_a_clock_that_jumps_all_day_starves_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Simulation(monkeypatch, checkpoint=3600.0)
    for hop in range(240):
        shop.clock.jump(YEARS_56_S if hop % 2 == 0 else -YEARS_56_S)
        shop.live(360)
    assert max(gaps(shop.runs["checkpoint"])) <= 3600 + 2 * WATCH_EVERY_S
    assert len(shop.runs["checkpoint"]) <= 240  # at most one early run a jump


def test_a_clock_that_only_drifts_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Simulation(monkeypatch, checkpoint=3600.0)
    shop.clock.advance(30)
    shop.clock.jump(0.5)
    assert not shop.jobs.watch_clock()
    shop.clock.jump(-YEARS_56_S)
    assert shop.jobs.watch_clock()
    assert not shop.jobs.watch_clock()


def test_a_job_that_fails_shows_its_fault_and_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Simulation(monkeypatch)
    answers = iter([["ledger.db: page 7 is broken"], []])
    jobs = ledger_jobs(JobSettings(), lambda: "done", lambda: next(answers), lambda: 1 / 0, lambda: "")
    shop.jobs = Jobs(jobs, shop.clock, lambda: Stepped(timezone=UTC, executors={"default": DebugExecutor()}))
    shop.scheduler = shop.jobs._scheduler
    shop.scheduler.start()
    shop.live(86_401)
    assert shop.jobs.outcomes["checkpoint"].result == "done"
    assert shop.jobs.outcomes["integrity"].fault == "ledger.db: page 7 is broken"
    assert shop.jobs.outcomes["backup"].fault == "division by zero"
    shop.live(86_401)
    assert shop.jobs.outcomes["integrity"].fault == ""


def test_on_real_threads_a_job_runs_and_stopping_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    twice = threading.Semaphore(0)
    jobs = Jobs([Job("often", 0.01, twice.release)], SystemClock())
    jobs.start()
    assert twice.acquire(timeout=PATIENCE_S)
    assert twice.acquire(timeout=PATIENCE_S)
    jobs.stop()
    assert set(threading.enumerate()) <= before
    assert jobs.outcomes["often"].fault == ""


@pytest.mark.parametrize("every_s", [60.0, 3600.0])
def test_a_clock_that_stands_still_starves_no_job(monkeypatch: pytest.MonkeyPatch, every_s: float) -> None:
    shop = Simulation(monkeypatch, work=every_s)
    advance = shop.clock.advance

    def stopped(seconds: float) -> None:
        advance(seconds)
        shop.clock.jump(-seconds)

    monkeypatch.setattr(shop.clock, "advance", stopped)
    shop.live(10 * every_s)
    assert max(gaps(shop.runs["work"])) <= every_s + 2 * WATCH_EVERY_S
    assert len(shop.runs["work"]) >= 6


@pytest.mark.parametrize("step_s", [-1.0, -4.0, 4.0])
def test_a_clock_set_by_a_second_again_and_again_starves_no_job_and_hurries_none(
    monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    """Each step is too small to be a jump; together they would put a run off by a seventh of its interval."""
    shop = Simulation(monkeypatch, checkpoint=3600.0)
    for _ in range(6 * 120):
        shop.clock.jump(step_s)
        shop.live(30)
    found = gaps(shop.runs["checkpoint"])
    assert max(found) <= 3600 + 2 * WATCH_EVERY_S
    assert min(found) >= 3600 - 2 * WATCH_EVERY_S
