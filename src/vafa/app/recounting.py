"""What a row of another branch of this journal does here, decided anew on the books as they are.

A payment in both branches counts once, and so does whatever has an identity of its own: a refund, an
adjustment, a redemption. What the branch decided from its own books (a balance, a fraction, which lots were
drawn from, whether a bonus was the first) is decided on ours, so each posted event follows the one before it
like any other, under the time it happened at. What follows from rows (tiers, bonuses for who sent a
customer) follows here by itself.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from vafa.app import claiming, earning, forgetting, moving, profiles, recount_value, undo
from vafa.app.counter import Holder
from vafa.app.members import Members
from vafa.app.recount_value import COUNTED, KNOWN, Around, Recounted
from vafa.app.undo import Adjustment, Undoing, Wish
from vafa.books.effect import payment_row
from vafa.books.rows import (
    AliasRow,
    GapRow,
    LaneRow,
    MemberRow,
    MemberState,
    OfferRow,
    PaymentState,
    PersonRow,
    SaleRow,
    TokenRow,
)
from vafa.ledger import branches, people, reads
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.events import KnownBy, Nothing, OfferEnd, SaleOutcome
from vafa.model.identity import MEMBER_ID_BYTES
from vafa.model.money import Currency
from vafa.model.pan import CardHint

NAME, CONSENT, FEEDBACK = 1, 4, 16  # bits of Profile.fields
FOR_ITSELF = (Nothing.NOT_A_SALE, Nothing.BASELINE)  # these payments earn nothing whatever the rules are


def recount(tx: Transaction, around: Around, event: events.Event) -> Recounted:
    """Post what `event`, a row of a branch, does here. Refused, NotFound, Impossible: it cannot be counted,
    and what of it was posted must be taken back (`Transaction.attempt`)."""
    rule = _RULES.get(type(event))
    if rule is None and not isinstance(event, _NOTHING):
        raise Refused(f"{type(event).__name__} rows of a branch are counted by a newer Vafa than this one")
    return KNOWN if rule is None else rule(tx, around, event)


def _programme(tx: Transaction, around: Around, event: events.ProgrammeActivated) -> Recounted:
    """Rules that were activated there. Those we activated since for a later time go on after it."""
    rows = reads.programmes(tx.connection)
    if any((row.id, row.from_at) == (event.programme, event.from_at) for row in rows):
        return KNOWN
    tx.post(event)
    newest = rows[-1] if rows else None
    if newest is not None and newest.from_at is not None and newest.from_at > (event.from_at or 0):
        tx.post(reads.entry(tx.connection, newest.seq).event)
    around.counter.programmes.look_again(tx.connection)
    return COUNTED


def _sale_asked(tx: Transaction, _around: Around, event: events.SaleAsked) -> Recounted:
    """Unsure until its end is told: nobody here waits for its terminal."""
    if tx.find(SaleRow, (event.tid, event.request)) is not None:
        return KNOWN
    tx.post(event)
    tx.post(events.SaleEnded((event.tid, event.request), SaleOutcome.UNSURE))
    return COUNTED


def _sale_ended(tx: Transaction, _around: Around, event: events.SaleEnded) -> Recounted:
    row = tx.find(SaleRow, event.sale)
    if row is None or row.outcome not in reads.OPEN_OUTCOMES or row.outcome == event.outcome:
        return KNOWN
    tx.post(event)
    return COUNTED


def _recorded(tx: Transaction, _around: Around, event: events.Recorded) -> Recounted:
    return _once(tx, event, payment_row(tx, event.key))


def _payment_seen(tx: Transaction, around: Around, event: events.PaymentSeen) -> Recounted:
    if payment_row(tx, event.paid.key) is not None:
        return KNOWN
    if event.why in FOR_ITSELF:
        tx.post(event)
    else:
        nobody = Holder(b"", event.paid.card, None, KnownBy.NOBODY)
        tx.post(around.counter.earned(tx, event.paid, nobody, (), "", is_sale=True))
    return COUNTED


def _award(tx: Transaction, around: Around, event: events.Award) -> Recounted:
    """The payment, earned by the rules of its day on the holder's books of now; its claim code holds."""
    if payment_row(tx, event.paid.key) is not None:
        return KNOWN
    counter, claim = around.counter, event.claim
    if claim and reads.payment_of_claim(tx.connection, claim) is not None:
        claim = ""  # two slips have one code: this one's gets another, which `vafa why` tells
    again = counter.earned(tx, event.paid, _holder(tx, around, event), event.less, claim, is_sale=True)
    tx.post(again)
    if isinstance(again, events.Award) and again.at:
        for following in earning.following(tx, counter.programmes.by_id(again.programme), again):
            tx.post(following)
    return COUNTED


