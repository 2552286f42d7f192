"""No keypad sale is lost unsaid behind sales that were heard live: not across a restart, not in a rush."""

import random
from pathlib import Path

import msgspec
import pytest
from lane_bench import Bench, posted
from shop import TID, payment

from vafa.app.polling import CUT_SHORT
from vafa.app.read_up import READ_BEFORE, SOON_AFTER, Known, ReadUp, proves
from vafa.ledger import reads
from vafa.model import events
from vafa.model.events import Kind, SaleOutcome
from vafa.model.payment import HEARD_LIVE, Source

LISTED = 13
LIVE, AFTER, POLLED = Source.LIVE, Source.LIVE_AFTER_LIST, Source.POLLED


def polled(bench: Bench) -> None:
    """Until the terminal's list was read once more."""
    before = bench.lane._polling.answered_at
    bench.run(lambda: bench.lane._polling.answered_at not in (before, None))


def sells(bench: Bench, count: int) -> None:
    for _ in range(count):
        bench.sell(f"r-{bench.terminal.sales_asked}", 1_000)


def reading(bench: Bench, *, on: bool) -> None:
    """Whether the list is read, also by the lane after a restart."""
    bench.poll = on
    bench.lane.settings = msgspec.structs.replace(bench.lane.settings, poll=on)


def gaps(bench: Bench) -> list[str]:
    return [gap.why for gap in windows(bench)]


def windows(bench: Bench) -> list[events.GapDetected]:
    found = bench.shop.ledger.read(
        lambda c: [each.event for each in reads.entries(c, 0, (Kind.GAP_DETECTED,))]
    )
    return [event for event in found if isinstance(event, events.GapDetected)]


# --- what a list proves ---


@pytest.mark.parametrize(
    ("newest_first", "whole"),
    [
        ([], False),
        ([LIVE] * LISTED, False),  # nobody knows what was made between them
        ([Source.LOOKED_UP] * LISTED, False),
        ([Source.RECORDED] * LISTED, False),
        ([LIVE] * 12 + [POLLED], True),
        ([LIVE] * 11 + [AFTER, LIVE], True),  # that last one was there when the list was read
        ([LIVE] * 12 + [AFTER], False),  # what came between the reading and it may have left
        ([AFTER, LIVE], True),
        ([AFTER], False),
    ],
)
def test_after_a_start_the_rows_themselves_tell_what_was_read(
    newest_first: list[Source], whole: bool
) -> None:
    known = [Known(100 - place, source) for place, source in enumerate(newest_first)]
    random.Random(1).shuffle(known)  # noqa: S311 - not secret
    assert proves(known, 0) is whole


def test_what_came_before_a_gap_or_a_baseline_was_seen_by_the_reading_that_found_it() -> None:
    assert proves([Known(7, LIVE), Known(5, LIVE)], 6)
    assert not proves([Known(7, LIVE)], 7)


def test_the_first_payment_after_a_reading_says_so_however_often_it_is_tried() -> None:
    read_up = ReadUp()
    assert read_up.source_of(payment(1)) is LIVE
    read_up.asked(TID)
    read_up.read(TID, [payment(1).key])
    assert [read_up.source_of(payment(number)) for number in (2, 2, 3, 2)] == [AFTER, AFTER, LIVE, AFTER]


def test_a_payment_heard_while_the_list_came_may_not_stand_in_it_and_proves_nothing() -> None:
    read_up = ReadUp()
    read_up.asked(TID)
    read_up.source_of(payment(1))
    read_up.source_of(payment(2))
    read_up.read(TID, [payment(1).key])
    assert read_up.unread(TID) == 1
    assert read_up.source_of(payment(3)) is LIVE


def test_a_sale_entered_by_hand_says_nothing_of_a_reading_and_hides_none() -> None:
    read_up = ReadUp()
    read_up.read(TID, [])
    assert read_up.source_of(payment(1, source=Source.RECORDED)) is Source.RECORDED
    assert read_up.source_of(payment(2)) is LIVE


