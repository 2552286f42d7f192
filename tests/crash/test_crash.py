"""Power cuts and kills of the real daemon: every acknowledged award is there once, and the shop goes on."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from crash.morning import UNALTERED, altered, morning
from crash.states import faults, states
from crash.strace_log import Answer, Rename, StraceLog, Sync, Write

SEED = 20_261_123
PAYMENTS = 60
STATES_MIN = 1_000


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory on tmpfs where there is one: thousands of images would wear a disk out."""
    from tempfile import TemporaryDirectory

    shared = Path("/dev/shm")  # noqa: S108 - a private directory is made inside
    with TemporaryDirectory(prefix="vafa-crash-", dir=shared if shared.is_dir() else None) as directory:
        yield Path(directory)


@pytest.fixture(autouse=True)
def need_strace() -> None:
    """A person without strace is told; continuous integration must have it."""
    if shutil.which("strace") is None:
        assert os.environ.get("CI") != "true", "strace is missing: apt-get install strace"
        pytest.skip("strace is missing (apt-get install strace): no crash states of the daemon")


def test_every_acknowledged_award_is_there_once_after_any_power_cut(memory: Path) -> None:
    log = morning(UNALTERED, memory, PAYMENTS)
    judged, wrong = faults(states(log.steps, SEED, images_per_step=2), memory)
    assert wrong == []
    assert judged >= STATES_MIN


@pytest.mark.alone
def test_payments_that_share_a_commit_are_each_there_once_after_any_power_cut(memory: Path) -> None:
    log = morning(UNALTERED, memory, PAYMENTS, at_once=6)
    flushes = [step for step in log.steps if isinstance(step, Sync) and step.path.endswith("-wal")]
    filled = [step for step in log.steps if isinstance(step, Write) and not step.data.strip(b"\0")]
    assert len(flushes) - len(filled) < PAYMENTS
    judged, wrong = faults(states(log.steps, SEED, images_per_step=1), memory)
    assert wrong == []
    assert judged >= STATES_MIN / 2


@pytest.mark.alone
def test_what_was_held_or_spent_is_so_after_any_power_cut(memory: Path) -> None:
    log = morning(UNALTERED, memory, PAYMENTS // 2, spend_after=6)
    said = b"".join(step.data for step in log.steps if isinstance(step, Answer))
    assert min(said.count(b'"state":"%s"' % state) for state in (b"held", b"captured", b"released")) >= 5
    judged, wrong = faults(states(log.steps, SEED, images_per_step=2), memory)
    assert wrong == []
    assert judged >= STATES_MIN / 2


def test_checkpoints_and_backups_between_the_sales_lose_nothing(memory: Path) -> None:
    log = morning(altered("hasty"), memory, PAYMENTS, awaited="backups/ledger-*.db")
    assert any(isinstance(step, Rename) and step.new.startswith("backups/ledger-") for step in log.steps)
    judged, wrong = faults(states(log.steps, SEED, images_per_step=1), memory)
    assert wrong == []
    assert judged >= STATES_MIN / 2


def test_commits_that_are_not_synced_are_caught_losing_awards(memory: Path) -> None:
    log = morning(altered("lazy"), memory, PAYMENTS // 4)
    _, wrong = faults(states(log.steps, SEED, images_per_step=2), memory)
    assert any("sale-" in fault and "acknowledged and is gone" in fault for fault in wrong)


def test_an_answer_that_leaves_one_call_before_its_commit_is_durable_is_caught(memory: Path) -> None:
    log = morning(UNALTERED, memory, PAYMENTS // 4)
    hasty = list(log.steps)
    for place in range(1, len(hasty)):
        if isinstance(hasty[place], Answer) and isinstance(hasty[place - 1], Sync):
            hasty[place - 1 : place + 1] = [hasty[place], hasty[place - 1]]
    _, wrong = faults(states(hasty, SEED, images_per_step=2), memory)
    assert any("acknowledged and is gone" in fault for fault in wrong)


def test_the_morning_is_what_it_says(memory: Path) -> None:
    log: StraceLog = morning(UNALTERED, memory, 8)
    said = b"".join(step.data for step in log.steps if isinstance(step, Answer))
    assert said.count(b'"answer":"paid"') == 8 + 3, "eight payments, and three repeated after the restart"
