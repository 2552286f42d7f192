"""Questions to the books and the journal, on any connection: the daemon's own or a read-only one.

Whatever a caller reads off paper finds a sale: our short number (device-epoch-seq, or its end), an RRN or its
unique end, a trace number, or amount and time.
"""

import re
import sqlite3
from collections.abc import Iterator

import msgspec

from vafa.books.rows import (
    GapRow,
    MemberRow,
    PaymentRow,
    PaymentState,
    ProgrammeRow,
    SaleRow,
    TokenRow,
)
from vafa.books.value import packed_key
from vafa.ledger import branches
from vafa.ledger.tables import find_row, rows_where
from vafa.model import events
from vafa.model.chain import Row
from vafa.model.errors import NotFound
from vafa.model.events import Kind, SaleOutcome
from vafa.model.identity import ascii_digits
from vafa.model.payment import PaymentKey, Scheme

_COLUMNS = "epoch, seq, at, kind, body, till, state, hash"
RECENT_ROWS_MAX = 20_000  # how far back a trace number, an amount or a day's totals are looked for
MATCHES_MAX = 10
# A payment by its reference's end; a void or refund by its whole request id, which is on no paper.
_REF_ENDS = (
    rf"ref LIKE ? ESCAPE '\' AND (scheme <> {int(Scheme.REQUEST)} OR ref = ?) ORDER BY seq DESC LIMIT 10"
)
_HEARD_BEFORE = (
    "SELECT EXISTS (SELECT 1 FROM payment WHERE scheme = ? AND tid = ? AND ref = ? AND reuse = ?), "
    "EXISTS (SELECT 1 FROM hold WHERE payment = ? AND payment <> x'')"
)
OPEN_OUTCOMES = (0, SaleOutcome.UNSURE)

_NEWEST_NAMING = (
    f"SELECT kind, body FROM journal WHERE kind IN ({int(Kind.AWARD)}, {int(Kind.PAYMENT)}) "
    "AND instr(body, ?) AND seq > (SELECT coalesce(max(seq), 0) FROM journal) - ? ORDER BY seq DESC"
)


class Entry(msgspec.Struct, frozen=True):
    """A journal row with its event decoded."""

    row: Row
    event: events.Event


