"""The Sadad conversation: every edge of the table, and paid only by the terminal's own word."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.codecs.sadad_dialogue import (
    NEXT,
    CardRefused,
    CardSeen,
    Dialogue,
    Fault,
    JournalRefused,
    JournalRows,
    Late,
    Output,
    Repeat,
    SaleDone,
    Seen,
    Send,
    State,
    Taken,
)
from vafa.codecs.sadad_frames import ACK, EOT, INM, NACK, Frame, FrameType, Noise, Reader, ack_for, encode
from vafa.codecs.sadad_messages import (
    JournalRequest,
    SaleRequest,
    card_info_frame,
    journal_request_frame,
    sale_request_frame,
)
from vafa.model.events import SaleOutcome

TID = "C0000301"
PAN = "6219861034529007"  # made up; passes Luhn
SALE = SaleRequest(amount=1000, order_id="321654")
RECORDINGS = Path(__file__).parents[1] / "recordings"
PLACES = {"response": (0, 4), "amount": (8, 13), "card": (34, 17), "trace": (82, 7), "rrn": (124, 13),
          "terminal": (164, 9), "text": (214, 30)}  # fmt: skip


def frame_of(name: str) -> Frame:
    lines = (RECORDINGS / f"{name}.hex").read_text(encoding="utf-8").splitlines()
    (frame,) = Reader().feed(bytes.fromhex("".join(line for line in lines if not line.startswith("#"))))
    assert isinstance(frame, Frame)
    return frame


def response(**fields: str) -> Frame:
    """The vendor's approved sale of 1000 rials with some fields replaced."""
    data = bytearray(frame_of("sadad-sale-response").data)
    for name, value in fields.items():
        first, units = PLACES[name]
        data[first : first + 2 * units] = value.encode("utf-16-le").ljust(2 * units, b"\0")
    return Frame("000", FrameType.RESPONSE, bytes(data))


def card_answer(terminal: str = TID) -> Frame:
    payload = f"{'0a' * 32}{terminal}000000000000152621986**3864"
    return Frame("002", FrameType.RESPONSE, f"0004{len(payload):03d}{payload}".encode("ascii"))


def in_state(state: State, request: SaleRequest = SALE) -> Dialogue:
    """A dialogue with a sale in hand that has come this far at second 0."""
    dialogue = Dialogue(TID)
    if state is not State.IDLE:
        dialogue.sell(request, 0)
    if state in (State.REQUESTED, State.PAYING, State.CANCELLING):
        dialogue.feed(ACK, 0)
    if state in (State.PAYING, State.CANCELLING):
        dialogue.feed(ACK, 0)
    if state is State.CANCELLING:
        dialogue.cancel(0)
    assert dialogue.state is state
    return dialogue


def late_enough(dialogue: Dialogue) -> float:
    assert dialogue.deadline is not None
    return dialogue.deadline


def sent(outputs: list[Output]) -> list[bytes]:
    return [output.data for output in outputs if isinstance(output, Send)]


def done(outputs: list[Output]) -> SaleDone:
    (ended,) = [output for output in outputs if isinstance(output, SaleDone)]
    return ended


def faults(outputs: list[Output]) -> list[str]:
    return [output.code for output in outputs if isinstance(output, Fault)]


def refuse_thrice(dialogue: Dialogue) -> list[Output]:
    dialogue.feed(NACK, 1)
    dialogue.feed(NACK, 1)
    return dialogue.feed(NACK, 1)


