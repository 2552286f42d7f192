"""Golden lines: the wording of UX.md's table, in Persian and English."""

from datetime import date
from fractions import Fraction

import pytest

from vafa.club.explain import Code
from vafa.receipt.numerals import exact, number, signed, theirs
from vafa.receipt.slip import (
    RANKS,
    Amount,
    AnyLine,
    CameBack,
    CheckCode,
    ClaimCode,
    ClawedBack,
    Earned,
    Header,
    HubBalance,
    Lapsing,
    Line,
    Message,
    NextReward,
    NothingEarned,
    Number,
    OfferBack,
    OfferOpen,
    OfferUsed,
    OwnBalance,
    Pending,
    Promise,
    Redeemed,
    Shop,
    Slip,
    Waiting,
)
from vafa.receipt.terminal import plain
from vafa.receipt.words import mask, step, text

NEGIN = Shop("کافه نگین", "Kafe Negin")
AT = 1_763_879_520  # 2025-11-23 06:32 UTC: 2 Azar 1404, 10:02 in Tehran

# line, Persian (UX.md), English, Persian for terminals that take text
GOLDEN: list[tuple[AnyLine, list[str], list[str], list[str]]] = [
    (
        Header(NEGIN),
        ["باشگاه مشتریان کافه نگین"],
        ["Customer club of Kafe Negin"],
        ["باشگاه مشتریان کافه نگین"],
    ),
    (Earned(125), ["امتیاز این خرید: ۱۲۵"], ["Points for this purchase: 125"], ["امتیاز این خرید: ۱۲۵"]),
    (
        Promise(125),
        ["پس از پرداخت موفق: ۱۲۵ امتیاز"],
        ["If paid: 125 points"],
        ["پس از پرداخت موفق: ۱۲۵ امتیاز"],
    ),
    (
        HubBalance(1240, AT, 180),
        ["مانده قطعی: ۱٬۲۴۰", "تا ۱۴۰۴/۰۹/۰۲ ساعت ۱۰:۰۲", "پس از آن: ۱۸۰ امتیاز (در انتظار تأیید)"],
        ["Confirmed balance: 1,240", "as of 1404/09/02 at 10:02", "Since then: 180 points (to be confirmed)"],
        ["مانده قطعی: ۱۲۴۰", "تا ۱۴۰۴/۰۹/۰۲", "ساعت ۱۰:۰۲", "پس از آن: ۱۸۰ امتیاز (در انتظار تأیید)"],
    ),
    (OwnBalance(1240), ["مانده امتیاز: ۱٬۲۴۰"], ["Balance: 1,240 points"], ["مانده امتیاز: ۱۲۴۰"]),
    (
        Pending(50, date(2026, 11, 26)),
        ["۵۰ امتیاز از ۵ آذر قابل استفاده است"],
        ["50 points can be used from 5 Azar"],
        ["۵۰ امتیاز", "از ۵ آذر قابل استفاده است"],
    ),
    (
        NextReward("غذای رایگان", 25),
        ["تا غذای رایگان: ۲۵ امتیاز دیگر"],
        ["Until \u2068غذای رایگان\u2069: 25 more points"],
        ["تا غذای رایگان: ۲۵ امتیاز دیگر"],
    ),
    (
        Lapsing(30, date(2026, 6, 21)),
        ["۳۰ امتیاز فقط تا پایان ۳۱ خرداد ۱۴۰۵ معتبر است"],
        ["30 points valid only until the end of 31 Khordad 1405"],
        ["۳۰ امتیاز", "فقط تا پایان ۳۱ خرداد", "۱۴۰۵ معتبر است"],
    ),
    (
        Waiting(125),
        ["۱۲۵ امتیاز برای این کارت محفوظ است"],
        ["125 points are kept for this card"],
        ["۱۲۵ امتیاز برای این کارت محفوظ است"],
    ),
    (ClaimCode("482917"), ["کد عضویت: ۴۸۲۹۱۷"], ["Membership code: 482917"], ["کد عضویت: ۴۸۲۹۱۷"]),
    (
        ClawedBack(125),
        ["۱۲۵ امتیاز بابت برگشت خرید کسر شد"],
        ["125 points taken back for a returned purchase"],
        ["۱۲۵ امتیاز بابت برگشت خرید کسر شد"],
    ),
    (
        Redeemed(100, "غذای رایگان", "Free meal"),
        ["۱۰۰ امتیاز استفاده شد غذای رایگان"],
        ["100 points redeemed Free meal"],
        ["۱۰۰ امتیاز استفاده شد", "غذای رایگان"],
    ),
    (
        CameBack(40),
        ["۴۰ امتیاز استفاده‌شده برگشت"],
        ["40 redeemed points came back"],
        ["۴۰ امتیاز استفاده شده برگشت"],
    ),
    (
        Amount(1_250_005),
        ["مبلغ: ۱٬۲۵۰٬۰۰۵ ریال برابر ۱۲۵٬۰۰۰٫۵ تومان (تقسیم بر ده)"],
        ["Amount: 1,250,005 rial or 125,000.5 toman (divided by ten)"],
        ["مبلغ: ۱۲۵۰۰۰۵ ریال", "برابر ۱۲۵۰۰۰٫۵ تومان (تقسیم بر ده)"],
    ),
    (
        NothingEarned(500_000),
        ["برای این خرید امتیازی ثبت نشد", "حداقل خرید: ۵۰۰٬۰۰۰ ریال"],
        ["No points for this purchase", "Smallest purchase: 500,000 rial"],
        ["برای این خرید امتیازی ثبت نشد", "حداقل خرید: ۵۰۰۰۰۰ ریال"],
    ),
    (
        OfferUsed("دو برابر امتیاز", "Double points"),
        ["پیشنهاد استفاده شد: دو برابر امتیاز"],
        ["Offer used: Double points"],
        ["پیشنهاد استفاده شد:", "دو برابر امتیاز"],
    ),
    (
        OfferOpen("دسر رایگان", "Free dessert", date(2026, 6, 21)),
        ["پیشنهاد شما: دسر رایگان", "تا پایان ۳۱ خرداد ۱۴۰۵ معتبر است"],
        ["Your offer: Free dessert", "valid until the end of 31 Khordad 1405"],
        ["پیشنهاد شما:", "دسر رایگان", "تا پایان ۳۱ خرداد", "۱۴۰۵ معتبر است"],
    ),
    (
        OfferBack("دسر رایگان"),
        ["پیشنهاد دوباره قابل استفاده: دسر رایگان"],
        ["Offer good again: \u2068دسر رایگان\u2069"],
        ["پیشنهاد دوباره قابل استفاده:", "دسر رایگان"],
    ),
    (Message("تولدت مبارک", "Happy birthday"), ["تولدت مبارک"], ["Happy birthday"], ["تولدت مبارک"]),
    (Number("1-1-31"), ["شماره: \u2066۱-۱-۳۱\u2069"], ["Number: 1-1-31"], ["شماره: ۱-۱-۳۱"]),
    (CheckCode("0482"), ["کد کنترل: ۰۴۸۲"], ["Check code: 0482"], ["کد کنترل: ۰۴۸۲"]),
]


