"""The courier with a real ledger, a hub behind real TLS, and mishaps in every place; no sleeping."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from certificates import Authority
from hub.device_rows import copied, journal, sold
from hub_stub import HUB_KEY, Hub, Served
from shop import PROGRAMME, Shop, payment

from vafa.app import forgetting, regaining
from vafa.app.sync_journal import LedgerJournal
from vafa.club.programme import parse
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey
from vafa.ledger import branches
from vafa.model import events
from vafa.model.chain import Row
from vafa.model.errors import ProgrammeError, SyncError
from vafa.sync.budget import DAY_S
from vafa.sync.courier import (
    FINAL_RETRY_S,
    GATHER_S,
    HEARTBEAT_S,
    LOOK_FROM_ROWS,
    RETRY_MAX_S,
    Courier,
    Who,
    World,
)
from vafa.sync.kept import (
    LOG_ROWS_KEPT,
    Store,
    log_in,
    messages_for,
    reading,
    remote_member,
    remote_members_of,
)
from vafa.sync.links import LinkNow
from vafa.sync.parcel import believed, mark_at, placed
from vafa.sync.transport import HttpTransport
from vafa.wire import signing
from vafa.wire.messages import (
    Branch,
    Facts,
    Forgotten,
    Have,
    Mark,
    Programme,
    Reason,
    ReceiptMessage,
    Refusal,
    RemoteMember,
)
from vafa.wire.rows import pack, unpack

DEVICE_KEY = SigningKey(DeviceKey(b"D" * 32))
NOW_MS = 1_767_000_000_000
SIM, WIFI = LinkNow("wwan0 sim", metered=True), LinkNow("wlan0 wifi")
OTHER_PROGRAMME = PROGRAMME.replace("per = 10", "per = 20")


class Bench:
    """One device and its hub. `now` is monotonic time and moves by `run` alone."""

    def __init__(self, directory: Path) -> None:
        self.shop = Shop(directory, NOW_MS)
        self.hub = Hub(DEVICE_KEY.public, lambda: self.shop.wall_ms)
        self.authority = Authority(directory)
        self.served = Served(self.hub, self.authority.server())
        self.journal = LedgerJournal(self.shop.ledger.path)
        self.directory = directory
        self.merchant, self.device_key = "m1", DEVICE_KEY
        self.link, self.facts = WIFI, Facts("0.1.0", 2)
        self.day_bytes = 2_000_000
        self.now, self.boot, self.attested = 1_000.0, "boot 1", list[int]()
        self.start()

    def start(self) -> None:
        """A sync process begins, or begins again after its end."""
        self.store = Store(self.directory / "sync" / "sync.db")
        self.transport = HttpTransport(self.served.url, str(self.authority.file))
        world = World(
            lambda: self.shop.wall_ms,
            lambda: self.link,
            lambda: self.facts,
            self.boot,
            self.day_bytes,
            Random(1),  # noqa: S311
        )
        who = Who(self.merchant, 1, HUB_KEY.public)
        self.courier = Courier(
            who, self.device_key, self.journal, self.store, self.transport, self, world, self.now
        )

    def restart(self) -> None:
        self.stop()
        self.start()

    def stop(self) -> None:
        self.transport.close()
        self.store.close()

    def close(self) -> None:
        self.stop()
        self.journal.close()
        self.served.close()
        self.shop.ledger.close()

    # the inbox
    def programme(self, document: str, from_at: int | None) -> str:
        try:
            self.shop.programmes.activate(parse(document), from_at)
        except ProgrammeError as error:
            return str(error)
        return ""

    def attest(self, hub_s: int) -> None:
        self.attested.append(hub_s)
        self.shop.ledger.write(lambda tx: tx.post(events.ClockAttested(hub_s, "hub")))

    def forget(self, told: Sequence[Forgotten]) -> None:
        forgetting.heard(self.shop.ledger, told)

    def regain(self, rows: Sequence[Row], signature: bytes) -> str:
        return self.shop.regaining.regain(rows, signature)

    def sell(self, count: int = 1, first: int = 1) -> None:
        for number in range(first, first + count):
            self.shop.wall_ms += 1_000
            self.shop.counter.post(payment(320_000_000_000 + number, 105 + number))

    def run(self, steps: int = 1) -> None:
        """Steps, each when it is due."""
        for _ in range(steps):
            self.now = max(self.now, self.courier.due_at(self.now))
            self.courier.step(self.now)

    def settle(self) -> None:
        """Until the hub has everything."""
        for _ in range(100):
            if not self.courier.waiting and self.store.kept.trouble is None and self.store.kept.last_ok_ms:
                return
            self.run()
        raise AssertionError(f"not settled: {self.store.kept}")

    def agree(self) -> bool:
        """The hub has what the device has: the same chain and the same books."""
        head = self.shop.ledger.head
        return (head.hash, head.state) == (self.hub.books.hash, self.hub.books.state)

    @property
    def kept(self) -> Any:
        return self.store.kept


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    it = Bench(tmp_path)
    yield it
    it.close()


def test_what_a_shop_sold_is_at_the_hub_with_the_same_hashes(bench: Bench) -> None:
    bench.sell(3)
    bench.settle()
    assert bench.agree()
    assert bench.kept.received.seq == bench.kept.safe.seq == bench.shop.ledger.head.seq
    assert bench.served.connections == 1


def test_an_empty_day_is_a_heartbeat_each_quarter_of_an_hour(bench: Bench) -> None:
    bench.settle()
    before = bench.now
    assert bench.courier.step(bench.now) == before + HEARTBEAT_S
    bench.run()
    assert bench.hub.requests[-1].rows == b""
    assert bench.now == before + HEARTBEAT_S


def test_a_sale_does_not_wait_on_wifi_but_for_the_rows_beside_it(bench: Bench) -> None:
    bench.settle()
    bench.sell()
    assert bench.courier.due_at(bench.now) == bench.now + GATHER_S
    bench.run()
    assert bench.agree()


def test_a_backlog_goes_in_batches_without_a_pause(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.courier._rows_max = 50
    monkeypatch.setattr("vafa.sync.courier.limits.ROWS_MAX", 50)
    bench.sell(120)
    start = bench.now
    bench.settle()
    assert bench.agree()
    assert len([request for request in bench.hub.requests if request.rows]) == 3
    assert bench.now - start <= GATHER_S


def test_the_next_rows_are_packed_while_the_hub_works_on_these(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read once each, a full request's rows before the answer to the one before it."""
    bench.courier._rows_max = 50
    monkeypatch.setattr("vafa.sync.courier.limits.ROWS_MAX", 50)
    bench.settle()
    there = bench.shop.ledger.head.seq
    bench.sell(120)
    seen: list[Any] = []
    read, believe = bench.journal.rows_after, believed

    def reading_rows(seq: int, at_most: int) -> Any:
        seen.append(seq)
        return read(seq, at_most)

    def believing(*told: Any) -> Any:
        seen.append("answered")
        return believe(*told)

    monkeypatch.setattr(bench.journal, "rows_after", reading_rows)
    monkeypatch.setattr("vafa.sync.courier.believed", believing)
    bench.settle()
    assert seen == [there, there + 50, "answered", "answered", there + 100, "answered"]
    assert bench.agree()


