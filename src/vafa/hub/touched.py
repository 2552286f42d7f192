"""Which rows of the books an event reads, so that a batch's rows are loaded in one query a table.

Only a matter of speed: a row that is not named here is found when `books.apply` asks for it, by a query of
its own. A test runs each kind of event and sees that none needs one.
"""

from collections.abc import Callable, Iterator
from typing import Any

from vafa.books.rows import (
    AliasRow,
    BookRow,
    BranchRow,
    BudgetRow,
    GapRow,
    HoldRow,
    Key,
    LaneRow,
    LotRow,
    MemberRow,
    OfferRow,
    PaymentRow,
    PersonRow,
    SaleRow,
    TokenRow,
)
from vafa.model import events
from vafa.model.payment import PaymentKey

Touched = tuple[type[BookRow], Key]
MAKE_PAYMENTS = (events.Award, events.PaymentSeen)  # the first they touch is a payment that must not be there


def touched(event: events.Event) -> Iterator[Touched]:
    """The (table, primary key) pairs that `books.apply` will ask for."""
    rule = _RULES.get(type(event))
    return iter(()) if rule is None else rule(event)


def members_of(event: events.Event) -> Iterator[bytes]:
    """The holders an event changes."""
    for row_type, key in touched(event):
        if row_type in (MemberRow, AliasRow) and isinstance(key[0], bytes):
            yield key[0]


def _payment(key: PaymentKey) -> Touched:
    return PaymentRow, (key.scheme, key.tid, key.ref, key.reuse)


def _award(event: events.Award) -> Iterator[Touched]:
    yield _payment(event.paid.key)
    if event.holder:
        yield MemberRow, (event.holder,)
    if event.budget is not None:
        yield BudgetRow, (event.programme,)
    for offer in event.offers:
        yield OfferRow, (offer,)


def _claim(event: events.Claim) -> Iterator[Touched]:
    yield MemberRow, (event.member,)
    if event.token:
        yield MemberRow, (event.token,)
    for part in event.parts:
        yield from map(_payment, part.keys)


def _undone(event: events.Reversal | events.Refund) -> Iterator[Touched]:
    yield _payment(event.key)
    yield _payment(event.ref)
    if event.holder:
        yield MemberRow, (event.holder,)
    for offer in event.offers:
        yield OfferRow, (offer,)


def _adjust(event: events.Adjust) -> Iterator[Touched]:
    yield MemberRow, (event.holder,)
    yield _payment(event.ref)


def _moved(event: events.AwardMoved) -> Iterator[Touched]:
    yield _payment(event.key)
    yield MemberRow, (event.from_holder,)
    yield MemberRow, (event.to_holder,)


def _bind(event: events.Bind) -> Iterator[Touched]:
    yield TokenRow, (event.token, event.member)
    yield MemberRow, (event.member,)


def _forget(event: events.Forget) -> Iterator[Touched]:
    yield MemberRow, (event.member,)
    yield PersonRow, (event.member,)
    for token in event.tokens:
        yield TokenRow, (token, event.member)


def _merge(event: events.Merge) -> Iterator[Touched]:
    yield AliasRow, (event.member,)
    yield AliasRow, (event.alias,)


def _of_hold(event: events.Hold | events.Redemption | events.Release) -> Iterator[Touched]:
    yield HoldRow, (event.hold,)
    yield MemberRow, (event.holder,)
    for seq, _, expires_at in event.lots if isinstance(event, events.Redemption) else ():
        yield LotRow, (event.holder, seq, expires_at)
    if isinstance(event, events.Hold) and event.offer:
        yield OfferRow, (event.offer,)


def _offer(event: events.Offer | events.OfferEnded) -> Iterator[Touched]:
    yield OfferRow, (event.offer,)
    yield MemberRow, (event.holder,)


def _came_back(event: events.AwardRefund | events.RedemptionRefund) -> Iterator[Touched]:
    yield HoldRow, (event.hold,)
    yield MemberRow, (event.holder,)
    for seq, _, expires_at, _ in event.lots:
        yield LotRow, (event.holder, seq, expires_at)
    if isinstance(event, events.RedemptionRefund) and event.ref is not None:
        yield _payment(event.ref)


_RULES: dict[type[events.Event], Callable[[Any], Iterator[Touched]]] = {
    events.Checkpoint: lambda event: iter([(BranchRow, (event.first,))]),
    events.SaleAsked: lambda event: iter([(SaleRow, (event.tid, event.request))]),
    events.SaleEnded: lambda event: iter([(SaleRow, event.sale)]),
    events.PaymentSeen: lambda event: iter([_payment(event.paid.key)]),
    events.Award: _award,
    events.Enrol: lambda event: iter([(MemberRow, (event.member,))]),
    events.Profile: lambda event: iter([(MemberRow, (event.member,)), (PersonRow, (event.member,))]),
    events.Forget: _forget,
    events.TierChanged: lambda event: iter([(MemberRow, (event.member,))]),
    events.Bind: _bind,
    events.Claim: _claim,
    events.Reversal: _undone,
    events.Refund: _undone,
    events.RefundUnmatched: lambda event: iter([_payment(event.ref)]),
    events.Adjust: _adjust,
    events.AwardMoved: _moved,
    events.Hold: _of_hold,
    events.Redemption: _of_hold,
    events.Release: _of_hold,
    events.AwardRefund: _came_back,
    events.RedemptionRefund: _came_back,
    events.Expire: lambda event: iter([(MemberRow, (event.holder,))]),
    events.Offer: _offer,
    events.OfferEnded: _offer,
    events.Merge: _merge,
    events.Unmerge: lambda event: iter([(AliasRow, (event.alias,))]),
    events.GapClosed: lambda event: iter([(GapRow, (event.gap[1],))]),
    events.Baseline: lambda event: iter([(LaneRow, (event.tid,))]),
}
