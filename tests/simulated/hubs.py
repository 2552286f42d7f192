"""The two hubs of the simulation: one in memory, one that is the hub's own code over a real PostgreSQL.

The hub's intake is SQL through and through, so the one in memory is not that code: it books by the same
`books.apply` behind the same wire messages and signatures, thousands of requests a second. What it was sent
is recorded, and a sample of the recordings is played to the real one, byte for byte.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
from hub_stub import HUB_KEY, Books
from shop import Shop

from vafa.books import till as tills
from vafa.books.rows import BranchRow
from vafa.hub.answers import signed_answer
from vafa.hub.hub_key import HubKey
from vafa.keys.sign import SigningKey, is_signed
from vafa.model import events
from vafa.model.errors import Malformed
from vafa.model.events import Kind
from vafa.wire import signing
from vafa.wire.messages import (
    SYNC_PATH,
    AnswerContent,
    Branch,
    Forgotten,
    Have,
    Mark,
    Reason,
    Refusal,
    SyncAnswer,
    SyncRequest,
)
from vafa.wire.rows import WireRow, pack, unpack

PART_FORGOTTEN = 2
PART_ROWS = 7  # of a branch an answer brings: few, so that much can happen between two


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
        """All rows of a device, up to the end of its newest line. Disagreement for rows in suspense."""
        ...

    def lost(self, number: int) -> int:
        """Rows of its other lines that the newest one has not counted."""
        ...

    def branches(self, number: int) -> int:
        """How many lines it has."""
        ...

    def has(self, number: int, row: Row) -> bool:
        """Whether one of its lines has this row."""
        ...


class MemoryKey(HubKey):
    """The stub's key, without a file."""

    def __init__(self) -> None:
        self.signing = HUB_KEY


class BooksWithStates(Books):
    """Also tells the state after each row, and gives the rows whole."""

    def __init__(self) -> None:
        super().__init__()
        self.booked: list[Row] = []
        self.whole: list[WireRow] = []
        self.fence = 0

    def add(self, row: WireRow) -> None:
        """At the end; Disagreement where it does not belong there."""
        if row.seq != len(self.marks):
            raise Disagreement(f"row {row.epoch}-{row.seq} was booked as number {len(self.marks)}")
        self._book(row)
        state = self.state.to_bytes(32, "big")
        self.booked.append(Row(row.epoch, row.seq, self.hash, state))
        self.whole.append(msgspec.structs.replace(row, till=tills.pack(self.till), state=state))

    def back_to(self, seq: int) -> None:
        """As of a backup."""
        if seq < len(self.booked):
            self.forget_after(seq)
            del self.booked[seq:], self.whole[seq:]

    def left_at(self, seq: int) -> "BooksWithStates":
        """The books as they were there, as a line of their own."""
        other = BooksWithStates()
        for row in self.log[:seq]:
            other.add(row)
        return other

    def common(self, other: "BooksWithStates") -> int:
        """How many rows both have from the first on."""
        pairs = zip(self.booked, other.booked, strict=False)
        return next(
            (n for n, (one, two) in enumerate(pairs) if one != two), min(len(self.log), len(other.log))
        )


