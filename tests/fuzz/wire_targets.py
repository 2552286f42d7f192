"""Between device and hub, both ways, and the journal's rows that travel there."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import msgspec
from books_of import Books
from fuzz.judging import same
from fuzz.target import Housed, Target
from hub.device_rows import busy, journal
from shop import Shop

from vafa.hub.answers import Refusing, enveloped
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey
from vafa.model import events
from vafa.model.chain import Row
from vafa.model.errors import Malformed
from vafa.sync.links import LinkNow
from vafa.wire import limits, signing
from vafa.wire.compress import Form, compress, varint
from vafa.wire.messages import (
    SYNC_PATH,
    EnrolRequest,
    Envelope,
    Facts,
    Have,
    Mark,
    SyncRequest,
)
from vafa.wire.rows import pack, streams, unpack

NOW_MS = 1_767_000_000_000
DEVICE = SigningKey(DeviceKey(b"D" * 32))
PACKED = (
    b"\x90", b"\x91", b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xc0", b"\xc1", b"\xc2", b"\xc4\xff",
    b"\xc6\x7f\xff\xff\xff",
    b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xcb\x7f\xf8" + bytes(6), b"\xca\x7f\xc0\x00\x00",
    b"\xd9\xff",
    b"\xa0", b"\xc7\x01\x01\x00", b"\x81\xa0\xc0", b"\xd6\xff" + bytes(4), b"\x00", b"\x7f", b"\xe0",
    b"\x91" * 600,
    b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
)  # fmt: skip


def journal_rows(house: Housed) -> list[Row]:
    """A shop's journal with every kind of row that a device writes."""
    place = house.directory / "rows"
    place.mkdir()
    shop = Shop(place, NOW_MS)
    try:
        busy(shop)
        return journal(shop)
    finally:
        shop.ledger.close()


class JournalRows(Housed):
    """Bodies of journal rows, as a ledger, a backup or the hub reads them, and what they do to the books."""

    name = "journal"
    what = "journal rows' bodies, applied to the books"
    share = 60

    def __init__(self) -> None:
        super().__init__()
        self.rows = journal_rows(self)
        self.history = [events.decode(row.kind, row.body) for row in self.rows]
        self.seeds = [bytes([row.kind]) + row.body for row in self.rows]
        self.words = PACKED

    def judge(self, data: bytes, random: Random) -> str:
        try:
            event = events.decode(data[0] if data else 0, data[1:])
        except (
            ValueError,
            msgspec.DecodeError,
        ):  # what a damaged row is known by (ledger.verify, hub.intake)
            return "refused"
        books = Books(*self.history[: random.randrange(len(self.history))])
        before = (books.till, books.hash)
        try:
            books.take(event)
        except (ValueError, ArithmeticError):
            same((books.till, books.hash), before, "books after an event that is impossible")
            return "impossible"
        same(books.identity_fault(), "", "a till's sums")
        return "booked"


class PackedRows(Housed):
    """Rows as they travel: columns, tokens, zstd."""

    name = "rows"
    what = "packed rows of a sync request, whole and as streams"
    share = 100

    def __init__(self) -> None:
        super().__init__()
        rows = journal_rows(self)
        parts: list[Sequence[Row]] = [rows, rows[:1], rows[5:9], rows[-20:], *([row] for row in rows[::7])]
        self.raws = [streams(part)[0] for part in parts]
        plains = [streams(part)[1] for part in parts]
        wholes = [streams(part, whole=True)[1] for part in parts]
        self.seeds = [
            *(pack(part) for part in parts),
            *(pack(part, whole=True) for part in parts),
            *plains,
            *wholes,
        ]
        self.words = PACKED

    def sealed(self, data: bytes, random: Random) -> bytes:
        """Spoilt columns, packed as if they were good."""
        raw = random.choice(self.raws)
        if random.random() < 0.2:
            raw = raw[: random.randrange(len(raw) + 1)] + random.randbytes(random.randrange(20))
        form = random.choice((Form.ROWS_1, Form.ROWS_3_WHOLE))
        return bytes([form]) + varint(len(raw)) + raw + compress(form, data)

    def judge(self, data: bytes, random: Random) -> str:
        try:
            rows = unpack(data)
        except Malformed:
            return "refused"
        assert 0 < len(rows) <= limits.ROWS_MAX
        assert sum(len(row.body) for row in rows) <= limits.CONTENT_BYTES_MAX
        assert all(b.seq == a.seq + 1 for a, b in pairwise(rows))
        whole = rows[0].till is not None
        same(unpack(pack(rows, whole=whole)), rows, "rows packed again")
        return "rows"