HAPPEN: dict[Seen, Callable[[Dialogue], list[Output]]] = {
    Seen.ACK: lambda dialogue: dialogue.feed(ACK, 1),
    Seen.NACK: lambda dialogue: dialogue.feed(NACK, 1),
    Seen.EOT: lambda dialogue: dialogue.feed(EOT, 1),
    Seen.RESPONSE: lambda dialogue: dialogue.feed(response(), 1),
    Seen.SILENCE: lambda dialogue: dialogue.tick(late_enough(dialogue)),
    Seen.CANCEL: lambda dialogue: dialogue.cancel(1),
    Seen.LINK_LOST: lambda dialogue: dialogue.link_lost(1),
    Seen.GIVEN_UP: refuse_thrice,
}
ANYTHING: dict[str, Callable[[Dialogue, float], list[Output]]] = {
    "ack": lambda dialogue, now: dialogue.feed(ACK, now),
    "nack": lambda dialogue, now: dialogue.feed(NACK, now),
    "eot": lambda dialogue, now: dialogue.feed(EOT, now),
    "inm": lambda dialogue, now: dialogue.feed(INM, now),
    "noise": lambda dialogue, now: dialogue.feed(Noise(3, "no frame start"), now),
    "rows": lambda dialogue, now: dialogue.feed(frame_of("sadad-last-five-response"), now),
    "card": lambda dialogue, now: dialogue.feed(card_answer(), now),
    "declined": lambda dialogue, now: dialogue.feed(response(response="51", rrn=""), now),
    "wait": lambda dialogue, now: dialogue.tick(now + 1000),
    "cancel": lambda dialogue, now: dialogue.cancel(now),
    "lost": lambda dialogue, now: dialogue.link_lost(now),
    "sell": lambda dialogue, now: [] if dialogue.busy else dialogue.sell(SALE, now),
}


def test_a_sale_from_the_first_byte_to_the_last() -> None:
    dialogue = Dialogue(TID)
    assert dialogue.sell(SALE, 0) == [Send(encode(INM))]
    assert dialogue.feed(ACK, 0) == [Send(encode(sale_request_frame(SALE)))]
    assert dialogue.feed(ACK, 0) == [Taken()]
    ended = done(dialogue.feed(response(), 20))
    assert (ended.outcome, ended.response) == (SaleOutcome.APPROVED, "00")
    assert ended.payment is not None
    assert (ended.payment.key.ref, ended.payment.amount) == ("320062616116", 1000)
    assert ended.payment.order_id == "321654"
    assert not dialogue.busy
    assert dialogue.deadline is None
    assert dialogue.acknowledge(20) == [Send(encode(ACK))]


@pytest.mark.parametrize(("state", "event"), NEXT)
def test_every_edge_of_the_table_goes_where_it_says(state: State, event: Seen) -> None:
    dialogue = in_state(state)
    move = NEXT[state, event]
    outputs = HAPPEN[event](dialogue)
    assert dialogue.state is move.to
    if event is Seen.RESPONSE:
        assert done(outputs).outcome is SaleOutcome.APPROVED
    elif move.to is State.IDLE:
        assert done(outputs).outcome is move.outcome
        assert done(outputs).text
    else:
        assert not [output for output in outputs if isinstance(output, SaleDone)]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("frame", [ACK, NACK, EOT, INM, Frame("000", FrameType.REQUEST)])
def test_a_frame_the_table_does_not_name_is_a_fault_and_moves_nothing(state: State, frame: Frame) -> None:
    dialogue = in_state(state)
    named = (
        frame.type in (FrameType.ACK, FrameType.NACK, FrameType.EOT)
        and (state, Seen[frame.type.name]) in NEXT
    )
    outputs = dialogue.feed(frame, 1)
    if not named:
        assert faults(outputs) == ["TRM-006"]
        assert dialogue.state is state


def test_only_a_response_of_the_terminal_ever_ends_in_approved() -> None:
    assert SaleOutcome.APPROVED not in {move.outcome for move in NEXT.values()}
    ends = {key: move for key, move in NEXT.items() if move.to is State.IDLE and key[1] is not Seen.RESPONSE}
    for (state, event), move in ends.items():
        if event in (Seen.SILENCE, Seen.LINK_LOST) and state is not State.ASKED:
            assert move.outcome is SaleOutcome.UNSURE


