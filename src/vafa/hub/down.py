"""What an answer brings down: programme versions, members of the other devices, messages for receipts, whom
other devices forgot.

Each kind has a running number the device hands back, so nothing is sent twice and nothing is left out; one
answer brings a bounded part, and `more` says that the rest waits.
"""

import msgspec

from vafa.hub import forgotten
from vafa.hub.database import Connection
from vafa.hub.forgotten import Told
from vafa.hub.merchants import merchant as merchant_by_id
from vafa.hub.published import messages, versions
from vafa.hub.roster import Batch, answering, batches, holders, touched_by
from vafa.keys.sign import SigningKey
from vafa.model.identity import MEMBER_ID_BYTES
from vafa.wire import limits
from vafa.wire.messages import Forgotten, Have, Programme, ReceiptMessage, RemoteMember
from vafa.wire.signing import encoded, programme_input

# An answer is at most 256 KiB packed; ids and tokens do not shrink. Each kind gets its part of it.
PART_BYTES_MAX = 64 * 1024
BATCHES_LOOKED_AT_MAX = 20
BATCHES_READ_MAX = 400


class Down(msgspec.Struct, frozen=True):
    """What goes down, and how far the device has everything then."""

    have: Have
    programmes: tuple[Programme, ...] = ()
    members: tuple[RemoteMember, ...] = ()
    messages: tuple[ReceiptMessage, ...] = ()
    forgotten: tuple[Forgotten, ...] = ()
    more: bool = True


def down(
    connection: Connection, merchant: str, device: int, have: Have, signing: SigningKey, at_ms: int
) -> Down:
    """What `device` does not have yet, in the caller's transaction."""
    programmes = _programmes(connection, merchant, have.programmes, signing)
    said, said_to, said_more = _messages(connection, merchant, have.messages)
    members, members_to, members_more = _members(connection, merchant, device, have.members, at_ms)
    programmes_to = programmes[-1].order if programmes else have.programmes
    told = _forgotten(connection, merchant, have.forgotten)
    more = members_more or said_more or told.more
    return Down(
        Have(programmes_to, members_to, said_to, told.have),
        programmes,
        members,
        said,
        told.forgotten,
        more or bool(versions(connection, merchant, programmes_to, 1)),
    )


def signed_programme(merchant: str, programme: Programme, signing: SigningKey) -> Programme:
    """The version with the hub's signature: the device takes no other."""
    return msgspec.structs.replace(programme, signature=signing.sign(programme_input(merchant, programme)))


def _programmes(
    connection: Connection, merchant: str, after: int, signing: SigningKey
) -> tuple[Programme, ...]:
    taken: list[Programme] = []
    size = 0
    for version in versions(connection, merchant, after, limits.PROGRAMMES_MAX):
        size += len(version.document.encode())
        if taken and size > PART_BYTES_MAX:
            break
        plain = Programme(version.number, version.document, version.from_at, b"")
        taken.append(signed_programme(merchant, plain, signing))
    return tuple(taken)


def _messages(
    connection: Connection, merchant: str, after: int
) -> tuple[tuple[ReceiptMessage, ...], int, bool]:
    """(messages, the number of the last one, whether more wait)."""
    found = messages(connection, merchant, after, limits.MESSAGES_MAX + 1)
    taken: list[ReceiptMessage] = []
    size = 0
    for number, message in found[: limits.MESSAGES_MAX]:
        size += len(encoded(message))
        if taken and size > PART_BYTES_MAX:
            break
        taken.append(message)
        after = number
    return tuple(taken), after, len(taken) < len(found)


def _members(
    connection: Connection, merchant: str, device: int, after: int, at_ms: int
) -> tuple[tuple[RemoteMember, ...], int, bool]:
    """(members other devices changed after tick `after`, the tick looked at last, whether more wait).

    A member is sent as it is now, so only who changed is read from the journal, a batch at a time. The
    merchant's ticks go up in commit order (journal.note_batches), so no change is passed over.
    """
    found = batches(connection, merchant, after, BATCHES_READ_MAX + 1)
    key_id = merchant_by_id(connection, merchant).token_key_id
    members: dict[bytes, RemoteMember] = {}
    size = looked_at = 0
    for batch in found[:BATCHES_READ_MAX]:
        if batch.device != device:
            fresh = _changed(connection, merchant, batch, key_id, at_ms)
            size += sum(map(_bytes_of, fresh))
            looked_at += 1
            full = size > PART_BYTES_MAX or len(members) + len(fresh) > limits.MEMBERS_MAX
            if members and (full or looked_at > BATCHES_LOOKED_AT_MAX):
                return tuple(members.values()), after, True
            members |= {each.member: each for each in fresh}
        after = batch.tick
    return tuple(members.values()), after, len(found) > BATCHES_READ_MAX


def _forgotten(connection: Connection, merchant: str, have: bytes | None) -> Told:
    """Whom other devices forgot. An id under a device's own key is told as the member it was merged into."""
    told = forgotten.after(connection, merchant, have)
    key_id = merchant_by_id(connection, merchant).token_key_id if told.forgotten else None
    own = [each.member for each in told.forgotten if key_id is not None and each.member[:2] != key_id]
    aliases = answering(connection, merchant, own)
    entries = tuple(
        msgspec.structs.replace(each, member=aliases.get(each.member, each.member)) for each in told.forgotten
    )
    return msgspec.structs.replace(told, forgotten=entries)


def _changed(
    connection: Connection, merchant: str, batch: Batch, key_id: bytes | None, at_ms: int
) -> list[RemoteMember]:
    """The members a batch changed, as they are now; those that were forgotten or are aliases now are gone.

    Ids under another device's own key mean nothing elsewhere: they are told as the member they were merged
    into.
    """
    ids, gone_now = touched_by(connection, merchant, batch)
    aliases = answering(connection, merchant, ids)
    gone_now |= {aliases[each] for each in gone_now if each in aliases}
    told = {each for each in ids | set(aliases.values()) if key_id is None or each[:2] == key_id}
    told = {each for each in told if len(each) == MEMBER_ID_BYTES}
    as_of, cards_max = at_ms // 1000, limits.MEMBER_TOKENS_MAX
    known = [
        RemoteMember(each.member, each.last4, each.cards[:cards_max], each.balance, as_of)
        for each in holders(connection, merchant, told - aliases.keys() - gone_now)
    ]
    gone = told - {each.member for each in known}
    return known + [RemoteMember(each, "", (), 0, as_of, gone=True) for each in sorted(gone)]


def _bytes_of(member: RemoteMember) -> int:
    return 40 + sum(len(card) + 2 for card in member.tokens)
