"""A short piece of the simulated day, and that its judge sees what it must."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from soak.simulated import PER, Day, _grown


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    with structlog.testing.capture_logs():
        it = Day(tmp_path, 5)
        yield it
        it.close()


def test_an_hour_with_faults_ends_with_the_books_right(day: Day) -> None:
    for happening in (day._kill, day._jump, day._full_disk, day._faulty, day._cable_out):
        day.live(0.02, lambda: None)
        happening()
    day.live(0.05, lambda: None)
    assert day.faults() == []
    assert {"kill", "clock set", "disk full", "terminal fault", "cable out"} <= set(day.seen)


def test_points_given_twice_and_a_payment_that_is_lost_are_seen(
    day: Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    day.live(0.05, lambda: None)
    assert day.faults() == []
    day.bench.terminal.key_sale(PER * 7)  # the terminal has it, and nobody polls any more
    assert [fault for fault in day.faults() if "missing" in fault]
    day.redeemed -= 1
    assert [fault for fault in day.faults() if "points" in fault]


def test_memory_and_descriptors_that_grow_are_seen() -> None:
    flat = [(200_000, 60_000, 15)] * 5
    assert _grown(flat) == []
    assert _grown([*flat, (260_000, 60_000, 15)])
    assert _grown([*flat, (200_000, 90_000, 15)])
    assert _grown([*flat, (200_000, 60_000, 19)])
