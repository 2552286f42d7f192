"""The hub's own keys: one file, from which the signing and the sealing key are derived.

Whoever has it can speak for the hub, so it lies outside the database: in the state folder (mode 0600, made at
the first start) or as a systemd credential. Every hub process of an installation has the same one. Losing it
means that every device must be enrolled again: it is backed up apart from the database.
"""

import os
from pathlib import Path

from vafa.keys.device_key import load, load_or_create
from vafa.keys.sealed_box import SealingKey
from vafa.keys.sign import SigningKey, fingerprint

FILE = "hub.key"
CREDENTIAL = "vafa-hub.key"


class HubKey:
    """Signs answers and programmes; opens what devices seal to the hub."""

    def __init__(self, path: Path) -> None:
        """Reads the key at `path`, or makes it. Raises KeyFileError."""
        material = load_or_create(path)
        self.signing = SigningKey(material)
        self.sealing = SealingKey(material)

    @property
    def fingerprint(self) -> str:
        """What people compare: `vafa enrol` shows the same digits at the device."""
        return fingerprint(self.signing.public)


def key_path(state: Path) -> Path:
    """The systemd credential where there is one, else the file in the state folder."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (Path(credentials) / CREDENTIAL).exists():
        return Path(credentials) / CREDENTIAL
    return state / FILE


def known_key(state: Path) -> HubKey:
    """The key of an installation that is there. KeyFileError when there is none: this never makes one."""
    load(key_path(state))
    return HubKey(key_path(state))
