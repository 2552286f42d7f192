"""One-time codes: how a device proves that its merchant wants it.

A code is the merchant's id and ten more letters (50 bits) drawn by chance, written `7KQ2-MXB9-3FDT-Z5HW`.
Only a hash is kept, slow to guess from (scrypt). A code expires, and the first device that says it takes it.
Tries are limited per merchant, before anything is compared.
"""

import secrets
from hashlib import scrypt

import msgspec

from vafa.hub.database import Connection
from vafa.hub.merchants import ALPHABET, ID_LETTERS, read_letters
from vafa.hub.rate import Bucket, Spent, spend

SECRET_LETTERS = 10
LETTERS = ID_LETTERS + SECRET_LETTERS
VALID_H = 48
VALID_H_MAX = 24 * 90
# A wrong code every ten seconds for a day is 8,640 of 2**50.
TRIES = Bucket(size=20, per_s=0.1)
_ADD = """INSERT INTO code (merchant_id, code_hash, label, made_at, expires_at) VALUES (%s, %s, %s, %s, %s)"""
_FIND = """SELECT code_hash, label, made_at, expires_at, used_at, device FROM code
WHERE merchant_id = %s AND code_hash = %s FOR UPDATE"""
_ALL = """SELECT code_hash, label, made_at, expires_at, used_at, device FROM code
WHERE merchant_id = %s ORDER BY made_at"""
_USE = "UPDATE code SET used_at = %s, device = %s WHERE merchant_id = %s AND code_hash = %s"
_REVOKE = "DELETE FROM code WHERE merchant_id = %s AND code_hash = %s AND used_at IS NULL"
_TRIES = "SELECT tokens, at FROM enrol_tries WHERE merchant_id = %s FOR UPDATE"
_TRIED = """INSERT INTO enrol_tries (merchant_id, tokens, at) VALUES (%s, %s, %s)
ON CONFLICT (merchant_id) DO UPDATE SET tokens = excluded.tokens, at = excluded.at"""


class Code(msgspec.Struct, frozen=True):
    """What the hub keeps of a code. `device` took it at `used_at`; both None while nobody has."""

    hash: bytes
    label: str
    made_at: int
    expires_at: int
    used_at: int | None
    device: int | None

    @property
    def name(self) -> str:
        """What people call it: the code itself is shown once and never again."""
        return self.hash[:4].hex()


def make(connection: Connection, merchant: str, label: str, valid_h: int, at_ms: int) -> str:
    """A new code, as a person types it. It is nowhere else afterwards."""
    letters = merchant + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LETTERS))
    expires_at = at_ms + valid_h * 3_600_000
    connection.execute(_ADD, (merchant, _hash(letters), label, at_ms, expires_at))
    return "-".join(letters[place : place + 4] for place in range(0, LETTERS, 4))


def codes(connection: Connection, merchant: str) -> list[Code]:
    """A merchant's codes, oldest first."""
    return [Code(*values) for values in connection.execute(_ALL, (merchant,))]


def merchant_of(typed: str) -> str:
    """The merchant a code is of; '' when it is no code."""
    letters = read_letters(typed)
    return letters[:ID_LETTERS] if len(letters) == LETTERS else ""


def may_try(connection: Connection, merchant: str, at_ms: int) -> Spent:
    """Take one try from the merchant's allowance, or say when the next may come.

    In a transaction of its own: a try counts whatever becomes of it.
    """
    found = connection.execute(_TRIES, (merchant,)).fetchone()
    spent = spend(TRIES, found, at_ms)
    if spent.wait_s == 0:
        connection.execute(_TRIED, (merchant, spent.tokens, at_ms))
    return spent


def find(connection: Connection, typed: str) -> Code | None:
    """The code a person typed, locked until the transaction ends; used and expired ones too."""
    letters = read_letters(typed)
    found = connection.execute(_FIND, (merchant_of(typed), _hash(letters))).fetchone()
    return Code(*found) if found else None


def use(connection: Connection, merchant: str, code: Code, device: int, at_ms: int) -> None:
    """The code is `device`'s now."""
    connection.execute(_USE, (at_ms, device, merchant, code.hash))


def revoke(connection: Connection, merchant: str, name: str) -> list[Code]:
    """Take back codes nobody used, by name ('' for all). Those that went."""
    gone = [code for code in codes(connection, merchant) if code.used_at is None and name in ("", code.name)]
    for code in gone:
        connection.execute(_REVOKE, (merchant, code.hash))
    return gone


def _hash(letters: str) -> bytes:
    """8 MB and some 20 ms a guess, salted with the merchant."""
    salt = b"vafa code " + letters[:ID_LETTERS].encode()
    return scrypt(letters.encode(), salt=salt, n=2**13, r=8, p=1, dklen=32)