@pytest.mark.parametrize(("line", "fa", "en", "for_terminals"), GOLDEN)
def test_each_line_is_worded_as_agreed(
    line: AnyLine, fa: list[str], en: list[str], for_terminals: list[str]
) -> None:
    assert list(text(Slip((line,)), "fa")) == fa
    assert list(text(Slip((line,)), "en")) == en
    assert list(plain(Slip((line,)), "fa")) == for_terminals


def test_every_line_that_exists_has_a_rank_and_a_golden_wording() -> None:
    assert {type(line) for line, *_ in GOLDEN} == set(RANKS) == set(Line.__subclasses__())


def test_one_point_is_one_point_in_english() -> None:
    slip = Slip((Promise(1), Waiting(1), ClawedBack(1)))
    assert text(slip, "en") == (
        "If paid: 1 point",
        "1 point is kept for this card",
        "1 point taken back for a returned purchase",
    )


def test_without_anything_provisional_the_confirmed_balance_stands_alone() -> None:
    assert text(Slip((HubBalance(7, AT),)), "fa") == ("مانده قطعی: ۷", "تا ۱۴۰۴/۰۹/۰۲ ساعت ۱۰:۰۲")


def test_a_time_outside_the_jalali_years_is_shown_gregorian_instead_of_failing() -> None:
    slip = Slip((HubBalance(7, 5_000_000_000),))  # 2128
    assert text(slip, "en", "UTC")[1] == "as of 2128-06-11 at 08:53"


