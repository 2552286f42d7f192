"""Terminals vouch for the clock: what a bank approved at a time on which the terminal and this device agree.

One day could be a clock that both of them got wrong; two days of agreement are an attestation: two dates of
the shop, half a day apart, for a minute before midnight and one after are not two days. The earlier one
must be near: that both agreed decades ago says nothing of a clock that leapt since, and a day that is later
than the newest payment was told by a clock that fell. So lots lapse also in a shop that has no hub, and
nothing lapses on a device whose clock leapt or fell and came back by itself.
"""

from datetime import date

from vafa.ledger import reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.ledger.value import attested_mark
from vafa.model import events
from vafa.model.calendar import local_time
from vafa.model.events import Kind
from vafa.model.payment import Source

ROWS_LOOKED_AT = 2_000
AGREE_S = 300  # a terminal's clock may be some minutes off; more is a clock that somebody must set
EVERY_S = 20 * 3600  # a row a day is enough: the own clock is believed for 26 hours
HALF_A_DAY_S = 43_200
NEAR_S = 8 * 86_400  # a shop that opens once a week has two days too
BY = "terminal"


def attest_by_terminals(ledger: Ledger, zone: str) -> int:
    """Raise the attested mark by the newest payment that two days of payments vouch for; the mark now.

    zone  the shop's, whose calendar days count
    """

    def decide(tx: Transaction) -> int:
        mark = attested_mark(tx.connection)
        if tx.at_ms // 1000 - mark < EVERY_S:
            return mark
        vouched = _vouched(tx, zone)
        if vouched - mark < EVERY_S:
            return mark
        tx.post(events.ClockAttested(vouched, BY))
        return vouched

    return ledger.write(decide)


def _vouched(tx: Transaction, zone: str) -> int:
    """The newest time a terminal told that agreed with this device's, if it was so on two days; else 0."""
    newest = 0
    for each in reads.newest(tx.connection, (Kind.AWARD, Kind.PAYMENT), ROWS_LOOKED_AT):
        paid = reads.paid_of(each.event)
        if paid.source != Source.LIVE or paid.paid_at is None:
            continue
        if abs(each.row.at // 1000 - paid.paid_at) > AGREE_S:
            continue
        newest = newest or paid.paid_at
        earlier = HALF_A_DAY_S <= newest - paid.paid_at <= NEAR_S
        if earlier and _day(newest, zone) != _day(paid.paid_at, zone):
            return newest
    return 0


def _day(at: int, zone: str) -> date:
    return local_time(at, zone).date()
