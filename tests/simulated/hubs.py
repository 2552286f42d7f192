"""The two hubs of the simulation: one in memory, one that is the hub's own code over a real PostgreSQL.

The hub's intake is SQL through and through, so the one in memory is not that code: it books by the same
`books.apply` behind the same wire messages and signatures, thousands of requests a second. What it was sent
is recorded, and a sample of the recordings is played to the real one, byte for byte.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from hub_stub import HUB_KEY, Books
from shop import Shop

from vafa.hub.answers import signed_answer
from vafa.hub.hub_key import HubKey
from vafa.keys.sign import SigningKey, is_signed
from vafa.model.errors import Malformed
from vafa.wire import signing
from vafa.wire.messages import (
    SYNC_PATH,
    AnswerContent,
    Mark,
    Reason,
    Refusal,
    SyncAnswer,
    SyncRequest,
)
from vafa.wire.rows import WireRow, unpack


class Disagreement(AssertionError):
    """The hub and a device differ, or one of them does what it must not."""


class Row(NamedTuple):
    """A row of a journal, as both sides must have it."""

    epoch: int
    seq: int
    hash: bytes
    state: bytes


class Said(NamedTuple):
    """An HTTP answer."""

    status: int
    body: bytes


class SimulatedHub(Protocol):
    """What the simulation needs of a hub."""

    merchant: str
    public: bytes

    def enrol(self, number: int, key: bytes) -> None:
        """A device more."""
        ...

    def answer(self, body: bytes) -> Said:
        """One request."""
        ...

    def backup(self) -> None:
        """Remember how all is."""
        ...

    def restore(self) -> None:
        """It is as it was then."""
        ...

    def rows(self, number: int) -> list[Row]:
        """All rows of a device. Disagreement where there are branches or rows in suspense."""
        ...


class MemoryKey(HubKey):
    """The stub's key, without a file."""

    def __init__(self) -> None:
        self.signing = HUB_KEY


class BooksWithStates(Books):
    """Also tells the state after each row."""

    def __init__(self) -> None:
        super().__init__()
        self.booked: list[Row] = []

    def add(self, row: WireRow) -> None:
        """At the end; Disagreement where it does not belong there."""
        if row.seq != len(self.marks):
            raise Disagreement(f"row {row.epoch}-{row.seq} was booked as number {len(self.marks)}")
        self._book(row)
        self.booked.append(Row(row.epoch, row.seq, self.hash, self.state.to_bytes(32, "big")))

    def back_to(self, seq: int) -> None:
        """As of a backup."""
        if seq < len(self.booked):
            self.forget_after(seq)
            del self.booked[seq:]


class MemoryHub:
    """`idempotent` False: it books what it is sent without looking whether it has it (to see that this is
    found)."""

    merchant, public = "7KQ2MX", HUB_KEY.public

    def __init__(self, clock_ms: Callable[[], int], idempotent: bool = True) -> None:
        self._clock_ms, self._idempotent = clock_ms, idempotent
        self._keys: dict[int, bytes] = {}
        self._key = MemoryKey()
        self._safe: dict[int, int] = {}
        self.books: dict[int, BooksWithStates] = {}
        self.recorded: list[tuple[int, bytes | None]] = []  # (time, request); b'': backup, None: restore

    def enrol(self, number: int, key: bytes) -> None:
        self._keys[number], self.books[number] = key, BooksWithStates()

    def backup(self) -> None:
        self._safe = {number: len(books.booked) for number, books in self.books.items()}
        self.recorded.append((self._clock_ms(), b""))

    def restore(self) -> None:
        for number, books in self.books.items():
            books.back_to(self._safe.get(number, 0))
        self.recorded.append((self._clock_ms(), None))

    def rows(self, number: int) -> list[Row]:
        return self.books[number].booked

    def answer(self, body: bytes) -> Said:
        self.recorded.append((self._clock_ms(), body))
        try:
            envelope = signing.read_envelope(body)
            status, content = 200, self._content(body)
        except Malformed:
            return Said(400, b"what?")
        if isinstance(content, Refusal):
            status = 403
        return Said(status, signed_answer(SYNC_PATH, self._key, envelope, body, content))

    def _content(self, body: bytes) -> AnswerContent:
        envelope, now_ms = signing.read_envelope(body), self._clock_ms()
        key = self._keys.get(envelope.device, bytes(32))
        if not is_signed(key, envelope.signature, signing.request_input(SYNC_PATH, envelope)):
            return Refusal(Reason.BAD_SIGNATURE, "not signed by the device", hub_ms=now_ms)
        request = signing.request_content(envelope)
        assert isinstance(request, SyncRequest)
        books = self.books[envelope.device]
        if request.rows and request.before in books.marks:
            self._take(books, unpack(request.rows), request)
        newest, safe = books.marks[-1], books.marks[min(self._safe.get(envelope.device, 0), len(books.log))]
        return SyncAnswer(received=newest, safe=safe, hub_ms=now_ms, have=request.have)

    def _take(self, books: BooksWithStates, rows: list[WireRow], request: SyncRequest) -> None:
        for row in rows:
            if self._idempotent and row.seq < len(books.marks):
                if books.log[row.seq - 1] != row:
                    raise Disagreement(f"row {row.epoch}-{row.seq} came a second time and otherwise")
                continue
            books.add(row)
        if books.marks[rows[-1].seq].hash != request.head[:8]:
            raise Disagreement(f"after row {rows[-1].seq} the chain is not the device's")


def journal_rows(shop: Shop) -> list[Row]:
    """What the device has."""
    sql = "SELECT epoch, seq, hash, state FROM journal ORDER BY seq"
    return shop.ledger.read(lambda connection: [Row(*each) for each in connection.execute(sql)])


def differing(ours: list[Row], theirs: list[Row]) -> str:
    """The first difference in words, '' where every row is there once and the same."""
    for mine, its in zip(ours, theirs, strict=False):
        if mine != its:
            what = "chain" if mine.state == its.state else "books"
            return f"row {mine.epoch}-{mine.seq}: {what} differ at the hub (its {its.epoch}-{its.seq})"
    return "" if len(ours) == len(theirs) else f"{len(theirs)} rows at the hub, {len(ours)} here"


__all__ = ["Disagreement", "Mark", "MemoryHub", "SigningKey", "differing", "journal_rows"]
