"""What support is told of a sale, and that no altered result stays hidden when the chain is computed anew."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shop import HASHED, PROGRAMME, TID, Shop, payment

from vafa.app import support
from vafa.app.live import SaleTimes
from vafa.app.paper import Paper
from vafa.app.questions import Explained, Lines, Several, WhyIs
from vafa.app.recheck import Recheck, seal_faults
from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.club.programme import parse
from vafa.keys.device_key import DeviceKey
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import Bad, verify
from vafa.model import events
from vafa.model.chain import NO_HASH, chain_hash
from vafa.model.errors import NotFound, Refused
from vafa.model.events import Nothing, SaleOutcome
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme, Source

ZONE = "Asia/Tehran"
PHONE = "09121236789"
SALE = PaymentKey(Scheme.RRN, TID, "320062616116")
LAST = PaymentKey(Scheme.RRN, TID, "320062616121")
REQUESTS = [PaymentKey(Scheme.REQUEST, TID, f"u-{n}") for n in range(4)]
PAID_AT_MS = 1_767_096_548_000  # what the terminal's clock shows on shop.payment: 15:39:08 in Tehran


@pytest.fixture
def member(shop: Shop) -> bytes:
    return bytes.fromhex(shop.members.add(PHONE, "", "test").id)


@pytest.fixture
def books(shop: Shop) -> Iterator[sqlite3.Connection]:
    connection = connect_reader(shop.ledger.path)
    yield connection
    connection.close()


def why(books: sqlite3.Connection, text: str, times: dict[int, SaleTimes] | None = None) -> WhyIs:
    answer = support.why(books, text, ZONE, PAID_AT_MS, times or {})
    assert isinstance(answer, WhyIs)
    return answer


def sold(shop: Shop, member: bytes, request: str = "r-1", rrn: int = 320062616116) -> str:
    """A sale asked for, paid and awarded; its number."""
    asked = shop.sales.ask(TID, request, 105, member, CardHint())
    outcome = shop.sales.end(asked, SaleOutcome.APPROVED, "00", payment(rrn))
    assert outcome is not None
    return outcome.number


def test_why_tells_a_sale_from_the_question_to_the_disk(
    shop: Shop, member: bytes, books: sqlite3.Connection
) -> None:
    number = sold(shop, member)
    seq = int(number.rpartition("-")[2])
    answer = why(books, number, {seq: SaleTimes(1_000.0, 1_008.5, 1_009.0)})
    assert [moment.what for moment in answer.moments] == [
        "asked", "heard", "awarded", "ended: approved", "durable", "acknowledged",
    ]  # fmt: skip
    assert [moment.ms for moment in answer.moments if moment.what in ("durable", "acknowledged")] == [
        8.5,
        9.0,
    ]
    assert (answer.result, answer.amount, answer.terminal, answer.mismatch) == ("awarded", 105, TID, "")
    assert answer.steps[-2:] == (
        "points for this purchase: 10",
        "left over for the next purchase: 0.5 points",
    )


def test_why_tells_who_claimed_what_waited(shop: Shop, member: bytes, books: sqlite3.Connection) -> None:
    outcome = shop.counter.post(payment())
    assert why(books, outcome.number).result == "points wait for a claim"
    shop.members.claim(outcome.claim, member, "at the counter")
    answer = why(books, outcome.number)
    assert (answer.result, answer.moments[-1].what) == ("claimed", "claimed")
    assert member.hex() in answer.moments[-1].detail


def test_why_tells_that_a_sale_was_unsure_before_the_terminal_s_journal_settled_it(
    shop: Shop, books: sqlite3.Connection
) -> None:
    asked = shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    shop.sales.end(asked, SaleOutcome.UNSURE, "", None)
    other = shop.sales.ask(TID, "r-2", 105, b"", CardHint())
    shop.sales.end(other, SaleOutcome.DECLINED, "51", None)
    shop.wall_ms += 65_000
    shop.sales.end(asked, SaleOutcome.RESOLVED_PAID, "00", payment(source=Source.POLLED))
    answer = why(books, "320062616116")
    assert [(moment.what, moment.ms) for moment in answer.moments] == [
        ("asked", 0.0), ("ended: unsure", 0.0), ("heard", 65_000.0), ("awarded", 65_000.0),
        ("ended: resolved paid", 65_000.0),
    ]  # fmt: skip
    assert answer.moments[2].detail == "the terminal's journal: 320062616116, trace 000996"


@pytest.mark.parametrize("ending", [SaleOutcome.DECLINED, SaleOutcome.UNSURE, None])
def test_why_finds_a_sale_that_was_never_paid_by_the_number_it_was_given(
    shop: Shop, books: sqlite3.Connection, ending: SaleOutcome | None
) -> None:
    asked = shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    if ending:
        shop.sales.end(asked, ending, "51", None)
    answer = why(books, asked.number)
    assert answer.result == (ending.name.lower() if ending else "in hand")
    with pytest.raises(NotFound, match="no payment"):
        support.explain(books, asked.number, "en", ZONE, PAID_AT_MS)


@pytest.mark.parametrize(
    "text",
    ["1-1-5", "5", "320062616116", "616116", "000996", "996", "۱-۱-۵", "105@15:39", "۱۰۵@۱۵:۴۰", "105@9:20"],
)
def test_any_number_on_the_paper_finds_the_sale(
    shop: Shop, member: bytes, books: sqlite3.Connection, text: str
) -> None:
    shop.wall_ms = PAID_AT_MS
    assert sold(shop, member) == "1-1-5"
    if text == "105@9:20":
        with pytest.raises(NotFound):
            why(books, text)
    else:
        assert why(books, text).number == "1-1-5"


def test_a_number_of_several_sales_lists_them(shop: Shop, member: bytes, books: sqlite3.Connection) -> None:
    numbers = [sold(shop, member, f"r-{n}", 320062616116 + n) for n in range(2)]
    for text in ("996", "105@15:39"):
        answer = support.why(books, text, ZONE, PAID_AT_MS, {})
        assert isinstance(answer, Several)
        assert sorted(match.number for match in answer.matches) == numbers


def test_what_is_no_time_of_day_is_refused(shop: Shop, books: sqlite3.Connection) -> None:
    with pytest.raises(Refused, match="HH:MM"):
        why(books, "105@25:00")


def test_a_card_number_that_is_asked_for_is_not_said_back(shop: Shop, books: sqlite3.Connection) -> None:
    with pytest.raises(NotFound) as refused:
        why(books, "6219861034529007")
    assert "6219861034529007" not in str(refused.value)


@pytest.mark.parametrize(("lang", "expected"), [("en", "10.5 points"), ("fa", "۱۰٫۵ امتیاز")])
def test_explain_words_the_arithmetic_in_the_language_asked_for(
    shop: Shop, member: bytes, books: sqlite3.Connection, lang: str, expected: str
) -> None:
    answer = support.explain(books, sold(shop, member), lang, ZONE, PAID_AT_MS)
    assert isinstance(answer, Explained)
    assert any(expected in line for line in answer.lines)
    assert (answer.points, answer.mismatch) == (10, "")


def test_explain_tells_what_a_claim_made_of_all_that_waited(
    shop: Shop, member: bytes, books: sqlite3.Connection
) -> None:
    outcomes = [shop.counter.post(payment(320062616116 + n, card=HASHED)) for n in range(2)]
    shop.members.claim(outcomes[0].claim, member, "test")
    answer = support.explain(books, outcomes[1].number, "en", ZONE, PAID_AT_MS)
    assert isinstance(answer, Explained)
    assert answer.lines[-1].startswith(
        f"claimed with code {outcomes[0].claim}: 2 purchase(s) brought 21 points"
    )


def test_explain_uses_the_rules_the_award_names_not_those_of_today(
    shop: Shop, member: bytes, books: sqlite3.Connection
) -> None:
    number = sold(shop, member)
    shop.programmes.activate(parse(PROGRAMME.replace("per = 10", "per = 7")), None)
    answer = support.explain(books, number, "en", ZONE, PAID_AT_MS)
    assert isinstance(answer, Explained)
    assert "rate: 1 point(s) for every 10 rial" in answer.lines


def test_a_receipt_shown_again_is_the_one_that_was_printed(
    shop: Shop, member: bytes, books: sqlite3.Connection
) -> None:
    printed = Paper("کافه نگین", "", "fa", ZONE, shop.programmes)
    outcome = shop.counter.post(payment(), member)
    sold(shop, member, "r-2", 320062616117)  # the balance moves on, the old paper does not
    again = Paper("کافه نگین", "", "fa", ZONE, support.Versions(books))
    answer = support.receipt(books, outcome.number, None, again, ZONE, PAID_AT_MS)
    assert answer == Lines(number=outcome.number, lines=printed.lines(outcome))


def test_why_and_explain_tell_what_went_back(shop: Shop, member: bytes, books: sqlite3.Connection) -> None:
    number = shop.counter.post(payment(), member).number
    undo = Undo(shop.counter)
    undo.adjust(Adjustment(member, -6, "a reason", REQUESTS[0], "test"))
    part = undo.undo(Wish(Undoing.REFUND, SALE, REQUESTS[1], 30, None, "at the till"))
    assert why(books, number).result == "awarded, 30 rial refunded"
    rest = undo.undo(Wish(Undoing.VOID, SALE, REQUESTS[2], None, None, "at the till"))
    answer = why(books, number)
    assert answer.result == "voided"
    assert [(moment.what, moment.detail) for moment in answer.moments[-2:]] == [
        ("refunded", f"30 rial, 3 points taken back; {part.number}, at the till"),
        ("voided", f"75 rial, 7 points taken back, 6 of them as debt; {rest.number}, at the till"),
    ]
    assert answer.steps[-1] == f"voided by {rest.number}: 75 rial went back, 7 points were taken back"
    told = support.explain(books, number, "fa", ZONE, PAID_AT_MS)
    assert isinstance(told, Explained)
    assert (told.points, told.taken) == (10, 10)
    assert told.lines[-2].startswith("برگشت از خرید")
    assert told.lines[-1].endswith("۷۵ ریال برگشت و ۷ امتیاز کسر شد")


def test_the_number_of_a_refund_finds_its_sale_and_its_own_paper(
    shop: Shop, member: bytes, books: sqlite3.Connection
) -> None:
    paper = Paper("کافه نگین", "Kafe Negin", "fa", ZONE, shop.programmes)
    number = shop.counter.post(payment(), member).number
    undone = Undo(shop.counter).undo(Wish(Undoing.REFUND, SALE, REQUESTS[1], 30, None, "test"))
    for text in (undone.number, "u-1"):
        assert why(books, text).number == number
    with pytest.raises(NotFound):
        why(books, "-1")  # the end of a request id, which stands on no paper, is nobody's number
    alone = support.receipt(books, undone.number, "en", paper, ZONE, PAID_AT_MS)
    both = support.receipt(books, number, "en", paper, ZONE, PAID_AT_MS)
    assert isinstance(alone, Lines)
    assert isinstance(both, Lines)
    assert alone.lines == (
        "Customer club of Kafe Negin", "3 points taken back for a returned purchase", "Balance: 7 points",
        f"Number: {undone.number}", f"Check code: {undone.check}",
    )  # fmt: skip
    assert both.undone == (alone,)
    assert "Points for this purchase: 10" in both.lines
    assert paper.undone_lines(undone)[1] == "۳ امتیاز بابت برگشت خرید کسر شد"


def test_a_refund_of_an_unknown_sale_and_an_adjustment_are_told_apart_from_sales(
    shop: Shop, member: bytes, books: sqlite3.Connection
) -> None:
    undo = Undo(shop.counter)
    unmatched = undo.undo(Wish(Undoing.REFUND, SALE, REQUESTS[1], 30, None, "test"))
    adjusted = undo.adjust(Adjustment(member, 5, "a reason", REQUESTS[2], "test"))
    with pytest.raises(NotFound, match="whose sale is unknown here"):
        why(books, unmatched.number)
    with pytest.raises(NotFound, match="an adjustment by hand"):
        why(books, adjusted.number)
    paper = Paper("کافه نگین", "Kafe Negin", "fa", ZONE, shop.programmes)
    shown = support.receipt(books, unmatched.number, "en", paper, ZONE, PAID_AT_MS)
    assert isinstance(shown, Lines)
    assert shown.lines == (f"Number: {unmatched.number}",)


# Altered rows


def morning(shop: Shop) -> None:
    """One row of each kind that carries a result: rows 3 to 16 of the journal."""
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)  # 3
    shop.counter.post(payment(), member)  # 4: holder with a balance
    waiting = shop.counter.post(payment(320062616117))  # 5: waits on itself
    shop.members.claim(waiting.claim, member, "test")  # 6
    shop.counter.post(payment(320062616118, is_sale=False))  # 7
    small = parse(PROGRAMME.replace("per = 10", "per = 10\nminimum = 100"))
    shop.wall_ms += 1_000
    shop.programmes.activate(small, None)  # 8
    shop.counter.post(payment(320062616119, amount=99, paid_at=None))  # 9: below the minimum
    shop.counter.post(payment(320062616120, paid_at=PAID_AT_MS // 1000), member)  # 10: under the new version
    undo = Undo(shop.counter)
    undo.undo(Wish(Undoing.REFUND, SALE, REQUESTS[0], 35, None, "test"))  # 11: 3.5 points of row 4
    last = shop.counter.post(payment(320062616121, paid_at=None))  # 12: waits on itself
    undo.undo(Wish(Undoing.REFUND, LAST, REQUESTS[1], 40, None, "test"))  # 13: of it
    shop.members.claim(last.claim, member, "test")  # 14: what is left of it
    undo.undo(Wish(Undoing.VOID, SALE, REQUESTS[2], None, None, "test"))  # 15: the rest of row 4
    undo.adjust(Adjustment(member, -500, "a reason", REQUESTS[3], "test"))  # 16


def verified(path: Path) -> tuple[Bad, ...]:
    connection = connect_reader(path)
    try:
        return verify(connection, Recheck(connection)).bad
    finally:
        connection.close()


Change = Callable[[Any], events.Event]


def altered(field: str, value: Any) -> Change:
    """An event with one field changed; `paid.amount` reaches into the payment, `parts.eligible` a claim."""

    def change(event: Any) -> events.Event:
        outer, _, inner = field.partition(".")
        new: Any = value
        if outer == "paid":
            new = msgspec.structs.replace(event.paid, **{inner: value})
        elif outer == "parts":
            new = (msgspec.structs.replace(event.parts[0], **{inner: value}), *event.parts[1:])
        result: events.Event = msgspec.structs.replace(event, **{outer: new})
        return result

    return change


def forge_chain(shop: Shop, seq: int, change: Change) -> None:
    """Alter a row where it lies and compute every hash after it anew."""
    shop.ledger.close()
    forger = sqlite3.connect(shop.ledger.path)
    entry = reads.entry(forger, seq)
    forger.execute("UPDATE journal SET body = ? WHERE seq = ?", (events.encode(change(entry.event)), seq))
    before = NO_HASH
    rows = forger.execute(
        "SELECT epoch, seq, at, kind, body, till, state FROM journal ORDER BY seq"
    ).fetchall()
    for row in rows:
        before = chain_hash(before, *row)
        forger.execute("UPDATE journal SET hash = ? WHERE seq = ?", (before, row[1]))
    forger.commit()
    forger.close()


def forge_all(shop: Shop, directory: Path, seq: int, change: Change) -> Path:
    """A ledger whose chain, sums and books are all made anew around an altered row, as our own code does."""
    at_ms = [0]
    directory.mkdir()
    forged = Ledger(directory, lambda: at_ms[0])
    for entry in shop.ledger.read(lambda connection: list(reads.entries(connection))):
        at_ms[0] = entry.row.at
        event = change(entry.event) if entry.row.seq == seq else entry.event
        forged.write(lambda tx, event=event: tx.post(event))  # type: ignore[misc]
    forged.close()
    return forged.path


AWARD, WAITING, CLAIM, NOT_A_SALE, PROGRAMME_ROW, TOO_SMALL, LATER = 4, 5, 6, 7, 8, 9, 10
REFUND, REFUND_WAITING, CLAIM_OF_REST, VOID, ADJUST = 11, 13, 14, 15, 16
OLD = parse(PROGRAMME)
KEY = PaymentKey(1, TID, "320062616999")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seq", "field", "value"),
    [
        (AWARD, "paid.amount", 106), (AWARD, "paid.amount", -1), (AWARD, "paid.currency", 1),
        (AWARD, "eligible", 104), (AWARD, "contribution", (11, 1)),
        (AWARD, "contribution", (42, 4)), (AWARD, "contribution", (1, 0)),
        (AWARD, "carry", (1, 2)), (AWARD, "points", 11),
        (AWARD, "balance", 11), (AWARD, "programme", b"12345678"), (AWARD, "holder", b""),
        (AWARD, "claim", "123456"), (AWARD, "paid.key", KEY),
        (WAITING, "paid.amount", 106), (WAITING, "eligible", 104), (WAITING, "contribution", (43, 4)),
        (WAITING, "carry", (1, 4)), (WAITING, "points", 9), (WAITING, "balance", 10),
        (CLAIM, "parts.eligible", 104), (CLAIM, "parts.contribution", (43, 4)),
        (CLAIM, "parts.carry", (0, 1)),
        (CLAIM, "parts.points_out", 9), (CLAIM, "parts.points_in", 12), (CLAIM, "parts.keys", ()),
        (CLAIM, "parts.programme", b"12345678"), (CLAIM, "member", b"m" * 10),
        (NOT_A_SALE, "why", int(Nothing.BELOW_MINIMUM)), (NOT_A_SALE, "why", 99),
        (NOT_A_SALE, "why", int(Nothing.NO_PROGRAMME)),
        (PROGRAMME_ROW, "document", "schema = 1\n"), (PROGRAMME_ROW, "hash", b"h" * 32),
        (TOO_SMALL, "paid.amount", 100), (TOO_SMALL, "programme", b""), (TOO_SMALL, "programme", OLD.id),
        (LATER, "programme", OLD.id), (LATER, "carry", (1, 2)), (LATER, "paid.paid_at", 1),
        (REFUND, "amount", 36), (REFUND, "eligible", 34), (REFUND, "contribution", (3, 1)),
        (REFUND, "carry", (1, 2)), (REFUND, "points", 3), (REFUND, "debt", 1), (REFUND, "balance", 1),
        (REFUND, "programme", b""), (REFUND, "holder", b""), (REFUND, "ref", KEY), (REFUND, "key", KEY),
        (REFUND_WAITING, "contribution", (3, 1)), (REFUND_WAITING, "carry", (1, 4)),
        (REFUND_WAITING, "amount", 41), (REFUND_WAITING, "points", 5),
        (CLAIM_OF_REST, "parts.contribution", (21, 2)), (CLAIM_OF_REST, "parts.points_out", 10),
        (CLAIM_OF_REST, "parts.eligible", 105),
        (VOID, "amount", 105), (VOID, "contribution", (21, 2)), (VOID, "points", 10),
        (ADJUST, "points", -499), (ADJUST, "debt", 0), (ADJUST, "balance", 1), (ADJUST, "ref", KEY),
    ],
)  # fmt: skip
def test_an_altered_row_is_named_though_the_chain_was_computed_anew(
    shop: Shop, seq: int, field: str, value: Any
) -> None:
    morning(shop)
    assert verified(shop.ledger.path) == ()
    forge_chain(shop, seq, altered(field, value))
    assert [bad.place for bad in verified(shop.ledger.path)] in ([f"journal {seq}"], ["payment 1/C0000301"])


@pytest.mark.parametrize(
    ("seq", "fields", "named"),
    [
        (WAITING, {"paid.amount": 106}, "eligible: stored 105"),
        (WAITING, {"eligible": 104}, "eligible: stored 104, the rules give 105"),
        (WAITING, {"contribution": (43, 4)}, "contribution: stored 43/4, the rules give 21/2"),
        (WAITING, {"contribution": (20, 1), "points": 20}, "contribution: stored 20"),
        (WAITING, {"carry": (1, 4)}, "no carry"),
        (WAITING, {"programme": b"12345678"}, "was active before this row"),
        (CLAIM, {"parts.eligible": 104}, "eligible: stored 104, its awards give 105"),
        (CLAIM, {"parts.points_out": 9}, "points_out: stored 9, its awards give 10"),
        (CLAIM, {"parts.contribution": (41, 2), "parts.points_in": 21}, "its awards give (21, 2)"),
        (TOO_SMALL, {"paid.amount": 100}, "points: stored 0, the rules give 10"),
        (TOO_SMALL, {"programme": OLD.id}, "points: stored 0"),
        (LATER, {"programme": OLD.id, "carry": (0, 1)}, "did not cover"),
        (REFUND, {"amount": 40, "eligible": 40}, "contribution: stored (7, 2), its award gives (4, 1)"),
        (REFUND, {"eligible": 0}, "eligible: stored 0, its award gives 35"),
        (REFUND, {"programme": b"", "carry": (0, 1), "points": 4}, "programme: stored , its award gives"),
        (REFUND_WAITING, {"contribution": (3, 1), "points": 3}, "contribution: stored (3, 1)"),
        (REFUND_WAITING, {"carry": (0, 1)}, "carry: stored (0, 1), its award gives (1, 2)"),
        (CLAIM_OF_REST, {"parts.eligible": 105}, "eligible: stored 105, its awards give 65"),
        (VOID, {"eligible": 71}, "eligible: stored 71, its award gives 70"),
    ],
)
def test_a_result_the_rules_never_gave_is_named_though_everything_was_made_anew(
    shop: Shop, tmp_path: Path, seq: int, fields: dict[str, Any], named: str
) -> None:
    shop.counter.post(payment(320062616110))  # a neighbour that stays right
    morning_rows = shop.ledger.head.seq
    morning(shop)
    offset = morning_rows - 2

    def change(event: events.Event) -> events.Event:
        for field, value in fields.items():
            event = altered(field, value)(event)
        return event

    end = seq + offset  # what follows a forged row would contradict it: the forger drops it
    shop.ledger.close()
    cutter = sqlite3.connect(shop.ledger.path)
    cutter.execute("DELETE FROM journal WHERE seq > ?", (end,))
    cutter.commit()
    cutter.close()
    shop.ledger = Ledger(shop.directory, lambda: shop.wall_ms)
    forged = forge_all(shop, tmp_path / "forged", end, change)
    (bad,) = verified(forged)
    assert bad.place == f"journal {end}"
    assert named in bad.message


def test_explain_says_which_value_does_not_follow(shop: Shop, books: sqlite3.Connection) -> None:
    number = shop.counter.post(payment()).number
    forge_chain(shop, 3, altered("eligible", 104))
    answer = support.explain(books, number, "en", ZONE, PAID_AT_MS)
    assert isinstance(answer, Explained)
    assert answer.mismatch == "eligible: stored 104, the rules give 105"
    assert len(answer.lines) == 1


def test_a_sealed_phone_of_another_member_is_named(shop: Shop, member: bytes) -> None:
    other = bytes.fromhex(shop.members.add("09351112233", "", "test").id)
    key = DeviceKey(b"k" * 32)
    assert shop.ledger.read(lambda connection: seal_faults(connection, key)) == (2, [])
    wrapped = shop.sealer.new_key(other)
    sealed = shop.sealer.seal(wrapped, other, "+989121236789")
    shop.ledger.close()
    forger = sqlite3.connect(shop.ledger.path)
    forger.execute("UPDATE secret SET wrapped_key = ?, phone = ? WHERE member = ?", (wrapped, sealed, other))
    forger.commit()
    count, (bad,) = seal_faults(forger, key)
    forger.close()
    assert (count, bad.place) == (2, f"secret {other.hex()}")
    assert "another member's" in bad.message


def test_last_digits_that_are_not_those_of_the_sealed_phone_are_named(shop: Shop, member: bytes) -> None:
    shop.ledger.close()
    forger = sqlite3.connect(shop.ledger.path)
    forger.execute("UPDATE member SET last4 = '0000'")
    _, (bad,) = seal_faults(forger, DeviceKey(b"k" * 32))
    forger.close()
    assert "last four digits" in bad.message
