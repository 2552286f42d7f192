"""What a terminal's journal proves of a sale whose answer was lost, and when "not paid" may be said."""

import pytest
from lane_bench import ANSWER_TIMEOUT_S, Bench
from shop import TID

from vafa.app.resolve import Verdict, resolve
from vafa.app.sales import Asked
from vafa.codecs.sadad_journal import JournalRow
from vafa.codecs.sadad_outputs import JournalRefused, JournalRows
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme

OURS = "100000003"
PAID, UNPAID, UNSURE = Verdict.PAID, Verdict.UNPAID, Verdict.UNSURE
POSTED = "320062616099"  # a reference number that is in the ledger already


def row(trace: int, amount: int = 105, order_id: str = "", response: str = "00", **fields: str) -> JournalRow:
    given = {"type": "04", "rrn": f"320062{trace:06d}"} | fields
    return JournalRow(
        amount=amount, trace=f"{trace:06d}", paid_at=None, card=CardHint(), response=response,
        order_id=order_id, **given,
    )  # fmt: skip


def asked(known_trace: str = "000010") -> Asked:
    return Asked(
        tid=TID, request="r", seq=3, number="1-1-3", at_ms=0, amount=105, order_id=OURS, claim="", holder=b"",
        card=b"", points_promised=10, known_trace=known_trace,
    )  # fmt: skip


def others(count: int, start: int = 20, order_id: str = "") -> tuple[JournalRow, ...]:
    """Rows of other amounts, newest first."""
    return tuple(row(start + n, 999, order_id) for n in reversed(range(count)))


def told(*rows: JournalRow, unreadable: int = 0) -> JournalRows:
    return JournalRows(rows, with_order_ids=True, unreadable=unreadable)


def plain(*rows: JournalRow, unreadable: int = 0) -> JournalRows:
    return JournalRows(rows, with_order_ids=False, unreadable=unreadable)


@pytest.mark.parametrize(
    ("journal", "may_pay", "verdict"),
    [
        # by order id
        (told(row(11, order_id=OURS)), True, PAID),
        (told(row(12), row(11, order_id=OURS)), True, PAID),  # beside a keyed sale of the amount
        (told(row(11, order_id=OURS, response="51")), True, UNPAID),
        (told(row(12, order_id=OURS), row(11, order_id=OURS, response="51")), False, PAID),
        (told(row(11, order_id=OURS, rrn="")), False, UNPAID),  # no reference number: not done
        (told(row(11, order_id=OURS, response="51"), unreadable=1), False, UNSURE),
        (told(row(11, order_id=OURS), unreadable=1), False, PAID),
        (told(row(11, 999, order_id=OURS)), False, UNPAID),  # our order id in an earlier ledger's hand
        # the terminal tells order ids, ours is not among them
        (told(row(11, order_id="200000001")), True, UNSURE),
        (told(row(11, order_id="200000001")), False, UNPAID),
        (told(row(12), row(11, 300, order_id="200000001")), False, UNPAID),  # 105 was keyed: another's
        # it could tell order ids, and tells none: a keyed sale, or firmware that forgets them
        (told(row(11)), False, UNSURE),
        (told(row(11, 999)), False, UNPAID),
        (told(row(9)), False, UNPAID),  # before what we knew
        # it has no order ids: by amount, beyond the last trace
        (plain(row(11)), True, PAID),
        (plain(row(9)), True, UNSURE),
        (plain(row(9)), False, UNPAID),
        (plain(row(12), row(11)), False, UNSURE),  # two candidates
        (plain(row(11), unreadable=1), False, UNSURE),  # the unreadable one may be a second
        (plain(row(11, response="51")), False, UNPAID),
        (plain(row(11, type="25")), False, UNPAID),  # a top-up is no sale
        (plain(row(12, rrn=POSTED)), False, UNPAID),  # explained by another sale
        (plain(row(12, rrn=POSTED), row(11)), False, PAID),
        # absence
        (plain(), True, UNSURE),
        (plain(), False, UNPAID),
        (plain(*others(12)), False, UNPAID),  # all the terminal has
        (plain(*others(12), unreadable=1), False, UNSURE),  # ours may be the one that could not be read
        (plain(*others(13)), False, UNSURE),  # thirteen, all newer than what we knew: it may have gone
        (plain(*others(13, start=9)), False, UNPAID),  # reaches back to 000010
    ],
)  # fmt: skip
def test_what_the_journal_proves(journal: JournalRows, may_pay: bool, verdict: Verdict) -> None:
    def posted(key: PaymentKey) -> bool:
        return key == PaymentKey(Scheme.RRN, TID, POSTED)

    found = resolve(asked(), journal, TID, posted, customer_may_pay=may_pay)
    assert found.verdict is verdict
    assert (found.payment is not None) == (verdict is PAID)
    assert found.why


@pytest.mark.parametrize(
    ("known", "trace", "verdict"),
    [
        ("999998", 999_999, PAID),
        ("999998", 1, PAID),  # the trace wrapped
        ("000001", 999_999, UNPAID),
        ("", 1, PAID),  # nothing was known
    ],
)
def test_a_trace_lies_beyond_the_known_one_also_where_it_wraps(
    known: str, trace: int, verdict: Verdict
) -> None:
    found = resolve(asked(known), plain(row(trace)), TID, lambda _key: False, customer_may_pay=False)
    assert found.verdict is verdict


def test_thirteen_rows_and_nothing_known_before_prove_nothing() -> None:
    found = resolve(asked(""), plain(*others(13)), TID, lambda _key: False, customer_may_pay=False)
    assert found.verdict is UNSURE


# --- when "not paid" may be said -------------------------------------------------------------------------


def unsure_sale(bench: Bench) -> Asked:
    bench.terminal.next("never")
    bench.queue()
    bench.run(lambda: bench.requests_sent() == 1)
    (sale,) = bench.shop.sales.unresolved(TID)
    bench.shop.sales.end(sale, SaleOutcome.UNSURE, "", None)
    return sale


def ending(bench: Bench) -> SaleOutcome | None:
    known = bench.shop.sales.known(TID, "r-1")
    assert known is not None
    return known.ended


@pytest.mark.parametrize("jump_s", [-56 * 365 * 86_400, 0, 56 * 365 * 86_400])
@pytest.mark.parametrize("restart", [False, True])
def test_not_paid_waits_for_the_customer_whatever_the_wall_clock_says(
    bench: Bench, jump_s: int, restart: bool
) -> None:
    sale = unsure_sale(bench)
    if restart:
        bench.restart()
    else:
        bench.lane._lookup.unsure(sale, sent_at=bench.now())
    bench.clock.jump(jump_s)
    bench.clock.advance(ANSWER_TIMEOUT_S - 1)
    bench.lane._lookup.answered(told())
    assert ending(bench) is SaleOutcome.UNSURE
    bench.clock.advance(1)
    bench.lane._lookup.answered(told())
    assert ending(bench) is SaleOutcome.RESOLVED_UNPAID


def test_only_a_terminal_that_heard_the_question_is_asked_another_way(bench: Bench) -> None:
    lookup = bench.lane._lookup
    assert lookup.question().with_order_ids
    lookup.refused(JournalRefused("the line was lost", by_terminal=False))
    assert lookup.question().with_order_ids
    lookup.refused(JournalRefused("refused", by_terminal=True))
    assert not lookup.question().with_order_ids
    lookup.refused(JournalRefused("it does not answer", by_terminal=False))
    assert lookup.question().with_order_ids