MISHAPS = [
    "reset mid-upload",
    "reset before commit",
    "reset after commit",
    "cut",
    "garbage",
    "wrong key",
    "html 200",
    "html 502",
    "busy 0",
    "endless",
    "bomb",
]


@pytest.mark.parametrize("mishap", MISHAPS)
def test_after_any_mishap_the_rows_are_there_once_and_the_hashes_agree(bench: Bench, mishap: str) -> None:
    bench.sell(5)
    bench.served.mishaps.append(mishap)
    bench.run()
    assert bench.kept.trouble is not None, "it is seen"
    assert bench.kept.final is None
    assert bench.kept.received.seq == 0, "nothing is believed"
    bench.settle()
    assert bench.agree()
    assert [row.seq for row in bench.hub.books.log] == list(range(1, bench.shop.ledger.head.seq + 1))


def lost(bench: Bench, count: int) -> list[Row]:
    """Rows that a copy of this device wrote and this one does not have."""
    place = bench.directory / "copy"
    place.mkdir()
    other = copied(bench.shop, place)
    sold(other, count)
    rows = journal(other, bench.shop.ledger.head.seq)
    other.ledger.close()
    return rows


def branch_of(of: list[Row], **fields: Any) -> Branch:
    """As an honest hub gives them, but for `fields`."""
    last = of[-1]
    signed = signing.branch_input("m1", 1, last.epoch, last.seq, last.hash, last.state)
    made = Branch(pack(of, whole=True), last.hash, last.seq, HUB_KEY.sign(signed))
    return msgspec.structs.replace(made, **fields)


