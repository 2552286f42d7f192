"""Which lines are printed when; what terminals that take text get; what a doubtful card may never show."""

import os
import subprocess
import sys
import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.model.events import Nothing
from vafa.receipt import slip as s
from vafa.receipt.iransystem import decode
from vafa.receipt.slip import Known, Shop, Slip
from vafa.receipt.terminal import OPT6_BYTES_MAX, opt6, plain
from vafa.receipt.words import text

NEGIN = Shop("کافه نگین", "Kafe Negin")
BALANCE = s.OwnBalance(1240)
BIRTHDAY = s.Message("سارا جان تولدت مبارک")


def kinds(slip: Slip) -> list[str]:
    return [type(line).__name__ for line in slip.lines]


def test_a_member_reads_points_balance_message_number_and_check_code() -> None:
    slip = s.slip_for_award(
        NEGIN, 1_250_000, 125, Known.MEMBER, balance=BALANCE, number="1-1-31", check="0482", message=BIRTHDAY
    )
    assert kinds(slip) == ["Header", "Amount", "Earned", "OwnBalance", "Message", "Number", "CheckCode"]


def test_an_unknown_card_reads_what_waits_and_the_code_that_claims_it() -> None:
    slip = s.slip_for_award(NEGIN, 1_250_000, 125, Known.UNKNOWN, balance=BALANCE, claim="482917")
    assert text(slip, "fa")[2:] == ("۱۲۵ امتیاز برای این کارت محفوظ است", "کد عضویت: ۴۸۲۹۱۷")


def test_an_unknown_card_that_earned_no_whole_point_still_reads_its_code() -> None:
    slip = s.slip_for_award(NEGIN, 9_000, 0, Known.UNKNOWN, claim="482917")
    assert kinds(slip) == ["Header", "Amount", "Earned", "ClaimCode"]


@pytest.mark.parametrize("known", [Known.HINT, Known.UNKNOWN])
def test_a_card_that_may_be_somebody_elses_never_prints_a_balance_or_a_name(known: Known) -> None:
    slips = [
        s.slip_for_award(NEGIN, 1_250_000, 125, known, balance=BALANCE, message=BIRTHDAY),
        s.slip_for_nothing(NEGIN, Nothing.BELOW_MINIMUM, known, balance=BALANCE),
        s.slip_for_claw_back(NEGIN, 125, known, balance=BALANCE),
    ]
    for slip in slips:
        shown = " ".join(text(slip, "fa"))
        assert "۱٬۲۴۰" not in shown
        assert "سارا" not in shown


def test_before_payment_everything_is_worded_as_a_condition() -> None:
    slip = s.slip_for_promise(NEGIN, 125, Known.UNKNOWN, claim="482917")
    assert plain(slip, "fa") == (
        "باشگاه مشتریان کافه نگین",
        "پس از پرداخت موفق: ۱۲۵ امتیاز",
        "کد عضویت: ۴۸۲۹۱۷",
    )


def test_a_member_who_is_known_before_payment_gets_no_claim_code() -> None:
    assert kinds(s.slip_for_promise(NEGIN, 125, Known.MEMBER, claim="482917")) == ["Header", "Promise"]


def test_nothing_to_say_is_no_slip_and_no_bytes() -> None:
    empty = s.slip_for_promise(NEGIN, 0, Known.MEMBER)
    assert empty == Slip()
    assert opt6(empty, "fa") == b""
    assert s.slip_for_nothing(NEGIN, Nothing.NOT_A_SALE, Known.MEMBER, balance=BALANCE) == Slip()
    assert s.slip_for_claw_back(NEGIN, 0, Known.MEMBER, balance=BALANCE) == Slip()


def test_a_sale_below_the_minimum_says_so_and_what_the_minimum_is() -> None:
    slip = s.slip_for_nothing(
        NEGIN, Nothing.BELOW_MINIMUM, Known.MEMBER, minimum=500_000, balance=BALANCE, number="1-1-31"
    )
    assert kinds(slip) == ["Header", "NothingEarned", "OwnBalance", "Number"]


def test_a_claw_back_tells_what_was_taken_and_what_is_left() -> None:
    slip = s.slip_for_claw_back(NEGIN, 125, Known.MEMBER, balance=BALANCE, number="1-1-32", check="0001")
    assert kinds(slip) == ["Header", "ClawedBack", "OwnBalance", "Number", "CheckCode"]


