"""`vafa why`, `explain`, `receipt show`: one sale, with the daemon up and down, chosen among several."""

import json
import sqlite3

import msgspec
import pytest
from device import Device, Run
from shop import TID, payment

from vafa.app.live import SaleTimes
from vafa.cli.why import elapsed
from vafa.ledger import reads
from vafa.model import events
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint

WHY = """\
Sale 1-1-5 · 105 rial · terminal C0000301 · awarded

  12:50:00     +0 ms  asked            request r-1, order 100000004, 10 points
                                       promised
  12:50:00     +0 ms  heard            the terminal's answer: 320062616116,
                                       trace 000996
  12:50:00     +0 ms  awarded          10 points to member c5a947df195fbd96dc06,
                                       named by phone
  12:50:00     +0 ms  ended: approved  the terminal's code 00
  12:50:00   +8.5 ms  durable          committed to the disk
  12:50:00     +9 ms  acknowledged     to the terminal

  programme fec67e44ce11c352
    paid: 105 rial
    rate: 1 point(s) for every 10 rial
    this purchase: 105 × 1 ÷ 10 = 10.5 points
    points for this purchase: 10
    left over for the next purchase: 0.5 points
"""


def sold(device: Device) -> None:
    """A member's sale: asked in row 4, awarded in row 5, ended in row 6."""
    shop = device.shop
    member = bytes.fromhex(shop.members.add("09121236789", "", "test").id)
    asked = shop.sales.ask(TID, "r-1", 105, member, CardHint())
    shop.sales.end(asked, SaleOutcome.APPROVED, "00", payment())
    device.times[5] = SaleTimes(100.0, 108.5, 109.0)


def test_why_shows_the_time_line_and_the_arithmetic(device: Device, vafa: Run) -> None:
    sold(device)
    with device.up():
        ran = vafa("why", "1-1-5")
    assert (ran.code, ran.out, ran.err) == (0, WHY, "")
    assert max(map(len, ran.out.splitlines())) <= 80


def test_why_reads_the_ledger_while_the_daemon_is_down_and_says_so(device: Device, vafa: Run) -> None:
    sold(device)
    ran = vafa("why", "1-1-5")
    assert (ran.code, ran.err) == (0, "the daemon is not running: read from the ledger\n")
    live = ("durable", "acknowledged")  # what only the daemon's memory knew
    assert ran.out.splitlines() == [line for line in WHY.splitlines() if not any(w in line for w in live)]


def test_why_as_json_names_its_moments(device: Device, vafa: Run) -> None:
    sold(device)
    with device.up():
        found = json.loads(vafa("why", "616116", "--json").out)
    assert (found["number"], found["result"], found["mismatch"]) == ("1-1-5", "awarded", "")
    assert found["moments"][0] == {
        "at": "2025-12-29T09:20:00.000Z", "ms": 0.0, "what": "asked", "row": 4,
        "detail": "request r-1, order 100000004, 10 points promised",
    }  # fmt: skip


@pytest.mark.parametrize("verb", [["why"], ["explain"], ["receipt", "show"]])
@pytest.mark.parametrize("up", [True, False])
def test_several_sales_are_listed_and_end_with_1(
    device: Device, vafa: Run, verb: list[str], up: bool
) -> None:
    for n in range(2):
        device.shop.counter.post(payment(320062616116 + n))
    if up:
        with device.up():
            ran = vafa(*verb, "000996")
    else:
        ran = vafa(*verb, "000996")
    assert ran.code == 1
    assert "Say which" in ran.err
    assert [line.split()[0] for line in ran.out.splitlines()] == ["1-1-4", "1-1-3"]


@pytest.mark.parametrize("verb", [["why"], ["explain"], ["receipt", "show"]])
def test_a_number_nobody_knows_ends_with_1_and_what_to_try(
    device: Device, vafa: Run, verb: list[str]
) -> None:
    with device.up():
        ran = vafa(*verb, "999999")
    assert (ran.code, ran.out) == (1, "")
    assert "[ASK-001]" in ran.err
    assert "fix:" in ran.err


def test_explain_speaks_both_languages(device: Device, vafa: Run) -> None:
    sold(device)
    with device.up():
        english, persian = vafa("explain", "5"), vafa("explain", "۵", "--lang", "fa")
        as_json = json.loads(vafa("explain", "5", "--json").out)
    assert "this purchase: 105 × 1 ÷ 10 = 10.5 points" in english.out
    assert "شماره: \u2066۱-۱-۵\u2069" in persian.out
    assert "امتیاز این خرید: ۱۰" in persian.out
    assert (as_json["points"], as_json["programme"]) == (10, "fec67e44ce11c352")


@pytest.mark.parametrize("verb", ["why", "explain"])
def test_a_result_that_does_not_follow_is_said_and_ends_with_1(device: Device, vafa: Run, verb: str) -> None:
    device.shop.counter.post(payment())
    device.shop.ledger.close()
    forger = sqlite3.connect(device.shop.ledger.path)
    award = reads.entry(forger, 3).event
    assert isinstance(award, events.Award)
    body = events.encode(msgspec.structs.replace(award, eligible=1))
    forger.execute("UPDATE journal SET body = ? WHERE seq = 3", (body,))
    forger.commit()
    forger.close()
    ran = vafa(verb, "1-1-3")
    assert ran.code == 1
    assert "eligible: stored 1" in ran.out + ran.err
    assert "[LED-003]" in ran.out + ran.err


def test_a_receipt_is_shown_in_the_shop_s_language_or_the_one_asked_for(device: Device, vafa: Run) -> None:
    sold(device)
    for _ in range(2):
        assert vafa("receipt", "show", "5").out.splitlines()[0] == "باشگاه مشتریان کافه نگین"
        assert "Balance: 10 points" in vafa("receipt", "show", "5", "--lang", "en").out
        with device.up():
            up = vafa("receipt", "show", "5")
        assert up.out == vafa("receipt", "show", "5").out


def test_a_bill_payment_has_no_receipt_and_says_so(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment(is_sale=False))
    ran = vafa("receipt", "show", "3")
    assert (ran.code, ran.out) == (0, "")
    assert "nothing was printed" in ran.err


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "+0 ms"),
        (8.5, "+8.5 ms"),
        (1_503, "+1.503 s"),
        (119_000, "+119.000 s"),
        (7_200_000, "+2 h"),
        (-5, "-5 ms"),
    ],
)
def test_the_time_since_the_first_step_is_told_as_finely_as_it_matters(ms: float, text: str) -> None:
    assert elapsed(ms) == text
