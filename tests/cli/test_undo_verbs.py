"""`vafa void`, `refund`, `adjust`: shown first, done with --yes, repeated without harm."""

import json
import re
from pathlib import Path

import pytest
from device import NOW_MS, Device, Run
from shop import payment

from vafa.app import undo
from vafa.ledger import reads
from vafa.model import events
from vafa.model.pan import CardHint

PHONE = "09121236789"
DOCS = Path(__file__).parents[2] / "docs" / "undoing.md"


def member_of(device: Device) -> bytes:
    return bytes.fromhex(device.shop.members.add(PHONE, "", "test").id)


def sold(device: Device, amount: int = 105, rrn: int = 320062616116) -> str:
    """A member's sale; its number."""
    return device.shop.counter.post(payment(rrn, amount), member_of(device)).number


def newest(device: Device) -> events.Event:
    return device.shop.ledger.read(lambda c: reads.entry(c, device.shop.ledger.head.seq)).event


def test_the_screens_of_the_page_are_what_is_said(
    device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "check_code", lambda _hash: "6650")  # it moves with every change of the books
    sold(device)
    with device.up():
        for command, shown in re.findall(r"^\$ vafa (.*?)\n(.*?)(?=^\$|^```)", DOCS.read_text(), re.M | re.S):
            assert vafa(*command.split()).out == shown


def test_without_yes_it_is_shown_and_nothing_changes(device: Device, vafa: Run) -> None:
    sold(device)
    head = device.shop.ledger.head
    with device.up():
        for verb in (["void", "4"], ["refund", "4", "30"], ["adjust", PHONE, "-12", "--why", "a reason"]):
            ran = vafa(*verb)
            assert ran.code == 2
            assert "not done yet" in ran.out
            assert "--yes --request cli-" in ran.err
        found = vafa("adjust", PHONE, "-12", "--why", "a reason", "--json")
    undone = json.loads(found.out)
    assert (found.code, undone["done"]) == (2, False)
    assert (undone["undone"]["points"], undone["undone"]["debt"], undone["undone"]["balance"]) == (12, 2, 0)
    assert device.shop.ledger.head == head


@pytest.mark.parametrize("sale", ["1-1-4", "4", "616116", "000996", "۴", "105@15:39"])
def test_a_sale_is_voided_by_any_of_its_numbers(device: Device, vafa: Run, sale: str) -> None:
    device.clock.advance((1_767_096_548_000 - NOW_MS) / 1_000)
    sold(device)
    with device.up():
        ran = vafa("void", sale, "--yes", "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["done"], found["left"]) == (0, True, 0)
    assert (found["undone"]["kind"], found["undone"]["points"], found["undone"]["balance"]) == ("void", 10, 0)


@pytest.mark.parametrize(("parts", "points"), [(["10"], 1), (["10"] * 10, 10), (["9"] * 11, 10), ([], 10)])
def test_the_refunds_of_the_rules(device: Device, vafa: Run, parts: list[str], points: int) -> None:
    sold(device)
    with device.up():
        runs = [vafa("refund", "4", part, "--yes", "--json") for part in parts]
        runs += [] if parts else [vafa("refund", "4", "--yes", "--json")]
    assert [ran.code for ran in runs] == [0] * len(runs)
    assert sum(json.loads(ran.out)["undone"]["points"] for ran in runs) == points
    assert device.shop.balances() == [10 - points]


def test_the_same_request_is_done_once_and_told_again(device: Device, vafa: Run) -> None:
    sold(device)
    with device.up():
        for verb in (
            ["refund", "4", "30", "--yes", "--request", "mine-1"],
            ["adjust", PHONE, "5", "--why", "a reason", "--yes", "--request", "mine-2"],
            ["void", "4", "--yes", "--request", "mine-3"],
        ):
            first, head = vafa(*verb), device.shop.ledger.head
            again = vafa(*verb)
            assert (first.code, again.code) == (0, 0)
            assert again.out == "this request was done already; nothing changed\n" + first.out
            assert device.shop.ledger.head == head


def test_several_matches_are_listed_and_nothing_is_undone(device: Device, vafa: Run) -> None:
    for n in range(2):
        sold(device, rrn=320062616116 + n)
    head = device.shop.ledger.head
    with device.up():
        ran = vafa("void", "000996", "--yes")
    assert ran.code == 1
    assert [line.split()[0] for line in ran.out.splitlines()] == ["1-1-5", "1-1-4"]
    assert device.shop.ledger.head == head


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["refund", "4", "106", "--yes"], "105 rials are left of this sale"),
        (["void", "999999", "--yes"], "no sale is known here"),
        (["adjust", "09350000000", "5", "--why", "x", "--yes"], "belongs to no member"),
    ],
)
def test_what_cannot_be_undone_ends_with_1_and_says_why(
    device: Device, vafa: Run, arguments: list[str], said: str
) -> None:
    sold(device)
    head = device.shop.ledger.head
    with device.up():
        ran = vafa(*arguments)
    assert ran.code == 1
    assert said in ran.err
    assert "fix:" in ran.err
    assert device.shop.ledger.head == head


