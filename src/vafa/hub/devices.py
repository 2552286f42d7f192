"""The devices of a merchant: who may speak for it, and with which keys."""

import msgspec

from vafa.hub.database import Connection
from vafa.model.errors import NotFound

_COLUMNS = "device, label, ledger_id, sign_key, seal_key, key_id, enrolled_at, revoked_at"
_ALL = f"SELECT {_COLUMNS} FROM device WHERE merchant_id = %s ORDER BY device"
_ONE = f"SELECT {_COLUMNS} FROM device WHERE merchant_id = %s AND device = %s"
# Taken for update by a sync: requests of one device wait for one another, those of others do not.
_LOCKED = f"SELECT {_COLUMNS} FROM device WHERE merchant_id = %s AND device = %s FOR UPDATE"
_ADD = """INSERT INTO device
(merchant_id, device, label, ledger_id, sign_key, seal_key, key_id, enrolled_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"""
_REKEY = """UPDATE device SET sign_key = %s, seal_key = %s, key_id = %s, enrolled_at = %s, revoked_at = NULL
WHERE merchant_id = %s AND device = %s"""
_REVOKE = "UPDATE device SET revoked_at = %s WHERE merchant_id = %s AND device = %s"
_LABEL = "UPDATE device SET label = %s WHERE merchant_id = %s AND device = %s"
_OPEN = "SELECT closed_at IS NULL FROM merchant WHERE merchant_id = %s"


class Device(msgspec.Struct, frozen=True):
    """One device. `revoked_at` None while it is answered; keys are public ones."""

    device: int
    label: str
    ledger_id: bytes
    sign_key: bytes
    seal_key: bytes
    key_id: bytes
    enrolled_at: int
    revoked_at: int | None


def devices(connection: Connection, merchant: str) -> list[Device]:
    """A merchant's devices by number."""
    return [Device(*values) for values in connection.execute(_ALL, (merchant,))]


def find(connection: Connection, merchant: str, device: int) -> Device | None:
    """One device, or None when this merchant has none of that number."""
    found = connection.execute(_ONE, (merchant, device)).fetchone()
    return Device(*found) if found else None


def known(connection: Connection, merchant: str, device: int) -> Device:
    """As `find`, for people. NotFound."""
    found = find(connection, merchant, device)
    if found is None:
        raise NotFound(f"merchant {merchant} has no device {device}", fix=f"vafa hub device list {merchant}")
    return found


def lock(connection: Connection, merchant: str, device: int) -> Device | None:
    """As `find`, and nobody else's transaction has it until this one ends."""
    found = connection.execute(_LOCKED, (merchant, device)).fetchone()
    return Device(*found) if found else None


def merchant_is_open(connection: Connection, merchant: str) -> bool:
    """False for a closed merchant, and for none."""
    found = connection.execute(_OPEN, (merchant,)).fetchone()
    return bool(found and found[0])


def add(connection: Connection, merchant: str, device: Device) -> None:
    """A new device of the merchant."""
    d = device
    values = (d.device, d.label, d.ledger_id, d.sign_key, d.seal_key, d.key_id, d.enrolled_at)
    connection.execute(_ADD, (merchant, *values))


def rekey(connection: Connection, merchant: str, device: Device) -> None:
    """The same device with new keys: the old ones open nothing any more."""
    d = device
    connection.execute(_REKEY, (d.sign_key, d.seal_key, d.key_id, d.enrolled_at, merchant, d.device))


def revoke(connection: Connection, merchant: str, device: int, at_ms: int | None) -> Device:
    """The device is not answered any more; None answers it again. Its rows stay."""
    known(connection, merchant, device)
    connection.execute(_REVOKE, (at_ms, merchant, device))
    return known(connection, merchant, device)


def relabel(connection: Connection, merchant: str, device: int, label: str) -> Device:
    """What people call it."""
    known(connection, merchant, device)
    connection.execute(_LABEL, (label, merchant, device))
    return known(connection, merchant, device)
