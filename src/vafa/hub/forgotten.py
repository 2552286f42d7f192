"""People whom a device of a merchant forgot, for its other devices: each forgets them too, once.

A list a merchant, in the order the hub heard of it. A device hands back the digest of the list as far as it
was told (`chain`), no number: a hub that was restored from a backup may hear the same in another order, and
then tells all of it again. A row that a device wrote because it was told counts as the row that said so
first: it is told on only where that one was lost, with a disk and with what the hub had after its backup.
"""

from collections.abc import Iterable

import msgspec

from vafa.hub.database import Connection
from vafa.hub.merchants import merchants as all_merchants
from vafa.hub.replay import event_of
from vafa.hub.tables import Place
from vafa.model import events
from vafa.model.chain import Row
from vafa.model.events import Kind
from vafa.wire.limits import FORGOTTEN_MAX
from vafa.wire.messages import Forgotten
from vafa.wire.signing import digest, encoded

CHAIN_BYTES = 8
_LAST = """SELECT number, chain FROM forgotten WHERE merchant_id = %s ORDER BY number DESC LIMIT 1"""
_NOTE = """INSERT INTO forgotten (merchant_id, number, member, device, epoch, seq, chain)
VALUES (%s, %s, %s, %s, %s, %s, %s)"""
_PLACE = "SELECT number FROM forgotten WHERE merchant_id = %s AND chain = %s"
_AFTER = """SELECT member, device, epoch, seq, chain FROM forgotten
WHERE merchant_id = %s AND number > %s ORDER BY number LIMIT %s"""
_IS_TOLD = """SELECT 1 FROM forgotten
WHERE merchant_id = %s AND member = %s AND device = %s AND epoch = %s AND seq = %s"""
_HELD = """SELECT device, epoch, seq, body FROM journal WHERE merchant_id = %s AND kind = %s
ORDER BY at, device, line, seq"""


class Told(msgspec.Struct, frozen=True):
    """What goes down of it: `have` names it with all that was told before."""

    have: bytes | None
    forgotten: tuple[Forgotten, ...] = ()
    more: bool = False


def note(connection: Connection, place: Place, rows: Iterable[Row]) -> None:
    """Rows that a journal has gained, in the caller's transaction, which holds the merchant's tick."""
    for row in rows:
        if row.kind == Kind.FORGET:
            _note(connection, place.merchant, place.device, (row.epoch, row.seq), row.body)


def note_held(connection: Connection) -> None:
    """All that the journals here say already."""
    for each in all_merchants(connection):
        for device, epoch, seq, body in connection.execute(
            _HELD, (each.merchant, int(Kind.FORGET))
        ).fetchall():
            _note(connection, each.merchant, device, (epoch, seq), body)


def after(connection: Connection, merchant: str, have: bytes | None) -> Told:
    """What a device that has been told so far has not been told."""
    if have is None:
        return Told(None)
    place = connection.execute(_PLACE, (merchant, have)).fetchone()
    found = connection.execute(_AFTER, (merchant, place[0] if place else 0, FORGOTTEN_MAX + 1)).fetchall()
    told, more = found[:FORGOTTEN_MAX], len(found) > FORGOTTEN_MAX
    if not told:
        return Told(have if place else b"")
    return Told(told[-1][-1], tuple(Forgotten(*entry) for *entry, _ in told), more)


def members_forgotten(found: Iterable[events.Event | None]) -> set[bytes]:
    """Whom these events forgot because a person asked, and who did not join again in them."""
    members: set[bytes] = set()
    for event in found:
        match event:
            case events.Forget(member, origin=None):
                members.add(member)
            case events.Enrol(member):
                members.discard(member)
            case _:
                continue
    return members


def _note(connection: Connection, merchant: str, device: int, at: tuple[int, int], body: bytes) -> None:
    event = event_of(Kind.FORGET, body)
    if not isinstance(event, events.Forget):
        return
    try:
        entry = msgspec.convert((event.member, *(event.origin or (device, *at))), Forgotten)
    except msgspec.ValidationError:
        return  # numbers that no row has
    first = msgspec.structs.astuple(entry)
    if connection.execute(_IS_TOLD, (merchant, *first)).fetchone() is not None:
        return
    number, chain = connection.execute(_LAST, (merchant,)).fetchone() or (0, b"")
    chain = digest(chain + encoded(entry))[:CHAIN_BYTES]
    connection.execute(_NOTE, (merchant, number + 1, *first, chain))