def test_rows_that_come_back_are_counted_while_the_shop_sells_and_sent_up(bench: Bench) -> None:
    bench.sell(2)
    bench.settle()
    rows = lost(bench, 120)
    bench.sell(3, first=100)
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, branch=branch_of(rows))
    bench.run()
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, branch=None)
    bench.sell(1, first=200)
    bench.settle()
    assert bench.agree()
    (branch,) = bench.shop.ledger.read(branches.counted)
    assert (branch.counted, branch.seq, branch.left_out) == (120, rows[-1].seq, 0)
    assert (bench.kept.branch_left, bench.kept.branch_fault) == (0, "")
    with reading(bench.directory / "sync" / "sync.db") as connection:
        assert connection is not None
        assert 120 in [each.regained for each in log_in(connection, 10)]
    told = bench.hub.requests[-1].counted
    assert told == (Mark(rows[-1].epoch, rows[-1].seq, rows[-1].hash[:8]),)
    assert bench.shop.verified().bad == ()


def lies(rows: list[Row]) -> dict[str, Branch]:
    """What a hub may say that is not so."""
    other = [msgspec.structs.replace(row, at=row.at + 1) for row in rows]
    stranger = SigningKey(DeviceKey(b"X" * 32))
    last = rows[-1]
    ends = signing.branch_input("m1", 1, last.epoch, last.seq, last.hash, last.state)
    others = signing.branch_input("m1", 2, last.epoch, last.seq, last.hash, last.state)
    return {
        "do not chain": branch_of(other, head=last.hash),
        "not signed by the hub": branch_of(rows, signature=stranger.sign(ends)),
        "not signed by the hub.": branch_of(rows, signature=HUB_KEY.sign(others)),
        "do not chain to": branch_of(rows[1:]),
        "without rows": branch_of(rows, rows=b""),
        "come whole": branch_of(rows, rows=pack(rows)),
        "more than the hub says": branch_of(rows, newest=last.seq - 1),
        "cut off": branch_of(rows, rows=pack(rows, whole=True)[:40]),
        "form": branch_of(rows, rows=b"\xff" * 60_000),
    }


@pytest.mark.parametrize("lie", [*range(9)])
def test_a_lie_about_lost_rows_changes_nothing_is_said_and_stops_nothing(bench: Bench, lie: int) -> None:
    bench.sell(2)
    bench.settle()
    rows = lost(bench, 4)
    why, branch = list(lies(rows).items())[lie]
    head = bench.shop.ledger.head
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, branch=branch, more=True)
    bench.run()
    assert bench.shop.ledger.head == head
    assert why.rstrip(".") in bench.kept.branch_fault or lie in (7, 8)
    assert bench.kept.branch_fault
    assert bench.courier.due_at(bench.now) > bench.now + 60, "it is not asked in a loop"
    bench.sell(3, first=50)
    bench.settle()
    assert bench.agree()
    assert bench.hub.requests[-1].counted is None, "a sale does not ask for such rows again"
    assert bench.kept.branch_fault
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, branch=branch_of(rows), more=False)
    bench.run()  # the heartbeat asks again
    assert bench.kept.branch_fault == ""
    (counted,) = bench.shop.ledger.read(branches.counted)
    assert (counted.counted, counted.left_out) == (4, 0)


def test_a_hub_that_gives_the_same_rows_for_ever_is_not_asked_in_a_loop(bench: Bench) -> None:
    bench.sell(2)
    bench.settle()
    rows = lost(bench, 4)
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, branch=branch_of(rows), more=True)
    for _ in range(6):
        bench.run()
    asked, head = len(bench.hub.requests), bench.shop.ledger.head
    assert bench.courier.due_at(bench.now) > bench.now + 60
    for _ in range(6):
        bench.run()
    assert bench.shop.ledger.head == head, "what is counted is not counted again"
    assert len(bench.hub.requests) == asked + 6


def test_rows_that_were_lost_wait_where_the_disk_is_full(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.settle()
    rows, head = lost(bench, 2), bench.shop.ledger.head
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, branch=branch_of(rows))
    monkeypatch.setattr(regaining, "FREE_BYTES_MIN", 1 << 62)
    bench.run()
    assert bench.shop.ledger.head == head
    assert "MB are free" in bench.kept.branch_fault
    bench.sell(1)
    bench.settle()
    assert bench.agree()


def test_many_mishaps_in_a_row_settle_in_the_end(bench: Bench) -> None:
    random = Random(5)  # noqa: S311
    bench.served.mishaps.extend(random.choice([*MISHAPS, "", ""]) for _ in range(60))
    for sale in range(1, 40):
        bench.sell(1, sale)
        bench.run()
    bench.served.mishaps.clear()
    bench.settle()
    assert bench.agree()


def test_an_answer_to_another_request_is_not_believed(bench: Bench) -> None:
    bench.sell()
    bench.settle()
    bench.sell(1, 2)
    bench.served.mishaps.append("another's")
    bench.run()
    assert bench.kept.trouble.code == "SYN-003"
    bench.settle()
    assert bench.agree()


