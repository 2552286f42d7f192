"""The shop of shop.py and the lane of lane_bench.py as fixtures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lane_bench import Bench
from shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    it = Shop(tmp_path)
    yield it
    it.ledger.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    it = Bench(tmp_path)
    yield it
    it.close()