@given(st.lists(st.sampled_from(sorted(ANYTHING)), max_size=40))
def test_without_an_approving_response_no_run_of_events_ends_in_approved(events: list[str]) -> None:
    dialogue = Dialogue(TID)
    requests_without_nack = 0
    for place, event in enumerate(events):
        if event == "nack" or not dialogue.busy:
            requests_without_nack = 0
        outputs = ANYTHING[event](dialogue, 2000.0 * place)
        requests_without_nack += sent(outputs).count(encode(sale_request_frame(SALE)))
        assert requests_without_nack <= 1  # a second REQUEST needs a NACK in between
        for output in outputs:
            if isinstance(output, SaleDone):
                assert output.outcome is not SaleOutcome.APPROVED
                assert output.payment is None
        assert dialogue.busy == (dialogue.deadline is not None)


def test_an_inm_is_sent_three_times_five_seconds_apart_then_nothing_was_charged() -> None:
    dialogue = Dialogue(TID)
    dialogue.sell(SALE, 0)
    assert dialogue.tick(4.9) == []
    assert dialogue.tick(5) == [Send(encode(INM))]
    assert dialogue.tick(10) == [Send(encode(INM))]
    assert done(dialogue.tick(15)).outcome is SaleOutcome.TIMED_OUT


def test_a_request_is_never_repeated_after_silence() -> None:
    dialogue = in_state(State.REQUESTED)
    outputs = dialogue.tick(late_enough(dialogue))
    assert sent(outputs) == []
    assert done(outputs).outcome is SaleOutcome.UNSURE


def test_a_request_is_repeated_after_a_nack_and_given_up_after_three() -> None:
    dialogue = in_state(State.REQUESTED)
    request = encode(sale_request_frame(SALE))
    assert sent(dialogue.feed(NACK, 1)) == [request]
    assert sent(dialogue.feed(NACK, 1)) == [request]
    outputs = dialogue.feed(NACK, 1)
    assert sent(outputs) == []
    assert done(outputs).outcome is SaleOutcome.TIMED_OUT
    assert faults(outputs) == ["TRM-007"]


def test_silence_after_a_repeated_request_is_unsure() -> None:
    dialogue = in_state(State.REQUESTED)
    dialogue.feed(NACK, 1)
    assert done(dialogue.tick(late_enough(dialogue))).outcome is SaleOutcome.UNSURE


def test_a_nack_that_may_belong_to_a_repeated_inm_does_not_repeat_the_request() -> None:
    dialogue = Dialogue(TID)
    dialogue.sell(SALE, 0)
    dialogue.tick(5)  # the second INM
    assert sent(dialogue.feed(ACK, 6)) == [encode(sale_request_frame(SALE))]  # answers the first, late
    assert dialogue.feed(NACK, 6) == []  # answers the second
    assert dialogue.feed(ACK, 7) == [Taken()]


def test_a_nack_of_the_inm_leaves_no_doubt_about_a_later_nack() -> None:
    dialogue = Dialogue(TID)
    dialogue.sell(SALE, 0)
    dialogue.feed(NACK, 1)
    dialogue.feed(ACK, 2)
    assert sent(dialogue.feed(NACK, 3)) == [encode(sale_request_frame(SALE))]


def test_the_second_ack_of_two_inms_is_no_fault() -> None:
    dialogue = Dialogue(TID)
    dialogue.sell(SALE, 0)
    dialogue.tick(5)
    dialogue.feed(ACK, 6)
    assert dialogue.feed(ACK, 6) == [Taken()]
    assert dialogue.feed(ACK, 7) == []
    assert dialogue.state is State.PAYING


def test_the_customer_has_three_minutes() -> None:
    dialogue = in_state(State.PAYING)
    assert dialogue.tick(179.9) == []
    assert done(dialogue.tick(180)).outcome is SaleOutcome.UNSURE


def test_the_customer_has_as_long_as_the_shop_allows() -> None:
    dialogue = Dialogue(TID, pay_s=10)
    dialogue.sell(SALE, 0)
    dialogue.feed(ACK, 0)
    dialogue.feed(ACK, 1)
    assert dialogue.tick(10.9) == []
    assert done(dialogue.tick(11)).outcome is SaleOutcome.UNSURE


