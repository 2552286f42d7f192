"""What offers do to the books: given, set aside, spent once, given back, ended.

An offer's row is open while `spent_seq` is 0 and no hold has it; how many of a member's are open stands in
the member's own row, so that an award of somebody without any looks for none. Who spends one is its holder,
or answers as the same person (a merge); it stays its holder's all the same.
"""

from collections.abc import Iterable

import msgspec

from vafa.books.effect import Change, Effect, Impossible, State, require
from vafa.books.rows import AliasRow, HoldRow, MemberRow, MemberState, OfferRow
from vafa.books.till import TillSums
from vafa.model import events

ALIAS_STEPS_MAX = 16


class Turned(msgspec.Struct, frozen=True):
    """Offers that were spent or came back: their rows, and those of holders other than the event's own.

    own  (holder, by how many the open ones change), for the holder whose row the caller changes anyway
    """

    changes: tuple[Change, ...] = ()
    own: tuple[bytes, int] = (b"", 0)

    def of(self, holder: bytes) -> int:
        """By how many the open offers of this holder change."""
        return self.own[1] if self.own[0] == holder else 0


NONE = Turned()


def offer(event: events.Offer, seq: int, state: State, till: TillSums) -> Effect:
    """An offer is open to its holder."""
    require(state.find(OfferRow, (event.offer,)) is None, "this offer was given before")
    old = _holder(state, event.holder)
    require(old.state == MemberState.ACTIVE, "an offer is given to a member")
    start, end = event.from_at, event.until
    require(start is None or end is None or start < end, "an offer ends after it begins")
    row = OfferRow(event.offer, event.holder, seq, start, end)
    return Effect((Change(None, row), _counted(old, 1)), till)


def offer_ended(event: events.OfferEnded, seq: int, state: State, till: TillSums) -> Effect:
    """An offer that nobody used is over; one that is set aside waits for that to end."""
    old = _open(state, event.offer)
    require(old.holder == event.holder, "the offer is somebody else's")
    if event.end == events.OfferEnd.LAPSED:
        require(old.until is not None and old.until <= event.at, "an offer lapses after its last day")
    ended = msgspec.structs.replace(old, spent_seq=seq)
    return Effect((Change(old, ended), _counted(_holder(state, event.holder), -1)), till)


def spent_by(event: events.Award, seq: int, state: State) -> Turned:
    """The offers an award spends, each within its window at the instant the rules went by."""
    if not event.offers:
        return NONE
    rows, changes = [], []
    for name in event.offers:
        old = _open(state, name)
        require(_is_same_person(state, old.holder, event.holder), "the offer is somebody else's")
        require(within(old, event.at), "the offer is not good at that time")
        rows.append(old)
        changes.append(Change(old, msgspec.structs.replace(old, spent_seq=seq)))
    return _turned(changes, rows, -1, event.holder, state)


def set_aside(event: events.Hold, state: State) -> Change:
    """A hold takes an offer that is open now."""
    old = _open(state, event.offer)
    require(old.holder == event.holder, "the offer is somebody else's")
    require(within(old, event.at), "the offer is not good at that time")
    return Change(old, msgspec.structs.replace(old, hold=event.hold))


def captured(hold: HoldRow, seq: int, state: State) -> Turned:
    """The offer that a hold has is spent with it."""
    if not hold.offer:
        return NONE
    old = _held(state, hold)
    return _turned([Change(old, msgspec.structs.replace(old, spent_seq=seq))], [old], -1, hold.holder, state)


def set_free(hold: HoldRow, state: State) -> list[Change]:
    """The offer that a hold has is open again."""
    if not hold.offer:
        return []
    old = _held(state, hold)
    return [Change(old, msgspec.structs.replace(old, hold=b""))]


def given_back(names: Iterable[bytes], spent_seq: int, state: State, holder: bytes) -> Turned:
    """Offers that were spent in row `spent_seq` are open again, in the window they had."""
    rows, changes = [], []
    for name in names:
        old = state.find(OfferRow, (name,))
        if old is None or not old.spent_seq == spent_seq > 0:
            raise Impossible("an offer comes back that was not spent there")
        rows.append(old)
        changes.append(Change(old, msgspec.structs.replace(old, spent_seq=0, hold=b"")))
    return _turned(changes, rows, 1, holder, state)


def within(row: OfferRow, at: int) -> bool:
    """True when a UTC second lies in an offer's window."""
    return (row.from_at is None or row.from_at <= at) and (row.until is None or at < row.until)


def _turned(changes: list[Change], rows: list[OfferRow], by: int, own: bytes, state: State) -> Turned:
    """The changes with those of the other holders' rows."""
    require(len({row.offer for row in rows}) == len(rows), "an offer is named twice")
    counts: dict[bytes, int] = {}
    for row in rows:
        counts[row.holder] = counts.get(row.holder, 0) + by
    mine = counts.pop(own, 0)
    others = [_counted(_holder(state, holder), count) for holder, count in counts.items()]
    return Turned((*changes, *others), (own, mine))


def _counted(old: MemberRow, by: int) -> Change:
    require(old.offers + by >= 0, "fewer offers are open than end")
    return Change(old, msgspec.structs.replace(old, offers=old.offers + by))


def _holder(state: State, holder: bytes) -> MemberRow:
    row = state.find(MemberRow, (holder,))
    if row is None:
        raise Impossible("the member of the offer is unknown")
    return row


def _open(state: State, name: bytes) -> OfferRow:
    row = state.find(OfferRow, (name,))
    if row is None:
        raise Impossible("there is no such offer")
    require(row.spent_seq == 0, "the offer was used or ended before")
    require(not row.hold, "the offer is set aside")
    return row


def _held(state: State, hold: HoldRow) -> OfferRow:
    row = state.find(OfferRow, (hold.offer,))
    if row is None or row.hold != hold.hold or row.spent_seq:
        raise Impossible("the hold does not have its offer")
    return row


def _is_same_person(state: State, one: bytes, other: bytes) -> bool:
    return one == other or _root(state, one) == _root(state, other)


def _root(state: State, member: bytes) -> bytes:
    for _ in range(ALIAS_STEPS_MAX):
        alias = state.find(AliasRow, (member,))
        if alias is None:
            break
        member = alias.member
    return member
