"""A lane against the pretend terminal: every way a sale can end, each by the terminal's own word."""

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from operator import xor
from pathlib import Path

import msgspec
import pytest
from lane_bench import ANSWER_TIMEOUT_S, Bench, beside_an_equal_one, posted, refuses_order_ids
from shop import TID

from vafa.app.live import SaleTimes
from vafa.app.lookup import ASK_AGAIN_S
from vafa.app.outcome import OF_AN_UNDOING
from vafa.app.posting import TIMES_KEPT_MAX
from vafa.app.undo import Undo, Undoing, Wish
from vafa.codecs.sadad_fields import WRONG_TERMINAL
from vafa.model.errors import PortError, TerminalFault
from vafa.model.events import SaleOutcome
from vafa.model.payment import PaymentKey, Scheme, Source
from vafa.simulators.faults import ALWAYS
from vafa.simulators.sadad import Outcome
from vafa.simulators.sadad_bytes import SaleAsk

PHONE = "09121236789"
RESPONSE_BYTES = 284  # a whole RESPONSE frame


def card_holder(bench: Bench, card: int) -> bytes:
    """A member who owns card `card` of the terminal's deck, bound by its hash."""
    member = bytes.fromhex(bench.shop.members.add(PHONE, "", "test").id)
    bench.terminal.next("approve", card=card)
    end = bench.sell("first", 1_000)
    assert end.paid is not None
    bench.shop.members.claim(end.paid.claim, member, "test")
    return member


# --- the ends a terminal gives itself -------------------------------------------------------------------


def test_an_approved_sale_is_one_award_and_the_slip_said_what_it_brought(bench: Bench) -> None:
    end = bench.sell(amount=1_250)
    assert (end.outcome, end.response) == (SaleOutcome.APPROVED, "00")
    assert end.paid is not None
    assert (end.paid.result, end.paid.points) == ("waiting", 125)
    (slip,) = bench.terminal.slips
    persian = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
    assert slip.lines[1:] == (
        "پس از پرداخت موفق: ۱۲۵ امتیاز",
        f"کد عضویت: {end.paid.claim.translate(persian)}",
    )
    assert bench.shop.ledger.head.till.member == 125
    assert bench.requests_sent() == 1
    assert bench.shop.verified().bad == ()


def test_a_declined_sale_says_so_in_the_terminals_words_and_changes_no_balance(bench: Bench) -> None:
    bench.terminal.next("decline", code="51", text="موجودی کافی نیست")
    before = bench.shop.ledger.head.till
    end = bench.sell()
    assert (end.outcome, end.response, end.text, end.paid) == (
        SaleOutcome.DECLINED, "51", "موجودی کافی نیست", None,
    )  # fmt: skip
    assert bench.shop.ledger.head.till == before
    assert bench.lane.state().doing == "idle"


def test_a_customer_who_cancels_ends_the_sale_as_cancelled(bench: Bench) -> None:
    bench.terminal.next("cancel")
    assert bench.sell().outcome is SaleOutcome.CANCELLED
    assert posted(bench) == []


def test_a_deaf_terminal_is_timed_out_before_any_request_left(bench: Bench) -> None:
    bench.terminal.fault("deaf", ALWAYS)
    end = bench.sell()
    assert end.outcome is SaleOutcome.TIMED_OUT
    assert bench.requests_sent() == 0


def test_a_terminal_that_refuses_thrice_never_took_the_request(bench: Bench) -> None:
    bench.terminal.fault("nack", 3)
    end = bench.sell()
    assert end.outcome is SaleOutcome.TIMED_OUT
    assert bench.terminal.sales_asked == 0


def test_a_request_refused_once_is_sent_again_and_paid_once(bench: Bench) -> None:
    bench.terminal.fault("nack", 1)
    assert bench.sell().outcome is SaleOutcome.APPROVED
    assert bench.terminal.sales_asked == 1


