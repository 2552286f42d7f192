"""A redemption as it stands, read back from the journal: first and repeated answers are equal."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

from vafa.app import offer_words
from vafa.app.programmes import parsed
from vafa.app.redeem_words import Redeemed, State
from vafa.books.rows import HoldRow, HoldState, MemberRow
from vafa.club.rewards import reward_of
from vafa.ledger import reads, value
from vafa.model import events
from vafa.model.calendar import local_time
from vafa.model.chain import check_code
from vafa.model.errors import NotFound

_STATES: dict[HoldState, State] = {
    HoldState.OPEN: "held",
    HoldState.CAPTURED: "captured",
    HoldState.RELEASED: "released",
    HoldState.RETURNED: "returned",
}


def redeemed_at(connection: sqlite3.Connection, request: str) -> Redeemed:
    """What became of a hold's request. NotFound."""
    rows = value.holds_of_request(connection, request)
    device = reads.device(connection)
    if not rows or device is None:
        raise NotFound(f"nothing is held under {request!r}", fix="hold first; give the same request")
    state = _STATES[HoldState(rows[0].state)]
    hold = reads.entry(connection, rows[0].seq).event
    assert isinstance(hold, events.Hold)
    ended = [reads.entry(connection, row.ended_seq).event for row in rows if row.ended_seq]
    row = reads.entry(connection, rows[0].ended_seq or rows[0].seq).row
    name_fa, name_en = _names(connection, hold)
    redemptions = [each for each in ended if isinstance(each, events.Redemption)]
    return Redeemed(
        request=request,
        state=state,
        reward=hold.reward,
        name_fa=name_fa,
        name_en=name_en,
        number=device.short_number(row.epoch, row.seq),
        check=check_code(row.hash),
        points=_points(connection, rows, state),
        rials=hold.rials,
        until=hold.until,
        stamps=sum(count for _, count in hold.stamps),
        applied=sum(spent.amount for spent in redemptions),
        returned=sum(each.returned for each in rows),
        balance=sum(spent.balance + spent.beside for spent in redemptions) if redemptions else None,
        why=next((each.why for each in ended if isinstance(each, events.Release)), "")
        if state == "released"
        else "",
        member=hold.holder,
        offer=hold.offer,
    )


def _names(connection: sqlite3.Connection, hold: events.Hold) -> tuple[str, str]:
    """What is redeemed is called so, in Persian and in English."""
    if hold.offer:
        what = offer_words.called(connection, hold.offer)
        return what.fa, what.en
    reward = reward_of(parsed(connection, hold.programme), hold.reward)
    return (reward.name_fa, reward.name_en) if reward else (hold.reward, "")


def _points(connection: sqlite3.Connection, rows: Sequence[HoldRow], state: State) -> int:
    if state in ("captured", "returned"):
        return sum(row.captured for row in rows)
    return sum(
        event.points
        for row in rows
        if isinstance(event := reads.entry(connection, row.seq).event, events.Hold)
    )


def spent_today(connection: sqlite3.Connection, owners: Sequence[MemberRow], now: int, zone: str) -> int:
    """The points a person redeemed or holds since local midnight."""
    day = local_time(now, zone).date()
    midnight_ms = int(datetime.combine(day, time(), ZoneInfo(zone)).timestamp()) * 1000
    total = 0
    for owner in owners:
        for row in value.newest_holds(connection, owner.id):
            if reads.entry(connection, row.seq).row.at < midnight_ms:
                break
            held = row.points if row.state == HoldState.OPEN else 0
            total += held + row.captured - row.returned
    return total
