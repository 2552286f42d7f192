"""Tiers lost at evaluation instants by the job: by attested time, once, and verified."""

from club_rules import at
from rich_shop import PHONE, faults, with_programme
from shop import Shop, payment

from vafa.app.evaluating import Evaluations
from vafa.club.programme import parse
from vafa.ledger import reads
from vafa.model import events
from vafa.model.events import Kind

YEARLY = """
schema = 1
[name]
fa = "مغازه"
[earn]
points = 1
per = 1_000
[tiers]
window = "year"
[tier.blue]
at_least = 0
name_fa = "آبی"
[tier.silver]
at_least = 100_000
name_fa = "نقره‌ای"
[tier.gold]
at_least = 500_000
name_fa = "طلایی"
"""


def attested(shop: Shop, day: str, clock: str = "12:00") -> None:
    """Somebody vouched for this time, and the device's clock says it too."""
    now = at(day, clock)
    shop.wall_ms = now * 1000
    shop.ledger.write(lambda tx: tx.post(events.ClockAttested(now, "test")))


def tier(shop: Shop, member: bytes) -> str:
    row = shop.ledger.read(lambda c: reads.holder(c, member))
    assert row is not None
    return row.tier


def changes(shop: Shop) -> list[tuple[str, str, str]]:
    found = shop.ledger.read(lambda c: list(reads.entries(c, 0, (Kind.TIER_CHANGED,))))
    return [
        (each.event.tier_before, each.event.tier, each.event.why)
        for each in found
        if isinstance(each.event, events.TierChanged)
    ]


def gold(shop: Shop) -> bytes:
    """A member who reached gold in Mordad 1404."""
    with_programme(shop, YEARLY)
    shop.members.add(PHONE, "", "test")
    member = shop.members.known_id(PHONE)
    shop.counter.post(payment(1, 600_000, paid_at=at("1404/05/05")), member)
    assert tier(shop, member) == "gold"
    return member


def test_a_tier_is_kept_through_the_next_year_and_lost_one_by_one_after_it(shop: Shop) -> None:
    member = gold(shop)
    evaluations = Evaluations(shop.ledger)
    for day, expected in (
        ("1404/12/29", "gold"),
        ("1405/01/01", "gold"),
        ("1405/12/29", "gold"),
        ("1406/01/01", "silver"),
        ("1406/05/01", "silver"),
        ("1407/02/01", "blue"),  # the device was off at Nowruz
        ("1408/02/01", "blue"),
    ):
        attested(shop, day)
        evaluations.run()
        evaluations.run()
        assert tier(shop, member) == expected, day
    assert changes(shop)[1:] == [
        ("gold", "silver", "not reached again"),
        ("silver", "blue", "not reached again"),
    ]
    assert faults(shop) == ()


def test_a_start_anew_at_the_same_instant_takes_nothing_twice(shop: Shop) -> None:
    member = gold(shop)
    attested(shop, "1406/01/02")
    assert Evaluations(shop.ledger).run() == "1 members changed their tier"
    assert Evaluations(shop.ledger).run() == ""
    assert tier(shop, member) == "silver"


def test_a_clock_nobody_vouched_for_takes_no_tier(shop: Shop) -> None:
    member = gold(shop)
    shop.wall_ms = at("1410/01/02") * 1000
    assert Evaluations(shop.ledger).run() == ""
    assert tier(shop, member) == "gold"


def test_rules_that_came_later_do_not_reach_back(shop: Shop) -> None:
    member = gold(shop)
    attested(shop, "1406/01/20")
    shop.programmes.activate(parse(YEARLY.replace("500_000", "5_000_000")), at("1406/01/10"))
    assert Evaluations(shop.ledger).run() == ""
    assert tier(shop, member) == "gold"


def test_a_tier_whose_metric_the_rules_do_not_give_is_found(shop: Shop) -> None:
    member = gold(shop)
    wrong = events.TierChanged(
        member, "gold", "silver", 7, "not reached again", at("1406/01/01", "00:00"), shop_programme(shop)
    )
    shop.ledger.write(lambda tx: tx.post(wrong))
    assert "tier: stored" in str(faults(shop)[0])


def shop_programme(shop: Shop) -> bytes:
    found = shop.programmes.at(at("1406/01/01"))
    assert found is not None
    return found.id
