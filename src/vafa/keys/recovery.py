"""The keys of a device, sealed for the day its disk is gone: to a code that is shown once, and to the hub.

A recovery code is 100 random bits; the key pair made of it lets every later backup be sealed by the public
half, so that the code is needed for restoring alone and lies nowhere on the device. The keys are sealed
under a fresh key, and that one is boxed twice: for the code, and for the hub the device is enrolled with
(`vafa hub recover` opens it there). Whoever has the backup and neither has the ledger's numbers, and no
phone or name.
"""

import os
import secrets
import sys
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from vafa.keys.device_key import KEY_BYTES, DeviceKey
from vafa.keys.sealed_box import SealingKey, seal_to
from vafa.model.errors import KeyFileError, Malformed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: nothing that reads like something else
LETTERS = 20
PURPOSE = "keys of a backup"
_READ_AS = str.maketrans("OIL", "011")
NONCE = bytes(12)  # each key seals once


class SealedKeys(msgspec.Struct, frozen=True):
    """What stands in a backup. `for_code` and `for_hub` are boxes of the key that `keys` is sealed with, in
    hex.

    recovery  the public half of the recovery code; hub: whose key `for_hub` is boxed for, '' for none
    about     the ledger these keys belong to: bound in, so keys and ledger of two backups are never mixed
    """

    schema: int
    recovery: str
    for_code: str
    hub: str
    for_hub: str
    about: str
    keys: str


def new_code() -> str:
    """A recovery code as people write it down: `7KQ2-MXB9-3FDT-Z5HW-8N4C`."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(LETTERS))
    return "-".join(letters[place : place + 4] for place in range(0, LETTERS, 4))


def key_of(code: str) -> SealingKey:
    """The key pair of a code as a person typed it. KeyFileError when it is none."""
    letters = "".join(c for c in code.upper().translate(_READ_AS) if c in ALPHABET)
    if len(letters) != LETTERS:
        raise KeyFileError(
            f"a recovery code has {LETTERS} letters, this one {len(letters)}",
            fix="read it again, from the paper",
        )
    return SealingKey(
        DeviceKey(blake2b(letters.encode(), digest_size=KEY_BYTES, person=b"vafa recover").digest())
    )


def seal_keys(
    files: dict[str, bytes], about: str, recovery: bytes, hub: tuple[str, bytes] | None
) -> SealedKeys:
    """`files` by name, for whoever holds the code behind `recovery`, and for `hub` (its name, its sealing
    key)."""
    once = os.urandom(KEY_BYTES)
    sealed = _cipher(once).encrypt(NONCE, msgspec.msgpack.encode(files), about.encode())
    return SealedKeys(
        schema=1,
        recovery=recovery.hex(),
        for_code=seal_to(recovery, once, PURPOSE).hex(),
        hub="" if hub is None else hub[0],
        for_hub="" if hub is None else seal_to(hub[1], once, PURPOSE).hex(),
        about=about,
        keys=sealed.hex(),
    )


def unlocked_by_code(sealed: SealedKeys, code: str) -> bytes:
    """The key the files are sealed with. KeyFileError when the code is not this backup's."""
    pair = key_of(code)
    if pair.public.hex() != sealed.recovery:
        raise KeyFileError(
            "this is not the recovery code of this backup",
            fix="read it again; an older backup may have an older code; or ask the hub: vafa hub recover",
        )
    return pair.open(bytes.fromhex(sealed.for_code), PURPOSE)


def unlocked_by_hub(sealed: SealedKeys, hub: SealingKey) -> bytes:
    """The same, by the hub's key. KeyFileError when it is boxed for none, or another."""
    if not sealed.for_hub:
        raise KeyFileError(
            "this backup is sealed to its recovery code alone", fix="ask the shop for the code"
        )
    return hub.open(bytes.fromhex(sealed.for_hub), PURPOSE)


def open_keys(sealed: SealedKeys, once: bytes) -> dict[str, bytes]:
    """The files by name. KeyFileError when the key is not this backup's or the backup was altered."""
    from cryptography.exceptions import InvalidTag

    try:
        packed = _cipher(once).decrypt(NONCE, bytes.fromhex(sealed.keys), sealed.about.encode())
        return msgspec.msgpack.decode(packed, type=dict[str, bytes])
    except (InvalidTag, ValueError, msgspec.DecodeError) as error:
        raise KeyFileError(
            "the keys in this backup do not open: it was altered, or this is another backup's key",
            fix="try another backup",
        ) from error


def read(text: bytes) -> SealedKeys:
    """What stands in a backup. Malformed when it is something else."""
    try:
        sealed = msgspec.json.decode(text, type=SealedKeys)
        for field in (sealed.recovery, sealed.for_code, sealed.for_hub, sealed.keys):
            bytes.fromhex(field)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed(
            f"these are no sealed keys ({error})", fix="is it a backup of vafa backup?"
        ) from error
    return sealed


def _cipher(key: bytes) -> "ChaCha20Poly1305":
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key)


class Ask(msgspec.Struct, frozen=True):
    """Seal these files. Never shown: it holds the keys."""

    files: dict[str, bytes]
    about: str
    recovery: bytes
    hub: tuple[str, bytes] | None

    def __repr__(self) -> str:
        return "Ask(...)"


def main() -> None:
    """One question on stdin, one answer on stdout: so that a daemon never loads the cipher (`app.aside`)."""
    ask = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Ask)
    sys.stdout.buffer.write(msgspec.msgpack.encode(seal_keys(ask.files, ask.about, ask.recovery, ask.hub)))


if __name__ == "__main__":
    main()