def test_the_text_on_a_sadad_request_is_what_the_terminal_prints() -> None:
    slip = s.slip_for_promise(NEGIN, 1_240, Known.UNKNOWN, claim="482917")
    assert decode(opt6(slip, "fa")).split("\n") == list(plain(slip, "fa"))
    assert opt6(slip, "en") == b"Customer club of Kafe Negin,If paid: 1240 points,Membership code: 482917"


def test_too_much_text_loses_whole_lines_and_never_the_points() -> None:
    slip = Slip((s.Header(NEGIN), s.Message("پیام " * 60), s.Promise(125), s.Message("سلام " * 60)))
    assert decode(opt6(slip, "fa")).split("\n") == [
        plain(slip, "fa")[0],
        plain(slip, "fa")[1],
        "پس از پرداخت موفق: ۱۲۵ امتیاز",
    ]


names = st.text(max_size=40) | st.text("نگین ،,\u200c\u2066\u2069\u202e\x1b\n٬", max_size=12)
counts = st.integers(0, 10**13)
days = st.dates(min_value=date(1990, 1, 1), max_value=date(2100, 1, 1))
any_line = st.one_of(
    st.builds(s.Header, st.builds(Shop, names, names)),
    st.builds(s.Amount, counts),
    st.builds(s.Promise, counts),
    st.builds(s.Earned, counts),
    st.builds(s.Waiting, counts),
    st.builds(s.ClaimCode, st.from_regex(r"[0-9]{6}", fullmatch=True)),
    st.builds(s.NothingEarned, counts),
    st.builds(s.ClawedBack, counts),
    st.builds(s.OwnBalance, st.integers(-(10**9), 10**13)),
    st.builds(s.HubBalance, counts, st.integers(0, 4_000_000_000), counts),
    st.builds(s.Pending, counts, days),
    st.builds(s.NextReward, names, counts),
    st.builds(s.Lapsing, counts, days),
    st.builds(s.Message, names, names),
    st.builds(s.Number, st.from_regex(r"[0-9]{1,3}-[0-9]-[0-9]{1,7}", fullmatch=True)),
    st.builds(s.CheckCode, st.from_regex(r"[0-9]{4}", fullmatch=True)),
)
THEIR_OWN_TEXT = (s.Header, s.Message, s.NextReward)


@given(st.lists(any_line, max_size=8).map(lambda lines: Slip(tuple(lines))), st.sampled_from(["fa", "en"]))
def test_the_plain_variant_holds_nothing_a_terminal_stumbles_over(slip: Slip, lang: str) -> None:
    for line in plain(slip, lang):
        assert line.strip()
        assert not set(line) & set("٬,،\u200c\u2066\u2067\u2068\u2069\n\r\v\t")
        assert not any(unicodedata.category(c) in {"Cf", "Cc"} for c in line)
    assert len(opt6(slip, lang)) <= OPT6_BYTES_MAX


@given(any_line.filter(lambda line: not isinstance(line, THEIR_OWN_TEXT)), st.sampled_from(["fa", "en"]))
def test_the_plain_variant_holds_one_number_a_line(line: s.AnyLine, lang: str) -> None:
    for shown in plain(Slip((line,)), lang):
        assert sum(any(c.isdigit() for c in word) for word in shown.split()) <= 1


@given(st.lists(any_line, max_size=8).map(lambda lines: Slip(tuple(lines))), st.sampled_from(["fa", "en"]))
def test_full_text_closes_every_isolate_it_opens_and_holds_no_control_character(
    slip: Slip, lang: str
) -> None:
    for line in text(slip, lang):
        assert line.count("\u2066") + line.count("\u2068") == line.count("\u2069")
        assert not any(unicodedata.category(c) == "Cc" for c in line)


def test_paper_and_rules_start_without_anything_heavy() -> None:
    program = (
        "import sys, vafa.receipt.terminal, vafa.club.explain\n"
        "heavy = {'PIL', 'persiantools', 'iransystem', 'sqlite3', 'click', 'structlog', 'difflib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=unmeasured
    )
    assert done.stdout.strip() == "[]"
