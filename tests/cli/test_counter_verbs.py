"""`vafa member`, `claim`, `sell`, `programme`: what people do at the counter; writing needs the daemon."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from device import LANE, Device, Run
from shop import HASHED, PROGRAMME, TID, payment

from vafa.app.live import LaneState
from vafa.app.selling import SaleEnd
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint

PHONE = "09121236789"


@pytest.mark.parametrize(
    "arguments",
    [
        ["member", "add", PHONE], ["member", "bind", PHONE, "3"], ["claim", "123456", PHONE], ["sell", "105"],
        ["programme", "activate", "p.toml"],
    ],
)  # fmt: skip
def test_writing_needs_the_daemon_and_ends_with_3(
    device: Device, vafa: Run, arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.toml").write_text(PROGRAMME)
    ran = vafa(*arguments)
    assert ran.code == 3
    assert "systemctl start vafa" in ran.err
    assert device.shop.ledger.head.seq == 2


def test_a_customer_joins_and_is_shown_masked(device: Device, vafa: Run) -> None:
    with device.up():
        first = vafa("member", "add", "۰۹۱۲۱۲۳۶۷۸۹", "--name", "Sara Amini")
        again = vafa("member", "add", PHONE)
    assert (first.code, first.out.splitlines()[0]) == (0, "joined now")
    assert "0912•••6789" in first.out
    assert "Sara Amini" in first.out
    assert again.out.splitlines()[0] == "is a member already"
    assert "9121236789" not in first.out + again.out


def test_what_is_no_phone_is_refused_without_repeating_it(device: Device, vafa: Run) -> None:
    with device.up():
        ran = vafa("member", "add", "6219861034529007")
    assert ran.code == 1
    assert "[ASK-002]" in ran.err
    assert "6219861034529007" not in ran.err


@pytest.mark.parametrize("up", [True, False])
def test_a_member_is_found_with_balance_and_purchases_also_while_the_daemon_is_down(
    device: Device, vafa: Run, up: bool
) -> None:
    member = device.shop.members.add(PHONE, "Sara Amini", "test").id
    device.shop.counter.post(payment(), bytes.fromhex(member))
    asked = [["member", "show", PHONE], ["member", "show", member], ["member", "find", "6789"]]
    if up:
        with device.up():
            answers = [vafa(*question) for question in asked]
    else:
        answers = [vafa(*question) for question in asked]
    phone = "0912•••6789" if up else "09••••••6789"
    for ran in answers:
        assert ran.code == 0
        lines = ran.out.splitlines()
        assert lines[0].startswith(phone)
        assert lines[1] == "  10 points; 1 purchases of 105 rial in all"
        assert lines[-1] == "  2025-12-29 12:50:00  1-1-5                  105 rial       10 points"
    assert "Sara" not in answers[2].out


def test_nobody_found_ends_with_1(device: Device, vafa: Run) -> None:
    with device.up():
        assert vafa("member", "find", "0000").code == 1
        assert vafa("member", "show", PHONE).code == 1
    assert vafa("member", "find", "0000").code == 1
    assert vafa("member", "show", PHONE).code == 1


def test_a_phone_needs_the_key_while_the_daemon_is_down(device: Device, vafa: Run) -> None:
    (device.config.parent / "device.key").unlink()
    ran = vafa("member", "show", PHONE)
    assert ran.code == 1
    assert "[KEY-001]" in ran.err


def test_a_card_is_bound_and_then_earns_for_the_member(device: Device, vafa: Run) -> None:
    first = device.shop.counter.post(payment(card=HASHED))
    with device.up():
        vafa("member", "add", PHONE)
        ran = vafa("member", "bind", PHONE, first.number)
    assert ran.code == 0
    assert "cards: card " in ran.out
    assert device.shop.counter.post(payment(320062616117, card=HASHED)).balance == 10


def test_a_claim_tells_the_points_and_a_wrong_code_ends_with_1(device: Device, vafa: Run) -> None:
    code = device.shop.counter.post(payment()).claim
    with device.up():
        vafa("member", "add", PHONE)
        first, again, wrong = (vafa("claim", each, PHONE) for each in (code, code, "0"))
        as_json = json.loads(vafa("claim", code, PHONE, "--json").out)
    assert first.out == "points: 10   purchases: 1\n0912•••6789 has 10 points\n"
    assert again.out.startswith("this member has claimed that code already")
    assert (wrong.code, "[ASK-001]" in wrong.err) == (1, True)
    assert (as_json["points"], as_json["seen_before"]) == (0, True)


# vafa sell


def end(device: Device, outcome: SaleOutcome) -> SaleEnd:
    """A sale of 105 rials that ended so."""
    asked = device.shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    paid = payment() if outcome in (SaleOutcome.APPROVED, SaleOutcome.RESOLVED_PAID) else None
    return SaleEnd(asked.number, outcome, "00", "", device.shop.sales.end(asked, outcome, "00", paid))


@pytest.mark.parametrize("outcome", list(SaleOutcome))
def test_selling_ends_with_0_only_when_it_was_paid(device: Device, vafa: Run, outcome: SaleOutcome) -> None:
    device.seller.ends = [end(device, outcome)]
    with device.up():
        ran = vafa("sell", "105", "--request", "r-1")
    paid = outcome in (SaleOutcome.APPROVED, SaleOutcome.RESOLVED_PAID)
    assert ran.code == (0 if paid else 1)
    assert ran.out.startswith(outcome.name.lower().replace("_", " "))
    assert ("امتیاز" in ran.out) == paid
    assert ("before\nasking the customer to pay again" in ran.err) == (outcome is SaleOutcome.UNSURE)


@pytest.mark.parametrize("amount", ["125000", "125,000", "۱۲۵٬۰۰۰"])
def test_an_amount_is_taken_as_people_write_it(device: Device, vafa: Run, amount: str) -> None:
    device.seller.ends = [end(device, SaleOutcome.DECLINED)]
    with device.up():
        ran = vafa("sell", amount)
    ((request, asked, _),) = device.seller.asked
    assert asked == 125_000
    assert f"vafa sell 125000 --request {request}" in ran.err


@pytest.mark.parametrize("arguments", [["0"], ["-5"], ["1.5"], ["abc"], ["105", "--phone", "12"]])
def test_what_cannot_be_asked_ends_with_2_before_the_terminal_hears_of_it(
    device: Device, vafa: Run, arguments: list[str]
) -> None:
    with device.up():
        assert (
            vafa("sell", "--", *arguments[:1], *arguments[1:]).code == 2 or vafa("sell", *arguments).code == 2
        )
    assert device.seller.asked == []


def test_each_sale_has_a_request_of_its_own_and_a_repeat_keeps_it(device: Device, vafa: Run) -> None:
    device.seller.ends = [end(device, SaleOutcome.DECLINED)] * 3
    with device.up():
        vafa("sell", "105")
        vafa("sell", "105")
        vafa("sell", "105", "--request", "mine")
    first, second, third = (request for request, _, _ in device.seller.asked)
    assert len({first, second, "mine"}) == 3
    assert third == "mine"


def test_while_the_customer_pays_it_says_what_the_terminal_is_at(
    device: Device, vafa: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    paid = end(device, SaleOutcome.APPROVED)

    def patient(_request: str, _amount: int, _member: bytes, _currency: object) -> SaleEnd:
        assert looked.wait(30)
        return paid

    class Watched(tuple[LaneState, ...]):
        """The lanes, which tell when somebody looks at them."""

        def __iter__(self) -> Iterator[LaneState]:
            looked.set()
            return super().__iter__()

    lane = msgspec.structs.replace(LANE, doing="customer pays 105")
    device.live = msgspec.structs.replace(device.live, lanes=Watched((lane,)))
    monkeypatch.setattr(device.seller, "sell", patient)
    monkeypatch.setattr("vafa.cli.sell.watched", lambda: True)
    monkeypatch.setattr("vafa.cli.sell.PROGRESS_EVERY_S", 0.01)
    monkeypatch.setattr("vafa.cli.sell.STATUS_S", 10.0)
    with device.up():
        ran = vafa("sell", "105", "--request", "r-1")
    assert ran.code == 0
    assert ran.err.count("customer pays 105") == 1


def test_an_unknown_phone_is_noted_and_the_sale_goes_on(device: Device, vafa: Run) -> None:
    device.seller.ends = [end(device, SaleOutcome.APPROVED)]
    with device.up():
        ran = vafa("sell", "105", "--phone", PHONE)
    assert ran.code == 0
    assert "note: this phone belongs to no member here" in ran.err


def test_a_sale_as_json_is_the_local_protocol_s(device: Device, vafa: Run) -> None:
    device.seller.ends = [end(device, SaleOutcome.APPROVED)]
    with device.up():
        found = json.loads(vafa("sell", "105", "--request", "r-1", "--json").out)
    assert found["sold"]["outcome"] == "approved"
    assert found["sold"]["paid"]["points"] == 10


# vafa programme


def test_a_right_programme_is_checked_without_a_daemon(device: Device, vafa: Run, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PROGRAMME)
    ran = vafa("programme", "check", str(tmp_path / "p.toml"))
    assert ran.code == 0
    assert "programme fec67e44ce11c352" in ran.out
    assert (
        json.loads(vafa("programme", "check", "--json", str(tmp_path / "p.toml")).out)["id"]
        == "fec67e44ce11c352"
    )


@pytest.mark.parametrize("text", ["schema = 1\n[earn]\npoint = 1\n", "no TOML", None])
def test_a_programme_with_faults_ends_with_2(
    device: Device, vafa: Run, tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "p.toml").write_text(text)
    with device.up():
        for verb in ("check", "activate"):
            ran = vafa("programme", verb, str(tmp_path / "p.toml"))
            assert ran.code == 2
            assert "[PRG-001]" in ran.err
    assert device.shop.ledger.head.seq == 2


def test_a_programme_is_activated_and_shown(device: Device, vafa: Run, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PROGRAMME.replace("per = 10", "per = 5"))
    with device.up():
        first = vafa("programme", "activate", str(tmp_path / "p.toml"))
        again = vafa("programme", "activate", str(tmp_path / "p.toml"))
        up = vafa("programme", "show")
    assert "active from now on\n" in first.out
    assert "nothing changed" in again.out
    assert up.out.count("ACTIVE") == 1
    assert up.out == vafa("programme", "show").out
    versions = json.loads(vafa("programme", "show", "--json").out)["versions"]
    assert [version["active"] for version in versions] == [False, True]
