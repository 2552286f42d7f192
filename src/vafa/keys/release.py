"""Who made a release: one Ed25519 signature, the last member of its Debian package.

A .deb is an `ar` archive, and dpkg skips members after its own three. So the package and its signature are
one file that cannot be parted by accident, and `apt install` takes it as it is. Signed is a digest of every
byte before the signature's own member, with its length, under a heading of its own: a key that signs releases
signs nothing else with these words.
"""

import struct

import msgspec

from vafa.keys.sign import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, SigningKey, is_signed

HEADING = b"vafa release 1\n"
MEMBER = b"_vafa-signature/"  # 16 bytes: the name's field
_CONTENT = struct.Struct(f"{PUBLIC_KEY_BYTES}s{SIGNATURE_BYTES}s")
_AR_HEADER_BYTES = 60
TRAILER_BYTES = _AR_HEADER_BYTES + _CONTENT.size  # even, so that ar adds no padding
_HEADER = MEMBER + b"%-12d%-6d%-6d%-8s%-10d`\n" % (0, 0, 0, b"100644", _CONTENT.size)


class Signature(msgspec.Struct, frozen=True):
    """Whose it says it is, and the signature."""

    public_key: bytes
    signature: bytes


def trailer(key: SigningKey, digest: bytes, size: int) -> bytes:
    """What is put behind a package of `size` bytes with this BLAKE2b-512 `digest`."""
    return _HEADER + _CONTENT.pack(key.public, key.sign(_signed(digest, size)))


def parsed(end: bytes) -> Signature | None:
    """The signature in a file's last TRAILER_BYTES; None when they are none."""
    if len(end) != TRAILER_BYTES or not end.startswith(_HEADER):
        return None
    return Signature(*_CONTENT.unpack(end[_AR_HEADER_BYTES:]))


def is_by_its_key(signature: Signature, digest: bytes, size: int) -> bool:
    """Whether the owner of the key it names made it for this digest and size; whether that key counts is
    for who asks."""
    return is_signed(signature.public_key, signature.signature, _signed(digest, size))


def _signed(digest: bytes, size: int) -> bytes:
    return HEADING + struct.pack(">Q", size) + digest
