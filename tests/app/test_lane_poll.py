"""A lane that reads its terminal's own list: every sale earns once, however it came to be heard."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lane_bench import Bench, joined, posted, refuses_order_ids
from shop import TID, payment

from vafa.app.live import Live
from vafa.app.polling import REFUSALS_SHOWN
from vafa.app.status import Facts, status
from vafa.books.rows import LaneRow
from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.ledger.tables import find_row
from vafa.model import events
from vafa.model.errors import LedgerError, Refused
from vafa.model.events import Kind, Nothing, SaleOutcome
from vafa.model.money import Currency
from vafa.model.payment import HEARD_LIVE, PaymentKey, Scheme, Source
from vafa.simulators.faults import ALWAYS
from vafa.simulators.sadad_bytes import Message

FACTS = Facts("Kafe Negin", "Asia/Tehran", ((TID, "ecr", "fed"),))
OTHER = "C0000302"


def polled(bench: Bench) -> None:
    """Until the terminal's list was read once more."""
    before = bench.lane._polling.answered_at
    bench.run(lambda: bench.lane._polling.answered_at != before)


def settled(bench: Bench) -> None:
    """Long enough for a poll at any pace."""
    bench.run_for(310)


def found(bench: Bench, kind: Kind) -> list[events.Event]:
    return bench.shop.ledger.read(lambda c: [each.event for each in reads.entries(c, 0, (kind,))])


def awards(bench: Bench) -> list[tuple[int, int]]:
    """(amount, heard live or in the list) of each award, in the order they were posted."""
    paids = [each.paid for each in found(bench, Kind.AWARD) if isinstance(each, events.Award)]
    return [(paid.amount, Source.LIVE if paid.source in HEARD_LIVE else paid.source) for paid in paids]


def troubles(bench: Bench) -> list[str]:
    """The codes `vafa status` shows."""
    connection = connect_reader(bench.shop.ledger.path)
    try:
        live = Live("1", 1, 60.0, (bench.lane.state(),))
        return [each.code for each in status(connection, live, FACTS, bench.clock.wall_ms()).trouble]
    finally:
        connection.close()


def polls_sent(bench: Bench) -> int:
    return sum(data[8:12] in (b"0013", b"0001") for data in bench.written)


@pytest.fixture
def only(tmp_path: Path) -> Iterator[Bench]:
    """A lane in mode poll."""
    it = Bench(tmp_path, mode="poll")
    yield it
    it.close()


@pytest.fixture
def deaf_to_keypad(tmp_path: Path) -> Iterator[Bench]:
    """A lane with poll = false."""
    it = Bench(tmp_path, poll=False)
    yield it
    it.close()


# --- sales nobody told ---


def test_a_keypad_sale_is_found_and_awarded_once(bench: Bench) -> None:
    polled(bench)
    bench.terminal.key_sale(1_250)
    for _ in range(3):
        polled(bench)
    assert awards(bench) == [(1_250, Source.POLLED)]
    assert bench.shop.ledger.head.till.member == 125
    assert troubles(bench) == []
    assert bench.shop.verified().bad == ()


def test_with_poll_off_a_keypad_sale_is_never_heard(deaf_to_keypad: Bench) -> None:
    deaf_to_keypad.run_for(30)
    deaf_to_keypad.terminal.key_sale(1_250)
    settled(deaf_to_keypad)
    assert awards(deaf_to_keypad) == []
    assert polls_sent(deaf_to_keypad) == 0


def test_keypad_and_asked_sales_earn_once_each_in_the_order_they_were_made(bench: Bench) -> None:
    polled(bench)
    bench.terminal.key_sale(100)
    bench.sell("r-1", 200)
    bench.terminal.key_sale(300)
    settled(bench)
    bench.restart()
    settled(bench)
    assert sorted(awards(bench)) == [(100, Source.POLLED), (200, Source.LIVE), (300, Source.POLLED)]
    assert troubles(bench) == []


def test_a_sale_told_live_after_it_was_polled_is_not_awarded_again(bench: Bench) -> None:
    polled(bench)
    record = bench.terminal.key_sale(105)
    polled(bench)
    again = bench.shop.counter.post(payment(int(record.rrn)))
    assert again.seen_before
    assert awards(bench) == [(105, Source.POLLED)]


def test_a_bill_paid_at_the_terminal_is_recorded_and_earns_nothing(bench: Bench) -> None:
    polled(bench)
    bench.terminal.key_sale(1_898_010, kind="22")
    polled(bench)
    (seen,) = found(bench, Kind.PAYMENT)
    assert isinstance(seen, events.PaymentSeen)
    assert (seen.why, seen.paid.amount) == (Nothing.NOT_A_SALE, 1_898_010)
    assert awards(bench) == []


