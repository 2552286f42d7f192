"""Phones and names at rest: ciphertext under a key of the member's own, itself wrapped by the device's key.

Deleting a member's wrapped key forgets the person, whatever copies of the ciphertext remain. The cipher is
ChaCha20-Poly1305
of `cryptography`, which is loaded when the first phone is sealed, not on the award path.
"""

import os
from typing import TYPE_CHECKING

from vafa.keys.device_key import KEY_BYTES, DeviceKey
from vafa.model.errors import KeyFileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

NONCE_BYTES = 12


class Sealer:
    """Seals and opens texts of one member under a wrapped key."""

    def __init__(self, device_key: DeviceKey) -> None:
        self._wrapping_key = device_key.derived("seal")

    def new_key(self, member: bytes) -> bytes:
        """A fresh key for a member, wrapped: what `secret.wrapped_key` holds."""
        return _seal(self._wrapping_key, os.urandom(KEY_BYTES), member)

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
        raise KeyFileError(
            "a sealed phone does not open with this device's key",
            fix="restore the key that belongs to this ledger",
        ) from error
