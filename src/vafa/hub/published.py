"""What a merchant publishes to its devices: versions of the club's rules, and messages for receipts.

Both are numbered per merchant in the order of their changes, so a device that says how far it is gets the
rest.
"""

import msgspec

from vafa.club.programme import Programme, document
from vafa.hub.database import Connection
from vafa.model.errors import NotFound, Refused
from vafa.wire.limits import TEXT_CHARS_MAX
from vafa.wire.messages import ReceiptMessage

_PUBLISH = """INSERT INTO programme_version
(merchant_id, number, id, hash, document, from_at, published_at) VALUES (%s, %s, %s, %s, %s, %s, %s)"""
_VERSIONS = """SELECT number, id, hash, document, from_at, published_at FROM programme_version
WHERE merchant_id = %s AND number > %s ORDER BY number LIMIT %s"""
_NEWEST = "SELECT coalesce(max(number), 0) FROM programme_version WHERE merchant_id = %s"
_SAY = """INSERT INTO message
(merchant_id, id, number, holder, fa, en, from_at, until_at, made_at, gone)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, false)"""
_MESSAGES = """SELECT number, id, holder, fa, en, from_at, until_at, gone FROM message
WHERE merchant_id = %s AND number > %s ORDER BY number LIMIT %s"""
_LAST_MESSAGE = "SELECT coalesce(max(number), 0) FROM message WHERE merchant_id = %s"
_CANCEL = """UPDATE message SET gone = true, fa = '', en = '', number = %s
WHERE merchant_id = %s AND id = %s AND NOT gone RETURNING id"""
# Taken while a number is drawn, so that two people at once get two numbers.
_LOCK = "SELECT merchant_id FROM merchant WHERE merchant_id = %s FOR UPDATE"


class Version(msgspec.Struct, frozen=True):
    """A published version of the rules; `from_at` (UTC seconds) None: from when it reaches the device."""

    number: int
    id: bytes
    hash: bytes
    document: str
    from_at: int | None
    published_at: int


def publish(
    connection: Connection, merchant: str, programme: Programme, from_at: int | None, at_ms: int
) -> Version | None:
    """The merchant's devices take these rules. None when the newest version is the same already."""
    connection.execute(_LOCK, (merchant,))
    number = _number(connection, _NEWEST, merchant)
    newest = versions(connection, merchant, number - 1, 1)
    if newest and newest[0].id == programme.id and newest[0].from_at == from_at:
        return None
    made = Version(number + 1, programme.id, programme.hash, document(programme), from_at, at_ms)
    connection.execute(_PUBLISH, (merchant, *msgspec.structs.astuple(made)))
    return made


def versions(connection: Connection, merchant: str, after: int = 0, limit: int = 1_000) -> list[Version]:
    """Published versions after number `after`, in order."""
    return [Version(*values) for values in connection.execute(_VERSIONS, (merchant, after, limit))]


def say(connection: Connection, merchant: str, message: ReceiptMessage, at_ms: int) -> ReceiptMessage:
    """A line for receipts; its id is drawn here. Refused for texts no receipt could carry."""
    for text in (message.fa, message.en):
        if len(text) > TEXT_CHARS_MAX or "\0" in text:
            raise Refused(f"a message has at most {TEXT_CHARS_MAX} characters")
    if not (message.fa or message.en):
        raise Refused("a message needs a text", fix="--fa TEXT, --en TEXT or both")
    connection.execute(_LOCK, (merchant,))
    number = _number(connection, _LAST_MESSAGE, merchant) + 1
    m = message
    values = (number, number, m.holder, m.fa, m.en, m.from_at, m.until, at_ms)
    connection.execute(_SAY, (merchant, *values))
    return msgspec.structs.replace(message, id=number)


def messages(
    connection: Connection, merchant: str, after: int = 0, limit: int = 1_000
) -> list[tuple[int, ReceiptMessage]]:
    """(number of its last change, message) after number `after`, in order; cancelled ones are `gone`."""
    found = connection.execute(_MESSAGES, (merchant, after, limit))
    return [(number, ReceiptMessage(*values)) for number, *values in found]


def cancel(connection: Connection, merchant: str, message_id: int) -> None:
    """Devices drop the message. NotFound when there is none, or it is gone already."""
    connection.execute(_LOCK, (merchant,))
    number = _number(connection, _LAST_MESSAGE, merchant) + 1
    if connection.execute(_CANCEL, (number, merchant, message_id)).fetchone() is None:
        raise NotFound(f"merchant {merchant} has no message {message_id}", fix="vafa hub message list")


def _number(connection: Connection, question: str, merchant: str) -> int:
    found = connection.execute(question.encode(), (merchant,)).fetchone()
    assert found is not None
    number: int = found[0]
    return number
