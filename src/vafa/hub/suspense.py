"""Rows that are kept and could not be applied: which, and why."""

import msgspec

from vafa.hub.database import Connection
from vafa.model.events import Kind

_ROWS = """SELECT line, epoch, seq, kind, reason, at FROM suspense
WHERE merchant_id = %s AND device = %s ORDER BY line DESC, seq LIMIT %s"""

_CLEAR = "DELETE FROM suspense WHERE merchant_id = %s AND device = %s AND line = %s"
_COUNT = "SELECT count(*) FROM suspense WHERE merchant_id = %s AND device = %s AND line = %s"


class Suspended(msgspec.Struct, frozen=True):
    """One of them. `at` is when the hub got it, UTC milliseconds."""

    line: int
    epoch: int
    seq: int
    kind: int
    reason: str
    at: int

    @property
    def kind_name(self) -> str:
        """`award`, or `kind 60` for one this version does not know."""
        return Kind(self.kind).name.lower() if self.kind in tuple(Kind) else f"kind {self.kind}"


def rows(connection: Connection, merchant: str, device: int, limit: int) -> list[Suspended]:
    """A device's rows in suspense, those of its newest line first."""
    return [Suspended(*values) for values in connection.execute(_ROWS, (merchant, device, limit))]


def count(connection: Connection, merchant: str, device: int, line: int) -> int:
    """How many rows of one line wait in suspense."""
    found = connection.execute(_COUNT, (merchant, device, line)).fetchone()
    assert found is not None
    number: int = found[0]
    return number


def clear(connection: Connection, merchant: str, device: int, line: int) -> None:
    """Forget which rows of a line wait: they were looked at anew. The rows themselves stay in the journal."""
    connection.execute(_CLEAR, (merchant, device, line))
