"""The control socket: what each question gives, what is refused and how, and no card number in any answer."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from shop import HASHED, PROGRAMME, TID, Shop, payment

from vafa.app import questions
from vafa.app.control import Control
from vafa.app.live import LaneState, Live, SaleTimes
from vafa.app.paper import Paper
from vafa.app.selling import SaleEnd
from vafa.app.status import Facts
from vafa.model.events import SaleOutcome
from vafa.model.money import Currency
from vafa.model.pan import CardHint
from vafa.ports.clock import ManualClock

PHONE = "09121236789"
PAN = "6219861034529007"
PAID_AT_MS = 1_767_096_548_000


class Lane:
    """A Seller that ends each sale as it was told to."""

    def __init__(self) -> None:
        self.ends: list[SaleEnd] = []
        self.asked: list[tuple[str, int, bytes]] = []

    def sell(self, request: str, amount: int, member: bytes, currency: Currency) -> SaleEnd:
        self.asked.append((request, amount, member))
        return self.ends.pop(0)


class Socket:
    """Asks a Control as the wire does: bytes in, bytes out."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.lane, self.lanes = shop, Lane(), {}
        self.lanes[TID] = self.lane
        self.times: dict[int, SaleTimes] = {}
        self.control = Control(
            shop.ledger,
            shop.counter,
            shop.members,
            Paper("کافه نگین", "Kafe Negin", "fa", "Asia/Tehran", shop.programmes),
            shop.programmes,
            self.lanes,
            lambda: Live("0.1.0", 1, 60.0, (LaneState(TID, "ecr", "tcp:x:1", "open", "idle", 1.0),)),
            self.times,
            lambda: Facts("Kafe Negin", "Asia/Tehran", ((TID, "ecr", "tcp:x:1"),)),
            ManualClock(PAID_AT_MS),
            lambda name, _number, _page: name or "counter",
        )

    def ask(self, **question: Any) -> Any:
        line = self.control.answer(msgspec.json.encode(question))
        assert b"\n" not in line
        return msgspec.json.decode(line, type=questions.AnyReply)


@pytest.fixture
def socket(shop: Shop) -> Socket:
    shop.wall_ms = PAID_AT_MS
    return Socket(shop)


def joined(socket: Socket) -> bytes:
    answer = socket.ask(do="member add", phone=PHONE, name="Sara Amini")
    return bytes.fromhex(answer.member.id)


def test_status_is_answered_from_the_books_and_the_lanes(socket: Socket) -> None:
    socket.shop.counter.post(payment())
    found = socket.ask(do="status").status
    assert (found.verdict, found.running, found.today.sales, found.terminals[0].state) == (
        "ok", True, 1, "answering",
    )  # fmt: skip


def test_status_is_answered_while_the_ledger_cannot_be_read(socket: Socket) -> None:
    path = socket.shop.ledger.path
    socket.shop.ledger.close()
    for file in path.parent.glob("ledger.db*"):
        file.unlink()
    found = socket.ask(do="status").status
    assert (found.verdict, found.trouble[0].code) == ("broken", "LED-001")


def test_why_uses_the_daemon_s_own_times(socket: Socket) -> None:
    outcome = socket.shop.counter.post(payment())
    socket.times[outcome.seq] = SaleTimes(10.0, 13.25, 14.0)
    answer = socket.ask(do="why", sale=outcome.number)
    assert [(each.what, each.ms) for each in answer.moments if each.ms] == [
        ("durable", 3.2), ("acknowledged", 4.0),
    ]  # fmt: skip


def test_explain_and_receipt_take_a_language(socket: Socket) -> None:
    number = socket.shop.counter.post(payment()).number
    assert "10.5 points" in " ".join(socket.ask(do="explain", sale=number).lines)
    assert "۱۰٫۵" in " ".join(socket.ask(do="explain", sale=number, lang="fa").lines)
    assert socket.ask(do="receipt", sale=number).lines[0] == "باشگاه مشتریان کافه نگین"
    assert socket.ask(do="receipt", sale=number, lang="en").lines[0] == "Customer club of Kafe Negin"


def test_the_journal_comes_in_pages_with_fields_by_name(socket: Socket) -> None:
    for n in range(4):
        socket.shop.counter.post(payment(320062616116 + n))
    page = socket.ask(do="journal", kinds=["award"], limit=3)
    assert ([row["seq"] for row in page.rows], page.next, page.more) == ([3, 4, 5], 5, True)
    assert page.rows[0]["kind"] == "award"
    event = page.rows[0]["event"]
    assert event["paid"]["key"] == {"scheme": "rrn", "tid": TID, "ref": "320062616116", "reuse": 0}
    assert (event["paid"]["source"], event["known_by"], event["points"]) == ("live", "nobody", 10)
    rest = socket.ask(do="journal", kinds=["award"], after=page.next)
    assert ([row["seq"] for row in rest.rows], rest.more) == ([6], False)


