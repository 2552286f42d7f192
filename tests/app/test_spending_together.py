"""Spending where it meets: many connections at once, what paper says of it, who vouches for the clock."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from club_rules import at
from desk_bench import LOCAL_TID, DeskBench
from shop import HASHED, PROGRAMME, Shop, payment

from vafa.app import attesting, support
from vafa.app.attesting import LOOKED_AT_ONCE, Attestations, attest_by_terminals
from vafa.app.paper import Paper
from vafa.app.questions import WhyIs
from vafa.app.recheck import Recheck
from vafa.app.redeeming import Redeeming, Wish
from vafa.app.settling import settle_the_past
from vafa.books.rows import MemberRow
from vafa.club.programme import parse
from vafa.ledger import reads, value
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import verify
from vafa.model import events
from vafa.model.errors import Refused
from vafa.model.payment import Source

PHONE = "09121236789"
THREADS, TRIES = 8, 6
DAY_S, ZONE = 86_400, "Asia/Tehran"
RULES = (
    PROGRAMME
    + """
[expiry]
months = 1
[pending]
days = 3
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
name_en = "Money off"
points = 1
rial = 10
[reward.meal]
kind = "threshold"
name_fa = "غذای رایگان"
name_en = "Free meal"
points = 300
"""
)
REWARDS = PROGRAMME + RULES.split("days = 3")[1]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.ledger.close()


def joined(shop: Shop, rules: str, rials: int = 2_000) -> bytes:
    shop.programmes.activate(parse(rules), None)
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    shop.counter.post(payment(1, rials, paid_at=None), member)
    return member


def test_connections_that_spend_at_once_never_overspend(shop: Shop) -> None:
    member = joined(shop, REWARDS)
    counter, barrier = Redeeming(shop.counter), threading.Barrier(THREADS)
    spent: list[int] = []

    def till(number: int) -> None:
        barrier.wait()
        for each in range(TRIES):
            request = f"till-{number}-{each}"
            try:
                counter.hold(Wish(request, member, "off", 10_000, 30, "test"))
                spent.append(counter.capture(request, None, None, "test").points)
            except Refused:
                continue

    threads = [threading.Thread(target=till, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = shop.ledger.read(lambda c: reads.holder(c, member))
    assert isinstance(row, MemberRow)
    assert sum(spent) == 180
    assert (row.balance, row.held) == (20, 0)
    assert shop.verified().bad == ()


def test_a_hold_left_by_a_crash_ends_at_the_next_start(shop: Shop) -> None:
    member = joined(shop, REWARDS)
    Redeeming(shop.counter).hold(Wish("r-1", member, "off", 10_000, 150, "test"))
    shop.ledger.close()
    shop.wall_ms += 3_600_000
    shop.open()
    settle_the_past(shop.ledger, Attestations(shop.ledger, ZONE))
    assert shop.ledger.read(lambda c: value.open_holds(c, member)) == []


def test_the_slip_of_an_award_says_what_was_redeemed_is_pending_lapses_and_comes_next(shop: Shop) -> None:
    member = joined(shop, RULES, 3_500)
    shop.wall_ms += 4 * DAY_S * 1000
    counter = Redeeming(shop.counter)
    counter.hold(Wish("r-1", member, "off", 10_000, 100, "test"))
    counter.capture("r-1", None, payment(2).key, "test")
    outcome = shop.counter.post(payment(2, 500, paid_at=None), member)
    paper = Paper("کافه نگین", "Kafe Negin", "fa", "Asia/Tehran", shop.programmes)
    assert paper.lines(outcome, "en")[2:8] == (
        "Points for this purchase: 50",
        "100 points redeemed Money off",
        "Balance: 300 points",
        "50 points can be used from 15 Dey",
        "250 points valid only until the end of 8 Bahman 1404",
        "Until Free meal: 50 more points",
    )
    again = shop.counter.post(payment(2, 500, paid_at=None), member)
    assert paper.lines(again, "en") == paper.lines(outcome, "en")
    reader = connect_reader(shop.ledger.path)
    try:
        assert verify(reader, Recheck(reader)).bad == ()
    finally:
        reader.close()


def pay_at(shop: Shop, number: int, off_s: int = 0, **fields: Any) -> None:
    shop.counter.post(payment(number, paid_at=shop.wall_ms // 1000 + off_s, **fields))


def mark(shop: Shop) -> int:
    return shop.ledger.read(value.attested_mark)


def test_terminals_vouch_for_the_clock_when_two_days_agree(shop: Shop) -> None:
    pay_at(shop, 1)
    assert attest_by_terminals(shop.ledger, ZONE) is None
    shop.wall_ms += DAY_S * 1000
    pay_at(shop, 2, off_s=-60)
    newest = shop.wall_ms // 1000 - 60
    assert (attest_by_terminals(shop.ledger, ZONE), mark(shop)) == (newest, newest)
    head = shop.ledger.head.seq
    assert attest_by_terminals(shop.ledger, ZONE) == newest  # once a day is enough
    assert shop.ledger.head.seq == head


@pytest.mark.parametrize(
    ("clock", "later_s", "vouched"),
    [
        ("08:00", 12 * 3_600, False),  # morning and evening of one day
        ("23:50", 20 * 60, False),  # two dates, and twenty minutes
        ("20:00", 11 * 3_600, False),  # the next morning, not half a day later
        ("20:00", 13 * 3_600, True),
        ("08:00", 24 * 3_600, True),
    ],
)
def test_two_days_are_two_dates_of_the_shop_and_half_a_day_between(
    shop: Shop, clock: str, later_s: int, vouched: bool
) -> None:
    shop.wall_ms = at("1404/10/09", clock) * 1000
    pay_at(shop, 1)
    shop.wall_ms += later_s * 1000
    pay_at(shop, 2)
    assert attest_by_terminals(shop.ledger, ZONE) == (shop.wall_ms // 1000 if vouched else None)


YEARS_56_S = 56 * 31_557_600


@pytest.mark.parametrize("leap_s", [YEARS_56_S, 9 * DAY_S])
def test_one_day_after_a_leap_of_both_clocks_vouches_for_nothing(shop: Shop, leap_s: int) -> None:
    pay_at(shop, 1)
    shop.wall_ms += leap_s * 1000
    pay_at(shop, 2)
    assert attest_by_terminals(shop.ledger, ZONE) is None


def test_a_clock_that_leapt_and_came_back_leaves_no_mark_in_the_future(shop: Shop) -> None:
    pay_at(shop, 1)
    for far_s in (YEARS_56_S, 2 * DAY_S):
        shop.wall_ms += far_s * 1000
        pay_at(shop, far_s)
        shop.wall_ms -= far_s * 1000
    shop.wall_ms += DAY_S * 1000
    pay_at(shop, 3)
    assert attest_by_terminals(shop.ledger, ZONE) == shop.wall_ms // 1000


def test_a_shop_that_opens_once_a_week_has_its_clock_vouched_for(shop: Shop) -> None:
    pay_at(shop, 1)
    shop.wall_ms += 7 * DAY_S * 1000
    pay_at(shop, 2)
    assert attest_by_terminals(shop.ledger, ZONE) == shop.wall_ms // 1000


@pytest.mark.parametrize("wrong", [{"off_s": -7_200}, {"source": Source.RECORDED}, {"source": Source.POLLED}])
def test_a_clock_that_disagrees_and_what_nobody_approved_now_vouch_for_nothing(
    shop: Shop, wrong: dict[str, Any]
) -> None:
    for number in range(3):
        pay_at(shop, number, **wrong)
        shop.wall_ms += DAY_S * 1000
    assert attest_by_terminals(shop.ledger, ZONE) is None


def test_sales_go_between_the_slices_of_a_look_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was one transaction of up to 2,000 rows, each minute, for which a sale had to wait."""
    for number in range(3 * LOOKED_AT_ONCE):
        pay_at(shop, number, off_s=-7_200)
    looked: list[int] = []
    newest = reads.newest

    def counted(connection: sqlite3.Connection, *asked: Any) -> Iterator[reads.Entry]:
        found = list(newest(connection, *asked))
        looked.append(len(found))
        return iter(found)

    monkeypatch.setattr(reads, "newest", counted)
    attestations = Attestations(shop.ledger, ZONE)
    attestations.run()
    assert max(looked) <= LOOKED_AT_ONCE
    assert sum(looked) == 3 * LOOKED_AT_ONCE
    looked.clear()
    attestations.run()
    assert looked == []  # nothing was sold since
    shop.wall_ms += DAY_S * 1000
    pay_at(shop, 1_000)
    attestations.run()
    assert sum(looked) == 3 * LOOKED_AT_ONCE + 1
    assert mark(shop) == 0