def test_declined_sales_are_no_payments_and_no_gap(bench: Bench) -> None:
    polled(bench)
    for number in range(14):
        bench.terminal.next("decline")
        bench.sell(f"r-{number}")
    settled(bench)
    assert posted(bench) == []
    assert troubles(bench) == []


def test_the_traces_may_wrap_and_start_again(bench: Bench) -> None:
    bench.terminal.memory.trace = 999_997
    bench.terminal.key_sale(100)  # 999998: the baseline
    polled(bench)
    for amount in (200, 300, 400):
        bench.terminal.key_sale(amount)
        polled(bench)
    bench.terminal.memory.trace = 0
    bench.terminal.memory.rows = []  # an update of the terminal
    polled(bench)
    bench.terminal.key_sale(500)
    settled(bench)
    assert [amount for amount, _ in awards(bench)] == [200, 300, 400, 500]
    assert troubles(bench) == []


# --- mode poll ---


def test_in_mode_poll_nobody_is_asked_to_pay_and_keypad_sales_earn(only: Bench) -> None:
    with pytest.raises(Refused, match="only listened to") as refused:
        only.lane.sell("r-1", 105, b"", Currency.RIAL_CURRENT)
    assert refused.value.code == "ASK-003"
    polled(only)
    only.terminal.key_sale(105)
    polled(only)
    assert awards(only) == [(105, Source.POLLED)]
    assert (only.lane.state().mode, only.requests_sent()) == ("poll", 0)


def test_two_lanes_read_two_lists_into_one_ledger(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "unused", terminal_id=OTHER, shop=bench.shop)
    try:
        polled(bench)
        polled(other)
        first, second = bench.terminal.key_sale(100), other.terminal.key_sale(200)
        assert first.rrn == second.rrn
        polled(bench)
        polled(other)
        assert [(paid.key.tid, paid.amount) for paid in posted(bench)] == [(TID, 100), (OTHER, 200)]
    finally:
        other.close_lane()


# --- baseline ---


def test_what_stood_in_the_list_before_is_recorded_and_not_awarded(bench: Bench) -> None:
    for number in range(20):
        bench.terminal.key_sale(100 + number)
    polled(bench)
    (baseline,) = found(bench, Kind.BASELINE)
    assert baseline == events.Baseline(TID, "000020", 13)
    whys = {each.why for each in found(bench, Kind.PAYMENT) if isinstance(each, events.PaymentSeen)}
    assert (len(posted(bench)), whys) == (13, {Nothing.BASELINE})
    bench.terminal.key_sale(500)
    settled(bench)
    assert awards(bench) == [(500, Source.POLLED)]
    assert found(bench, Kind.GAP_DETECTED) == []
    assert bench.shop.verified().bad == ()


def test_an_empty_list_is_a_baseline_that_a_restart_does_not_forget(bench: Bench) -> None:
    polled(bench)
    assert found(bench, Kind.BASELINE) == [events.Baseline(TID, "", 0)]
    bench.restart()
    bench.terminal.key_sale(500)
    polled(bench)
    assert awards(bench) == [(500, Source.POLLED)]
    assert len(found(bench, Kind.BASELINE)) == 1
    row = bench.shop.ledger.read(lambda c: find_row(c, LaneRow, (TID,)))
    assert row is not None


def test_a_row_after_a_sale_we_heard_is_not_older_than_the_club(bench: Bench) -> None:
    bench.terminal.key_sale(100)
    bench.lane._polling.due_at = bench.now() + 1_000
    bench.lane._polling.opened = lambda: None  # type: ignore[method-assign]
    bench.sell("r-1", 200)
    bench.terminal.key_sale(300)
    polled(bench)
    assert awards(bench) == [(200, Source.LIVE), (300, Source.POLLED)]
    assert found(bench, Kind.BASELINE) == [events.Baseline(TID, "000003", 1)]


def test_the_list_read_before_a_lost_answer_leaves_it_to_resolution(bench: Bench) -> None:
    bench.terminal.fault("silence-after-request")
    end = bench.sell("r-1", 200)
    polled(bench)
    assert end.outcome is SaleOutcome.RESOLVED_PAID
    assert [paid.amount for paid in posted(bench)] == [200]