def test_a_kind_that_is_none_is_refused_with_the_nearest(socket: Socket) -> None:
    answer = socket.ask(do="journal", kinds=["awrd"])
    assert (answer.code, answer.fix) == ("ASK-001", "did you mean award?")


def test_a_member_joins_is_shown_and_found_with_the_phone_masked(socket: Socket) -> None:
    first = socket.ask(do="member add", phone="۰۹۱۲۱۲۳۶۷۸۹", name="Sara Amini")
    again = socket.ask(do="member add", phone=PHONE)
    assert (first.created, again.created) == (True, False)
    assert (first.member.phone, first.member.name) == ("0912•••6789", "Sara Amini")
    for who in (PHONE, first.member.id):
        assert socket.ask(do="member show", who=who).member.id == first.member.id
    for text in (PHONE, "6789", first.member.id):
        (found,) = socket.ask(do="member find", text=text).members
        assert (found.id, found.name) == (first.member.id, "S… A…")
    assert socket.ask(do="member find", text="0000").members == ()


def test_a_card_is_bound_by_any_number_of_its_sale(socket: Socket) -> None:
    socket.shop.counter.post(payment(card=HASHED))
    joined(socket)
    assert len(socket.ask(do="member bind", phone=PHONE, sale="105@15:39").member.cards) == 1
    socket.shop.counter.post(payment(320062616117, card=HASHED))
    assert len(socket.ask(do="member bind", phone=PHONE, sale="000996").matches) == 2


def test_a_claim_brings_the_points_and_again_nothing(socket: Socket) -> None:
    outcome = socket.shop.counter.post(payment())
    joined(socket)
    first = socket.ask(do="claim", code=outcome.claim, phone=PHONE)
    again = socket.ask(do="claim", code=outcome.claim, phone=PHONE)
    assert (first.points, first.payments, first.member.balance, first.seen_before) == (10, 1, 10, False)
    assert (again.points, again.member.balance, again.seen_before) == (0, 10, True)


def test_a_sale_is_asked_of_the_only_terminal_for_the_named_member(socket: Socket) -> None:
    member = joined(socket)
    asked = socket.shop.sales.ask(TID, "r-1", 105, member, CardHint())
    paid = socket.shop.sales.end(asked, SaleOutcome.APPROVED, "00", payment())
    socket.lane.ends = [SaleEnd(asked.number, SaleOutcome.APPROVED, "00", "", paid)]
    answer = socket.ask(do="sell", request="r-1", amount=105, phone=PHONE, lang="en")
    assert socket.lane.asked == [("r-1", 105, member)]
    assert (answer.sold.outcome, answer.sold.paid.points, answer.note) == ("approved", 10, "")
    assert "Balance: 10 points" in answer.sold.paid.lines


def test_a_phone_nobody_knows_never_stops_a_sale(socket: Socket) -> None:
    socket.lane.ends = [SaleEnd("1-1-3", SaleOutcome.DECLINED, "51", "", None)]
    answer = socket.ask(do="sell", request="r-1", amount=105, phone=PHONE)
    assert socket.lane.asked == [("r-1", 105, b"")]
    assert (answer.sold.outcome, answer.sold.paid) == ("declined", None)
    assert "by the card" in answer.note


def test_an_undoing_keeps_who_asked_for_it(socket: Socket) -> None:
    member = joined(socket)
    socket.shop.counter.post(payment(), member)
    for question in (
        {"do": "undo", "kind": "refund", "sale": "000996", "amount": 30, "request": "u-1"},
        {"do": "adjust", "phone": PHONE, "points": -5, "why": "counted twice", "request": "u-1"},
    ):
        line = socket.control.answer(msgspec.json.encode(question), by="uid 1000")
        answer = msgspec.json.decode(line, type=questions.AnyReply)
        assert isinstance(answer, questions.UndoneIs)
        assert answer.done
    rows = socket.ask(do="journal", kinds=["refund", "adjust"]).rows
    assert [row["event"]["by"] for row in rows] == ["uid 1000", "uid 1000"]
    assert rows[0]["event"]["ref"] == {"scheme": "request", "tid": TID, "ref": "u-1", "reuse": 0}
    assert (rows[1]["event"]["why"], rows[1]["event"]["balance"]) == ("counted twice", 2)


