"""What the rows of a terminal's list mean, and how often to ask for them."""

from dataclasses import dataclass

import pytest
from shop import TID

from vafa.app.poll import (
    PAUSE_MAX_S,
    PAUSE_MIN_S,
    PAUSE_UNMEASURED_S,
    REFUSED_PAUSES_S,
    Reading,
    pause_s,
    read_rows,
    refused_pause_s,
)
from vafa.app.sales import Asked
from vafa.codecs.sadad_journal import JournalRow
from vafa.codecs.sadad_outputs import JournalRows
from vafa.model.calendar import Calendar, WallTime
from vafa.model.pan import CardHint
from vafa.model.payment import Payment

ZONE = "Asia/Tehran"


@dataclass
class Till:
    """Makes rows as a terminal would, newest first in `list()`."""

    trace: int = 100
    at_s: int = 0

    def __post_init__(self) -> None:
        self.rows: list[JournalRow] = []

    def sale(
        self,
        amount: int = 105,
        *,
        code: str = "00",
        kind: str = "04",
        order_id: str = "",
        after_s: int = 60,
        timed: bool = True,
    ) -> str:
        """Its RRN."""
        self.trace = self.trace % 999_999 + 1
        self.at_s += after_s
        hour, rest = divmod(self.at_s, 3600)
        at = WallTime(Calendar.GREGORIAN, 2026, 1, 5, hour, rest // 60, rest % 60) if timed else None
        rrn = f"32{self.trace:010d}" if code == "00" else ""
        self.rows.insert(
            0,
            JournalRow(
                type=kind, amount=amount, trace=f"{self.trace:06d}", paid_at=at, card=CardHint(), rrn=rrn,
                response=code, order_id=order_id,
            ),
        )  # fmt: skip
        return rrn

    def list(self, *, with_order_ids: bool = True, unreadable: int = 0) -> JournalRows:
        return JournalRows(tuple(self.rows[: 13 - unreadable]), with_order_ids, unreadable)


def asked(amount: int = 105, order_id: str = "100000007", known_trace: str = "000100") -> Asked:
    return Asked(TID, "r-1", 7, "1-1-7", 0, amount, order_id, "", b"", b"", 0, known_trace)


def read(till: Till, known: set[str] = frozenset(), *in_doubt: Asked, unreadable: int = 0) -> Reading:  # type: ignore[assignment]
    return read_rows(till.list(unreadable=unreadable), TID, lambda key: key.ref in known, in_doubt)


def refs(payments: tuple[Payment, ...]) -> list[str]:
    return [payment.key.ref for payment in payments]


# --- what the rows mean ---


def test_new_payments_come_oldest_first() -> None:
    till = Till()
    told = [till.sale(amount) for amount in (100, 200, 300)]
    reading = read(till, {told[0]})
    assert (refs(reading.known), refs(reading.new)) == (told[:1], told[1:])
    assert (reading.is_whole, reading.is_full) == (True, False)
    assert (reading.oldest_trace, reading.newest_trace) == ("000101", "000103")


@pytest.mark.parametrize(
    ("sales", "is_full", "is_whole"),
    [
        (0, False, True),  # only the known one
        (1, False, True),
        (12, True, True),  # the known one is the oldest of thirteen
        (13, True, False),  # it has just left the list
        (20, True, False),
    ],
)
def test_a_list_whose_oldest_payment_is_new_may_lack_older_ones(
    sales: int, is_full: bool, is_whole: bool
) -> None:
    till = Till()
    known = till.sale()
    for _ in range(sales):
        till.sale()
    reading = read(till, {known})
    assert (reading.is_full, reading.is_whole) == (is_full, is_whole)


def test_a_known_sale_among_newer_ones_does_not_hide_that_older_ones_left() -> None:
    """A sale of our own asking is known at once; keypad sales before it may have rolled past unseen."""
    till = Till()
    before = till.sale()
    for _ in range(14):
        till.sale()
    live = till.sale()
    reading = read(till, {before, live})
    assert (reading.is_full, reading.is_whole) == (True, False)


def test_a_row_that_cannot_be_read_takes_a_place_of_the_list() -> None:
    till = Till()
    for _ in range(13):
        till.sale()
    assert read(till, unreadable=1).is_full


def test_failed_rows_and_rows_without_a_reference_are_no_payments() -> None:
    till = Till()
    till.sale(code="51")
    paid = till.sale()
    till.sale(code="51")
    reading = read(till)
    assert refs(reading.new) == [paid]


def test_what_stands_before_anything_known_is_told_apart() -> None:
    till = Till()
    old = [till.sale(), till.sale()]
    live = till.sale()
    late = till.sale()
    reading = read(till, {live})
    assert (refs(reading.new), reading.earlier) == ([*old, late], 2)
    assert read(till).earlier == 4


def test_the_row_of_an_unsure_sale_is_left_to_resolution_by_its_order_id() -> None:
    till = Till()
    keyed = till.sale(105)
    ours = till.sale(105, order_id="100000007")
    reading = read(till, set(), asked())
    assert (refs(reading.new), refs(reading.left)) == ([keyed], [ours])


def test_where_no_row_has_an_order_id_all_sales_of_the_amount_since_are_left() -> None:
    till = Till()
    before = till.sale(105)
    bill = till.sale(105, kind="22")
    other = till.sale(106)
    candidates = [till.sale(105), till.sale(105)]
    reading = read(till, {before}, asked(known_trace="000101"))
    assert (refs(reading.new), refs(reading.left)) == ([bill, other], candidates)


def test_an_order_id_of_an_earlier_ledger_with_another_amount_is_not_ours() -> None:
    till = Till()
    earlier = till.sale(999, order_id="100000007")
    assert refs(read(till, set(), asked()).new) == [earlier]


def test_candidates_are_found_where_the_trace_wraps() -> None:
    till = Till(trace=999_998)
    till.sale(300)  # 999999
    ours = till.sale(105)  # 000001
    assert refs(read(till, set(), asked(known_trace="999999")).left) == [ours]


# --- how often ---


@pytest.mark.parametrize(
    ("sales", "apart_s", "pause"),
    [
        (13, 600, PAUSE_MAX_S),  # a quiet shop
        (13, 30, 120.0),  # four sales in two minutes
        (13, 1, PAUSE_MIN_S),  # as fast as a terminal can
        (5, 30, 120.0),
        (4, 30, PAUSE_UNMEASURED_S),  # too few to know
        (0, 0, PAUSE_UNMEASURED_S),
    ],
)
def test_a_third_of_the_list_is_sold_between_two_polls_at_most(
    sales: int, apart_s: int, pause: float
) -> None:
    till = Till()
    for _ in range(sales):
        till.sale(after_s=apart_s)
    assert pause_s(till.list().rows, ZONE) == pause


def test_the_fastest_minutes_of_the_list_count_not_its_mean() -> None:
    till = Till()
    for apart_s in (1_000, 1_000, 1_000, 5, 5, 5, 5, 1_000, 1_000):
        till.sale(after_s=apart_s)
    assert pause_s(till.list().rows, ZONE) == 20.0


def test_rows_without_a_time_do_not_measure_anything() -> None:
    till = Till()
    for _ in range(13):
        till.sale(timed=False)
    assert pause_s(till.list().rows, ZONE) == PAUSE_UNMEASURED_S


def test_a_terminal_that_refuses_is_asked_less_and_less_often_but_never_given_up() -> None:
    pauses = [refused_pause_s(times) for times in range(1, 20)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (REFUSED_PAUSES_S[0], PAUSE_MAX_S)
