"""What a line tells a listener: any split gives the same, a start in the middle too; what must be kept."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sadad_talk import TALK, TID, request, response

from vafa.app.overheard import SALE_KEPT_S, Heard, Overheard
from vafa.codecs.sadad_fields import AMOUNT_DIFFERS, UNREADABLE, WRONG_TERMINAL, Fault
from vafa.codecs.sadad_frames import ACK, EOT, INM, QUIET_BEFORE_FLUSH_S, Frame, FrameType, encode
from vafa.model.payment import Payment
from vafa.ports.relay_wire import TO_REGISTER, TO_TERMINAL
from vafa.simulators import sadad_bytes


def listen(records: list[tuple[bytes, bytes]], line: Overheard | None = None) -> list[Heard]:
    line = line or Overheard(TID, lambda _pan: "token")
    heard: list[Heard] = []
    for number, (direction, data) in enumerate(records, 1):
        heard += line.feed(direction, number, data, 0.0)
    return heard


def needs(line: Overheard) -> int | None:
    return line.needed_from


def payments(heard: list[Heard]) -> list[Payment]:
    return [each for each in heard if isinstance(each, Payment)]


def test_the_response_is_the_payment_and_the_request_names_its_order() -> None:
    (paid,) = payments(listen(TALK))
    assert (paid.amount, paid.key.ref, paid.order_id, paid.trace) == (
        125_000,
        "320062616116",
        "bill-7",
        "000996",
    )
    assert paid.is_sale


@given(data=st.data())
def test_any_split_of_the_records_tells_the_same(data: st.DataObject) -> None:
    records = []
    for direction, frame in TALK:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(frame)), max_size=6)))
        edges = [0, *cuts, len(frame)]
        records += [(direction, frame[a:b]) for a, b in pairwise(edges) if a < b]
    assert listen(records) == listen(TALK)


@given(at=st.integers(1, len(request()) - 1))
def test_listening_may_begin_in_the_middle_of_a_request(at: int) -> None:
    (paid,) = payments(listen([(TO_TERMINAL, request()[at:]), *TALK[3:]]))
    assert paid.key.ref == "320062616116"


@given(at=st.integers(1, len(response()) - 1))
def test_listening_may_begin_in_the_middle_of_a_response(at: int) -> None:
    """The cut one is lost for us, the next is whole; the terminal repeats the first when it got no ACK."""
    line = Overheard(TID, lambda _pan: "token")
    heard = listen([(TO_REGISTER, response(rrn="1")[at:])], line)
    heard += line.tick(QUIET_BEFORE_FLUSH_S)
    heard += line.feed(TO_REGISTER, 2, response(rrn="2"), QUIET_BEFORE_FLUSH_S)
    assert [paid.key.ref.lstrip("0") for paid in payments(heard)] == ["2"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (response(code="51"), ""),
        (response(terminal_id="99999999"), WRONG_TERMINAL),
        (response(rrn=""), "TRM-003"),
        (response(amount=1), AMOUNT_DIFFERS),
        (encode(Frame("000", FrameType.RESPONSE, b"short")), UNREADABLE),
    ],
)
def test_what_is_no_clean_payment_is_told(answer: bytes, code: str) -> None:
    heard = listen([(TO_TERMINAL, request()), (TO_REGISTER, answer)])
    assert [each.code for each in heard if isinstance(each, Fault)] == ([code] if code else [])
    assert len(payments(heard)) == (code == AMOUNT_DIFFERS)


def test_a_bill_is_no_sale_though_the_terminal_does_not_repeat_what_it_was() -> None:
    (paid,) = payments(
        listen([(TO_TERMINAL, request(processing="170000")), (TO_REGISTER, response(processing=""))])
    )
    assert not paid.is_sale


def test_a_card_asked_for_before_the_sale_brings_its_hash_to_that_card_s_payment_only() -> None:
    card = sadad_bytes.card_info_response("ab" * 32, TID, "000000000000152", "621986**3864")
    same = listen([(TO_REGISTER, card), *TALK[2:]])
    assert payments(same)[0].card.pan_sha256 == b"\xab" * 32
    other = listen([(TO_REGISTER, card), (TO_REGISTER, response(card="603799******1111"))])
    assert payments(other)[0].card.pan_sha256 == b""


def test_a_request_is_kept_until_its_answer_and_a_cut_frame_until_its_end() -> None:
    line = Overheard(TID, lambda _pan: "token")
    line.feed(TO_TERMINAL, 1, encode(INM), 0.0)
    assert line.needed_from is None
    line.feed(TO_TERMINAL, 2, request(), 0.0)
    line.feed(TO_REGISTER, 3, encode(ACK) + response()[:10], 0.0)
    assert line.needed_from == 2
    assert line.doing == "customer pays 125,000"
    line.feed(TO_REGISTER, 4, response()[10:] + encode(ACK)[:2], 0.0)
    assert line.needed_from == 4
    assert line.doing == "listening"
    line.feed(TO_REGISTER, 5, encode(ACK)[2:], 0.0)
    assert needs(line) is None


def test_bytes_behind_a_false_start_are_kept_from_the_record_they_came_in() -> None:
    """02 9.. claims a long frame; the good one behind it is cut: it began before the record that ends it."""
    line = Overheard(TID, lambda _pan: "token")
    line.feed(TO_REGISTER, 1, b"\x02999000\x1a", 0.0)
    line.feed(TO_REGISTER, 2, response()[:100], 0.0)
    assert line.needed_from == 1
    line.tick(QUIET_BEFORE_FLUSH_S - 0.1)
    assert line.needed_from == 1


@pytest.mark.parametrize("end", [encode(EOT), encode(Frame("000", FrameType.NACK)), response(code="51")])
def test_what_ends_a_sale_lets_its_request_go(end: bytes) -> None:
    line = Overheard(TID, lambda _pan: "token")
    listen([(TO_TERMINAL, request()), (TO_REGISTER, end)], line)
    assert line.needed_from is None


def test_a_sale_without_an_end_is_let_go_in_time_and_a_quiet_line_s_rest_too() -> None:
    line = Overheard(TID, lambda _pan: "token")
    line.feed(TO_TERMINAL, 1, request(), 0.0)
    line.feed(TO_REGISTER, 2, b"\x02", 0.0)
    assert line.due_at() == QUIET_BEFORE_FLUSH_S
    assert len(line.tick(QUIET_BEFORE_FLUSH_S)) == 1  # noise
    assert line.due_at() == SALE_KEPT_S
    line.tick(SALE_KEPT_S)
    assert (line.needed_from, line.due_at()) == (None, None)


def test_a_cut_line_ends_its_frames_and_not_the_customer_s_payment() -> None:
    line = Overheard(TID, lambda _pan: "token")
    line.feed(TO_TERMINAL, 1, request(), 0.0)
    line.feed(TO_REGISTER, 2, response()[:20], 0.0)
    line.cut(3, 0.0)
    (paid,) = payments(line.feed(TO_REGISTER, 4, response(), 0.0))
    assert paid.order_id == "bill-7"
