"""Segments: which members a merchant means, by what the programme says of them. Pure; days are local ones."""

from datetime import timedelta

from msgspec import Struct

from vafa.club.programme import Programme, Segment
from vafa.club.tiers import tier_of
from vafa.club.windows import local, parsed_day


class Regular(Struct, frozen=True):
    """A member as segments see them. joined_at, last_at UTC seconds; last_at 0: no purchase rules saw."""

    tier: str
    visits: int
    spent: int
    balance: int
    joined_at: int
    last_at: int


def segment_of(programme: Programme, name: str) -> Segment | None:
    """The segment a programme calls so."""
    return next((each for each in programme.segments if each.id == name), None)


def is_in(programme: Programme, segment: Segment, member: Regular, at: int) -> bool:
    """True when all that a segment says is so at a UTC second."""
    tier = tier_of(programme, member.tier)
    if segment.tier and (tier is None or tier.id != segment.tier):
        return False
    if member.visits < segment.visits_at_least or member.spent < segment.spent_at_least:
        return False
    if segment.visits_below and member.visits >= segment.visits_below:
        return False
    if member.balance < segment.balance_at_least:
        return False
    return _bought_in_time(programme, segment, member, at) and _joined_in_time(programme, segment, member, at)


def away_days(last_at: int, at: int, zone: str) -> int:
    """Local days since the last purchase; -1 when there was none."""
    return (local(at, zone).date() - local(last_at, zone).date()).days if last_at else -1


def _bought_in_time(programme: Programme, segment: Segment, member: Regular, at: int) -> bool:
    away = away_days(member.last_at, at, programme.zone)
    if segment.away_days and away < segment.away_days:
        return False
    return not segment.seen_days or 0 <= away <= segment.seen_days


def _joined_in_time(programme: Programme, segment: Segment, member: Regular, at: int) -> bool:
    joined, today = local(member.joined_at, programme.zone).date(), local(at, programme.zone).date()
    if segment.joined_days and joined < today - timedelta(days=segment.joined_days):
        return False
    if segment.joined_from and joined < parsed_day(segment.joined_from, programme.calendar):
        return False
    return not segment.joined_until or joined <= parsed_day(segment.joined_until, programme.calendar)