def _holder(tx: Transaction, around: Around, event: events.Award) -> Holder:
    """Who holds the points now: whoever the branch knew, or who has the card here since."""
    if len(event.holder) == MEMBER_ID_BYTES:
        row = people.acting(tx.connection, event.holder)
        if row is None:
            raise NotFound("the award's member is unknown here")
        return Holder(row.id, event.paid.card, tx.find(MemberRow, (row.id,)), KnownBy(event.known_by))
    if event.holder:
        return around.counter.holder(tx, b"", CardHint(), event.holder)
    return Holder(b"", event.paid.card, None, KnownBy.NOBODY)


def _undoing(tx: Transaction, around: Around, event: events.Reversal | events.Refund) -> Recounted:
    """Money that went back; as much of it as is left of the sale here."""
    if payment_row(tx, event.ref) is not None:
        return KNOWN
    row = payment_row(tx, event.key)
    if row is None:
        raise NotFound("the sale of a refund is unknown here")
    left = row.amount - row.refunded
    if row.state in (PaymentState.REVERSED, PaymentState.UNDOING) or not left:
        return KNOWN  # it went back in both branches, told with two references
    paid = reads.paid_of(reads.entry(tx.connection, row.seq).event)
    is_void = isinstance(event, events.Reversal)
    at = event.reversed_at if isinstance(event, events.Reversal) else event.refunded_at
    wish = Wish(
        Undoing.VOID if is_void else Undoing.REFUND, event.key, event.ref,
        None if is_void else min(event.amount, left), at, event.by, Currency(paid.currency),
    )  # fmt: skip
    undo.undo_within(tx, wish, around.counter)
    return COUNTED


def _refund_unmatched(tx: Transaction, _around: Around, event: events.RefundUnmatched) -> Recounted:
    return _once(tx, event, payment_row(tx, event.ref))


def _adjust(tx: Transaction, _around: Around, event: events.Adjust) -> Recounted:
    if event.by == earning.RULE or payment_row(tx, event.ref) is not None:
        return KNOWN
    again = undo.adjusting(
        tx.connection, Adjustment(event.holder, event.points, event.why, event.ref, event.by)
    )
    if event.points > 0:
        again = msgspec.structs.replace(again, expires_at=event.expires_at, available_at=event.available_at)
    tx.post(again)
    return COUNTED


def _moved(tx: Transaction, _around: Around, event: events.AwardMoved) -> Recounted:
    row = payment_row(tx, event.key)
    if row is None or row.state != PaymentState.EARNED or row.holder != event.from_holder:
        return KNOWN
    again = moving.planned(tx.connection, event.key, event.to_holder, event.why, event.by)
    if again.from_holder == again.to_holder:
        return KNOWN
    tx.post(again)
    return COUNTED


def _gap_detected(tx: Transaction, _around: Around, event: events.GapDetected) -> Recounted:
    return _once(tx, event, _gap_like(tx, event))


def _gap_closed(tx: Transaction, around: Around, event: events.GapClosed) -> Recounted:
    """The gap it closed: of the branch, by what it says; of before the fork, by its number."""
    old = branches.row_of(tx.connection, around.first, event.gap[1])
    if old is None:
        row = tx.find(GapRow, (event.gap[1],))
    else:
        found = events.decode(old.kind, old.body)
        row = _gap_like(tx, found) if isinstance(found, events.GapDetected) else None
    if row is None or row.closed_seq:
        return KNOWN
    epoch = reads.entry(tx.connection, row.seq).row.epoch
    tx.post(msgspec.structs.replace(event, gap=(epoch, row.seq)))
    return COUNTED


def _gap_like(tx: Transaction, event: events.GapDetected) -> GapRow | None:
    """The open gap that says the same."""
    for row in reads.open_gaps(tx.connection):
        if row.tid == event.tid and reads.entry(tx.connection, row.seq).event == event:
            return row
    return None


def _baseline(tx: Transaction, _around: Around, event: events.Baseline) -> Recounted:
    return _once(tx, event, tx.find(LaneRow, (event.tid,)))


def _enrol(tx: Transaction, _around: Around, event: events.Enrol) -> Recounted:
    """A member who joined there. Whoever was forgotten here stays forgotten until they join again, also who
    was forgotten at another device while nobody here knew of them."""
    done = _once(tx, event, tx.find(MemberRow, (event.member,)))
    origin = forgetting.origin_heard(tx.connection, event.member) if done.counted else None
    if origin is not None:
        profiles.forget_within(tx, event.member, (), forgetting.WHY, forgetting.BY, origin)
    return done


def _profile(tx: Transaction, _around: Around, event: events.Profile) -> Recounted:
    """What was told there and never asked here; a name is sealed on the disk that is gone, so it is asked
    again. A consent that was taken back here is not given again by an older row; one taken back there is."""
    row = tx.find(MemberRow, (event.member,))
    if row is None or row.state != MemberState.ACTIVE:
        return KNOWN
    person = tx.find(PersonRow, (event.member,)) or PersonRow(event.member)
    fields = event.fields & ~(person.told | NAME)
    if event.fields & CONSENT and event.consent_at is None and person.consent_at is not None:
        fields |= CONSENT
    if not fields:
        return KNOWN
    tx.post(msgspec.structs.replace(event, fields=fields))
    return COUNTED


