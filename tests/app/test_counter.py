"""Payments at the counter: once, to the right holder, with the first answer for ever."""

import msgspec
import pytest
from shop import HASHED, HINTED, TID, Shop, payment

from vafa.model.calendar import Calendar, WallTime
from vafa.model.errors import NotFound, Refused
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint
from vafa.model.payment import Payment, PaymentKey, Scheme, Source

PHONE = "09121236789"


def polled(live: Payment) -> Payment:
    """The same sale as a row of the terminal's journal: another mask, another calendar, no terminal id."""
    gregorian = WallTime(Calendar.GREGORIAN, 2025, 12, 30, 15, 39, 8)
    return msgspec.structs.replace(live, source=Source.POLLED, paid_at=gregorian, card=HINTED)


def test_a_payment_heard_twice_is_posted_once_with_the_first_answer(shop: Shop) -> None:
    first = shop.counter.post(payment())
    again = shop.counter.post(payment())
    assert (first.result, first.points, first.seen_before) == ("waiting", 10, False)
    assert again == msgspec.structs.replace(first, seen_before=True)
    assert shop.ledger.head.till.member == 10


@pytest.mark.parametrize("polled_first", [False, True])
def test_one_sale_live_and_polled_in_either_order_across_a_restart_is_one_award(
    shop: Shop, polled_first: bool
) -> None:
    heard = [payment(), polled(payment())]
    if polled_first:
        heard.reverse()
    first = shop.counter.post(heard[0])
    shop.restart()
    second = shop.counter.post(heard[1])
    assert (first.seen_before, second.seen_before) == (False, True)
    assert second.disagrees == ()
    assert second.number == first.number
    assert shop.ledger.head.till.member == 10


def test_two_equal_sales_a_second_apart_are_two(shop: Shop) -> None:
    shop.counter.post(payment(320062616116))
    shop.counter.post(payment(320062616117))
    assert shop.ledger.head.till.member == 20


def test_evidence_that_disagrees_is_told_and_never_a_second_award(shop: Shop) -> None:
    shop.counter.post(payment())
    again = shop.counter.post(payment(amount=999, trace="000997"))
    assert again.disagrees == ("amount", "trace")
    assert shop.ledger.head.till.member == 10


def test_a_members_card_by_its_hash_earns_and_shows_the_balance(shop: Shop) -> None:
    member = shop.members.add(PHONE, "", "test")
    waiting = shop.counter.post(payment(card=HASHED))
    shop.members.claim(waiting.claim, bytes.fromhex(member.id), "test")
    outcome = shop.counter.post(payment(320062616117, card=HASHED))
    assert (outcome.result, outcome.points, outcome.balance) == ("earned", 11, 21)


def test_a_hint_earns_but_never_shows_a_balance(shop: Shop) -> None:
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    first = shop.counter.post(payment())
    shop.members.claim(first.claim, member, "test")
    shop.members.bind(member, first.number, "test")
    outcome = shop.counter.post(payment(320062616117))
    assert (outcome.result, outcome.points, outcome.balance) == ("earned", 11, None)


def test_a_claim_on_a_hashed_card_takes_all_that_waits_as_if_enrolled_first(shop: Shop) -> None:
    outcomes = [shop.counter.post(payment(320062616116 + n, card=HASHED)) for n in range(2)]
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    claimed = shop.members.claim(outcomes[0].claim, member, "test")
    assert (claimed.payments, claimed.points, claimed.member.balance) == (2, 21, 21)
    assert shop.balances() == [21]
    assert shop.verified().bad == ()


def test_a_claim_on_a_hint_takes_only_its_own_payment_and_keeps_the_fraction(shop: Shop) -> None:
    outcomes = [shop.counter.post(payment(320062616116 + n)) for n in range(2)]
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    assert shop.members.claim(outcomes[0].claim, member, "test").points == 10
    assert shop.members.claim(outcomes[1].claim, member, "test").points == 11
    assert shop.balances() == [21]
    assert shop.verified().bad == ()


def test_a_claim_repeated_changes_nothing_and_by_another_member_is_refused(shop: Shop) -> None:
    outcome = shop.counter.post(payment())
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    other = bytes.fromhex(shop.members.add("09351112233", "", "test").id)
    shop.members.claim(outcome.claim, member, "test")
    again = shop.members.claim("".join(chr(0x6F0 + int(digit)) for digit in outcome.claim), member, "test")
    assert (again.seen_before, again.points, again.member.balance) == (True, 0, 10)
    with pytest.raises(Refused, match="another member"):
        shop.members.claim(outcome.claim, other, "test")
    with pytest.raises(NotFound, match="no points wait"):
        shop.members.claim("000000000", member, "test")


