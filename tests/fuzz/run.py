"""Fuzzes every reader of bytes from outside: `scripts/fuzz [TARGET ...] [--count N] [--seed S]`.

Inputs come in parts of their own seeds, each in a process of its own, so that the same part gives the same
inputs wherever and beside whatever it runs. An input that finds something is written to a file and can be
read again alone (`--input FILE`). Judged besides what each target judges: the CPU time of each input, and
memory, which after the first quarter of a part must not grow.
"""

import argparse
import gc
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from hashlib import blake2b
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import FrameType

import msgspec
import structlog
from fuzz.judging import assert_no_card_number
from fuzz.mutate import Mutator
from fuzz.target import Target

PART = 50_000
SEALED_SHARE = 0.5
SMALL_PART = 20_000  # from here on a part is long enough to judge memory by:
BLOCKS_GROWN_MAX = 10_000  # Python objects; less than one an input, more than what caches take that fill late
BYTES_GROWN_MAX = 8_000_000
HUNG_S = 20.0
FOUND = Path("build/fuzz")


class Finding(msgspec.Struct, frozen=True):
    """An input that must not have done what it did."""

    target: str
    why: str
    data: bytes


class Told(msgspec.Struct):
    """What a part of a run came to. words: what was made of the inputs, how often."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    slowest_ms: float = 0.0
    words: dict[str, int] = {}
    findings: list[Finding] = []


class Hung(Exception):
    """An input does not come to an end."""


class Watch:
    """Interrupts an input that takes HUNG_S of CPU."""

    def __init__(self) -> None:
        self.number = self._seen = -1

    def __enter__(self) -> "Watch":
        self._before = signal.signal(signal.SIGVTALRM, self._look)
        signal.setitimer(signal.ITIMER_VIRTUAL, HUNG_S, HUNG_S)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self._before)

    def _look(self, _number: int, _frame: FrameType | None) -> None:
        if self._seen == self.number:
            raise Hung(f"more than {HUNG_S:g} s of CPU for one input")
        self._seen = self.number


def logged(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """What would be logged is judged like an answer, and goes nowhere."""
    assert_no_card_number({**event})
    raise structlog.DropEvent


def fuzz(make: type[Target], count: int, seed: str, findings_max: int = 5) -> Told:
    """One part of a run, here."""
    structlog.configure(processors=[logged])
    random = Random(seed)  # noqa: S311 - inputs by chance
    target, told, words = make(), Told(make.name), Counter[str]()
    mutator = Mutator(random, target.seeds, target.words, make.bytes_max)
    began, before = time.perf_counter(), (0, 0)
    try:
        with Watch() as watch:
            for number in range(count):
                if number == count // 4:
                    before = _memory()
                data = mutator.next()
                if random.random() < SEALED_SHARE:
                    data = target.sealed(data, random)
                watch.number = number
                words[_judged(target, data, told)] += 1
                if len(told.findings) >= findings_max:
                    break
            told.inputs = number + 1
        if not told.findings:
            told.findings += _grown(make.name, before, _memory(), count)
    finally:
        target.close()
    told.seconds, told.words = time.perf_counter() - began, dict(words)
    return told


def _judged(target: Target, data: bytes, told: Told) -> str:
    began_s = time.process_time()
    try:
        word = target.judge(data, Random(data))  # noqa: S311 - what an input does depends on it alone
    except Exception:  # noqa: BLE001 - that is what is looked for
        why = traceback.format_exc(limit=-6)
        told.findings.append(Finding(target.name, why, data))
        return "FOUND"
    took_s = time.process_time() - began_s
    told.slowest_ms = max(told.slowest_ms, took_s * 1000)
    if took_s > target.cpu_s_max:
        told.findings.append(Finding(target.name, f"{took_s:.2f} s of CPU for {len(data):,} bytes", data))
        return "FOUND"
    return word


def _memory() -> tuple[int, int]:
    """(Python's blocks, resident bytes)."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return sys.getallocatedblocks(), pages * os.sysconf("SC_PAGE_SIZE")


def _grown(name: str, before: tuple[int, int], after: tuple[int, int], count: int) -> list[Finding]:
    if count < SMALL_PART:
        return []
    blocks, size = after[0] - before[0], after[1] - before[1]
    if blocks <= BLOCKS_GROWN_MAX and size <= BYTES_GROWN_MAX:
        return []
    return [Finding(name, f"memory grew by {blocks:,} objects, {size / 1e6:.1f} MB in {count:,} inputs", b"")]


def run(targets: Sequence[type[Target]], count: int, seed: int, jobs: int, tell: "Tell") -> dict[str, Told]:
    """`count` inputs, shared among the targets by their shares."""
    shares = sum(each.share for each in targets)
    parts = []
    for each in targets:
        left, part = max(1, round(count * each.share / shares)), 0
        while left:
            parts.append((each, min(PART, left), f"{seed}/{each.name}/{part}"))
            left, part = left - parts[-1][1], part + 1
    totals = {each.name: Told(each.name) for each in targets}
    with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = {pool.submit(fuzz, *part): part for part in parts}
        for done in as_completed(waiting):
            _add(totals[waiting[done][0].name], done.result())
            tell(totals[waiting[done][0].name], sum(told.inputs for told in totals.values()), count)
    return totals


def _add(total: Told, part: Told) -> None:
    total.inputs += part.inputs
    total.seconds += part.seconds
    total.slowest_ms = max(total.slowest_ms, part.slowest_ms)
    total.words = dict(Counter(total.words) + Counter(part.words))
    total.findings += part.findings


def line_of(told: Told) -> str:
    """A target's row."""
    rate = told.inputs / told.seconds if told.seconds else 0.0
    words = ", ".join(f"{word} {n:,}" for word, n in sorted(told.words.items(), key=lambda each: -each[1]))
    slowest = f"slowest {told.slowest_ms:.0f} ms"
    return f"{told.target:<16} {told.inputs:>11,}  {rate:>8,.0f}/s  {slowest:<16}  {words}"


class Tell:
    """Progress to stderr, a line every few seconds at most."""

    def __init__(self) -> None:
        self._told_at = time.monotonic()

    def __call__(self, told: Told, done: int, count: int) -> None:
        if time.monotonic() - self._told_at > 5.0 or told.findings:
            self._told_at = time.monotonic()
            print(f"[{done:,} of {count:,}] {line_of(told)}", file=sys.stderr, flush=True)  # noqa: T201


def keep(found: Finding) -> Path:
    """The input in a file, so that it can be looked at and given again."""
    FOUND.mkdir(parents=True, exist_ok=True)
    path = FOUND / f"{found.target}-{blake2b(found.data, digest_size=5).hexdigest()}"
    path.write_bytes(found.data)
    return path


def main() -> int:
    """The command line; 1 when something was found."""
    from fuzz.all_targets import TARGETS

    known = {each.name: each for each in TARGETS}
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", help=f"one or more of {', '.join(known)}; all unless told")
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs in all (1,000,000)")
    parser.add_argument("--seed", type=int, default=0, help="another one gives other inputs (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--input", type=Path, help="judge this one file; needs one TARGET")
    asked = parser.parse_args()
    if unknown := [name for name in asked.target if name not in known]:
        parser.error(f"there is no target {unknown[0]!r}; there are {', '.join(known)}")
    chosen = [known[name] for name in asked.target] or list(TARGETS)
    if asked.input:
        if len(asked.target) != 1:
            parser.error("--input needs the one TARGET that reads it")
        return again(chosen[0], asked.input.read_bytes())
    totals = run(chosen, asked.count, asked.seed, asked.jobs, Tell())
    for told in totals.values():
        print(line_of(told))  # noqa: T201
    findings = [found for told in totals.values() for found in told.findings]
    for found in findings:
        print(f"\nFOUND by {found.target}, kept in {keep(found)}:\n{found.why}")  # noqa: T201
    inputs = sum(told.inputs for told in totals.values())
    print(f"{inputs:,} inputs, {len(findings)} findings, seed {asked.seed}")  # noqa: T201
    return 1 if findings else 0


def again(make: type[Target], data: bytes) -> int:
    """One input, judged with its exception shown whole."""
    target = make()
    try:
        print(target.judge(data, Random(data)))  # noqa: S311, T201
    finally:
        target.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