class MemoryHub:
    """`idempotent` False: it books what it is sent without looking whether it has it; `counts_once` False: it
    gives a device rows it has counted as if it had not (to see that these are found)."""

    merchant, public = "7KQ2MX", HUB_KEY.public

    def __init__(
        self, clock_ms: Callable[[], int], idempotent: bool = True, counts_once: bool = True
    ) -> None:
        self._clock_ms, self._idempotent, self._counts_once = clock_ms, idempotent, counts_once
        self._keys: dict[int, bytes] = {}
        self._key = MemoryKey()
        self._safe: dict[int, list[tuple[int, int]]] = {}
        self._rewinds: dict[int, int] = {}
        self.lines: dict[int, list[BooksWithStates]] = {}
        self.forgotten: list[tuple[Forgotten, bytes]] = []  # whom devices forgot, each with the digest so far
        self._safe_forgotten = 0
        self.recorded: list[tuple[int, bytes | None]] = []  # (time, request); b'': backup, None: restore

    def enrol(self, number: int, key: bytes) -> None:
        self._keys[number], self.lines[number] = key, [BooksWithStates()]

    def backup(self) -> None:
        self._safe = {n: [(len(line.log), line.fence) for line in lines] for n, lines in self.lines.items()}
        self._safe_forgotten = len(self.forgotten)
        self.recorded.append((self._clock_ms(), b""))

    def restore(self) -> None:
        for number, lines in self.lines.items():
            kept = self._safe.get(number, [(0, 0)])
            del lines[len(kept) :]
            for line, (seq, fence) in zip(lines, kept, strict=True):
                line.back_to(seq)
                line.fence = fence
        del self.forgotten[self._safe_forgotten :]
        self.recorded.append((self._clock_ms(), None))

    def rows(self, number: int) -> list[Row]:
        return self._current(number).booked

    def _current(self, number: int) -> BooksWithStates:
        """The line that stands for the device: the one that opened an epoch last."""
        lines = self.lines[number]
        return max(lines, key=lambda line: (line.fence, lines.index(line)))

    def lost(self, number: int) -> int:
        """Rows of other lines that the newest has not counted yet."""
        return sum(
            end - start for _, start, end in self._missing(self.lines[number], self._current(number), ())
        )

    def branches(self, number: int) -> int:
        return len(self.lines[number])

    def has(self, number: int, row: Row) -> bool:
        return any(row in line.booked[row.seq - 1 : row.seq] for line in self.lines[number])

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
        number, lines = envelope.device, self.lines[envelope.device]
        known = [line for line in lines if request.before in line.marks]
        if not known:
            told = self._told(request.have)
            return SyncAnswer(self._rewound(number, request), Mark(), now_ms, **told)
        self._rewinds[number] = 0
        line, received = known[-1], request.before
        if request.rows:
            line, received = self._take(number, lines, known, unpack(request.rows), request)
        safe, place = self._safe.get(number, []), lines.index(line)
        safe_mark = line.marks[min(safe[place][0], len(line.log)) if place < len(safe) else 0]
        branch, more = self._branch(number, line, received, request)
        told = self._told(request.have)
        told["more"] |= more
        return SyncAnswer(received, safe_mark, now_ms, branch=branch, **told)

    def _told(self, have: Have) -> dict[str, Any]:
        """Whom other devices forgot, a few an answer."""
        digests = [b"", *(chain for _, chain in self.forgotten)]
        start = digests.index(have.forgotten) if have.forgotten in digests else 0
        told = self.forgotten[start : start + PART_FORGOTTEN]
        have = msgspec.structs.replace(have, forgotten=digests[start + len(told)])
        more = start + len(told) < len(self.forgotten)
        forgotten = tuple(each for each, _ in told)
        return {"have": have, "forgotten": forgotten, "more": more}

    def _note_forgotten(self, number: int, row: WireRow) -> None:
        event = events.decode(row.kind, row.body) if row.kind == Kind.FORGET else None
        if isinstance(event, events.Forget):
            entry = Forgotten(event.member, *(event.origin or (number, row.epoch, row.seq)))
            if any(entry == each for each, _ in self.forgotten):
                return
            before = self.forgotten[-1][1] if self.forgotten else b""
            self.forgotten.append((entry, signing.digest(before + signing.encoded(entry))[:8]))

    def _rewound(self, number: int, request: SyncRequest) -> Mark:
        """Nothing here is named so: the newest of the newest line, or further and further back."""
        tries = self._rewinds.get(number, 0)
        self._rewinds[number] = tries + 1
        line = self._current(number)
        if tries >= 3:
            return Mark()
        return (
            line.marks[-1] if line.marks[-1].seq < request.before.seq else line.marks[request.before.seq // 2]
        )

    def _take(
        self,
        number: int,
        lines: list[BooksWithStates],
        known: list[BooksWithStates],
        rows: list[WireRow],
        request: SyncRequest,
    ) -> tuple[BooksWithStates, Mark]:
        def same(line: BooksWithStates) -> int:
            pairs = zip(rows, line.log[rows[0].seq - 1 :], strict=False)
            return next(
                (n for n, (one, two) in enumerate(pairs) if one != two),
                min(len(rows), len(line.log) - rows[0].seq + 1),
            )

        line = max(known, key=same)
        held = same(line) if self._idempotent else 0
        if held < len(rows) and rows[held].seq <= len(line.log) and self._idempotent:
            line = line.left_at(rows[held].seq - 1)
            lines.append(line)
        for row in rows[held:]:
            line.add(row)
            self._note_forgotten(number, row)
        if any(row.kind == Kind.EPOCH_OPENED for row in rows[held:]):
            line.fence = 1 + max(each.fence for each in lines)
        received = line.marks[rows[-1].seq]
        if received.hash != request.head[:8]:
            raise Disagreement(f"after row {rows[-1].seq} the chain is not the device's")
        return line, received

    def _missing(
        self, lines: list[BooksWithStates], of: BooksWithStates, told: Sequence[Mark]
    ) -> list[tuple[BooksWithStates, int, int]]:
        """(line, from after which row, to which) of rows that the line `of` lacks."""
        found = []
        own = [
            Mark(row.epoch, row.seq, row.hash[:8]) for row in of.rows.values() if isinstance(row, BranchRow)
        ]
        for place, line in enumerate(lines):
            others = [of, *lines[:place]] if line is not of else [of]
            start = max(line.common(other) for other in others if other is not line or line is of)
            marks = [*own, *told] if self._counts_once else []
            start = max([start, *(mark.seq for mark in marks if mark in line.marks)])
            begun = {row.first for row in of.rows.values() if isinstance(row, BranchRow)}
            start += self._counts_once and start < len(line.log) and line.booked[start].hash in begun
            if start < len(line.log):
                found.append((line, start, len(line.log)))
        return found

    def _branch(
        self, number: int, line: BooksWithStates, received: Mark, request: SyncRequest
    ) -> tuple[Branch | None, bool]:
        lines = self.lines[number]
        behind = not request.rows and received.seq < len(line.log)
        if (
            request.counted is None
            or line is not self._current(number)
            or not (behind or received == line.marks[-1])
        ):
            return None, False
        of = line.left_at(received.seq) if behind else line
        missing = self._missing(lines, of, request.counted)
        if not missing:
            return None, False
        source, start, end = missing[0]
        rows = source.whole[start : start + PART_ROWS]
        last = source.booked[start + len(rows) - 1]
        signed = signing.branch_input(self.merchant, number, last.epoch, last.seq, last.hash, last.state)
        payload = pack(rows, whole=True)
        branch = Branch(payload, last.hash, end, HUB_KEY.sign(signed))
        return branch, len(missing) > 1 or last.seq < end


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
