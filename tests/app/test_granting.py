"""Offers that rules give: with a sale, with what goes back, by the calendar; once for an occasion."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from club_rules import at
from rich_shop import faults
from shop import HASHED, Shop
from till import OTHER, Till

from vafa.app.moving import Moving
from vafa.app.offer_rounds import OfferRounds
from vafa.app.recheck_offers import OfferRecheck
from vafa.club.offers import identity
from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.model import events
from vafa.model.events import Kind, OfferEnd
from vafa.model.money import Currency

START = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 10
"""


def offer(name: str, text: str, brings: str = "points = 5") -> str:
    return f'[offer.{name}]\nname_fa = "{name}"\nvalid_days = 10\n{brings}\n{text}\n'


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    assert faults(shop) == ()
    shop.ledger.close()


def open_ones(till: Till) -> list[str]:
    return sorted(name for name, state in till.states().items() if state == "open")


def test_the_first_purchase_gives_once_and_the_next_uses_it(shop: Shop) -> None:
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"'))
    first = till.buys()
    assert [(told.how, told.fa) for told in first.offers] == [("open", "hello")]
    assert [till.buys().points for _ in range(2)] == [105, 100]
    assert till.states() == {"first-purchase 0": "used"}


def test_every_large_purchase_gives_a_discount_for_the_next_unless_one_is_open(shop: Shop) -> None:
    rule = offer("next", 'grant = "purchase"\nfrom_amount = 500', "percent_off = 10")
    till = Till(shop, START + rule)
    till.buys(499)
    assert open_ones(till) == []
    till.buys(500)
    till.buys(500)
    assert open_ones(till) == ["purchase 2"]
    (name,) = (identity(till.member, "next", 2),)
    assert till.holds(name, bill=1_000).rials == 100
    till.captures(None)
    till.buys(900)
    assert open_ones(till) == ["purchase 4"]


def test_thanks_after_so_many_visits_and_after_so_much_spent(shop: Shop) -> None:
    rules = offer("third", 'grant = "visit"\nvisit = 3\nrepeat = true')
    rules += offer("second", 'grant = "visit"\nvisit = 2') + offer(
        "rich", 'grant = "spend"\nevery_rial = 4_000'
    )
    till = Till(shop, START + rules)
    for _ in range(6):
        till.buys()
    assert sorted(till.states()) == ["spend 1", "visit 0", "visit 3", "visit 6"]


def test_a_tier_that_is_reached_gives_and_a_purchase_below_gives_nothing(shop: Shop) -> None:
    tiers = '[tier.a]\nat_least = 0\nname_fa = "a"\n[tier.b]\nat_least = 3_000\nname_fa = "b"\n'
    till = Till(shop, START + tiers + offer("up", 'grant = "tier-up"'))
    till.buys(2_000)
    assert till.states() == {}
    till.buys(1_000)
    assert list(till.states().values()) == ["open"]


def test_an_apology_comes_once_with_what_goes_back_and_is_told_on_its_slip(shop: Shop) -> None:
    till = Till(shop, START + offer("sorry", 'grant = "returned"', "discount = 300"))
    sale = till.buys()
    undone = till.undoes(sale, 300)
    assert [(told.how, told.fa) for told in undone.offers] == [("open", "sorry")]
    till.undoes(sale, 300)
    rest = till.undoes(sale)
    assert rest.offers == ()
    assert open_ones(till) == [f"returned {sale.seq}"]
    till.undoes(till.buys())
    assert len(till.states()) == 1  # one of it is open still


def test_who_brings_everything_back_keeps_no_coupon_and_who_bought_anew_gets_no_second(shop: Shop) -> None:
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"'))
    till.undoes(till.buys())
    assert till.states() == {"first-purchase 0": "its sale went back"}
    assert till.row().offers == 0
    till.buys()
    assert till.states() == {"first-purchase 0": "its sale went back"}


def test_a_part_that_goes_back_leaves_what_the_sale_gave_and_a_used_one_stays_used(shop: Shop) -> None:
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"'))
    first = till.buys()
    till.undoes(first, 400)
    assert open_ones(till) == ["first-purchase 0"]
    till.buys()
    till.undoes(first)
    assert till.states() == {"first-purchase 0": "used"}


