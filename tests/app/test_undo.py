"""Voids and refunds: split-proof, told twice counted once, debt paid first by new points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import HASHED, TID, Shop, payment

from vafa.app.undo import Adjustment, Undo, Undoing, Undone, Wish
from vafa.model.errors import Refused
from vafa.model.payment import PaymentKey, Scheme

PHONE = "09121236789"
SALE = PaymentKey(Scheme.RRN, TID, "320062616116")


def ref(number: int) -> PaymentKey:
    return PaymentKey(Scheme.RRN, TID, f"4200000000{number:02d}")


def request(name: str) -> PaymentKey:
    return PaymentKey(Scheme.REQUEST, TID, name)


def refund(shop: Shop, number: int, amount: int | None, sale: PaymentKey = SALE) -> Undone:
    return Undo(shop.counter).undo(Wish(Undoing.REFUND, sale, ref(number), amount, None, "test"))


def void(shop: Shop, number: int, sale: PaymentKey = SALE) -> Undone:
    return Undo(shop.counter).undo(Wish(Undoing.VOID, sale, ref(number), None, None, "test"))


def adjust(shop: Shop, member: bytes, points: int, name: str = "a-1") -> Undone:
    return Undo(shop.counter).adjust(Adjustment(member, points, "a reason", request(name), "test"))


def member_of(shop: Shop) -> bytes:
    return bytes.fromhex(shop.members.add(PHONE, "", "test").id)


@pytest.mark.parametrize(("parts", "points"), [([10], [1]), ([10] * 10, [1] * 10), ([105], [10])])
def test_a_refund_takes_the_difference_of_the_floor(shop: Shop, parts: list[int], points: list[int]) -> None:
    shop.counter.post(payment(), member_of(shop))
    taken = [refund(shop, n, part).points for n, part in enumerate(parts)]
    assert taken == points
    assert shop.balances() == [10 - sum(points)]
    assert shop.verified().bad == ()


def test_eleven_refunds_of_9_take_ten_points_in_all(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    assert sum(refund(shop, n, 9).points for n in range(11)) == 10


def test_a_void_takes_all_that_is_left_and_a_second_one_is_refused(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    refund(shop, 1, 30)
    undone = void(shop, 2)
    assert (undone.kind, undone.amount, undone.points, undone.balance) == ("void", 75, 7, 0)
    with pytest.raises(Refused, match="undone before"):
        void(shop, 3)
    assert shop.verified().bad == ()


def test_a_refund_told_twice_counts_once_with_the_first_answer(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    first = refund(shop, 1, 30)
    shop.restart()
    again = refund(shop, 1, 30)
    assert (again.number, again.points, again.seen_before) == (first.number, first.points, True)
    assert shop.balances() == [7]


def test_more_than_was_paid_is_refused_and_changes_nothing(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    refund(shop, 1, 100)
    head = shop.ledger.head
    with pytest.raises(Refused, match="5 rials are left"):
        refund(shop, 2, 6)
    assert shop.ledger.head == head


def test_a_refund_of_an_unknown_sale_moves_nothing_and_is_kept(shop: Shop) -> None:
    undone = refund(shop, 1, 30)
    assert (undone.kind, undone.points) == ("unmatched", 0)
    assert refund(shop, 1, 30).seen_before
    assert shop.ledger.head.till.member == 0


def test_points_that_are_gone_become_debt_that_new_points_pay_first(shop: Shop) -> None:
    member = member_of(shop)
    shop.counter.post(payment(), member)
    adjust(shop, member, -6)
    undone = void(shop, 1)
    assert (undone.points, undone.debt, undone.balance) == (10, 6, 0)
    outcome = shop.counter.post(payment(320062616117), member)
    assert (outcome.points, outcome.balance) == (10, 4)
    assert (shop.ledger.head.till.member, shop.ledger.head.till.debt) == (4, 0)
    assert shop.verified().bad == ()


@pytest.mark.parametrize("card", ["hashed", "hinted"])
def test_a_claim_after_a_refund_brings_what_enrolling_first_would_have(shop: Shop, card: str) -> None:
    hint = HASHED if card == "hashed" else payment().card
    outcomes = [shop.counter.post(payment(320062616116 + n, card=hint)) for n in range(2)]
    refund(shop, 1, 50)
    member = member_of(shop)
    for outcome in outcomes:
        shop.members.claim(outcome.claim, member, "test")
    assert shop.balances() == [(55 + 105) // 10]
    assert shop.verified().bad == ()


@given(st.lists(st.integers(1, 105), max_size=8), st.booleans())
def test_order_and_splitting_of_refunds_never_matter(parts: list[int], backwards: bool) -> None:
    import tempfile
    from pathlib import Path

    while sum(parts) > 105:
        parts.pop()
    with tempfile.TemporaryDirectory() as directory:
        shop = Shop(Path(directory))
        try:
            shop.counter.post(payment(), member_of(shop))
            for n, part in enumerate(reversed(parts) if backwards else parts):
                refund(shop, n, part)
            assert shop.balances() == [(105 - sum(parts)) // 10]
        finally:
            shop.ledger.close()
