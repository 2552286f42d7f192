"""Two phones of one person, several cards, a family's card: who gets what, and apart again."""

import pytest
from rich_shop import faults, with_programme
from shop import HASHED, TID, Shop, payment

from vafa.app.joined_people import JoinedPeople
from vafa.app.profiles import Profiles, Telling
from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.model.errors import NotFound, Refused
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme

ONE, TWO, THREE = "09121236789", "09351112233", "09361112233"
OTHER_CARD = CardHint("603799", "1111", b"o" * 32)


def people(shop: Shop) -> JoinedPeople:
    return JoinedPeople(shop.ledger, shop.tokens)


def buy(shop: Shop, number: int, phone: str, amount: int = 105) -> int | None:
    member = shop.members.known_id(phone)
    return shop.counter.post(payment(number, amount, card=CardHint()), member).balance


def test_a_merge_moves_nothing_and_both_phones_earn_for_one(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    assert [buy(shop, 1, ONE), buy(shop, 2, TWO)] == [10, 10]
    merged = people(shop).merge(ONE, TWO, "same person")
    assert (merged.member, merged.alias, merged.balance, merged.other_balance) == (one, two, 10, 10)
    assert shop.balances() == [10, 10]
    assert buy(shop, 3, TWO) == 31  # one's 21 (a carry of its own) and the 10 that stayed with two
    assert shop.balances() == [21, 10]
    for phone in (ONE, TWO):
        view = shop.members.show(shop.members.id_of(phone))
        assert (view.id, view.balance, view.visits) == (one.hex(), 31, 3)
    assert shop.verified().bad == ()


def test_apart_again_each_has_what_came_by_it(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    buy(shop, 1, TWO)
    people(shop).merge(ONE, TWO, "same person")
    buy(shop, 2, TWO)
    apart = people(shop).unmerge(TWO, "they are sisters")
    assert (apart.member, apart.alias) == (one, two)
    assert shop.balances() == [10, 10]
    assert buy(shop, 3, TWO) == 21
    with pytest.raises(NotFound, match="nobody else"):
        people(shop).unmerge(TWO, "again")
    people(shop).merge(ONE, TWO, "the same after all")
    assert buy(shop, 4, ONE, 10) == 11 + 21
    assert shop.verified().bad == ()


def test_merging_again_changes_nothing_and_three_phones_are_one(shop: Shop) -> None:
    for phone in (ONE, TWO, THREE):
        shop.joined(phone)
    people(shop).merge(ONE, TWO, "x")
    head = shop.ledger.head.seq
    assert people(shop).merge(TWO, ONE, "x").seen_before
    assert shop.ledger.head.seq == head
    people(shop).merge(THREE, TWO, "x")  # with all who answer as one
    assert {shop.members.known_id(phone) for phone in (ONE, TWO, THREE)} == {shop.members.id_of(THREE)}
    with pytest.raises(Refused, match="one phone already"):
        people(shop).merge(ONE, "+98 912 123 6789", "x")
    with pytest.raises(NotFound):
        people(shop).merge(ONE, "09370000000", "x")
    assert shop.verified().bad == ()


def test_debts_stay_with_their_owner(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    Undo(shop.counter).adjust(Adjustment(two, -7, "x", PaymentKey(Scheme.REQUEST, TID, "a"), "test"))
    people(shop).merge(ONE, TWO, "x")
    buy(shop, 1, TWO)
    view = shop.members.show(one)
    assert (view.balance, view.debt) == (10, 7)


def test_a_member_s_cards_and_an_alias_s_cards_earn_for_one(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    for number, member, card in ((1, one, HASHED), (2, two, OTHER_CARD)):
        outcome = shop.counter.post(payment(number, card=card), member)
        shop.members.bind(member, outcome.number, "test")
    people(shop).merge(ONE, TWO, "x")
    found = {shop.counter.post(payment(n, card=c)).member for n, c in ((3, HASHED), (4, OTHER_CARD))}
    assert found == {one}
    assert len(shop.members.show(one).cards) == 2


def test_a_family_s_card_waits_until_the_cashier_says_who_pays(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    first = shop.counter.post(payment(1, card=HASHED), one)
    shop.members.bind(one, first.number, "test")
    with pytest.raises(Refused, match="another member"):
        shop.members.bind(two, first.number, "test")
    shop.members.bind(two, first.number, "test", shared=True)
    assert [view.id for view in shop.members.of_card(HASHED)] == [one.hex(), two.hex()]
    waiting = shop.counter.post(payment(2, card=HASHED))
    assert (waiting.result, waiting.balance) == ("waiting", None)
    assert shop.counter.post(payment(3, card=HASHED), two).member == two
    assert shop.members.claim(waiting.claim, one, "test").points == 11
    people(shop).merge(ONE, TWO, "x")
    assert shop.counter.post(payment(4, card=HASHED)).member == one  # no family any more
    assert shop.verified().bad == ()


def test_a_hint_names_nobody(shop: Shop) -> None:
    member = shop.joined(ONE)
    outcome = shop.counter.post(payment(1), member)
    shop.members.bind(member, outcome.number, "test")
    with pytest.raises(Refused, match="only a hint"):
        shop.members.of_card(CardHint("621986", "3864"))
    with pytest.raises(NotFound):
        shop.members.of_card(OTHER_CARD)


def test_a_claim_by_either_phone_is_the_same_person_s(shop: Shop) -> None:
    for phone in (ONE, TWO):
        shop.joined(phone)
    waiting = shop.counter.post(payment(1, card=HASHED))
    shop.members.claim(waiting.claim, shop.members.known_id(TWO), "test")
    people(shop).merge(ONE, TWO, "x")
    assert shop.members.claim(waiting.claim, shop.members.known_id(ONE), "test").seen_before


def test_forgetting_forgets_every_phone_of_the_person(shop: Shop) -> None:
    one = shop.joined(ONE)
    shop.joined(TWO)
    buy(shop, 1, TWO)
    people(shop).merge(ONE, TWO, "x")
    assert Profiles(shop.members).forget(one, "x", "test").ids == 2
    for phone in (ONE, TWO):
        with pytest.raises(NotFound):
            shop.members.known_id(phone)
    assert shop.members.add(TWO, "", "test").balance == 10
    assert shop.verified().bad == ()


def test_a_forgotten_phone_joins_again_also_after_another_one_of_the_person_has(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    buy(shop, 1, ONE)
    buy(shop, 2, TWO)
    people(shop).merge(ONE, TWO, "x")
    Profiles(shop.members).forget(one, "x", "test")
    again = shop.members.add(TWO, "", "test")
    assert (again.id, again.balance, again.created) == (two.hex(), 10, True)
    assert shop.counter.post(payment(3), two).balance == 21  # not what the other bare id has
    back = shop.members.add(ONE, "", "test")
    assert (back.id, back.balance, back.created) == (one.hex(), 31, True)
    assert shop.members.add(ONE, "", "test").created is False
    assert shop.verified().bad == ()


def test_a_phone_s_seal_is_not_made_for_the_member_it_answers_as(shop: Shop) -> None:
    one = shop.joined(ONE)
    shop.joined(TWO)
    people(shop).merge(ONE, TWO, "x")

    def lost_with_a_disk(tx: Transaction) -> None:
        tx.connection.execute("DELETE FROM secret WHERE member = ?", (one,))
        tx.keeps = True

    shop.ledger.write(lost_with_a_disk)
    shop.members.add(TWO, "", "test")
    sealed = shop.ledger.read(lambda c: c.execute("SELECT member FROM secret").fetchall())
    assert (one,) not in sealed


REFERRAL = """
schema = 1
[name]
fa = "مغازه"
[earn]
points = 1
per = 10
[bonus.guest]
kind = "referral"
points = 2
referrer_points = 7
"""


def test_who_sent_a_guest_is_thanked_as_who_they_answer_as_and_as_themselves_when_apart(shop: Shop) -> None:
    with_programme(shop, REFERRAL)
    one, two = shop.joined(ONE), shop.joined(TWO)
    people(shop).merge(ONE, TWO, "same person")
    guests = [shop.joined(phone) for phone in (THREE, "09371112233")]
    for guest in guests:
        Profiles(shop.members).tell(guest, Telling(referrer=TWO), "test")
    Profiles(shop.members).tell(guests[0], Telling(referrer=ONE), "test")  # one person: nothing new is told
    assert buy(shop, 1, THREE) == 12
    assert [balance(shop, each) for each in (one, two)] == [7, 0]
    people(shop).unmerge(TWO, "they are sisters")
    assert buy(shop, 2, "09371112233") == 12
    assert [balance(shop, each) for each in (one, two)] == [7, 7]
    assert faults(shop) == ()


def test_two_phones_of_one_person_do_not_send_each_other(shop: Shop) -> None:
    with_programme(shop, REFERRAL)
    one, two = shop.joined(ONE), shop.joined(TWO)
    Profiles(shop.members).tell(two, Telling(referrer=ONE), "test")
    people(shop).merge(TWO, ONE, "same person after all")
    buy(shop, 1, TWO)
    assert [balance(shop, each) for each in (one, two)] == [0, 12]
    assert faults(shop) == ()


def balance(shop: Shop, member: bytes) -> int:
    row = shop.ledger.read(lambda connection: reads.holder(connection, member))
    assert row is not None
    return row.balance


def test_a_refund_of_a_merged_person_tells_the_balance_of_all_their_ids(shop: Shop) -> None:
    one, two = shop.joined(ONE), shop.joined(TWO)
    buy(shop, 1, ONE)
    buy(shop, 2, TWO)
    people(shop).merge(ONE, TWO, "same person")
    sale, ref = PaymentKey(Scheme.RRN, TID, "2"), PaymentKey(Scheme.REQUEST, TID, "back")
    wish = Wish(Undoing.REFUND, sale, ref, 50, None, "test")
    foreseen, undone = Undo(shop.counter).foreseen(wish), Undo(shop.counter).undo(wish)
    assert [balance(shop, each) for each in (one, two)] == [10, 5]
    assert (foreseen.balance, undone.balance) == (15, 15)
    assert Undo(shop.counter).undo(wish).balance == 15  # told again, as it was told first
    assert faults(shop) == ()