def test_a_card_of_one_member_is_not_bound_to_another(shop: Shop) -> None:
    outcome = shop.counter.post(payment(card=HASHED))
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    other = bytes.fromhex(shop.members.add("09351112233", "", "test").id)
    shop.members.bind(member, outcome.key.ref, "test")
    shop.members.bind(member, outcome.key.ref, "test")
    with pytest.raises(Refused, match="another member"):
        shop.members.bind(other, outcome.key.ref, "test")


def test_what_is_no_sale_is_kept_and_earns_nothing(shop: Shop) -> None:
    outcome = shop.counter.post(payment(is_sale=False))
    assert (outcome.result, outcome.why, outcome.points) == ("nothing", "not_a_sale", 0)
    assert shop.ledger.head.till.member == 0


def test_a_phone_is_sealed_and_shown_masked(shop: Shop) -> None:
    view = shop.members.add("۰۹۱۲۱۲۳۶۷۸۹", "Sara", "test")
    assert (view.phone, view.name, view.created) == ("0912•••6789", "Sara", True)
    assert shop.members.add(PHONE, "", "test").created is False
    stored = b"".join(path.read_bytes() for path in shop.directory.iterdir())
    for readable in (b"9121236789", "۹۱۲۱۲۳۶۷۸۹".encode(), b"Sara"):
        assert readable not in stored
    assert b"6789" in stored


def test_a_sale_is_written_down_before_it_is_asked_and_ends_once(shop: Shop) -> None:
    asked = shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    assert shop.sales.ask(TID, "r-1", 105, b"", CardHint()) == asked
    assert [sale.request for sale in shop.sales.unresolved(TID)] == ["r-1"]
    outcome = shop.sales.end(asked, SaleOutcome.APPROVED, "00", payment())
    assert outcome is not None
    assert (outcome.claim, outcome.points) == (asked.claim, asked.points_promised)
    assert shop.sales.unresolved(TID) == []
    assert shop.sales.end(asked, SaleOutcome.APPROVED, "00", payment()) == msgspec.structs.replace(
        outcome, seen_before=True
    )
    assert shop.sales.outcome(asked) == outcome
    assert shop.verified().bad == ()


def test_a_request_used_for_another_amount_is_refused(shop: Shop) -> None:
    shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    with pytest.raises(Refused, match="was a sale of 105"):
        shop.sales.ask(TID, "r-1", 106, b"", CardHint())


@pytest.mark.parametrize("outcome", [SaleOutcome.DECLINED, SaleOutcome.CANCELLED, SaleOutcome.TIMED_OUT])
def test_a_sale_that_is_not_paid_changes_no_balance(shop: Shop, outcome: SaleOutcome) -> None:
    asked = shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    before = shop.ledger.head.till
    assert shop.sales.end(asked, outcome, "51", None) is None
    assert shop.ledger.head.till == before
    assert shop.sales.unresolved(TID) == []


def test_an_unsure_sale_stays_open_until_the_terminals_journal_resolves_it(shop: Shop) -> None:
    asked = shop.sales.ask(TID, "r-1", 105, b"", CardHint())
    shop.sales.end(asked, SaleOutcome.UNSURE, "", None)
    shop.restart()
    (left,) = shop.sales.unresolved(TID)
    assert left.ended is SaleOutcome.UNSURE
    outcome = shop.sales.end(left, SaleOutcome.RESOLVED_PAID, "00", payment(source=Source.POLLED))
    assert outcome is not None
    assert outcome.claim == asked.claim
    assert shop.sales.unresolved(TID) == []


def test_a_card_number_in_an_id_is_kept_as_a_token_and_stays_distinct(shop: Shop) -> None:
    pans = ["6219861034529007", "6037991234567893"]
    asked = [shop.sales.ask(TID, pan, 105, b"", CardHint()) for pan in pans]
    assert asked[0].request != asked[1].request
    for pan, sale in zip(pans, asked, strict=True):
        assert pan not in sale.request
        assert shop.sales.known(TID, pan) == sale


def test_local_and_switch_references_are_different_identities(shop: Shop) -> None:
    shop.counter.post(payment())
    local = msgspec.structs.replace(payment(), key=PaymentKey(Scheme.SENDER, TID, "320062616116"))
    assert shop.counter.post(local).seen_before is False


def test_a_sale_of_a_known_card_asks_the_ledger_two_questions_and_writes_three_rows(shop: Shop) -> None:
    outcome = shop.counter.post(payment(card=HASHED))
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    shop.members.claim(outcome.claim, member, "test")
    asked: list[str] = []
    shop.ledger.read(lambda connection: connection.set_trace_callback(asked.append))
    shop.counter.post(payment(320062616117, card=HASHED))
    begins = [" ".join(statement.split()[:3]) for statement in asked]
    assert begins == [
        "BEGIN IMMEDIATE", "SELECT EXISTS (SELECT", "SELECT token.seq, EXISTS",
        "INSERT INTO journal", "INSERT INTO payment", "UPDATE member SET", "COMMIT",
    ]  # fmt: skip
