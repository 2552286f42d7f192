"""A sale without a certain end, settled by a person: its slip shows it, or shows that nothing was charged.

The terminal's list settles most by itself. It cannot where another terminal answered, the terminal was
exchanged or emptied, or two sales would fit: then only who looks at the slips knows, and says why.
"""

import sqlite3

from vafa.app.sales import Asked, asked_sale
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.events import SaleOutcome
from vafa.model.identity import ascii_digits
from vafa.model.payment import PaymentKey, Scheme


def unsure_sale(connection: sqlite3.Connection, number: str) -> Asked:
    """The unsure sale a person means by our number or its end. NotFound; Refused while it is in hand."""
    wanted = ascii_digits(number).strip()
    for row in reads.open_sales(connection):
        asked = asked_sale(connection, row)
        if wanted in (asked.number, asked.number.rpartition("-")[2]):
            if asked.ended is None:
                raise Refused(f"sale {asked.number} is still in hand", fix="wait until it has ended")
            return asked
    raise NotFound("no sale of this number is unsure", fix="vafa status lists those that are; vafa why ID")


def was_paid(tx: Transaction, asked: Asked, key: PaymentKey) -> None:
    """The sale ends with this payment, whose row was posted before."""
    tx.post(events.SaleEnded((asked.tid, asked.request), SaleOutcome.RESOLVED_PAID, "", key))


def settle_unpaid(ledger: Ledger, number: str, by: str, why: str) -> Asked:
    """Nothing was charged: who says so and why stand in the journal."""

    def decide(tx: Transaction) -> Asked:
        asked = unsure_sale(tx.connection, number)
        tx.post(events.Recorded(PaymentKey(Scheme.REQUEST, asked.tid, asked.request), by, why))
        tx.post(events.SaleEnded((asked.tid, asked.request), SaleOutcome.RESOLVED_UNPAID))
        return asked

    return ledger.write(decide)
