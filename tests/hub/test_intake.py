"""Rows of real devices into a real PostgreSQL: appended once, equal in every hash, branches kept apart."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hub.device_rows import LEDGER_ID, MERCHANT, SENDER, busy, copied, journal, sent, sold, spot
from shop import Shop

from vafa.books import till as tills
from vafa.books.apply import apply, state_hash_after
from vafa.books.rows import TABLES, BookRow
from vafa.hub.database import Connection, Database
from vafa.hub.intake import Booked, End, Sender, book
from vafa.hub.lines import BEGINNING, Spot, current, lines_of
from vafa.ledger.storage import connect_reader
from vafa.ledger.tables import SQL
from vafa.model import events
from vafa.model.chain import Row, chain_hash
from vafa.model.events import Kind

NOW_MS = 1_767_000_000_000


def sync(
    database: Database,
    rows: list[Row],
    before: Row | None = None,
    *,
    whole: bool = False,
    sender: Sender = SENDER,
) -> Booked:
    """The rows that follow `before`, taken in a transaction of their own."""
    with database.transaction() as connection:
        return book(connection, sender, spot(before), sent(rows, whole=whole), rows[-1].hash, NOW_MS)


def columns(row_type: type[BookRow]) -> str:
    return ", ".join(row_type.__struct_fields__)


def books_of(connection: Connection, line: int = 0, sender: Sender = SENDER) -> dict[str, set[Any]]:
    """Every row of the books of one line at the hub."""
    found = {}
    for row_type, table in TABLES.items():
        whose = f"{table} WHERE merchant_id = %s AND device = %s AND line = %s"
        question = f"SELECT {columns(row_type)} FROM {whose}"
        rows = connection.execute(question.encode(), (sender.merchant, sender.device, line))
        found[table] = set(rows)
    return found


def books_at(shop: Shop) -> dict[str, set[Any]]:
    """Every row of the books on the device."""
    connection = connect_reader(shop.ledger.path)
    try:
        return {
            table: set(connection.execute(SQL[row_type].all_by_key).fetchall())
            for row_type, table in TABLES.items()
        }
    finally:
        connection.close()


def agrees(database: Database, shop: Shop) -> None:
    """One of the hub's lines is the device's ledger: each row, each hash, each state hash."""
    agrees_with(database, shop, MERCHANT)


def agrees_with(database: Database, shop: Shop, merchant: str, device: int = 1) -> None:
    """As `agrees`, for any merchant's device."""
    rows = journal(shop)
    with database.transaction() as connection:
        lines = lines_of(connection, merchant, device)
        line = next((each for each in lines if each.hash == rows[-1].hash), current(lines))
        assert (line.epoch, line.seq, line.hash) == (rows[-1].epoch, rows[-1].seq, rows[-1].hash)
        assert (line.till, line.state) == (rows[-1].till, rows[-1].state)
        assert books_of(connection, line.line, Sender(merchant, device, LEDGER_ID)) == books_at(shop)
        kept = connection.execute(
            "SELECT epoch, seq, at, kind, body, till, state, hash FROM journal "
            "WHERE merchant_id = %s AND device = %s AND line = %s AND seq > %s ORDER BY seq",
            (merchant, device, line.line, line.left_seq),
        ).fetchall()
        assert [Row(*values) for values in kept] == rows[line.left_seq :]


def test_a_day_s_rows_give_the_device_s_books_and_hashes(database: Database, shop: Shop) -> None:
    busy(shop)
    rows = journal(shop)
    assert {row.kind for row in rows} >= {
        Kind.AWARD, Kind.PAYMENT, Kind.CLAIM, Kind.BIND, Kind.REVERSAL, Kind.REFUND, Kind.REFUND_UNMATCHED,
        Kind.ADJUST, Kind.GAP_CLOSED, Kind.BASELINE, Kind.SALE_ENDED, Kind.ENROL,
    }  # fmt: skip
    booked = sync(database, rows)
    assert booked == Booked(End.BOOKED, spot_whole(rows[-1]), appended=len(rows))
    agrees(database, shop)


