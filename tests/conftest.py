"""What all tests share: deterministic hypothesis without deadlines, and the two parts of the suite.

A test marked `alone` counts bytes, flushes or shared commits that tests beside it would disturb: scripts/test
runs those after the others, one by one. Without `--part` pytest runs them all.
"""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "vafa", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("vafa")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--part", choices=("together", "alone"), help="one part of the suite; both without it")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part = config.getoption("--part")
    if part is None:
        return
    alone = [item for item in items if item.get_closest_marker("alone")]
    together = [item for item in items if not item.get_closest_marker("alone")]
    kept, left_out = (alone, together) if part == "alone" else (together, alone)
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept
