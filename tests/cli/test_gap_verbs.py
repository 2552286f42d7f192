"""`vafa gap` and `vafa record`: what support types when sales may be missing."""

import json

import msgspec
import pytest
from device import CONFIG, LANE, Device, Run
from shop import TID, payment

from vafa.model import events
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint

RRN = "320062616116"
PHONE = "09121236789"
RECORD = ("record", "105", "--terminal", TID, "--rrn", RRN, "--why", "on the slip")


def gap(device: Device) -> str:
    found = events.GapDetected(TID, "000990", "000996", "its list does not reach back")
    posted = device.shop.ledger.write(lambda tx: tx.post(found))
    return f"1-{posted.epoch}-{posted.seq}"


@pytest.mark.parametrize("arguments", [("gap", "close", "3", "--why", "x"), RECORD, (*RECORD, "--yes")])
def test_writing_needs_the_daemon(device: Device, vafa: Run, arguments: tuple[str, ...]) -> None:
    assert vafa(*arguments).code == 3
    assert device.shop.ledger.head.seq == 2


def test_status_says_gap_until_a_person_closes_it(device: Device, vafa: Run) -> None:
    number = gap(device)
    with device.up():
        shown = vafa("status")
        assert (shown.code, "GAP-001" in shown.out, "GAP:" in shown.out) == (10, True, True)
        assert number in shown.out
        assert max(len(line) for line in shown.out.splitlines()) <= 80
        listed = vafa("gap", "list")
        assert "after trace 000990, before 000996" in listed.out
        closed = vafa("gap", "close", number, "--why", "slips compared")
        assert (closed.code, number in closed.out) == (0, True)
        assert vafa("status").code == 0
        assert vafa("gap", "list").out == "no gaps\n"
        again = vafa("gap", "close", number, "--why", "again")
        assert (again.code, "closed already" in again.err) == (1, True)


def test_gaps_are_listed_also_while_the_daemon_is_down(device: Device, vafa: Run) -> None:
    number = gap(device)
    ran = vafa("gap", "list", "--json")
    assert json.loads(ran.out)["gaps"][0]["number"] == number
    assert ran.code == 0


def test_without_yes_record_only_shows_what_would_be_posted(device: Device, vafa: Run) -> None:
    with device.up():
        ran = vafa(*RECORD, "--at", "12:40")
    assert ran.code == 2
    assert "would be posted: 105 rial" in ran.out
    assert "2025-12-29 12:40:00" in ran.out
    assert "10 points" in ran.out
    assert "--yes" in ran.err
    assert device.shop.ledger.head.seq == 2


def test_a_missed_sale_is_recorded_once_and_closes_its_gap(device: Device, vafa: Run) -> None:
    number = gap(device)
    with device.up():
        ran = vafa(*RECORD, "--gap", number, "--yes", "--lang", "en")
        again = vafa(*RECORD, "--yes")
        assert (ran.code, again.code) == (0, 0)
        assert "recorded 1-1-5" in ran.out
        assert "known already as 1-1-5" in again.out
        assert vafa("status").code == 0
        time_line = vafa("why", "1-1-5")
    assert "on the slip" in time_line.out
    assert device.shop.counter.post(payment(int(RRN))).seen_before


def test_a_missed_sale_goes_to_the_phone_named_and_an_unknown_phone_is_refused(
    device: Device, vafa: Run
) -> None:
    with device.up():
        refused = vafa(*RECORD, "--phone", PHONE, "--yes")
        assert (refused.code, device.shop.ledger.head.seq) == (1, 2)
        vafa("member", "add", PHONE)
        assert "(earned)" in vafa(*RECORD, "--phone", PHONE, "--yes").out
    assert device.shop.balances() == [10]