# --- cables ---


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("", SaleOutcome.APPROVED),
        ("silence-after-request", SaleOutcome.RESOLVED_PAID),
    ],  # tells late, or never
)
def test_a_cable_out_between_request_and_answer_awards_once_and_status_shows_it_until_it_is_settled(
    bench: Bench, fault: str, outcome: SaleOutcome
) -> None:
    polled(bench)
    bench.terminal.pay_after_s = 20
    if fault:
        bench.terminal.fault(fault)
    work = bench.queue("r-1", 105)
    bench.run(lambda: bench.requests_sent() == 1)
    bench.cut = True
    bench.run(work.in_doubt.is_set)
    assert "TRM-008" in troubles(bench)
    bench.run(work.ended.is_set)
    settled(bench)
    assert work.end is not None
    assert work.end.outcome is outcome
    assert [paid.amount for paid in posted(bench)] == [105]
    assert troubles(bench) == []


@pytest.mark.parametrize("with_order_ids", [True, False])
def test_a_keypad_sale_of_the_amount_of_a_lost_one_is_not_taken_for_it(
    bench: Bench, with_order_ids: bool
) -> None:
    if not with_order_ids:
        refuses_order_ids(bench)
    polled(bench)
    bench.terminal.fault("silence-after-request")
    work = bench.queue("r-1", 105)
    bench.run(lambda: bench.requests_sent() == 1)
    bench.terminal.key_sale(105)
    bench.run(work.in_doubt.is_set)
    bench.terminal.key_sale(400)
    bench.run_for(700)
    if with_order_ids:
        assert work.end is not None
        assert work.end.outcome is SaleOutcome.RESOLVED_PAID
        assert sorted(paid.amount for paid in posted(bench)) == [105, 105, 400]
        assert troubles(bench) == []
    else:  # nobody can tell which is which: both wait for a person, the other sale does not
        assert not work.ended.is_set()
        assert [paid.amount for paid in posted(bench)] == [400]
        assert troubles(bench) == ["TRM-008"]


def test_the_line_back_after_an_outage_is_polled_at_once(bench: Bench) -> None:
    polled(bench)
    bench.run_for(30)
    bench.cut = True
    bench.run(lambda: bench.lane.state().line == "closed")
    bench.terminal.key_sale(105)
    bench.run_for(5)
    assert awards(bench) == [(105, Source.POLLED)]


def test_a_line_that_comes_and_goes_is_not_polled_at_every_opening(bench: Bench) -> None:
    polled(bench)
    before = polls_sent(bench)
    for _ in range(10):
        bench.cut = True
        bench.run(lambda: bench.lane.state().line == "closed")
        bench.run(lambda: bench.lane.state().line == "open")
    assert polls_sent(bench) - before <= 1 + bench.now() // 10


# --- gaps ---


def rolled_past(bench: Bench, sales: int) -> None:
    """The line is out while `sales` are keyed."""
    bench.terminal.key_sale(100)
    polled(bench)
    bench.cut = True
    bench.run(lambda: bench.lane.state().line == "closed")
    for number in range(sales):
        bench.terminal.key_sale(1_000 + number)


def test_fourteen_keypad_sales_between_two_polls_are_a_gap_and_the_thirteen_left_earn(bench: Bench) -> None:
    polled(bench)
    rolled_past(bench, 14)
    settled(bench)
    (gap,) = found(bench, Kind.GAP_DETECTED)
    assert isinstance(gap, events.GapDetected)
    assert (gap.tid, gap.after_trace, gap.before_trace) == (TID, "000001", "000003")
    assert [amount for amount, _ in awards(bench)] == [100, *range(1_001, 1_014)]
    assert troubles(bench) == ["GAP-001"]
    bench.restart()
    settled(bench)
    assert len(found(bench, Kind.GAP_DETECTED)) == 1
    closed = events.GapClosed((1, _gap_seq(bench)), "test", "compared")
    bench.shop.ledger.write(lambda tx: tx.post(closed))
    assert troubles(bench) == []
    assert bench.shop.verified().bad == ()


def _gap_seq(bench: Bench) -> int:
    return bench.shop.ledger.read(lambda c: reads.open_gaps(c)[0].seq)


def test_a_gap_while_the_daemon_was_down_is_found_when_it_returns(bench: Bench) -> None:
    polled(bench)
    bench.terminal.key_sale(100)
    polled(bench)
    for number in range(20):
        bench.terminal.key_sale(1_000 + number)
    bench.restart()
    polled(bench)
    assert len(found(bench, Kind.GAP_DETECTED)) == 1


