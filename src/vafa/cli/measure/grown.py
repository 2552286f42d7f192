"""A ledger with as many payments behind it as a shop makes in years: real rows, written past the write path.

Ten million awards one by one take an hour and flush each. These are the same rows: every event goes through
`books.apply`, with its hash, till sums and state hash, and what the tables get is what `apply` says. Only
the way into the file is another: the books stay in memory, rows go in by the hundred thousand without a
flush, and the last step makes them durable. `vafa verify` finds such a ledger sound.
"""

import sqlite3
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import repeat
from math import gcd
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import msgspec

from vafa.books import till as tills
from vafa.books.apply import apply, state_hash_after
from vafa.books.rows import BookRow, Carry, Key, MemberRow, PaymentRow, R, key_of
from vafa.ledger.tables import SQL
from vafa.model import events
from vafa.model.chain import Row, chain_hash
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme, Source

if TYPE_CHECKING:
    from vafa.club.programme import Programme
    from vafa.keys.tokens import Tokens
    from vafa.ledger.ledger import Head

SLAB_ROWS = 100_000
TERMINAL_ID = "40217736"
PAYMENTS_A_MEMBER = 50  # ten million payments are 200,000 members: what a chain has
MEMBERS_MIN = 200
FIRST_RRN = 310_000_000_000
_CACHE_KIB = 262_144
_INSERT = "INSERT INTO journal (epoch, seq, at, kind, body, till, state, hash) VALUES (?,?,?,?,?,?,?,?)"


def members_of(payments: int) -> int:
    """How many members so many payments have."""
    return max(MEMBERS_MIN, payments // PAYMENTS_A_MEMBER)


def card_of(number: int) -> CardHint:
    """The card of the member with this number, as a terminal that tells hashes tells it."""
    return CardHint("621986", f"{number % 10_000:04d}", sha256(b"card %d" % number).digest())


def member_of(tokens: "Tokens", number: int) -> bytes:
    """Its id."""
    return tokens.member_id(f"+98{9_000_000_000 + number}")


class Slabs:
    """A ledger's file while it is filled: `find` is what `books.apply` reads from. Payments are new each, so
    none is ever looked for and none is kept."""

    def __init__(self, connection: sqlite3.Connection, head: "Head") -> None:
        self._connection = connection
        self.seq, self.epoch, self.hash = head.seq, head.epoch, head.hash
        self.till, self.state = head.till, head.state
        self._rows: dict[tuple[type[BookRow], Key], BookRow] = {}
        self._changed: dict[tuple[type[BookRow], Key], BookRow] = {}
        self._journal: list[tuple[object, ...]] = []
        self._payments: list[tuple[object, ...]] = []

    def find(self, row_type: type[R], key: Key) -> R | None:
        """The row as it is by now."""
        found: R | None = self._rows.get((row_type, key))  # type: ignore[assignment]
        return found

    def take(self, event: events.Event, at_ms: int) -> None:
        """One event more."""
        self.seq += 1
        effect = apply(event, self.seq, self, self.till)
        self.state, self.till = state_hash_after(self.state, effect.changes), effect.till
        kind, body, till = events.KINDS[type(event)], events.encode(event), tills.pack(effect.till)
        state = self.state.to_bytes(32, "big")
        self.hash = chain_hash(self.hash, self.epoch, self.seq, at_ms, kind, body, till, state)
        row = Row(self.epoch, self.seq, at_ms, kind, body, till, state, self.hash)
        self._journal.append(msgspec.structs.astuple(row))
        for change in effect.changes:
            new = change.new
            assert new is not None, "nothing is deleted here"
            if isinstance(new, PaymentRow):
                self._payments.append(msgspec.structs.astuple(new))
            else:
                place = (type(new), key_of(new))
                self._rows[place] = self._changed[place] = new
        if len(self._journal) >= SLAB_ROWS:
            self.write()

    def write(self) -> None:
        """What has gathered, into the file."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_INSERT, self._journal)
        connection.executemany(SQL[PaymentRow].insert, self._payments)
        for row_type in {row_type for row_type, _ in self._changed}:
            rows = (row for (kind, _), row in self._changed.items() if kind is row_type)
            connection.executemany(SQL[row_type].replace, map(msgspec.structs.astuple, rows))
        connection.execute("COMMIT")
        self._journal.clear()
        self._payments.clear()
        self._changed.clear()


def grow(
    path: Path,
    head: "Head",
    tokens: "Tokens",
    programme: "Programme",
    payments: int,
    tell: Callable[[int], None] = lambda _: None,
) -> None:
    """Members and `payments` awards into a ledger that nobody has open and that has `programme`, a plain one.

    Afterwards the file is checkpointed and durable. `tell`: payments so far.
    """
    from vafa.ledger import storage, upkeep

    connection = sqlite3.connect(path, isolation_level=None)
    try:
        for setting in ("synchronous = OFF", f"cache_size = -{_CACHE_KIB}", "wal_autocheckpoint = 100000"):
            connection.execute(f"PRAGMA {setting}")
        slabs = Slabs(connection, head)
        for event, at_ms in _history(tokens, programme, payments, slabs):
            slabs.take(event, at_ms)
            if slabs.seq % SLAB_ROWS == 0:
                tell(slabs.seq)
        slabs.write()
    finally:
        connection.close()
    upkeep.checkpoint(path)
    storage.flush(path)


def _history(
    tokens: "Tokens", programme: "Programme", payments: int, slabs: Slabs
) -> Iterator[tuple[events.Event, int]]:
    members, random = members_of(payments), Random(payments)  # noqa: S311 - invented sales, not secrets
    start_ms = 1_700_000_000_000
    ids = [member_of(tokens, number) for number in range(members)]
    cards = [tokens.card_tokens(card_of(number))[0] for number in range(members)]
    for member, card in zip(ids, cards, strict=True):
        yield events.Enrol(member, "0000", "bench"), start_ms
        yield events.Bind(member, card, "bench"), start_ms
    for count, _ in enumerate(repeat(None, payments)):
        number = int(members * random.random() ** 2)  # some come more often
        at_s = start_ms // 1000 + 10 * count
        yield _award(slabs, programme, ids[number], cards[number], number, count, at_s, random), at_s * 1000


def _award(
    slabs: Slabs, programme: "Programme", member: bytes, card: bytes, number: int, count: int, at_s: int,
    random: Random,
) -> events.Award:  # fmt: skip
    """What the counter writes for this sale under a plain programme."""
    amount = random.randrange(100, 9_000) * 1_000
    row = slabs.find(MemberRow, (member,))
    assert row is not None
    above, below = amount * programme.points, programme.per
    divisor = gcd(above, below)
    contribution = (above // divisor, below // divisor)
    carry = Carry(row.carry).of(programme.id)
    points = (carry[0] * contribution[1] + contribution[0] * carry[1]) // (carry[1] * contribution[1])
    key = PaymentKey(Scheme.RRN, TERMINAL_ID, str(FIRST_RRN + 7 * count))
    mask = f"621986{number % 10_000:04d}"
    paid = events.Paid(key, amount, 0, at_s, int(Source.LIVE), f"{count % 1_000_000:06d}", card, mask)
    known_by = int(events.KnownBy.CARD)
    balance = row.balance + points
    return events.Award(
        paid, member, "", programme.id, amount, contribution, carry, points, balance, known_by
    )
