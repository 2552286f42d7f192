"""Which merchant's which device this is, and by which hub: one small file beside the ledger.

`enrolment.json` holds nothing secret; the keys lie in `keys/`: sync.key (this device's own, signs and opens),
merchant.key (the token key that all devices of the merchant share, at a merchant's later devices only). The
file is the truth; the journal follows it (`app.joining`), so that a crash between the two heals at a start.
"""

import os
from pathlib import Path

import msgspec

from vafa.keys.device_key import KEY_BYTES
from vafa.model.errors import KeyFileError, SyncError

FILE = "enrolment.json"
SYNC_KEY, MERCHANT_KEY = "keys/sync.key", "keys/merchant.key"
SYNC_CREDENTIAL = "vafa-sync.key"  # what LoadCredential calls sync.key where it is kept apart


class EnrolmentFault(SyncError):
    """The enrolment cannot be read or written, or does not go with what is there."""

    code = "ENR-001"


class Enrolment(msgspec.Struct, frozen=True):
    """Who this device is to its hub.

    hub       base address, `https://hub.example`; ca: the file of the authority that signed its certificate,
              '' for those the system trusts
    merchant  and `device`: the name and number requests are signed for
    hub_key   Ed25519, hex: pinned, every answer is signed with it; hub_sealing_key: X25519, hex
    key_id    hex, of the token key that new ids are made under; public_key: ours, as the hub knows it
    """

    hub: str
    merchant: str
    device: int
    hub_key: str
    hub_sealing_key: str
    key_id: str
    ca: str = ""
    shop: str = ""
    enrolled_at_ms: int = 0
    public_key: str = ""
    schema: int = 1

    @property
    def host(self) -> str:
        """The hub's name, as people see it."""
        return self.hub.partition("://")[2].partition("/")[0]

    @property
    def hub_public_key(self) -> bytes:
        return bytes.fromhex(self.hub_key)


def sync_key_path(directory: Path) -> Path:
    """The credential that systemd hands in, where there is one; else the file beside the ledger."""
    credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "")) / SYNC_CREDENTIAL
    return credential if credential.is_absolute() and credential.exists() else directory / SYNC_KEY


def load(directory: Path) -> Enrolment | None:
    """The enrolment of the ledger in `directory`, None when it was never enrolled. EnrolmentFault."""
    path = directory / FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Enrolment)
        for key in (found.hub_key, found.hub_sealing_key, found.key_id):
            bytes.fromhex(key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, msgspec.DecodeError) as error:
        raise EnrolmentFault(
            f"{path} cannot be read ({error})", fix="vafa enrol CODE --hub URL enrols this device again"
        ) from error
    return found


def save(directory: Path, enrolment: Enrolment) -> None:
    """Durably: after a power cut it is the one before or this one. Support may read it. EnrolmentFault."""
    text = msgspec.json.format(msgspec.json.encode(enrolment), indent=1) + b"\n"
    write_durably(directory / FILE, text, 0o640)


def merchant_key(directory: Path) -> bytes:
    """The merchant's token key, b'' where this device's own is the merchant's. KeyFileError."""
    path = directory / MERCHANT_KEY
    try:
        key = bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        return b""
    except (OSError, ValueError) as error:
        raise KeyFileError(
            f"the merchant's key {path} cannot be read ({error})",
            fix="vafa enrol CODE --hub URL brings it again",
        ) from error
    if len(key) != KEY_BYTES:
        raise KeyFileError(f"the merchant's key {path} is not {KEY_BYTES} bytes in hex", fix="enrol again")
    return key


def save_merchant_key(directory: Path, key: bytes) -> None:
    """Keeps the merchant's token key, mode 0600."""
    assert len(key) == KEY_BYTES
    (directory / MERCHANT_KEY).parent.mkdir(mode=0o700, exist_ok=True)
    write_durably(directory / MERCHANT_KEY, key.hex().encode() + b"\n")


def write_durably(path: Path, content: bytes, mode: int = 0o600) -> None:
    """The whole content under its name, or the file as it was before."""
    fresh = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
        opened = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        raise EnrolmentFault(
            f"{path} cannot be written ({error.strerror})", fix="check the disk and its rights"
        ) from error
