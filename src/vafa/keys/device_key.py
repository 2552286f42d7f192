"""The device's key: 32 random bytes outside the database, from which every other key is derived.

A file of mode 0600 made on first use, or a systemd credential. Losing it makes members unfindable by phone
and card, so it is backed up apart from the ledger.
"""

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from vafa.model.errors import KeyFileError

KEY_BYTES = 32


class DeviceKey:
    """Derives one key a purpose, so that a token never helps to open a seal."""

    def __init__(self, material: bytes) -> None:
        assert len(material) == KEY_BYTES
        self._material = material

    def __repr__(self) -> str:
        return "DeviceKey(...)"

    def derived(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HMAC-SHA-256 of its name under the device's key)."""
        return hmac.digest(self._material, b"vafa key " + purpose.encode(), sha256)


def load_or_create(path: Path) -> DeviceKey:
    """The key at `path`, or a new one written there durably with mode 0600."""
    if not path.exists():
        _create(path)
    return load(path)


def load(path: Path) -> DeviceKey:
    """The key at `path`; KeyFileError when there is none (never makes one) or everybody may read it."""
    try:
        if path.stat().st_mode & 0o007:
            raise KeyFileError(f"{path} can be read by everybody", fix=f"chmod 600 {path}")
        material = path.read_bytes()
    except PermissionError as error:
        raise KeyFileError(f"the device key {path} may not be read", fix="run it with sudo") from error
    except OSError as error:
        raise KeyFileError(
            f"the device key {path} cannot be read ({error})", fix="restore it from a backup"
        ) from error
    return parsed(material, f"the device key {path}")


def parsed(text: bytes, name: str) -> DeviceKey:
    """The key a file's content is. KeyFileError, which calls it `name`."""
    try:
        material = bytes.fromhex(text.decode("ascii").strip())
    except ValueError as error:
        raise KeyFileError(f"{name} cannot be read ({error})", fix="restore it from a backup") from error
    if len(material) != KEY_BYTES:
        raise KeyFileError(f"{name} is not {KEY_BYTES} bytes in hex", fix="restore it from a backup")
    return DeviceKey(material)


def _create(path: Path) -> None:
    """Write a new key so that after a power cut there is a whole key or none."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
        for directory in (path.parent, path.parent.parent):  # the new name, and perhaps the new directory's
            opened = os.open(directory, os.O_RDONLY)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)
    except OSError as error:
        raise KeyFileError(
            f"no device key could be made at {path} ({error})", fix="check the disk and its rights"
        ) from error