@pytest.mark.parametrize("fault", ["noise", "split", "repeat-response", "full-pan"])
def test_what_a_bad_line_or_old_firmware_does_costs_no_award_and_makes_no_second(
    bench: Bench, fault: str
) -> None:
    bench.terminal.fault(fault, ALWAYS)
    ends = [bench.sell(f"r-{number}", 105) for number in range(3)]
    bench.run_for(30)
    assert [end.outcome for end in ends] == [SaleOutcome.APPROVED] * 3
    assert len(posted(bench)) == 3
    assert bench.shop.ledger.head.till.member == 31 - 1  # three cards of 10, each with its half left
    assert bench.lane.state().unposted == 0


def test_the_same_request_again_gives_the_same_end_and_asks_nobody(bench: Bench) -> None:
    first = bench.sell()
    again = bench.lane.selling.sell("r-1", 105, b"", lambda: None)
    assert msgspec.structs.replace(again, text=first.text) == first
    assert bench.requests_sent() == 1


# --- answers that were lost ------------------------------------------------------------------------------


def test_a_lost_answer_is_unsure_then_paid_by_the_terminals_journal(bench: Bench) -> None:
    bench.terminal.fault("silence-after-request")
    end = bench.sell()
    assert end.outcome is SaleOutcome.RESOLVED_PAID
    assert end.paid is not None
    (paid,) = posted(bench)
    assert (Source(paid.source), paid.amount) == (Source.LOOKED_UP, 105)
    assert bench.requests_sent() == 1
    assert bench.now() - 1_000 >= ANSWER_TIMEOUT_S


def test_the_claim_code_on_the_slip_is_the_awards_though_the_answer_was_lost(bench: Bench) -> None:
    bench.terminal.fault("silence-after-request")
    end = bench.sell()
    assert end.paid is not None
    claim = end.paid.claim.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    assert any(claim in line for line in bench.terminal.slips[0].lines)


def test_a_sale_nobody_paid_is_unpaid_only_when_nobody_can_pay_it_any_more(bench: Bench) -> None:
    bench.terminal.next("never")
    bench.terminal.busy = "nack"
    work = bench.queue()
    bench.run(lambda: bench.requests_sent() == 1)
    asked_at = bench.now()
    bench.cut = True
    bench.run(work.in_doubt.is_set)
    bench.run(work.ended.is_set)
    assert work.end is not None
    assert work.end.outcome is SaleOutcome.RESOLVED_UNPAID
    assert bench.now() - asked_at >= ANSWER_TIMEOUT_S
    assert posted(bench) == []


@pytest.mark.parametrize("jump_s", [-56 * 365 * 86_400, 56 * 365 * 86_400])
def test_a_wall_clock_that_jumps_does_not_make_a_paying_customer_unpaid(bench: Bench, jump_s: int) -> None:
    bench.terminal.pay_after_s = 100
    work = bench.queue()
    bench.run(lambda: bench.requests_sent() == 1)
    bench.clock.jump(jump_s)
    bench.shop.wall_ms = bench.clock.wall_ms()
    bench.cut = True
    bench.run(work.ended.is_set)
    assert work.end is not None
    assert work.end.outcome in (SaleOutcome.APPROVED, SaleOutcome.RESOLVED_PAID)
    assert len(posted(bench)) == 1


def test_an_answer_whose_checksum_is_wrong_is_no_answer_until_it_comes_again_or_the_journal_tells(
    bench: Bench,
) -> None:
    bench.terminal.fault("bad-lrc")
    end = bench.sell()
    assert end.outcome in (SaleOutcome.APPROVED, SaleOutcome.RESOLVED_PAID)
    assert bench.now() - 1_000 >= ANSWER_TIMEOUT_S
    assert (bench.requests_sent(), len(posted(bench)), bench.lane.state().noise) == (1, 1, 1)


def test_a_line_that_drops_after_the_request_leaves_the_sale_unsure_and_then_paid(bench: Bench) -> None:
    bench.terminal.fault("drop-link")
    end = bench.sell()
    assert end.outcome is SaleOutcome.RESOLVED_PAID
    assert bench.opened == 2
    assert (bench.requests_sent(), len(posted(bench))) == (1, 1)


