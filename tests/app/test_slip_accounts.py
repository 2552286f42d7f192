"""Whoever holds a slip spends its points by the claim code alone; a card's mask never does."""

from pathlib import Path

import pytest
from desk_bench import LOCAL_TID, DeskBench
from rich_shop import faults, with_programme
from shop import HASHED, HINTED, TID, Shop, payment

from vafa.app.redeeming import Redeeming, Wish
from vafa.app.undo import Undo, Undoing
from vafa.app.undo import Wish as Back
from vafa.app.whatif import what_if
from vafa.books.rows import MemberRow
from vafa.club.programme import parse
from vafa.ledger import reads
from vafa.model.errors import NotFound, Refused
from vafa.model.payment import PaymentKey, Scheme

PHONE, OTHER = "09121236789", "09351112233"
RULES = """
schema = 1
[name]
fa = "مغازه"
[earn]
points = 1
per = 10
[expiry]
months = 6
[bonus.welcome]
kind = "first-purchase"
points = 20
[reward.tea]
kind = "free-item"
name_fa = "چای"
points = 8
"""


def bought(shop: Shop, number: int = 1, amount: int = 105, **fields: object) -> str:
    """The claim code on the slip of a purchase."""
    fields.setdefault("card", HINTED)
    return shop.counter.post(payment(number, amount, paid_at=shop.wall_ms // 1000, **fields)).claim


def wish(request: str = "t-1") -> Wish:
    return Wish(request, b"", "tea", 0, None, "test")


def spent(shop: Shop, code: str, request: str = "t-1") -> int:
    redeeming = Redeeming(shop.counter)
    redeeming.hold_of_slip(wish(request), code)
    return redeeming.capture(request, None, None, "test").points


def row(shop: Shop, member: bytes) -> MemberRow:
    found = shop.ledger.read(lambda connection: reads.holder(connection, member))
    assert found is not None
    return found


@pytest.fixture
def ruled(shop: Shop) -> Shop:
    with_programme(shop, RULES)
    return shop


def test_a_slip_s_own_points_are_spent_by_its_code_and_no_more(ruled: Shop) -> None:
    one, other = bought(ruled, 1), bought(ruled, 2)
    assert spent(ruled, one) == 8
    assert ruled.balances() == [2]  # ten points, no welcome: nobody has joined
    with pytest.raises(Refused, match="too few"):
        spent(ruled, one, "t-2")
    assert spent(ruled, other, "t-2") == 8
    assert faults(ruled) == ()


def test_a_quote_by_code_leaves_the_points_waiting(ruled: Shop) -> None:
    code = bought(ruled)
    head = ruled.ledger.head
    quoted = Redeeming(ruled.counter).quotes_of_slip(code, 0)
    assert (quoted.balance, quoted.usable, quoted.offered[0].points) == (10, 10, 8)
    assert ruled.ledger.head == head
    member = bytes.fromhex(ruled.members.add(PHONE, "", "test").id)
    assert ruled.members.claim(code, member, "test").points == 30  # as if they had joined first


def test_a_hold_that_is_refused_leaves_the_points_waiting(ruled: Shop) -> None:
    code = bought(ruled, amount=30)
    head = ruled.ledger.head
    with pytest.raises(Refused, match="too few"):
        Redeeming(ruled.counter).hold_of_slip(wish(), code)
    assert ruled.ledger.head == head


def test_the_same_request_holds_once(ruled: Shop) -> None:
    code, redeeming = bought(ruled), Redeeming(ruled.counter)
    first = redeeming.hold_of_slip(wish(), code)
    again = redeeming.hold_of_slip(wish(), code)
    assert (first.points, again.points, again.seen_before) == (8, 8, True)


def test_a_phone_that_claims_later_gets_what_is_left(ruled: Shop) -> None:
    code = bought(ruled)
    spent(ruled, code)
    member = bytes.fromhex(ruled.members.add(PHONE, "", "test").id)
    claimed = ruled.members.claim(code, member, "test")
    assert (claimed.payments, claimed.points, claimed.member.balance) == (1, 2, 2)
    assert ruled.members.claim(code, member, "test").seen_before
    with pytest.raises(Refused, match="claimed by a member") as refused:
        spent(ruled, code, "t-2")
    assert refused.value.fix == "ask for the phone"
    other = bytes.fromhex(ruled.members.add(OTHER, "", "test").id)
    with pytest.raises(Refused, match="another member"):
        ruled.members.claim(code, other, "test")
    assert faults(ruled) == ()


def test_a_code_that_a_member_claimed_spends_nothing_of_theirs(ruled: Shop) -> None:
    code = bought(ruled)
    ruled.members.claim(code, bytes.fromhex(ruled.members.add(PHONE, "", "test").id), "test")
    with pytest.raises(Refused, match="claimed by a member"):
        spent(ruled, code)
    with pytest.raises(NotFound, match="no points wait"):
        spent(ruled, "000000000")


def test_any_slip_of_a_card_known_by_its_hash_spends_what_waits_on_the_card(ruled: Shop) -> None:
    one, other = (bought(ruled, number, card=HASHED) for number in (1, 2))
    assert spent(ruled, other) == 8
    assert ruled.balances() == [33]  # a card is a customer: the welcome, and both purchases
    assert spent(ruled, one, "t-2") == 8
    assert faults(ruled) == ()


def test_a_refund_after_it_takes_back_what_is_there_and_the_same_rules_give_no_difference(
    ruled: Shop,
) -> None:
    code = bought(ruled)
    spent(ruled, code)
    sale, ref = PaymentKey(Scheme.RRN, TID, "1"), PaymentKey(Scheme.REQUEST, TID, "r")
    back = Back(Undoing.REFUND, sale, ref, 50, None, "t")
    undone = Undo(ruled.counter).undo(back)
    assert (undone.points, undone.debt) == (5, 3)
    assert faults(ruled) == ()
    found = ruled.ledger.read(lambda c: what_if(reads.entries(c), parse(RULES), parse(RULES)))
    assert (found.different, found.points_was) == ((), 5)


def test_the_local_protocol_spends_by_code_and_never_by_a_mask(tmp_path: Path) -> None:
    desk = DeskBench(tmp_path)
    try:
        desk.shop.programmes.activate(parse(RULES), None)
        paid = desk.ask(
            op="payment", terminal=LOCAL_TID, ref="p1", amount=105, card={"mask": "621986******3864"}
        )
        code = paid["claim"]
        assert desk.ask(op="quote", claim=code)["usable"] == 10
        assert desk.ask(op="hold", request="t", reward="tea", claim=code)["state"] == "held"
        assert desk.ask(op="capture", request="t")["points"] == 8
        assert desk.ask(op="hold", request="u", reward="tea")["answer"] == "failure"
        both = desk.ask(op="hold", request="v", reward="tea", claim=code, member=PHONE)
        assert (both["answer"], both["fix"]) == ("failure", "claim the code for the phone first")
    finally:
        desk.close()
