"""A Sadad terminal's datagrams: those published are read, everything else is a value, nothing is believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.codecs.sadad_announce import (
    ANNOUNCEMENT_BYTES_MAX,
    Announcement,
    Notification,
    read_announcement,
    read_notification,
)
from vafa.codecs.sadad_fields import Malformed
from vafa.codecs.sadad_frames import Frame, FrameType, encode
from vafa.simulators.announcer import announcement, notification

TEXT = "SADAD PCPOS:کافه نگین:192.0.2.7:8888:40217736:000000140332591"


@pytest.mark.parametrize("header", ["SADAD PCPOS", "SADAD PC POS"])
def test_both_headers_are_read(header: str) -> None:
    seen = read_announcement(TEXT.replace("SADAD PCPOS", header).encode())
    assert seen == Announcement("40217736", "192.0.2.7:8888", "کافه نگین", "000000140332591")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a:b:c", "a:b:c"),  # a merchant's name may hold colons
        ("", ""),
        ("x" * 150, "x" * 100),
        ("Cafe\r\n\x1b[31m", "Cafe[31m"),  # nothing that moves somebody's terminal
        ("6219861034529007", "621986******9007"),
        ("call 09121236789", "call 0912•••6789"),
    ],
)
def test_a_merchant_s_name_is_shown_harmless(name: str, shown: str) -> None:
    seen = read_announcement(announcement(name, "192.0.2.7", 8888, "40217736", "1"))
    assert isinstance(seen, Announcement)
    assert seen.name == shown


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"SADAD PCPOS",
        b"SADAD PCPOS:a:192.0.2.7:8888:40217736",
        TEXT.replace("SADAD", "SADOD").encode(),
        TEXT.replace("192.0.2.7", "evil.example").encode(),
        TEXT.replace("192.0.2.7", "224.0.0.1").encode(),
        TEXT.replace("192.0.2.7", "0.0.0.0").encode(),  # noqa: S104 - an address that is refused
        TEXT.replace("192.0.2.7", "255.255.255.255").encode(),
        TEXT.replace("8888", "0").encode(),
        TEXT.replace("8888", "65536").encode(),
        TEXT.replace("8888", "۸۸۸۸").encode(),
        TEXT.replace("40217736", '402"]\n').encode(),
        TEXT.replace("40217736", "4" * 17).encode(),
        TEXT.encode("utf-16"),
        TEXT.encode() + b" " * ANNOUNCEMENT_BYTES_MAX,
        b"\xff\xfe",
    ],
)
def test_what_is_no_announcement_is_malformed(datagram: bytes) -> None:
    assert isinstance(read_announcement(datagram), Malformed)


@given(st.binary(max_size=2_100) | st.text(max_size=300).map(lambda text: f"SADAD PCPOS:{text}".encode()))
def test_no_datagram_is_more_than_a_value(datagram: bytes) -> None:
    for seen in (read_announcement(datagram), read_notification(datagram)):
        match seen:
            case Announcement():
                assert seen.terminal_id.isalnum()
                assert len(seen.name) <= 100
                assert seen.name.isprintable()
            case Notification():
                assert len(seen.terminal_id) <= 16
            case Malformed(why):
                assert why


@given(st.integers(0, 375), st.integers(1, 255))
def test_a_notification_with_one_wrong_byte_names_no_other_terminal_by_chance(at: int, flip: int) -> None:
    good = notification("40217736", "000000140332591", 125_000, "کافه نگین")
    assert len(good) == 376  # the vendor's library: LEN 372
    assert good[1:4] == b"372"
    assert read_notification(good) == Notification("40217736")
    bad = bytearray(good)
    bad[at] ^= flip
    assert isinstance(read_notification(bytes(bad)), Malformed)  # its checksum


@pytest.mark.parametrize(
    "frame",
    [
        Frame("000", FrameType.RESPONSE, b"4\0" * 183),
        Frame("000", FrameType.NOTIFICATION, b"4\0" * 137),
        Frame("000", FrameType.NOTIFICATION, b"\0\0" * 183),
        Frame("000", FrameType.NOTIFICATION, b"\xff\xdf" * 183),
    ],
)
def test_a_good_frame_of_another_kind_is_no_notification(frame: Frame) -> None:
    assert isinstance(read_notification(encode(frame)), Malformed)
    assert isinstance(read_notification(encode(frame) * 2), Malformed)