def test_a_sync_process_that_was_killed_after_the_hub_s_commit_sends_again_and_nothing_doubles(
    bench: Bench,
) -> None:
    bench.sell(5)
    bench.served.mishaps.append("reset after commit")
    bench.run()
    assert bench.hub.books.marks[-1].seq == bench.shop.ledger.head.seq
    bench.restart()
    bench.settle()
    assert bench.agree()


def test_what_the_courier_keeps_may_be_lost_or_garbage(bench: Bench) -> None:
    bench.sell(5)
    bench.settle()
    rows = bench.hub.books.marks[-1].seq
    bench.stop()
    (bench.directory / "sync" / "sync.db").write_bytes(b"no database" * 500)
    bench.start()
    assert bench.kept.received == Mark()
    bench.sell(1, 9)
    bench.settle()
    assert bench.agree()
    assert (bench.directory / "sync" / "sync.unreadable").exists()
    assert rows < bench.kept.received.seq


def test_a_hub_restored_from_an_older_backup_gets_the_rows_again(bench: Bench) -> None:
    bench.sell(9)
    bench.settle()
    bench.hub.books.forget_after(4)
    bench.sell(1, 20)
    bench.run()
    assert bench.kept.received.seq == 4, "rewound"
    assert bench.kept.safe.seq == 4
    bench.settle()
    assert bench.agree()


def test_a_hub_that_takes_nothing_is_not_asked_in_a_loop(bench: Bench) -> None:
    bench.settle()
    bench.sell()
    bench.hub.books.book = lambda *_: None  # type: ignore[method-assign]
    before = len(bench.hub.requests)
    bench.run(3)
    assert bench.kept.trouble.code == "SYN-011"
    assert bench.kept.failures == 3
    assert len(bench.hub.requests) == before + 3


def test_a_hub_that_asks_for_whole_rows_gets_them_with_till_and_state(bench: Bench) -> None:
    bench.sell(2)
    book = bench.hub.books.book
    bench.hub.books.book = lambda *_: None  # type: ignore[method-assign]
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, whole_rows=True)
    bench.run()
    bench.hub.books.book = book  # type: ignore[method-assign]
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, whole_rows=False)
    bench.run()
    rows = unpack(bench.hub.requests[-1].rows)
    head = bench.shop.ledger.head
    assert all(row.till is not None and row.state is not None for row in rows)
    assert rows[-1].state == head.state.to_bytes(32, "big") or bench.courier.waiting
    bench.settle()
    assert bench.agree()


def test_a_journal_that_is_not_the_hub_s_is_seen_and_nothing_of_it_is_sent(bench: Bench) -> None:
    bench.sell(3)
    bench.settle()
    marks = bench.hub.books.marks
    sent = len([request for request in bench.hub.requests if request.rows])
    marks[-1] = msgspec.structs.replace(marks[-1], hash=b"another!")
    bench.now += HEARTBEAT_S
    bench.run()
    assert bench.kept.trouble.code == "SYN-009"
    marks.append(Mark(1, 99, b"ahead..."))
    bench.run()
    assert bench.kept.trouble.code == "SYN-009"
    assert len([request for request in bench.hub.requests if request.rows]) == sent


def test_a_device_that_was_restored_goes_on_from_its_new_epoch(bench: Bench) -> None:
    bench.sell(3)
    head = bench.shop.ledger.head
    opened = events.EpochOpened(b"L" * 16, 1, (1, head.seq, head.hash), bench.shop.tokens.key_id, "restored")
    bench.shop.ledger.write(lambda tx: tx.post(opened))
    bench.sell(3, 10)
    for seq in (head.seq + 1, head.seq + 2, head.seq + 50):
        lost = Mark(1, seq, b"lost....")
        assert placed(bench.journal, lost, Mark()) == mark_at(bench.journal, head.seq)
    with pytest.raises(SyncError, match="otherwise"):
        placed(bench.journal, Mark(1, head.seq - 1, b"another!"), Mark())
    with pytest.raises(SyncError, match="otherwise"):
        placed(bench.journal, Mark(2, head.seq + 50, b"ahead..."), Mark())


def test_after_a_restore_only_what_the_hub_lacks_is_sent(bench: Bench) -> None:
    bench.sell(LOOK_FROM_ROWS)
    bench.settle()
    there = bench.shop.ledger.head
    lose_what_the_sync_kept(bench)
    opened = events.EpochOpened(
        b"L" * 16, 1, (1, there.seq, there.hash), bench.shop.tokens.key_id, "restored"
    )
    bench.shop.ledger.write(lambda tx: tx.post(opened))
    bench.sell(2, 900)
    before = len(bench.hub.requests)
    bench.settle()
    looked, *sent = bench.hub.requests[before:]
    assert (looked.rows, looked.before.seq) == (b"", there.seq)
    assert [row.seq for request in sent for row in unpack(request.rows)] == [
        there.seq + n for n in (1, 2, 3, 4)
    ]
    assert bench.agree()