def test_a_shop_without_an_english_name_keeps_its_persian_one() -> None:
    assert text(Slip((Header(Shop("نگین")),)), "en") == ("Customer club of \u2068نگین\u2069",)


def test_other_peoples_text_brings_no_control_character_to_a_printer() -> None:
    slip = Slip((Message("تولدت\x1b@\nمبارک"),))
    assert text(slip, "fa") == ("تولدت @ مبارک",)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (signed(-3, "fa"), "\u2066-۳\u2069"),
        (signed(1250, "fa"), "\u2066+۱٬۲۵۰\u2069"),
        (signed(-3, "en"), "-3"),
        (number(-1240, "fa"), "\u2066-۱٬۲۴۰\u2069"),
        (number(-1240, "en"), "-1,240"),
        (mask("0912•••6789", "fa"), "\u2066۰۹۱۲•••۶۷۸۹\u2069"),
        (mask("0912•••6789", "en"), "0912•••6789"),
        (exact(Fraction(21, 2), "fa"), "۱۰٫۵"),
        (exact(Fraction(10_003, 10_000), "en"), "1.0003"),
        (exact(Fraction(10, 3), "en"), "3 + 1/3"),
        (exact(Fraction(1, 3), "fa"), "\u2066۱/۳\u2069"),
        (exact(1_250_000, "fa"), "۱٬۲۵۰٬۰۰۰"),
    ],
)
def test_numbers_keep_their_order_inside_persian_text(shown: str, expected: str) -> None:
    assert shown == expected


@pytest.mark.parametrize(
    ("code", "values", "fa", "en"),
    [
        ("paid", (1_250_000,), "مبلغ پرداخت: ۱٬۲۵۰٬۰۰۰ ریال", "paid: 1,250,000 rial"),
        ("rate", (1, 10), "نرخ: ۱ امتیاز برای هر ۱۰ ریال", "rate: 1 point(s) for every 10 rial"),
        (
            "contribution",
            (105, 1, 10, Fraction(21, 2)),
            "سهم این خرید: ۱۰۵ × ۱ ÷ ۱۰ = ۱۰٫۵ امتیاز",
            "this purchase: 105 × 1 ÷ 10 = 10.5 points",
        ),
        ("points", (10,), "امتیاز این خرید: ۱۰", "points for this purchase: 10"),
    ],
)
def test_steps_of_an_explanation_are_worded(
    code: str, values: tuple[int | Fraction, ...], fa: str, en: str
) -> None:
    assert step(code, values, "fa") == fa
    assert step(code, values, "en") == en


@pytest.mark.parametrize("lang", ["fa", "en"])
def test_every_step_the_club_can_give_has_words(lang: str) -> None:
    for code in Code:
        assert step(code, (1, 2, 3, 4), lang)


@pytest.mark.parametrize(
    ("theirs_text", "kept"),
    [
        ("تلفن: 021-88776655", "تلفن: [021-88776655]"),
        ("از ساعت 8:30 تا 22", "از ساعت [8:30] تا 22"),
        ("تا ۱۴۰۵/۰۹/۰۲", "تا [۱۴۰۵/۰۹/۰۲]"),
        ("0912•••6789 و 12", "[0912•••6789] و 12"),
        ("کافه نگین", "کافه نگین"),
    ],
)
def test_numbers_in_a_merchants_own_lines_keep_their_order(theirs_text: str, kept: str) -> None:
    shown = theirs(theirs_text, "fa")
    assert shown == kept.replace("[", "\u2066").replace("]", "\u2069")
    assert theirs(theirs_text, "en") == f"\u2068{shown}\u2069", "in their own order on an English slip too"


def test_a_number_alone_needs_no_marks_on_an_english_slip() -> None:
    assert theirs("Tel. 021-88776655", "en") == "Tel. 021-88776655"