def test_an_approval_without_reference_number_is_not_paid_until_the_journal_has_one(bench: Bench) -> None:
    bench.terminal.fault("no-rrn")
    work = bench.queue()
    bench.run(work.in_doubt.is_set)
    assert posted(bench) == []
    bench.run(work.ended.is_set)
    assert work.end is not None
    assert work.end.outcome is SaleOutcome.RESOLVED_PAID
    assert bench.lane.state().faults == 1


def test_another_terminals_answer_is_a_fault_and_its_journal_proves_nothing(bench: Bench) -> None:
    bench.terminal.fault("wrong-tid")
    end = bench.sell()
    assert (end.outcome, end.response, end.paid) == (SaleOutcome.UNSURE, WRONG_TERMINAL, None)
    assert "99999999" in end.text
    assert "99999999" in bench.lane.state().trouble
    bench.run_for(400)
    bench.restart()
    bench.run_for(400)
    assert posted(bench) == []
    again = bench.lane.selling.sell("r-1", 105, b"", lambda: None)
    assert (again.outcome, again.response) == (SaleOutcome.UNSURE, WRONG_TERMINAL)


def test_after_the_right_terminal_answered_again_lost_answers_are_looked_up_again(bench: Bench) -> None:
    bench.terminal.fault("wrong-tid")
    bench.sell("r-1")
    bench.terminal.fault("silence-after-request", 1)
    work = bench.queue("r-2", 205)
    bench.run(work.in_doubt.is_set)
    bench.run_for(60)
    assert posted(bench) == []
    bench.sell("r-3", 305)
    bench.run(work.ended.is_set)
    assert sorted(paid.amount for paid in posted(bench)) == [205, 305]


# --- looking up by amount -------------------------------------------------------------------------------


def test_a_keyed_sale_of_the_same_amount_is_not_taken_for_ours_where_order_ids_tell(bench: Bench) -> None:
    bench.sell("r-1", 300)
    bench.terminal.next("never")
    work = bench.queue("r-2", 105)
    bench.run(lambda: bench.requests_sent() == 2)
    bench.terminal.link_lost()
    bench.cut = True
    bench.run_for(70)
    bench.terminal.key_sale(105)
    bench.run(work.ended.is_set)
    assert work.end is not None
    assert work.end.outcome is SaleOutcome.RESOLVED_UNPAID
    bench.run_for(60)
    assert [(paid.amount, paid.source) for paid in posted(bench)] == [
        (300, Source.LIVE),
        (105, Source.POLLED),
    ]


def test_a_terminal_without_order_ids_is_asked_without_them_and_one_sale_of_the_amount_is_it(
    bench: Bench,
) -> None:
    refuses_order_ids(bench)
    bench.sell("r-1", 300)
    bench.terminal.fault("silence-after-request")
    end = bench.sell("r-2", 105)
    assert end.outcome is SaleOutcome.RESOLVED_PAID
    assert any(b"0001003132" in data for data in bench.written)


def test_two_sales_of_the_amount_without_order_ids_stay_unsure(bench: Bench) -> None:
    work = beside_an_equal_one(bench)
    assert not work.ended.is_set()
    assert posted(bench) == []


def test_a_deaf_terminal_does_not_make_the_lane_forget_that_it_can_tell_order_ids(bench: Bench) -> None:
    bench.terminal.fault("silence-after-request")
    work = bench.queue()
    bench.run(lambda: bench.requests_sent() == 1)
    bench.terminal.fault("deaf", 3)
    bench.run(work.ended.is_set)
    assert any(b"0013003132" in data for data in bench.written)
    assert not any(b"0001003132" in data for data in bench.written)


def test_a_terminal_whose_journal_is_silent_still_gets_the_next_sale(bench: Bench) -> None:
    bench.terminal._list_rows = lambda ask, now: None  # type: ignore[method-assign]
    bench.terminal.fault("silence-after-request")
    work = bench.queue("r-1")
    bench.run(work.in_doubt.is_set)
    assert bench.sell("r-2", 205).outcome is SaleOutcome.APPROVED