# --- the lane ---


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("sales", [11, 12, 13, 30])
def test_a_keypad_sale_behind_live_ones_is_found_or_a_gap(bench: Bench, sales: int, restarted: bool) -> None:
    bench.terminal.key_sale(500)
    polled(bench)
    bench.terminal.key_sale(2_000)
    reading(bench, on=False)
    for half in (sales // 2, sales - sales // 2):
        sells(bench, half)
        if restarted:
            bench.restart()
    reading(bench, on=True)
    polled(bench)
    polled(bench)
    assert (2_000 in [paid.amount for paid in posted(bench)]) is (sales < LISTED)
    assert gaps(bench) == ([] if sales + 2 <= LISTED else [CUT_SHORT])
    for gap in windows(bench):  # a person is told to look where the one lost was, which had trace 2
        assert (int(gap.after_trace), int(gap.before_trace)) == (1, max(2, sales - 10))
    bench.restart()
    polled(bench)
    assert len(gaps(bench)) == (0 if sales + 2 <= LISTED else 1)  # told once


def test_what_a_reading_proved_is_known_after_a_power_cut(bench: Bench) -> None:
    """All heard live, none found in a list; then the power is out while people pay at the keypad."""
    sells(bench, 3)
    polled(bench)
    sells(bench, 2)
    bench.restart()
    for number in range(LISTED - 3):
        bench.terminal.key_sale(2_000 + number)
    polled(bench)
    assert (gaps(bench), len(posted(bench))) == ([], 3 + 2 + 10)


def test_a_sale_that_only_was_looked_up_does_not_hide_what_left_the_list(bench: Bench) -> None:
    polled(bench)
    reading(bench, on=False)
    bench.terminal.key_sale(500)
    bench.terminal.fault("silence-after-request")
    assert bench.sell("r-unsure").outcome is SaleOutcome.RESOLVED_PAID
    sells(bench, LISTED - 1)
    reading(bench, on=True)
    bench.restart()
    polled(bench)
    assert gaps(bench) == [CUT_SHORT]


def test_a_till_without_a_pause_is_read_between_two_sales_and_loses_nothing(bench: Bench) -> None:
    polled(bench)
    longest = keyed = 0
    works = [bench.queue("r-0", 1_000)]
    while len(works) < 41:
        works.append(bench.queue(f"r-{len(works)}", 1_000))  # one waits always
        bench.run(works[-2].ended.is_set)
        longest = max(longest, bench.shop.counter.read_up.unread(TID))
        if len(works) % 10 == 0 and bench.lane._work is None:
            bench.terminal.key_sale(9_000 + keyed)
            keyed += 1
    bench.run(works[-1].ended.is_set)
    polled(bench)
    assert (keyed, gaps(bench), len(posted(bench))) == (4, [], 41 + 4)
    assert longest <= READ_BEFORE


def test_a_terminal_that_refuses_its_list_is_not_asked_before_each_sale(bench: Bench) -> None:
    polled(bench)
    bench.terminal.pay_after_s = 0.0
    hear = bench.terminal._hear_request

    def refuse(message: object, now: float) -> None:
        if message.data.startswith((b"0013", b"0001")):  # type: ignore[attr-defined]
            bench.terminal.fault("nack", 1)
        hear(message, now)  # type: ignore[arg-type]

    bench.terminal._hear_request = refuse  # type: ignore[method-assign]
    bench.written.clear()
    works = [bench.queue("r-0", 1_000)]
    while len(works) < 31:
        works.append(bench.queue(f"r-{len(works)}", 1_000))
        bench.run(works[-2].ended.is_set)
    bench.run(works[-1].ended.is_set)
    questions = sum(data[8:12] in (b"0013", b"0001") for data in bench.written)
    assert questions <= 3 * 3  # three tries each, before the ninth sale and once or twice since
    assert all(work.end is not None and work.end.outcome is SaleOutcome.APPROVED for work in works)


@pytest.mark.parametrize("seed", range(4))
def test_a_busy_day_with_power_cuts_has_no_gap_and_loses_nothing(tmp_path: Path, seed: int) -> None:
    bench, rng = Bench(tmp_path), random.Random(seed)  # noqa: S311 - not secret
    polled(bench)
    for number in range(150):
        if rng.random() < 0.2:
            bench.terminal.key_sale(500 + number)
        else:
            bench.sell(f"r-{number}", 1_000 + number)
        bench.run_for(rng.choice((0.0, 0.0, 2.0, 30.0, 200.0)))
        if rng.random() < 0.1:
            bench.restart()
    polled(bench)
    assert gaps(bench) == []
    assert {paid.source in HEARD_LIVE for paid in posted(bench)} == {True, False}
    assert len(posted(bench)) == 150
    bench.close()


def test_the_limits_leave_room_in_the_list() -> None:
    assert SOON_AFTER < READ_BEFORE < LISTED - SOON_AFTER
