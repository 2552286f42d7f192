"""A short piece of the simulated day, and that its judge sees what it must."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from shop import PROGRAMME
from soak.simulated import PER, Day, _grown

from vafa.club.programme import parse
from vafa.model import events


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
    assert {"kill", "disk full", "terminal fault", "cable out"} <= set(day.seen)
    assert {"clock set wrong", "both clocks set wrong"} & set(day.seen)


def test_redemptions_go_through_and_what_refuses_one_without_a_reason_is_seen(day: Day) -> None:
    day.live(0.2, lambda: None)
    for _ in range(6):
        day.number += 1
        day._redeem()
    day._settle()
    assert day.seen["redeemed"]
    assert day.faults() == []
    tomorrow = events.ClockAttested(day._true_ms() // 1000 + 86_400, "hub")
    day.bench.shop.ledger.write(lambda tx: tx.post(tomorrow))
    assert [fault for fault in day.faults() if "attested to" in fault]
    day.bench.clock.jump(2 * 86_400)
    day.bench.shop.wall_ms = day.bench.clock.wall_ms()
    day.bench.shop.programmes.activate(parse(PROGRAMME), None)
    day.number += 1
    day._redeem()
    assert [fault for fault in day.faults() if "redemption was refused" in fault]


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