def _bind(tx: Transaction, _around: Around, event: events.Bind) -> Recounted:
    row = tx.find(MemberRow, (event.member,))
    if row is not None and row.state == MemberState.FORGOTTEN:
        return KNOWN  # their cards lead nowhere
    return _once(tx, event, tx.find(TokenRow, (event.token, event.member)))


def _claim(tx: Transaction, _around: Around, event: events.Claim) -> Recounted:
    """Points that waited; whose claim this device honoured first keeps them."""
    rows = [row for part in event.parts for key in part.keys if (row := payment_row(tx, key)) is not None]
    waiting = next((row for row in rows if row.state == PaymentState.WAITING), None)
    if waiting is None or waiting.claim is None:
        return KNOWN
    if event.award is not None and not event.award.holder:  # a slip's own account, opened by its code
        claiming.as_it_waits(tx, event.member, waiting.claim, waiting, event.by)
    else:
        Members.claim_within(tx, waiting.claim, event.member, event.by)
    return COUNTED


def _forget(tx: Transaction, around: Around, event: events.Forget) -> Recounted:
    """The backup brought phone and name back: they go again, with every card that leads to them now. The row
    of the branch is what other devices heard; who joined again there since stays."""
    device = reads.device(tx.connection)
    assert device is not None
    origin = event.origin or (device.device, around.epoch, around.seq)
    is_news = forgetting.is_news(tx, event.member, origin)
    row = tx.find(MemberRow, (event.member,))
    if not is_news or row is None or row.state != MemberState.ACTIVE:
        return KNOWN
    tokens = tuple(each.token for each in reads.tokens_of_member(tx.connection, row.id))
    profiles.forget_within(tx, row.id, tokens, event.why, event.by, origin)
    return COUNTED


def _merge(tx: Transaction, _around: Around, event: events.Merge) -> Recounted:
    old = tx.find(AliasRow, (event.alias,))
    if old is not None and old.hub_order >= event.order:
        return KNOWN
    tx.post(event)
    return COUNTED


def _unmerge(tx: Transaction, _around: Around, event: events.Unmerge) -> Recounted:
    old = tx.find(AliasRow, (event.alias,))
    if old is None or old.member != event.member or old.hub_order >= event.order:
        return KNOWN
    tx.post(event)
    return COUNTED


def _offer(tx: Transaction, _around: Around, event: events.Offer) -> Recounted:
    """What a person gave there. What a rule gave follows here from what is counted, or from the calendar."""
    if event.by == earning.RULE or tx.find(OfferRow, (event.offer,)) is not None:
        return KNOWN
    tx.post(event)
    return COUNTED


def _offer_ended(tx: Transaction, _around: Around, event: events.OfferEnded) -> Recounted:
    """What a person withdrew there, if it is open still; the rest ends here by itself."""
    row = tx.find(OfferRow, (event.offer,))
    if event.end != OfferEnd.WITHDRAWN or row is None or row.spent_seq or row.hold:
        return KNOWN
    tx.post(event)
    return COUNTED


def _once(tx: Transaction, event: events.Event, there: object) -> Recounted:
    """Posted as it is, unless it is here."""
    if there is not None:
        return KNOWN
    tx.post(event)
    return COUNTED


_RULES: dict[type[events.Event], Callable[[Transaction, Around, Any], Recounted]] = {
    events.ProgrammeActivated: _programme,
    events.ClockAttested: recount_value.clock,
    events.SaleAsked: _sale_asked,
    events.SaleEnded: _sale_ended,
    events.Recorded: _recorded,
    events.PaymentSeen: _payment_seen,
    events.Award: _award,
    events.Reversal: _undoing,
    events.Refund: _undoing,
    events.RefundUnmatched: _refund_unmatched,
    events.Adjust: _adjust,
    events.AwardMoved: _moved,
    events.GapDetected: _gap_detected,
    events.GapClosed: _gap_closed,
    events.Baseline: _baseline,
    events.Enrol: _enrol,
    events.Profile: _profile,
    events.Bind: _bind,
    events.Claim: _claim,
    events.Forget: _forget,
    events.Merge: _merge,
    events.Unmerge: _unmerge,
    events.Release: recount_value.release,
    events.Redemption: recount_value.redemption,
    events.RedemptionRefund: recount_value.redemption_refund,
    events.Expire: recount_value.expire,
    events.Offer: _offer,
    events.OfferEnded: _offer_ended,
}
# Of these nothing is counted: they open what is counted with its end, or follow from what is counted here.
_NOTHING: tuple[type[events.Event], ...] = (
    events.EpochOpened, events.Checkpoint, events.Hold, events.AwardRefund, events.TierChanged,
)  # fmt: skip
