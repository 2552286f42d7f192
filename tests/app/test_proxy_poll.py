"""A relayed terminal's own list, read on the idle line: what nobody told is found once, and gaps heal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from listening import Polled
from sadad_talk import TALK, TID, request, response
from shop import Shop

from vafa.app.borrowing import AGAIN_S, NOT_LENT_SHOWN_S, OLD_RELAY
from vafa.app.exchange import MISSED_S, UNKNOWN_S
from vafa.app.foreign import ANOTHER
from vafa.app.live import Live
from vafa.app.polling import HEALED_BY
from vafa.app.proxy_lane import OVERFLOWED
from vafa.app.status import Facts, status
from vafa.codecs.sadad_frames import INM, Frame, FrameType, encode
from vafa.codecs.sadad_journal import card_info_frame
from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.model import events
from vafa.model.errors import LedgerError
from vafa.model.events import Kind
from vafa.ports import relay_wire as wire
from vafa.ports.relay_lending import QUIET_S
from vafa.simulators import sadad_bytes
from vafa.simulators.faults import ALWAYS

GONE = wire.KILLED_WITH_COPIES


@pytest.fixture
def polled(tmp_path: Path) -> Iterator[Polled]:
    it = Polled(tmp_path)
    yield it
    it.shop.ledger.close()


def troubles(polled: Polled) -> list[str]:
    """The codes `vafa status` shows."""
    connection = connect_reader(polled.shop.ledger.path)
    try:
        live = Live("1", 1, 60.0, (polled.lane.state(),))
        facts = Facts("Kafe Negin", "Asia/Tehran", ((TID, "proxy", "fed"),))
        return [each.code for each in status(connection, live, facts, polled.shop.wall_ms).trouble]
    finally:
        connection.close()


def open_gaps(shop: Shop) -> int:
    return len(shop.ledger.read(reads.open_gaps))


def register_sells(polled: Polled, amount: int, order_id: str = "bill-1") -> None:
    """A sale of the cash register's: at the terminal, and across the line."""
    record = polled.relay.terminal._approve(
        amount, polled.relay.terminal.cards[0], "04", order_id, keyed=False
    )
    card = f"{record.card[:6]}******{record.card[-4:]}"
    answer = response(amount, record.rrn, trace=f"{record.trace:06d}", card=card)
    polled.crosses(
        *TALK[:2],
        (wire.TO_TERMINAL, request(amount, order_id)),
        TALK[3],
        (wire.TO_REGISTER, answer),
        TALK[5],
    )


# --- what the list tells ---


def test_keypad_sales_are_found_and_awarded_once_and_the_first_list_is_the_baseline(polled: Polled) -> None:
    polled.relay.terminal.key_sale(1_000)
    polled.greet()
    polled.polled()
    assert polled.amounts() == []
    polled.relay.terminal.key_sale(2_000)
    polled.polled()
    polled.polled()
    assert polled.amounts() == [2_000]
    polled.new_lane()
    polled.greet()
    polled.polled()
    assert (polled.amounts(), polled.gaps(), troubles(polled)) == ([2_000], [], [])
    assert polled.shop.verified().bad == ()


def test_a_sale_that_crossed_and_stands_in_the_list_is_one(polled: Polled) -> None:
    polled.greet()
    polled.polled()
    register_sells(polled, 105_000)
    polled.relay.terminal.key_sale(3_000)
    polled.polled()
    assert polled.amounts() == [105_000, 3_000]
    assert polled.lane.state().disagreeing == ()


def test_a_sale_whose_answer_never_came_is_found(polled: Polled) -> None:
    polled.greet()
    polled.polled()
    polled.crosses(*TALK[:4])
    polled.relay.terminal._approve(125_000, polled.relay.terminal.cards[0], "04", "bill-7", keyed=False)
    polled.run_for(200)
    assert polled.relay.lent == 1  # nobody speaks into a sale
    polled.polled()
    assert polled.amounts() == [125_000]


def test_with_poll_off_the_line_is_never_borrowed(tmp_path: Path) -> None:
    it = Polled(tmp_path, poll=False)
    it.greet()
    it.run_for(700)
    assert (it.relay.lent, it.relay.refused_numbers) == (0, [])
    assert troubles(it) == []
    it.shop.ledger.close()


