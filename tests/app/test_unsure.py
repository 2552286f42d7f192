"""Unsure sales that a person settles by their slips: paid once, or not, with who says so and why."""

import msgspec
import pytest
from lane_bench import Bench, beside_an_equal_one, posted
from shop import TID, Shop, payment

from vafa.app import support
from vafa.app.gaps import Gaps, Missed
from vafa.app.sales import Asked
from vafa.app.status import Facts, status
from vafa.app.unsure import settle_unpaid
from vafa.ledger import reads
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme

RRN, ZONE = "320062616116", "Asia/Tehran"


def unsure(shop: Shop, request: str = "till-1", member: bytes = b"") -> Asked:
    asked = shop.sales.ask(TID, request, 105, member, CardHint())
    shop.sales.end(asked, SaleOutcome.UNSURE, "TRM-002", None)
    return asked


def journal(shop: Shop, since: int = 0) -> list[events.Event]:
    return shop.ledger.read(lambda c: [each.event for each in reads.entries(c, since)])


def slip_of(asked: Asked) -> Missed:
    return Missed(TID, 105, RRN, "on the slip", sale=asked.number)


def test_the_slip_of_an_unsure_sale_ends_it_paid_for_whom_it_was_promised(shop: Shop) -> None:
    asked = unsure(shop)
    before = shop.ledger.head.seq
    outcome = Gaps(shop.counter).record(slip_of(asked), "uid 7")
    assert (outcome.claim, outcome.points) == (asked.claim, 10)
    recorded, award, ended = journal(shop, before)
    key = PaymentKey(Scheme.RRN, TID, RRN)
    assert recorded == events.Recorded(key, "uid 7", "on the slip")
    assert isinstance(award, events.Award)
    assert ended == events.SaleEnded((TID, "till-1"), SaleOutcome.RESOLVED_PAID, "", key)
    assert shop.sales.unresolved(TID) == []
    assert shop.counter.post(payment(int(RRN))).seen_before
    assert shop.verified().bad == ()


def test_a_member_who_was_named_gets_the_points_of_a_settled_sale(shop: Shop) -> None:
    member = bytes.fromhex(shop.members.add("09121236789", "", by="test").id)
    outcome = Gaps(shop.counter).record(slip_of(unsure(shop, member=member)), "uid 7")
    assert (outcome.claim, outcome.balance) == ("", 10)


def test_a_sale_that_was_heard_as_one_of_its_own_is_awarded_once_and_ends_the_unsure_one(shop: Shop) -> None:
    asked = unsure(shop)
    shop.counter.post(payment(int(RRN)))
    assert Gaps(shop.counter).record(slip_of(asked), "uid 7").seen_before
    assert len([each for each in journal(shop) if isinstance(each, events.Award)]) == 1
    assert shop.sales.unresolved(TID) == []


@pytest.mark.parametrize("wrong", [{"amount": 104}, {"terminal": "C0000302"}])
def test_another_sale_s_slip_does_not_end_it(shop: Shop, wrong: dict[str, object]) -> None:
    asked = unsure(shop)
    head = shop.ledger.head
    with pytest.raises(Refused, match="was asked for with 105 rial at terminal C0000301"):
        Gaps(shop.counter).record(msgspec.structs.replace(slip_of(asked), **wrong), "uid 7")
    assert shop.ledger.head == head


def test_a_preview_of_its_slip_leaves_the_sale_unsure(shop: Shop) -> None:
    asked = unsure(shop)
    assert Gaps(shop.counter).preview(slip_of(asked), "uid 7").points == 10
    assert [each.number for each in shop.sales.unresolved(TID)] == [asked.number]


def test_a_sale_nothing_was_charged_for_ends_with_who_says_so_and_why(shop: Shop) -> None:
    first, second = unsure(shop), unsure(shop, "till-2")
    facts = Facts("Kafe Negin", ZONE, ((TID, "ecr", "fed"),))
    told = shop.ledger.read(lambda c: status(c, None, facts, shop.wall_ms)).trouble
    assert sum(each.code == "TRM-008" for each in told) == 2
    assert settle_unpaid(shop.ledger, first.number.rpartition("-")[2], "uid 7", "no slip").seq == first.seq
    assert [each.number for each in shop.sales.unresolved(TID)] == [second.number]
    why = shop.ledger.read(lambda c: support.why(c, first.number, ZONE, shop.wall_ms, {}))
    assert "by uid 7: no slip" in str(why)
    assert shop.verified().bad == ()


def test_what_is_not_unsure_is_not_settled(shop: Shop) -> None:
    in_hand = shop.sales.ask(TID, "till-3", 105, b"", CardHint())
    with pytest.raises(Refused, match="still in hand"):
        settle_unpaid(shop.ledger, in_hand.number, "uid 7", "no slip")
    asked = unsure(shop)
    settle_unpaid(shop.ledger, asked.number, "uid 7", "no slip")
    with pytest.raises(NotFound, match="unsure"):
        settle_unpaid(shop.ledger, asked.number, "uid 7", "again")


def test_of_two_sales_that_would_fit_the_slip_tells_and_who_asks_again_hears_it(bench: Bench) -> None:
    """The terminal's list cannot tell which was ours. The lane waits for one, the books have its end."""
    work = beside_an_equal_one(bench)
    assert posted(bench) == []
    assert work.asked is not None
    settle_unpaid(bench.shop.ledger, work.asked.number, "uid 7", "the customer paid with another card")
    end = bench.lane.selling.sell("r-1", 105, b"", lambda: None)
    assert end.outcome is SaleOutcome.RESOLVED_UNPAID
    bench.run(lambda: len(posted(bench)) > 0)