def test_another_code_is_a_decline_with_the_terminals_words() -> None:
    ended = done(in_state(State.PAYING).feed(response(response="51", rrn="", text="موجودی کافی نیست"), 5))
    assert ended == SaleDone(SaleOutcome.DECLINED, "51", None, "موجودی کافی نیست")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"rrn": ""}, "TRM-003"),
        ({"terminal": "C0000302"}, "TRM-002"),
        ({"amount": ""}, "TRM-005"),
        ({"amount": "12x"}, "TRM-005"),
        ({"response": ""}, "TRM-005"),
    ],
)
def test_an_approval_that_lacks_what_a_payment_needs_is_unsure(fields: dict[str, str], code: str) -> None:
    dialogue = in_state(State.PAYING)
    outputs = dialogue.feed(response(**fields), 5)
    assert done(outputs).outcome is SaleOutcome.UNSURE
    assert done(outputs).payment is None
    assert faults(outputs) == [code]
    assert sent(dialogue.acknowledge(5)) == [encode(ACK)]


@pytest.mark.parametrize(
    "frame", [Frame("000", FrameType.RESPONSE), Frame("001", FrameType.RESPONSE, b"x" * 280)]
)
def test_an_unreadable_response_is_unsure_for_the_sale_and_a_fault_without_one(frame: Frame) -> None:
    assert done(in_state(State.PAYING).feed(frame, 5)).outcome is SaleOutcome.UNSURE
    assert faults(in_state(State.IDLE).feed(frame, 5)) == ["TRM-005"]
    asking = Dialogue(TID)
    asking.ask_journal(JournalRequest(), 0)
    assert faults(asking.feed(frame, 1)) == ["TRM-005"]
    assert asking.busy


def test_another_amount_than_asked_is_a_fault_and_the_terminals_amount_counts() -> None:
    outputs = in_state(State.PAYING).feed(response(amount="2000"), 5)
    ended = done(outputs)
    assert ended.outcome is SaleOutcome.APPROVED
    assert ended.payment is not None
    assert ended.payment.amount == 2000
    assert faults(outputs) == ["TRM-004"]


def test_a_response_is_acknowledged_once_and_only_when_the_caller_says_so() -> None:
    dialogue = in_state(State.PAYING)
    assert sent(dialogue.feed(response(), 5)) == []
    assert sent(dialogue.acknowledge(5.1)) == [encode(ACK)]
    assert dialogue.acknowledge(5.2) == []
    assert Dialogue(TID).acknowledge(0) == []


def test_a_response_sent_again_is_a_repeat_with_the_same_payment_and_acknowledged_again() -> None:
    dialogue = in_state(State.PAYING)
    first = done(dialogue.feed(response(), 5))
    dialogue.acknowledge(5)
    assert dialogue.feed(response(), 10) == [Repeat(first.payment)]
    assert sent(dialogue.acknowledge(10)) == [encode(ACK)]


@pytest.mark.parametrize("state", [State.REQUESTED, State.PAYING])
def test_the_last_response_again_does_not_end_the_next_sale(state: State) -> None:
    dialogue = in_state(State.PAYING)
    first = done(dialogue.feed(response(), 5))
    dialogue.sell(SALE, 6)
    for _ in range([State.REQUESTED, State.PAYING].index(state) + 1):
        dialogue.feed(ACK, 7)
    assert dialogue.feed(response(), 8) == [Repeat(first.payment)]
    assert dialogue.state is state
    second = done(dialogue.feed(response(rrn="320062616117"), 9))
    assert second.payment is not None
    assert second.payment.key.ref == "320062616117"


def test_two_bare_declines_in_a_row_are_two_answers() -> None:
    no = Frame("000", FrameType.RESPONSE, "51".encode("utf-16-le").ljust(274, b"\0"))
    dialogue = in_state(State.PAYING)
    assert done(dialogue.feed(no, 5)).outcome is SaleOutcome.DECLINED
    dialogue.sell(SALE, 6)
    dialogue.feed(ACK, 6)
    dialogue.feed(ACK, 6)
    assert done(dialogue.feed(no, 7)).outcome is SaleOutcome.DECLINED