def test_an_unsure_sale_is_looked_up_less_and_less_often(bench: Bench) -> None:
    refuses_order_ids(bench)
    bench.sell("r-0", 300)
    bench.terminal.fault("silence-after-request")
    work = bench.queue("r-1")
    bench.run(lambda: bench.requests_sent() == 2)
    bench.run_for(10)
    bench.terminal.key_sale(105)
    bench.run(work.in_doubt.is_set)
    bench.written.clear()
    bench.run_for(1_200)
    questions = sum(b"0001003132" in data for data in bench.written)
    assert 15 <= questions <= len(ASK_AGAIN_S) + 1_200 / ASK_AGAIN_S[-1]


# --- restarts ---------------------------------------------------------------------------------------------


def test_a_sale_in_flight_at_a_power_cut_is_paid_by_the_journal_and_never_asked_again(bench: Bench) -> None:
    bench.terminal.pay_after_s = 10
    bench.terminal.fault("silence-after-request")
    bench.queue()
    bench.run(lambda: bench.requests_sent() == 1)
    bench.restart()
    bench.run(lambda: len(posted(bench)) == 1)
    assert bench.requests_sent() == 0
    assert bench.lane.selling.sell("r-1", 105, b"", lambda: None).outcome is SaleOutcome.RESOLVED_PAID


def test_a_late_answer_after_a_power_cut_ends_its_sale_with_one_award(bench: Bench) -> None:
    bench.terminal.pay_after_s = 10
    bench.queue()
    bench.run(lambda: bench.requests_sent() == 1)
    bench.restart()
    bench.clock.advance(11)
    bench.run(lambda: len(posted(bench)) == 1)
    bench.run_for(60)
    again = bench.lane.selling.sell("r-1", 105, b"", lambda: None)
    assert again.outcome is SaleOutcome.APPROVED
    assert posted(bench)[0].source == Source.LIVE
    assert (len(posted(bench)), bench.requests_sent()) == (1, 0)


def test_a_late_answer_of_the_amount_does_not_end_a_sale_that_was_not_asked_yet(bench: Bench) -> None:
    """The answer of a sale written off earlier comes between our INM and our REQUEST of the same amount."""
    heard: list[bytes] = []
    bench.on_heard = heard.append
    bench.sell("r-1", 105)
    answer = max(heard, key=len)[-RESPONSE_BYTES:]
    late = answer.replace("320062616001".encode("utf-16-le"), "320062616009".encode("utf-16-le"))[1:-1]
    bench.terminal.fault("deaf", 1)
    work = bench.queue("r-2", 105)
    bench.run(lambda: bench.lane._talk.busy)
    assert bench.link is not None
    bench.link.incoming = b"\x02" + late + bytes([reduce(xor, late)])
    bench.run(lambda: len(posted(bench)) == 2)
    assert not work.ended.is_set()
    bench.run(work.ended.is_set)
    assert len(posted(bench)) == 3


# --- card first -------------------------------------------------------------------------------------------


@pytest.fixture
def first(tmp_path: Path) -> Iterator[Bench]:
    it = Bench(tmp_path, card_first=True)
    yield it
    it.close()


def test_a_known_card_is_greeted_with_its_balance_and_pays_with_the_card_it_showed(first: Bench) -> None:
    member = card_holder(first, 2)
    first.terminal.next("approve", card=2)
    end = first.sell("r-2", 1_250)
    assert end.paid is not None
    assert (end.paid.member, end.paid.result, end.paid.balance) == (member, "earned", 225)
    told = first.terminal.slips[-1].lines
    assert "پس از پرداخت موفق: ۱۲۵ امتیاز" in told
    assert "مانده امتیاز: ۱۰۰" in told
    request = next(data for data in reversed(first.written) if data[4:8] == b"000\x19")
    assert first.terminal.cards[2].sha256_hex.encode() in request


