"""A disk that fails under the daemon: nothing is acknowledged that it did not take, and the shop recovers."""

import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from crash import altered
from crash.morning import CONFIG, Daemon, payment
from crash.states import faults, states
from crash.strace_log import StraceLog, SyncFailed

SEED = 7
PAYMENTS = 30  # strace counts the calls of each thread; more than the start needs (it makes some 200 writes)
FEW = 12  # payments: their thread makes fewer syncs than the filling, which so is the only one that fails
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and os.environ.get("CI") != "true", reason="strace is missing"
)


def day_with(
    injected: str,
    directory: Path,
    vafa: tuple[str, ...] = altered.command("unfilled"),
    payments: int = PAYMENTS,
    until: str = "",
) -> tuple[StraceLog, list[dict[str, Any]]]:
    """Payments on a new ledger, each asked until granted, at most twice; and again after a kill.

    until  what the first run has to have said before it is killed
    """
    state = directory / "state"
    state.mkdir()
    config, log = directory / "config.toml", StraceLog(state)
    config.write_text(CONFIG.format(directory))
    command = (*vafa, "run", "--config", str(config))
    for run, options in enumerate([["-e", f"inject={injected}"], []]):
        daemon = Daemon(command, directory / "local.sock", directory / f"run{run}.strace", options)
        try:
            answers = []
            for number in range(payments):
                answers.append(daemon.try_to(**payment(number)))
                if answers[-1]["answer"] == "failure":
                    answers.append(daemon.try_to(**payment(number)))
            if run == 0:
                daemon.wait_until_said(until)
            daemon.end(signal.SIGTERM if run else signal.SIGKILL)
        finally:
            daemon.abandon()
        log.read(directory / f"run{run}.strace")
        if run == 0:
            broken = answers
    assert all(answer["answer"] == "paid" for answer in answers), "after a restart all is taken"
    return log, broken


@needs_strace
@pytest.mark.parametrize("number", [16, 20, 26])
def test_one_failed_sync_is_told_and_a_repeat_makes_it_durable(tmp_path: Path, number: int) -> None:
    log, answers = day_with(f"fdatasync:error=EIO:when={number}", tmp_path)
    assert Counter(answer["answer"] for answer in answers) == {"paid": PAYMENTS, "failure": 1}
    assert any(isinstance(step, SyncFailed) for step in log.steps)
    assert faults(states(log.steps, SEED, images_per_step=1), tmp_path)[1] == []


@needs_strace
@pytest.mark.parametrize("number", [17, 22])  # the start makes fewer than 16, the filling 17 after them
def test_a_failed_sync_while_the_log_is_filled_loses_nothing(tmp_path: Path, number: int) -> None:
    short, refused = altered.command("short"), f"fdatasync:error=EIO:when={number}"
    log, answers = day_with(refused, tmp_path, short, FEW, until="log not filled")
    assert [answer["answer"] for answer in answers] == ["paid"] * FEW
    assert any(isinstance(step, SyncFailed) for step in log.steps)
    assert faults(states(log.steps, SEED, images_per_step=1), tmp_path)[1] == []


@needs_strace
@pytest.mark.parametrize(
    "injected",
    ["fdatasync:error=EIO:when=18+", "pwrite64:error=ENOSPC:when=300+", "pwrite64:error=EIO:when=270+"],
)
def test_a_disk_that_stays_broken_gets_no_acknowledgement(tmp_path: Path, injected: str) -> None:
    log, answers = day_with(injected, tmp_path)
    said = [answer["answer"] for answer in answers]
    first = said.index("failure")
    assert first > 0
    assert set(said[first:]) == {"failure"}
    assert {answer["code"] for answer in answers[first:]} == {"LED-001"}
    assert faults(states(log.steps, SEED, images_per_step=1), tmp_path)[1] == []
