"""The lane that listens: acknowledged only after the commit, what is lost is a gap, whatever breaks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from listening import Listening
from sadad_talk import TALK, TID, request, response

from vafa.app.proxy_lane import OVERFLOWED
from vafa.app.undo import Undo, Undoing, Wish
from vafa.codecs.sadad_frames import ACK, NACK, QUIET_BEFORE_FLUSH_S, encode
from vafa.model import events
from vafa.model.errors import LedgerError, PortError
from vafa.model.events import Kind
from vafa.model.payment import PaymentKey, Scheme
from vafa.ports import relay_wire as wire


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    it = Listening(tmp_path)
    yield it
    it.shop.ledger.close()


def test_an_overheard_payment_is_awarded_then_acknowledged(listening: Listening) -> None:
    listening.greet()
    listening.talk(1, TALK[:4])
    assert (listening.awards(), listening.relay.acked) == (0, 2)  # the request waits for its answer
    assert listening.lane.state().doing == "customer pays 125,000"
    listening.talk(5, TALK[4:])
    assert (listening.awards(), listening.relay.acked) == (1, 6)
    (award,) = listening.of(Kind.AWARD)
    assert isinstance(award, events.Award)
    assert (award.paid.order_id, award.paid.source, award.paid.trace) == ("bill-7", 1, "000996")
    assert listening.gaps() == []


GARBAGE = b"\x80\xf8\x00\x1c" * 8


def test_a_relayed_line_that_carries_only_garbage_is_told_until_a_message_crosses(
    listening: Listening, capsys: pytest.CaptureFixture[str]
) -> None:
    listening.greet()
    talk = [(wire.TO_TERMINAL, GARBAGE), (wire.TO_REGISTER, GARBAGE)]
    for number in range(1, 13, 2):
        listening.talk(number, talk)
        listening.clock.advance(QUIET_BEFORE_FLUSH_S)
        listening.lane.step()  # the line went quiet: what came is no beginning of a message
    state = listening.lane.state()
    assert (state.finding, state.code, state.cut_off, state.noise) == ("garbled", "SER-007", True, 12)
    assert capsys.readouterr().out.count("noise on the line") <= 2  # the log lies on flash
    listening.talk(13, TALK)
    assert (listening.lane.state().finding, listening.awards()) == ("", 1)


def test_a_terminal_that_answers_a_register_with_garbage_is_told_when_it_repeats_itself(
    listening: Listening,
) -> None:
    listening.greet()
    for number in (1, 3, 5):
        assert listening.lane.state().finding == ""
        listening.talk(number, [TALK[0], (wire.TO_REGISTER, GARBAGE[:2])])
        listening.clock.advance(5)
    assert listening.lane.state().finding == "garbled"
    listening.talk(7, TALK)
    assert listening.lane.state().finding == ""
    for number in range(13, 18):
        listening.talk(number, TALK[:1])  # a terminal that is silent: the register sees it
        listening.clock.advance(5)
    assert listening.lane.state().finding == ""


def test_a_register_that_prints_while_it_starts_is_no_trouble_of_a_line_that_answers(
    listening: Listening,
) -> None:
    listening.greet()
    listening.talk(1, [(wire.TO_TERMINAL, GARBAGE)] * 20)
    listening.clock.advance(QUIET_BEFORE_FLUSH_S)
    listening.lane.step()
    assert listening.lane.state().finding == "garbled"
    listening.clock.advance(1)
    listening.talk(21, [(wire.TO_REGISTER, encode(ACK))])
    assert listening.lane.state().finding == ""


def test_a_relayed_terminal_that_refuses_again_and_again_is_told(listening: Listening) -> None:
    listening.greet()
    listening.talk(1, [(wire.TO_REGISTER, encode(NACK))] * 12)
    state = listening.lane.state()
    assert (state.finding, state.code, state.nacks) == ("refusing", "TRM-011", 12)
    listening.talk(13, TALK)
    assert listening.lane.state().finding == ""


def test_what_was_not_acknowledged_is_heard_again_and_awarded_once(listening: Listening) -> None:
    listening.greet()
    listening.talk(1, TALK[:5])
    listening.new_lane()  # killed, started again: the relay goes on behind the last acknowledgement
    listening.greet(acked=2)
    listening.talk(3, TALK[2:])
    assert (listening.awards(), listening.relay.acked) == (1, 6)


def test_a_payment_the_disk_refuses_is_not_acknowledged_and_posted_when_it_takes_it(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening.greet()

    def full(*_: Any) -> Any:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(listening.shop.ledger, "write", full)
        listening.talk(1, TALK)
        listening.talk(7, TALK)  # heard again meanwhile
        listening.lane._acknowledge()  # even where the round came so far
        assert listening.lane.state().unposted == 1
        assert "disk is full" in listening.lane.state().trouble
        assert listening.relay.acked < 5
    listening.lane.step()
    assert (listening.awards(), listening.relay.acked) == (1, 12)
    assert (listening.lane.state().unposted, listening.lane.state().trouble) == (0, "")


def test_numbers_that_jump_are_a_gap_that_is_written_before_anything_is_acknowledged(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening.greet(acked=4)

    def full(*_: Any) -> Any:
        raise LedgerError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(listening.shop.ledger, "write", full)
        listening.talk(9, TALK)
        assert listening.relay.acked == 0
    listening.lane.step()
    assert listening.gaps() == [OVERFLOWED]
    assert (listening.awards(), listening.relay.acked) == (1, 14)


def test_a_jump_inside_a_frame_does_not_join_its_halves(listening: Listening) -> None:
    listening.greet()
    whole = response()
    listening.talk(1, [(wire.TO_REGISTER, whole[:50])])
    listening.talk(5, [(wire.TO_REGISTER, whole[50:] + response(rrn="320062616117"))])
    assert (listening.awards(), listening.gaps()) == (1, [OVERFLOWED])


def test_a_relay_that_took_copies_with_it_is_a_gap_and_is_told_that_it_is_noted(listening: Listening) -> None:
    listening.greet(missing="the relay ended")
    assert listening.gaps() == ["the relay ended"]
    assert [each.kind for each in listening.relay.told] == [wire.NOTED]
    listening.new_lane()
    listening.greet(missing="the relay ended")  # killed between journal and note
    assert listening.gaps() == ["the relay ended"]


def test_the_very_first_start_and_a_relay_that_lost_nothing_are_no_gap(listening: Listening) -> None:
    listening.greet()
    listening.talk(1, TALK)
    listening.relay.is_down = PortError("no relay", code="RUN-004", fix="start it")
    listening.lane.step()
    listening.relay.is_down = None
    listening.clock.advance(10)
    listening.greet(instance="b")
    listening.talk(1, [(kind, data.replace(b"", b"")) for kind, data in TALK])
    assert (listening.gaps(), listening.awards()) == ([], 1)
    assert listening.relay.acked == 6


def test_an_absent_relay_is_told_with_what_to_do(listening: Listening) -> None:
    listening.relay.is_down = PortError("the relay does not answer", code="RUN-004", fix="start it")
    listening.lane.step()
    state = listening.lane.state()
    assert (state.line, state.code, state.fix) == ("closed", "RUN-004", "start it")
    assert "does not answer" in state.trouble


def test_a_closed_port_of_the_relay_s_is_told(listening: Listening) -> None:
    listening.greet()
    listening.say(wire.encode_state("closed", "ttyUSB1 is not there"))
    assert (listening.lane.state().line, listening.lane.state().trouble) == ("closed", "ttyUSB1 is not there")
    listening.say(wire.encode_state("open", ""))
    assert (listening.lane.state().line, listening.lane.state().trouble) == ("open", "")


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        wire.encode(wire.TO_REGISTER, 1, b"x"),
        wire.encode(wire.REFUSED, 0, b"no"),
    ],
)
def test_something_else_on_the_relay_s_socket_is_left_and_tried_again(
    listening: Listening, garbage: bytes
) -> None:
    listening.say(garbage)
    assert listening.lane.state().line == "closed"
    listening.clock.advance(10)
    listening.greet()
    assert listening.lane.state().line == "open"


def test_a_fault_stays_in_sight_until_the_next_good_sale(listening: Listening) -> None:
    listening.greet()
    listening.talk(1, [(wire.TO_TERMINAL, request()), (wire.TO_REGISTER, response(rrn=""))])
    assert "reference" in listening.lane.state().trouble
    assert listening.lane.state().faults == 1
    listening.talk(3, TALK)
    assert listening.lane.state().trouble == ""


def test_an_answer_with_the_reference_of_a_void_is_a_fault_and_no_end_of_the_lane(
    listening: Listening,
) -> None:
    void = PaymentKey(Scheme.RRN, TID, "320062616116")
    unknown = PaymentKey(Scheme.RRN, TID, "1")
    Undo(listening.shop.counter).undo(Wish(Undoing.REFUND, unknown, void, 105, None, "test"))
    listening.greet()
    listening.talk(1, TALK)
    state = listening.lane.state()
    assert (state.faults, state.unposted, listening.awards(), listening.relay.acked) == (1, 0, 0, 6)
    assert "reference of a void" in state.trouble
    listening.talk(7, [(wire.TO_REGISTER, response(rrn="320062616117"))])
    assert (listening.awards(), listening.lane.state().trouble) == (1, "")