def test_another_card_than_the_one_shown_does_not_earn_for_its_owner(first: Bench) -> None:
    card_holder(first, 2)
    first.terminal.next("approve", card=2)
    settle, shown = first.terminal._settle, first.terminal.outcomes[0]

    def with_another_card(ask: SaleAsk, outcome: Outcome, now: float) -> None:
        settle(ask, replace(shown, card=3), now)

    first.terminal._settle = with_another_card  # type: ignore[method-assign]
    end = first.sell("r-2", 1_250)
    assert end.outcome is SaleOutcome.APPROVED
    assert end.paid is not None
    assert end.paid.result == "waiting"
    assert first.shop.balances()[0] == 100


def test_card_first_at_another_terminal_asks_nobody_for_money(first: Bench) -> None:
    first.terminal.tid = "99999999"
    with pytest.raises(TerminalFault, match="99999999"):
        first.sell()
    assert first.requests_sent() == 0


def test_a_terminal_that_knows_no_card_info_still_takes_the_sale(first: Bench) -> None:
    first.terminal.fault("nack", 3)
    assert first.sell().outcome is SaleOutcome.APPROVED


def test_an_identified_customer_earns_whatever_card_pays(bench: Bench) -> None:
    member = bytes.fromhex(bench.shop.members.add(PHONE, "", "test").id)
    bench.terminal.fault("silence-after-request")
    end = bench.sell(amount=1_000, member=member)
    assert end.paid is not None
    assert (end.paid.result, end.paid.member, end.paid.balance) == ("earned", member, 100)


# --- the line ---------------------------------------------------------------------------------------------


def test_a_sale_is_refused_while_the_line_cannot_be_opened_and_is_not_asked_later(bench: Bench) -> None:
    bench.cannot_open = PortError("ttyUSB0 is not there", fix="plug it in", code="SER-002")
    with pytest.raises(PortError, match="not there"):
        bench.sell()
    assert bench.lane.state().line == "closed"
    bench.cannot_open = None
    bench.run_for(30)
    assert bench.lane.state().line == "open"
    assert bench.terminal.sales_asked == 0
    assert bench.sell().outcome is SaleOutcome.APPROVED


def test_what_went_wrong_is_over_when_a_sale_goes_through(bench: Bench) -> None:
    bench.terminal.fault("no-rrn")
    bench.sell("r-1")
    assert bench.lane.state().trouble
    bench.sell("r-2")
    assert bench.lane.state().trouble == ""
    assert bench.lane.state().terminal == TID


def test_old_times_go_when_many_sales_were_made(bench: Bench) -> None:
    bench.times.update({-n: SaleTimes(0.0) for n in range(TIMES_KEPT_MAX, 0, -1)})
    bench.sell()
    assert len(bench.times) == TIMES_KEPT_MAX
    assert -TIMES_KEPT_MAX not in bench.times


def test_an_approval_with_the_reference_of_a_void_is_a_fault_and_its_sale_ends(bench: Bench) -> None:
    rrn = "320000000777"
    bench.terminal.memory.next_rrn = lambda: rrn  # type: ignore[method-assign]
    void, unknown = PaymentKey(Scheme.RRN, TID, rrn), PaymentKey(Scheme.RRN, TID, "1")
    Undo(bench.shop.counter).undo(Wish(Undoing.REFUND, unknown, void, 105, None, "test"))
    end = bench.sell("r-1")
    assert end.outcome is SaleOutcome.APPROVED
    assert end.paid is not None
    assert (end.paid.result, end.paid.why) == ("nothing", OF_AN_UNDOING)
    assert (bench.lane.state().faults, "reference of a void" in bench.lane.state().trouble) == (1, True)
    bench.restart()
    again = bench.sell("r-1")  # the same request gets the same end
    assert again.paid is not None
    assert again.paid.why == OF_AN_UNDOING
    bench.run_for(700)
    assert posted(bench) == []
    assert bench.shop.verified().bad == ()