def test_what_differs_from_the_sale_that_is_known_is_named(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment(int(RRN)))
    with device.up():
        ran = vafa("record", "999", "--rrn", RRN, "--why", "on the slip", "--yes")
    assert "differs in: amount" in ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--at", "25:00"), "HH:MM"),
        (("--terminal", "77777777"), "say on which terminal"),
        (("--rrn", "6219861034529007"), "RRN"),
        (("--rrn", "000996"), "it looks like the trace number"),
        (("--why", "  "), "say why"),
        (("--gap", "77"), "no gap"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_words(
    device: Device, vafa: Run, arguments: tuple[str, ...], words: str
) -> None:
    with device.up():
        ran = vafa(*RECORD, "--yes", *arguments)
    assert (ran.code, words in ran.err) == (1, True)
    assert "6219861034529007" not in ran.err
    assert device.shop.ledger.head.seq == 2


def test_a_terminal_whose_application_tells_its_sales_takes_none_by_hand(device: Device, vafa: Run) -> None:
    device.config.write_text(CONFIG.replace('mode = "ecr"', 'mode = "local"'))
    with device.up():
        ran = vafa(*RECORD, "--yes")
    assert (ran.code, "tells its own sales" in ran.err) == (1, True)


def test_a_time_later_than_now_was_yesterday(device: Device, vafa: Run) -> None:
    with device.up():
        assert "2025-12-28 23:50:00" in vafa(*RECORD, "--at", "23:50").out


def test_the_lane_s_own_trouble_with_polling_is_shown(device: Device, vafa: Run) -> None:
    lane = msgspec.structs.replace(
        LANE, poll_trouble="it does not tell its last transactions", disagreeing=("1-1-9",)
    )
    device.live = msgspec.structs.replace(device.live, lanes=(lane,))
    with device.up():
        shown = vafa("status")
    assert (shown.code, "GAP-002" in shown.out, "GAP-003" in shown.out) == (10, True, True)
    assert max(len(line) for line in shown.out.splitlines()) <= 80


def test_a_reason_stays_in_the_journal_without_card_numbers_and_phones(device: Device, vafa: Run) -> None:
    number = gap(device)
    why = "card 6219861034529007 of 0912 123 6789"
    with device.up():
        vafa(*RECORD, "--why", why, "--yes")
        vafa("gap", "close", number, "--why", why)
        rows = vafa("journal", "--kind", "recorded", "--kind", "gap_closed").out
    assert "6219861034529007" not in rows
    assert "123 6789" not in rows
    assert rows.count("0912•••6789") == 2


def test_a_missed_sale_may_have_been_paid_in_new_rial(device: Device, vafa: Run) -> None:
    given = ("record", "12", "--rrn", "320062616117", "--why", "the slip", "--currency", "new-rial")
    with device.up():
        assert "would be posted: 12 new rial, RRN 320062616117" in vafa(*given).out


def test_an_unsure_sale_is_settled_by_its_slip_and_status_is_ok_again(device: Device, vafa: Run) -> None:
    numbers = []
    for request in ("till-1", "till-2"):
        asked = device.shop.sales.ask(TID, request, 105, b"", CardHint())
        device.shop.sales.end(asked, SaleOutcome.UNSURE, "TRM-002", None)
        numbers.append(asked.number)
    with device.up():
        assert vafa("status").code == 10
        shown = vafa(*RECORD, "--sale", numbers[0])
        assert (shown.code, f"{numbers[0]} would be settled: paid" in shown.out) == (2, True)
        assert vafa("status").out.count("nobody knows yet") == 2
        paid = vafa(*RECORD, "--sale", numbers[0], "--yes")
        assert (paid.code, f"{numbers[0]} is settled: paid" in paid.out) == (0, True)
        unpaid = vafa("gap", "unpaid", numbers[1], "--why", "no slip, not in the list")
        assert (unpaid.code, f"sale {numbers[1]} of terminal {TID} is settled: not paid" in unpaid.out) == (
            0,
            True,
        )
        assert vafa("status").code == 0
        again = vafa("gap", "unpaid", numbers[1], "--why", "again")
        assert (again.code, "unsure" in again.err) == (1, True)
        assert "no slip, not in the list" in vafa("why", numbers[1]).out
