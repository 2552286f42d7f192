"""What time alone does to points: holds end by their deadline, lots lapse by attested time.

Found by a job, at the start, and lazily whenever somebody's points are touched; so a hold ends also across a
crash, and nobody spends what has lapsed. Nothing lapses while nobody has vouched for the clock.
"""

import sqlite3

import msgspec
import structlog

from vafa.app.attesting import Attestations
from vafa.books import lots
from vafa.books.rows import HoldRow, MemberRow
from vafa.club.lots import attested_now
from vafa.club.rewards import HOLD_S_MAX, hold_is_over
from vafa.ledger import reads, value
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model import events
from vafa.model.errors import LedgerError
from vafa.model.lots import debit, lapse

TIMED_OUT = "timed out"
SLICE_ROWS = 50  # of one transaction, so that no sale waits long

log = structlog.get_logger()


class Settled(msgspec.Struct, frozen=True):
    """What a run of the job did: holds released, members whose points lapsed, and those points."""

    holds: int = 0
    members: int = 0
    points: int = 0

    def __str__(self) -> str:
        return f"{self.holds} holds timed out, {self.points:,} points of {self.members} members lapsed"


def settle_points(ledger: Ledger, attestations: Attestations) -> str:
    """The job: what terminals vouch for, then what that ends. What it did in words, '' for nothing."""
    attestations.run()
    settled = settle_all(ledger)
    return "" if settled == Settled() else str(settled)


def settle_the_past(ledger: Ledger, attestations: Attestations) -> None:
    """At the start: what ended while nobody ran. A disk that fails now is said again by the job."""
    try:
        told = settle_points(ledger, attestations)
    except LedgerError as error:
        log.warning("points not settled", reason=str(error), fix=error.fix)
        return
    if told:
        log.info("points settled", told=told)


def settle_all(ledger: Ledger) -> Settled:
    """Every hold whose time is over and every lot that lapsed, in slices; the job, and the start."""
    holds = members = points = 0
    while released := ledger.write(_release_slice):
        holds += released
    after = (0, b"")
    while True:
        last, count, lapsed = ledger.write(lambda tx, start=after: _lapse_slice(tx, start))  # type: ignore[misc]
        members, points = members + count, points + lapsed
        if last is None:
            return Settled(holds, members, points)
        after = last


def settle(tx: Transaction, owners: list[MemberRow]) -> list[MemberRow]:
    """The rows of a person after their holds that are over ended and their lapsed lots went."""
    now, at = tx.at_ms // 1000, attested(tx)
    for owner in owners:
        for hold in value.open_holds(tx.connection, owner.id):
            if hold_is_over(hold.until, now):
                release(tx, hold, hold.points, TIMED_OUT, "clock")
        if at is not None:
            lapse_lots(tx, owner.id, at)
    return [row for owner in owners if (row := tx.find(MemberRow, (owner.id,))) is not None]


def attested(tx: Transaction) -> int | None:
    """The UTC second that lots may lapse by; None while nobody has vouched for the clock."""
    return attested_now(value.attested_mark(tx.connection), tx.at_ms // 1000)


def release(tx: Transaction, hold: HoldRow, points: int, why: str, by: str) -> None:
    """Free points of an open hold, all or some; a debt is paid from them first."""
    member = tx.find(MemberRow, (hold.holder,))
    assert member is not None, "a hold has a holder"
    pays = min(member.debt, points)
    draw = debit(lots.unpack(member.lots), member.balance, pays)
    stamps = hold_event(tx.connection, hold).stamps if points == hold.points else ()
    tx.post(events.Release(hold.hold, hold.holder, points, why, stamps, pays, draw.taken, by))


def hold_event(connection: sqlite3.Connection, hold: HoldRow) -> events.Hold:
    """The row a hold was made with."""
    event = reads.entry(connection, hold.seq).event
    assert isinstance(event, events.Hold)
    return event


def _release_slice(tx: Transaction) -> int:
    now = tx.at_ms // 1000
    over = value.holds_over(tx.connection, now, now + HOLD_S_MAX, SLICE_ROWS)
    for hold in over:
        release(tx, hold, hold.points, TIMED_OUT, "clock")
    return len(over)


def _lapse_slice(tx: Transaction, after: tuple[int, bytes]) -> tuple[tuple[int, bytes] | None, int, int]:
    """(where the next slice begins or None, members, points). A member whose lapsed points are all held keeps
    them until the hold ends: the place after them keeps the job from meeting them again."""
    at = attested(tx)
    if at is None:
        return None, 0, 0
    rows = value.lapsing_members(tx.connection, at, after, SLICE_ROWS)
    lapsed = [points for row in rows if (points := lapse_lots(tx, row.id, at))]
    last = rows[-1] if len(rows) == SLICE_ROWS else None
    return (last.next_expiry or 0, last.id) if last else None, len(lapsed), sum(lapsed)


def lapse_lots(tx: Transaction, member: bytes, at: int) -> int:
    """Post what of a member's points lapsed by an attested UTC second; how many."""
    row = tx.find(MemberRow, (member,))
    if row is None or row.next_expiry is None or row.next_expiry > at:
        return 0
    draw = lapse(lots.unpack(row.lots), row.balance - row.held, at)
    if draw.points:
        tx.post(events.Expire(member, draw.points, draw.taken, at))
    return draw.points
