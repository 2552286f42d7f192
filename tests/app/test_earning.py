"""Rules beyond a rate at the counter: what is posted, verified from its inputs, explained and taken back."""

import contextlib
from pathlib import Path

import msgspec
import pytest
from club_rules import at
from rich_shop import OTHER, PHONE, RICH, faults, with_programme
from shop import HASHED, HINTED, TID, Shop, payment

from vafa.app.programmes import example
from vafa.app.recheck import Recheck
from vafa.app.support import explain
from vafa.app.undo import Undo, Undoing, Wish
from vafa.books.rows import BudgetRow, MemberRow
from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.model import events, standing
from vafa.model.events import Kind, Less
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme


def awards(shop: Shop) -> list[events.Award]:
    return [
        each.event
        for each in shop.ledger.read(lambda c: list(reads.entries(c, 0, (Kind.AWARD,))))
        if isinstance(each.event, events.Award)
    ]


def posted(shop: Shop, kind: Kind) -> list[events.Event]:
    return [each.event for each in shop.ledger.read(lambda c: list(reads.entries(c, 0, (kind,))))]


def row_of(shop: Shop, member: bytes) -> MemberRow:
    row = shop.ledger.read(lambda c: reads.holder(c, member))
    assert row is not None
    return row


def buy(shop: Shop, number: int, amount: int, when: int, member: bytes, **fields: object) -> events.Award:
    shop.counter.post(payment(number, amount, paid_at=when, **fields), member)
    return awards(shop)[-1]


def test_the_first_purchases_of_a_member_under_every_rule(shop: Shop) -> None:
    programme = with_programme(shop)
    shop.members.add(PHONE, "", "test")
    member = shop.members.known_id(PHONE)
    first = buy(shop, 1, 100_000, at("1404/09/15", "10:00"), member)
    assert (first.points, first.fixed, first.stamps) == (120, 20, (("cup", 1),))
    assert first.expires_at == at("1405/04/01", "00:00")
    assert first.available_at == at("1404/09/16", "10:00")
    second = buy(shop, 2, 210_000, at("1404/09/15", "12:30"), member)
    assert (second.points, second.clipped) == (420, ())  # happy hours double
    assert row_of(shop, member).tier == "good"  # 310,000: from the next purchase on
    told = shop.members.show(member).value
    assert told is not None
    assert told.tier == "good"
    third = buy(shop, 3, 100_000, at("1404/09/15", "12:40"), member)
    assert third.tier == "good"
    assert third.points == 60  # 100 × 1.5 × 2 = 300, the day has room for 60
    assert [cap for cap, *_ in third.clipped] == [2]
    assert third.stamps == ()  # within the hour
    budget = shop.ledger.read(lambda c: c.execute("SELECT numerator, denominator FROM budget").fetchall())
    assert budget == [(600, 1)]
    assert shop.ledger.write(lambda tx: tx.find(BudgetRow, (programme.id,))) is not None
    changed = posted(shop, Kind.TIER_CHANGED)
    assert [(each.tier_before, each.tier, each.metric) for each in changed] == [("", "good", 310_000)]  # type: ignore[attr-defined]
    assert faults(shop) == ()


def test_who_sent_a_customer_gets_points_once_and_so_does_the_customer(shop: Shop) -> None:
    with_programme(shop)
    shop.members.add(PHONE, "", "test")
    shop.members.add(OTHER, "", "test")
    sender, guest = shop.members.known_id(PHONE), shop.members.known_id(OTHER)
    shop.ledger.write(lambda tx: tx.post(events.Profile(guest, 8, None, sender, None, "test")))
    first = buy(shop, 1, 10_000, at("1404/09/15"), guest)
    buy(shop, 2, 10_000, at("1404/09/16"), guest)
    assert first.points == 20 + 20 + 5  # doubled at noon, welcome, guest
    assert row_of(shop, sender).balance == 50
    assert len(posted(shop, Kind.ADJUST)) == 1
    assert faults(shop) == ()


