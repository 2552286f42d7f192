"""The relay's copies of what crossed a line: numbered, in memory, bounded.

A record's number counts records of this relay's life, per line. The daemon acknowledges a number after its
commit and the records up to it go. While the daemon is away a record grows by what follows it in the same
direction, so that a line which comes byte by byte fills the ring with bytes and not with bookkeeping; once it
has been handed out it never changes. When the ring is full the oldest records go, read or not: the jump in
the numbers tells the daemon that something is missing.
"""

from collections import deque

RING_BYTES_MAX = 256 * 1024
RECORD_BYTES_MAX = 4096
RECORD_COST_BYTES = 128  # what a record costs beside its bytes, so that the bound is one of memory


class Record:
    """Bytes that crossed in one direction (`kind` of relay_wire), or a cut of the line without bytes."""

    __slots__ = ("data", "kind", "number")

    def __init__(self, number: int, kind: bytes, data: bytes) -> None:
        self.number = number
        self.kind = kind
        self.data = bytearray(data)


class Ring:
    """The copies of one line.

    acked   the number up to which all is committed by the daemon, or was given up
    newest  the number of the newest record ever, 0 before the first
    """

    def __init__(self, bytes_max: int = RING_BYTES_MAX) -> None:
        self.acked = 0
        self.newest = 0
        self._bytes_max = bytes_max
        self._records: deque[Record] = deque()
        self._size = 0
        self._handed_out = 0

    @property
    def unread(self) -> bool:
        """True while something waits for the daemon's acknowledgement."""
        return self.acked < self.newest

    @property
    def size(self) -> int:
        """What the records take, in bytes."""
        return self._size

    def add(self, kind: bytes, data: bytes) -> None:
        """Keep a copy. Empty data is an event of the line (a cut), never joined with others."""
        last = self._records[-1] if self._records else None
        if (
            last is not None
            and data
            and last.kind == kind
            and last.number > self._handed_out
            and 0 < len(last.data) <= RECORD_BYTES_MAX - len(data)
        ):
            last.data += data
            self._size += len(data)
        else:
            self.newest += 1
            self._records.append(Record(self.newest, kind, data))
            self._size += len(data) + RECORD_COST_BYTES
        while self._size > self._bytes_max:
            self._drop_oldest()

    def after(self, number: int) -> Record | None:
        """The oldest record kept whose number is above `number`; it is handed out and will not change."""
        if not self._records or number >= self.newest:
            return None
        record = self._records[max(0, number + 1 - self._records[0].number)]
        self._handed_out = max(self._handed_out, record.number)
        return record

    def acknowledge(self, number: int) -> None:
        """All up to `number` is committed. A number that was never handed out is not believed."""
        self.acked = max(self.acked, min(number, self._handed_out))
        while self._records and self._records[0].number <= self.acked:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._size -= len(self._records.popleft().data) + RECORD_COST_BYTES
