"""Power cuts and kills of the real daemon: what was acknowledged is there once, and the shop goes on."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash import altered, days
from crash.days import Day
from crash.judge import fault_of
from crash.morning import UNALTERED, morning
from crash.states import faults, is_seen, states
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


# Of each kind, at least so many states; all of them with the rest of this file make more than 5,000.
@pytest.mark.parametrize(
    ("day", "images_per_step", "of_each"),
    [
        (days.sales, 1, {"award": 200, "void or refund": 100, "redemption": 200, "member": 50}),
        (days.upkeep, 1, {"checkpoint": 40, "backup": 80, "award": 100}),
        (days.enrolment, 1, {"enrolment": 80, "member": 25}),
        (days.sync_answers, 1, {"sync answer": 80, "award": 100}),
        (days.migration, 4, {"migration": 100}),
        (days.backup_and_restore, 1, {"backup": 80, "restore": 60, "award": 50}),
    ],
)
def test_whatever_is_being_done_when_the_power_goes_is_there_or_undone_and_the_shop_goes_on(
    memory: Path, day: Callable[[Path], Day], images_per_step: int, of_each: dict[str, int]
) -> None:
    counted: Counter[str] = Counter()
    traced = day(memory)
    _, wrong = faults(traced.states(SEED, images_per_step), memory, traced.judge, counted)
    assert wrong == []
    assert {kind: counted[kind] >= least for kind, least in of_each.items()} == dict.fromkeys(of_each, True)


@pytest.mark.alone
def test_payments_that_share_a_commit_are_each_there_once_after_any_power_cut(memory: Path) -> None:
    log = morning(UNALTERED, memory, PAYMENTS, at_once=6)
    flushes = [step for step in log.steps if isinstance(step, Sync) and step.path.endswith("-wal")]
    filled = [step for step in log.steps if isinstance(step, Write) and not step.data.strip(b"\0")]
    assert len(flushes) - len(filled) < PAYMENTS
    judged, wrong = faults(states(log.steps, SEED, images_per_step=1), memory)
    assert wrong == []
    assert judged >= STATES_MIN / 2


def test_the_days_are_what_they_say(memory: Path) -> None:
    (memory / "morning").mkdir()
    log: StraceLog = morning(UNALTERED, memory / "morning", 8)
    said = b"".join(step.data for step in log.steps if isinstance(step, Answer))
    assert said.count(b'"answer":"paid"') == 8 + 3, "eight payments, and three repeated after the restart"
    (memory / "upkeep").mkdir()
    steps = days.upkeep(memory / "upkeep").steps
    assert any(isinstance(step, Rename) and step.new.startswith("backups/ledger-") for step in steps)


# What is switched off, on which day, and what the judge then says.
@pytest.mark.parametrize(
    ("guard", "day", "images_per_step", "said"),
    [
        ("lazy", days.sales, 1, "acknowledged and is gone"),
        ("unsynced-key", days.sales, 2, "does not start: the device key"),
        ("unsynced-key", days.enrolment, 2, "does not start: the device key"),
        ("unsynced-enrolment", days.enrolment, 4, "enrolment"),
        ("unsynced-backup", days.upkeep, 2, "ledger-000001.db: "),
        ("unnamed-backup", days.backup_and_restore, 1, "the backup was told of and is gone"),
        ("piecemeal-migration", days.migration, 4, "does not start"),
        ("early-have", days.sync_answers, 1, "is taken, and"),
        ("bare-restore", days.backup_and_restore, 2, "acknowledged and is gone"),
        ("old-epoch", days.backup_and_restore, 2, "goes on in its old epoch"),
    ],
)
def test_each_guard_switched_off_is_seen(
    memory: Path, guard: str, day: Callable[..., Day], images_per_step: int, said: str
) -> None:
    traced = day(memory, altered.command("short", guard))
    assert is_seen(said, traced.states(SEED, images_per_step), memory, traced.judge)


def test_an_answer_that_leaves_one_call_before_its_commit_is_durable_is_caught(memory: Path) -> None:
    log = morning(UNALTERED, memory, PAYMENTS // 4)
    hasty = list(log.steps)
    for place in range(1, len(hasty)):
        if isinstance(hasty[place], Answer) and isinstance(hasty[place - 1], Sync):
            hasty[place - 1 : place + 1] = [hasty[place], hasty[place - 1]]
    assert is_seen("acknowledged and is gone", states(hasty, SEED, images_per_step=2), memory, fault_of)
