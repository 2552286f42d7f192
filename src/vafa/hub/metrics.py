"""Counters for Prometheus, in its text format.

Written here, in forty lines, instead of by a library: `prometheus-client` keeps one registry a process in
global state and brings a server of its own, and what the hub counts is a handful of sums. Nothing in it names
a merchant or a device.
"""

import threading
from collections import Counter

from vafa.hub.database import Database
from vafa.model.errors import StoreUnavailable

# merchant_id leads here too: Citus counts on each shard and only the sums travel.
_DEVICES = (
    """SELECT merchant_id, count(*), count(*) FILTER (WHERE seen_at < %s) FROM contact GROUP BY merchant_id"""
)
_LINES = """SELECT merchant_id, count(*) FILTER (WHERE parent IS NOT NULL AND accepted_at IS NULL),
count(*) FILTER (WHERE whole), sum(seq - left_seq) FROM line GROUP BY merchant_id"""
_SUSPENSE = "SELECT merchant_id, count(*) FROM suspense GROUP BY merchant_id"
SILENT_AFTER_MS = 24 * 3_600_000


class Metrics:
    """What this process counted since it started. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._seconds: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def count(self, path: str, outcome: str, seconds: float, bytes_in: int, bytes_out: int) -> None:
        """One request was answered."""
        with self._lock:
            self._requests[path, outcome] += 1
            self._seconds[path] += seconds  # type: ignore[assignment]  # a Counter of seconds
            self._bytes["in"] += bytes_in
            self._bytes["out"] += bytes_out

    def text(self, database: Database, now_ms: int) -> str:
        """The page: this process's counters, and what the database holds."""
        with self._lock:
            requests, seconds, sizes = self._requests.copy(), self._seconds.copy(), self._bytes.copy()
        lines = ["# TYPE vafa_hub_requests_total counter"]
        lines += [
            f'vafa_hub_requests_total{{path="{path}",outcome="{outcome}"}} {count}'
            for (path, outcome), count in sorted(requests.items())
        ]
        lines.append("# TYPE vafa_hub_request_seconds_total counter")
        lines += [
            f'vafa_hub_request_seconds_total{{path="{path}"}} {s:.6f}' for path, s in sorted(seconds.items())
        ]
        lines.append("# TYPE vafa_hub_bytes_total counter")
        lines += [f'vafa_hub_bytes_total{{direction="{way}"}} {size}' for way, size in sorted(sizes.items())]
        for name, value in _held(database, now_ms).items():
            lines += [f"# TYPE vafa_hub_{name} gauge", f"vafa_hub_{name} {value}"]
        return "\n".join(lines) + "\n"


def _held(database: Database, now_ms: int) -> dict[str, int]:
    """Gauges from the database; `database_up` alone when it does not answer."""
    try:
        with database.transaction() as connection:
            devices = connection.execute(_DEVICES, (now_ms - SILENT_AFTER_MS,)).fetchall()
            lines = connection.execute(_LINES).fetchall()
            suspense = connection.execute(_SUSPENSE).fetchall()
    except StoreUnavailable:
        return {"database_up": 0}
    return {
        "database_up": 1,
        "devices": sum(row[1] for row in devices),
        "devices_silent_for_a_day": sum(row[2] for row in devices),
        "forks_not_accepted": sum(row[1] for row in lines),
        "lines_that_differ": sum(row[2] for row in lines),
        "journal_rows": int(sum(row[3] for row in lines)),
        "suspense_rows": sum(row[1] for row in suspense),
    }
