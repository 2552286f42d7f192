"""Ed25519: who says it. A device signs its requests, the hub its answers and programme versions.

The private key is derived from a key file of its own (mode 0600 or a systemd credential, see `device_key`),
made on the device and never sent. `cryptography` is loaded with the first signature: a daemon without a hub
never does.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from vafa.keys.device_key import DeviceKey
from vafa.model.errors import SyncError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PUBLIC_KEY_BYTES, SIGNATURE_BYTES = 32, 64


class SignatureWrong(SyncError):
    """Bytes that are not signed by the key they must be signed by."""

    code = "SYN-003"


class SigningKey:
    """A private key. `public` is its 32 bytes for the other side to pin."""

    def __init__(self, key_file: DeviceKey) -> None:
        self._seed = key_file.derived("sign")

    def __repr__(self) -> str:
        return "SigningKey(...)"

    @cached_property
    def _private(self) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._seed)

    @cached_property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self._private.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """64 bytes over exactly `data`; what that is stands in wire.signing."""
        return self._private.sign(data)


def is_signed(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """True when `signature` over `data` was made by the owner of `public_key`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except InvalidSignature:
        return False
    return True


def fingerprint(public_key: bytes) -> str:
    """A public key as people compare it: 16 hexadecimal digits of its BLAKE2b."""
    from hashlib import blake2b

    digits = blake2b(public_key, digest_size=8, person=b"vafa key").hexdigest()
    return "-".join(digits[start : start + 4] for start in range(0, 16, 4))
