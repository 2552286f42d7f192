"""What events make the books remember of a holder for the rules; which numbers, `club` decided."""

import msgspec

from vafa.model import events
from vafa.model.remembering import sorted_stamps
from vafa.model.standing import Stamp, Standing, Window, pack, pack_window, unpack, unpack_window


def after_void(packed: bytes, event: events.Reversal | events.AwardMoved) -> bytes:
    """The standing after a whole sale was taken back: its stamps and rights go, its times stay."""
    if not event.stamps and not event.granted:
        return packed
    old = unpack(packed)
    given = {stamp.id: stamp for stamp in old.stamps}
    for rule, count in event.stamps:
        stamp = old.stamp(rule)
        given[rule] = msgspec.structs.replace(stamp, count=max(0, stamp.count - count))
    back = set(event.granted)
    granted = tuple(each for each in old.granted if each not in back)
    return pack(msgspec.structs.replace(old, stamps=sorted_stamps(given), granted=granted))


def after_move(packed: bytes, event: events.AwardMoved) -> bytes:
    """The standing of the member a purchase was moved to: its time, stamps and rights are theirs."""
    if not event.at:
        return packed
    old = unpack(packed)
    given = {stamp.id: stamp for stamp in old.stamps}
    for rule, count in event.stamps:
        had = old.stamp(rule)
        given[rule] = Stamp(rule, had.count + count, max(had.at, event.at))
    used = dict(old.granted)
    for rule, period in event.granted:
        used[rule] = max(period, used.get(rule, period))
    new = msgspec.structs.replace(
        old,
        first_at=min(old.first_at or event.at, event.at),
        last_at=max(old.last_at, event.at),
        stamps=sorted_stamps(given),
        granted=tuple(sorted(used.items())),
    )
    return pack(new)


def counted_in(packed: bytes, change: events.Counted | None) -> bytes:
    """The tier's metric with a purchase counted (or, below zero, taken out of the period it was in)."""
    if change is None:
        return packed
    old = unpack_window(packed)
    parts = dict(old.parts) if old is not None and old.metric == change.metric else {}
    if change.value < 0 and change.period not in parts:
        return packed  # it was counted under another metric, or has left the window
    parts[change.period] = max(0, parts.get(change.period, 0) + change.value)
    kept = [part for part in parts.items() if part[0] >= change.since]
    if len(kept) > 1:
        kept.sort()
    return pack_window(Window(change.metric, tuple(kept)))


def with_stamp(standing: Standing, stamp: Stamp) -> Standing:
    """The standing with one stamp card as it is now."""
    given = {each.id: each for each in standing.stamps} | {stamp.id: stamp}
    return msgspec.structs.replace(standing, stamps=sorted_stamps(given))
