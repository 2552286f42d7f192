"""The local protocol at the desk: each request's answer, the same again, and no harm from garbage."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from desk_bench import LOCAL_TID, DeskBench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lane_bench import joined
from shop import PROGRAMME, TID

from vafa.app.desk import IDENTIFIED_MAX, IDENTIFIED_S
from vafa.app.told_again import SHOWN_MAX, SHOWN_S
from vafa.app.undo import Adjustment, Undo
from vafa.club.programme import parse
from vafa.model.errors import LedgerError
from vafa.model.payment import PaymentKey, Scheme

PHONE = "09121236789"
PAN = "6219861034529007"
PERSIAN_PAN = PAN.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[DeskBench]:
    it = DeskBench(tmp_path)
    yield it
    it.close()


@pytest.fixture
def by_rrn(tmp_path: Path) -> Iterator[DeskBench]:
    it = DeskBench(tmp_path, Scheme.RRN)
    yield it
    it.close()


# --- each request ----------------------------------------------------------------------------------------


def test_hello_and_ping(desk: DeskBench) -> None:
    hello = desk.ask(op="hello", client="till 3")
    assert (hello["answer"], hello["protocol"], hello["terminals"]) == ("welcome", 1, [LOCAL_TID])
    assert hello["sells"] == [TID]
    assert desk.ask(op="ping") == {"answer": "pong", "time": desk.clock.wall_ms() // 1000}


def test_a_payment_of_nobody_known_waits_for_its_claim_code(desk: DeskBench) -> None:
    paid = desk.pay()
    assert (paid["result"], paid["points"], paid["ref"]) == ("waiting", 125, "p-1")
    assert re.fullmatch(r"\d{6}", paid["claim"])
    assert "balance" not in paid
    assert any("۱۲۵ امتیاز برای این کارت محفوظ است" in line for line in paid["lines"])


def test_what_of_a_payment_is_tip_or_cashback_earns_nothing_and_is_checked(desk: DeskBench) -> None:
    paid = desk.pay(parts={"tip": 200, "cashback": 50, "delivery": 100})
    assert paid["points"] == 100  # 1,250 less tip and cashback; delivery counts here
    wrong = desk.ask(op="payment", terminal=LOCAL_TID, ref="p-2", amount=5, parts={"tips": 1})
    assert (wrong["answer"], wrong["code"]) == ("failure", "ASK-004")


def test_a_members_payment_earns_and_tells_the_balance(desk: DeskBench) -> None:
    assert desk.ask(op="member", member=PHONE)["created"] is True
    assert desk.pay("p-1", member="۰۹۱۲ ۱۲۳ ۶۷۸۹")["balance"] == 125
    paid = desk.pay("p-2", 105, member=PHONE, lang="en")
    assert (paid["result"], paid["balance"]) == ("earned", 135)
    assert any("135" in line for line in paid["lines"])


def test_balance_and_identify_show_masked_words_only(desk: DeskBench) -> None:
    desk.ask(op="member", member=PHONE, name="مینا رضایی")
    shown = desk.ask(op="balance", member=PHONE)
    assert (shown["answer"], shown["phone"], shown["name"]) == ("known", "0912•••6789", "م… ر…")
    told = desk.ask(op="identify", member=PHONE)
    assert (told["valid_s"], bool(told["identified"])) == (IDENTIFIED_S, True)


def test_an_unknown_phone_is_not_found_by_balance_and_never_stops_a_payment(desk: DeskBench) -> None:
    assert desk.ask(op="balance", member=PHONE)["code"] == "ASK-001"
    assert desk.ask(op="balance", member="12345")["code"] == "ASK-002"
    for ref, phone in (("p-1", PHONE), ("p-2", "12345")):
        assert desk.pay(ref, member=phone)["result"] == "waiting"


def test_sell_asks_the_only_terminal_and_tells_the_end(desk: DeskBench) -> None:
    sold = desk.ask(op="sell", request="s-1", amount=1_250)
    assert (sold["outcome"], sold["paid"]["points"], sold["paid"]["terminal"]) == ("approved", 125, TID)
    desk.terminal.next("decline", code="51", text="موجودی کافی نیست")
    sold = desk.ask(op="sell", request="s-2", amount=1_250, terminal=TID)
    assert (sold["outcome"], sold["response"], "paid" in sold) == ("declined", "51", False)


def test_sell_at_a_terminal_that_is_not_asked_says_which_are(desk: DeskBench) -> None:
    answer = desk.ask(op="sell", request="s-1", amount=1_250, terminal=LOCAL_TID)
    assert answer["code"] == "ASK-003"
    assert TID in answer["message"]


def test_a_payment_at_a_terminal_that_is_not_configured_is_refused(desk: DeskBench) -> None:
    answer = desk.ask(op="payment", terminal="x", ref="p-1", amount=1)
    assert (answer["answer"], answer["code"]) == ("failure", "ASK-002")


# --- the same again --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        {"op": "payment", "terminal": LOCAL_TID, "ref": "p-1", "amount": 1_250, "id": 7},
        {"op": "payment", "terminal": LOCAL_TID, "ref": "p-2", "amount": 105, "member": PHONE, "lang": "en"},
        {"op": "payment", "terminal": LOCAL_TID, "ref": "p-3", "amount": 0},
        {"op": "payment", "terminal": LOCAL_TID, "ref": PAN, "amount": 1_250, "card": {"mask": PAN}},
        {"op": "hello"},
    ],
)
def test_a_request_repeated_word_for_word_gets_the_same_bytes_also_after_a_restart(
    desk: DeskBench, request_: dict[str, Any]
) -> None:
    desk.ask(op="member", member=PHONE)
    first = desk.line(**request_)
    desk.pay("between", 990, member=PHONE)
    assert desk.line(**request_) == first
    desk.restart()
    assert desk.line(**request_) == first


def test_a_sale_repeated_word_for_word_gets_its_end_again_and_asks_nobody(desk: DeskBench) -> None:
    request = {"op": "sell", "request": "s-1", "amount": 1_250, "id": "till-1"}
    first = desk.line(**request)
    desk.restart()
    assert desk.line(**request) == first
    assert desk.terminal.sales_asked == 1


def test_the_same_reference_with_other_facts_keeps_the_first_answer(desk: DeskBench) -> None:
    first = desk.pay("p-1", 1_250)
    assert desk.pay("p-1", 9_999) == first


def test_the_same_reference_with_other_facts_is_an_alarm_for_a_day(desk: DeskBench) -> None:
    """Most likely the till's references begin anew each day: its sales would earn nothing, unseen."""
    number = desk.pay("p-1", 1_250)["number"]
    desk.pay("p-2", 1_250)
    desk.pay("p-1", 1_250)
    assert desk.told_again.of(LOCAL_TID) == ()
    desk.pay("p-1", 9_999)
    desk.pay("p-1", 1_250)  # the first one once more proves nothing of the second
    assert desk.told_again.of(LOCAL_TID) == (number,)
    assert desk.told_again.of(TID) == ()
    desk.clock.advance(SHOWN_S)
    assert desk.told_again.of(LOCAL_TID) == ()


def test_a_till_whose_references_begin_anew_shows_the_newest_alarms_only(desk: DeskBench) -> None:
    numbers = [desk.pay(f"p-{count}", 1_250)["number"] for count in range(SHOWN_MAX + 3)]
    for count in range(SHOWN_MAX + 3):
        desk.pay(f"p-{count}", 9_999)
    assert desk.told_again.of(LOCAL_TID) == tuple(numbers[3:])


def test_an_identification_is_good_for_one_payment_and_its_repetition(desk: DeskBench) -> None:
    desk.ask(op="member", member=PHONE)
    ticket = desk.ask(op="identify", member=PHONE)["identified"]
    first = desk.pay("p-1", identified=ticket)
    assert first["balance"] == 125
    assert desk.pay("p-1", identified=ticket) == first
    assert desk.pay("p-2", identified=ticket)["result"] == "waiting"


def test_an_identification_ends_after_five_minutes(desk: DeskBench) -> None:
    desk.ask(op="member", member=PHONE)
    ticket = desk.ask(op="identify", member=PHONE)["identified"]
    desk.clock.advance(IDENTIFIED_S)
    assert desk.pay("p-1", identified=ticket)["result"] == "waiting"


def test_a_thousand_identifications_unused_refuse_the_next_until_they_end(desk: DeskBench) -> None:
    desk.ask(op="member", member=PHONE)
    for _ in range(IDENTIFIED_MAX):
        assert desk.ask(op="identify", member=PHONE)["answer"] == "known"
    assert desk.ask(op="identify", member=PHONE)["code"] == "ASK-002"
    desk.clock.advance(IDENTIFIED_S)
    assert desk.ask(op="identify", member=PHONE)["answer"] == "known"


def test_an_identified_customer_earns_at_the_terminal_we_ask(desk: DeskBench) -> None:
    desk.ask(op="member", member=PHONE)
    ticket = desk.ask(op="identify", member=PHONE)["identified"]
    sold = desk.ask(op="sell", request="s-1", amount=1_250, identified=ticket)
    assert sold["paid"]["balance"] == 125


# --- key = "rrn" -----------------------------------------------------------------------------------------


def test_a_shop_keyed_by_rrn_knows_a_payment_by_it_and_refuses_one_without(by_rrn: DeskBench) -> None:
    first = by_rrn.pay("p-1", rrn="320062616116")
    assert first["ref"] == "320062616116"
    assert by_rrn.pay("another name", rrn="320062616116") == first
    refused = by_rrn.pay("p-2")
    assert (refused["code"], refused["fix"]) == ("ASK-002", 'send rrn, or set key = "sender"')


# --- what must never come back ---------------------------------------------------------------------------


@pytest.mark.parametrize("pan", [PAN, " ".join(re.findall("....", PAN)), PERSIAN_PAN])
def test_no_answer_holds_a_card_number_or_a_phone_whatever_field_it_came_in(
    desk: DeskBench, pan: str
) -> None:
    answers = [
        desk.line(op="member", member=PHONE, name=pan, id=pan),
        desk.line(op="identify", member=PHONE, id=pan),
        desk.line(op="ping", id=pan),
        desk.line(op="ping", id=int(PAN)),
        desk.line(op=pan),
        desk.line(op="ping", **{pan: 1}),
        desk.line(op="ping", **{f"x - at {pan}": 1, f"x - at `$.{pan}`": 1}),
        desk.line(op="ping", **{f" - at {PHONE}": 1}),
        desk.line(op="sell", request=PAN, amount=10, member=PHONE, terminal=pan[:32]),
        desk.line(op="sell", request=PAN, amount=10, member=PHONE),
        desk.line(op="hello", client=pan),
        desk.line(
            op="payment", terminal=LOCAL_TID, ref=PAN, amount=10, rrn=pan, trace=pan, order_id=pan,
            card={"mask": pan}, member=PHONE, identified=None, id=pan,
        ),
        desk.line(op="payment", terminal=pan, ref="r", amount=10),
    ]  # fmt: skip
    for answer in answers:
        digits = re.sub(r"[ -]", "", answer.decode())
        assert PAN not in digits
        assert PERSIAN_PAN not in digits
        assert PHONE not in digits
        assert PHONE[1:] not in digits
    assert PAN.encode() not in desk.shop.ledger.path.read_bytes()


def test_two_payments_named_by_different_card_numbers_stay_two(desk: DeskBench) -> None:
    first, second = desk.pay(PAN), desk.pay("6037991234567893")
    assert first["ref"] != second["ref"]
    assert first["number"] != second["number"]


@pytest.mark.parametrize(
    "line",
    [
        b"", b"null", b"[]", b"{}", b"\xff\xfe\x00", b'{"op":"ping"', b'{"op":"ping","id":"\xff"}',
        b'{"op":"ping","id":"\\ud800"}', b'{"op":"ping","id":1.5}', b'{"op":"pay"}', b'{"op":"ping","x":1}',
        b'{"op":"payment","terminal":"40217736","ref":"","amount":1}',
        b'{"op":"payment","terminal":"40217736","ref":"r","amount":-1}',
        b'{"op":"payment","terminal":"40217736","ref":"r","amount":1e2}',
        b'{"op":"payment","terminal":"40217736","ref":"r","amount":99999999999999}',
        b'{"op":"payment","terminal":"40217736","ref":"r\\n","amount":1}',
        b'{"op":"payment","terminal":"40217736","ref":"r","amount":1,"lang":"fa\\n"}',
        b'{"op":"payment","terminal":"40217736","ref":"r","amount":1,"card":{"sha256":"zz"}}',
        b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b',"op":"ping"}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_request_is_told_so(desk: DeskBench, line: bytes) -> None:
    answer = json.loads(desk.desk.answer(line))
    assert (answer["answer"], answer["code"]) == ("failure", "ASK-004")


def test_the_place_of_a_fault_is_named_by_our_own_words(desk: DeskBench) -> None:
    answer = desk.ask(op="payment", terminal=LOCAL_TID, ref="r", amount="much")
    assert answer["message"] == "not a request of this protocol: $.amount"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"op": "quote", "phone": PHONE}, "the line has no field phone"),
        ({"op": "payment", "terminal": "t", "ref": "r"}, "the line lacks amount"),
        ({"op": "identify", "card": {"bin": "621986"}}, "$.card has no field bin"),
        ({"op": "ping", PAN: 1}, "the line"),
    ],
)
def test_a_field_that_is_missing_or_that_no_request_has_is_named(
    desk: DeskBench, line: dict[str, Any], said: str
) -> None:
    assert desk.ask(**line)["message"] == f"not a request of this protocol: {said}"