def test_a_journal_of_which_the_hub_has_nothing_is_sent_from_the_first_row(bench: Bench) -> None:
    bench.sell(LOOK_FROM_ROWS)
    bench.settle()
    assert [unpack(request.rows)[0].seq for request in bench.hub.requests if request.rows] == [1]
    assert bench.agree()


def test_a_hub_that_has_that_row_otherwise_is_followed_back_without_rows(bench: Bench) -> None:
    bench.sell(2 * LOOK_FROM_ROWS)
    bench.settle()
    half = LOOK_FROM_ROWS
    lose_what_the_sync_kept(bench)
    bench.hub.books.forget_after(half)
    bench.hub.books.marks[half] = msgspec.structs.replace(bench.hub.books.marks[half], hash=b"another!")
    before = len(bench.hub.requests)
    bench.run()
    assert bench.kept.received == mark_at(bench.journal, half), (
        "as far as the hub named, not that it is equal"
    )
    bench.hub.books.forget_after(half - 5)
    bench.settle()
    asked, again, *sent = bench.hub.requests[before:]
    assert (asked.rows, again.rows, again.before.seq) == (b"", b"", half)
    assert unpack(sent[0].rows)[0].seq == half - 4
    assert bench.agree()


def test_a_hub_that_names_the_same_place_again_and_again_is_not_asked_in_a_loop(bench: Bench) -> None:
    bench.sell(2 * LOOK_FROM_ROWS)
    lose_what_the_sync_kept(bench)
    bench.hub.books.marks.append(Mark(1, 9, b"another!"))
    bench.run(4)
    assert [bool(request.rows) for request in bench.hub.requests] == [False] * 4
    assert (bench.kept.trouble.code, bench.kept.failures) == ("SYN-009", 3)


def lose_what_the_sync_kept(bench: Bench) -> None:
    bench.stop()
    for file in (bench.directory / "sync").iterdir():
        file.unlink()
    bench.start()


def test_a_hub_that_looks_for_where_the_branches_part_is_followed_back(bench: Bench) -> None:
    bench.sell(9)
    newest = mark_at(bench.journal, bench.shop.ledger.head.seq)
    there = Mark(1, newest.seq // 2, b"another!")
    assert placed(bench.journal, there, newest) == mark_at(bench.journal, there.seq)


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_DEVICE, Reason.REVOKED, Reason.FORK, Reason.NOT_YOURS])
def test_a_signed_final_refusal_is_a_state_and_not_a_loop(bench: Bench, reason: Reason) -> None:
    bench.sell()
    bench.hub.refuse = Refusal(reason, "taken off on Monday")
    bench.run()
    assert bench.kept.final is not None
    assert "Monday" in bench.kept.final.text
    assert bench.courier.due_at(bench.now) == bench.now + FINAL_RETRY_S
    bench.courier.wake()
    assert bench.courier.due_at(bench.now) == bench.now + FINAL_RETRY_S, "a link coming up changes nothing"
    bench.restart()
    assert bench.kept.final is not None
    assert bench.courier.due_at(bench.now) == bench.now + FINAL_RETRY_S
    bench.hub.refuse = None
    bench.courier.wake(by_person=True)
    bench.settle()
    assert bench.kept.final is None
    assert bench.agree()


def test_enrolling_again_ends_a_final_refusal_and_another_hub_begins_anew(bench: Bench) -> None:
    bench.sell()
    bench.hub.refuse = Refusal(Reason.REVOKED, "")
    bench.run()
    assert bench.kept.final is not None
    bench.hub.refuse = None
    bench.device_key = SigningKey(DeviceKey(b"E" * 32))
    bench.hub.device_key = bench.device_key.public
    bench.restart()
    assert bench.kept.final is None
    bench.settle()
    assert bench.agree()
    bench.merchant = "m2"
    bench.restart()
    assert bench.kept.received == Mark()
    bench.settle()
    assert bench.agree()


def test_a_final_refusal_that_nobody_signed_is_only_tried_again(bench: Bench) -> None:
    bench.sell()
    bench.hub.refuse = Refusal(Reason.REVOKED, "")
    bench.served.mishaps.append("wrong key")
    bench.run()
    assert bench.kept.final is None
    assert bench.kept.failures == 1


