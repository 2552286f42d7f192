"""Offers that time gives and takes: a birthday, a long absence, a window that closed. Found by a job.

By attested time alone, as lots lapse: on a clock that nobody vouches for nothing is given and nothing ends.
A purchase of an offer's last day may be heard later than it was made, so an offer ends a day after that.
"""

import sqlite3

from vafa.app import granting
from vafa.app.programmes import in_force
from vafa.app.settling import SLICE_ROWS, attested
from vafa.books.rows import MemberRow
from vafa.club.grants import is_by_time
from vafa.club.programme import Programme
from vafa.club.windows import local
from vafa.ledger.ledger import Ledger, Transaction
from vafa.ledger.offers import members_after, offers_over
from vafa.model import events
from vafa.model.events import OfferEnd

HEARD_LATE_S = 86_400
LOOKED_AT_ROWS = 200  # members read at once, while no sale can be written
GIVEN_AT_ONCE = 20  # members given to in one transaction: some rules give several offers on one day
WINDOW_CLOSED = "its window closed"


class OfferRounds:
    """Used by one thread. Looks at every member once a local day and programme, and start of the daemon."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._done: tuple[bytes, int] = (b"", 0)

    def run(self) -> str:
        """What it did in words, '' for nothing."""
        lapsed = 0
        while count := self._ledger.write(_lapse_slice):
            lapsed += count
        given = self._give()
        said = [f"{given} offers given by rule"] if given else []
        said += [f"{lapsed} offers lapsed"] if lapsed else []
        return ", ".join(said)

    def _give(self) -> int:
        found = self._ledger.write(_due)
        if found is None:
            return 0
        programme, at = found
        today = (programme.id, local(at, programme.zone).toordinal())
        if today == self._done:
            return 0
        given, after = 0, b""
        while True:
            members, last = self._ledger.read(lambda c, a=after: _members_due(c, programme, at, a))  # type: ignore[misc]
            for start in range(0, len(members), GIVEN_AT_ONCE):
                some = members[start : start + GIVEN_AT_ONCE]
                given += self._ledger.write(lambda tx, m=some: _give_slice(tx, programme, m, at))  # type: ignore[misc]
            if last is None:
                break
            after = last
        self._done = today
        return given


def _due(tx: Transaction) -> tuple[Programme, int] | None:
    """The programme in force and the attested time, where it gives anything by the calendar."""
    at = attested(tx)
    programme = in_force(tx.connection, at) if at is not None else None
    return (programme, at) if programme is not None and at is not None and is_by_time(programme) else None


def _members_due(
    connection: sqlite3.Connection, programme: Programme, at: int, after: bytes
) -> tuple[list[bytes], bytes | None]:
    """(members with something coming, the last one looked at, or None when there are no more)."""
    rows = members_after(connection, after, LOOKED_AT_ROWS)
    due = [row.id for row in rows if granting.is_due_by_time(connection, programme, row, at)]
    return due, rows[-1].id if len(rows) == LOOKED_AT_ROWS else None


def _give_slice(tx: Transaction, programme: Programme, members: list[bytes], at: int) -> int:
    given = 0
    for member in members:
        row = tx.find(MemberRow, (member,))
        for offer in granting.by_time(tx, programme, row, at) if row is not None else ():
            tx.post(offer)
            given += 1
    return given


def _lapse_slice(tx: Transaction) -> int:
    at = attested(tx)
    if at is None:
        return 0
    over = offers_over(tx.connection, at - HEARD_LATE_S, SLICE_ROWS)
    for row in over:
        tx.post(events.OfferEnded(row.offer, row.holder, OfferEnd.LAPSED, WINDOW_CLOSED, "clock", at))
    return len(over)
