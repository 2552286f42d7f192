"""The bytes a printer is sent: the same as an independent encoder's, and what its status bytes mean."""

import pytest
from escpos.printer import Dummy
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vafa.receipt import escpos
from vafa.receipt.bitmap import Bitmap
from vafa.receipt.escpos import ASK_OFFLINE, ASK_PAPER, ASK_PRINTER, Cut, Trouble

pictures = st.integers(1, 64).flatmap(
    lambda height: st.binary(min_size=48 * height, max_size=48 * height).map(lambda d: Bitmap(384, height, d))
)


@given(pictures)
def test_a_picture_is_sent_byte_for_byte_as_an_independent_encoder_sends_it(picture: Bitmap) -> None:
    theirs = Dummy()
    image = Image.frombytes("1", (picture.width, picture.height), picture.rows, "raw", "1;I")
    theirs.image(image, impl="bitImageRaster", fragment_height=24)
    assert b"".join(escpos.raster(picture, 24)) == theirs.output


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1, max_size=80))
def test_a_code_is_asked_for_as_an_independent_encoder_asks(text: str) -> None:
    theirs = Dummy()
    theirs.qr(text, ec=1, size=6, native=True)
    symbol = escpos.qr(text).removeprefix(escpos.CENTRE).removesuffix(escpos.LEFT)
    assert symbol in theirs.output


def test_too_much_for_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match="holds 1 to 700 bytes"):
        escpos.qr("a" * 701)


def test_bands_cover_the_picture_once() -> None:
    picture = Bitmap(384, 300, bytes(range(48)) * 300)
    bands = list(escpos.raster(picture))
    assert [int.from_bytes(band[6:8], "little") for band in bands] == [128, 128, 44]
    assert b"".join(band[8:] for band in bands) == picture.rows


def test_a_slip_ends_with_the_profiles_feed_and_cut() -> None:
    assert escpos.ending(Cut()) == b"\x1dVB\x00"
    assert escpos.ending(Cut(feed_rows=300, command=b"")) == b"\x1bJ\xff\x1bJ\x2d"


@pytest.mark.parametrize(
    ("answers", "means"),
    [
        ({ASK_PRINTER: 0x12, ASK_OFFLINE: 0x12, ASK_PAPER: 0x12}, Trouble(0)),
        ({ASK_PRINTER: 0x1A, ASK_OFFLINE: 0x16}, Trouble.OFFLINE | Trouble.COVER_OPEN),
        ({ASK_PRINTER: 0x1A, ASK_OFFLINE: 0x32, ASK_PAPER: 0x72}, Trouble.OFFLINE | Trouble.PAPER_OUT),
        ({ASK_PAPER: 0x1E}, Trouble.PAPER_LOW),
        ({ASK_OFFLINE: 0x52}, Trouble.FAULT),
        ({ASK_PRINTER: 0x11, ASK_PAPER: 0xFF}, Trouble(0)),  # XON and noise are no status bytes
    ],
)
def test_status_bytes_say_what_is_wrong(answers: dict[bytes, int], means: Trouble) -> None:
    assert escpos.trouble(answers) == means