def newest_at_ms(connection: sqlite3.Connection) -> int:
    """What the clock said at the newest row, UTC milliseconds; 0 for none."""
    found = connection.execute("SELECT at FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    return int(found[0]) if found else 0


class Device(msgspec.Struct, frozen=True):
    """Who writes this ledger, in its newest epoch. `numbers`: epoch -> the device's number in it, which an
    enrolment may have changed: what an earlier paper was called does not change with it."""

    ledger_id: bytes
    device: int
    epoch: int
    key_id: bytes
    numbers: dict[int, int] = {}
    own_key_id: bytes = b""  # of the key the ledger was begun with

    def short_number(self, epoch: int, seq: int) -> str:
        """What the paper called a journal row."""
        return short_number(self.numbers.get(epoch, self.device), epoch, seq)


def entry(connection: sqlite3.Connection, seq: int) -> Entry:
    """The journal row `seq`. NotFound when there is none."""
    columns = connection.execute(f"SELECT {_COLUMNS} FROM journal WHERE seq = ?", (seq,)).fetchone()
    if columns is None:
        raise NotFound(f"there is no journal row {seq}")
    row = Row(*columns)
    return Entry(row, events.decode(row.kind, row.body))


def entries(
    connection: sqlite3.Connection, since_seq: int = 0, kinds: tuple[Kind, ...] = ()
) -> Iterator[Entry]:
    """Journal rows after `since_seq`, oldest first, of all kinds or the named ones."""
    where = f" AND kind IN ({','.join(str(int(kind)) for kind in kinds)})" if kinds else ""
    sql = f"SELECT {_COLUMNS} FROM journal WHERE seq > ?{where} ORDER BY seq"
    for columns in connection.execute(sql, (since_seq,)):
        row = Row(*columns)
        yield Entry(row, events.decode(row.kind, row.body))


def newest(
    connection: sqlite3.Connection, kinds: tuple[Kind, ...], rows_max: int, upto: int | None = None
) -> Iterator[Entry]:
    """Journal rows of the named kinds, newest first, looking at no more than `rows_max` rows; `upto`: at
    these before and with that row."""
    wanted = ",".join(str(int(kind)) for kind in kinds)
    last = "(SELECT coalesce(max(seq), 0) FROM journal)" if upto is None else str(upto)
    sql = (
        f"SELECT {_COLUMNS} FROM journal WHERE kind IN ({wanted}) AND seq > {last} - ? AND seq <= {last} "
        "ORDER BY seq DESC"
    )
    for columns in connection.execute(sql, (rows_max,)):
        row = Row(*columns)
        yield Entry(row, events.decode(row.kind, row.body))


def device(connection: sqlite3.Connection) -> Device | None:
    """The newest EpochOpened's facts; None for a ledger nothing has been written to."""
    sql = f"SELECT {_COLUMNS} FROM journal WHERE kind = {int(Kind.EPOCH_OPENED)} ORDER BY seq"
    opened: events.EpochOpened | None = None
    own_key_id = b""
    numbers: dict[int, int] = {}
    for columns in connection.execute(sql):
        row = Row(*columns)
        event = events.decode(row.kind, row.body)
        assert isinstance(event, events.EpochOpened)
        opened, numbers[row.epoch] = event, event.device
        own_key_id = own_key_id or event.key_id
    if opened is None:
        return None
    return Device(opened.ledger_id, opened.device, max(numbers), opened.key_id, numbers, own_key_id)


def short_number(device_number: int, epoch: int, seq: int) -> str:
    """What the paper calls a journal row."""
    return f"{device_number}-{epoch}-{seq}"


def payment(connection: sqlite3.Connection, key: PaymentKey) -> PaymentRow | None:
    """The payment with this natural key."""
    return find_row(connection, PaymentRow, (key.scheme, key.tid, key.ref, key.reuse))


def heard_before(connection: sqlite3.Connection, key: PaymentKey) -> tuple[bool, bool]:
    """(whether this payment was posted, whether something was redeemed for it): what a sale asks first."""
    place = (key.scheme, key.tid, key.ref, key.reuse, packed_key(key))
    posted, redeemed = connection.execute(_HEARD_BEFORE, place).fetchone()
    return bool(posted), bool(redeemed)


def holder(connection: sqlite3.Connection, member: bytes) -> MemberRow | None:
    """A holder of points: a member, or a card that points wait on."""
    return find_row(connection, MemberRow, (member,))


def members_of_token(connection: sqlite3.Connection, token: bytes) -> list[bytes]:
    """The members a card belongs to: none, one, or a family."""
    return [row.member for row in rows_where(connection, TokenRow, "token = ? ORDER BY seq", token)]


def tokens_of_member(connection: sqlite3.Connection, member: bytes) -> list[TokenRow]:
    """The cards bound to a member (a scan: for people, not for the payment path)."""
    return rows_where(connection, TokenRow, "member = ? ORDER BY seq", member)


def members_ending(connection: sqlite3.Connection, last4: str) -> list[MemberRow]:
    """Members whose phone ends in these four digits."""
    return rows_where(connection, MemberRow, "last4 = ? AND state = 1 ORDER BY joined_seq", last4)


def waiting_payments(connection: sqlite3.Connection, token: bytes) -> list[PaymentRow]:
    """Payments whose points wait on a strong card token, oldest first."""
    where = f"holder = ? AND state = {int(PaymentState.WAITING)} ORDER BY seq"
    return rows_where(connection, PaymentRow, where, token)


def payment_of_claim(connection: sqlite3.Connection, code: str) -> PaymentRow | None:
    """The payment a claim code was printed for."""
    found = rows_where(connection, PaymentRow, "claim = ?", code)
    return found[0] if found else None


def open_sales(connection: sqlite3.Connection, tid: str = "") -> list[SaleRow]:
    """Sales that are in hand or unsure, oldest first."""
    rows = rows_where(connection, SaleRow, "outcome IN (0, 5) ORDER BY seq")
    return [row for row in rows if not tid or row.tid == tid]


def sale(connection: sqlite3.Connection, tid: str, request: str) -> SaleRow | None:
    """The sale asked for under this request id."""
    return find_row(connection, SaleRow, (tid, request))


def last_trace(connection: sqlite3.Connection, tid: str, rows_max: int) -> str:
    """The trace of a terminal's newest payment, '' when none is among the newest `rows_max` rows.

    Rows without its id in them are not decoded: beside busy ones a quiet terminal's is far back.
    """
    for kind, body in connection.execute(_NEWEST_NAMING, (tid.encode(), rows_max)):
        paid = paid_of(events.decode(kind, body))
        if paid.key.tid == tid and paid.trace:
            return paid.trace
    return ""


def open_gaps(connection: sqlite3.Connection) -> list[GapRow]:
    """Gaps nobody has closed yet."""
    return rows_where(connection, GapRow, "closed_seq = 0 ORDER BY seq")


def gap(connection: sqlite3.Connection, seq: int) -> GapRow | None:
    """The gap found in journal row `seq`, open or closed."""
    return find_row(connection, GapRow, (seq,))


def newest_gap(connection: sqlite3.Connection, tid: str) -> tuple[int, events.GapDetected] | None:
    """The gap found last at a terminal, open or closed, and its journal row; None when there was none."""
    found = rows_where(connection, GapRow, "tid = ? ORDER BY seq DESC LIMIT 1", tid)
    event = entry(connection, found[0].seq).event if found else None
    return (found[0].seq, event) if isinstance(event, events.GapDetected) else None


def programmes(connection: sqlite3.Connection) -> list[ProgrammeRow]:
    """Programme versions in the order they were activated."""
    return rows_where(connection, ProgrammeRow, "1 ORDER BY seq")


def programme_document(connection: sqlite3.Connection, programme: bytes) -> str:
    """The document of a programme version. NotFound when the journal has none of this hash."""
    found = rows_where(connection, ProgrammeRow, "id = ? ORDER BY seq LIMIT 1", programme)
    if not found:
        raise NotFound(f"no programme {programme.hex()} was ever activated here")
    event = entry(connection, found[0].seq).event
    assert isinstance(event, events.ProgrammeActivated)
    return event.document


def find_sale(connection: sqlite3.Connection, text: str) -> list[Entry]:
    """The payment rows (Award or Payment) a person may mean by `text`, best first, at most MATCHES_MAX.

    Takes a short number `1-1-57` or its end `57`, an RRN or its end, a trace number; Persian digits too.
    """
    wanted = ascii_digits(text).strip()
    short = re.fullmatch(r"(?:(?:(\d{1,9})-)?(\d{1,9})-)?(\d{1,15})", wanted)
    found: dict[int, Entry] = {}
    if short:
        device_number, epoch, seq = short.groups()
        for each in _by_seq(connection, int(seq), int(epoch) if device_number else None):
            found[each.row.seq] = each
        if "-" in wanted:
            return list(found.values())
    if wanted and re.fullmatch(r"[\w.:/-]{1,64}", wanted):
        pattern = wanted.replace("_", r"\_")
        rows = rows_where(connection, PaymentRow, _REF_ENDS, f"%{pattern}", wanted)
        for each_row in rows:
            for each in _sale_of(connection, entry(connection, each_row.seq)):
                found.setdefault(each.row.seq, each)
    for each in newest(connection, (Kind.AWARD, Kind.PAYMENT), RECENT_ROWS_MAX):
        if len(found) >= MATCHES_MAX:
            break
        if wanted and paid_of(each.event).trace.lstrip("0") == wanted.lstrip("0"):
            found.setdefault(each.row.seq, each)
    return list(found.values())


def find_by_amount(connection: sqlite3.Connection, amount: int, at: int, within_s: int) -> list[Entry]:
    """Payments of this amount whose terminal time lies within `within_s` of the instant `at`."""
    found = []
    for each in newest(connection, (Kind.AWARD, Kind.PAYMENT), RECENT_ROWS_MAX):
        paid = paid_of(each.event)
        seen_at = paid.paid_at if paid.paid_at is not None else each.row.at // 1000
        if paid.amount == amount and abs(seen_at - at) <= within_s:
            found.append(each)
    return found[:MATCHES_MAX]


def award_in_force(connection: sqlite3.Connection, row: PaymentRow) -> events.Event:
    """What a payment's points go by: its Award or Payment, or the award computed at a claim by rules."""
    first = entry(connection, row.seq).event
    if isinstance(first, events.Award) and first.claim and row.state != PaymentState.WAITING:
        for each in entries(connection, row.seq, (Kind.CLAIM,)):
            award = each.event.award if isinstance(each.event, events.Claim) else None
            if award is not None and award.paid.key == row.key:
                return award
    return first


def undoings(connection: sqlite3.Connection, row: PaymentRow) -> list[Entry]:
    """The Reversal and Refund rows of a payment, oldest first."""
    if not row.refunded:
        return []
    following = entries(connection, row.seq, (Kind.REVERSAL, Kind.REFUND))
    return [
        each
        for each in following
        if isinstance(each.event, events.Reversal | events.Refund) and each.event.key == row.key
    ]


def paid_of(event: events.Event) -> events.Paid:
    """The payment facts in an Award or Payment event."""
    assert isinstance(event, events.Award | events.PaymentSeen)
    return event.paid


def _by_seq(connection: sqlite3.Connection, seq: int, epoch: int | None) -> list[Entry]:
    """The sale a number means. Of an epoch in which that row is another one, or none: the sale that had the
    number on a branch this journal left, where it was counted again."""
    try:
        each = entry(connection, seq)
    except NotFound:
        each = None
    if each is not None and epoch in (None, each.row.epoch):
        return _sale_of(connection, each)
    if epoch is None:
        return []
    old = (events.decode(row.kind, row.body) for row in branches.numbered(connection, epoch, seq))
    rows = [payment(connection, key) for event in old if (key := _sale_key(event)) is not None]
    return [entry(connection, row.seq) for row in rows if row is not None]


def _sale_key(event: events.Event) -> PaymentKey | None:
    """The payment that a row is, ended a sale with, or undid."""
    if isinstance(event, events.Award | events.PaymentSeen):
        return event.paid.key
    if isinstance(event, events.SaleEnded | events.Reversal | events.Refund):
        return event.key
    return None


def _sale_of(connection: sqlite3.Connection, each: Entry) -> list[Entry]:
    """The payment row of a journal row that is one, ended a sale with one, or undid one."""
    if isinstance(each.event, events.Award | events.PaymentSeen):
        return [each]
    if isinstance(each.event, events.SaleEnded | events.Reversal | events.Refund):
        row = payment(connection, each.event.key) if each.event.key is not None else None
        return [entry(connection, row.seq)] if row else []
    return []
