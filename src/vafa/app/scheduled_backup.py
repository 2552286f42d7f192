"""The daemon's own backup: a checked copy of the ledger, and beside it the sealed keys it is restored with.

The keys are sealed to the recovery code's public half, so nobody need be there; before `vafa backup` has
shown a code there is none, and the copies go without. They are sealed again only when a key changed.
"""

from hashlib import blake2b
from pathlib import Path

import msgspec

from vafa.app import key_files
from vafa.app.aside import keys_sealed_aside
from vafa.app.config import Config
from vafa.keys import recovery
from vafa.ledger import upkeep
from vafa.ledger.upkeep import BackupDone
from vafa.ledger.verify import chain_faults
from vafa.model.errors import Malformed
from vafa.sync import enrolment

KEYS = "keys.json"


def scheduled_backup(config: Config, ledger: Path) -> BackupDone:
    """One run. LedgerError, LedgerDamaged; KeyFileError and SealingFailed where the keys could not be
    sealed."""
    done = upkeep.backup(ledger, config.backup_directory, config.jobs.backups_kept, chain_faults)
    keep_keys(config)
    return done


def keep_keys(config: Config) -> bool:
    """Seals the keys beside the copies. True when they were sealed anew."""
    directory = config.ledger_directory
    public = key_files.recovery_public(directory)
    if public is None:
        return False
    files = key_files.held(config)
    enrolled = enrolment.load(directory)
    hub = None if enrolled is None else (enrolled.host, bytes.fromhex(enrolled.hub_sealing_key))
    about = _name_of(files, public)
    place = config.backup_directory / KEYS
    if place.exists() and _is_of(place, about):
        return False
    sealed = keys_sealed_aside(recovery.Ask(files, about, public, hub))
    text = msgspec.json.format(msgspec.json.encode(sealed), indent=1) + b"\n"
    enrolment.write_durably(place, text)
    return True


def _name_of(files: dict[str, bytes], public: bytes) -> str:
    """Differs when a key does; tells nothing of them, for each is as good as random."""
    digest = blake2b(public, digest_size=16, person=b"vafa keys")
    for name in sorted(files):
        digest.update(msgspec.msgpack.encode((name, files[name])))
    return f"keys {digest.hexdigest()}"


def _is_of(place: Path, about: str) -> bool:
    try:
        return recovery.read(place.read_bytes()).about == about
    except Malformed:
        return False
