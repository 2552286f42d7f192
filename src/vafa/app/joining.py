"""What enrolment changes in the journal; done so that it may be done again: after a crash a start ends it.

A new epoch says that the device has another number or makes its ids under another key. Then everybody who
joined before under the device's own key becomes an alias of the id the merchant's key gives their phone: the
hub and the merchant's other devices know one person, and nothing moves: what they own stays in its row.
"""

import sqlite3
from pathlib import Path

from vafa.books.rows import AliasRow
from vafa.keys.device_key import DeviceKey
from vafa.keys.seal import SealedPerson, Seals
from vafa.keys.tokens import Tokens
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model import events
from vafa.model.errors import KeyFileError
from vafa.model.identity import MEMBER_ID_BYTES
from vafa.model.pan import CardHint
from vafa.sync.enrolment import Enrolment, merchant_key

SLICE_MEMBERS = 50  # a sale waits no longer than it takes to merge so many
OWN_WORD = 0  # the order of a merge that no hub ordered
WHY = "enrolment"
_NOT_MERGED = (
    "SELECT id, wrapped_key, phone FROM member JOIN secret ON secret.member = id "
    "WHERE substr(id, 1, 2) = ? AND id > ? AND NOT EXISTS (SELECT 1 FROM alias WHERE alias = id) "
    "ORDER BY id LIMIT ?"
)


def tokens_of(directory: Path, key: DeviceKey) -> Tokens:
    """Tokens under the merchant's key where this device has it. A key that cannot be read stops nothing: new
    ids are then made under the device's own, `status` says so, and they are merged when it is back."""
    try:
        return Tokens(key, merchant_key(directory))
    except KeyFileError:
        return Tokens(key)


def settle(ledger: Ledger, tokens: Tokens, enrolled: Enrolment) -> None:
    """The journal's newest epoch says what the enrolment says. It waits for the merchant's key where that is
    missing."""
    if tokens.key_id.hex() == enrolled.key_id:
        open_epoch_as(ledger, enrolled.device, tokens.key_id, WHY)


def open_epoch_as(ledger: Ledger, device: int, key_id: bytes, why: str) -> bool:
    """A new epoch, where the newest one says another device number or key. True when one was opened."""

    def decide(tx: Transaction) -> bool:
        now = reads.device(tx.connection)
        assert now is not None, "a ledger begins with EpochOpened"
        if (now.device, now.key_id) == (device, key_id):
            return False
        head = tx.head
        before = (head.epoch, head.seq, head.hash)
        tx.post(events.EpochOpened(now.ledger_id, device, before, key_id, why))
        return True

    return ledger.write(decide)


def bind_again(tx: Transaction, tokens: Tokens, hint: CardHint, holder: bytes) -> None:
    """A card that was bound before enrolment is known by its token under the device's own key, which says
    nothing to other devices. When it is seen again it gets the merchant's too: once, in the award's own
    commit."""
    if len(holder) != MEMBER_ID_BYTES:
        return
    of_kind: dict[int, bytes] = {}
    for token in tokens.card_tokens(hint):  # of each kind the merchant's comes first
        merchant = of_kind.setdefault(token[0], token)
        if merchant is token or reads.members_of_token(tx.connection, merchant):
            continue
        if reads.members_of_token(tx.connection, token) == [holder]:
            tx.post(events.Bind(holder, merchant, WHY))


def merge_own_members(ledger: Ledger, tokens: Tokens, sealer: Seals) -> tuple[int, int]:
    """(members merged, those whose sealed phone does not open). In slices, so that no sale waits long.

    SealingFailed when nothing can be opened now: to be done again.
    """
    if tokens.key_id == tokens.own_key_id:
        return 0, 0
    merged = unreadable = 0
    after = b""
    while True:
        rows = ledger.read(lambda connection: _slice(connection, tokens.own_key_id, after))  # noqa: B023
        if not rows:
            return merged, unreadable
        joined: list[tuple[bytes, bytes]] = []
        people = sealer.opened(
            [(member, SealedPerson(wrapped, phone, None)) for member, wrapped, phone in rows]
        )
        for (member, _, _), person in zip(rows, people, strict=True):
            if person is None:
                unreadable += 1  # status tells; `verify` names the row
            else:
                joined.append((member, tokens.member_id(person.phone)))
        merged += ledger.write(lambda tx: _merge(tx, joined))  # noqa: B023
        after = rows[-1][0]


def _slice(connection: sqlite3.Connection, key_id: bytes, after: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return connection.execute(_NOT_MERGED, (key_id, after, SLICE_MEMBERS)).fetchall()


def _merge(tx: Transaction, joined: list[tuple[bytes, bytes]]) -> int:
    fresh = [(alias, member) for alias, member in joined if tx.find(AliasRow, (alias,)) is None]
    for alias, member in fresh:
        tx.post(events.Merge(member, alias, OWN_WORD, WHY))
    return len(fresh)