def spot_whole(row: Row) -> Spot:
    return Spot(row.epoch, row.seq, row.hash)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_any_split_of_the_rows_gives_the_same(database: Database, shop: Shop, size: int) -> None:
    busy(shop)
    rows = journal(shop)
    for first in range(0, len(rows), size):
        before = rows[first - 1] if first else None
        assert sync(database, rows[first : first + size], before).end is End.BOOKED
    agrees(database, shop)


def test_rows_told_again_in_any_overlap_change_nothing(database: Database, shop: Shop) -> None:
    sold(shop, 6)
    rows = journal(shop)
    sync(database, rows[:5])
    for first, end in [(0, 5), (2, 5), (4, 5), (0, 1)]:
        again = sync(database, rows[first:end], rows[first - 1] if first else None)
        assert (again.end, again.received, again.appended) == (End.BOOKED, spot_whole(rows[end - 1]), 0)
    assert sync(database, rows[3:], rows[2]).appended == len(rows) - 5
    agrees(database, shop)


def test_a_hub_that_holds_less_than_it_said_names_what_it_holds(database: Database, shop: Shop) -> None:
    sold(shop, 6)
    rows = journal(shop)
    sync(database, rows[:4])
    rewound = sync(database, rows[6:], rows[5])
    assert (rewound.end, rewound.received) == (End.REWIND, spot_whole(rows[3]))
    sync(database, rows[4:], rows[3])
    agrees(database, shop)


def test_an_empty_hub_asks_for_everything(database: Database, shop: Shop) -> None:
    sold(shop, 2)
    rows = journal(shop)
    assert sync(database, rows[3:], rows[2]) == Booked(End.REWIND, BEGINNING)


def test_a_request_without_rows_says_what_is_held(database: Database, shop: Shop) -> None:
    sold(shop, 2)
    rows = journal(shop)
    sync(database, rows)
    with database.transaction() as connection:
        assert book(connection, SENDER, spot(rows[-1]), [], b"", NOW_MS).end is End.BOOKED
        assert book(connection, SENDER, Spot(1, 99, b"x" * 8), [], b"", NOW_MS).end is End.REWIND


def test_rows_that_do_not_give_the_named_hash_are_asked_for_whole_and_not_kept(
    database: Database, shop: Shop
) -> None:
    sold(shop, 3)
    rows = journal(shop)
    forged = [*rows[:3], msgspec.structs.replace(rows[3], at=rows[3].at + 1)]
    booked = sync(database, [*forged[:-1], msgspec.structs.replace(forged[-1], hash=rows[3].hash)])
    assert booked.end is End.WHOLE
    assert sync(database, forged, whole=True).end is End.CHAIN
    with database.transaction() as connection:
        assert lines_of(connection, MERCHANT, 1) == []
        assert not any(books_of(connection).values())


def chained(rows: list[Row], *more: tuple[int, bytes]) -> list[Row]:
    """The rows with others after them: (kind, body), chained with the till and state of the last."""
    out = list(rows)
    for kind, body in more:
        last = out[-1]
        made = (last.epoch, last.seq + 1, last.at, kind, body, last.till, last.state)
        out.append(Row(*made, chain_hash(last.hash, *made)))
    return out


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (60, b"\x90", "kind 60 cannot be read"),
        (int(Kind.AWARD), b"\x90", "award cannot be read"),
        (int(Kind.GAP_CLOSED), events.encode(events.GapClosed((1, 77), "x", "y")), "never detected"),
        (int(Kind.SPEND_RIGHTS), events.encode(events.SpendRights(0, 0, b"")), "newer Vafa"),
        (
            int(Kind.BASELINE),
            events.encode(events.Baseline("C1", "\0", 0)),
            "larger than any the books can hold",
        ),
        (
            int(Kind.SALE_ASKED),
            events.encode(events.SaleAsked("\0", "r", 1, 0, "", "", b"", b"", b"", 0, "")),
            "larger",
        ),
    ],
)
def test_a_row_that_cannot_be_applied_waits_in_suspense_and_blocks_nothing(
    database: Database, shop: Shop, kind: int, body: bytes, reason: str
) -> None:
    sold(shop, 2)
    rows = chained(
        journal(shop), (kind, body), (int(Kind.CLOCK_ATTESTED), events.encode(events.ClockAttested(1, "x")))
    )
    assert sync(database, rows).end is End.WHOLE
    booked = sync(database, rows, whole=True)
    assert (booked.end, booked.appended, booked.suspended) == (End.BOOKED, len(rows), 1)
    with database.transaction() as connection:
        kept = connection.execute(
            "SELECT seq, kind, reason FROM suspense WHERE merchant_id = %s", (MERCHANT,)
        )
        ((seq, stored_kind, said),) = kept.fetchall()
    assert (seq, stored_kind) == (rows[-2].seq, kind)
    assert reason in said


