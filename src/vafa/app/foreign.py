"""Another terminal answered on a terminal's line: what its list says is not of ours, also after a restart.

Only an answer to a sale or to a card tells whose it is. A list does not, and of the question for device
information (0005) no document says what its answer (0006) holds; so once another terminal was heard, no list
is asked until ours answers. That is kept where a person sees it, as a gap: what ours sells meanwhile is not
heard. It closes by itself when our list shows every sale since, or a person closes it; both end the doubt.
"""

import sqlite3

from vafa.app.counter import Counter
from vafa.app.sales import last_live_seq
from vafa.books.rows import GapRow
from vafa.ledger import reads
from vafa.ledger.ledger import Transaction
from vafa.model.errors import NotFound
from vafa.model.events import GapDetected

ANOTHER = "another terminal answered on its line"


def post_gap(tx: Transaction, tid: str, why: str) -> None:
    """One open gap a reason is enough: whoever looks into it looks at all sales since."""
    if _open_gap(tx.connection, tid, why) is None:
        after = reads.last_trace(tx.connection, tid, reads.RECENT_ROWS_MAX)
        tx.post(GapDetected(tid, after, "", why))


def is_in_doubt(counter: Counter, tid: str) -> bool:
    """After a start: another terminal was the last to answer, and nobody has looked into it."""

    def question(connection: sqlite3.Connection) -> bool:
        gap = _open_gap(connection, tid, ANOTHER)
        return gap is not None and gap.seq > last_live_seq(connection, tid)

    return counter.ledger.read(question)


def _open_gap(connection: sqlite3.Connection, tid: str, why: str) -> GapRow | None:
    for row in reads.open_gaps(connection):
        try:
            event = reads.entry(connection, row.seq).event
        except NotFound:
            continue  # pruned behind a checkpoint
        if isinstance(event, GapDetected) and (event.tid, event.why) == (tid, why):
            return row
    return None
