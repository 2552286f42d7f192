"""A lane that loses its terminal in every way, and has it again: `status` says which, then nothing."""

from pathlib import Path

import pytest
from lane_bench import Bench, posted
from shop import TID

from vafa.app.live import Live
from vafa.app.standing import Status
from vafa.app.status import Facts, status
from vafa.ledger.storage import connect_reader
from vafa.model.errors import PortError
from vafa.model.events import SaleOutcome
from vafa.simulators.faults import ALWAYS

HALF_AN_HOUR_S = 1_800


def seen(bench: Bench) -> Status:
    """What `vafa status` has now."""
    connection = connect_reader(bench.shop.ledger.path)
    try:
        live = Live("1", 1, 60.0, (bench.lane.state(),))
        return status(
            connection, live, Facts("Shop", "Asia/Tehran", ((TID, "ecr", "fed"),)), bench.clock.wall_ms()
        )
    finally:
        connection.close()


def codes(bench: Bench) -> list[str]:
    return [trouble.code for trouble in seen(bench).trouble]


def state(bench: Bench) -> str:
    return seen(bench).terminals[0].state


def answered(bench: Bench) -> None:
    bench.run(lambda: bench.lane._polling.answered_at is not None)


@pytest.mark.parametrize(
    ("fault", "code", "shown"),
    [
        ("mute", "TRM-010", "silent"),
        ("wrong-baud", "SER-007", "garbled"),
        ("nack-storm", "TRM-011", "refusing"),
    ],
)
def test_each_state_of_a_terminal_is_shown_with_what_to_do_and_gone_half_an_hour_after_it_ended(
    bench: Bench, fault: str, code: str, shown: str
) -> None:
    answered(bench)
    assert (codes(bench), state(bench)) == ([], "answering")
    bench.terminal.fault(fault, ALWAYS)
    bench.run(lambda: codes(bench) == [code], within_s=500)
    assert state(bench) == shown
    assert all(trouble.fix and trouble.message for trouble in seen(bench).trouble)
    bench.run_for(HALF_AN_HOUR_S)
    assert codes(bench) == [code]
    assert seen(bench).verdict == "broken"  # the only terminal is not heard
    bench.terminal.fault(fault, 0)
    bench.terminal.key_sale(1_250)
    bench.run_for(HALF_AN_HOUR_S)
    assert (codes(bench), state(bench), seen(bench).verdict) == ([], "answering", "ok")
    assert [paid.amount for paid in posted(bench)] == [1_250]


def test_a_terminal_that_never_answered_is_told_to_be_out_of_pc_pos_mode(bench: Bench) -> None:
    bench.terminal.fault("mute", ALWAYS)
    bench.run(lambda: codes(bench) == ["TRM-012"], within_s=500)
    (trouble,) = seen(bench).trouble
    assert "PC-POS mode is off by default" in trouble.message
    assert "Ask the PSP" in trouble.fix
    assert state(bench) == "silent"
    bench.restart()
    bench.terminal.fault("mute", 0)
    answered(bench)
    assert codes(bench) == []


def test_a_terminal_that_answered_in_an_earlier_run_is_silent_not_out_of_pc_pos_mode(bench: Bench) -> None:
    answered(bench)
    bench.terminal.fault("mute", ALWAYS)
    bench.restart()
    bench.run(lambda: codes(bench) == ["TRM-010"], within_s=500)


def test_silence_degrades_first_since_a_customer_may_pay_and_breaks_after_ten_minutes(bench: Bench) -> None:
    answered(bench)
    bench.terminal.fault("mute", ALWAYS)
    bench.run(lambda: codes(bench) == ["TRM-010"], within_s=500)
    assert seen(bench).verdict == "degraded"
    bench.run(lambda: seen(bench).verdict == "broken", within_s=700)


def test_a_connection_its_far_end_has_forgotten_is_opened_anew(bench: Bench) -> None:
    answered(bench)
    opened = bench.opened
    bench.terminal.fault("half-open")
    before = bench.lane._polling.answered_at
    bench.run(lambda: bench.lane._polling.answered_at != before, within_s=700)
    assert bench.opened == opened + 1
    bench.run_for(HALF_AN_HOUR_S)
    assert bench.opened == opened + 1


def test_a_line_that_goes_in_the_middle_of_questions_is_no_silent_terminal(bench: Bench) -> None:
    answered(bench)
    bench.terminal.fault("mute", ALWAYS)
    for _ in range(4):
        bench.run(lambda: bench.lane._talk.busy)
        bench.cut = True
        bench.run(lambda: bench.lane.state().line == "closed")
        bench.run(lambda: bench.lane.state().line == "open")
    assert codes(bench) == []


