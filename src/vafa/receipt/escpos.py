"""What an ESC/POS printer is sent, and what it answers. Pure: bytes in, bytes out.

Epson's names of the commands are beside them; the printers in Iran's shops are clones that know these few.
Pictures go in bands, because a clone's buffer is small and a long picture stalls a serial line.
"""

from collections.abc import Iterator
from enum import Flag

from msgspec import Struct

from vafa.receipt.bitmap import Bitmap

INITIALIZE = b"\x1b@"  # ESC @: forgets what a job before left behind
CENTRE, LEFT = b"\x1ba\x01", b"\x1ba\x00"  # ESC a n
BAND_ROWS_MAX = 128
CODE_BYTES_MAX = 700  # far below the symbol's limit; paper is narrow

# DLE EOT n: asked while printing too, answered at once with one byte
ASK_PRINTER, ASK_OFFLINE, ASK_PAPER = b"\x10\x04\x01", b"\x10\x04\x02", b"\x10\x04\x04"
ASKED = (ASK_PRINTER, ASK_OFFLINE, ASK_PAPER)


class Trouble(Flag):
    """What a printer says is wrong; empty when it can print."""

    OFFLINE = 1
    COVER_OPEN = 2
    PAPER_OUT = 4
    PAPER_LOW = 8
    FAULT = 16  # cutter or head: somebody must look


class Cut(Struct, frozen=True):
    """How a slip ends: feed `feed_rows` dots (a tear bar needs them), then `command`."""

    feed_rows: int = 0
    command: bytes = b"\x1dV\x42\x00"  # GS V 66 0: feeds to the knife and cuts partially; b'' for a tear bar


def raster(picture: Bitmap, band_rows: int = BAND_ROWS_MAX) -> Iterator[bytes]:
    """The picture as GS v 0 commands of at most `band_rows` rows, each printed where the one before ended."""
    assert 0 < band_rows <= 0xFFFF
    for first in range(0, picture.height, band_rows):
        band = picture.band(first, band_rows)
        size = band.stride.to_bytes(2, "little") + band.height.to_bytes(2, "little")
        yield b"\x1dv0\x00" + size + band.rows


def qr(text: str, module_dots: int = 6) -> bytes:
    """The printer draws the code itself (GS ( k, functions 65, 67, 69, 80, 81): 70 bytes for 6 kB of dots.

    ValueError: too much text.
    """
    data = text.encode()
    if not 0 < len(data) <= CODE_BYTES_MAX:
        raise ValueError(f"a QR code holds 1 to {CODE_BYTES_MAX} bytes, not {len(data)}")
    return b"".join(
        (
            CENTRE,
            _symbol(b"\x41", b"\x32\x00"),  # model 2
            _symbol(b"\x43", bytes((module_dots,))),
            _symbol(b"\x45", b"\x31"),  # error correction M
            _symbol(b"\x50", b"0" + data),
            _symbol(b"\x51", b"0"),
            LEFT,
        )
    )


def feed(rows: int) -> bytes:
    """ESC J n: at most 255 rows a command."""
    whole, rest = divmod(rows, 255)
    return b"\x1bJ\xff" * whole + (b"\x1bJ" + bytes((rest,)) if rest else b"")


def ending(cut: Cut) -> bytes:
    """After the last line: feed and cut."""
    return feed(cut.feed_rows) + cut.command


def trouble(answers: dict[bytes, int]) -> Trouble:
    """What the answers to ASKED say; an answer that is no status byte says nothing.

    Every status byte has bits 1 and 4 set and 0 and 7 clear, so that noise and XON/XOFF are told apart.
    """
    found = Trouble(0)
    for asked, answer in answers.items():
        if answer & 0b1001_0011 != 0b0001_0010:
            continue
        for bits, means in _MEANINGS[asked]:
            if answer & bits:
                found |= means
    return found


_MEANINGS: dict[bytes, tuple[tuple[int, Trouble], ...]] = {
    ASK_PRINTER: ((0x08, Trouble.OFFLINE),),
    ASK_OFFLINE: ((0x04, Trouble.COVER_OPEN), (0x20, Trouble.PAPER_OUT), (0x40, Trouble.FAULT)),
    ASK_PAPER: ((0x0C, Trouble.PAPER_LOW), (0x60, Trouble.PAPER_OUT)),
}


def _symbol(function: bytes, parameters: bytes) -> bytes:
    """GS ( k pL pH cn fn ...: cn 49 is the QR code."""
    body = b"1" + function + parameters
    return b"\x1d(k" + len(body).to_bytes(2, "little") + body
