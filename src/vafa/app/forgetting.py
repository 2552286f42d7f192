"""A person whom another device of the merchant forgot is forgotten here too.

The hub tells which row of which device says so; it is noted (`heard_forget`) in the transaction that posts
the Forget of ours, so each counts once, whatever is cut, told again or restored. Order is what was heard
before what, never a clock: who joins here after it was heard stays; whoever is a member when it is heard is
forgotten, also one who joined meanwhile at a device without a network. The points stay under the bare id.
"""

import sqlite3
from collections.abc import Sequence
from itertools import islice

import structlog

from vafa.app import profiles
from vafa.ledger import people, reads, upkeep
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model import events
from vafa.wire.messages import Forgotten

BY, WHY = "hub", "forgotten at another device of the shop"
SLICE = 20  # a transaction: a sale never waits long for one
_NOTE = "INSERT OR IGNORE INTO heard_forget (member, device, epoch, seq, at_seq) VALUES (?, ?, ?, ?, ?)"
_OURS = "SELECT kind, body FROM journal WHERE seq = ? AND epoch = ? AND kind = ?"
_OF = "SELECT device, epoch, seq FROM heard_forget WHERE member = ? ORDER BY at_seq DESC LIMIT 1"

log = structlog.get_logger()


def heard(ledger: Ledger, told: Sequence[Forgotten]) -> int:
    """Forget these people, as far as they are members; how many were. LedgerError: they are told again."""
    done, left = 0, iter(told)
    while part := tuple(islice(left, SLICE)):
        done += ledger.write(lambda tx, part=part: sum(_forgotten(tx, each) for each in part))  # type: ignore[misc]
    if done:
        upkeep.checkpoint(ledger.path)  # phone and name do not stay in the log either
        log.info("people were forgotten", people=done, by=BY)
    return done


def origin_heard(connection: sqlite3.Connection, member: bytes) -> tuple[int, int, int] | None:
    """The row of another device by which this id was forgotten last, as far as that was heard here."""
    found: tuple[int, int, int] | None = connection.execute(_OF, (member,)).fetchone()
    return found


def is_news(tx: Transaction, member: bytes, origin: tuple[int, int, int]) -> bool:
    """Note that this row (device, epoch, seq) is heard; False where it was before, or is one of this journal:
    what it did is done, and who joined again since stays."""
    if _is_ours(tx.connection, member, origin):
        return False
    noted = tx.connection.execute(_NOTE, (member, *origin, tx.head.seq)).rowcount > 0
    tx.keeps = tx.keeps or noted
    return noted


def _is_ours(connection: sqlite3.Connection, member: bytes, origin: tuple[int, int, int]) -> bool:
    number, epoch, seq = origin
    device = reads.device(connection)
    if device is None or device.device != number:
        return False
    row = connection.execute(_OURS, (seq, epoch, int(events.Kind.FORGET))).fetchone()
    event = None if row is None else events.decode(*row)
    if not isinstance(event, events.Forget) or event.origin is not None:
        return False
    return member in (event.member, people.root(connection, event.member))


def _forgotten(tx: Transaction, told: Forgotten) -> bool:
    """Whether the person was a member here. All ids they answer by are forgotten, as by a person's asking."""
    origin = (told.device, told.epoch, told.seq)
    if not is_news(tx, told.member, origin):
        return False
    answering = profiles.answering(tx.connection, told.member)
    for each, tokens in answering:
        profiles.forget_within(tx, each.id, tokens, WHY, BY, origin)
    return bool(answering)