def test_a_card_nobody_has_claimed_is_a_customer_and_a_loose_payment_is_none(shop: Shop) -> None:
    with_programme(shop)
    shop.counter.post(payment(1, 100_000, paid_at=at("1404/09/15", "10:00"), card=HASHED))
    shop.counter.post(payment(2, 100_000, paid_at=at("1404/09/15", "11:00"), card=HASHED))
    shop.counter.post(payment(3, 100_000, paid_at=at("1404/09/15", "11:00"), card=HINTED))
    assert [award.points for award in awards(shop)] == [120, 100, 100]
    assert awards(shop)[2].stamps == ()
    assert faults(shop) == ()


def test_a_void_takes_back_stamps_metric_and_the_first_purchase(shop: Shop) -> None:
    with_programme(shop)
    shop.members.add(PHONE, "", "test")
    member = shop.members.known_id(PHONE)
    first = buy(shop, 1, 100_000, at("1404/09/15", "10:00"), member)
    ref = PaymentKey(Scheme.REQUEST, TID, "v-1")
    undone = Undo(shop.counter).undo(Wish(Undoing.VOID, first.paid.key, ref, None, None, "test"))
    assert undone.points == 120
    after = row_of(shop, member)
    assert (after.balance, after.visits) == (0, 0)
    assert standing.unpack(after.standing).stamp("cup").count == 0
    again = buy(shop, 2, 100_000, at("1404/09/15", "18:00"), member)
    assert again.points == 120  # the first purchase that stands; the freed room of the day is not used
    assert faults(shop) == ()


@pytest.mark.parametrize("parts", [[100_000], [30_000, 70_000], [1, 99_999], [33_333] * 3 + [1]])
def test_refunds_of_a_sale_under_rules_take_what_it_gave_in_any_parts(shop: Shop, parts: list[int]) -> None:
    with_programme(shop)
    shop.members.add(PHONE, "", "test")
    member = shop.members.known_id(PHONE)
    sale = buy(shop, 1, 100_000, at("1404/09/15", "10:00"), member)
    for number, part in enumerate(parts):
        ref = PaymentKey(Scheme.REQUEST, TID, f"r-{number}")
        Undo(shop.counter).undo(Wish(Undoing.REFUND, sale.paid.key, ref, part, None, "test"))
    after = row_of(shop, member)
    assert (after.balance, after.debt, after.spent) == (0, 0, 0)
    window = standing.unpack_window(after.metric)
    assert window is not None
    assert window.total(0) == 0
    assert faults(shop) == ()


def test_a_refund_of_a_capped_sale_in_a_later_version_goes_by_its_own(shop: Shop) -> None:
    with_programme(shop)
    shop.members.add(PHONE, "", "test")
    member = shop.members.known_id(PHONE)
    sale = buy(shop, 1, 1_000_000, at("1404/09/15", "10:00"), member)
    assert sale.points == 500
    with_programme(shop, RICH.replace("per = 1_000", "per = 7"))
    ref = PaymentKey(Scheme.REQUEST, TID, "r-1")
    undo = Undo(shop.counter)
    undone = undo.undo(Wish(Undoing.REFUND, sale.paid.key, ref, 500_000, None, "test"))
    assert undone.points == 0  # what is left, 510, is above the cap still
    ref = PaymentKey(Scheme.REQUEST, TID, "r-2")
    undone = undo.undo(Wish(Undoing.REFUND, sale.paid.key, ref, 100_000, None, "test"))
    assert undone.points == 92  # 400 + 8 of the welcome's 20
    assert faults(shop) == ()


def test_tips_and_the_like_are_told_and_leave_the_eligible_amount(shop: Shop) -> None:
    with_programme(shop, RICH.replace("per = 1_000", "per = 1_000\ndelivery_counts = false"))
    shop.members.add(PHONE, "", "test")
    less = ((Less.TIP, 10_000), (Less.DELIVERY, 30_000), (Less.VAT, 5_000))
    award = buy(shop, 1, 100_000, at("1404/09/15", "10:00"), shop.members.known_id(PHONE), less=less)
    assert (award.eligible, award.points) == (60_000, 80)
    assert faults(shop) == ()


