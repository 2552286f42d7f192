"""Two rials at once: rates by epoch, points never rescaled, refunds across the switch exact."""

from pathlib import Path

import pytest
from desk_bench import DeskBench
from rich_shop import faults
from shop import TID, Shop, payment

from vafa.app import support
from vafa.app.questions import Explained
from vafa.app.undo import Undo, Undoing, Undone, Wish
from vafa.club.programme import parse
from vafa.model.errors import Refused
from vafa.model.money import Currency, converted
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme

OLD, NEW = Currency.RIAL_CURRENT, Currency.RIAL_NEW
BOTH = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 50_000
[new_rial]
points = 1
per = 5
"""


@pytest.fixture
def both(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.programmes.activate(parse(BOTH), 0)
    return shop


def bought(shop: Shop, amount: int, currency: Currency) -> None:
    member = bytes.fromhex(shop.members.add("09121236789", "", "test").id)
    shop.counter.post(payment(1, amount, card=CardHint(), currency=currency), member)


def refund(shop: Shop, name: str, amount: int, currency: Currency) -> Undone:
    key, ref = PaymentKey(Scheme.RRN, TID, "1"), PaymentKey(Scheme.RRN, TID, name)
    return Undo(shop.counter).undo(Wish(Undoing.REFUND, key, ref, amount, None, "test", currency))


@pytest.mark.parametrize(
    ("amount", "of", "into", "is_so"),
    [
        (1, NEW, OLD, 10_000),
        (10_000, OLD, NEW, 1),
        (10_001, OLD, NEW, None),
        (7, OLD, OLD, 7),
        (0, OLD, NEW, 0),
    ],
)
def test_an_amount_converts_exactly_or_not_at_all(
    amount: int, of: Currency, into: Currency, is_so: int | None
) -> None:
    assert converted(amount, of, into) == is_so


def test_the_same_purchase_earns_the_same_in_either_rial(both: Shop, tmp_path: Path) -> None:
    bought(both, 1_050_000, OLD)
    (tmp_path / "new").mkdir()
    other = Shop(tmp_path / "new")
    other.programmes.activate(parse(BOTH), 0)
    bought(other, 105, NEW)
    assert both.balances() == other.balances() == [21]
    for shop in (both, other):
        assert faults(shop) == ()
        shop.ledger.close()


@pytest.mark.parametrize("parts", [[(300_000, OLD)], [(30, NEW)], [(10, NEW), (200_000, OLD)]])
def test_a_refund_after_the_switch_takes_what_an_all_old_one_takes(
    both: Shop, parts: list[tuple[int, Currency]]
) -> None:
    bought(both, 1_050_000, OLD)
    taken = [refund(both, f"r{n}", amount, currency).points for n, (amount, currency) in enumerate(parts)]
    assert sum(taken) == 6
    assert refund(both, "r0", *parts[0]).seen_before
    assert both.balances() == [15]
    assert faults(both) == ()
    both.ledger.close()


def test_more_than_was_paid_or_a_part_of_a_new_rial_is_refused(both: Shop) -> None:
    bought(both, 105, NEW)
    with pytest.raises(Refused, match="no whole number"):
        refund(both, "r1", 15_000, OLD)
    with pytest.raises(Refused, match="left of this sale"):
        refund(both, "r2", 1_060_000, OLD)
    assert refund(both, "r3", 1_050_000, OLD).points == 21
    both.ledger.close()


def test_a_sale_asked_of_a_terminal_in_new_rial_earns_by_its_rate(tmp_path: Path) -> None:
    desk = DeskBench(tmp_path)
    try:
        desk.shop.programmes.activate(parse(BOTH), None)
        sold = desk.ask(op="sell", request="r-1", amount=1_000, currency="new-rial")
        assert (sold["outcome"], sold["paid"]["points"]) == ("approved", 200)
        assert sold["paid"]["currency"] == "new-rial"
        other = desk.ask(op="sell", request="r-1", amount=1_000)
        assert other["answer"] == "failure"
        assert desk.ask(op="sell", request="r-1", amount=1_000, currency="new-rial") == sold
        assert faults(desk.shop) == ()
    finally:
        desk.close()


def test_a_member_s_history_tells_new_rial_in_the_rial_of_the_sum_above_it(both: Shop) -> None:
    bought(both, 105, NEW)
    refund(both, "r", 5, NEW)
    view = both.members.show(both.joined("09121236789"))
    assert [(line.amount, line.what) for line in view.history] == [
        (50_000, "refund"),
        (1_050_000, "purchase"),
    ]
    assert view.spent == 1_000_000
    both.ledger.close()


@pytest.mark.parametrize("extra", ["", "[expiry]\nmonths = 6\n"], ids=["plain", "with rules"])
def test_a_sale_in_new_rial_is_explained_by_its_own_rate(tmp_path: Path, extra: str) -> None:
    shop = Shop(tmp_path)
    shop.programmes.activate(parse(BOTH + extra), 0)
    bought(shop, 105, NEW)
    number = f"1-1-{shop.ledger.head.seq}"
    told = shop.ledger.read(lambda c: support.explain(c, number, "en", "Asia/Tehran", shop.wall_ms))
    assert isinstance(told, Explained)
    assert (told.points, told.mismatch) == (21, "")
    assert "all amounts here are in new rial, one of which is 10,000 rial" in told.lines
    assert "rate: 1 point(s) for every 5 rial" in told.lines
    assert "this purchase: 105 × 1 ÷ 5 = 21 points" in told.lines
    shop.ledger.close()
