"""Sealing to somebody's public key: only the owner of the private one opens it.

X25519 with a key pair made for this one box, HKDF-SHA-256 over both public keys, ChaCha20-Poly1305. A box is
the pair's public key (32), then ciphertext and tag (16 more than the text). `purpose` is bound in: a box
sealed for one purpose does not open for another. For a merchant's token key, and for backups.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from vafa.keys.device_key import DeviceKey
from vafa.model.errors import KeyFileError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

PUBLIC_KEY_BYTES = 32
_NONCE = bytes(12)  # the key is used once


class SealingKey:
    """The private side. `public` is what others seal to."""

    def __init__(self, key_file: DeviceKey) -> None:
        self._seed = key_file.derived("sealed box")

    def __repr__(self) -> str:
        return "SealingKey(...)"

    @cached_property
    def _private(self) -> "X25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        return X25519PrivateKey.from_private_bytes(self._seed)

    @cached_property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._private.public_key().public_bytes_raw()

    def open(self, box: bytes, purpose: str) -> bytes:
        """What was sealed. KeyFileError when it was sealed to another key, for something else, or altered."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        once = box[:PUBLIC_KEY_BYTES]
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(once))
            return _cipher(shared, once, self.public, purpose).decrypt(_NONCE, box[PUBLIC_KEY_BYTES:], None)
        except (InvalidTag, ValueError) as error:
            raise KeyFileError(
                f"what was sealed for this key ({purpose}) does not open with it",
                fix="was it sealed for another device? enrol again, or use the key that belongs to it",
            ) from error


def seal_to(public_key: bytes, secret: bytes, purpose: str) -> bytes:
    """A box for the owner of `public_key`. ValueError when that is no X25519 key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    pair = X25519PrivateKey.generate()
    once = pair.public_key().public_bytes_raw()
    shared = pair.exchange(X25519PublicKey.from_public_bytes(public_key))
    return once + _cipher(shared, once, public_key, purpose).encrypt(_NONCE, secret, None)


def _cipher(shared: bytes, once: bytes, public_key: bytes, purpose: str) -> "ChaCha20Poly1305":
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    info = b"vafa sealed box 1\0" + once + public_key + purpose.encode()
    return ChaCha20Poly1305(HKDF(SHA256(), 32, None, info).derive(shared))
