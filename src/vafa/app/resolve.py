"""An unsure sale against the terminal's own journal: paid, not paid, or still unsure. Never by guess.

By the order id we gave it, where the rows carry order ids. Else by amount among approved rows beyond the last
trace we knew that no other sale explains: one is it, two leave it unsure, and so does a list that may have
lost one. Where a terminal could have told our order id and did not, a row of the amount may be a sale keyed
at the terminal: unsure. "Not paid" is said only when the rows reach back to what we knew before the sale was
asked, all of them could be read, and no customer can still be paying.
"""

from collections.abc import Callable
from enum import Enum

import msgspec

from vafa.app.sales import Asked
from vafa.codecs.sadad_journal import JOURNAL_ROWS_MAX, JournalRow
from vafa.codecs.sadad_messages import payment_of_row
from vafa.codecs.sadad_outputs import JournalRows
from vafa.model.payment import Payment, PaymentKey

TRACE_WRAP = 1_000_000


class Verdict(Enum):
    """What the terminal's journal says of a sale."""

    PAID = "paid"
    UNPAID = "unpaid"
    UNSURE = "unsure"


class Resolution(msgspec.Struct, frozen=True):
    """`payment` comes with PAID only; `response` is the code of a row that was found; `why` for people."""

    verdict: Verdict
    why: str
    payment: Payment | None = None
    response: str = ""


def resolve(
    asked: Asked,
    journal: JournalRows,
    terminal_id: str,
    posted: Callable[[PaymentKey], bool],
    *,
    customer_may_pay: bool,
) -> Resolution:
    """What the terminal's journal (failed rows included) says of the sale.

    posted            whether a payment is in the ledger already: then it is another sale's
    customer_may_pay  the sale is so young that the terminal may still be at it
    """
    return (
        _by_order_id(asked, journal, terminal_id)
        or _by_amount(asked, journal, terminal_id, posted)
        or _by_absence(asked, journal, customer_may_pay=customer_may_pay)
    )


def _by_order_id(asked: Asked, journal: JournalRows, terminal_id: str) -> Resolution | None:
    """The row that carries the sale's order id. One of another amount is of an earlier ledger's making."""
    by_order = [row for row in journal.rows if row.order_id == asked.order_id and row.amount == asked.amount]
    paid = [payment for row in by_order if isinstance(payment := payment_of_row(row, terminal_id), Payment)]
    if paid:
        return Resolution(Verdict.PAID, "the terminal's journal has its order id", paid[0], "00")
    if by_order and not journal.unreadable:
        why = "the terminal's journal shows it failed"
        return Resolution(Verdict.UNPAID, why, response=by_order[0].response)
    return None


def _by_amount(
    asked: Asked, journal: JournalRows, terminal_id: str, posted: Callable[[PaymentKey], bool]
) -> Resolution | None:
    """The one approved row of the amount, where the terminal keeps no order ids."""
    if any(row.order_id for row in journal.rows):
        return None
    found = _candidates(asked, journal, terminal_id, posted)
    if not found:
        return None
    if journal.with_order_ids:
        return Resolution(Verdict.UNSURE, "a sale of this amount is in the journal, but under no order id")
    if len(found) > 1 or journal.unreadable:
        return Resolution(Verdict.UNSURE, f"{len(found)} sales of this amount are in the journal since")
    if not _reaches_back(asked, journal.rows):
        return Resolution(Verdict.UNSURE, "another sale of this amount may have left the journal")
    return Resolution(
        Verdict.PAID, "one sale of this amount is in the terminal's journal since", found[0], "00"
    )


def _by_absence(asked: Asked, journal: JournalRows, *, customer_may_pay: bool) -> Resolution:
    """No row is it: not paid, when it would have to be there."""
    if customer_may_pay:
        return Resolution(
            Verdict.UNSURE, "not in the terminal's journal yet; the customer may still be paying"
        )
    if journal.unreadable:
        return Resolution(Verdict.UNSURE, f"{journal.unreadable} rows of the journal could not be read")
    if not _reaches_back(asked, journal.rows):
        return Resolution(Verdict.UNSURE, "the terminal's journal does not reach back to this sale")
    return Resolution(Verdict.UNPAID, "the terminal's journal does not have it")


def _candidates(
    asked: Asked, journal: JournalRows, terminal_id: str, posted: Callable[[PaymentKey], bool]
) -> list[Payment]:
    found = []
    for row in journal.rows:
        payment = payment_of_row(row, terminal_id)
        if (
            isinstance(payment, Payment)
            and payment.is_sale
            and row.amount == asked.amount
            and beyond(row.trace, asked.known_trace)
            and not posted(payment.key)
        ):
            found.append(payment)
    return found


def beyond(trace: str, known: str) -> bool:
    """True when `trace` was drawn after `known`; traces wrap at 999999. Unknown counts as beyond."""
    if not (trace.isdigit() and known.isdigit()):
        return True
    return 0 < (int(trace) - int(known)) % TRACE_WRAP < TRACE_WRAP // 2


def _reaches_back(asked: Asked, rows: tuple[JournalRow, ...]) -> bool:
    """True when nothing between the last trace we knew and now can be missing from `rows`."""
    if len(rows) < JOURNAL_ROWS_MAX:
        return True  # this is all the terminal has
    return bool(asked.known_trace) and any(not beyond(row.trace, asked.known_trace) for row in rows)
