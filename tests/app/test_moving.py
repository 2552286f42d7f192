"""A purchase goes to the right member: points, fraction, lots, visit and rights follow, debt where spent."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich_shop import faults
from shop import TID, Shop, payment

from vafa.app.moving import Moved, Moving
from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.books.rows import Carry, MemberRow
from vafa.club.programme import parse
from vafa.ledger import reads
from vafa.ledger.tables import find_row
from vafa.model import lots
from vafa.model.errors import NotFound, Refused
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme
from vafa.model.standing import unpack

ONE, TWO = "09121236789", "09351112233"
RULED = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 10
[expiry]
months = 6
[bonus.hello]
kind = "first-purchase"
points = 5
[stamp.cup]
name_fa = "فنجان"
needed = 12
"""


def buy(shop: Shop, number: int, member: bytes, amount: int = 105) -> str:
    return shop.counter.post(payment(number, amount, card=CardHint()), member).number


def move(shop: Shop, sale: str, member: bytes) -> Moved:
    return Moving(shop.ledger).move(sale, member, "paid with her card", "test")


def row(shop: Shop, member: bytes) -> MemberRow:
    found = shop.ledger.read(lambda c: find_row(c, MemberRow, (member,)))
    assert found is not None
    return found


def adjust(shop: Shop, member: bytes, points: int) -> None:
    Undo(shop.counter).adjust(Adjustment(member, points, "x", PaymentKey(Scheme.REQUEST, TID, "a"), "test"))


def test_points_and_fraction_follow_and_each_floor_stays_true(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    buy(shop, 1, one)
    sale = buy(shop, 2, one)  # 10.5 each: 21 in all
    buy(shop, 3, two)
    moved = move(shop, sale, two)
    assert (moved.points_out, moved.points_in, moved.debt) == (11, 11, 0)
    assert shop.balances() == [10, 21]
    programme = shop.programmes.at(0)
    assert programme is not None
    assert [Carry(row(shop, each).carry).of(programme.id) for each in (one, two)] == [(1, 2), (0, 1)]
    assert [row(shop, each).visits for each in (one, two)] == [1, 2]
    assert faults(shop) == ()


def test_what_was_spent_becomes_debt_of_who_had_it(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    sale = buy(shop, 1, one)
    adjust(shop, one, -7)
    moved = move(shop, sale, two)
    assert (moved.points_out, moved.points_in, moved.debt) == (10, 10, 7)
    assert (row(shop, one).balance, row(shop, one).debt, row(shop, two).balance) == (0, 7, 10)
    assert faults(shop) == ()


def test_told_again_nothing_moves_and_back_again_is_as_before(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    sale = buy(shop, 1, one)
    move(shop, sale, two)
    head = shop.ledger.head.seq
    assert move(shop, sale, two).seen_before
    assert shop.ledger.head.seq == head
    move(shop, sale, one)
    assert shop.balances() == [10, 0]
    assert faults(shop) == ()


def test_a_refund_after_the_move_takes_the_points_where_they_are(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    sale = buy(shop, 1, one)
    key = PaymentKey(Scheme.RRN, TID, "1")
    Undo(shop.counter).undo(Wish(Undoing.REFUND, key, PaymentKey(Scheme.RRN, TID, "r"), 30, None, "test"))
    move(shop, sale, two)
    Undo(shop.counter).undo(Wish(Undoing.VOID, key, PaymentKey(Scheme.RRN, TID, "v"), None, None, "test"))
    assert shop.balances() == [0, 0]
    assert faults(shop) == ()


def test_what_waits_or_was_undone_or_earned_nothing_cannot_move(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    waiting = shop.counter.post(payment(1)).number
    undone = buy(shop, 2, one)
    key = PaymentKey(Scheme.RRN, TID, "2")
    Undo(shop.counter).undo(Wish(Undoing.VOID, key, PaymentKey(Scheme.RRN, TID, "v"), None, None, "test"))
    nothing = shop.counter.post(payment(3, is_sale=False)).number
    for sale, why in ((waiting, "wait for the claim"), (undone, "undone"), (nothing, "earned nothing")):
        with pytest.raises(Refused, match=why):
            move(shop, sale, two)
    with pytest.raises(NotFound):
        move(shop, undone, b"x" * 10)


def test_lots_stamps_and_first_purchase_follow(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.programmes.activate(parse(RULED), 0)
    one, two = shop.joined(ONE), shop.joined(TWO)
    sale = buy(shop, 1, one)
    before = row(shop, one)
    assert before.balance == 15
    move(shop, sale, two)
    after, there = row(shop, one), row(shop, two)
    assert (after.balance, after.lots, there.balance) == (0, b"", 15)
    assert [lot.expires_at for lot in _lots(there)] == [lot.expires_at for lot in _lots(before)]
    assert (unpack(after.standing).stamp("cup").count, unpack(there.standing).stamp("cup").count) == (0, 1)
    assert unpack(there.standing).first_at == unpack(before.standing).first_at
    assert faults(shop) == ()
    shop.ledger.close()


def _lots(of: MemberRow) -> list[lots.Lot]:
    from vafa.books.lots import unpack as lots_of

    return lots_of(of.lots)


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=8))
def test_after_any_moves_each_has_the_floor_of_their_own_purchases(
    tmp_path_factory: pytest.TempPathFactory, sales: list[tuple[int, int, int]]
) -> None:
    shop = Shop(tmp_path_factory.mktemp("moves"))
    members = [shop.joined(phone) for phone in (ONE, TWO, "09361112233")]
    spent = [0, 0, 0]
    numbers = [buy(shop, n, members[who], amount) for n, (amount, who, _) in enumerate(sales)]
    for number, (amount, _, to) in zip(numbers, sales, strict=True):
        move(shop, number, members[to])
        spent[to] += amount
    assert shop.balances() == [each // 10 for each in spent]
    assert shop.verified().bad == ()
    assert shop.ledger.read(reads.newest_at_ms) == shop.wall_ms
    shop.ledger.close()
