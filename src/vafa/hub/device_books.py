"""One device's books at the hub while a batch is applied: rows, rule and state hash are the device's own.

`books.apply` reads from here as it reads from the device's ledger. Rows a batch touches are loaded ahead, a
query a table; changes are kept in memory and written together at the end.
"""

from collections import defaultdict
from collections.abc import Iterable

from vafa.books.apply import apply, state_hash_after
from vafa.books.effect import Impossible
from vafa.books.rows import BookRow, Key, R, key_of
from vafa.books.till import TillSums
from vafa.hub.database import Connection
from vafa.hub.tables import Place, askable, delete_rows, find_rows, insert_rows, storable, update_rows
from vafa.hub.touched import MAKE_PAYMENTS, touched
from vafa.model import events

STATE_BYTES = 32


class DeviceBooks:
    """The books of one line at one place in its journal. Lives inside one transaction.

    till, state  the sums and the state hash (as a number) after the last event taken
    queries      rows that had to be asked for one by one: none, when `touched` knows its events
    careful      look at every value before PostgreSQL does, and for each payment whether it is there already;
                 else PostgreSQL refuses what it cannot hold (DataError, or struct.error on the way) or holds
                 (UniqueViolation), and the caller begins again carefully
    """

    def __init__(
        self, connection: Connection, place: Place, till: TillSums, state: int, *, careful: bool = True
    ) -> None:
        self._connection = connection
        self._place = place
        self._careful = careful
        self._stored: dict[tuple[type[BookRow], Key], BookRow | None] = {}
        self._now: dict[tuple[type[BookRow], Key], BookRow | None] = {}
        self.till = till
        self.state = state
        self.queries = 0

    def load(self, batch: Iterable[events.Event]) -> None:
        """Fetch what these events will read."""
        wanted: dict[type[BookRow], set[Key]] = defaultdict(set)
        for event in batch:
            reads = touched(event)
            if not self._careful and type(event) in MAKE_PAYMENTS:
                self._now.setdefault(next(reads))  # a device posts no payment twice: not asked, only refused
            for row_type, key in reads:
                if (row_type, key) not in self._now:
                    wanted[row_type].add(key)
        for row_type, keys in wanted.items():
            self._fetch(row_type, list(keys))
            for key in keys:
                self._now.setdefault((row_type, key), None)

    def find(self, row_type: type[R], key: Key) -> R | None:
        """The row with this primary key, or None: what `books.apply` asks for."""
        place = (row_type, key)
        if place not in self._now:
            self.queries += 1
            self._fetch(row_type, [key])
            self._now.setdefault(place, None)
        row: R | None = self._now[place]  # type: ignore[assignment]  # its place says of which type
        return row

    def take(self, event: events.Event, seq: int) -> None:
        """Apply one event. Raises books.Impossible; then nothing of it is kept."""
        effect = apply(event, seq, self, self.till)
        if self._careful and not all(storable(c.new) for c in effect.changes if c.new is not None):
            raise Impossible("a value is larger than any the books can hold")
        self.state = state_hash_after(self.state, effect.changes)
        self.till = effect.till
        for change in effect.changes:
            if change.old is not None:
                self._now[type(change.old), key_of(change.old)] = None
            if change.new is not None:
                self._now[type(change.new), key_of(change.new)] = change.new

    def write(self) -> None:
        """Write what the events changed, a statement a table and kind of change."""
        new: dict[type[BookRow], list[BookRow]] = defaultdict(list)
        changed: dict[type[BookRow], list[BookRow]] = defaultdict(list)
        gone: dict[type[BookRow], list[Key]] = defaultdict(list)
        for (row_type, key), row in self._now.items():
            stored = self._stored.get((row_type, key))
            if row is stored:
                continue
            if row is None:
                gone[row_type].append(key)
            elif stored is None:
                new[row_type].append(row)
            elif row != stored:
                changed[row_type].append(row)
        for row_type, keys in gone.items():
            delete_rows(self._connection, self._place, row_type, keys)
        for row_type, rows in changed.items():
            update_rows(self._connection, self._place, row_type, rows)
        for row_type, rows in new.items():
            insert_rows(self._connection, self._place, row_type, rows)
        self._stored = dict(self._now)

    def _fetch(self, row_type: type[R], keys: list[Key]) -> None:
        if self._careful:
            keys = [key for key in keys if askable(key)]
        if not keys:
            return
        for row in find_rows(self._connection, self._place, row_type, keys):
            self._now[row_type, key_of(row)] = self._stored[row_type, key_of(row)] = row
