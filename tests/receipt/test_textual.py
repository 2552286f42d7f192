"""Text-only printers: what an explicit profile makes of a page."""

import pytest

from vafa.receipt.page import Code, Page, Rule, Style, Text
from vafa.receipt.profiles import PROFILES
from vafa.receipt.textual import Digits, Encoding, Order, Setting, encoded, lines, wrapped

SLIP = Page(
    "fa", (Text("باشگاه مشتریان نگین", Style.TITLE), Rule(), Text("امتیاز این خرید: ۱۲۵", Style.STRONG))
)


def test_a_persian_line_ends_at_the_right_edge_and_a_title_stands_in_the_middle() -> None:
    title, rule, earned = lines(SLIP, Setting(Encoding.CP1098, 32))
    assert len(title.strip()) == len("باشگاه مشتریان نگین")
    assert title.startswith(b" " * 6)
    assert rule == b"-" * 32 + b"\n"
    assert len(earned) == 33
    assert earned.startswith(b"   ")
    assert not earned.endswith(b" \n")


def test_a_printer_that_joins_and_turns_gets_letters_as_they_are_read() -> None:
    setting = Setting(Encoding.WINDOWS_1256, 42, order=Order.LOGICAL)
    assert encoded("یک کد: ۴۸۲", setting).decode("cp1256") == "يك كد: 482"


@pytest.mark.parametrize(("digits", "sent"), [(Digits.PERSIAN, "81 82 85"), (Digits.LATIN, "31 32 35")])
def test_digits_are_those_the_profile_names(digits: Digits, sent: str) -> None:
    assert encoded("۱۲۵", Setting(Encoding.IRAN_SYSTEM, 32, digits=digits)).hex(" ") == sent


def test_what_a_code_page_has_no_character_for_is_a_question_mark() -> None:
    for encoding in Encoding:
        assert encoded("語", Setting(encoding, 32)) == b"?"


def test_long_lines_are_cut_at_blanks_and_long_words_anywhere() -> None:
    assert wrapped("۳۰ امتیاز\vفقط تا پایان ۳۱ خرداد", "fa", 20) == ["۳۰ امتیاز فقط تا", "پایان ۳۱ خرداد"]
    assert wrapped("abcdefghij", "en", 4) == ["abcd", "efgh", "ij"]


def test_a_code_becomes_the_address_it_holds() -> None:
    page = Page("fa", (Code("https://negin.example/482917"),))
    assert b"".join(lines(page, Setting(Encoding.CP1098, 16))) == b"https://negin.ex\nample/482917\n"


def test_a_decimal_point_is_one_on_every_text_printer() -> None:
    for profile in PROFILES.values():
        if profile.text is not None:
            assert b"." in encoded("برابر ۲۵۰۰٫۶ تومان", profile.text)


def test_a_line_too_long_is_cut_where_its_wording_says() -> None:
    amount = "مبلغ: ۱٬۲۵۰٬۰۰۰ ریال\vبرابر ۱۲۵٬۰۰۰ تومان (تقسیم بر ده)"
    assert wrapped(amount, "fa", 32) == ["مبلغ: ۱۲۵۰۰۰۰ ریال", "برابر ۱۲۵۰۰۰ تومان (تقسیم بر ده)"]
    assert len(wrapped(amount, "fa", 60)) == 1
    assert max(len(line) for line in wrapped(amount, "fa", 20)) <= 20
