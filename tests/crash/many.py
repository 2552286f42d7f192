"""As many crash states as wanted, on every core: scripts/crash-states [STATES] [SEED].

Each round is a new trace of the real processes and a new choice of disks; the kinds of day take turns. Prints
a line a round, at the end how many states of each kind were judged. Exits 1 on a fault.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from crash.days import DAYS
from crash.states import faults

IMAGES_PER_STEP = {
    "sales": 6,
    "upkeep": 5,
    "enrolment": 8,
    "sync answers": 6,
    "migration": 15,
    "backup and restore": 6,
}


def one_round(day: str, seed: int) -> tuple[str, int, Counter[str], list[str]]:
    """(kind of day, its seed, states judged by what was being done, faults). The seed repeats the disks."""
    structlog.configure(processors=[_silent])
    shared = Path("/dev/shm")  # noqa: S108 - a private directory is made inside
    counted: Counter[str] = Counter()
    with TemporaryDirectory(prefix="vafa-crash-", dir=shared if shared.is_dir() else None) as directory:
        traced = DAYS[day](Path(directory))
        found = traced.states(seed, IMAGES_PER_STEP[day])
        _, wrong = faults(found, Path(directory), traced.judge, counted)
    return day, seed, counted, wrong


def _silent(_log: object, _name: str, _event: object) -> str:
    raise structlog.DropEvent


def _rounds(seed: int) -> Iterator[tuple[str, int]]:
    while True:
        yield from ((day, seed + place) for place, day in enumerate(DAYS))
        seed += len(DAYS)


def main(states_wanted: int, seed: int) -> int:
    """Rounds until enough states were judged; the exit code."""
    counted: Counter[str] = Counter()
    wrong: list[str] = []
    began, rounds = time.monotonic(), _rounds(seed)
    with ProcessPoolExecutor() as workers:
        begun: set[Future[tuple[str, int, Counter[str], list[str]]]] = set()
        while counted.total() < states_wanted and not wrong:
            while len(begun) < (os.cpu_count() or 1):
                begun.add(workers.submit(one_round, *next(rounds)))
            done, begun = wait(begun, return_when=FIRST_COMPLETED)
            for day, its_seed, states, found in (each.result() for each in done):
                counted += states
                wrong += found
                say(f"{counted.total()} states, {len(wrong)} faults ({day}, seed {its_seed})", *found[:3])
    took_s = time.monotonic() - began
    say(
        f"{counted.total()} states in {took_s:.0f} s, {len(wrong)} faults",
        *(f"{count:>8,} {kind}" for kind, count in counted.most_common()),
    )
    return 1 if wrong else 0


def say(*lines: str) -> None:
    """To whoever runs it."""
    print(*lines, sep="\n  ", flush=True)  # noqa: T201


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sys.exit(main(wanted, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 1))
