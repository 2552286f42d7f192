"""The arithmetic of a sale in words: by the names the shop gave, and of a claim as it was earned anew."""

from rich_shop import RICH, with_programme
from shop import HASHED, Shop, payment

from vafa.app import support
from vafa.app.explaining import explain_all
from vafa.app.offering import Offering, Wish
from vafa.app.questions import Explained

PHONE = "09121236789"
NAMED = (
    RICH
    + """
[offer.sorry]
grant = "by-hand"
name_fa = "ببخشید"
name_en = "Sorry"
valid_days = 10
points = 7
"""
)


def told(shop: Shop, number: str, lang: str) -> Explained:
    answer = shop.ledger.read(lambda c: support.explain(c, number, lang, "Asia/Tehran", shop.wall_ms))
    assert isinstance(answer, Explained)
    return answer


def test_what_the_shop_named_is_told_by_its_name_and_a_bonus_by_what_it_is_for(shop: Shop) -> None:
    with_programme(shop, NAMED)
    member = shop.joined(PHONE)
    Offering(shop.ledger, shop.programmes).give(member, Wish("g", "sorry", None, 0, "", "x", "test"))
    number = shop.counter.post(payment(amount=20_000), member).number
    persian, english = (told(shop, number, lang).lines for lang in ("fa", "en"))
    for line in (
        "در سطح عادی", "پاداش نخستین خرید: ۲۰ امتیاز بیشتر", "پیشنهاد ببخشید: ۷ امتیاز بیشتر",
        "کارت مهر قهوه: ۱ مهر دیگر",
    ):  # fmt: skip
        assert line in persian
    for line in ("bonus welcome: 20 points more", "offer Sorry: 7 points more"):
        assert line in english
    assert "in tier \u2068عادی\u2069" in english  # no English name: the Persian one, kept in its place


def test_of_two_bonuses_of_a_kind_each_is_told_apart(shop: Shop) -> None:
    with_programme(shop, RICH + '[bonus.second]\nkind = "first-purchase"\npoints = 1\n')
    lines = told(shop, shop.counter.post(payment(), shop.joined(PHONE)).number, "fa").lines
    assert any("نخستین خرید welcome" in line for line in lines)
    assert any("نخستین خرید second" in line for line in lines)


def test_a_claim_under_rules_is_explained_as_it_was_earned_anew(shop: Shop) -> None:
    with_programme(shop)
    waiting = shop.counter.post(payment(amount=20_000, card=HASHED))
    shop.counter.post(payment(2, amount=30_000, card=HASHED))
    shop.members.claim(waiting.claim, shop.joined(PHONE), "test")
    answer = told(shop, waiting.number, "en")
    claimed = [line.startswith("claimed with code") for line in answer.lines].index(True)
    assert "bonus welcome: 20 points more" in answer.lines[claimed:]
    assert "points for this purchase: 40" in answer.lines[claimed:]
    assert (answer.points, answer.mismatch) == (40, "")
    assert shop.ledger.read(explain_all) == (2, "")
