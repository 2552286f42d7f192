"""Merchants: who they are at this hub. Everything else hangs under one of them.

An id is six letters and digits that are not mistaken for one another on paper; it is drawn by chance, so ids
need no sequence and tell nothing of how many merchants there are.
"""

import secrets

import msgspec

from vafa.hub.database import Connection
from vafa.model.errors import NotFound, Refused

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: without I, L, O and U
ID_LETTERS = 6
NAME_CHARS_MAX = 100
_ADD = """INSERT INTO merchant (merchant_id, name, made_at) VALUES (%s, %s, %s)
ON CONFLICT (merchant_id) DO NOTHING RETURNING merchant_id"""
_ALL = "SELECT merchant_id, name, made_at, closed_at, token_key_id FROM merchant ORDER BY merchant_id"
_ONE = "SELECT merchant_id, name, made_at, closed_at, token_key_id FROM merchant WHERE merchant_id = %s"
_CLOSE = "UPDATE merchant SET closed_at = %s WHERE merchant_id = %s"
_RENAME = "UPDATE merchant SET name = %s WHERE merchant_id = %s"
_SEALED_KEY = "SELECT token_key_id, token_key_sealed FROM merchant WHERE merchant_id = %s FOR UPDATE"
_KEEP_KEY = "UPDATE merchant SET token_key_id = %s, token_key_sealed = %s WHERE merchant_id = %s"


class Merchant(msgspec.Struct, frozen=True):
    """A merchant. Times are UTC milliseconds; `closed_at` None while its devices are answered."""

    merchant: str
    name: str
    made_at: int
    closed_at: int | None
    token_key_id: bytes | None


def add(connection: Connection, name: str, at_ms: int) -> Merchant:
    """A new merchant with an id of its own. Refused for a name nobody could read."""
    _check_name(name)
    while True:
        drawn = "".join(secrets.choice(ALPHABET) for _ in range(ID_LETTERS))
        if connection.execute(_ADD, (drawn, name.strip(), at_ms)).fetchone():
            return merchant(connection, drawn)


def merchants(connection: Connection) -> list[Merchant]:
    """All of them."""
    return [Merchant(*values) for values in connection.execute(_ALL)]


def merchant(connection: Connection, merchant_id: str) -> Merchant:
    """One of them, by its id as a person typed it. NotFound."""
    found = connection.execute(_ONE, (read_letters(merchant_id),)).fetchone()
    if found is None:
        raise NotFound(f"there is no merchant {merchant_id!r} at this hub", fix="vafa hub merchant list")
    return Merchant(*found)


def rename(connection: Connection, merchant_id: str, name: str) -> Merchant:
    """The name people see."""
    _check_name(name)
    known = merchant(connection, merchant_id)
    connection.execute(_RENAME, (name.strip(), known.merchant))
    return merchant(connection, known.merchant)


def close(connection: Connection, merchant_id: str, at_ms: int | None) -> Merchant:
    """No device of this merchant is answered from now on; None opens it again. Nothing is deleted."""
    known = merchant(connection, merchant_id)
    connection.execute(_CLOSE, (at_ms, known.merchant))
    return merchant(connection, known.merchant)


def token_key(connection: Connection, merchant_id: str) -> tuple[bytes, bytes] | None:
    """(key id, key sealed to the hub) of the merchant's tokens; or None. Locks the merchant."""
    found = connection.execute(_SEALED_KEY, (merchant_id,)).fetchone()
    return (found[0], found[1]) if found and found[0] is not None else None


def keep_token_key(connection: Connection, merchant_id: str, key_id: bytes, sealed: bytes) -> None:
    """The first device's key becomes the merchant's."""
    connection.execute(_KEEP_KEY, (key_id, sealed, merchant_id))


def read_letters(text: str) -> str:
    """What a person typed, in the alphabet: small letters and dashes too, O for 0, I and L for 1."""
    raised = text.upper().translate(str.maketrans("OIL", "011"))
    return "".join(letter for letter in raised if letter in ALPHABET)


def _check_name(name: str) -> None:
    if not 1 <= len(name.strip()) <= NAME_CHARS_MAX or not name.isprintable():
        raise Refused(f"a name has 1 to {NAME_CHARS_MAX} printable characters")
