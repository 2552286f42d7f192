"""The shop of shop.py as a fixture."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    it = Shop(tmp_path)
    yield it
    it.ledger.close()