class NobodyPaid:
    """Books that hold no payment."""

    def find(self, _row_type: Any, _key: Any) -> Any:
        return None


@pytest.mark.parametrize("own_books", [False, True], ids=["as its books are", "as if it were new"])
def test_a_payment_that_the_hub_has_already_waits_in_suspense(
    database: Database,
    shop: Shop,
    own_books: bool,
) -> None:
    """The hub does not ask for each payment whether it is there: PostgreSQL refuses the one that is."""
    sold(shop, 3)
    rows = journal(shop)
    sync(database, rows)
    again, last = rows[-2], rows[-1]
    till, state = last.till, last.state
    if own_books:  # a device that does not notice either
        effect = apply(events.decode(again.kind, again.body), last.seq + 1, NobodyPaid(), tills.unpack(till))
        till = tills.pack(effect.till)
        state = state_hash_after(int.from_bytes(state, "big"), effect.changes).to_bytes(32, "big")
    made = (last.epoch, last.seq + 1, last.at, again.kind, again.body, till, state)
    doubled = [Row(*made, chain_hash(last.hash, *made))]
    assert sync(database, doubled, last).end is End.WHOLE
    booked = sync(database, doubled, last, whole=True)
    assert (booked.end, booked.appended, booked.suspended) == (End.BOOKED, 1, 1)
    with database.transaction() as connection:
        ((said,),) = connection.execute("SELECT reason FROM suspense").fetchall()
        assert len(books_of(connection)["payment"]) == 3
    assert "was posted before" in said


def test_the_first_row_where_the_books_differ_is_named(database: Database, shop: Shop) -> None:
    sold(shop, 2)
    rows = journal(shop)
    last = rows.pop()
    made = (last.epoch, last.seq, last.at, last.kind, last.body, last.till, bytes(32))
    rows.append(Row(*made, chain_hash(rows[-1].hash, *made)))
    assert sync(database, rows).end is End.WHOLE
    booked = sync(database, rows, whole=True)
    assert (booked.end, booked.suspended, booked.whole) == (End.BOOKED, 1, True)


def test_the_ledger_of_another_device_is_named(database: Database, shop: Shop) -> None:
    rows = journal(shop)
    stranger = Sender(MERCHANT, 2, b"another ledger")
    assert sync(database, rows, sender=stranger).end is End.WHOLE
    assert sync(database, rows, whole=True, sender=stranger).suspended == 1


def test_a_copied_card_that_goes_on_is_another_line_and_both_stay(
    database: Database, shop: Shop, tmp_path: Path
) -> None:
    sold(shop, 2)
    (tmp_path / "copy").mkdir()
    twin = copied(shop, tmp_path / "copy")
    shared = journal(shop)
    sync(database, shared)
    sold(shop, 3, 320062617000)
    sold(twin, 4, 320062618000)
    ours, theirs = journal(shop), journal(twin)
    assert sync(database, ours[len(shared) :], shared[-1]).forked is False
    booked = sync(database, theirs[len(shared) :], shared[-1])
    assert (booked.end, booked.forked) == (End.BOOKED, True)
    agrees(database, twin)
    sold(shop, 1, 320062619000)
    sold(twin, 1, 320062619500)
    for device, known in [(shop, ours), (twin, theirs)]:
        rows = journal(device)
        assert sync(database, rows[len(known) :], known[-1]).end is End.BOOKED
        assert sync(database, rows[len(shared) :], shared[-1]).appended == 0  # told again
    agrees(database, twin)
    with database.transaction() as connection:
        lines = lines_of(connection, MERCHANT, 1)
        assert [(line.line, line.parent) for line in lines] == [(0, None), (1, 0)]
        assert current(lines).line == 0  # neither opened an epoch: the first one stands for the device
        assert books_of(connection, 0) == books_at(shop)
    twin.ledger.close()