class SyncRequests(Housed):
    """A request's body as the hub reads it, before a database is asked: envelope, content, rows."""

    name = "sync-requests"
    what = "sync and enrol requests as the hub reads them"
    share = 140

    def __init__(self) -> None:
        super().__init__()
        rows = journal_rows(self)
        facts = Facts("0.1.0", 5, 1, 0, 0, "wwan0 sim", True, "ok", -5)
        sync = SyncRequest(pack(rows), Mark(1, 3, b"h" * 8), rows[-1].hash, 90, Have(1, 2, 3), facts)
        enrol = EnrolRequest(
            "AAAABBBB", DEVICE.public, b"s" * 32, b"L" * 16, Mark(), b"ab", b"t" * 60, "0.1.0", ("m", 1)
        )
        self.contents = [
            signing.encoded(content) for content in (sync, enrol, SyncRequest(b"", Mark(), b"", 0))
        ]
        bodies = []
        for content in (sync, enrol):
            envelope = signing.envelope("7KQ2MX", 1, b"n" * 16, NOW_MS, content)
            bodies.append(signing.signed(envelope, DEVICE.sign(signing.request_input(SYNC_PATH, envelope))))
        self.seeds = [*self.contents, *bodies]
        self.words = PACKED

    def sealed(self, data: bytes, random: Random) -> bytes:
        """A spoilt content in a good envelope, packed or not."""
        form = random.choice((Form.PLAIN, Form.ZSTD, 7))
        body = compress(Form.ZSTD, data) if form == Form.ZSTD else data
        envelope = Envelope(limits.VERSION, "7KQ2MX", 1, b"n" * 16, NOW_MS, form, body)
        return signing.signed(envelope, b"s" * 64)

    def judge(self, data: bytes, random: Random) -> str:
        try:
            envelope = enveloped(data)
            content = signing.request_content(envelope)
            if isinstance(content, EnrolRequest):
                return "enrolment"
            return "rows" if content.rows and unpack(content.rows) else "request"
        except (Refusing, Malformed) as error:
            why = str(error)
        assert len(why) < 2_000
        return "refused"


class SyncTalk(Target):
    """Lines between the daemon and its sync process."""

    name = "sync-talk"
    what = "lines between the daemon and its sync process"
    share = 50

    def __init__(self) -> None:
        from vafa.app import sync_talk as talk

        said = (
            talk.Begin(ledger_directory="/x", metered_bytes_a_day=1, keep_warm_s=1.5, log_format="json",
            log_level="info"),
            talk.Now(LinkNow("wwan0 sim", metered=True), "wwan0", Facts("0.1.0", 5)), talk.Rows(),
            talk.Wake(True, 3),
            talk.Taken("no"), talk.Synced(ok=True, received=7, next_s=3.5, peer="192.0.2.1"),
            talk.Ending(next_s=1.0, rows_s=0.3, newest=9, fault="x"), talk.Activate("schema = 1", None),
            talk.Attest(5),
            talk.Regain([Row(1, 7, 0, 13, b"body", b"till", b"s" * 32, b"h" * 32)], b"s" * 64),
        )  # fmt: skip
        self.seeds = [talk.line_of(each) for each in said]
        self.words = (b'"say":', b'"tell":', b"null", b"1e999", b"\xff", b"\\ud800", b"[" * 600, b"NaN")
        self._reads = (talk.from_daemon, talk.from_process)

    def judge(self, data: bytes, random: Random) -> str:
        word = "refused"
        for read in self._reads:
            try:
                read(data)
                word = "line"
            except msgspec.DecodeError:  # what both sides know a wrong line by
                pass
        return word
