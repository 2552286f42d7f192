"""What the pretend printer reads is what an independent encoder wrote."""

import iransystem
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.simulators.iran_system import decode, decode_lines

LINES = [
    "سلام",
    "امتیاز این خرید: ۱۲۵",
    "پس از پرداخت موفق: ۱۲۵ امتیاز",
    "مانده قطعی: ۱۲۴۰",
    "تا ۱۴۰۵/۰۹/۰۲ ساعت ۱۰:۰۲",
    "کد عضویت: 482917",
    "تا غذای رایگان: ۲۵ امتیاز دیگر",
    "باشگاه مشتریان کافه نگین",
    "آلاله و ژاله، لاله (گل)",
    "همگام\u200cسازی",
    "Kafe Negin 12",
    "کارت VISA card سبز",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_reads_as_it_was_meant(line: str) -> None:
    assert decode(iransystem.encode(line)) == line


def test_every_shape_names_the_letter_the_other_table_names() -> None:
    letters = [code for code in range(0x80, 0x100) if not 0xB0 <= code < 0xE0]
    theirs = [iransystem.decode(bytes([code])).replace("\u200d", "") for code in letters]
    assert [decode(bytes([code])) for code in letters] == theirs


_WORD = st.text("ابپتثجچحخدذرزژسشصضطظعغفقکگلمنوهی", min_size=1, max_size=8)


@given(st.lists(_WORD, min_size=1, max_size=6), st.integers(0, 10**6))
def test_any_words_and_a_number_read_back(words: list[str], number: int) -> None:
    line = " ".join(words) + f": {number}"
    assert decode(iransystem.encode(line)) == line


@given(st.binary(max_size=500))
def test_no_bytes_break_the_printer(data: bytes) -> None:
    assert all(isinstance(line, str) for line in decode_lines(data))


def test_a_comma_starts_a_new_line() -> None:
    data = b",".join(iransystem.encode(line) for line in LINES[:3])
    assert decode_lines(data) == LINES[:3]
    assert decode_lines(b"") == []