def test_a_shop_s_pace_sets_how_often_the_list_is_read(polled: Polled) -> None:
    polled.greet()
    polled.polled()
    polled.run_for(300)
    slow = polled.relay.lent
    for _ in range(13):
        polled.relay.terminal.key_sale(1_000)
        polled.shop.wall_ms += 2_000
    polled.polled()
    before = polled.relay.lent
    polled.run_for(300)
    assert polled.relay.lent - before > 4 * slow


# --- when it is not asked ---


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_no_unfinished_exchange_is_spoken_into(polled: Polled, frames: int) -> None:
    polled.greet()
    polled.crosses(*TALK)
    polled.crosses(*TALK[:frames])
    polled.run_for(8)
    assert (polled.relay.lent, polled.relay.refused_numbers) == (0, [])
    polled.crosses(*TALK[frames:])
    polled.run_for(QUIET_S + 1)
    assert polled.relay.lent == 1


def test_half_a_frame_keeps_the_line_until_it_is_whole_or_given_up(polled: Polled) -> None:
    polled.greet()
    polled.crosses(*TALK)
    kind, data = TALK[0]
    polled.crosses((kind, data[:4]))
    polled.run_for(1.5)
    assert polled.relay.lent == 0
    polled.polled()


def test_a_card_that_was_asked_for_before_its_sale_keeps_the_line_for_it(polled: Polled) -> None:
    polled.greet()
    polled.crosses(*TALK)
    info = sadad_bytes.card_info_response("ab" * 32, TID, "152", "621986**3864")
    asks = (wire.TO_TERMINAL, encode(card_info_frame()))
    ack = (wire.TO_TERMINAL, encode(Frame("002", FrameType.ACK)))
    polled.crosses(*TALK[:2], asks, TALK[3], (wire.TO_REGISTER, info), ack)
    polled.run_for(60)
    assert polled.relay.lent == 0
    polled.crosses(*TALK)
    polled.polled()


def test_just_started_nothing_is_known_of_what_crossed_before(polled: Polled) -> None:
    polled.greet()
    polled.run_for(UNKNOWN_S)
    assert polled.relay.lent == 0
    polled.run_for(QUIET_S + 1)
    assert polled.relay.lent == 1