def test_the_answer_of_an_unsure_sale_is_late_and_its_payment_counts() -> None:
    dialogue = in_state(State.PAYING)
    dialogue.tick(180)
    (late,) = dialogue.feed(response(), 200)
    assert isinstance(late, Late)
    assert late.payment is not None
    assert late.payment.key.ref == "320062616116"
    assert sent(dialogue.acknowledge(200)) == [encode(ACK)]


def test_the_answer_of_an_unsure_sale_does_not_end_the_next_one_of_another_amount() -> None:
    dialogue = in_state(State.PAYING)
    dialogue.tick(180)
    dialogue.sell(SaleRequest(amount=2500), 181)
    dialogue.feed(ACK, 182)
    dialogue.feed(ACK, 182)
    (late,) = dialogue.feed(response(), 183)
    assert isinstance(late, Late)
    assert dialogue.state is State.PAYING
    ended = done(dialogue.feed(response(amount="2500", rrn="320062616117"), 190))
    assert ended.outcome is SaleOutcome.APPROVED


@pytest.mark.parametrize("state", [State.IDLE, State.ASKED])
def test_a_response_nobody_waits_for_is_late_and_never_dropped(state: State) -> None:
    dialogue = in_state(state)
    (late,) = dialogue.feed(response(), 1)
    assert isinstance(late, Late)
    assert late.payment is not None
    assert dialogue.state is state
    declined = in_state(state).feed(response(response="51", rrn=""), 1)
    assert declined == [Late(None, "51", "")]
    foreign = in_state(state).feed(response(terminal="C0000302"), 1)
    assert faults(foreign) == ["TRM-002"]


def test_a_cancel_before_the_request_ends_at_once_and_after_it_waits_for_the_terminal() -> None:
    before = in_state(State.ASKED)
    outputs = before.cancel(1)
    assert sent(outputs) == [encode(EOT)]
    assert done(outputs).outcome is SaleOutcome.CANCELLED
    after = in_state(State.PAYING)
    assert after.cancel(1) == [Send(encode(EOT))]
    assert after.cancel(2) == []
    assert after.feed(ACK, 2) == []
    assert after.busy
    assert in_state(State.IDLE).cancel(0) == []


def test_noise_changes_nothing() -> None:
    for state in State:
        dialogue = in_state(state)
        assert dialogue.feed(Noise(7, "bad checksum"), 1) == []
        assert dialogue.state is state


def test_a_lost_line_voids_the_acknowledgement_owed() -> None:
    dialogue = in_state(State.PAYING)
    dialogue.feed(response(), 5)
    assert dialogue.link_lost(5) == []
    assert dialogue.acknowledge(6) == []


def test_a_card_is_asked_without_a_sale() -> None:
    dialogue = Dialogue(TID)
    assert sent(dialogue.ask_card(0)) == [encode(INM)]
    assert sent(dialogue.feed(ACK, 0)) == [encode(card_info_frame())]
    assert dialogue.feed(ack_for("002"), 0) == []
    ack, seen = dialogue.feed(card_answer(), 9)
    assert ack == Send(encode(ack_for("002")))
    assert isinstance(seen, CardSeen)
    assert seen.info.card.pan_sha256 == b"\x0a" * 32
    assert not dialogue.busy


def test_another_terminals_card_is_refused() -> None:
    dialogue = Dialogue(TID)
    dialogue.ask_card(0)
    dialogue.feed(ACK, 0)
    outputs = dialogue.feed(card_answer("C0000302"), 1)
    assert faults(outputs) == ["TRM-002"]
    assert any(isinstance(output, CardRefused) for output in outputs)


def test_the_journal_is_asked_and_acknowledged_at_once() -> None:
    dialogue = Dialogue(TID)
    dialogue.ask_journal(JournalRequest(5), 0)
    assert sent(dialogue.feed(ACK, 0)) == [encode(journal_request_frame(JournalRequest(5)))]
    dialogue.feed(ack_for("002"), 0)
    ack, rows = dialogue.feed(frame_of("sadad-last-five-response"), 1)
    assert ack == Send(encode(ack_for("002")))
    assert isinstance(rows, JournalRows)
    assert [row.trace for row in rows.rows] == ["001027", "001026", "001025", "001024", "001022"]