def test_a_reason_of_a_newer_hub_is_tried_again(bench: Bench) -> None:
    bench.sell()
    bench.hub.refuse = Refusal(77, "mercury is in retrograde")
    bench.run()
    assert bench.kept.final is None
    assert "mercury" in bench.kept.trouble.text
    bench.hub.refuse = None
    bench.settle()


def test_waits_double_at_most_with_full_jitter_and_end_at_a_quarter_of_an_hour(bench: Bench) -> None:
    bench.sell()
    bench.served.mishaps.extend(["html 502"] * 40)
    waits = []
    for failures in range(1, 31):
        bench.run()
        waits.append(bench.kept.retry_at_s - bench.now)
        assert bench.kept.failures == failures
        assert 0 <= waits[-1] <= min(RETRY_MAX_S, 2.0**failures)
    assert max(waits[15:]) > RETRY_MAX_S / 2
    assert min(waits[15:]) < RETRY_MAX_S / 4, "full jitter begins at nothing"


@pytest.mark.parametrize(("told", "waited"), [("30", 30.0), ("86000", RETRY_MAX_S)])
def test_retry_after_is_honoured_within_the_cap_and_not_shortened_by_a_link(
    bench: Bench, told: str, waited: float
) -> None:
    bench.sell()
    bench.served.mishaps.append(f"busy {told}")
    bench.run()
    assert bench.courier.due_at(bench.now) == bench.now + waited
    bench.courier.wake()
    assert bench.courier.due_at(bench.now) == bench.now + waited
    bench.courier.wake(by_person=True)
    assert bench.courier.due_at(bench.now) <= bench.now


def test_a_link_that_comes_up_is_used_at_once(bench: Bench) -> None:
    bench.sell()
    bench.served.mishaps.extend(["reset before commit"] * 12)
    bench.run(12)
    bench.now = bench.kept.retry_at_s - 1.0
    bench.courier.wake()
    assert bench.courier.due_at(bench.now) <= bench.now
    bench.courier.step(bench.now)
    assert bench.kept.trouble is None


def test_a_wait_survives_the_sync_process_and_not_the_boot(bench: Bench) -> None:
    bench.sell()
    bench.served.mishaps.append("busy 600")
    bench.run()
    due = bench.courier.due_at(bench.now)
    bench.restart()
    assert bench.courier.due_at(bench.now) == due
    bench.boot, bench.now = "boot 2", 10.0
    bench.restart()
    assert bench.courier.due_at(bench.now) <= bench.now


def test_a_weak_link_is_given_fewer_rows_each_time(bench: Bench) -> None:
    bench.settle()
    there = bench.kept.received.seq
    bench.sell(100)
    bench.served.mishaps.extend(["reset mid-upload"] * 7)
    bench.run(7)
    bench.run()
    assert 0 < bench.kept.received.seq - there < 60
    bench.settle()
    assert bench.agree()


def test_on_a_metered_link_sales_wait_for_each_other_and_a_day_costs_no_more_than_allowed(
    bench: Bench,
) -> None:
    bench.link, bench.day_bytes = SIM, 60_000
    bench.restart()
    bench.settle()
    start, cost = bench.now, 0
    for sale in range(1, 400):
        bench.sell(1, sale)
        for _ in range(4):
            if bench.courier.due_at(bench.now) <= bench.now:
                bench.courier.step(bench.now)
            bench.now += DAY_S / 400 / 4
        if sale == 200:
            bench.restart()
    with reading(bench.directory / "sync" / "sync.db") as connection:
        assert connection is not None
        cost = sum(sync.link_bytes for sync in log_in(connection, LOG_ROWS_KEPT))
    assert bench.now - start < DAY_S * 1.01
    assert 30_000 < cost <= 60_000
    sent = [request for request in bench.hub.requests if request.rows]
    assert len(sent) < 80, "several sales a request"
    bench.link = WIFI
    bench.settle()
    assert bench.agree()


def test_an_allowance_that_is_used_up_is_waited_for_even_by_a_full_batch(bench: Bench) -> None:
    bench.link, bench.day_bytes = SIM, 12_000
    bench.restart()
    bench.sell(300)
    bench.settle()
    bench.sell(1, 500)
    wait = bench.courier.due_at(bench.now) - bench.now
    assert wait > 3_600
    bench.restart()
    assert bench.courier.due_at(bench.now) - bench.now == pytest.approx(wait)
    bench.link = WIFI
    assert bench.courier.due_at(bench.now) <= bench.now + GATHER_S


def signed_programme(order: int, document: str, merchant: str = "m1") -> Programme:
    version = Programme(order, document, None, b"")
    signature = HUB_KEY.sign(signing.programme_input(merchant, version))
    return msgspec.structs.replace(version, signature=signature)


