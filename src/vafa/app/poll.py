"""Polling a terminal's own journal: when to ask, and what its rows mean. Pure.

A payment keyed at the terminal is announced to nobody; it stands in the terminal's list of its last 13
transactions, and is gone when 13 more were made. So the list is asked for often enough, and what it cannot
prove is said: when the oldest payment it shows is new to us, older ones may have left it unseen. (That it is
known does not prove enough: app.read_up.)
"""

from collections.abc import Callable, Sequence

import msgspec

from vafa.app.resolve import beyond
from vafa.app.sales import Asked
from vafa.codecs.sadad_journal import JOURNAL_ROWS_MAX, JournalRow
from vafa.codecs.sadad_messages import payment_of_row
from vafa.codecs.sadad_outputs import JournalRows
from vafa.model.payment import Payment, PaymentKey

WINDOW_THIRD = JOURNAL_ROWS_MAX // 3  # so many sales between two polls leave room for a poll or two to fail
PAUSE_MIN_S, PAUSE_MAX_S = 10.0, 300.0
PAUSE_UNMEASURED_S = 60.0  # the terminal told too few times to know the shop's pace
# Pauses after refusals in a row: a terminal that is busy, off or without this question is left in peace.
REFUSED_PAUSES_S = (10.0, 20.0, 40.0, 80.0, 160.0, PAUSE_MAX_S)


def pause_s(rows: Sequence[JournalRow], zone: str) -> float:
    """How long until the next question: the shortest time in which a third of a window was sold.

    Measured on the terminal's own times of the rows, so it holds after a restart and for sales of all kinds.
    """
    told = (row.paid_at.instant(zone) for row in rows if row.paid_at is not None)
    instants = sorted(at for at in told if at is not None)
    spans = [later - first for first, later in zip(instants, instants[WINDOW_THIRD:], strict=False)]
    if not spans:
        return PAUSE_UNMEASURED_S
    return min(max(float(min(spans)), PAUSE_MIN_S), PAUSE_MAX_S)


def refused_pause_s(refusals: int) -> float:
    """How long until the next question after so many refusals in a row (1 or more)."""
    return REFUSED_PAUSES_S[min(refusals, len(REFUSED_PAUSES_S)) - 1]


class Reading(msgspec.Struct, frozen=True):
    """What the rows of one answer mean; each tuple oldest first.

    new       payments the ledger does not know
    known     payments it knows
    left      payments that may be an unsure sale of ours: resolution decides
    earlier   how many of `new` stand before any payment we know: all of them when we know none
    is_whole  False when payments between those we know and these may have left the list
    unreadable  rows of which nobody can say what they are
    is_full   the list is as long as a list can be: there may be more in the terminal
    """

    new: tuple[Payment, ...]
    known: tuple[Payment, ...]
    left: tuple[Payment, ...]
    earlier: int
    unreadable: int
    is_full: bool
    is_whole: bool
    newest_trace: str
    oldest_trace: str

    @property
    def shown(self) -> frozenset[PaymentKey]:
        """All payments of the list, whoever's they are."""
        return frozenset(payment.key for payment in (*self.new, *self.known, *self.left))


def read_rows(
    journal: JournalRows,
    terminal_id: str,
    is_known: Callable[[PaymentKey], bool],
    in_doubt: Sequence[Asked],
) -> Reading:
    """Sort the rows of an answer. `in_doubt`: our sales without a certain end."""
    new: list[Payment] = []
    known: list[Payment] = []
    left: list[Payment] = []
    earlier, is_whole = 0, True
    for row in reversed(journal.rows):
        payment = payment_of_row(row, terminal_id)
        if not isinstance(payment, Payment):
            continue
        if is_known(payment.key):
            known.append(payment)
            continue
        if any(_may_be(asked, row, payment, journal) for asked in in_doubt):
            left.append(payment)
            continue
        new.append(payment)
        if not known:
            earlier, is_whole = len(new), False
    traces = [row.trace for row in journal.rows if row.trace]
    return Reading(
        new=tuple(new),
        known=tuple(known),
        left=tuple(left),
        is_full=len(journal.rows) + journal.unreadable >= JOURNAL_ROWS_MAX,
        earlier=earlier,
        unreadable=journal.unreadable,
        is_whole=is_whole,
        newest_trace=traces[0] if traces else "",
        oldest_trace=traces[-1] if traces else "",
    )


def _may_be(asked: Asked, row: JournalRow, payment: Payment, journal: JournalRows) -> bool:
    """True when the row could be the sale we asked for: by order id, where rows have some, else by amount."""
    if row.amount != asked.amount:
        return False
    if any(each.order_id for each in journal.rows):
        return row.order_id == asked.order_id
    return payment.is_sale and beyond(row.trace, asked.known_trace)
