"""The daemon's answers are told from the cash register's bytes, however they are split; no byte is lost."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.codecs.sadad_frames import ACK, EOT, INM, NACK, Frame, FrameType, encode
from vafa.codecs.sadad_journal import JournalRequest, journal_request_frame
from vafa.ports.relay_sieve import Sieve, begins_a_question_of_lists
from vafa.simulators import sadad_bytes

LISTS_ACK = encode(Frame("002", FrameType.ACK))
LIST = sadad_bytes.rows_response("0014", [])
OTHER_LIST = sadad_bytes.rows_response("0002", [])
APPROVAL = sadad_bytes.rows_response("0014", []).replace(b"002\x1a", b"000\x1a")
QUESTION = encode(journal_request_frame(JournalRequest(with_order_ids=True)))


def asked(*frames: bytes) -> Sieve:
    sieve = Sieve()
    assert all(sieve.ask(frame) for frame in frames)
    return sieve


def sift(sieve: Sieve, data: bytes, cuts: tuple[int, ...] = ()) -> tuple[bytes, bytes]:
    """(ours, theirs) of the data fed in parts."""
    ours = theirs = b""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        mine, others = sieve.feed(data[start:end])
        ours, theirs = ours + mine, theirs + others
    mine, others = sieve.flush()
    return ours + mine, theirs + others


def test_a_whole_conversation_is_the_daemon_s_and_then_nothing_is_owed() -> None:
    sieve = asked(encode(INM))
    assert sieve.owes
    assert sift(sieve, encode(ACK)) == (encode(ACK), b"")
    assert not sieve.owes
    assert sieve.ask(QUESTION)
    assert sift(sieve, LISTS_ACK + LIST) == (LISTS_ACK + LIST, b"")
    assert sieve.owes  # our ACK
    assert sieve.ask(LISTS_ACK)
    assert not sieve.owes
    assert not sieve.interrupted


@pytest.mark.parametrize(
    "frame",
    [APPROVAL, encode(Frame("000", FrameType.NOTIFICATION, b"x")), encode(INM), encode(EOT), encode(ACK)],
)
def test_what_the_terminal_says_to_the_cash_register_meanwhile_goes_there(frame: bytes) -> None:
    sieve = Sieve()
    assert sift(sieve, frame) == (b"", frame)
    assert sieve.interrupted


def test_an_approval_within_our_conversation_is_the_cash_register_s() -> None:
    sieve = asked(encode(INM), QUESTION)
    assert sift(sieve, encode(ACK) + APPROVAL + LISTS_ACK + LIST) == (
        encode(ACK) + LISTS_ACK + LIST,
        APPROVAL,
    )
    assert sieve.interrupted


@pytest.mark.parametrize("refusal", [encode(Frame("002", FrameType.NACK)), encode(NACK), encode(EOT)])
def test_a_refused_question_owes_nothing_more(refusal: bytes) -> None:
    sieve = asked(encode(INM))
    sift(sieve, encode(ACK))
    sieve.ask(QUESTION)
    assert sift(sieve, refusal) == (refusal, b"")
    assert not sieve.owes


def test_after_a_cut_off_only_our_answers_are_kept_from_the_cash_register() -> None:
    sieve = asked(encode(INM), QUESTION)
    sieve.end()
    said = encode(ACK) + LISTS_ACK + APPROVAL + LIST + OTHER_LIST + encode(EOT) + LIST
    assert sift(sieve, said) == (LISTS_ACK + LIST + LIST, encode(ACK) + APPROVAL + OTHER_LIST + encode(EOT))


def test_a_cut_off_in_the_middle_of_our_answer_keeps_its_rest_and_the_newline_behind_it() -> None:
    sieve = asked(encode(INM), QUESTION)
    ours, _ = sieve.feed(encode(ACK) + LISTS_ACK + LIST[:15])
    assert ours.endswith(LIST[:15])
    sieve.end()
    assert sift(sieve, LIST[15:] + b"\n" + APPROVAL + b"\n") == (LIST[15:] + b"\n", APPROVAL + b"\n")


def test_a_cash_register_that_asks_for_lists_itself_gets_them() -> None:
    sieve = asked(encode(INM), QUESTION)
    sieve.end()
    assert begins_a_question_of_lists(QUESTION)
    assert not begins_a_question_of_lists(APPROVAL)
    sieve.claim_no_more()
    assert sift(sieve, LISTS_ACK + LIST) == (b"", LISTS_ACK + LIST)


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"x", encode(EOT), encode(NACK), QUESTION[:-1], QUESTION + b"\n", encode(INM) * 2,
        encode(Frame("000", FrameType.REQUEST, b"0013003131")),
        encode(Frame("002", FrameType.REQUEST, b"pay!003131")),
    ],
)  # fmt: skip
def test_nothing_but_a_question_for_lists_may_be_said(frame: bytes) -> None:
    assert not Sieve().ask(frame)


FRAMES = [
    encode(ACK),
    LISTS_ACK,
    APPROVAL,
    LIST,
    OTHER_LIST,
    encode(EOT),
    encode(INM),
    b"\n",
    b"\x02",
    b"noise",
]
SAID = st.lists(st.one_of(st.sampled_from(FRAMES), st.binary(max_size=30)), max_size=12).map(b"".join)


@given(said=SAID, cuts=st.lists(st.integers(0, 5000), max_size=12), lent=st.booleans(), asks=st.booleans())
def test_any_split_gives_the_same_and_every_byte_goes_to_one_side_in_order(
    said: bytes, cuts: list[int], lent: bool, asks: bool
) -> None:
    def sieve() -> Sieve:
        made = asked(encode(INM), QUESTION) if asks else Sieve()
        if not lent:
            made.end()
        return made

    whole = sift(sieve(), said)
    assert sift(sieve(), said, tuple(cuts)) == whole
    assert sorted(whole[0] + whole[1]) == sorted(said)
    if not lent and not asks:
        assert whole == (b"", said)


@given(data=st.binary(max_size=400))
def test_bytes_that_answer_nothing_cross_unchanged_after_a_borrowing(data: bytes) -> None:
    sieve = Sieve()
    sieve.end()
    assert sift(sieve, data) == (b"", data)