def test_a_signed_programme_version_holds_from_then_on(bench: Bench) -> None:
    version = signed_programme(7, OTHER_PROGRAMME)
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, programmes=(version,), have=Have(7))
    bench.settle()
    active = bench.shop.programmes.at(bench.shop.wall_ms // 1000 + 1)
    assert active is not None
    assert active.per == 20
    assert bench.kept.have.programmes == 7
    bench.now += HEARTBEAT_S
    bench.run()
    assert bench.hub.requests[-1].have.programmes == 7
    bench.settle()
    assert bench.agree(), "its activation is a row like any other"


@pytest.mark.parametrize(
    "bad",
    [
        signed_programme(7, "schema = 1\n[earn]\npoints = 'many'\n"),
        signed_programme(7, OTHER_PROGRAMME, merchant="m2"),
        Programme(7, OTHER_PROGRAMME, None, b""),
    ],
    ids=["unreadable", "another merchant's", "unsigned"],
)
def test_a_bad_programme_version_is_refused_and_said_and_the_old_one_stays(
    bench: Bench, bad: Programme
) -> None:
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, programmes=(bad,), have=Have(7))
    bench.settle()
    active = bench.shop.programmes.at(bench.shop.wall_ms // 1000 + 1)
    assert active is not None
    assert active.per == 10
    assert "programme version 7" in bench.kept.refused
    good = signed_programme(8, OTHER_PROGRAMME)
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, programmes=(good,), have=Have(8))
    bench.courier.wake()
    bench.run()
    assert bench.kept.refused == ""


def test_members_and_messages_of_other_devices_are_cached_outside_the_journal(bench: Bench) -> None:
    ana = RemoteMember(b"a" * 10, "6789", (b"\x01kk" + b"1" * 8, b"\x01kk" + b"2" * 8), 120, 1_767_000_000)
    ben = RemoteMember(b"b" * 10, "1111", (b"\x01kk" + b"1" * 8,), 5, 1_767_000_000)
    birthday = ReceiptMessage(1, ana.member, "تولدت مبارک", "Happy birthday", None, 1_767_500_000)
    thanks = ReceiptMessage(2, b"", "سپاس", "Thanks", None, None)
    bench.hub.answer = msgspec.structs.replace(
        bench.hub.answer, members=(ana, ben), messages=(birthday, thanks), have=Have(0, 5, 6)
    )
    rows = bench.shop.ledger.head.seq
    bench.settle()
    gone = msgspec.structs.replace(ben, gone=True)
    moved = msgspec.structs.replace(ana, balance=80, tokens=(b"\x01kk" + b"2" * 8,))
    bench.hub.answer = msgspec.structs.replace(
        bench.hub.answer,
        members=(gone, moved),
        messages=(msgspec.structs.replace(thanks, gone=True),),
        have=Have(0, 7, 7),
    )
    bench.courier.wake()
    bench.run()
    with reading(bench.directory / "sync" / "sync.db") as connection:
        assert connection is not None
        found = remote_member(connection, ana.member)
        assert found is not None
        assert (found.balance, found.last4) == (80, "6789")
        assert remote_member(connection, ben.member) is None
        assert remote_members_of(connection, b"\x01kk" + b"1" * 8) == []
        assert remote_members_of(connection, b"\x01kk" + b"2" * 8) == [ana.member]
        assert [each.en for each in messages_for(connection, ana.member, 1_767_000_000)] == ["Happy birthday"]
        assert messages_for(connection, ana.member, 1_768_000_000) == []
    assert bench.kept.have == Have(0, 7, 7)
    assert bench.shop.ledger.head.seq == rows + 1, "only the hub's time is a row"


