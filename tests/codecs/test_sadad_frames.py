"""Sadad frames: the vendor's vectors through every split, noise, false starts, arbitrary bytes."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.codecs import sadad_frames
from vafa.codecs.sadad_frames import ACK, EOT, INM, Frame, FrameType, Noise, Reader, encode

RECORDINGS = Path(__file__).parents[1] / "recordings"
GOOD = sorted(p.stem for p in RECORDINGS.glob("sadad-*.hex") if "misprinted" not in p.stem)


def recording(name: str) -> bytes:
    lines = (RECORDINGS / f"{name}.hex").read_text(encoding="utf-8").splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


def read(*pieces: bytes) -> list[Frame | Noise]:
    reader = Reader()
    seen = [event for piece in pieces for event in reader.feed(piece)]
    return seen + reader.flush()


def split_at(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    starts = [0, *ends[:-1]]
    return [data[start:end] for start, end in zip(starts, ends, strict=True)]


FRAMES = st.builds(
    Frame,
    st.sampled_from(["000", "001", "002", "300"]),
    st.sampled_from(FrameType),
    st.binary(max_size=80) | st.just(recording("sadad-sale-request")) | st.binary(min_size=993, max_size=993),
)
QUIET_NOISE = st.binary(max_size=40).map(lambda data: data.replace(b"\x02", b"\xff").replace(b"\n", b"\xff"))


@pytest.mark.parametrize("name", GOOD)
def test_a_vector_is_one_frame_and_encodes_to_itself(name: str) -> None:
    data = recording(name)
    seen = Reader().feed(data)
    assert len(seen) == 1
    assert isinstance(seen[0], Frame)
    assert encode(seen[0]) == data


@pytest.mark.parametrize("name", GOOD)
def test_a_vector_through_every_split_is_the_same_frame(name: str) -> None:
    data = recording(name)
    whole = read(data)
    assert read(*(data[at : at + 1] for at in range(len(data)))) == whole
    for cut in range(len(data)):
        assert read(data[:cut], data[cut:]) == whole


@pytest.mark.parametrize("name", GOOD)
def test_bytes_behind_a_vector_do_not_change_it(name: str) -> None:
    data = recording(name)
    assert read(data + b"\n")[:1] == read(data)
    assert read(data + data) == read(data) * 2
    assert read(data + b"\x02\x30") == [*read(data), Noise(2, sadad_frames.CUT_SHORT)]


def test_the_misprinted_rows_of_the_vendor_document_are_noise() -> None:
    assert read(recording("sadad-last-five-response-misprinted")) == [Noise(317, sadad_frames.BAD_CHECKSUM)]


def test_the_constants_are_the_documents_bytes() -> None:
    assert encode(INM) == recording("sadad-inm")
    assert encode(ACK) == recording("sadad-ack-000")
    assert encode(EOT) == recording("sadad-eot")
    assert encode(sadad_frames.ack_for("002")) == recording("sadad-ack-002")


def test_the_newline_after_each_message_on_serial_is_silent_and_any_other_is_noise() -> None:
    ack = encode(ACK)
    assert read(ack + b"\n" + ack + b"\n") == [ACK, ACK]
    assert read(ack + b"\n\n") == [ACK, Noise(1, sadad_frames.NO_START)]
    assert read(b"\n" + ack) == [Noise(1, sadad_frames.NO_START), ACK]


def test_an_end_mark_inside_the_data_does_not_end_the_frame() -> None:
    frame = Frame("000", FrameType.REQUEST, b"\x03\x03" + encode(ACK) + b"\x03")
    assert read(encode(frame)) == [frame]


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (b"\x02\x30\x78", sadad_frames.BAD_LENGTH),
        (b"\x02005", sadad_frames.BAD_LENGTH),
        (b"\x0200600x", sadad_frames.BAD_VERSION),
        (b"\x02006000\x07", sadad_frames.UNKNOWN_TYPE),
        (b"\x02006000\x06\x04\x06", sadad_frames.NO_END),
        (b"\x02006000\x06\x03\x04", sadad_frames.BAD_CHECKSUM),
    ],
)
def test_a_good_frame_right_behind_a_broken_one_survives(broken: bytes, why: str) -> None:
    assert read(broken + encode(EOT)) == [Noise(len(broken), why), EOT]


@pytest.mark.parametrize("cut", range(1, 284))
def test_a_response_cut_short_does_not_swallow_its_repetition(cut: int) -> None:
    data = recording("sadad-sale-response")
    seen = read(data[:cut] + data)
    assert seen[-1:] == read(data)


def test_a_good_frame_behind_a_false_start_is_freed_when_the_line_goes_quiet() -> None:
    reader = Reader()
    assert reader.feed(b"\x02999000\x1a" + encode(EOT)) == []
    assert reader.pending
    assert reader.flush() == [Noise(8, sadad_frames.CUT_SHORT), EOT]
    assert not reader.pending


def test_noise_never_stops_being_told_and_never_fills_the_buffer() -> None:
    reader = Reader()
    seen = [event for _ in range(300) for event in reader.feed(b"\x02999000\x1a" * 100)]
    told = sum(event.length for event in seen if isinstance(event, Noise))
    assert told > 200_000
    assert len(reader._held) <= 4 + sadad_frames.LEN_MAX


def test_neither_frames_nor_noise_show_the_bytes() -> None:
    frame = Frame("000", FrameType.RESPONSE, b"6219861034529007")
    assert "6219861034529007" not in repr(frame)
    assert "6219" not in repr(read(b"6219861034529007"))


@given(st.binary(max_size=600), st.lists(st.integers(0, 600), max_size=8))
def test_arbitrary_bytes_never_raise_are_all_counted_and_split_freely(data: bytes, cuts: list[int]) -> None:
    seen = read(data)
    assert read(*split_at(data, cuts)) == seen


@given(
    st.lists(st.tuples(QUIET_NOISE, FRAMES), max_size=5),
    QUIET_NOISE,
    st.lists(st.integers(0, 6000), max_size=10),
)
def test_every_good_frame_between_noise_is_found_whatever_the_split(
    run: list[tuple[bytes, Frame]], last: bytes, cuts: list[int]
) -> None:
    data = b"".join(noise + encode(frame) for noise, frame in run) + last
    seen = read(*split_at(data, cuts))
    assert [event for event in seen if isinstance(event, Frame)] == [frame for _noise, frame in run]
    noise = sum(event.length for event in seen if isinstance(event, Noise))
    assert noise == sum(len(before) for before, _frame in run) + len(last)


@given(st.lists(st.sampled_from([b"\x02", b"006", b"000", b"\x06", b"\x03\x03", b"999", b"\n"]), max_size=60))
def test_near_frames_give_the_same_events_byte_by_byte(parts: list[bytes]) -> None:
    data = b"".join(parts)
    assert read(*(data[at : at + 1] for at in range(len(data)))) == read(data)


@given(FRAMES, st.data())
def test_a_changed_byte_is_never_taken_for_the_frame(frame: Frame, draw: st.DataObject) -> None:
    data = bytearray(encode(frame))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    assert frame not in read(bytes(data))


@given(st.binary(max_size=1001))
def test_the_checksum_is_the_exclusive_or_of_all_bytes(covered: bytes) -> None:
    expected = 0
    for byte in covered:
        expected ^= byte
    assert sadad_frames.checksum(covered) == expected
