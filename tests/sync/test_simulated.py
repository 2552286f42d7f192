"""Whole fleets in one thread from a seed: every row at the hub once, whatever goes wrong on the way.

The long run (at least 1,000 faults of each kind) is scripts/fleets.
"""

from collections import Counter
from pathlib import Path

import pytest
from simulated.fleet import history
from simulated.hubs import Disagreement, MemoryHub
from simulated.long_run import scratch
from simulated.net import FAULTS


def test_every_row_is_at_the_hub_once_with_equal_hashes_after_faults_of_every_kind() -> None:
    seen: Counter[str] = Counter()
    for seed in range(9):
        history(seed, MemoryHub, seen, scratch())
    others = ("hub down", "device killed", "clock jumped", "hub restored from an older backup (rows lost)")
    kinds = (*FAULTS, *others, "request after later ones (reordered)")
    assert sum(seen[kind] for kind in kinds) > 300
    assert min(seen[kind] for kind in kinds) > 3, seen


def test_a_hub_that_books_what_it_has_already_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(Disagreement, match="booked as number"):
        history(1, lambda clock_ms: MemoryHub(clock_ms, idempotent=False), Counter(), tmp_path)


def test_a_fleet_does_the_same_again_from_the_same_seed(tmp_path: Path) -> None:
    first, again = Counter[str](), Counter[str]()
    history(5, MemoryHub, first, tmp_path, steps=60)
    history(5, MemoryHub, again, tmp_path, steps=60)
    assert first == again