def test_a_claimed_purchase_gives_what_it_would_have_given_a_member(shop: Shop) -> None:
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"'))
    waiting = till.buys(member=b"", card=HASHED)
    assert waiting.offers == ()
    shop.members.claim(waiting.claim, till.member, "test")
    assert open_ones(till) == ["first-purchase 0"]
    till.undoes(waiting)
    assert till.states() == {"first-purchase 0": "its sale went back"}


def test_a_claimed_purchase_that_was_moved_and_goes_back_takes_its_offer_from_who_claimed_it(
    shop: Shop,
) -> None:
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"'))
    waiting = till.buys(member=b"", card=HASHED)
    shop.members.claim(waiting.claim, till.member, "test")
    Moving(shop.ledger).move(waiting.number, till.joined(OTHER), "it was theirs", "test")
    till.undoes(waiting)
    assert till.states() == {"first-purchase 0": "its sale went back"}


def test_a_purchase_of_which_nothing_is_left_gives_no_offer_to_who_claims_it(shop: Shop) -> None:
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"'))
    waiting = till.buys(member=b"", card=HASHED)
    till.undoes(waiting, 1_000)
    shop.members.claim(waiting.claim, till.member, "test")
    assert till.states() == {}


def test_what_was_spent_in_new_rial_counts_in_today_s(shop: Shop) -> None:
    rule = offer("thanks", 'grant = "spend"\nevery_rial = 1_000_000')
    till = Till(shop, START + "[new_rial]\npoints = 1\nper = 1\n" + rule)
    till.buys(400_000)
    assert open_ones(till) == []
    sale = till.buys(70, currency=Currency.RIAL_NEW)
    assert (open_ones(till), till.row().spent) == (["spend 1"], 1_100_000)
    till.undoes(sale, 200_000)
    assert till.row().spent == 900_000
    Moving(shop.ledger).move(sale.number, till.joined(OTHER), "it was theirs", "test")
    assert (till.row().spent, till.row(till.joined(OTHER)).spent) == (400_000, 500_000)


def test_a_rule_gives_only_to_its_segment(shop: Shop) -> None:
    rule = offer("third", 'grant = "visit"\nvisit = 1\nrepeat = true\nsegment = "new"')
    segment = '[segment.new]\nname_fa = "تازه"\nvisits_below = 3\n'
    till = Till(shop, START + rule + segment)
    for _ in range(4):
        till.buys()
    assert sorted(till.states()) == ["visit 1", "visit 2"]


