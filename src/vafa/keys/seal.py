"""Phones and names at rest: ciphertext under a key of the member's own, itself wrapped by the device's key.

Deleting a member's wrapped key forgets the person, whatever copies of the ciphertext remain. The cipher is
ChaCha20-Poly1305 of `cryptography`, which is loaded when the first phone is sealed and then costs 7 MB for as
long as the process lives: the daemon has the sealing done by another one (`sealing`, and `app.aside`).
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from vafa.model.errors import KeyFileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    from vafa.keys.device_key import DeviceKey

CIPHER_KEY_BYTES, NONCE_BYTES = 32, 12  # RFC 8439 §2.8


class Person(Struct, frozen=True):
    """What is sealed of a member: the phone in E.164, and the name or ''. `repr` shows neither."""

    phone: str
    name: str

    def __repr__(self) -> str:
        return "Person(...)"


class SealedPerson(Struct, frozen=True):
    """The same, sealed: the columns of a `secret` row."""

    wrapped_key: bytes
    phone: bytes
    name: bytes | None


class Seals(Protocol):
    """Seals and opens people, here or in another process."""

    def sealed(self, member: bytes, person: Person) -> SealedPerson:
        """`person` under a fresh key. SealingFailed where the other process gives no answer."""

    def opened(self, sealed: Sequence[tuple[bytes, SealedPerson]]) -> list[Person | None]:
        """The people of (member, sealed), in that order; None for one that does not open. SealingFailed."""


def unopened() -> KeyFileError:
    """What to say of a sealed phone that was sealed by another device's key or altered."""
    return KeyFileError(
        "a sealed phone does not open with this device's key",
        fix="restore the key that belongs to this ledger",
    )


def wrapping_key(device_key: "DeviceKey") -> bytes:
    """The key that wraps each member's own."""
    return device_key.derived("seal")


class Sealer:
    """Seals and opens texts of one member under a wrapped key, in this process."""

    def __init__(self, wrapping_key: bytes) -> None:
        self._wrapping_key = wrapping_key

    def sealed(self, member: bytes, person: Person) -> SealedPerson:
        """`person` under a fresh key."""
        wrapped = self.new_key(member)
        name = self.seal(wrapped, member, person.name) if person.name else None
        return SealedPerson(wrapped, self.seal(wrapped, member, person.phone), name)

    def opened(self, sealed: Sequence[tuple[bytes, SealedPerson]]) -> list[Person | None]:
        """The people of (member, sealed), in that order; None for one that does not open."""
        return [self._person(member, each) for member, each in sealed]

    def _person(self, member: bytes, sealed: SealedPerson) -> Person | None:
        key = sealed.wrapped_key
        try:
            name = "" if sealed.name is None else self.open(key, member, sealed.name)
            return Person(self.open(key, member, sealed.phone), name)
        except KeyFileError:
            return None

    def new_key(self, member: bytes) -> bytes:
        """A fresh key for a member, wrapped: what `secret.wrapped_key` holds."""
        return _seal(self._wrapping_key, os.urandom(CIPHER_KEY_BYTES), member)

    def seal(self, wrapped_key: bytes, member: bytes, text: str) -> bytes:
        """Ciphertext of `text`, bound to the member it belongs to."""
        return _seal(self._unwrapped(wrapped_key, member), text.encode(), member)

    def open(self, wrapped_key: bytes, member: bytes, sealed: bytes) -> str:
        """The text again. KeyFileError when it was sealed by another device's key or altered."""
        return _open(self._unwrapped(wrapped_key, member), sealed, member).decode()

    def _unwrapped(self, wrapped_key: bytes, member: bytes) -> bytes:
        return _open(self._wrapping_key, wrapped_key, member)


def _cipher(key: bytes) -> "ChaCha20Poly1305":
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key)


def _seal(key: bytes, plain: bytes, member: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, plain, member)


def _open(key: bytes, sealed: bytes, member: bytes) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        return _cipher(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], member)
    except (InvalidTag, ValueError) as error:
        raise unopened() from error
