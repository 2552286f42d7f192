"""What the books keep for rules beyond a rate: dated lots, rights used, the tier and its metric, budgets.

All of it is decided in `club` and told by the events; here it is only kept, whatever the programme. An event
that was decided on another state than the one before it is refused.
"""

from fractions import Fraction

import msgspec

from vafa.books import lots, standing
from vafa.books.effect import Change, Effect, Impossible, State, require
from vafa.books.rows import BudgetRow, MemberRow, MemberState, PersonRow, TokenRow
from vafa.books.till import TillSums
from vafa.model import events
from vafa.model import standing as remembered_of
from vafa.model.lots import Lot, next_lapse
from vafa.model.remembering import after_award

NAME, BIRTHDAY, CONSENT, REFERRER, FEEDBACK = 1, 2, 4, 8, 16  # bits of Profile.fields
ASKED = NAME | BIRTHDAY | CONSENT | REFERRER


def remembered(event: events.Award, seq: int, row: MemberRow, points: int) -> MemberRow:
    """The holder's row with what an award makes the rules remember; `points` are those left for a lot."""
    if event.available_at or event.expires_at:
        lot = Lot(event.expires_at, seq, points, event.available_at, event.programme)
        row = with_lot(row, lot, event.at)
    if not event.at:
        return row
    if event.lapsing != (0, 0):
        told = next_lapse(lots.unpack(row.lots), event.at)
        require(event.lapsing == told, "what lapses next is not what the award says")
    require(event.visits == row.visits, "the award's visits are not the member's")
    require(event.tier == row.tier, "the award's tier is not the member's")
    seen = event.standing in (row.standing, remembered_of.NOT_LOOKED_AT)
    require(seen, "the award was decided on another standing of the member")
    return msgspec.structs.replace(
        row,
        standing=after_award(row.standing, row.visits, event),
        metric=standing.counted_in(row.metric, event.counted),
    )


def claimed(event: events.Claim, award: events.Award, seq: int, row: MemberRow, points: int) -> MemberRow:
    """The member's row with what a claimed award would have made the rules remember."""
    own = award.holder == event.member or not award.holder  # nobody's: a slip's account has what it says
    require(own, "the claimed award is somebody else's")
    row = remembered(award, seq, row, points)
    metric = standing.counted_in(row.metric, event.counted)
    return row if metric == row.metric else msgspec.structs.replace(row, metric=metric)


def with_lot(row: MemberRow, lot: Lot, at: int = 0) -> MemberRow:
    """The holder's row with a dated lot more, and without pendings that are over at `at` (UTC seconds); the
    balance is the caller's."""
    if lot.points <= 0:
        return row
    kept = lots.with_one(lots.unpack(row.lots), lot, at)
    return msgspec.structs.replace(row, lots=lots.pack(kept), next_expiry=lots.first_expiry(kept))


def forgotten(event: events.Reversal | events.Refund | events.AwardMoved, row: MemberRow) -> MemberRow:
    """The holder's row without what went back with a sale's money, or went to another member."""
    kept = row.standing if isinstance(event, events.Refund) else standing.after_void(row.standing, event)
    metric = standing.counted_in(row.metric, event.counted)
    if (kept, metric) == (row.standing, row.metric):
        return row
    return msgspec.structs.replace(row, standing=kept, metric=metric)


def budget_used(event: events.Award, state: State) -> list[Change]:
    """The programme's budget row after an award, where the programme has a budget."""
    if event.budget is None:
        return []
    old = state.find(BudgetRow, (event.programme,))
    before = (old.numerator, old.denominator) if old else (0, 1)
    require(before == event.budget, "the award was decided on another budget")
    after = Fraction(*before) + Fraction(*event.contribution)
    return [Change(old, BudgetRow(event.programme, after.numerator, after.denominator))]


def profile(event: events.Profile, _seq: int, state: State, till: TillSums) -> Effect:
    """What a member told: for the rules the birthday, who sent them, that they gave feedback; beside them
    what was asked for and since when messages are welcome."""
    old = state.find(MemberRow, (event.member,))
    if old is None:
        raise Impossible("the member of the profile is unknown")
    # A row of before people had a table of their own changes none.
    told = _told(event, state.find(PersonRow, (event.member,))) if event.at else ()
    new = msgspec.structs.replace(old, standing=standing_told(old.standing, event))
    return Effect(((Change(old, new),) if new != old else ()) + told, till)


def standing_told(packed: bytes, event: events.Profile) -> bytes:
    """A member's standing with what they told that rules ask for."""
    known = remembered_of.unpack(packed)
    if event.fields & BIRTHDAY:
        known = msgspec.structs.replace(known, birthday=event.birthday)
    if event.fields & REFERRER:
        known = msgspec.structs.replace(known, referrer=event.referrer)
    if event.fields & FEEDBACK:
        known = msgspec.structs.replace(known, feedback_at=event.at)
    return remembered_of.pack(known)


def standing_forgotten(packed: bytes) -> bytes:
    """The standing that a bare id keeps of a person who was forgotten."""
    known = remembered_of.unpack(packed)
    return remembered_of.pack(msgspec.structs.replace(known, birthday=None, referrer=b""))


def _told(event: events.Profile, old: PersonRow | None) -> tuple[Change, ...]:
    """The change of what was asked and told."""
    before = old or PersonRow(event.member)
    new = msgspec.structs.replace(
        before,
        told=before.told | event.fields & ASKED,
        consent_at=event.consent_at if event.fields & CONSENT else before.consent_at,
    )
    return () if new == old else (Change(old, new),)


def forget(event: events.Forget, _seq: int, state: State, till: TillSums) -> Effect:
    """Nothing in the books leads to the person any more; what the bare id owns stays."""
    old = state.find(MemberRow, (event.member,))
    if old is None or old.state != MemberState.ACTIVE:
        raise Impossible("there is no such member to forget")
    bare = msgspec.structs.replace(
        old, state=MemberState.FORGOTTEN, last4="", standing=standing_forgotten(old.standing)
    )
    changes = [Change(old, bare)]
    person = state.find(PersonRow, (event.member,))
    if person is not None:
        changes.append(Change(person, None))
    for token in event.tokens:
        card = state.find(TokenRow, (token, event.member))
        if card is None:
            raise Impossible("a card was forgotten that is none of the member's")
        changes.append(Change(card, None))
    return Effect(tuple(changes), till)


def tier_changed(event: events.TierChanged, _seq: int, state: State, till: TillSums) -> Effect:
    """The member is in another tier from `at` on."""
    old = state.find(MemberRow, (event.member,))
    if old is None:
        raise Impossible("the member of the tier is unknown")
    require(old.tier == event.tier_before != event.tier, "the tier before is not the member's")
    new = msgspec.structs.replace(old, tier=event.tier, tier_since=event.at)
    return Effect((Change(old, new),), till)
