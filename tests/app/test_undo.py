"""Voids and refunds: split-proof, told twice counted once, debt paid first by new points."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop import HASHED, TID, Shop, payment

from vafa.app.outcome import OF_AN_UNDOING
from vafa.app.undo import Adjustment, Undo, Undoing, Undone, Wish
from vafa.model.errors import NotFound, Refused
from vafa.model.pan import CardHint
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


def test_what_is_foreseen_is_what_happens_and_changes_nothing(shop: Shop) -> None:
    member = member_of(shop)
    shop.counter.post(payment(), member)
    head, undo = shop.ledger.head, Undo(shop.counter)
    wish = Wish(Undoing.REFUND, SALE, request("r-1"), 30, None, "test")
    adjustment = Adjustment(member, -9, "a reason", request("a-1"), "test")
    foreseen, foreseen_adjustment = undo.foreseen(wish), undo.foreseen_adjustment(adjustment)
    assert shop.ledger.head == head
    assert (foreseen_adjustment.points, foreseen_adjustment.balance) == (9, 1)
    done = undo.undo(wish)
    assert msgspec.structs.replace(done, number="", check="", seq=0) == foreseen
    assert undo.foreseen(wish) == msgspec.structs.replace(done, seen_before=True)


def test_the_first_answer_stays_the_same_whatever_is_sold_since(shop: Shop) -> None:
    member = member_of(shop)
    shop.counter.post(payment(), member)
    first, given_first = refund(shop, 1, 30), adjust(shop, member, 5)
    shop.counter.post(payment(320062616117), member)
    assert refund(shop, 1, 30) == msgspec.structs.replace(first, seen_before=True)
    assert adjust(shop, member, 5) == msgspec.structs.replace(given_first, seen_before=True)
    assert (first.balance, given_first.balance, shop.balances()) == (7, 12, [23])


def test_a_request_used_for_something_else_is_refused_and_changes_nothing(shop: Shop) -> None:
    member = member_of(shop)
    shop.counter.post(payment(), member)
    shop.counter.post(payment(320062616117), member)
    refund(shop, 1, 30)
    adjust(shop, member, 5)
    head, other = shop.ledger.head, PaymentKey(Scheme.RRN, TID, "320062616117")
    again: list[Callable[[], Undone]] = [
        lambda: refund(shop, 1, 31),
        lambda: refund(shop, 1, 30, other),
        lambda: void(shop, 1),
        lambda: adjust(shop, member, 6),
        lambda: Undo(shop.counter).undo(Wish(Undoing.VOID, SALE, request("a-1"), None, None, "test")),
    ]
    for each in again:
        with pytest.raises(Refused, match="this request was another one"):
            each()
    with pytest.raises(Refused, match="reference of a payment"):
        Undo(shop.counter).undo(Wish(Undoing.VOID, SALE, other, None, None, "test"))
    assert shop.ledger.head == head


def test_without_an_amount_all_that_is_left_is_refunded_and_the_visit_stays(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    refund(shop, 1, 30)
    rest = refund(shop, 2, None)
    assert (rest.kind, rest.amount, rest.points, rest.balance) == ("refund", 75, 7, 0)
    (visits,) = shop.ledger.read(lambda c: c.execute("SELECT visits FROM member").fetchone())
    assert visits == 1


@pytest.mark.parametrize(("card", "told"), [(HASHED, 0), (payment().card, None)])
def test_a_balance_is_told_of_a_card_known_for_sure_and_never_of_a_hint(
    shop: Shop, card: CardHint, told: int | None
) -> None:
    first = shop.counter.post(payment(card=card), member_of(shop))
    shop.members.bind(member_of(shop), first.number, "test")
    void(shop, 0)
    shop.counter.post(payment(320062616117, card=card))
    undone = void(shop, 1, PaymentKey(Scheme.RRN, TID, "320062616117"))
    assert (undone.points, undone.balance) == (10, told)


def test_who_claimed_with_the_slip_s_code_is_known_for_sure(shop: Shop) -> None:
    claim = shop.counter.post(payment()).claim
    shop.members.claim(claim, member_of(shop), "test")
    assert refund(shop, 1, 30).balance == 7


def test_a_payment_that_earned_nothing_is_undone_without_points(shop: Shop) -> None:
    shop.counter.post(payment(is_sale=False))
    assert (refund(shop, 1, 5).points, void(shop, 2).points) == (0, 0)
    with pytest.raises(Refused, match="undone before"):
        void(shop, 3)
    assert shop.verified().bad == ()


def test_the_code_of_a_voided_purchase_claims_nothing_and_says_why(shop: Shop) -> None:
    claim = shop.counter.post(payment()).claim
    void(shop, 1)
    with pytest.raises(Refused, match="was undone"):
        shop.members.claim(claim, member_of(shop), "test")


def test_an_adjustment_needs_points_a_reason_and_a_member(shop: Shop) -> None:
    member, undo = member_of(shop), Undo(shop.counter)
    for points, why in ((0, "a reason"), (5, " ")):
        with pytest.raises(Refused):
            undo.adjust(Adjustment(member, points, why, request("a"), "test"))
    with pytest.raises(NotFound):
        undo.adjust(Adjustment(b"nobody....", 5, "a reason", request("a"), "test"))
    assert adjust(shop, member, 5).balance == 5
    assert shop.verified().bad == ()


def test_a_payment_with_the_reference_of_an_undoing_earns_nothing_and_says_so(shop: Shop) -> None:
    shop.counter.post(payment(), member_of(shop))
    undone = void(shop, 2)
    adjusted = adjust(shop, member_of(shop), 3)
    head = shop.ledger.head
    for key, number in ((ref(2), undone.number), (request("a-1"), adjusted.number)):
        heard = msgspec.structs.replace(payment(), key=key)
        for outcome in (shop.counter.post(heard), shop.counter.seen(heard)):
            assert outcome is not None
            assert (outcome.result, outcome.why, outcome.number) == ("nothing", OF_AN_UNDOING, number)
            assert outcome.disagrees == ("reference",)
    assert shop.ledger.head == head
    assert shop.verified().bad == ()
