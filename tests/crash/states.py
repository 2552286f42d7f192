"""Crash states: images of the disk after prefixes of a trace, each opened and judged."""

import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from crash.disk import Disk, Image
from crash.judge import acknowledged, fault_of
from crash.strace_log import Answer, Step


class State(NamedTuple):
    """One disk a power cut may leave after `step` steps, and the replies sent by then."""

    step: int
    image: Image
    answers: list[dict[str, Any]]


def states(steps: Sequence[Step], seed: int, images_per_step: int) -> Iterator[State]:
    """Distinct states: for each prefix that changes what may be on the disk or was promised, some images."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, no secret
    disk = Disk()
    answers: list[dict[str, Any]] = []
    seen: set[bytes] = set()
    for number, step in enumerate(steps):
        disk.take(step)
        if isinstance(step, Answer):
            answer = acknowledged(step.data)
            if answer is None:
                continue
            answers.append(answer)
        for _ in range(images_per_step):
            image = disk.image(chance)
            name = _name(image, len(answers))
            if name not in seen:
                seen.add(name)
                yield State(number + 1, image, answers)


def faults(found: Iterable[State], scratch: Path) -> tuple[int, list[str]]:
    """(states judged, what is wrong with each bad one)."""
    judged, wrong = 0, []
    for judged, state in enumerate(found, start=1):  # noqa: B007 - the count is the answer
        directory = scratch / "image"
        fault = fault_of(state.image, state.answers, directory)
        shutil.rmtree(directory)
        if fault:
            wrong.append(f"after step {state.step}: {fault}")
    return judged, wrong


def _name(image: Image, answers: int) -> bytes:
    digest = blake2b(str(answers).encode(), digest_size=16)
    for path, content in image.items():
        digest.update(f"{path} {len(content)} ".encode() + content)
    return digest.digest()