def test_with_several_terminals_one_must_be_named(socket: Socket) -> None:
    socket.lanes["C0000302"] = Lane()
    assert socket.ask(do="sell", request="r-1", amount=105).code == "ASK-003"


def test_a_programme_is_activated_once_and_covers_what_comes_after(socket: Socket) -> None:
    document = PROGRAMME.replace("per = 10", "per = 5")
    first = socket.ask(do="programme activate", document=document)
    again = socket.ask(do="programme activate", document=document)
    assert (first.changed, again.changed, len(again.versions)) == (True, False, 2)
    shown = socket.ask(do="programme show")
    assert [version.active for version in shown.versions] == [False, True]
    assert socket.shop.counter.post(payment()).points == 21
    assert socket.shop.verified().bad == ()


def test_a_programme_with_faults_is_refused_with_all_of_them(socket: Socket) -> None:
    answer = socket.ask(do="programme activate", document="schema = 1\n[earn]\npoint = 1\n")
    assert answer.code == "PRG-001"
    assert "earn.point:" in answer.message
    assert "name.fa" in answer.message


@pytest.mark.parametrize(
    "line",
    [b"", b"\xff", b"{", b"[]", b'{"do":"dance"}', b'{"do":"why"}', b'{"do":"why","sale":7}',
     b'{"do":"journal","limit":501}', b'{"do":"journal","after":-1}', b'{"do":"status","x":1}',
     b'{"do":"why","sale":"' + b"9" * 201 + b'"}'],
)  # fmt: skip
def test_what_is_no_question_is_refused_without_repeating_it(socket: Socket, line: bytes) -> None:
    answer = msgspec.json.decode(socket.control.answer(line), type=questions.AnyReply)
    assert isinstance(answer, questions.Failure)
    assert answer.code == "ASK-004"
    assert b"dance" not in socket.control.answer(line)


@pytest.mark.parametrize(
    "question",
    [
        {"do": "why", "sale": PAN}, {"do": "explain", "sale": PAN}, {"do": "receipt", "sale": PAN},
        {"do": "member add", "phone": PAN}, {"do": "member add", "phone": PHONE, "name": PAN},
        {"do": "member show", "who": PAN}, {"do": "member find", "text": PAN},
        {"do": "member bind", "phone": PHONE, "sale": PAN}, {"do": "claim", "code": PAN, "phone": PHONE},
        {"do": "sell", "request": PAN, "amount": 105}, {"do": "sell", "request": "r", "amount": int(PAN)},
        {"do": "sell", "request": "r", "amount": 1, "terminal": PAN},
        {"do": "undo", "kind": "void", "sale": PAN, "request": PAN},
        {"do": "undo", "kind": "refund", "sale": "000996", "request": PAN},
        {"do": "undo", "kind": PAN, "sale": "1", "request": "u"},
        {"do": "adjust", "phone": PHONE, "points": 5, "why": PAN, "request": PAN},
        {"do": "adjust", "phone": PAN, "points": 5, "why": "x", "request": "a"},
        {"do": "journal", "kinds": [PAN]}, {"do": "programme activate", "document": PAN},
        {"do": "programme activate", "document": PROGRAMME.replace("per = 10", f'per = "{PAN}"')},
        {"do": PAN}, {PAN: 1},
    ],
)  # fmt: skip
def test_a_card_number_in_any_field_comes_back_in_no_answer_and_stays_in_no_file(
    socket: Socket, question: dict[str, Any], tmp_path: Path
) -> None:
    joined(socket)
    socket.lane.ends = [SaleEnd("1-1-3", SaleOutcome.DECLINED, "51", "", None)]
    answer = socket.control.answer(msgspec.json.encode(question))
    assert PAN.encode() not in answer
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert PAN.encode() not in stored


@pytest.mark.parametrize(
    "line", [b"[" * 60_000, b'{"do": "status", "x": ' + b"[" * 60_000, b'{"do": "\xff"}']
)
def test_a_line_that_cannot_be_read_at_all_is_not_understood(socket: Socket, line: bytes) -> None:
    assert b"ASK-004" in socket.control.answer(line)


@pytest.mark.parametrize("sale", ["1-1-" + "9" * 30, "9" * 60, "9" * 30 + "-1-1", ",@12:00"])
def test_a_number_no_sale_can_have_finds_none(socket: Socket, sale: str) -> None:
    answer = socket.ask(do="why", sale=sale)
    assert (answer.code, type(answer)) == ("ASK-001", questions.Failure)