def test_twelve_sales_between_two_polls_are_no_gap(bench: Bench) -> None:
    polled(bench)
    rolled_past(bench, 12)
    settled(bench)
    assert found(bench, Kind.GAP_DETECTED) == []
    assert len(awards(bench)) == 13


def test_failed_transactions_that_push_a_sale_out_of_the_list_are_noticed(bench: Bench) -> None:
    """The terminal's list of approved rows is short then, yet it does not reach back."""
    polled(bench)
    rolled_past(bench, 8)
    for number in range(6):
        bench.terminal._record(10 + number, bench.terminal.cards[0], "51", "", "")
    bench.terminal.key_sale(2_000)
    settled(bench)
    assert len(found(bench, Kind.GAP_DETECTED)) == 1
    assert [amount for amount, _ in awards(bench)] == [100, *range(1_002, 1_008), 2_000]


def test_a_second_gap_is_a_gap_of_its_own(bench: Bench) -> None:
    polled(bench)
    for _ in range(2):
        rolled_past(bench, 14)
        settled(bench)
    assert len(found(bench, Kind.GAP_DETECTED)) == 2
    assert troubles(bench) == ["GAP-001", "GAP-001"]


def test_each_sale_that_leaves_the_list_undecided_is_a_gap(bench: Bench) -> None:
    """Two sales of one amount, one of them ours, and a terminal that keeps no order ids: nobody can tell."""
    refuses_order_ids(bench)
    polled(bench)
    bench.terminal.fault("silence-after-request")
    work = bench.queue("r-1", 105)
    bench.run(lambda: bench.requests_sent() == 1)
    bench.terminal.key_sale(105)
    bench.run(work.in_doubt.is_set)
    polled(bench)
    for number in range(13):
        bench.terminal.key_sale(200 + number)
        polled(bench)
    whys = [gap.why for gap in found(bench, Kind.GAP_DETECTED) if isinstance(gap, events.GapDetected)]
    assert whys == ["a sale left its list before it was known whose it was"] * 2
    assert [amount for amount, _ in awards(bench)] == [*range(200, 213)]
    assert not work.ended.is_set()


def test_a_gap_and_its_payments_are_one_commit(bench: Bench) -> None:
    polled(bench)
    rolled_past(bench, 14)
    seen: list[int] = []
    write = bench.shop.ledger.write

    def counted(decide):  # type: ignore[no-untyped-def]
        before = bench.shop.ledger.head.seq
        answer = write(decide)
        seen.append(bench.shop.ledger.head.seq - before)
        return answer

    bench.shop.ledger.write = counted  # type: ignore[method-assign]
    settled(bench)
    assert [rows for rows in seen if rows] == [14]


# --- evidence ---


def test_a_row_that_differs_from_what_was_heard_is_an_alarm_and_no_second_award(bench: Bench) -> None:
    polled(bench)
    bench.shop.counter.post(payment(320_062_616_001, amount=999, trace="000001"))
    bench.terminal.key_sale(105)  # the same reference, another amount
    polled(bench)
    assert [paid.amount for paid in posted(bench)] == [999]
    assert len(bench.lane.state().disagreeing) == 1
    assert troubles(bench) == ["GAP-003"]
    for number in range(13):
        bench.terminal.key_sale(200 + number)
        polled(bench)
    assert bench.lane.state().disagreeing == ()
    assert troubles(bench) == []


def test_the_row_of_a_refund_that_is_known_is_no_sale(bench: Bench) -> None:
    polled(bench)
    ref = PaymentKey(Scheme.RRN, TID, "320062616001")
    refund = events.RefundUnmatched(ref, 30, 0, None, (), b"", "", "test")
    bench.shop.ledger.write(lambda tx: tx.post(refund))
    assert bench.terminal.key_sale(30).rrn == ref.ref
    polled(bench)
    assert posted(bench) == []
    assert troubles(bench) == []


# --- a terminal that does not answer ---


def test_a_terminal_without_order_ids_is_polled_without_them(bench: Bench) -> None:
    refuses_order_ids(bench)
    polled(bench)
    bench.terminal.key_sale(105)
    polled(bench)
    assert awards(bench) == [(105, Source.POLLED)]
    assert bench.lane.state().faults == 0
    assert troubles(bench) == []


