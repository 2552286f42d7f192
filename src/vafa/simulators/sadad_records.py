"""What a terminal remembers: its last 13 transactions, its counters; kept in a file, so it can restart."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from vafa.simulators.sadad_bytes import Row

ROWS_KEPT = 13
TRACE_LAST = 999_999
ZONE = ZoneInfo("Asia/Tehran")
SALE_ROW = "04"


@dataclass(frozen=True)
class Record:
    """One transaction as the terminal stored it. Amount in rials, `at` UTC seconds, card as a mask."""

    kind: str
    amount: int
    trace: int
    at: int
    card: str
    rrn: str
    code: str
    order_id: str = ""
    keyed: bool = False

    @property
    def approved(self) -> bool:
        return self.code == "00"

    @property
    def row(self) -> Row:
        """As the terminal's list shows it."""
        at = datetime.fromtimestamp(self.at, ZONE)
        return Row(
            self.kind, self.amount, f"{self.trace:06d}", at, self.card, self.rrn, self.code, self.order_id
        )


@dataclass
class Memory:
    """Counters and stored rows, newest last. With a `path` every change is on disk before it is told."""

    trace: int = 0
    rrn: int = 320_062_616_000
    rows: list[Record] = field(default_factory=list)
    path: Path | None = None

    def next_trace(self) -> int:
        """The next trace number; after 999999 comes 1."""
        self.trace = self.trace % TRACE_LAST + 1
        return self.trace

    def next_rrn(self) -> str:
        self.rrn += 1
        return f"{self.rrn:012d}"

    def keep(self, record: Record) -> None:
        """Store a row; the oldest leaves when there are more than 13."""
        self.rows = [*self.rows, record][-ROWS_KEPT:]
        self.save()

    def newest(self, count: int, wanted: str) -> list[Record]:
        """Up to `count` rows, newest first; `wanted` is 0 failed, 1 approved, 2 all."""
        fits = [r for r in reversed(self.rows) if wanted == "2" or r.approved == (wanted == "1")]
        return fits[:count]

    def save(self) -> None:
        if self.path is None:
            return
        state = {"trace": self.trace, "rrn": self.rrn, "rows": [asdict(row) for row in self.rows]}
        draft = self.path.with_name(self.path.name + ".new")
        draft.write_text(json.dumps(state), encoding="utf-8")
        draft.replace(self.path)


def remember(path: Path | None) -> Memory:
    """The memory kept at `path`, or a new one."""
    if path is None or not path.exists():
        return Memory(path=path)
    state = json.loads(path.read_text(encoding="utf-8"))
    return Memory(state["trace"], state["rrn"], [Record(**row) for row in state["rows"]], path)
