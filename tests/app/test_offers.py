"""Offers at the counter: given by hand and by rule, used once, back with a whole sale, ended by time."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from club_rules import at
from rich_shop import faults
from shop import HASHED, HINTED, Shop, payment
from till import DAY_S, OTHER, RULES, TEN, Till

from vafa.app import returning
from vafa.app.offer_rounds import OfferRounds
from vafa.app.offer_words import Told
from vafa.app.offering import Wish as Give
from vafa.app.offering import found
from vafa.app.paper import Paper
from vafa.app.redeeming import Redeeming
from vafa.app.whatif import what_if
from vafa.club.programme import parse
from vafa.ledger import reads
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.receipt.slip import Message


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    shop = Shop(tmp_path)
    it = Till(shop)
    yield it
    assert faults(shop) == ()
    active = shop.programmes.at(shop.wall_ms // 1000)
    assert active is not None
    if len(it.shop.ledger.read(reads.programmes)) == 2:  # one version beside the first: nothing differs
        tried = shop.ledger.read(lambda c: what_if(reads.entries(c), active, active))
        assert tried.different == ()
    shop.ledger.close()


def test_an_offer_of_points_is_used_by_the_next_purchase_and_by_no_other(till: Till) -> None:
    given = till.give()
    assert till.row().offers == 1
    first, second = till.buys(), till.buys()
    assert (first.points, second.points) == (200, 100)
    assert [(told.how, told.en) for told in first.offers] == [("used", "Double points")]
    assert second.offers == ()
    assert till.row().offers == 0
    assert till.offer(given.event.offer).spent_seq == first.seq


def test_a_paper_told_again_is_the_first_one_whatever_happened_since(till: Till) -> None:
    till.give()
    till.give("sorry", "g-2")
    first = till.buys()
    assert [(told.how, told.fa) for told in first.offers] == [
        ("used", "دو برابر امتیاز"),
        ("open", "با پوزش"),
    ]
    till.number -= 1
    till.holds(till.give("sorry", "g-2").event.offer)
    till.captures(None)
    again = till.buys()
    assert again.seen_before
    assert again == msgspec.structs.replace(first, seen_before=True)


def test_a_request_given_again_gives_nothing_more_and_for_something_else_is_refused(till: Till) -> None:
    assert till.give().seen_before is False
    assert till.give().seen_before is True
    assert till.row().offers == 1
    with pytest.raises(Refused, match="gave something else"):
        till.give("sorry")
    with pytest.raises(NotFound, match=r"no offer 'boat'"):
        till.give("boat", "g-9")


def test_an_offer_is_good_from_its_first_to_its_last_day_both_included(till: Till) -> None:
    start = at("1404/10/08", "18:00")
    till.shop.wall_ms = start * 1000
    given = till.give(days=2, from_day="1404/10/10").event
    assert (given.from_at, given.until) == (at("1404/10/10", "00:00"), at("1404/10/13", "00:00"))
    for day, clock, points in (("09", "23:59", 100), ("12", "23:59", 200)):
        till.shop.wall_ms = at(f"1404/10/{day}", clock) * 1000
        assert till.buys().points == points
    till.give("double", "g-2", days=1)
    till.shop.wall_ms = at("1404/10/14", "00:00") * 1000
    assert till.buys().points == 100


def test_a_hint_never_uses_an_offer_and_is_told_of_none(till: Till) -> None:
    sale = till.buys(card=HINTED)
    till.shop.members.bind(till.member, sale.number, "test")
    till.give()
    guessed = till.buys(member=b"", card=HINTED)
    assert (guessed.member, guessed.points, guessed.offers) == (till.member, 100, ())
    assert till.buys().points == 200


def test_a_card_known_by_its_hash_uses_its_member_s_offer(till: Till) -> None:
    sale = till.buys(card=HASHED)
    till.shop.members.bind(till.member, sale.number, "test")
    till.give()
    assert till.buys(member=b"", card=HASHED).points == 200


def test_of_two_offers_the_one_that_ends_first_is_used_and_the_other_waits(till: Till) -> None:
    till.own("g-1", points=7)
    large = till.own("g-2", points=3, at_least=2_000)
    till.give("double", "g-3", days=1)
    assert [till.buys().points for _ in range(3)] == [200, 107, 100]
    assert till.offer(large.event.offer).spent_seq == 0


def test_an_offer_that_the_caps_leave_nothing_of_is_not_used_up(till: Till) -> None:
    till.rules(RULES + "[cap]\npayment = 100\n")
    given = till.give()
    sale = till.buys(1_000)
    assert (sale.points, [told.how for told in sale.offers]) == (100, ["open"])
    assert till.offer(given.event.offer).spent_seq == 0
    assert till.buys(600).points == 100  # the cap leaves some of it


def test_an_offer_works_under_rules_that_know_nothing_but_a_rate(till: Till) -> None:
    till.rules(RULES.split("[offer.double]", maxsplit=1)[0])
    till.own(points=50)
    assert [till.buys().points for _ in range(2)] == [150, 100]


def test_a_void_gives_the_offer_back_and_a_part_that_is_refunded_does_not(till: Till) -> None:
    given = till.give().event.offer
    sale = till.buys()
    till.undoes(sale, 400)
    assert till.offer(given).spent_seq == sale.seq
    undone = till.undoes(sale)
    assert till.offer(given).spent_seq == 0
    assert [(told.how, told.en) for told in undone.offers] == [("back", "Double points")]
    assert (till.row().offers, till.row().balance) == (1, 0)
    assert till.buys().points == 200


def test_refunds_that_leave_nothing_of_a_sale_give_its_offer_back(till: Till) -> None:
    given = till.give().event.offer
    sale = till.buys()
    for amount in (999, 1):
        assert till.offer(given).spent_seq == sale.seq
        till.undoes(sale, amount)
    assert till.offer(given).spent_seq == 0


def test_money_off_is_set_aside_captured_with_the_sale_and_back_with_a_whole_refund(till: Till) -> None:
    offer = till.give("sorry").event.offer
    quoted = Redeeming(till.shop.counter).quotes(till.member, 2_000)
    assert [(each.held.id, each.rials, each.no) for each in quoted.offers] == [(offer, 500, "")]
    held = till.holds(offer)
    assert (held.state, held.rials, held.points, held.offer) == ("held", 500, 0, offer)
    assert till.holds(offer).seen_before
    assert till.states() == {"welcome 0": "set aside"}
    with pytest.raises(Refused, match="it is set aside"):
        till.holds(offer, request="h-2")
    key = payment(1).key
    done = till.captures(key)
    assert (done.state, done.applied) == ("captured", 500)
    sale = till.buys(1_500)
    assert [told.offer.fa for told in sale.redeemed if told.offer] == ["با پوزش"]
    till.undoes(sale, 1_000)
    assert till.states() == {"welcome 0": "used"}
    undone = till.undoes(sale, 500)
    assert [told.how for told in undone.offers] == ["back"]
    assert till.states() == {"welcome 0": "open"}
    assert till.row().offers == 1


def test_a_hold_that_is_released_or_times_out_leaves_the_offer_open(till: Till) -> None:
    offer = till.give("sorry").event.offer
    till.holds(offer)
    assert Redeeming(till.shop.counter).release("h-1", "test").state == "released"
    till.holds(offer, request="h-2")
    till.shop.wall_ms += 11 * 60_000
    with pytest.raises(Refused, match="has ended"):
        till.captures(None, "h-2")
    till.holds(offer, request="h-3")
    assert till.captures(None, "h-3", applied=0).state == "released"
    assert till.states() == {"welcome 0": "open"}


def test_a_redemption_of_an_offer_can_be_taken_back_by_itself(till: Till) -> None:
    offer = till.give("sorry").event.offer
    till.holds(offer)
    till.captures(None)
    back = returning.give_back(till.shop.ledger, "h-1", TEN, None, "test", "Asia/Tehran")
    assert back.state == "returned"
    assert till.states() == {"welcome 0": "open"}


def test_what_an_offer_cannot_take_off_says_why(till: Till) -> None:
    offer = till.give("sorry").event.offer
    with pytest.raises(Refused, match="a bill of 1,000 rial or more"):
        till.holds(offer, bill=999)
    double = till.give("double", "g-2").event.offer
    with pytest.raises(Refused, match="the next purchase uses it by itself"):
        till.holds(double)
    till.member = till.joined(OTHER)
    with pytest.raises(NotFound, match="no such offer"):
        till.holds(offer)


def test_a_withdrawn_offer_is_used_no_more_and_a_used_one_cannot_be_withdrawn(till: Till) -> None:
    first, second = till.give().event.offer, till.give("double", "g-2").event.offer
    row, before = till.offering.withdraw(first, "a mistake", "test")
    assert (row.offer, before) == (first, False)
    assert till.offering.withdraw(first, "a mistake", "test")[1] is True
    assert till.buys().points == 200
    with pytest.raises(Refused, match="was used or has ended"):
        till.offering.withdraw(second, "too late", "test")
    assert till.buys().points == 100


def test_offers_whose_window_closed_lapse_by_attested_time_a_day_later(till: Till) -> None:
    rounds = OfferRounds(till.shop.ledger)
    till.give()
    till.shop.wall_ms += 30 * DAY_S * 1000
    assert rounds.run() == ""  # nobody vouches for this clock
    assert till.states() == {"welcome 0": "over"}
    assert till.buys().points == 100
    till.passes(0)
    assert rounds.run() == "1 offers lapsed"
    assert till.states() == {"welcome 0": "lapsed"}
    assert till.row().offers == 0


def test_a_purchase_of_the_last_day_that_is_heard_a_day_later_uses_the_offer(till: Till) -> None:
    rounds = OfferRounds(till.shop.ledger)
    given = till.give().event
    assert given.until is not None
    till.passes(15)
    till.shop.wall_ms = (given.until + 3_600) * 1000
    assert rounds.run() == ""
    assert till.buys(paid_at=given.until - 1).points == 200


def test_a_merged_person_uses_the_offers_of_all_their_ids_and_each_stays_where_it_is(till: Till) -> None:
    other = till.joined(OTHER)
    till.offering.give(other, Give("g-1", "double", None, 0, "", "", "test"))
    till.shop.ledger.write(lambda tx: tx.post(events.Merge(till.member, other, 0, "test")))
    sale = till.buys()
    assert (sale.points, till.row(other).offers) == (200, 0)
    till.undoes(sale)
    assert (till.row(other).offers, till.row().offers) == (1, 0)


def test_a_segment_is_given_in_slices_and_nobody_twice(till: Till) -> None:
    members = [till.joined(f"0912000{number:04d}") for number in range(120)]
    for member in members[:70]:
        till.buys(member=member)
        till.buys(member=member)
    wish = Give("g-1", "double", None, 0, "", "", "test")
    assert till.offering.foreseen_segment("regulars", wish, b"").offers <= 50
    given, after, slices = 0, b"", 0
    while True:
        part = till.offering.give_segment("regulars", wish, after)
        given, after, slices = given + part.offers, part.next, slices + 1
        assert part.offers <= 50
        if not after:
            break
    assert (given, slices >= 2) == (70, True)
    assert {till.row(member).offers for member in members[:70]} == {1}
    assert {till.row(member).offers for member in members[70:]} == {0}
    again = till.offering.give_segment("regulars", wish, b"")
    assert (again.offers, again.before > 0) == (0, True)
    with pytest.raises(NotFound, match="no segment 'strangers'"):
        till.offering.give_segment("strangers", wish, b"")


def test_an_offer_is_found_by_the_beginning_of_its_id(till: Till) -> None:
    name = till.give().event.offer
    read = till.shop.ledger.read
    assert read(lambda c: found(c, name.hex()[:5])).offer == name
    for text in ("", "zz", "00" * 9):
        with pytest.raises(NotFound):
            read(lambda c, t=text: found(c, t))  # type: ignore[misc]


def test_nothing_is_told_of_offers_to_whom_has_none(till: Till) -> None:
    assert till.buys().offers == ()
    assert Told("open", "x", "").last_day("Asia/Tehran") is None


def test_an_offer_whose_document_is_unreadable_stops_no_sale_and_verify_names_it(tmp_path: Path) -> None:
    till = Till(Shop(tmp_path))
    broken = events.Offer(b"broken--", till.member, '{"name":', None, None, "test")
    till.shop.ledger.write(lambda tx: tx.post(broken))
    assert till.buys().points == 100
    assert "its document cannot be read" in str(faults(till.shop)[0])
    till.shop.ledger.close()


def test_a_sale_of_whom_has_no_offer_asks_the_books_nothing_of_offers(till: Till) -> None:
    asked: list[str] = []
    till.buys()
    till.shop.ledger.read(lambda c: c.set_trace_callback(asked.append))
    till.buys()
    assert [sql for sql in asked if " offer " in sql] == []
    till.give()
    asked.clear()
    till.buys()
    assert [sql for sql in asked if " offer " in sql] != []
    till.shop.ledger.read(lambda c: c.set_trace_callback(None))


def test_under_other_rules_a_sale_uses_the_offer_it_used(till: Till) -> None:
    till.give()
    till.buys()
    other = parse(RULES.replace("per = 10", "per = 5"))
    tried = till.shop.ledger.read(lambda c: what_if(reads.entries(c), other, None))
    assert (tried.points_was, tried.points_would) == (200, 400)


def test_a_paper_tells_the_offer_or_a_message_and_never_both(till: Till) -> None:
    paper = Paper(
        "کافه", "Cafe", "en", "Asia/Tehran", till.shop.programmes, message=lambda _: Message("سلام", "Hello")
    )
    assert "Hello" in paper.lines(till.buys())
    till.give("sorry")
    told = paper.lines(till.buys())
    assert told[4:6] == ("Your offer: \u2068با پوزش\u2069", "valid until the end of 8 Bahman 1404")
    assert "Hello" not in told
