"""Gaps and missed sales: closed once with who and why, entered once, whatever the terminal tells later."""

import pytest
from shop import TID, Shop, payment

from vafa.app.gaps import Gaps, Missed
from vafa.ledger import reads
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.payment import PaymentKey, Scheme, Source

RRN = "320062616116"
PHONE = "09121236789"
MISSED = Missed(TID, 105, RRN, "on the slip, not in the list")


def gap(shop: Shop) -> str:
    posted = shop.ledger.write(lambda tx: tx.post(events.GapDetected(TID, "000990", "000996", "it rolled")))
    return f"1-{posted.epoch}-{posted.seq}"


def journal(shop: Shop, since: int = 0) -> list[events.Event]:
    return shop.ledger.read(lambda c: [each.event for each in reads.entries(c, since)])


def changed(missed: Missed, **fields: object) -> Missed:
    import msgspec

    return msgspec.structs.replace(missed, **fields)


def test_an_open_gap_is_listed_with_the_traces_it_lies_between(shop: Shop) -> None:
    number = gap(shop)
    (listed,) = Gaps(shop.counter).open()
    assert (listed.number, listed.terminal, listed.after_trace, listed.before_trace) == (
        number, TID, "000990", "000996",
    )  # fmt: skip


@pytest.mark.parametrize("as_written", ["whole", "end", "persian"])
def test_a_gap_is_closed_once_with_who_and_why(shop: Shop, as_written: str) -> None:
    number = gap(shop)
    end = number.rpartition("-")[2]
    text = {"whole": number, "end": end, "persian": end.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))}
    gaps = Gaps(shop.counter)
    assert gaps.close(text[as_written], "uid 7", "all slips compared").number == number
    assert journal(shop)[-1] == events.GapClosed((1, int(end)), "uid 7", "all slips compared")
    assert gaps.open() == ()
    with pytest.raises(Refused, match="closed already"):
        gaps.close(number, "uid 7", "again")
    assert shop.verified().bad == ()


@pytest.mark.parametrize("number", ["99", "1-1-99", "", "x", "9" * 30])
def test_what_is_no_gap_is_not_found(shop: Shop, number: str) -> None:
    gap(shop)
    with pytest.raises(NotFound):
        Gaps(shop.counter).close(number, "uid 7", "why")


def test_a_missed_sale_is_awarded_with_who_entered_it_in_one_commit(shop: Shop) -> None:
    before = shop.ledger.head.seq
    outcome = Gaps(shop.counter).record(MISSED, "uid 7")
    recorded, award = journal(shop, before)
    key = PaymentKey(Scheme.RRN, TID, RRN)
    assert recorded == events.Recorded(key, "uid 7", MISSED.why)
    assert isinstance(award, events.Award)
    assert (award.paid.key, award.paid.source, award.points) == (key, Source.RECORDED, 10)
    assert (outcome.result, outcome.claim) == ("waiting", award.claim)
    assert shop.verified().bad == ()


def test_a_preview_writes_nothing_and_says_what_would_come(shop: Shop) -> None:
    head = shop.ledger.head
    shown = Gaps(shop.counter).preview(MISSED, "uid 7")
    assert (shown.points, shown.seen_before) == (10, False)
    assert shop.ledger.head == head
    assert not shop.counter.knows(shown.key)
    assert Gaps(shop.counter).record(MISSED, "uid 7").number == shown.number


@pytest.mark.parametrize("source", [Source.LIVE, Source.POLLED])
@pytest.mark.parametrize("recorded_first", [True, False])
def test_a_sale_entered_and_told_is_one_sale_in_either_order(
    shop: Shop, source: Source, recorded_first: bool
) -> None:
    gaps, told = Gaps(shop.counter), payment(int(RRN), source=source)
    if recorded_first:
        gaps.record(MISSED, "uid 7")
        assert shop.counter.post(told).seen_before
    else:
        shop.counter.post(told)
        before = shop.ledger.head
        assert gaps.record(changed(MISSED, amount=999), "uid 7").disagrees == ("amount",)
        assert shop.ledger.head == before
    assert shop.ledger.head.till.member == 10


def test_a_missed_sale_goes_to_the_member_named(shop: Shop) -> None:
    member = bytes.fromhex(shop.members.add(PHONE, "", "test").id)
    outcome = Gaps(shop.counter).record(changed(MISSED, member=member, paid_at=1_767_000_000), "uid 7")
    assert (outcome.result, outcome.balance, outcome.paid_at) == ("earned", 10, 1_767_000_000)


def test_the_sale_that_explains_a_gap_closes_it_in_the_same_commit(shop: Shop) -> None:
    number = gap(shop)
    gaps = Gaps(shop.counter)
    gaps.preview(changed(MISSED, gap=number), "uid 7")
    assert len(gaps.open()) == 1
    gaps.record(changed(MISSED, gap=number), "uid 7")
    assert gaps.open() == ()
    closed = journal(shop)[-1]
    assert isinstance(closed, events.GapClosed)
    assert RRN in closed.why


def test_a_sale_for_a_gap_that_is_none_is_not_entered(shop: Shop) -> None:
    head = shop.ledger.head
    with pytest.raises(NotFound):
        Gaps(shop.counter).record(changed(MISSED, gap="77"), "uid 7")
    assert shop.ledger.head == head


@pytest.mark.parametrize(
    "rrn", ["", "0", "12x", "000996", "۹۹۶", "3200626161167", "6219861034529007", "000996-1"]
)
def test_what_is_no_reference_number_is_refused_unsaid(shop: Shop, rrn: str) -> None:
    with pytest.raises(Refused, match="RRN") as refused:
        Gaps(shop.counter).record(changed(MISSED, rrn=rrn), "uid 7")
    assert len(rrn) < 4 or rrn not in str(refused.value)


def test_a_reference_is_the_same_however_it_is_padded_and_written(shop: Shop) -> None:
    gaps = Gaps(shop.counter)
    first = gaps.record(changed(MISSED, rrn="۶۲۶۱۶۱۱۶"), "uid 7")
    assert gaps.record(changed(MISSED, rrn="000062616116"), "uid 7").number == first.number


def test_a_refund_s_reference_is_no_sale(shop: Shop) -> None:
    ref = PaymentKey(Scheme.RRN, TID, "420000000001")
    shop.ledger.write(lambda tx: tx.post(events.RefundUnmatched(ref, 30, 0, None, (), b"", "", "test")))
    with pytest.raises(Refused, match="refund"):
        Gaps(shop.counter).record(changed(MISSED, rrn=ref.ref), "uid 7")
