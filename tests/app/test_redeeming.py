"""Redeeming at the counter: quote, hold, capture, release, what time ends, and what comes back."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from rich_shop import faults
from shop import Shop, payment

from vafa.app import returning
from vafa.app.recheck import Recheck
from vafa.app.redeem_words import Redeemed
from vafa.app.redeeming import Redeeming, Wish
from vafa.app.settling import Settled, settle_all
from vafa.app.undo import Adjustment, Undo, Undoing
from vafa.app.undo import Wish as UndoWish
from vafa.books.rows import MemberRow
from vafa.club.programme import parse
from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.payment import PaymentKey, Scheme

RULES = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 10
[redeem]
hold_minutes = 10
debt_cap = 150
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
name_en = "money off"
points = 1
rial = 10
[reward.meal]
kind = "threshold"
name_fa = "غذای رایگان"
name_en = "Free meal"
points = 100
cost = 900_000
"""
EXPIRING = RULES + "[expiry]\nmonths = 1\n"
DAY_MS = 86_400_000
PHONE = "09121236789"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.programmes.activate(parse(RULES), 0)
    yield shop
    assert faults(shop) == ()
    shop.ledger.close()


@pytest.fixture
def member(shop: Shop) -> bytes:
    """A member with 200 points of one sale."""
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    shop.counter.post(payment(1, 2_000, paid_at=None), member)
    return member


def row(shop: Shop, member: bytes) -> MemberRow:
    found = shop.ledger.read(lambda c: reads.holder(c, member))
    assert found is not None
    return found


def wish(
    member: bytes, points: int | None = 80, request: str = "r-1", reward: str = "off", bill: int = 5_000
) -> Wish:
    return Wish(request, member, reward, bill, points, "test")