def test_the_hub_s_time_is_journalled_once_a_day_and_never_falls(bench: Bench) -> None:
    bench.settle()
    assert bench.attested == [NOW_MS // 1000]
    for _ in range(30):
        bench.shop.wall_ms += 3_600_000
        bench.courier.wake()
        bench.run()
    assert len(bench.attested) == 2
    newest = bench.kept.attested_s
    bench.hub.clock_ms = lambda: NOW_MS - 10**9
    bench.courier.wake()
    bench.run()
    assert bench.kept.attested_s == newest


def test_the_clock_s_skew_is_known_after_each_sync(bench: Bench) -> None:
    bench.hub.clock_ms = lambda: bench.shop.wall_ms - 94_000
    bench.settle()
    assert bench.kept.skew_ms == 94_000
    assert bench.kept.checked_ms == bench.shop.wall_ms


def test_a_device_in_1970_syncs_and_judges_the_dates_by_the_hub_s_time(bench: Bench) -> None:
    """The stub's certificates hold around this machine's real time; the hub tells that time."""
    from certificates import NOW

    real_ms = int(NOW.timestamp() * 1000)
    bench.shop.wall_ms, bench.hub.clock_ms = 60_000, lambda: real_ms
    bench.sell()
    bench.settle()
    assert bench.agree()
    assert bench.kept.attested_s == real_ms // 1000


def test_a_device_in_1970_refuses_a_certificate_that_has_expired_by_the_hub_s_time(bench: Bench) -> None:
    bench.shop.wall_ms = 60_000
    bench.hub.clock_ms = lambda: 4_000_000_000_000
    bench.sell()
    bench.run()
    assert bench.kept.trouble.code == "SYN-005"
    assert bench.kept.received == Mark()
    assert bench.kept.attested_s == 0


def test_facts_for_the_fleet_page_travel_when_they_changed(bench: Bench) -> None:
    bench.settle()
    bench.now += HEARTBEAT_S
    bench.run()
    bench.facts = msgspec.structs.replace(bench.facts, gaps_open=1)
    bench.now += HEARTBEAT_S
    bench.run()
    told = [request.facts for request in bench.hub.requests]
    assert told[0] is not None
    assert told[-1] is not None
    assert told[-1].gaps_open == 1
    assert told[1:-1] == [None] * (len(told) - 2)


def test_the_log_of_syncs_is_bounded_and_says_what_each_cost(bench: Bench) -> None:
    bench.settle()
    bench.served.mishaps.append("html 502")
    bench.courier.wake()
    bench.run()
    with reading(bench.directory / "sync" / "sync.db") as connection:
        assert connection is not None
        newest, *older = log_in(connection, 10)
    assert (newest.ok, newest.code) == (False, "SYN-010")
    assert older[-1].ok
    assert older[-1].rows == 2
    assert older[-1].link_bytes > 2_000
    for _ in range(LOG_ROWS_KEPT + 20):
        bench.store.keep(bench.kept, newest)
    with reading(bench.directory / "sync" / "sync.db") as connection:
        assert connection is not None
        assert len(log_in(connection, 10_000)) == LOG_ROWS_KEPT


def test_what_is_kept_is_for_its_owner_alone(bench: Bench) -> None:
    path = bench.directory / "sync" / "sync.db"
    assert os.stat(path).st_mode & 0o777 == 0o600  # noqa: PTH116


def test_nothing_that_identifies_a_card_or_phone_is_on_the_wire(bench: Bench) -> None:
    bench.shop.members.add("09121236789", "Ana", "test")
    bench.sell()
    bench.settle()
    sent = b"".join(request.rows for request in bench.hub.requests) + b"".join(
        row.body for row in bench.hub.books.log
    )
    assert b"9121236789" not in sent
    assert b"Ana" not in sent


def test_a_store_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "sync").write_text("a file where the folder should be")
    with pytest.raises(SyncError, match="begun anew"):
        Store(tmp_path / "sync" / "sync.db")


def damaged(path: Path, text: bytes) -> None:
    data = bytearray(path.read_bytes())
    at = data.rindex(text)
    data[at : at + len(text)] = b"\xff" * len(text)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("text", [b"CREATE TABLE kept", b"boot 1"])
def test_what_the_courier_keeps_may_be_damaged_anywhere(bench: Bench, text: bytes) -> None:
    """A schema, or a text inside a value, that is no UTF-8 any more."""
    bench.sell(5)
    bench.settle()
    bench.stop()
    damaged(bench.directory / "sync" / "sync.db", text)
    bench.start()
    assert bench.kept.received == Mark()
    bench.settle()
    assert bench.agree()


def test_what_the_courier_keeps_may_go_bad_while_it_runs(bench: Bench) -> None:
    bench.sell(5)
    bench.settle()
    path = bench.directory / "sync" / "sync.db"
    bench.store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with closing(sqlite3.connect(path)) as other, other:  # so that nobody goes by what they have in memory
        other.execute("INSERT INTO log (value) VALUES (x'')")
        path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(SyncError):
        bench.store.forget()
    bench.store.keep(bench.kept)
    assert bench.kept.received == Mark()


@pytest.mark.parametrize("field", ["balance", "as_of"])
def test_a_number_beyond_what_is_kept_is_a_malformed_answer(bench: Bench, field: str) -> None:
    """Found by fuzzing: the hub's own signature, and a number that no column holds."""
    member = msgspec.structs.replace(RemoteMember(b"m" * 16, "6789", (), 5, 5), **{field: 2**64 - 1})
    bench.hub.answer = msgspec.structs.replace(bench.hub.answer, members=(member,))
    bench.run()
    assert bench.kept.trouble.code == "SYN-002"