def test_a_silent_terminal_is_neither_hammered_with_questions_nor_with_connections(bench: Bench) -> None:
    answered(bench)
    opened, asked = bench.opened, len(bench.written)
    bench.terminal.fault("mute", ALWAYS)
    bench.run_for(HALF_AN_HOUR_S)
    assert bench.opened - opened <= 4
    assert len(bench.written) - asked <= 3 * 12


def test_a_storm_of_nacks_gets_a_bounded_number_of_repeats_and_charges_nobody(bench: Bench) -> None:
    answered(bench)
    bench.terminal.fault("nack-storm", ALWAYS)
    bench.written.clear()
    ends = [bench.sell(f"r-{number}").outcome for number in range(5)]
    assert ends == [SaleOutcome.TIMED_OUT] * 5
    assert bench.requests_sent() == 0
    assert len(bench.written) <= 3 * 5 + 3 * 5  # three INMs a sale, and polls between them
    assert bench.lane.state().nacks > 12
    bench.terminal.fault("nack-storm", 0)
    assert bench.sell("r-9").outcome is SaleOutcome.APPROVED
    assert posted(bench)[0].amount == 105


@pytest.mark.parametrize("fault", ["mute", "wrong-baud", "nack-storm"])
def test_with_poll_off_the_next_sales_show_the_state_and_a_good_one_ends_it(
    tmp_path: Path, fault: str
) -> None:
    bench = Bench(tmp_path, poll=False)
    bench.terminal.fault(fault, ALWAYS)
    for number in range(5):
        assert bench.sell(f"r-{number}").outcome is SaleOutcome.TIMED_OUT
    assert codes(bench) == [{"mute": "TRM-012", "wrong-baud": "SER-007", "nack-storm": "TRM-011"}[fault]]
    bench.terminal.fault(fault, 0)
    assert bench.sell("r-9").outcome is SaleOutcome.APPROVED
    bench.run_for(61)
    assert codes(bench) == []
    bench.close()


def test_another_terminal_s_answer_is_a_state_until_the_right_one_answers(bench: Bench) -> None:
    bench.terminal.fault("wrong-tid")
    bench.sell("r-1")
    assert state(bench) == "other terminal"
    assert [trouble.code for trouble in seen(bench).trouble if trouble.code != "TRM-008"] == ["TRM-002"]
    bench.sell("r-2")
    assert state(bench) == "answering"
    assert "TRM-002" not in codes(bench)


def test_a_fault_of_the_conversation_is_over_when_the_next_question_is_answered(bench: Bench) -> None:
    answered(bench)
    bench.terminal.fault("nack-storm", 3)  # three NACKs nobody asked for
    bench.run(lambda: codes(bench) == ["TRM-006"], within_s=700)
    bench.run_for(HALF_AN_HOUR_S)
    assert codes(bench) == []


@pytest.mark.parametrize("code", ["SER-002", "SER-003", "SER-004", "SER-005", "SER-009", "SER-010"])
def test_a_line_that_cannot_be_had_shows_its_own_code_and_age_and_heals_by_itself(
    bench: Bench, code: str
) -> None:
    answered(bench)
    bench.cannot_open = PortError("ttyUSB0: something", fix="do something", code=code)
    bench.cut = True
    bench.run(lambda: bench.lane.state().code == code)
    bench.run_for(120)
    (trouble,) = seen(bench).trouble
    assert (trouble.code, trouble.level, trouble.fix) == (code, "broken", "Do something")
    assert "cannot be reached, for 2 min: ttyUSB0: something." in trouble.message
    bench.cannot_open = None
    bench.run_for(6)
    assert (codes(bench), state(bench)) == ([], "answering")


def test_a_lost_line_shows_why_it_was_lost_before_it_was_tried_again(bench: Bench) -> None:
    answered(bench)
    bench.cut = True
    bench.run(lambda: bench.lane.state().line == "closed")
    (trouble,) = seen(bench).trouble
    assert (trouble.code, trouble.message) == (
        "SER-001",
        f"Terminal {TID} cannot be reached, for 0 s: fed: the line is gone.",
    )


def test_a_terminal_that_restarts_for_a_minute_loses_no_sale(bench: Bench) -> None:
    """The line closes, is refused for 60 s, then answers: the sale in hand is settled by the list."""
    answered(bench)
    bench.terminal.fault("silence-after-request")  # what it was about to say is forgotten
    work = bench.queue("r-1", 105)
    bench.run(lambda: bench.requests_sent() == 1)
    bench.cut = True
    bench.cannot_open = PortError("refused", fix="wait", code="SER-010")
    bench.run_for(60)
    assert codes(bench) == ["SER-010", "TRM-008"]
    bench.cannot_open = None
    bench.run(work.ended.is_set)
    assert work.end is not None
    assert work.end.outcome is SaleOutcome.RESOLVED_PAID
    bench.run_for(HALF_AN_HOUR_S)
    assert codes(bench) == []
    assert [paid.amount for paid in posted(bench)] == [105]