def test_a_birthday_gives_in_its_days_once_a_year_and_late_while_it_lasts(shop: Shop) -> None:
    till = Till(shop, START + offer("cake", 'grant = "birthday"\ndays_before = 2'))
    profile = events.Profile(till.member, 2, None, b"", (2, 10), "test", shop.wall_ms // 1000)
    shop.ledger.write(lambda tx: tx.post(profile))
    for day, so_far in (
        ("1405/02/07", []),
        ("1405/02/08", ["birthday 1405"]),
        ("1405/02/09", ["birthday 1405"]),
    ):
        shop.wall_ms = at(day) * 1000
        till.passes(0)
        OfferRounds(shop.ledger).run()
        assert open_ones(till) == so_far
    row = till.offer(identity(till.member, "cake", 1405))
    assert (row.from_at, row.until) == (at("1405/02/08", "00:00"), at("1405/02/19", "00:00"))
    shop.wall_ms = at("1406/02/15") * 1000  # the device was off on the day
    till.passes(0)
    OfferRounds(shop.ledger).run()
    late = till.offer(identity(till.member, "cake", 1406))
    assert late.until == at("1406/02/19", "00:00")


def test_who_stays_away_is_given_once_for_that_absence_by_attested_time_alone(shop: Shop) -> None:
    till = Till(shop, START + offer("back", 'grant = "lapsed"\naway_days = 30'))
    rounds = OfferRounds(shop.ledger)
    till.buys()
    shop.wall_ms += 40 * 86_400_000
    assert rounds.run() == ""  # nobody vouches for this clock
    till.passes(0)
    assert rounds.run() == "1 offers given by rule"
    till.passes(1)
    assert rounds.run() == ""
    assert till.buys().points == 105
    till.passes(31)
    assert rounds.run() == "1 offers given by rule"
    assert sorted(till.states().values()) == ["open", "used"]


def test_many_birthdays_on_one_day_are_given_in_slices(shop: Shop) -> None:
    till = Till(shop, START + offer("cake", 'grant = "birthday"'))
    members = [till.joined(f"0912000{number:04d}") for number in range(45)]
    now = shop.wall_ms // 1000
    for member in members:
        profile = events.Profile(member, 2, None, b"", (10, 8), "test", now)
        shop.ledger.write(lambda tx, p=profile: tx.post(p))  # type: ignore[misc]
    till.passes(0)
    assert OfferRounds(shop.ledger).run() == "45 offers given by rule"


def test_a_sale_heard_weeks_late_gives_what_the_next_one_heard_late_used_and_tells_nobody(shop: Shop) -> None:
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"'))
    then = shop.wall_ms // 1000 + 60
    till.passes(20)
    first = till.buys(paid_at=then)
    assert first.offers == ()
    assert till.states() == {"first-purchase 0": "over"}
    assert till.buys(paid_at=then + 86_400).points == 105


def test_a_clock_that_no_calendar_reaches_stops_no_sale(shop: Shop) -> None:
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"'))
    assert till.buys(paid_at=2**40).points == 100
    assert till.states() == {}


def test_a_moved_purchase_that_is_voided_gives_back_and_takes_what_was_the_first_member_s(shop: Shop) -> None:
    till = Till(shop, START + offer("third", 'grant = "visit"\nvisit = 2') + offer("hand", ""))
    till.buys()
    used = till.give("hand").event.offer
    sale = till.buys()
    assert (till.offer(used).spent_seq, sorted(till.states().values())) == (sale.seq, ["open", "used"])
    other = till.joined(OTHER)
    Moving(shop.ledger).move(sale.number, other, "it was theirs", "test")
    assert sorted(till.states().values()) == ["open", "used"]
    till.undoes(sale)
    assert sorted(till.states().values()) == ["its sale went back", "open"]
    assert (till.row().offers, till.row(other).offers) == (1, 0)


WRONG: dict[str, dict[str, Any]] = {
    "its id is not that of its member": {"offer": b"x" * 8},
    "did not give it then": {"occasion": 7},
    "no such offer": {"offer": b"y" * 8, "document": '{"name":"boat","fa":"x"}'},
    "its document cannot be read": {"offer": b"z" * 8, "document": "{}"},
    "not in canonical form": {"offer": b"w" * 8, "document": '{"fa":"x", "name":"hello"}'},
}


@pytest.mark.parametrize("why", WRONG)
def test_verify_names_an_offer_that_no_rule_gave(tmp_path: Path, why: str) -> None:
    shop = Shop(tmp_path)
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"'))
    till.buys()
    given = shop.ledger.read(lambda c: next(each.event for each in reads.entries(c, 0, (Kind.OFFER,))))
    assert isinstance(given, events.Offer)
    wrong = msgspec.structs.replace(given, **WRONG[why])
    if "occasion" in WRONG[why]:
        wrong = msgspec.structs.replace(wrong, offer=identity(given.holder, "hello", 7))
    assert faults(shop) == ()
    shop.ledger.write(lambda tx: tx.post(wrong))
    assert why in str(faults(shop)[0])
    shop.ledger.close()


def test_verify_names_an_offer_that_ended_though_its_sale_stands_and_a_paper_s_that_never_was(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    till = Till(shop, START + offer("hello", 'grant = "first-purchase"') + offer("hand", "", "discount = 5"))
    till.buys()
    hello, hand = identity(till.member, "hello", 0), till.give("hand").event.offer
    ended = events.OfferEnded(hello, till.member, OfferEnd.UNEARNED, "x", "rule", 1)
    shop.ledger.write(lambda tx: tx.post(ended))
    assert "its sale did not go back" in str(faults(shop)[0])
    with contextlib.closing(connect_reader(shop.ledger.path)) as reader:
        recheck = OfferRecheck(reader)
        sale = reads.entry(reader, till.buys().seq).event
        assert isinstance(sale, events.Award)
        assert sale.told == hand
        assert "which was never given" in recheck.untold(sale)
    shop.ledger.close()
