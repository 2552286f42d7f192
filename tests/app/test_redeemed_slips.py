"""What a slip says of what was spent and what came back: the whole balance, the one never for the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shop import PROGRAMME, Shop, payment

from vafa.app import returning
from vafa.app.joined_people import JoinedPeople
from vafa.app.paper import Paper
from vafa.app.recheck import Recheck
from vafa.app.redeem_words import Redeemed
from vafa.app.redeeming import Redeeming, Wish
from vafa.club.programme import parse
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import verify
from vafa.model.payment import PaymentKey, Scheme

ONE, OTHER = "09121236789", "09351112233"
RULES = (
    PROGRAMME
    + """
[stamp.coffee]
name_fa = "قهوه"
needed = 1
[reward.cup]
kind = "stamps"
name_fa = "قهوه رایگان"
name_en = "Free coffee"
stamp = "coffee"
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
name_en = "Money off"
points = 1
rial = 10
"""
)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    shop.programmes.activate(parse(RULES), None)
    yield shop
    connection = connect_reader(shop.ledger.path)
    try:
        assert verify(connection, Recheck(connection)).bad == ()
    finally:
        connection.close()
    shop.ledger.close()


def joined(shop: Shop, phone: str, number: int, rials: int) -> bytes:
    member = bytes.fromhex(shop.members.add(phone, "", "test").id)
    shop.counter.post(payment(number, rials, paid_at=None), member)
    return member


def spent(shop: Shop, member: bytes, reward: str, points: int | None = None) -> Redeemed:
    redeeming = Redeeming(shop.counter)
    redeeming.hold(Wish(reward, member, reward, 10_000, points, "test"))
    return redeeming.capture(reward, None, None, "test")


def came_back(shop: Shop, reward: str) -> Redeemed:
    ref = PaymentKey(Scheme.REQUEST, "", f"back-{reward}")
    return returning.give_back(shop.ledger, reward, ref, None, "test", "Asia/Tehran")


def lines(shop: Shop, done: Redeemed, lang: str = "en") -> str:
    paper = Paper("کافه نگین", "Kafe Negin", lang, "Asia/Tehran", shop.programmes)
    return " | ".join(paper.redeemed_lines(done))


@pytest.mark.parametrize(
    ("lang", "was_spent", "is_back"),
    [
        ("en", "For a full stamp card: Free coffee", "Back on the stamp card: Free coffee"),
        ("fa", "بابت کارت مهر کامل", "برگشت به کارت مهر"),
    ],
)
def test_the_slip_of_stamps_that_came_back_does_not_read_as_if_they_were_spent(
    shop: Shop, lang: str, was_spent: str, is_back: str
) -> None:
    member = joined(shop, ONE, 1, 1_000)
    assert was_spent in lines(shop, spent(shop, member, "cup"), lang)
    back = came_back(shop, "cup")
    assert is_back in lines(shop, back, lang)
    assert was_spent not in lines(shop, back, lang)
    assert came_back(shop, "cup").balance == back.balance == 100


def test_a_merged_person_s_slip_tells_their_whole_balance(shop: Shop) -> None:
    one, _ = joined(shop, ONE, 1, 1_000), joined(shop, OTHER, 2, 3_000)
    JoinedPeople(shop.ledger, shop.tokens).merge(ONE, OTHER, "one person")
    done = spent(shop, one, "off", 40)
    assert done.balance == 360
    assert Redeeming(shop.counter).capture("off", None, None, "test").balance == 360
    assert "360" in lines(shop, done)
    assert (came_back(shop, "off").balance, came_back(shop, "off").balance) == (400, 400)


def test_a_merged_person_s_slip_counts_points_that_were_held_and_not_applied(shop: Shop) -> None:
    one, _ = joined(shop, ONE, 1, 1_000), joined(shop, OTHER, 2, 3_000)
    JoinedPeople(shop.ledger, shop.tokens).merge(ONE, OTHER, "one person")
    redeeming = Redeeming(shop.counter)
    held = redeeming.hold(Wish("all", one, "off", 10_000, 390, "test"))
    assert held.points == 390  # of both ids
    assert redeeming.capture("all", 70, None, "test").balance == 393
    assert came_back(shop, "all").balance == 400