def test_a_sale_that_was_never_paid_cannot_be_voided(device: Device, vafa: Run) -> None:
    asked = device.shop.sales.ask("C0000301", "r-1", 105, b"", CardHint())
    with device.up():
        ran = vafa("void", asked.number, "--yes")
    assert ran.code == 1
    assert "was not paid" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["adjust", PHONE, "5"],
        ["adjust", PHONE, "5", "--why", " "],
        ["adjust", PHONE, "0", "--why", "x"],
        ["adjust", PHONE, "1.5", "--why", "x"],
        ["refund", "4", "0"],
        ["void"],
    ],
)
def test_what_makes_no_sense_ends_with_2_before_anything_is_asked(
    device: Device, vafa: Run, arguments: list[str]
) -> None:
    sold(device)
    head = device.shop.ledger.head
    with device.up():
        ran = vafa(*arguments, "--yes")
    assert ran.code == 2
    assert device.shop.ledger.head == head


def test_the_journal_keeps_who_adjusted_and_why_without_numbers_of_people(device: Device, vafa: Run) -> None:
    member_of(device)
    with device.up():
        ran = vafa(
            "adjust", PHONE, "۵۰", "--yes", "--why", "rang from 0935 111 2233 12, card 6219861034529007"
        )
    assert (ran.code, ran.out) == (0, "adjustment  1-1-4: +50 points\n  balance after it: 50 points\n")
    event = newest(device)
    assert isinstance(event, events.Adjust)
    assert event.why == "rang from 0935•••2233 12, card 621986******9007"
    assert event.by == "support"


def test_undoing_needs_the_daemon_and_ends_with_3(device: Device, vafa: Run) -> None:
    sold(device)
    for verb in (["void", "4"], ["refund", "4"], ["adjust", PHONE, "5", "--why", "x"]):
        assert vafa(*verb, "--yes").code == 3


def test_the_member_s_history_and_the_receipt_know_of_it(device: Device, vafa: Run) -> None:
    sold(device)
    with device.up():
        vafa("refund", "4", "30", "--yes")
        vafa("adjust", PHONE, "-20", "--why", "a reason", "--yes")
        shown = vafa("member", "show", PHONE).out.splitlines()
        paper = vafa("receipt", "show", "4", "--lang", "en").out
        status = vafa("status").out
    assert shown[1] == "  0 points, owes 13; 1 purchases of 75 rial in all"
    assert shown[-3:] == [
        "  2025-12-29 12:50:00  1-1-6                                -20 points  adjustment",
        "  2025-12-29 12:50:00  1-1-5                   30 rial       -3 points  refund",
        "  2025-12-29 12:50:00  1-1-4                  105 rial       10 points",
    ]
    assert "Points for this purchase: 10" in paper
    assert "\n\nCustomer club of Kafe Negin\n3 points taken back for a returned purchase\n" in paper
    assert "  Today     1 sale   1 awarded  0 wait for a claim   7 points\n" in status
    assert "  Undone    1 by void or refund   3 points taken back\n" in status
    assert "  By hand   -20 points adjusted\n" in status


def test_a_purchase_that_waits_for_a_claim_is_undone_too(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment())
    with device.up():
        ran = vafa("void", "3", "--yes")
        why = vafa("why", "3")
    assert "points taken back: 10 from what waits for a claim" in ran.out
    assert "balance" not in ran.out
    assert "voided" in why.out
    assert max(map(len, why.out.splitlines())) <= 80


def test_a_refund_may_be_told_in_the_other_rial(device: Device, vafa: Run) -> None:
    sold(device, 30_000)
    with device.up():
        done = vafa("refund", "616116", "1", "--currency", "new-rial", "--yes")
        assert "10,000 rial of sale 1-1-4, 20,000 rial left of it" in done.out
        again = vafa("refund", "616116", "3", "--currency", "new-rial")
        assert "20,000 rials are left" in again.err