@pytest.mark.parametrize(("between", "is_found"), [(3 * LOOKED_AT_ONCE, True), (4 * LOOKED_AT_ONCE, False)])
def test_the_day_before_is_found_some_slices_back_and_no_further_than_that(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, between: int, is_found: bool
) -> None:
    monkeypatch.setattr(attesting, "ROWS_LOOKED_AT", 4 * LOOKED_AT_ONCE)
    pay_at(shop, 1)
    shop.wall_ms += DAY_S * 1000
    for number in range(between):
        pay_at(shop, 10 + number, off_s=-7_200)
    pay_at(shop, 2)
    assert attest_by_terminals(shop.ledger, ZONE) == (shop.wall_ms // 1000 if is_found else None)


def test_a_card_s_mask_never_redeems_and_its_hash_does(tmp_path: Path) -> None:
    desk = DeskBench(tmp_path)
    try:
        desk.shop.programmes.activate(parse(REWARDS), None)
        desk.ask(op="member", member=PHONE)
        desk.pay(
            "p-1", 2_000, member=PHONE, card={"mask": "621986******3864", "sha256": HASHED.pan_sha256.hex()}
        )
        nobody = desk.ask(op="hold", request="r-1", reward="off", amount=1_000)
        assert (nobody["code"], "a card's mask is no proof" in nobody["message"]) == ("ASK-002", True)
        member = bytes.fromhex(desk.shop.members.add(PHONE, "", "test").id)
        token = desk.shop.tokens.card_tokens(HASHED)[0]
        desk.shop.ledger.write(lambda tx: tx.post(events.Bind(member, token, "test")))
        known = desk.ask(op="identify", card={"sha256": HASHED.pan_sha256.hex()})
        held = desk.ask(op="hold", request="r-1", reward="off", amount=1_000, identified=known["identified"])
        assert (held["state"], held["points"]) == ("held", 100)
        assert desk.pay("p-2", 100, identified=known["identified"])["result"] == "earned"
        half = desk.ask(op="capture", request="r-1", terminal=LOCAL_TID)
        assert half["message"] == "a payment is named by terminal and ref, both"
    finally:
        desk.close()


@pytest.mark.parametrize(("amount", "parts"), [(1_600, {}), (2_000, {"points": 400})])
def test_money_paid_with_points_earns_nothing_and_half_a_refund_brings_half_the_points(
    tmp_path: Path, amount: int, parts: dict[str, int]
) -> None:
    desk = DeskBench(tmp_path)
    try:
        desk.shop.programmes.activate(parse(REWARDS), None)
        desk.ask(op="member", member=PHONE)
        desk.pay("p-1", 1_000, member=PHONE)
        desk.ask(op="hold", request="r-1", reward="off", amount=2_000, points=40, member=PHONE)
        desk.ask(op="capture", request="r-1", terminal=LOCAL_TID, ref="p-2")
        paid = desk.pay("p-2", amount, member=PHONE, parts=parts)
        assert (paid["points"], paid["balance"]) == (160, 220)
        half = {"op": "refund", "terminal": LOCAL_TID, "ref": "p-2", "amount": amount // 2, "request": "b-1"}
        undone = desk.ask(**half)
        assert (undone["returned"], undone["points"], undone["balance"]) == (20, 80, 160)
        assert desk.ask(**half) == undone
        moments = why(desk.shop, paid["number"])
        assert any(
            "redeemed" in each and "40 points for off, 400 rial, 20 came back" in each for each in moments
        )
    finally:
        desk.close()


def why(shop: Shop, number: str) -> list[str]:
    """The sale's time line in words."""
    told = shop.ledger.read(lambda c: support.why(c, number, "Asia/Tehran", shop.wall_ms, {}))
    assert isinstance(told, WhyIs)
    return [f"{each.what}: {each.detail}" for each in told.moments]


ALTERED: list[tuple[str, dict[str, Any], str]] = [
    ("Hold", {"rials": 1}, "rial for points that are worth"),
    ("Redemption", {"amount": 400}, "points for what costs 40"),
    ("Redemption", {"amount": 501}, "501 rial were taken off, 500 were held for"),
]


@pytest.mark.parametrize(("kind", "change", "fault"), ALTERED)
def test_a_price_that_the_programme_never_asked_is_found(
    shop: Shop, kind: str, change: dict[str, Any], fault: str
) -> None:
    member = joined(shop, REWARDS)
    counter = Redeeming(shop.counter)
    counter.hold(Wish("r-1", member, "off", 10_000, 50, "test"))
    counter.capture("r-1", None, None, "test")
    reader = connect_reader(shop.ledger.path)
    try:
        recheck, said = Recheck(reader), []
        for each in reads.entries(reader):
            event = each.event
            if type(event).__name__ == kind:
                event = msgspec.structs.replace(event, **change)
            said.append(recheck(event, _NoBooks()))
        assert [each for each in said if each] != []
        assert fault in next(each for each in said if each)
    finally:
        reader.close()


class _NoBooks:
    """The rules of these rows look at no row of the books."""

    def find(self, row_type: Any, key: Any) -> None:
        return None
