"""What a member's points are made of, for people: lots by their dates, what is pending, held, stamped.

As of the newest journal row, so that it reads the same whoever asks, also while the daemon is down.
"""

import sqlite3
from collections.abc import Sequence

from vafa.app.programmes import in_force
from vafa.app.redeem_questions import HoldLine, LotLine, MemberValue, StampLine
from vafa.app.status import iso
from vafa.books import lots
from vafa.books.rows import MemberRow
from vafa.club.tiers import tier_of
from vafa.ledger import reads, value
from vafa.model.lots import undated, usable
from vafa.model.standing import unpack


def value_view(connection: sqlite3.Connection, owned: Sequence[MemberRow]) -> MemberValue:
    """Over all ids of a person, in the order in which lots are drawn."""
    now = reads.newest_at_ms(connection) // 1000
    theirs = [(row, lots.unpack(row.lots)) for row in owned]
    dated = sorted((lot for _, each in theirs for lot in each), key=lambda lot: lot.draw_order)
    held = [hold for row in owned for hold in value.open_holds(connection, row.id)]
    stamps = unpack(owned[0].standing).stamps if owned else ()
    return MemberValue(
        usable=0
        if any(row.debt for row in owned)
        else sum(usable(each, row.balance, row.held, now) for row, each in theirs),
        undated=sum(undated(each, row.balance) for row, each in theirs),
        lots=tuple(
            LotLine(
                points=lot.points,
                available_from=iso(lot.available_at * 1000) if not lot.usable(now) else "",
                lapses_at=iso(lot.expires_at * 1000) if lot.expires_at else "",
            )
            for lot in dated
        ),
        holds=tuple(HoldLine(each.request, each.points, iso(each.until * 1000)) for each in held),
        stamps=tuple(StampLine(stamp.id, stamp.count) for stamp in stamps if stamp.count),
        tier=_tier(connection, owned[0].tier, now) if owned else "",
    )


def _tier(connection: sqlite3.Connection, tier: str, now: int) -> str:
    """The tier somebody is in by the rules in force; who never rose is in the one that asks for nothing."""
    programme = in_force(connection, now)
    found = tier_of(programme, tier) if programme is not None else None
    return found.id if found is not None else ""