def test_a_restored_backup_goes_on_in_a_new_epoch_and_the_lost_branch_stays(
    database: Database, shop: Shop, tmp_path: Path
) -> None:
    sold(shop, 3)
    (tmp_path / "restored").mkdir()
    restored = copied(shop, tmp_path / "restored")
    head = restored.ledger.head
    sold(shop, 4, 320062617000)
    sync(database, journal(shop))
    opened = events.EpochOpened(LEDGER_ID, 1, (head.epoch, head.seq, head.hash), b"\1\2", "restored")
    restored.ledger.write(lambda tx: tx.post(opened))
    sold(restored, 2, 320062618000)
    rows = journal(restored)
    booked = sync(database, rows[head.seq :], rows[head.seq - 1])
    assert (booked.end, booked.forked) == (End.BOOKED, True)
    assert booked.received.epoch == 2
    agrees(database, restored)
    with database.transaction() as connection:
        assert current(lines_of(connection, MERCHANT, 1)).line == 1
    # what the other had not sent comes later and does not stand for the device again
    sold(shop, 1, 320062619000)
    lost = journal(shop)
    assert sync(database, lost[-1:], lost[-2]).line == 0
    with database.transaction() as connection:
        assert current(lines_of(connection, MERCHANT, 1)).line == 1
    restored.ledger.close()


def test_a_branch_of_a_branch_has_the_books_of_its_whole_way(
    database: Database, shop: Shop, tmp_path: Path
) -> None:
    devices, known = [shop], 0
    for number in range(3):
        sold(devices[-1], 2, 320062620000 + 100 * number)
        folder = tmp_path / f"copy{number}"
        folder.mkdir()
        devices.append(copied(devices[-1], folder))
        sold(devices[-2], 3, 320062630000 + 100 * number)
    sold(devices[-1], 1, 320062640000)
    for device in devices:
        assert sync(database, journal(device)).end is End.BOOKED
        agrees(database, device)
        known += 1
    with database.transaction() as connection:
        assert len(lines_of(connection, MERCHANT, 1)) == known
    for device in devices[1:]:
        device.ledger.close()


def test_a_device_on_a_branch_the_hub_lost_is_led_back_to_a_row_both_hold(
    database: Database, shop: Shop, tmp_path: Path
) -> None:
    sold(shop, 3)
    (tmp_path / "copy").mkdir()
    twin = copied(shop, tmp_path / "copy")
    sold(shop, 20, 320062617000)
    sold(twin, 15, 320062618000)
    sync(database, journal(shop))
    rows = journal(twin)
    at, tries = len(rows), 0
    while True:
        booked = sync(database, rows[at:] or rows[-1:], rows[at - 1] if at else None)
        if booked.end is End.BOOKED:
            break
        at, tries = booked.received.seq, tries + 1
    assert tries < 6
    agrees(database, twin)
    twin.ledger.close()


def test_nothing_of_a_request_is_kept_when_the_transaction_fails(database: Database, shop: Shop) -> None:
    sold(shop, 2)
    rows = journal(shop)

    class Stop(Exception):
        pass

    def failing() -> None:
        with database.transaction() as connection:
            book(connection, SENDER, BEGINNING, sent(rows), rows[-1].hash, NOW_MS)
            raise Stop

    with pytest.raises(Stop):
        failing()
    with database.transaction() as connection:
        assert lines_of(connection, MERCHANT, 1) == []
    sync(database, rows)
    agrees(database, shop)


def test_the_loader_knows_every_row_an_event_reads(
    database: Database, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vafa.hub import device_books

    asked: list[int] = []
    real = device_books.DeviceBooks.write

    def counted(self: device_books.DeviceBooks) -> None:
        asked.append(self.queries)
        real(self)

    monkeypatch.setattr(device_books.DeviceBooks, "write", counted)
    busy(shop)
    sync(database, journal(shop))
    assert asked == [0]
