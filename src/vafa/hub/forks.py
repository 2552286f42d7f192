"""Branches of a device's journal: what is in both, what is in one, and a person's word that it is known.

Nothing is merged: both lines stand as they were received. A payment that both hold is one payment.
"""

import msgspec

from vafa.books.rows import PaymentState
from vafa.hub.database import Connection
from vafa.hub.lines import Line, current, lines_of

_EARNING = (int(PaymentState.EARNED), int(PaymentState.WAITING), int(PaymentState.NOTHING))
# Every payment of a device once, whatever lines hold it; and how many only a line that was left has.
_PAYMENTS = """SELECT count(*), coalesce(sum(amount), 0), count(*) FILTER (WHERE copies > 1),
count(*) FILTER (WHERE NOT here), coalesce(sum(amount) FILTER (WHERE NOT here), 0) FROM (
SELECT scheme, tid, ref, reuse, max(amount) AS amount, count(*) AS copies, bool_or(line = %s) AS here
FROM payment WHERE merchant_id = %s AND device = %s AND state = ANY(%s)
GROUP BY scheme, tid, ref, reuse) AS once"""
_ACCEPT = "UPDATE line SET accepted_at = %s WHERE merchant_id = %s AND device = %s AND parent IS NOT NULL"


class Fork(msgspec.Struct, frozen=True):
    """A line that left another: where, and how far both have come."""

    line: int
    parent: int
    left_seq: int
    rows_here: int
    rows_there: int
    accepted: bool


class Payments(msgspec.Struct, frozen=True):
    """A device's payments, each once. `only_left`: those that the newest line does not hold."""

    count: int
    amount: int
    in_both: int
    only_left: int
    amount_only_left: int


def forks(lines: list[Line]) -> list[Fork]:
    """The forks among a device's lines."""
    by_number = {line.line: line for line in lines}
    return [
        Fork(
            line.line,
            line.parent,
            line.left_seq,
            line.seq - line.left_seq,
            by_number[line.parent].seq - line.left_seq,
            line.accepted_at is not None,
        )
        for line in lines
        if line.parent is not None
    ]


def payments(connection: Connection, merchant: str, device: int) -> Payments:
    """What the device's terminals were paid, each payment once over all lines."""
    line = current(lines_of(connection, merchant, device)).line
    values = (line, merchant, device, list(_EARNING))
    found = connection.execute(_PAYMENTS, values).fetchone()
    assert found is not None
    return Payments(*(int(number) for number in found))


def to_accept(connection: Connection, merchant: str, device: int) -> list[Fork]:
    """The branches nobody has said yet that they are known."""
    return [fork for fork in forks(lines_of(connection, merchant, device)) if not fork.accepted]


def accept(connection: Connection, merchant: str, device: int, at_ms: int) -> list[Fork]:
    """A person knows of these branches: the fleet page reports them no more. The branches accepted now."""
    fresh = to_accept(connection, merchant, device)
    connection.execute(_ACCEPT, (at_ms, merchant, device))
    return fresh