TAMPERINGS: list[dict[str, object]] = [
    {"points": 121, "balance": 121},
    {"expires_at": 5_000_000_000},
    {"available_at": 0},
    {"stamps": (("cup", 2),)},
    {"stamps": ()},
    {"fixed": 19},
    {"tier": "good"},
    {"counted": None},
    {"counted": events.Counted(1, 0, 999_999)},
    {"budget": None},
    {"day": 1},
    {"visits": 1},
    {"at": 1_700_000_000},
    {"clipped": ((1, 1, 1),)},
]


@pytest.mark.parametrize("wrong", TAMPERINGS, ids=lambda wrong: next(iter(wrong)))
def test_an_award_whose_stored_values_the_rules_do_not_give_is_found(
    shop: Shop, wrong: dict[str, object]
) -> None:
    programme = with_programme(shop)
    shop.members.add(PHONE, "", "test")
    award = buy(shop, 1, 100_000, at("1404/09/15", "10:00"), shop.members.known_id(PHONE))
    assert award.programme == programme.id
    altered = msgspec.structs.replace(award, **wrong)
    with contextlib.closing(connect_reader(shop.ledger.path)) as connection:
        recheck = Recheck(connection)
        for entry in reads.entries(connection):
            books = _Rows(connection)
            event = altered if entry.event == award else entry.event
            fault = recheck(event, books)
            assert bool(fault) == (event is altered)


class _Rows:
    def __init__(self, connection: object) -> None:
        self.connection = connection

    def find(self, row_type: type, key: tuple[object, ...]) -> None:
        return None


def test_an_award_is_explained_line_by_line_in_both_languages(shop: Shop) -> None:
    with_programme(shop)
    shop.members.add(PHONE, "", "test")
    member = shop.members.known_id(PHONE)
    buy(shop, 1, 100_000, at("1404/09/15", "10:00"), member)
    buy(shop, 2, 400_000, at("1404/09/15", "12:30"), member, less=((Less.TIP, 10_000),))

    entry = next(
        each
        for each in shop.ledger.read(lambda c: list(reads.entries(c, 0, (Kind.AWARD,))))
        if isinstance(each.event, events.Award) and each.event.paid.amount == 400_000
    )
    answer = shop.ledger.read(lambda c: explain(c, f"1-1-{entry.row.seq}", "en", "Asia/Tehran", shop.wall_ms))
    assert answer.lines[1:] == (  # type: ignore[union-attr]
        "paid: 400,000 rial",
        "tip, which earns nothing: 10,000 rial",
        "of it counts: 390,000 rial",
        "in tier \u2068عادی\u2069",
        "rate: 1 point(s) for every 1,000 rial",
        "this purchase: 390,000 × 1 ÷ 1,000 = 390 points",
        "bonus lunch: 100 % more",
        "with bonuses: 390 × 2 + 0 = 780 points",
        "the most one payment can earn takes 280 points off: 500 left",
        "the most one day can earn takes 20 points off: 480 left",
        "points for this purchase: 480",
        "stamp card \u2068قهوه\u2069: 1 more",
        "can be used from 1404/09/16",
        "valid until the end of 1405/03/31",
    )
    persian = shop.ledger.read(
        lambda c: explain(c, f"1-1-{entry.row.seq}", "fa", "Asia/Tehran", shop.wall_ms)
    )
    assert len(persian.lines) == len(answer.lines)  # type: ignore[union-attr]
    assert any("سقف هر پرداخت" in line for line in persian.lines)  # type: ignore[union-attr]
    assert not any(c in line for line in persian.lines[1:] for c in "0123456789")  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["plain", "cafe", "grocery", "restaurant"])
def test_a_busy_week_under_each_shipped_example_verifies(tmp_path: Path, name: str) -> None:
    shop = Shop(tmp_path)
    try:
        with_programme(shop, example(name))
        shop.members.add(PHONE, "", "test")
        member = shop.members.known_id(PHONE)
        start = at("1405/02/01", "09:00")
        for number in range(60):
            amount = 150_000 * (number % 11 + 1)
            card = HASHED if number % 3 else CardHint("603799", f"{number:04d}")
            who = member if number % 2 else b""
            shop.counter.post(payment(number, amount, paid_at=start + number * 9_137, card=card), who)
        assert faults(shop) == ()
        grown = [events.has_grown(award) for award in awards(shop)]
        assert not any(grown) if name == "plain" else all(grown)
    finally:
        shop.ledger.close()