def test_nothing_is_asked_while_a_payment_is_not_durable(
    polled: Polled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise LedgerError("the disk is full")

    polled.greet()
    with monkeypatch.context() as patched:
        patched.setattr(polled.shop.ledger, "write", full)
        polled.crosses(*TALK)
        polled.run_for(60)
        assert (polled.relay.lent, polled.lane.state().unposted) == (0, 1)
    polled.polled()
    assert polled.amounts() == [125_000]


def test_another_terminal_s_answer_stops_the_asking_until_the_right_one_answers(polled: Polled) -> None:
    polled.greet()
    polled.crosses(*TALK[:4], (wire.TO_REGISTER, response(terminal_id="99999999")), TALK[5])
    polled.run_for(700)
    assert polled.relay.lent == 0
    polled.new_lane()  # a restart forgets neither that nor what the gap is for
    polled.greet()
    polled.run_for(700)
    assert (polled.relay.lent, polled.gaps()) == (0, [ANOTHER])
    polled.crosses(*TALK)
    polled.polled()
    assert polled.gaps() == [ANOTHER]


def test_a_person_who_closes_the_gap_of_another_terminal_ends_the_doubt(polled: Polled) -> None:
    polled.greet()
    polled.crosses(*TALK[:4], (wire.TO_REGISTER, response(terminal_id="99999999")), TALK[5])
    polled.run_for(5)
    (gap,) = polled.shop.ledger.read(reads.open_gaps)
    polled.shop.ledger.write(lambda tx: tx.post(events.GapClosed((1, gap.seq), "test", "swapped back")))
    polled.new_lane()
    polled.greet()
    polled.polled()
    assert open_gaps(polled.shop) == 0


def test_the_gap_of_another_terminal_heals_when_ours_shows_every_sale_since(polled: Polled) -> None:
    polled.greet()
    register_sells(polled, 105_000)
    polled.polled()
    polled.crosses(*TALK[:4], (wire.TO_REGISTER, response(terminal_id="99999999")), TALK[5])
    polled.relay.terminal.key_sale(77_000)
    register_sells(polled, 106_000)
    polled.polled()
    assert (polled.gaps(), open_gaps(polled.shop)) == ([ANOTHER], 0)
    assert 77_000 in polled.amounts()


# --- what goes wrong ---


@pytest.mark.parametrize("frames", [0, 1])
def test_a_line_that_is_needed_is_asked_for_again_soon(polled: Polled, frames: int) -> None:
    polled.relay.terminal.key_sale(1_000)
    polled.greet()
    polled.polled()
    polled.relay.terminal.key_sale(2_000)
    polled.relay.cut_after = frames
    polled.polled()
    assert polled.relay.lent == 3
    assert polled.amounts() == [2_000]
    assert troubles(polled) == []


def test_a_line_that_is_never_idle_is_told(polled: Polled) -> None:
    polled.greet()
    polled.relay.in_use = "the line is not quiet"
    polled.run_for(NOT_LENT_SHOWN_S)
    assert troubles(polled) == []
    asked = len(polled.relay.refused_numbers)
    assert NOT_LENT_SHOWN_S / 10 < asked * AGAIN_S <= NOT_LENT_SHOWN_S
    polled.run_for(30)
    assert troubles(polled) == ["GAP-002"]
    polled.relay.in_use = ""
    polled.polled()
    assert troubles(polled) == []


def test_a_silent_terminal_is_told_and_left_in_peace(polled: Polled) -> None:
    polled.relay.terminal.fault("deaf", ALWAYS)
    polled.greet()
    polled.run_for(1_500)
    assert troubles(polled) == ["GAP-002"]
    assert polled.relay.lent < 15


def test_a_relay_of_before_the_upgrade_is_not_asked_and_that_is_told(polled: Polled) -> None:
    hello = wire.encode_hello(wire.Hello(0, "a", ""))
    polled.say(hello, wire.encode(wire.STATE, 0, b"open\n"))
    polled.run_for(60)
    assert polled.relay.lent == 0
    assert polled.lane.state().poll_trouble == OLD_RELAY
    assert {each.kind for each in polled.relay.told} <= {wire.ACK, wire.NOTED}


def test_a_disk_that_fails_at_the_rows_is_told_and_they_are_asked_for_again(
    polled: Polled, monkeypatch: pytest.MonkeyPatch
) -> None:
    polled.greet()
    polled.polled()
    polled.relay.terminal.key_sale(2_000)

    def full(*_: Any) -> Any:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(polled.shop.ledger, "write", full)
        polled.run_for(130)
        assert "disk is full" in polled.lane.state().trouble
    polled.polled()
    assert polled.amounts() == [2_000]
    assert polled.gaps() == []
    assert polled.lane.state().trouble == ""


def test_a_yes_of_the_relay_s_that_comes_too_late_is_given_back(polled: Polled) -> None:
    polled.greet()
    polled.say(wire.encode(wire.LENT))
    assert polled.relay.told[-1].kind == wire.GIVE_BACK


def test_a_reason_of_a_newer_relay_s_is_no_end_of_the_lane(polled: Polled) -> None:
    polled.greet()
    polled.relay.terminal.fault("deaf", 1)
    polled.run_for(UNKNOWN_S + QUIET_S + 2)
    polled.say(wire.encode(wire.OVER, 77, b"for a reason of tomorrow"))
    polled.relay._is_lent = False
    polled.polled()


def test_the_relay_goes_in_the_middle_of_a_question(polled: Polled) -> None:
    polled.greet()
    polled.relay.terminal.fault("deaf", 1)
    polled.run_for(UNKNOWN_S + QUIET_S + 2)
    assert polled.lane.state().doing == "polling"
    polled.lane._line.close()
    polled.clock.advance(10)
    polled.greet(instance="b")
    polled.polled()
    assert polled.gaps() == []


# --- gaps ---


def missed(polled: Polled, sales: int) -> None:
    """Some sales are known; then copies are lost, and with them so many sales."""
    polled.greet()
    polled.polled()
    for number in range(3):
        register_sells(polled, 1_000 + number)
    polled.polled()
    for number in range(sales):
        polled.relay.terminal.key_sale(50_000 + number)
    polled.clock.advance(20)
    polled.lane._line.close()
    polled.greet(instance="b", missing=GONE)


@pytest.mark.parametrize("sales", [0, 1, 12])
def test_a_gap_of_lost_copies_is_closed_by_a_list_that_reaches_back(polled: Polled, sales: int) -> None:
    missed(polled, sales)
    assert (polled.gaps(), open_gaps(polled.shop)) == ([GONE], 1)
    assert troubles(polled) == ["GAP-001"]
    polled.run_for(MISSED_S - 10)
    assert open_gaps(polled.shop) == 1  # a customer may stand at the keypad
    polled.polled()
    assert polled.amounts()[3:] == [50_000 + number for number in range(sales)]
    (closed,) = polled.of(Kind.GAP_CLOSED)
    assert isinstance(closed, events.GapClosed)
    assert closed.by == HEALED_BY
    assert f"{sales} of them were not known" in closed.why
    assert (open_gaps(polled.shop), troubles(polled)) == (0, [])
    assert polled.shop.verified().bad == ()


def test_a_gap_longer_than_the_list_stays_for_a_person(polled: Polled) -> None:
    missed(polled, 13)
    polled.polled()
    for _ in range(3):
        polled.polled()
    assert polled.amounts()[3:] == [50_000 + number for number in range(13)]
    assert (polled.gaps(), open_gaps(polled.shop)) == ([GONE], 1)
    assert troubles(polled) == ["GAP-001"]


def test_sales_known_since_do_not_hide_what_left_the_list_before_them(polled: Polled) -> None:
    missed(polled, 2)
    for number in range(13):
        register_sells(polled, 7_000 + number)
    polled.polled()
    assert open_gaps(polled.shop) == 1
    assert 50_000 not in polled.amounts()


@pytest.mark.parametrize("sales", [11, 12, 30])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_keypad_sale_that_may_have_left_the_list_behind_sales_heard_live_is_a_gap(
    polled: Polled, sales: int, restarted: bool
) -> None:
    polled.relay.terminal.key_sale(1_000)
    polled.greet()
    polled.polled()
    polled.relay.terminal.key_sale(2_000)
    if restarted:
        polled.new_lane()
        polled.greet()
    for number in range(sales):
        register_sells(polled, 7_000 + number)
    polled.polled()
    polled.polled()
    reaches_back = sales + 2 <= 13
    assert (2_000 in polled.amounts()) is (sales < 13)
    assert len(polled.gaps()) == (0 if reaches_back else 1)


def test_a_whole_exchange_after_a_gap_shows_that_the_terminal_is_free(polled: Polled) -> None:
    missed(polled, 1)
    register_sells(polled, 9_000)
    polled.run_for(QUIET_S + 2)
    assert (open_gaps(polled.shop), sorted(polled.amounts())[-1]) == (0, 50_000)


def test_an_overflow_is_healed_too(polled: Polled) -> None:
    polled.greet()
    polled.polled()
    register_sells(polled, 1_000)
    polled.relay.terminal.key_sale(50_000)
    polled.relay.newest += 40
    register_sells(polled, 2_000)
    assert (polled.gaps(), open_gaps(polled.shop)) == ([OVERFLOWED], 1)
    polled.polled()
    assert (open_gaps(polled.shop), sorted(polled.amounts())) == (0, [1_000, 2_000, 50_000])


def test_a_list_with_an_unreadable_row_closes_no_gap(polled: Polled) -> None:
    missed(polled, 1)
    rows = polled.lane._borrowing.polling
    decide = rows.answered
    rows.answered = lambda journal: decide(type(journal)(journal.rows, journal.with_order_ids, 1))  # type: ignore[method-assign]
    polled.polled()
    assert open_gaps(polled.shop) == 1


def test_a_new_terminal_with_few_sales_heals_by_showing_all_it_has(polled: Polled) -> None:
    polled.greet()
    polled.polled()
    polled.relay.terminal.key_sale(50_000)
    polled.clock.advance(20)
    polled.lane._line.close()
    polled.greet(instance="b", missing=GONE)
    polled.polled()
    assert (polled.amounts(), open_gaps(polled.shop)) == ([50_000], 0)


# --- the exchange itself ---


def test_a_second_inm_while_a_customer_pays_does_not_free_the_line(polled: Polled) -> None:
    polled.greet()
    polled.crosses(*TALK)
    nack = (wire.TO_REGISTER, encode(Frame("000", FrameType.NACK)))
    polled.crosses(*TALK[:4], (wire.TO_TERMINAL, encode(INM)), nack)
    polled.run_for(100)
    assert polled.relay.lent == 0


def test_a_cancelled_sale_and_a_cash_register_that_never_acknowledges_free_the_line(polled: Polled) -> None:
    polled.greet()
    eot = (wire.TO_REGISTER, encode(Frame("000", FrameType.EOT)))
    polled.crosses(*TALK[:4], eot)
    polled.polled()
    polled.crosses(*TALK[:5])
    polled.run_for(150)
    assert polled.relay.lent == 1
    polled.run_for(100)
    assert polled.relay.lent == 2
    polled.crosses(*TALK[:5], (wire.CUT, b""))
    polled.run_for(60)
    assert polled.relay.lent == 3