def test_a_garbled_journal_row_is_a_fault_beside_the_good_ones() -> None:
    dialogue = Dialogue(TID)
    dialogue.ask_journal(JournalRequest(5), 0)
    dialogue.feed(ACK, 0)
    good = frame_of("sadad-last-five-response")
    data = good.data.replace(b"000106541000", b"00010654x000")
    outputs = dialogue.feed(Frame("002", FrameType.RESPONSE, data), 1)
    (rows,) = [output for output in outputs if isinstance(output, JournalRows)]
    assert len(rows.rows) == 4
    assert faults(outputs) == ["TRM-005"]


@pytest.mark.parametrize("event", ["silence", "lost", "eot", "cancel", "garbled", "another"])
def test_a_question_that_gets_no_answer_is_refused_and_says_nothing_of_charges(event: str) -> None:
    for card in (True, False):
        dialogue = Dialogue(TID)
        _ = dialogue.ask_card(0) if card else dialogue.ask_journal(JournalRequest(), 0)
        dialogue.feed(ACK, 0)
        dialogue.feed(ack_for("002"), 0)
        match event:
            case "silence":
                outputs = dialogue.tick(late_enough(dialogue))
            case "lost":
                outputs = dialogue.link_lost(1)
            case "eot":
                outputs = dialogue.feed(EOT, 1)
            case "cancel":
                outputs = dialogue.cancel(1)
            case "garbled":
                outputs = dialogue.feed(Frame("002", FrameType.RESPONSE, b"xx"), 1)
            case _:
                other = frame_of("sadad-last-five-response") if card else card_answer()
                outputs = dialogue.feed(other, 1)
        (refused,) = [output for output in outputs if isinstance(output, CardRefused | JournalRefused)]
        assert isinstance(refused, CardRefused) == card
        assert refused.why
        assert "charged" not in refused.why
        assert not dialogue.busy


@pytest.mark.parametrize("state", State)
def test_rows_nobody_asked_for_are_a_fault_and_acknowledged(state: State) -> None:
    dialogue = in_state(state)
    outputs = dialogue.feed(frame_of("sadad-last-five-response"), 1)
    assert sent(outputs) == [encode(ack_for("002"))]
    assert faults(outputs) == ["TRM-006"]
    assert dialogue.state is state


def test_a_late_sale_answer_does_not_end_a_journal_question() -> None:
    dialogue = Dialogue(TID)
    dialogue.ask_journal(JournalRequest(), 0)
    dialogue.feed(ACK, 0)
    (late,) = dialogue.feed(response(), 1)
    assert isinstance(late, Late)
    assert dialogue.state is State.REQUESTED


def test_a_request_that_does_not_fit_leaves_the_dialogue_free() -> None:
    dialogue = Dialogue(TID)
    with pytest.raises(ValueError, match="13 digits"):
        dialogue.sell(SaleRequest(amount=0), 0)
    assert not dialogue.busy


@pytest.mark.parametrize("state", [State.IDLE, State.ASKED, State.PAYING])
def test_no_output_shows_a_card_number_that_old_firmware_sent(state: State) -> None:
    dialogue = in_state(state, SaleRequest(amount=1000, order_id=PAN))
    outputs = dialogue.feed(response(card=PAN, text=f"card {PAN}"), 5)
    assert outputs
    assert PAN not in repr(outputs)
    assert PAN[6:12] not in repr(outputs)


def test_a_card_number_as_order_id_becomes_its_token() -> None:
    dialogue = Dialogue(TID, lambda _pan: "tok7f")
    dialogue.sell(SaleRequest(amount=1000, order_id=PAN), 0)
    dialogue.feed(ACK, 0)
    ended = done(dialogue.feed(response(), 1))
    assert ended.payment is not None
    assert ended.payment.order_id == "tok7f"
