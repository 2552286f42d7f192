"""Terminals vouch for the clock: what a bank approved at a time on which the terminal and this device agree.

One day could be a clock that both of them got wrong; two days of agreement are an attestation: two dates of
the shop, half a day apart, for a minute before midnight and one after are not two days. The earlier one
must be near: that both agreed decades ago says nothing of a clock that leapt since, and a day that is later
than the newest payment was told by a clock that fell. So lots lapse also in a shop that has no hub, and
nothing lapses on a device whose clock leapt or fell and came back by itself.
"""

from datetime import date
from functools import partial

import msgspec

from vafa.ledger import reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.ledger.value import attested_mark
from vafa.model import events
from vafa.model.calendar import local_time
from vafa.model.events import Kind
from vafa.model.payment import Source

ROWS_LOOKED_AT = 2_000
LOOKED_AT_ONCE = 50  # of one transaction, so that no sale waits long
AGREE_S = 300  # a terminal's clock may be some minutes off; more is a clock that somebody must set
EVERY_S = 20 * 3600  # a row a day is enough: the own clock is believed for 26 hours
HALF_A_DAY_S = 43_200
NEAR_S = 8 * 86_400  # a shop that opens once a week has two days too
BY = "terminal"


class Attestations:
    """Used by one thread. Looks back once, then again when there are new rows."""

    def __init__(self, ledger: Ledger, zone: str) -> None:
        self._ledger, self._zone = ledger, zone
        self._looked_at = -1  # the head, when nobody vouched

    def run(self) -> None:
        """Raise the attested mark where that can be done now."""
        head = self._ledger.head.seq
        if head != self._looked_at and attest_by_terminals(self._ledger, self._zone) is None:
            self._looked_at = head


class _Look(msgspec.Struct, frozen=True):
    """How far a look back has come.

    mark    the attested mark, None when two days vouched for none
    newest  the newest time that was told and agreed, UTC seconds; 0 while none is found
    upto    the row the next slice begins at; 0 when the look is over
    """

    mark: int | None = None
    newest: int = 0
    upto: int = 0


def attest_by_terminals(ledger: Ledger, zone: str) -> int | None:
    """Raise the attested mark by the newest payment that two days of payments vouch for; the mark now, None
    when it is old and nobody vouches for a newer one.

    zone  the shop's, whose calendar days count
    """
    first = ledger.head.seq
    look = _Look(upto=first)
    while True:
        look = ledger.write(partial(_slice, zone, look))
        if look.upto <= max(0, first - ROWS_LOOKED_AT):
            return look.mark


def _slice(zone: str, look: _Look, tx: Transaction) -> _Look:
    """One slice further back, and the mark raised once a second day is met: sales go between two slices."""
    mark = attested_mark(tx.connection)
    if tx.at_ms // 1000 - mark < EVERY_S:
        return _Look(mark)
    newest = look.newest
    for each in reads.newest(tx.connection, (Kind.AWARD, Kind.PAYMENT), LOOKED_AT_ONCE, look.upto):
        paid = reads.paid_of(each.event)
        if paid.source != Source.LIVE or paid.paid_at is None:
            continue
        if abs(each.row.at // 1000 - paid.paid_at) > AGREE_S:
            continue
        newest = newest or paid.paid_at
        earlier = HALF_A_DAY_S <= newest - paid.paid_at <= NEAR_S
        if earlier and _day(newest, zone) != _day(paid.paid_at, zone):
            if newest - mark < EVERY_S:
                return _Look(mark)
            tx.post(events.ClockAttested(newest, BY))
            return _Look(newest)
    return _Look(None, newest, look.upto - LOOKED_AT_ONCE)


def _day(at: int, zone: str) -> date:
    return local_time(at, zone).date()