def attest(shop: Shop) -> None:
    shop.ledger.write(lambda tx: tx.post(events.ClockAttested(shop.wall_ms // 1000, "test")))


def held_and_balance(shop: Shop, member: bytes) -> tuple[int, int]:
    now = row(shop, member)
    return now.held, now.balance


def test_a_quote_says_what_can_be_had_and_why_not(shop: Shop, member: bytes) -> None:
    quoted = Redeeming(shop.counter).quotes(member, 1_500)
    assert (quoted.balance, quoted.usable, quoted.debt) == (200, 200, 0)
    assert [(each.reward.id, each.points, each.rials, each.no) for each in quoted.offered] == [
        ("meal", 100, 900_000, ""),
        ("off", 150, 1_500, ""),
    ]


def test_a_hold_sets_aside_a_capture_spends_and_each_is_done_once(shop: Shop, member: bytes) -> None:
    counter = Redeeming(shop.counter)
    held = counter.hold(wish(member))
    assert (held.state, held.points, held.rials) == ("held", 80, 800)
    assert held.until == shop.wall_ms // 1000 + 600
    assert held_and_balance(shop, member) == (80, 200)
    again = counter.hold(wish(member))
    assert again == msgspec.structs.replace(held, seen_before=True)
    done = counter.capture("r-1", None, payment(2).key, "test")
    assert (done.state, done.points, done.applied, done.balance) == ("captured", 80, 800, 120)
    assert held_and_balance(shop, member) == (0, 120)
    head = shop.ledger.head.seq
    assert counter.capture("r-1", 800, None, "test") == msgspec.structs.replace(done, seen_before=True)
    assert shop.ledger.head.seq == head
    with pytest.raises(Refused, match="captured for 800"):
        counter.capture("r-1", 799, None, "test")


def test_a_partial_capture_costs_what_was_applied_and_frees_the_rest(shop: Shop, member: bytes) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(wish(member))
    done = counter.capture("r-1", 301, None, "test")
    assert (done.points, done.applied) == (31, 301)
    assert held_and_balance(shop, member) == (0, 169)


@pytest.mark.parametrize("applied", [0, None])
def test_nothing_applied_or_a_release_leaves_all_as_it_was(
    shop: Shop, member: bytes, applied: int | None
) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(wish(member))
    done = counter.release("r-1", "test") if applied is None else counter.capture("r-1", 0, None, "test")
    assert done.state == "released"
    assert held_and_balance(shop, member) == (0, 200)
    assert counter.release("r-1", "test").seen_before
    with pytest.raises(Refused, match="has ended"):
        counter.capture("r-1", None, None, "test")


REFUSED = [
    (wish(b"", 201), "200 can"),
    (wish(b"", None, bill=9), "the bill is too small"),
    (wish(b"", None, reward="boat"), "there is no reward 'boat'"),
]


@pytest.mark.parametrize(("wanted", "why"), REFUSED)
def test_what_cannot_be_had_is_refused_with_the_reason(
    shop: Shop, member: bytes, wanted: Wish, why: str
) -> None:
    with pytest.raises((Refused, NotFound), match=why):
        Redeeming(shop.counter).hold(msgspec.structs.replace(wanted, member=member))


def test_two_holds_never_set_one_point_aside_twice(shop: Shop, member: bytes) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(wish(member, 150))
    with pytest.raises(Refused, match="60 points cannot be redeemed here, 50 can"):
        counter.hold(wish(member, 60, "r-2"))
    with pytest.raises(Refused, match="50 points can be used"):
        counter.hold(wish(member, None, "r-3", "meal"))


def test_a_request_of_a_hold_for_something_else_is_refused(shop: Shop, member: bytes) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(wish(member))
    with pytest.raises(Refused, match="held something else"):
        counter.hold(wish(member, 81))
    with pytest.raises(NotFound, match="nothing is held"):
        counter.capture("r-9", None, None, "test")


def test_a_hold_times_out_by_the_job_and_lazily(shop: Shop, member: bytes) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(wish(member, 150))
    shop.wall_ms += 599_000
    assert settle_all(shop.ledger) == Settled()
    shop.wall_ms += 1_000
    assert counter.hold(wish(member, 150, "r-2")).state == "held"  # the first one ended here
    shop.wall_ms += 600_000
    assert settle_all(shop.ledger) == Settled(holds=1)
    assert held_and_balance(shop, member) == (0, 200)
    with pytest.raises(Refused, match="timed out"):
        counter.capture("r-1", None, None, "test")


def test_a_late_capture_is_refused_and_the_hold_ended_for_good(shop: Shop, member: bytes) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(wish(member))
    shop.wall_ms += 600_000
    with pytest.raises(Refused, match="timed out"):
        counter.capture("r-1", None, None, "test")
    assert held_and_balance(shop, member) == (0, 200)


def test_a_hold_ends_when_the_clock_falls_to_1970(shop: Shop, member: bytes) -> None:
    Redeeming(shop.counter).hold(wish(member))
    shop.wall_ms = 60_000
    assert settle_all(shop.ledger) == Settled(holds=1)


def test_a_clock_below_its_attested_mark_does_not_spend(shop: Shop, member: bytes) -> None:
    attest(shop)
    shop.wall_ms -= DAY_MS
    with pytest.raises(Refused, match="before a time that was attested"):
        Redeeming(shop.counter).hold(wish(member))


def test_a_debt_blocks_redeeming_and_is_paid_first_by_new_points(shop: Shop, member: bytes) -> None:
    Undo(shop.counter).adjust(Adjustment(member, -250, "a mistake", key("a-1"), "test"))
    with pytest.raises(Refused, match="50 points are owed"):
        Redeeming(shop.counter).hold(wish(member, None))
    outcome = shop.counter.post(payment(2, 700, paid_at=None), member)
    assert (outcome.points, outcome.balance, row(shop, member).debt) == (70, 20, 0)


def key(name: str) -> PaymentKey:
    return PaymentKey(Scheme.REQUEST, "", name)


def undo(number: int, amount: int | None, name: str) -> UndoWish:
    kind = Undoing.VOID if amount is None else Undoing.REFUND
    return UndoWish(kind, payment(number).key, key(name), amount, None, "test")


def spent(shop: Shop, member: bytes, points: int, on: int, amount: int) -> Redeemed:
    """So many points taken off a sale of `amount`, which is paid and told."""
    counter = Redeeming(shop.counter)
    counter.hold(wish(member, points, f"for-{on}", bill=amount + points * 10))
    done = counter.capture(f"for-{on}", None, payment(on).key, "test")
    shop.counter.post(payment(on, amount, paid_at=None), member)
    return done


@pytest.mark.parametrize("parts", [(1_000,), (500, 500), (333, 333, 334), (1, 998, 1)])
def test_refunds_of_a_sale_return_points_pro_rata_in_any_parts(
    shop: Shop, member: bytes, parts: tuple[int, ...]
) -> None:
    spent(shop, member, 120, 2, 1_000)  # 80 left, and 100 earned
    undone = [Undo(shop.counter).undo(undo(2, part, f"r-{n}")) for n, part in enumerate(parts)]
    assert sum(each.returned for each in undone) == 120
    assert sum(each.points for each in undone) == 100
    assert held_and_balance(shop, member) == (0, 200)
    assert undone[0].returned == 120 * parts[0] // 1_000
    again = Undo(shop.counter).undo(undo(2, parts[0], "r-0"))
    assert again == msgspec.structs.replace(undone[0], seen_before=True)


def test_a_void_of_a_sale_that_had_a_redemption_returns_it_before_it_takes_what_was_earned(
    shop: Shop, member: bytes
) -> None:
    spent(shop, member, 200, 2, 1_000)
    spent(shop, member, 100, 3, 10)
    foreseen = Undo(shop.counter).foreseen(undo(2, None, "v-1"))
    done = Undo(shop.counter).undo(undo(2, None, "v-1"))
    assert (done.returned, done.points, done.debt, done.balance) == (200, 100, 0, 101)
    assert (foreseen.returned, foreseen.points, foreseen.debt, foreseen.balance) == (200, 100, 0, 101)


def test_a_meal_comes_back_with_the_whole_sale_only(shop: Shop, member: bytes) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(wish(member, None, "m-1", "meal"))
    counter.capture("m-1", None, payment(2).key, "test")
    shop.counter.post(payment(2, 1_000, paid_at=None), member)
    assert Undo(shop.counter).undo(undo(2, 999, "r-1")).returned == 0
    assert Undo(shop.counter).undo(undo(2, 1, "r-2")).returned == 100
    with pytest.raises(Refused, match="it is returned"):
        returning.give_back(shop.ledger, "m-1", key("b-1"), None, "test", shop.counter.zone)


def test_a_redemption_without_a_sale_comes_back_by_a_request_of_its_own_once(
    shop: Shop, member: bytes
) -> None:
    counter = Redeeming(shop.counter)
    counter.hold(wish(member))
    counter.capture("r-1", None, None, "test")

    def back(name: str, points: int | None) -> Redeemed:
        return returning.give_back(shop.ledger, "r-1", key(name), points, "test", shop.counter.zone)

    assert (back("b-1", 30).returned, back("b-1", 30).returned) == (30, 30)
    with pytest.raises(Refused, match="50 points of this redemption can come back"):
        back("b-2", 51)
    assert back("b-3", None).state == "returned"
    assert held_and_balance(shop, member) == (0, 200)


def test_what_is_not_there_any_more_is_debt_up_to_the_cap_and_forgiven_beyond(
    shop: Shop, member: bytes
) -> None:
    spent(shop, member, 200, 2, 10)  # all of the first sale's points
    done = Undo(shop.counter).undo(undo(1, None, "v-1"))
    assert (done.points, done.debt, done.forgiven, done.balance) == (200, 150, 49, 0)


class TestExpiry:
    """One calendar month, on attested time."""

    @pytest.fixture
    def member(self, shop: Shop) -> bytes:
        shop.programmes.activate(parse(EXPIRING), None)
        member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
        shop.counter.post(payment(1, 2_000, paid_at=None), member)
        return member

    def test_nothing_lapses_on_a_clock_nobody_vouched_for(self, shop: Shop, member: bytes) -> None:
        shop.wall_ms += 90 * DAY_MS
        assert settle_all(shop.ledger) == Settled()
        assert Redeeming(shop.counter).quotes(member, 0).usable == 200
        attest(shop)
        assert settle_all(shop.ledger) == Settled(members=1, points=200)
        assert row(shop, member).balance == 0

    def test_what_lapsed_is_not_spent_even_before_the_job(self, shop: Shop, member: bytes) -> None:
        shop.wall_ms += 90 * DAY_MS
        attest(shop)
        with pytest.raises(Refused, match="0 points can be used"):
            Redeeming(shop.counter).hold(wish(member, None))
        assert row(shop, member).balance == 0

    def test_a_hold_keeps_its_points_over_their_lapse(self, shop: Shop, member: bytes) -> None:
        shop.wall_ms += 29 * DAY_MS
        shop.wall_ms = row_expiry_ms(shop, member) - 1_000
        attest(shop)
        counter = Redeeming(shop.counter)
        counter.hold(wish(member))
        shop.wall_ms += 60_000
        assert settle_all(shop.ledger) == Settled(members=1, points=120)
        assert settle_all(shop.ledger) == Settled()
        assert counter.capture("r-1", None, None, "test").balance == 0

    def test_what_comes_back_after_its_lapse_is_good_for_seven_days(self, shop: Shop, member: bytes) -> None:
        spent(shop, member, 150, 2, 1_000)
        shop.wall_ms += 40 * DAY_MS
        attest(shop)
        settle_all(shop.ledger)
        assert row(shop, member).balance == 0
        done = Undo(shop.counter).undo(undo(2, None, "v-1"))
        assert (done.returned, done.debt, done.balance) == (150, 0, 50)
        left_ms = row_expiry_ms(shop, member) - shop.wall_ms
        assert 7 * DAY_MS <= left_ms <= 8 * DAY_MS

    def test_slices_take_every_member(self, shop: Shop, member: bytes) -> None:
        for number in range(2, 130):
            other = bytes.fromhex(shop.members.add(f"0912{number:07d}", "", "test").id)
            shop.counter.post(payment(number, 100, paid_at=None), other)
        shop.wall_ms += 90 * DAY_MS
        attest(shop)
        assert settle_all(shop.ledger) == Settled(members=129, points=200 + 128 * 10)


def row_expiry_ms(shop: Shop, member: bytes) -> int:
    expiry = row(shop, member).next_expiry
    assert expiry is not None
    return expiry * 1000


def test_a_redemption_draws_on_every_id_of_a_merged_person_and_comes_back_to_each(
    shop: Shop, member: bytes
) -> None:
    other = bytes.fromhex(shop.members.add("09351112233", "", "test").id)
    shop.counter.post(payment(2, 600, paid_at=None), other)
    shop.ledger.write(lambda tx: tx.post(events.Merge(member, other, 0, "test")))
    counter = Redeeming(shop.counter)
    assert counter.quotes(other, 0).usable == 260
    held = counter.hold(wish(member, 250))
    assert (held.points, row(shop, member).held + row(shop, other).held) == (250, 250)
    with pytest.raises(Refused, match="20 points cannot be redeemed here, 10 can"):
        counter.hold(wish(other, 20, "r-2"))
    done = counter.capture("r-1", 2_300, None, "test")
    assert (done.points, done.applied, done.balance) == (230, 2_300, 30)
    assert row(shop, member).held + row(shop, other).held == 0
    assert counter.capture("r-1", 2_300, None, "test") == msgspec.structs.replace(done, seen_before=True)
    back = returning.give_back(shop.ledger, "r-1", key("b-1"), None, "test", shop.counter.zone)
    assert (back.state, back.returned, back.balance) == ("returned", 230, 260)
    assert (row(shop, member).balance, row(shop, other).balance) == (200, 60)


def test_a_return_of_its_own_is_counted_when_the_sale_is_refunded_later(shop: Shop, member: bytes) -> None:
    spent(shop, member, 100, 2, 1_000)
    returning.give_back(shop.ledger, "for-2", key("b-1"), 60, "test", shop.counter.zone)
    undone = [Undo(shop.counter).undo(undo(2, part, f"r-{part}")) for part in (500, 300, 200)]
    assert [each.returned for each in undone] == [0, 20, 20]


def test_verify_finds_a_refund_that_brought_no_points_back(shop: Shop, member: bytes) -> None:
    spent(shop, member, 100, 2, 1_000)
    Undo(shop.counter).undo(undo(2, 500, "r-1"))
    connection = connect_reader(shop.ledger.path)
    try:
        recheck, said = Recheck(connection), ""
        for each in reads.entries(connection):
            if not isinstance(each.event, events.AwardRefund):
                said = said or recheck(each.event, _Rows())
        assert "50 redeemed points were to come back with it" in said
    finally:
        connection.close()


class _Rows:
    """The rules of these rows look at no row of the books."""

    def find(self, row_type: object, key: object) -> None:
        return None
