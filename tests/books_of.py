"""Books in plain dictionaries, for tests of what events do."""

from vafa.books.apply import apply, state_hash_after
from vafa.books.identity import Counted
from vafa.books.rows import BookRow, Key, MemberRow, R, key_of
from vafa.books.till import TillSums
from vafa.model.events import Event


class Books:
    """The state and the till after the events taken so far."""

    def __init__(self, *history: Event) -> None:
        self.rows: dict[tuple[type[BookRow], Key], BookRow] = {}
        self.till = TillSums()
        self.hash = 0
        self.seq = 0
        self.counted = Counted()
        for event in history:
            self.take(event)

    def find(self, row_type: type[R], key: Key) -> R | None:
        row = self.rows.get((row_type, key))
        assert row is None or isinstance(row, row_type)
        return row

    def take(self, event: Event) -> None:
        """Apply one event and keep what it changes."""
        self.seq += 1
        effect = apply(event, self.seq, self, self.till)
        self.counted.take(event)
        for old, new in ((change.old, change.new) for change in effect.changes):
            if old is not None:
                assert self.rows.pop((type(old), key_of(old))) == old
            if new is not None:
                self.rows[type(new), key_of(new)] = new
        self.till, self.hash = effect.till, state_hash_after(self.hash, effect.changes)

    def identity_fault(self) -> str:
        """What the per-till identity says of these books; '' when it holds."""
        members = [row for row in self.rows.values() if isinstance(row, MemberRow)]
        return self.counted.fault(self.till, sum(m.balance for m in members), sum(m.debt for m in members))
