"""Crash states: images of the disk after prefixes of a trace, each opened and judged."""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crash.disk import Disk, Image
from crash.judge import acknowledged, fault_of
from crash.strace_log import Answer, Rename, Step

Judge = Callable[[Image, list[dict[str, Any]], Path], str]
SPOKEN = {  # what was being done, by the answer that came of it
    "paid": "award",
    "undone": "void or refund",
    "redeemed": "redemption",
    "known": "member",
    "key told": "enrolment",
    "enrolled": "enrolment",
    "synced": "sync answer",
    "backed up": "backup",
    "restored": "restore",
}
PLACES = (  # where a file's name alone tells it
    ("backups/", "backup"),
    ("usb/", "backup"),
    (".restoring/", "restore"),
    ("sync/", "sync answer"),
    ("enrolment", "enrolment"),
    ("keys/sync", "enrolment"),
    ("keys/merchant", "enrolment"),
)
RARE = {"enrolment": 8, "restore": 12, "migration": 4}  # a few dozen steps of a day: more disks of each


class State(NamedTuple):
    """One disk a power cut may leave after `step` steps, the replies sent by then, what was being done."""

    step: int
    image: Image
    answers: list[dict[str, Any]]
    kind: str


def states(
    steps: Sequence[Step],
    seed: int,
    images_per_step: int,
    begins: int = 0,
    promised: Sequence[dict[str, Any]] = (),
    opening: str = "",
) -> Iterator[State]:
    """Distinct states: for each prefix that changes what may be on the disk or was promised, some images.

    begins    so many steps were durable before the first that counts; promised: what was said before it
    opening   what is done up to the first answer, where that is more than a start
    """
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, no secret
    disk = Disk()
    answers = list(promised)
    seen: set[int] = set()
    kinds = kinds_of(steps)
    heard = next(
        (n for n, step in enumerate(steps) if isinstance(step, Answer) and acknowledged(step.data)), 0
    )
    for number, step in enumerate(steps):
        disk.take(step)
        if isinstance(step, Answer):
            answer = acknowledged(step.data)
            if answer is None:
                continue
            answers.append(answer)
        kind = opening if opening and number < heard else kinds[number]
        for _ in range(images_per_step * RARE.get(kind, 1) if number >= begins else 0):
            image = disk.image(chance)
            name = hash((tuple(image.items()), len(answers)))
            if name not in seen:
                seen.add(name)
                yield State(number + 1, image, answers, kind)


def kinds_of(steps: Sequence[Step]) -> list[str]:
    """What each step was a part of: by the file it touched, else by the answer that came next."""
    kinds: list[str] = []
    following = "start or stop"
    for step in reversed(steps):
        answer = acknowledged(step.data) if isinstance(step, Answer) else None
        if answer is not None:
            following = SPOKEN[answer["answer"]]
        path = step.new if isinstance(step, Rename) else getattr(step, "path", "")
        found = next((kind for begin, kind in PLACES if path.startswith(begin)), "")
        if path == "ledger.db" and following != "restored":
            found = "checkpoint"
        kinds.append(found or following)
    return kinds[::-1]


def is_seen(said: str, found: Iterable[State], scratch: Path, judge: Judge) -> bool:
    """True as soon as the judge says so of a state."""
    for state in found:
        fault = judge(state.image, state.answers, scratch / "image")
        shutil.rmtree(scratch / "image")
        if said in fault:
            return True
    return False


def faults(
    found: Iterable[State], scratch: Path, judge: Judge = fault_of, counted: Counter[str] | None = None
) -> tuple[int, list[str]]:
    """(states judged, what is wrong with each bad one). `counted` adds them up by kind."""
    judged, wrong = 0, []
    for judged, state in enumerate(found, start=1):  # noqa: B007 - the count is the answer
        directory = scratch / "image"
        fault = judge(state.image, state.answers, directory)
        shutil.rmtree(directory)
        if counted is not None:
            counted[state.kind] += 1
        if fault:
            wrong.append(f"after step {state.step} ({state.kind}): {fault}")
    return judged, wrong
