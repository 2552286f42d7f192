"""What a line's bytes say of its terminal: which state, from when on, and what ends it."""

import pytest
import structlog

from vafa.app.hearing import (
    FLOOD_BYTES_MIN,
    KEPT_S,
    NACKS_SHOWN,
    UNANSWERED_SHOWN,
    WINDOW_S,
    Finding,
    Hearing,
)
from vafa.codecs.sadad_frames import ACK, NACK, Frame, FrameType, encode
from vafa.ports.clock import ManualClock

GARBAGE = b"\x80\xf8\x00\x1c"


class Line:
    """A hearing with a clock of its own."""

    def __init__(self, *, known_before: bool = False) -> None:
        self.clock = ManualClock(monotonic=1_000.0)
        self.hearing = Hearing(self.clock.monotonic, structlog.get_logger(), known_before=known_before)

    def hears(self, data: bytes | Frame, times: int = 1) -> None:
        for _ in range(times):
            self.hearing.take(encode(data) if isinstance(data, Frame) else data)

    def asks(self, answer: bytes | Frame = b"", times: int = 1) -> list[bool]:
        """Questions, 15 s each, and whether each was one in vain too many."""
        ended = []
        for _ in range(times):
            self.hearing.asked()
            self.hears(answer)
            self.clock.advance(15)
            ended.append(self.hearing.ended())
        return ended

    @property
    def kind(self) -> str:
        found = self.hearing.finding()
        return found.kind if found else ""


@pytest.fixture
def line() -> Line:
    return Line()


def test_a_line_that_answers_has_nothing_wrong_with_it(line: Line) -> None:
    assert line.asks(ACK, 20) == [False] * 20
    line.clock.advance(3_600)
    assert line.kind == ""
    assert line.hearing.last_frame_at == 1_285.0


@pytest.mark.parametrize(("known_before", "kind"), [(False, "mute"), (True, "silent")])
def test_a_terminal_that_never_answered_is_told_apart_from_one_that_fell_silent(
    known_before: bool, kind: str
) -> None:
    line = Line(known_before=known_before)
    assert line.asks(times=UNANSWERED_SHOWN - 1) == [False, False]
    assert line.kind == ""
    assert line.asks() == [True]
    assert line.hearing.finding() == Finding(kind, 1_000.0, UNANSWERED_SHOWN)  # type: ignore[arg-type]
    line.hears(ACK)
    assert line.kind == ""
    line.asks(times=UNANSWERED_SHOWN)
    assert line.kind == "silent"


def test_every_third_question_in_vain_asks_for_a_new_line(line: Line) -> None:
    assert line.asks(times=7) == [False, False, True, False, False, True, False]


def test_a_question_that_the_line_took_with_it_was_not_asked_in_vain(line: Line) -> None:
    for _ in range(10):
        line.hearing.asked()
        line.hearing.withdrawn()
        assert not line.hearing.ended()
    assert line.kind == ""


def test_an_end_without_a_question_is_no_question_in_vain(line: Line) -> None:
    assert [line.hearing.ended() for _ in range(10)] == [False] * 10
    assert line.kind == ""


@pytest.mark.parametrize("answer", [GARBAGE, b"\x02" + GARBAGE])
def test_bytes_in_place_of_an_answer_are_another_speed_until_a_message_comes(
    line: Line, answer: bytes
) -> None:
    line.asks(answer)
    assert line.kind == "garbled"
    line.asks()  # silence does not make the speed right
    line.clock.advance(300)
    assert line.kind == "garbled"
    line.hears(ACK)
    assert line.kind == ""


def test_a_stray_byte_on_a_line_is_not_another_speed(line: Line) -> None:
    line.asks(b"\x00")
    assert line.kind == ""


def test_a_flood_that_makes_no_message_is_told_though_nothing_is_asked(line: Line) -> None:
    line.hears(GARBAGE, FLOOD_BYTES_MIN // len(GARBAGE))
    assert line.kind == ""  # not flushed yet: it could still be a message
    line.clock.advance(3)
    line.hears(b"")
    assert line.kind == "garbled"
    line.clock.advance(KEPT_S + 1)
    assert line.kind == ""


def test_what_a_terminal_prints_while_it_starts_is_not_another_speed(line: Line) -> None:
    line.hears(b"Uncompressing Linux... done, booting")
    line.clock.advance(3)
    line.hears(b"")
    assert line.kind == ""


def test_messages_among_more_noise_are_a_bad_cable_while_it_lasts(line: Line) -> None:
    for _ in range(10):
        line.hears(GARBAGE * 8)
        line.hears(ACK)
    assert line.kind == "noisy"
    line.clock.advance(WINDOW_S + 1)
    assert line.kind == ""


def test_a_storm_of_nacks_is_counted_and_over_when_it_ends(line: Line) -> None:
    line.hears(ACK)
    line.hears(NACK, NACKS_SHOWN - 1)
    assert line.kind == ""
    line.hears(NACK, 500)
    assert line.kind == "refusing"
    assert line.hearing.nacks == NACKS_SHOWN + 499
    line.clock.advance(WINDOW_S + 1)
    line.hears(ACK)
    assert line.kind == ""


def test_a_storm_is_over_with_the_first_answer_to_a_question(line: Line) -> None:
    line.hears(NACK, 100)
    line.hears(ACK)
    assert line.kind == "refusing"  # an ACK may be a late one, in the middle of it
    line.hears(Frame("000", FrameType.RESPONSE))
    assert line.kind == ""
    line.hears(NACK, NACKS_SHOWN)
    assert line.kind == "refusing"


def test_questions_refused_far_apart_are_refusing_until_one_is_answered(line: Line) -> None:
    for _ in range(NACKS_SHOWN // 3):
        line.hears(NACK, 3)
        line.clock.advance(300)
    assert line.kind == "refusing"
    line.hears(ACK)
    assert line.kind == ""


def test_a_storm_nobody_asks_into_is_forgotten_when_it_is_long_over(line: Line) -> None:
    line.hears(NACK, 100)
    line.clock.advance(KEPT_S + 1)
    assert line.kind == ""
    line.hears(NACK)
    assert line.kind == ""


def test_noise_without_end_takes_a_bounded_memory_and_a_line_of_log_a_minute() -> None:
    with structlog.testing.capture_logs() as logs:
        line = Line()
        for _ in range(3_000):
            line.hears(GARBAGE * 30)
            line.clock.advance(0.1)
            line.hears(b"")
    assert len(line.hearing._window) <= WINDOW_S + 2
    assert len(logs) <= 6
