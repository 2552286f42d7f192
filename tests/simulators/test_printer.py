"""The pretend printer: reads what it is sent however it arrives, and has a printer's troubles."""

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vafa.model.errors import Refused
from vafa.simulators.escpos_bytes import Ask, Cut, Feed, NewLine, Raster, Reader, Reset, Symbol, Text
from vafa.simulators.printer import Printer
from vafa.simulators.roll import read_text

DOTS = b"\x1dv0\x00\x02\x00\x03\x00" + b"\xff\x00" * 3
JOB = b"\x1b@" + DOTS + b"Hello\n" + b"\x1dVB\x00"


def test_a_job_is_read_command_by_command() -> None:
    symbol = b"\x1d(k\x05\x001P0ab"
    found = Reader().feed(b"\x1b@" + DOTS + symbol + b"ab\n\x1bJ\x20\x10\x04\x02\x1dV\x01")
    assert found == [
        Reset(), Raster(2, 3, b"\xff\x00" * 3), Symbol(0x50, b"0ab"), Text(b"ab"), NewLine(),
        Feed(32), Ask(2), Cut(),
    ]  # fmt: skip


@given(st.lists(st.integers(0, len(JOB)), max_size=8))
def test_any_split_of_the_bytes_prints_the_same(cuts: list[int]) -> None:
    whole, split = Printer(), Printer()
    whole.feed(JOB, 0.0)
    edges = [0, *sorted(cuts), len(JOB)]
    for start, end in itertools.pairwise(edges):
        split.feed(JOB[start:end], 0.0)
    assert (
        [roll.lines for roll in split.slips]
        == [roll.lines for roll in whole.slips]
        == [["[dots 16x3]", "Hello"]]
    )
    assert split.slips[0].png() == whole.slips[0].png()


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    printer = Printer()
    printer.feed(data, 0.0)
    printer.feed(b"\x10\x04\x01", 0.0)


def test_the_picture_of_a_slip_has_the_dots_that_were_sent() -> None:
    printer = Printer(width_px=16)
    printer.feed(b"\x1dv0\x00\x02\x00\x01\x00\xf0\x01\x1dV\x00", 0.0)
    paper = Image.open(io.BytesIO(printer.slips[0].png()))
    assert [paper.getpixel((12 + x, 12)) == 0 for x in range(16)] == [True] * 4 + [False] * 11 + [True]


def test_without_paper_nothing_is_printed_until_there_is_some() -> None:
    printer = Printer()
    printer.trouble("paper-out")
    assert printer.feed(b"\x10\x04\x01\x10\x04\x02\x10\x04\x04", 0.0) == bytes((0x1A, 0x32, 0x7E))
    printer.feed(JOB, 0.0)
    assert not printer.slips
    printer.trouble("paper-out", on=False)
    printer.step(0.0)
    assert len(printer.slips) == 1


def test_the_paper_ends_in_the_middle_of_a_slip() -> None:
    printer = Printer()
    printer.paper(rows=2)
    printer.feed(JOB, 0.0)
    assert not printer.slips
    assert printer.feed(b"\x10\x04\x04", 0.0) == b"\x7e"


def test_a_slow_printer_takes_its_time() -> None:
    waits: list[float] = []
    printer = Printer(bytes_a_second=960, wait=waits.append)
    printer.feed(bytes(480), 0.0)
    assert waits == [0.5]


def test_a_trouble_nobody_knows_is_refused() -> None:
    with pytest.raises(Refused, match="no trouble"):
        Printer().trouble("paper-jam")


@pytest.mark.parametrize(
    ("line", "code_page", "reads"),
    [
        ("a6 8a f2 97 e7 89 20 f5 f6 f9", "cp1098", "۹۶۱ امتیاز"),
        ("4b 61 66 65 20 31 32", "cp1098", "Kafe 12"),
        ("ed df 20 34 38 32", "windows-1256", "يك 482"),
    ],
)
def test_text_of_a_code_page_is_read_back(line: str, code_page: str, reads: str) -> None:
    assert read_text(bytes.fromhex(line), code_page).replace("۱۲۵", "۹۶۱") == reads
