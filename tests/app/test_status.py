"""How things stand: each trouble with its verdict and code, today's counts, and silence when all is well."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shop import TID, Shop, payment

from vafa.app.live import LaneState, Live
from vafa.app.standing import Status
from vafa.app.status import Facts, iso, midnight, newest_backup_ms, status
from vafa.app.terminal_status import lasted
from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.ledger.storage import connect_reader
from vafa.model import events
from vafa.model.errors import LedgerError
from vafa.model.events import SaleOutcome
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme

NOW_MS = 1_767_000_000_000  # the shop's clock: 12:50 in Tehran
LANE = LaneState(TID, "ecr", "/dev/ttyUSB0", "open", "idle", 4.0)
LIVE = Live("1.4.2", 4711, 60.0, (LANE,))
FACTS = Facts("Kafe Negin", "Asia/Tehran", ((TID, "ecr", "/dev/ttyUSB0"),), backup_ms=NOW_MS - 3_600_000)


@pytest.fixture
def books(shop: Shop) -> Iterator[sqlite3.Connection]:
    connection = connect_reader(shop.ledger.path)
    yield connection
    connection.close()


def said(
    books: sqlite3.Connection | None, live: Live | None = LIVE, now_ms: int = NOW_MS, facts: Facts = FACTS
) -> Status:
    return status(books, live, facts, now_ms)


def codes(found: Status) -> list[tuple[str, str]]:
    return [(trouble.level, trouble.code) for trouble in found.trouble]


def with_lane(**fields: Any) -> Live:
    return msgspec.structs.replace(LIVE, lanes=(msgspec.structs.replace(LANE, **fields),))


def test_a_shop_in_order_is_ok_without_a_word_of_trouble(shop: Shop, books: sqlite3.Connection) -> None:
    shop.counter.post(payment())
    found = said(books)
    assert (found.verdict, found.running, found.trouble) == ("ok", True, ())
    assert (found.schema, found.version, found.pid, found.shop) == (1, "1.4.2", 4711, "Kafe Negin")
    assert (found.queue.enrolled, found.queue.kept, found.clock.attested) == (False, 3, False)
    assert found.backup_age_s == 3_600.0


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (None, ("broken", "RUN-001")),
        (msgspec.structs.replace(LIVE, ledger_failure="disk I/O error"), ("broken", "LED-001")),
        (with_lane(unposted=2), ("broken", "LED-007")),
        (with_lane(line="closed", trouble="no such device"), ("broken", "SER-001")),
        (with_lane(mode="proxy", line="closed", trouble="no relay", code="RUN-004"), ("broken", "RUN-004")),
        (with_lane(mode="proxy", trouble="refused", fix="look", code="SER-004"), ("degraded", "SER-004")),
        (with_lane(trouble="another terminal answered"), ("degraded", "TRM-001")),
        (with_lane(trouble="silent", finding="silent", code="TRM-010"), ("degraded", "TRM-010")),
        (with_lane(trouble="no", finding="mute", code="TRM-012", cut_off=True), ("broken", "TRM-012")),
        (
            msgspec.structs.replace(
                LIVE,
                lanes=(LANE, msgspec.structs.replace(LANE, trouble="no", code="TRM-012", cut_off=True)),
            ),
            ("degraded", "TRM-012"),
        ),
        (
            msgspec.structs.replace(LIVE, lanes=(LANE, msgspec.structs.replace(LANE, line="closed"))),
            ("degraded", "SER-001"),
        ),
        (msgspec.structs.replace(LIVE, jobs={"integrity": (False, 5.0, "page 7")}), ("broken", "LED-003")),
        (msgspec.structs.replace(LIVE, jobs={"backup": (False, 5.0, "disk full")}), ("degraded", "JOB-001")),
    ],
)
def test_each_trouble_has_its_level_and_its_code(
    shop: Shop, books: sqlite3.Connection, live: Live | None, expected: tuple[str, str]
) -> None:
    found = said(books, live)
    assert codes(found) == [expected]
    assert found.verdict == expected[0]
    assert all(trouble.fix for trouble in found.trouble)


def test_the_worst_trouble_comes_first_and_gives_the_verdict(shop: Shop, books: sqlite3.Connection) -> None:
    live = msgspec.structs.replace(with_lane(trouble="noise"), jobs={"integrity": (False, 1.0, "page 7")})
    found = said(books, live)
    assert found.verdict == "broken"
    assert [level for level, _ in codes(found)] == ["broken", "degraded"]


def test_a_ledger_that_cannot_be_read_is_broken_and_the_rest_is_still_told() -> None:
    found = status(None, LIVE, FACTS, NOW_MS, LedgerError("disk image is malformed"))
    assert codes(found) == [("broken", "LED-001")]
    assert found.terminals[0].state == "answering"


def test_a_ledger_that_may_not_be_read_is_no_matter_of_the_disk() -> None:
    (trouble, *_) = status(
        None, None, FACTS, NOW_MS, LedgerError("not yours", fix="run it with sudo")
    ).trouble
    assert (trouble.message, trouble.fix) == ("The ledger does not answer: not yours.", "Run it with sudo.")


def test_an_unsure_sale_degrades_until_it_is_settled(shop: Shop, books: sqlite3.Connection) -> None:
    asked = shop.sales.ask(TID, "r-1", 250_000, b"", CardHint())
    assert said(books).verdict == "ok"
    assert said(books).open_sales[0].state == "in_hand"
    shop.sales.end(asked, SaleOutcome.UNSURE, "", None)
    found = said(books)
    assert codes(found) == [("degraded", "TRM-008")]
    assert asked.number in found.trouble[0].message
    assert "250,000" in found.trouble[0].fix
    shop.sales.end(asked, SaleOutcome.RESOLVED_UNPAID, "", None)
    assert said(books).verdict == "ok"


def test_a_sale_in_hand_for_longer_than_any_customer_needs_degrades(
    shop: Shop, books: sqlite3.Connection
) -> None:
    shop.sales.ask(TID, "r-1", 250_000, b"", CardHint())
    assert said(books, now_ms=NOW_MS + 800_000).verdict == "ok"
    assert codes(said(books, now_ms=NOW_MS + 1_000_000)) == [("degraded", "TRM-008")]


def test_an_open_gap_degrades_until_it_is_closed(shop: Shop, books: sqlite3.Connection) -> None:
    gap = shop.ledger.write(lambda tx: tx.post(events.GapDetected(TID, "000990", "", "the line was down")))
    found = said(books)
    assert codes(found) == [("degraded", "GAP-001")]
    assert (found.gaps[0].terminal, found.gaps[0].why) == (TID, "the line was down")
    shop.ledger.write(lambda tx: tx.post(events.GapClosed((gap.epoch, gap.seq), "test", "compared")))
    assert said(books).verdict == "ok"


def test_today_counts_each_sale_once_by_what_became_of_it(shop: Shop, books: sqlite3.Connection) -> None:
    shop.wall_ms = midnight(NOW_MS, "Asia/Tehran") - 1
    shop.counter.post(payment(1))  # yesterday's
    shop.wall_ms = midnight(NOW_MS, "Asia/Tehran")
    member = bytes.fromhex(shop.members.add("09121236789", "", "test").id)
    shop.counter.post(payment(2), member)
    shop.counter.post(payment(3))
    claimed = shop.counter.post(payment(4))
    shop.members.claim(claimed.claim, member, "test")
    shop.counter.post(payment(5, is_sale=False))  # a bill: no sale
    shop.wall_ms += 86_400_000
    shop.counter.post(payment(6))  # by a clock that was ahead
    today = said(books).today
    assert (today.sales, today.awarded, today.waiting, today.nothing, today.points) == (3, 2, 1, 0, 30)
    assert today.since == "2025-12-28T20:30:00.000Z"


def test_today_is_net_of_what_went_back_and_tells_it_apart(shop: Shop, books: sqlite3.Connection) -> None:
    member = bytes.fromhex(shop.members.add("09121236789", "", "test").id)
    paid, undo = payment(), Undo(shop.counter)
    shop.counter.post(paid, member)
    requests = [PaymentKey(Scheme.REQUEST, TID, f"u-{n}") for n in range(3)]
    undo.undo(Wish(Undoing.REFUND, paid.key, requests[0], 30, None, "test"))
    undo.undo(Wish(Undoing.VOID, payment(1).key, requests[1], None, None, "test"))  # unknown here
    undo.adjust(Adjustment(member, 5, "a reason", requests[2], "test"))
    today = said(books).today
    assert (today.sales, today.points, today.undone, today.taken, today.adjusted) == (1, 7, 2, 3, 5)


def test_a_clock_behind_the_newest_sale_is_told(shop: Shop, books: sqlite3.Connection) -> None:
    shop.counter.post(payment())
    found = said(books, now_ms=0)
    assert ("degraded", "CLK-001") in codes(found)
    assert found.clock.behind_s == NOW_MS // 1000


def test_backups_that_stay_away_for_days_degrade(shop: Shop, books: sqlite3.Connection) -> None:
    late = msgspec.structs.replace(FACTS, backup_ms=NOW_MS - 4 * 86_400_000)
    assert codes(said(books, facts=late)) == [("degraded", "JOB-002")]
    none_yet = msgspec.structs.replace(FACTS, backup_ms=None)
    assert said(books, facts=none_yet).backup_age_s is None


def test_the_newest_backup_is_found_and_a_missing_directory_is_none(tmp_path: Path) -> None:
    assert newest_backup_ms(tmp_path / "none") is None
    for name, at in (("ledger-000002.db", 1_000), ("ledger-000001.db", 2_000), ("notes.txt", 3_000)):
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (at, at))
    assert newest_backup_ms(tmp_path) == 1_000_000


def test_the_daemon_down_shows_the_configured_terminals_as_unknown(
    shop: Shop, books: sqlite3.Connection
) -> None:
    found = said(books, None)
    assert not found.running
    assert [(each.terminal, each.state) for each in found.terminals] == [(TID, "unknown")]


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (NOW_MS + 105, "2025-12-29T09:20:00.105Z"), (10**15, "9999")],
)
def test_a_time_is_iso_also_where_the_clock_lies(at_ms: int, text: str) -> None:
    assert iso(at_ms).startswith(text)


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({}, "answering"),
        ({"last_frame_age_s": None}, "unheard"),
        ({"finding": "mute"}, "silent"),
        ({"finding": "silent"}, "silent"),
        ({"finding": "garbled"}, "garbled"),
        ({"finding": "refusing"}, "refusing"),
        ({"finding": "noisy"}, "answering"),
        ({"code": "TRM-002"}, "other terminal"),
        ({"line": "closed", "finding": "silent"}, "closed"),
    ],
)
def test_a_terminal_s_state_is_one_word_or_two(
    books: sqlite3.Connection, fields: dict[str, Any], state: str
) -> None:
    assert said(books, with_lane(**fields)).terminals[0].state == state


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (89, "89 s"), (2_460, "41 min"), (7_200, "2 h"), (300_000, "3 days")]
)
def test_how_long_something_lasts_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert lasted(seconds) == text


def test_an_absent_relay_is_broken_even_while_another_terminal_is_heard(books: sqlite3.Connection) -> None:
    """Not one terminal's silence: that shop's cash register does not reach its terminal."""
    gone = msgspec.structs.replace(
        LANE, terminal="2", line="closed", trouble="no relay", code="RUN-004", fix="start the relay"
    )
    found = said(books, msgspec.structs.replace(LIVE, lanes=(LANE, gone)))
    assert [(t.level, t.code, t.fix) for t in found.trouble] == [("broken", "RUN-004", "Start the relay")]


def test_a_terminal_of_a_local_program_has_no_line_to_show_while_the_daemon_is_down(shop: Shop) -> None:
    facts = Facts(
        "Kafe Negin", "Asia/Tehran", ((TID, "local", "/dev/ttyUSB0"), ("40217736", "ecr", "tcp:h:1"))
    )
    connection = connect_reader(shop.ledger.path)
    try:
        found = status(connection, None, facts, shop.wall_ms).terminals
    finally:
        connection.close()
    assert [(each.address, each.state) for each in found] == [("", "unknown"), ("tcp:h:1", "unknown")]
