"""Voids and refunds: split-proof, told twice counted once, debt paid first by new points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import HASHED, TID, Shop, payment

from vafa.app.undo import Undo
from vafa.model.errors import Refused
from vafa.model.payment import PaymentKey, Scheme

PHONE = "09121236789"
SALE = PaymentKey(Scheme.RRN, TID, "320062616116")


def ref(number: int) -> PaymentKey:
    return PaymentKey(Scheme.RRN, TID, f"4200000000{number:02d}")


def member_of(shop: Shop) -> bytes:
    return bytes.fromhex(shop.members.add(PHONE, "", "test").id)


@pytest.mark.parametrize(("parts", "points"), [([10], [1]), ([10] * 10, [1] * 10), ([105], [10])])
def test_a_refund_takes_the_difference_of_the_floor(shop: Shop, parts: list[int], points: list[int]) -> None:
    shop.counter.post(payment(), member_of(shop))
    undo = Undo(shop.counter)
    taken = [undo.refund(SALE, ref(n), part, None, "test").points for n, part in enumerate(parts)]
    assert taken == points
    assert shop.balances() == [10 - sum(points)]
    assert shop.verified().bad == ()


def test_eleven_refunds_of_9_take_ten_points_in_all(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    undo = Undo(shop.counter)
    assert sum(undo.refund(SALE, ref(n), 9, None, "test").points for n in range(11)) == 10


def test_a_void_takes_all_that_is_left_and_a_second_one_is_refused(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    undo = Undo(shop.counter)
    undo.refund(SALE, ref(1), 30, None, "test")
    undone = undo.void(SALE, ref(2), None, "test")
    assert (undone.kind, undone.amount, undone.points, undone.balance) == ("void", 75, 7, 0)
    with pytest.raises(Refused, match="undone before"):
        undo.void(SALE, ref(3), None, "test")
    assert shop.verified().bad == ()


def test_a_refund_told_twice_counts_once_with_the_first_answer(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    undo = Undo(shop.counter)
    first = undo.refund(SALE, ref(1), 30, None, "test")
    shop.restart()
    again = Undo(shop.counter).refund(SALE, ref(1), 30, None, "test")
    assert (again.number, again.points, again.seen_before) == (first.number, first.points, True)
    assert shop.balances() == [7]


def test_more_than_was_paid_is_refused_and_changes_nothing(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    undo = Undo(shop.counter)
    undo.refund(SALE, ref(1), 100, None, "test")
    head = shop.ledger.head
    with pytest.raises(Refused, match="5 rials are left"):
        undo.refund(SALE, ref(2), 6, None, "test")
    assert shop.ledger.head == head


def test_a_refund_of_an_unknown_sale_moves_nothing_and_is_kept(shop: Shop) -> None:
    undone = Undo(shop.counter).refund(SALE, ref(1), 30, None, "test")
    assert (undone.kind, undone.points) == ("unmatched", 0)
    assert Undo(shop.counter).refund(SALE, ref(1), 30, None, "test").seen_before
    assert shop.ledger.head.till.member == 0


def test_points_that_are_gone_become_debt_that_new_points_pay_first(shop: Shop) -> None:
    member = member_of(shop)
    shop.counter.post(payment(), member)
    undo = Undo(shop.counter)
    undo.adjust(member, -6, "test", "spent elsewhere")
    undone = undo.void(SALE, ref(1), None, "test")
    assert (undone.points, undone.debt, undone.balance) == (10, 6, 0)
    outcome = shop.counter.post(payment(320062616117), member)
    assert (outcome.points, outcome.balance) == (10, 4)
    assert (shop.ledger.head.till.member, shop.ledger.head.till.debt) == (4, 0)
    assert shop.verified().bad == ()


@pytest.mark.parametrize("card", ["hashed", "hinted"])
def test_a_claim_after_a_refund_brings_what_enrolling_first_would_have(shop: Shop, card: str) -> None:
    hint = HASHED if card == "hashed" else payment().card
    outcomes = [shop.counter.post(payment(320062616116 + n, card=hint)) for n in range(2)]
    Undo(shop.counter).refund(SALE, ref(1), 50, None, "test")
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
            undo = Undo(shop.counter)
            for n, part in enumerate(reversed(parts) if backwards else parts):
                undo.refund(SALE, ref(n), part, None, "test")
            assert shop.balances() == [(105 - sum(parts)) // 10]
        finally:
            shop.ledger.close()
