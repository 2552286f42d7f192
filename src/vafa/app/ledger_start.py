"""What a start looks at before it writes: is the ledger there, with its own key, and is its log whole?"""

import secrets

import structlog

from vafa.app.config import Config
from vafa.keys.device_key import DeviceKey, load, load_or_create
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger
from vafa.ledger.storage import ledger_path
from vafa.model import events
from vafa.model.errors import KeyFileError, LedgerDamaged

DEVICE_NUMBER = 1  # until enrolment gives this device its number within the merchant

log = structlog.get_logger()


def require_ledger(config: Config) -> None:
    """A device that has backups has had a ledger: LedgerDamaged where that is gone, for a new one would begin
    as if nobody had points."""
    path = ledger_path(config.ledger_directory)
    if path.exists() and (not path.is_file() or path.stat().st_size):
        return
    try:
        newest = max(config.backup_directory.glob("ledger-*.db"), default=None)
    except OSError:
        return
    if newest is not None:
        raise LedgerDamaged(
            f"the ledger {path} is gone or empty, and there are backups of it",
            fix=f"vafa restore {newest} --yes; to begin anew on purpose, move the backups away",
            code="LED-009",
        )


def device_key(config: Config) -> DeviceKey:
    """A new ledger may have a new key. One that is there needs its own: another finds none of its members."""
    if ledger_path(config.ledger_directory).exists():
        return load(config.key_file)
    return load_or_create(config.key_file)


def open_epoch(ledger: Ledger, key_id: bytes) -> None:
    """The first row of a new ledger; an existing one goes on in its epoch. KeyFileError for another's key.

    key_id  of the device's own key: what every ledger begins with, whatever it joins later
    """
    begun = ledger.read(reads.device)
    if begun is None:
        opened = events.EpochOpened(secrets.token_bytes(16), DEVICE_NUMBER, None, key_id, "a new ledger")
        ledger.write(lambda tx: tx.post(opened))
    elif begun.own_key_id != key_id:
        raise KeyFileError(
            "the device key is not the one this ledger was begun with: its members could not be found",
            fix="put the ledger's own key back, from its backup",
        )


def tell_lost(ledger: Ledger, terminals: list[str]) -> None:
    """Commits that the disk lost out of the log: sales of any terminal may be among them."""
    if not ledger.lost_commits:
        return
    why = f"the disk damaged the log: {ledger.lost_commits} commits cannot be read"
    log.error("commits lost", commits=ledger.lost_commits, kept=f"{ledger.path.parent}/ledger.damaged-*.wal")
    gaps = [events.GapDetected(tid, "", "", why) for tid in terminals]
    ledger.write(lambda tx: [tx.post(gap) for gap in gaps])