@given(garbage=st.binary(max_size=200))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_get_one_line_of_the_protocol(desk: DeskBench, garbage: bytes) -> None:
    answer = desk.desk.answer(garbage)
    assert b"\n" not in answer
    assert json.loads(answer)["answer"] == "failure"


# --- trouble and crowds ----------------------------------------------------------------------------------


def test_a_payment_the_ledger_cannot_take_is_a_failure_and_good_when_repeated(
    desk: DeskBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.ask(op="member", member=PHONE)
    ticket = desk.ask(op="identify", member=PHONE)["identified"]

    def broken(_decide: object) -> None:
        raise LedgerError("the ledger could not be written", fix="check the disk")

    with monkeypatch.context() as failing:
        failing.setattr(desk.shop.ledger, "write", broken)
        answer = desk.pay("p-1", identified=ticket, id=5)
        assert (answer["answer"], answer["code"], answer["id"]) == ("failure", "LED-001", 5)
    assert desk.pay("p-1", identified=ticket)["balance"] == 125


def test_many_tills_at_once_post_each_payment_once(desk: DeskBench) -> None:
    desk.ask(op="member", member=PHONE)
    answers: dict[str, set[bytes]] = {f"p-{n}": set() for n in range(12)}

    def till() -> None:
        for ref, told in answers.items():
            request = {"op": "payment", "terminal": LOCAL_TID, "ref": ref, "amount": 105, "member": PHONE}
            told.add(desk.line(**request))

    threads = [threading.Thread(target=till) for _ in range(6)]
    for thread in threads:
        thread.start()
    for number in range(3):
        assert desk.ask(op="sell", request=f"s-{number}", amount=100, member=PHONE)["outcome"] == "approved"
    joined(threads)
    assert [len(told) for told in answers.values()] == [1] * 12
    assert desk.shop.balances()[0] == 12 * 10 + 6 + 30  # twelve halves make six
    assert desk.shop.verified().bad == ()


# --- voids and refunds -----------------------------------------------------------------------------------


def refund(desk: DeskBench, number: int, amount: int, ref: str = "p-1", **more: Any) -> dict[str, Any]:
    return desk.ask(op="refund", terminal=LOCAL_TID, ref=ref, amount=amount, request=f"r-{number}", **more)


@pytest.mark.parametrize(
    ("parts", "points"),
    [([10], 1), ([10] * 10, 10), ([9] * 11, 10), ([105], 10), ([104, 1], 10), ([1, 104], 10)],
)
def test_refunds_of_105_take_the_difference_of_the_floor(
    desk: DeskBench, parts: list[int], points: int
) -> None:
    desk.ask(op="member", member=PHONE)
    desk.pay("p-1", 105, member=PHONE)
    assert sum(refund(desk, number, part)["points"] for number, part in enumerate(parts)) == points
    assert desk.ask(op="balance", member=PHONE)["balance"] == 10 - points


def test_the_first_example_of_the_rules_gives_one_point_back(desk: DeskBench) -> None:
    fifty = PROGRAMME.replace("per = 10", "per = 50")
    desk.clock.advance(1)
    desk.shop.wall_ms += 1_000
    desk.shop.programmes.activate(parse(fifty), None)
    desk.ask(op="member", member=PHONE)
    assert desk.pay("p-1", 30, member=PHONE)["points"] == 0
    assert desk.pay("p-2", 20, member=PHONE)["points"] == 1
    undone = refund(desk, 1, 30)
    assert (undone["kind"], undone["points"], undone["balance"]) == ("refund", 1, 0)


def test_a_void_prints_what_it_took_and_what_is_left(desk: DeskBench) -> None:
    desk.ask(op="member", member=PHONE)
    desk.pay("p-0", 105, member=PHONE)
    sale = desk.pay("p-1", member=PHONE)
    undone = desk.ask(op="void", terminal=LOCAL_TID, ref="p-1", request="v-1")
    assert (undone["answer"], undone["kind"], undone["sale"]) == ("undone", "void", sale["number"])
    assert (undone["points"], undone["balance"], "debt" in undone) == (125, 10, False)
    assert undone["lines"][:3] == [
        "باشگاه مشتریان کافه نگین", "۱۲۵ امتیاز بابت برگشت خرید کسر شد", "مانده امتیاز: ۱۰",
    ]  # fmt: skip
    again = desk.ask(op="void", terminal=LOCAL_TID, ref="p-1", request="v-2")
    assert again["code"] == "ASK-002"


@pytest.mark.parametrize("ref", ["p-1", "never paid here"])
def test_an_undoing_repeated_word_for_word_gets_the_same_bytes_also_after_a_restart(
    desk: DeskBench, ref: str
) -> None:
    desk.ask(op="member", member=PHONE)
    desk.pay("p-1", member=PHONE)
    request = {"op": "refund", "terminal": LOCAL_TID, "ref": ref, "amount": 300, "request": "r-1", "id": 4}
    first = desk.line(**request)
    desk.pay("never paid here", 990, member=PHONE)
    assert desk.line(**request) == first
    desk.restart()
    assert desk.line(**request) == first


def test_a_refund_of_a_sale_nobody_knows_moves_nothing_and_prints_its_number_alone(desk: DeskBench) -> None:
    undone = refund(desk, 1, 30, "before the club", lang="en")
    assert (undone["kind"], undone["points"]) == ("unmatched", 0)
    assert undone["lines"] == [f"Number: {undone['number']}"]
    assert desk.shop.ledger.head.till.member == 0


def test_spent_points_become_a_debt_that_new_points_pay_first(desk: DeskBench) -> None:
    member = bytes.fromhex(desk.shop.members.add(PHONE, "", "test").id)
    desk.pay("p-1", 105, member=PHONE)
    spent = Adjustment(member, -6, "spent", PaymentKey(Scheme.REQUEST, "", "a-1"), "test")
    Undo(desk.shop.counter).adjust(spent)
    undone = refund(desk, 1, 105)
    assert (undone["points"], undone["debt"], undone["balance"]) == (10, 6, 0)
    paid = desk.pay("p-2", 105, member=PHONE)
    assert (paid["points"], paid["balance"]) == (10, 4)


def test_a_hint_hears_no_balance_when_money_goes_back(desk: DeskBench) -> None:
    desk.ask(op="member", member=PHONE)
    mask = {"mask": "621986******3864"}
    first = desk.pay("p-0", member=PHONE, card=mask)
    desk.shop.members.bind(desk.shop.members.id_of(PHONE), first["number"], "test")
    desk.pay("p-1", 105, card=mask)
    undone = refund(desk, 1, 105, lang="en")
    assert "balance" not in undone
    assert not any("Balance" in line for line in undone["lines"])
    assert undone["points"] == 10


def test_a_sale_we_asked_the_terminal_for_is_undone_by_its_rrn(desk: DeskBench) -> None:
    sold = desk.ask(op="sell", request="s-1", amount=1_250)["paid"]
    undone = desk.ask(op="void", terminal=sold["terminal"], ref=sold["ref"], request="v-1")
    assert (undone["kind"], undone["points"], undone["sale"]) == ("void", 125, sold["number"])


def test_a_shop_keyed_by_rrn_undoes_by_it(by_rrn: DeskBench) -> None:
    by_rrn.pay("p-1", rrn="320062616116")
    undone = by_rrn.ask(op="void", terminal=LOCAL_TID, ref="320062616116", request="v-1")
    assert (undone["kind"], undone["points"]) == ("void", 125)


def test_a_request_never_meets_a_payment_of_the_same_name(desk: DeskBench) -> None:
    desk.pay("p-1")
    desk.pay("r-1")
    assert refund(desk, 1, 30)["kind"] == "refund"
    assert desk.pay("r-1")["points"] == 125


def test_undoing_at_a_terminal_that_is_not_configured_is_refused(desk: DeskBench) -> None:
    assert desk.ask(op="void", terminal="x", ref="p-1", request="v-1")["code"] == "ASK-002"


def test_card_numbers_in_an_undoing_s_ids_are_tokens_and_stay_distinct(desk: DeskBench) -> None:
    other = "6037991234567893"
    desk.pay(PAN)
    desk.pay(other)
    undone = [
        desk.ask(op="refund", terminal=LOCAL_TID, ref=ref, amount=10, request=PAN, id=PAN)
        for ref in (PAN, other)
    ]
    assert undone[0]["kind"] == "refund"
    assert undone[1]["code"] == "ASK-002"  # the same request for another sale
    assert desk.ask(op="refund", terminal=LOCAL_TID, ref=other, amount=10, request=other)["points"] == 1
    assert PAN not in str(undone)
    assert PAN.encode() not in desk.shop.ledger.path.read_bytes()


def test_a_family_s_card_is_resolved_by_the_cashier(desk: DeskBench) -> None:
    card = {"mask": "621986******3864", "sha256": "ab" * 32}
    for phone, name in ((PHONE, "مینا رضایی"), ("09351112233", "")):
        desk.ask(op="member", member=phone, name=name)
    number = desk.pay("p-1", member=PHONE, card=card)["number"]
    for phone in (PHONE, "09351112233"):
        member = desk.shop.members.known_id(phone)
        desk.shop.members.bind(member, number, "test", shared=True)
    told = desk.ask(op="identify", card=card)
    assert told["answer"] == "candidates"
    assert [each["phone"] for each in told["candidates"]] == ["0912•••6789", "0935•••2233"]
    assert told["candidates"][0]["name"] == "م… ر…"
    paid = desk.pay("p-2", identified=told["candidates"][1]["identified"], card=card)
    assert (paid["result"], paid["balance"]) == ("earned", 125)
    assert desk.ask(op="identify", card={"mask": "621986******3864"})["code"] == "ASK-002"
    assert desk.ask(op="identify")["code"] == "ASK-002"
    assert desk.ask(op="identify", member=PHONE, card=card)["code"] == "ASK-002"


def test_a_card_of_one_member_identifies_them(desk: DeskBench) -> None:
    card = {"sha256": "cd" * 32}
    desk.ask(op="member", member=PHONE)
    number = desk.pay("p-1", member=PHONE, card=card)["number"]
    desk.shop.members.bind(desk.shop.members.known_id(PHONE), number, "test")
    told = desk.ask(op="identify", card=card)
    assert (told["answer"], told["phone"], bool(told["identified"])) == ("known", "0912•••6789", True)


def test_a_profile_is_told_over_the_protocol(desk: DeskBench) -> None:
    created = desk.ask(op="member", member=PHONE)
    assert created["unasked"] == ["name", "birthday", "consent", "referrer"]
    told = desk.ask(op="profile", member=PHONE, name="", birthday="۳۱/۰۶", consent=False)
    assert told["unasked"] == ["referrer"]
    assert desk.ask(op="profile", member=PHONE, birthday="31/07")["code"] == "ASK-002"


def test_a_payment_in_new_rial_needs_a_rate_for_it_and_its_paper_says_so(desk: DeskBench) -> None:
    assert desk.pay("p-1", 105, currency="new-rial")["why"] == "no_programme"
    rates = PROGRAMME + "[new_rial]\npoints = 1\nper = 5\n"
    desk.shop.programmes.activate(parse(rates), 0)
    desk.ask(op="member", member=PHONE)
    paid = desk.pay("p-2", 105, member=PHONE, currency="new-rial", lang="en")
    assert paid["points"] == 21
    assert "Amount: 105 new rial" in paid["lines"]
    told = {"terminal": LOCAL_TID, "ref": "p-2", "request": "r-1"}
    back = desk.ask(op="refund", amount=300_000, **told)
    assert (back["points"], back["amount"]) == (6, 30)


def test_what_a_client_calls_itself_is_logged_without_card_numbers(desk: DeskBench) -> None:
    with structlog.testing.capture_logs() as logged:
        desk.ask(op="hello", client="till 6219861034529007")
    assert [line["client"] for line in logged if line["event"] == "client"] == ["till 621986******9007"]