def test_a_terminal_that_never_tells_its_list_is_shown_after_a_while_and_still_sells(bench: Bench) -> None:
    bench.terminal.fault("nack", ALWAYS)
    bench.run(lambda: bench.lane._polling._refusals == REFUSALS_SHOWN - 1)
    assert troubles(bench) == []
    bench.run(lambda: bench.lane._polling._refusals == REFUSALS_SHOWN)
    assert troubles(bench) == ["GAP-002"]
    assert bench.lane.state().faults == 0
    bench.written.clear()
    bench.run_for(3_000)
    assert bench.lane._polling._refusals <= REFUSALS_SHOWN + 3_000 // 300
    bench.terminal.fault("nack", 0)
    assert bench.sell().outcome is SaleOutcome.APPROVED
    settled(bench)
    assert troubles(bench) == []


def test_a_sale_that_comes_during_a_poll_waits_for_it_and_is_paid(bench: Bench) -> None:
    polled(bench)
    bench.terminal.fault("deaf", 1)
    bench.run(lambda: bench.lane._talk.busy)
    assert bench.lane.state().doing == "polling"
    started = bench.now()
    assert bench.sell("r-1", 105).outcome is SaleOutcome.APPROVED
    assert bench.now() - started <= 15
    assert bench.requests_sent() == 1


def test_a_waiting_sale_goes_before_a_poll_that_is_due(bench: Bench) -> None:
    polled(bench)
    bench.lane._polling.due_at = 0.0
    before = polls_sent(bench)
    work = bench.queue("r-1", 105)
    bench.run(lambda: bench.requests_sent() == 1)
    assert polls_sent(bench) == before
    bench.run(work.ended.is_set)


def test_a_busy_terminal_s_refusal_of_a_poll_does_not_weaken_the_resolution_of_sales(bench: Bench) -> None:
    bench.terminal.fault("nack", 3)
    bench.run(lambda: bench.lane._polling._refusals == 1)
    bench.terminal.fault("silence-after-request")
    end = bench.sell("r-1", 105)
    assert end.outcome is SaleOutcome.RESOLVED_PAID
    assert bench.lane._lookup._with_order_ids


def test_a_list_told_twice_is_no_fault(bench: Bench) -> None:
    bench.terminal.fault("repeat-response", ALWAYS)
    polled(bench)
    bench.run_for(30)
    assert bench.lane.state().faults == 0


def test_a_line_where_another_terminal_answered_is_not_polled_until_the_right_one_does(bench: Bench) -> None:
    polled(bench)
    bench.terminal.fault("wrong-tid")
    bench.sell("r-1", 105)
    bench.terminal.key_sale(400)
    settled(bench)
    bench.restart()
    settled(bench)
    assert posted(bench) == []
    bench.sell("r-2", 205)
    settled(bench)
    assert {paid.amount for paid in posted(bench)} >= {205, 400}


# --- a disk that fails ---


def test_a_list_that_cannot_be_written_is_read_again_when_the_disk_takes_it(bench: Bench) -> None:
    polled(bench)
    bench.terminal.key_sale(105)
    write = bench.shop.ledger.write

    def fails(decide: object) -> None:
        raise LedgerError("the ledger could not be written (disk I/O error)")

    bench.shop.ledger.write = fails  # type: ignore[method-assign, assignment]
    bench.run_for(70)
    assert "disk I/O error" in bench.lane.state().trouble
    bench.shop.ledger.write = write  # type: ignore[method-assign]
    settled(bench)
    assert awards(bench) == [(105, Source.POLLED)]
    assert troubles(bench) == []


# --- threads ---


def test_recording_and_polling_the_same_sale_at_once_awards_it_once(bench: Bench) -> None:
    polled(bench)
    record = bench.terminal.key_sale(105)
    start = threading.Barrier(2)

    def by_hand() -> None:
        start.wait(10)
        bench.shop.counter.post(payment(int(record.rrn), source=Source.RECORDED))

    thread = threading.Thread(target=by_hand)
    thread.start()
    start.wait(10)
    polled(bench)
    joined([thread])
    assert len(posted(bench)) == 1


def refuses_all(bench: Bench) -> None:
    """The terminal knows neither list."""
    listing = bench.terminal._hear_request

    def hear(message: Message, now: float) -> None:
        if message.data.startswith((b"0013", b"0001")):
            bench.terminal.fault("nack", 1)
        listing(message, now)

    bench.terminal._hear_request = hear  # type: ignore[method-assign]


def test_sales_go_on_at_a_terminal_that_knows_no_list(bench: Bench) -> None:
    refuses_all(bench)
    settled(bench)
    for number in range(5):
        assert bench.sell(f"r-{number}", 105).outcome is SaleOutcome.APPROVED
    assert len(awards(bench)) == 5
