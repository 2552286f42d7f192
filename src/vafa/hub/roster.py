"""The merchant's members over all its devices: for greeting them offline elsewhere, and for people who ask.

A member's points are those of every device's newest line together: after a fork the branch that was left is
evidence and counts no more. Payments in both branches therefore count once. What an alias owns is counted
with the member it answers as.
"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from vafa.books.rows import MemberState
from vafa.hub.database import Connection
from vafa.hub.forgotten import members_forgotten
from vafa.hub.journal import held
from vafa.hub.replay import event_of
from vafa.hub.tables import Place
from vafa.hub.touched import members_of

# The line that stands for each device (lines.current).
_NEWEST = """SELECT DISTINCT ON (device) device, line FROM line WHERE merchant_id = %s
ORDER BY device, fence DESC, line DESC"""
_MEMBERS = f"""SELECT member.id, member.last4, member.device, member.balance, member.debt, member.visits,
member.spent FROM ({_NEWEST}) AS newest CROSS JOIN LATERAL (SELECT * FROM member WHERE merchant_id = %s AND
device = newest.device AND line = newest.line AND id = ANY(%s) AND state = %s) AS member
ORDER BY member.id, member.device"""
_CARDS = f"""SELECT DISTINCT token.member, token.token FROM ({_NEWEST}) AS newest CROSS JOIN LATERAL
(SELECT * FROM token WHERE merchant_id = %s AND device = newest.device AND line = newest.line
AND member = ANY(%s)) AS token ORDER BY token.member, token.token"""
_ENDING = f"""SELECT DISTINCT member.id FROM ({_NEWEST}) AS newest CROSS JOIN LATERAL (SELECT * FROM member
WHERE merchant_id = %s AND device = newest.device AND line = newest.line AND state = %s
AND (%s = '' OR last4 = %s)) AS member ORDER BY member.id LIMIT %s"""
_ALIASES_OF = f"""SELECT DISTINCT alias.alias, alias.member FROM ({_NEWEST}) AS newest CROSS JOIN LATERAL
(SELECT * FROM alias WHERE merchant_id = %s AND device = newest.device AND line = newest.line
AND member = ANY(%s)) AS alias ORDER BY alias.alias, alias.member"""
_MEMBERS_OF = f"""SELECT DISTINCT alias.alias, alias.member FROM ({_NEWEST}) AS newest CROSS JOIN LATERAL
(SELECT * FROM alias WHERE merchant_id = %s AND device = newest.device AND line = newest.line
AND alias = ANY(%s)) AS alias ORDER BY alias.alias, alias.member"""
_BATCHES = """SELECT tick, device, line, first_seq, last_seq FROM batch
WHERE merchant_id = %s AND tick > %s ORDER BY tick LIMIT %s"""


class Till(msgspec.Struct, frozen=True):
    """What one device holds for a member."""

    device: int
    balance: int
    debt: int
    visits: int
    spent: int

    def plus(self, other: "Till") -> "Till":
        """What this device holds for both."""
        sums = (self.balance + other.balance, self.debt + other.debt, self.visits + other.visits)
        return Till(self.device, *sums, self.spent + other.spent)


class Holder(msgspec.Struct, frozen=True):
    """A member of the merchant."""

    member: bytes
    last4: str
    cards: tuple[bytes, ...]
    tills: tuple[Till, ...]

    @property
    def balance(self) -> int:
        """Points at all devices."""
        return sum(till.balance for till in self.tills)


class Batch(msgspec.Struct, frozen=True):
    """Rows that came in together: the merchant's change number `tick`."""

    tick: int
    device: int
    line: int
    first_seq: int
    last_seq: int


def batches(connection: Connection, merchant: str, after_tick: int, limit: int) -> list[Batch]:
    """What came in after a tick, in order."""
    return [Batch(*values) for values in connection.execute(_BATCHES, (merchant, after_tick, limit))]


def touched_by(connection: Connection, merchant: str, batch: Batch) -> tuple[set[bytes], set[bytes]]:
    """The holders whose rows a batch changed, and whom of them it forgot: they are gone everywhere, though
    other devices have yet to hear of it."""
    rows = held(connection, Place(merchant, batch.device, batch.line), batch.first_seq, batch.last_seq)
    found = [event_of(row.kind, row.body) for row in rows]
    touched = {member for event in found if event is not None for member in members_of(event)}
    return touched, members_forgotten(found)


def holders(connection: Connection, merchant: str, members: Iterable[bytes]) -> list[Holder]:
    """These members, as far as they are ones: cards on which points wait are left out."""
    wanted = sorted(set(members))
    if not wanted:
        return []
    owner = {**{each: each for each in wanted}, **_owners(connection, _ALIASES_OF, merchant, wanted)}
    wanted = sorted(owner)
    cards: dict[bytes, list[bytes]] = defaultdict(list)
    for member, token in connection.execute(_CARDS, (merchant, merchant, wanted)):
        if token not in cards[owner[member]]:
            cards[owner[member]].append(token)
    tills: dict[bytes, dict[int, Till]] = defaultdict(dict)
    endings: dict[bytes, str] = {}
    values = (merchant, merchant, wanted, int(MemberState.ACTIVE))
    for member, last4, device, *sums in connection.execute(_MEMBERS, values):
        endings.setdefault(owner[member], last4)
        before = tills[owner[member]].get(device, Till(device, 0, 0, 0, 0))
        tills[owner[member]][device] = before.plus(Till(device, *sums))
    return [
        Holder(member, last4, tuple(cards[member]), tuple(tills[member].values()))
        for member, last4 in endings.items()
    ]


def answering(connection: Connection, merchant: str, members: Iterable[bytes]) -> dict[bytes, bytes]:
    """Which of these ids are aliases, and whose: alias to member."""
    return _owners(connection, _MEMBERS_OF, merchant, sorted(set(members)))


def _owners(connection: Connection, question: str, merchant: str, ids: list[bytes]) -> dict[bytes, bytes]:
    return dict(connection.execute(question.encode(), (merchant, merchant, ids)).fetchall())


def find(connection: Connection, merchant: str, last4: str, limit: int) -> list[Holder]:
    """Members whose phone ends in these four digits, '' for any, at most `limit`."""
    values = (merchant, merchant, int(MemberState.ACTIVE), last4, last4, limit)
    found = [row[0] for row in connection.execute(_ENDING, values)]
    aliases = answering(connection, merchant, found)
    return holders(connection, merchant, {aliases.get(each, each) for each in found})
