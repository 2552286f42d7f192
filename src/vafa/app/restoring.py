"""`vafa restore`: a ledger and its keys out of a backup, in a new epoch.

Refused without the keys: their members could not be found, nor a phone be opened. What is there already is
never thrown away: a ledger is put aside under another name, key files that are newer than the backup's stay.
The new epoch says in the journal that a branch begins here, so that a hub which holds later rows sees two
branches, keeps both and counts each payment once.
"""

import contextlib
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import IO

import msgspec

from vafa.app import key_files
from vafa.app.backing_up import ABOUT, KEYS, LEDGER, About, digest_of
from vafa.app.config import Config
from vafa.app.scheduled_backup import KEYS as SCHEDULED_KEYS
from vafa.app.status import iso
from vafa.keys import device_key, recovery
from vafa.keys.recovery import SealedKeys
from vafa.keys.tokens import Tokens
from vafa.ledger import reads, upkeep
from vafa.ledger.ledger import Ledger
from vafa.ledger.storage import flush, ledger_path, lock_ledger
from vafa.ledger.verify import chain_faults
from vafa.model import events
from vafa.model.errors import KeyFileError, LedgerDamaged, LedgerError, Malformed, Refused

SCRATCH = ".restoring"  # in the ledger's directory: there it is made whole, then renamed into its place
_EXPECTED, _ANOTHER, _AS_ROOT = (
    "a file of vafa backup, or ledger-*.db",
    "take another backup",
    "run it with sudo",
)
_TEXT_BYTES_MAX = 16 << 20  # of about.json and keys.json
_SQLITE = b"SQLite format 3\0"

Unlock = Callable[[SealedKeys], bytes]


class Found(msgspec.Struct, frozen=True):
    """What a backup holds, looked at without opening it.

    about   None: a scheduled copy of a ledger
    sealed  its keys; a scheduled copy's lie beside it, and None says that they do not
    """

    about: About | None
    sealed: SealedKeys | None
    size_bytes: int


class Restored(msgspec.Struct, frozen=True):
    """What is there now. put_aside: where the ledger that was there lies; kept: key files that were newer."""

    rows: int
    device: int
    epoch: int
    made_at: str
    put_aside: str
    kept: tuple[str, ...]
    hub: str


def look(source: Path) -> Found:
    """What `source` is. Malformed when it is no backup; LedgerError when it cannot be read."""
    try:
        with source.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                beside = source.with_name(SCHEDULED_KEYS)
                sealed = recovery.read(beside.read_bytes()) if beside.exists() else None
                return Found(None, sealed, source.stat().st_size)
        with tarfile.open(source, "r:") as archive:
            about = _decoded(_text(archive, ABOUT), About)
            sealed = recovery.read(_text(archive, KEYS))
            if about.digest != sealed.about:
                raise Malformed("keys and ledger in this file are of two backups", fix=_ANOTHER)
            return Found(about, sealed, archive.getmember(LEDGER).size)
    except (tarfile.TarError, KeyError) as error:
        raise Malformed(
            f"{source} is no backup of vafa", fix="a file of vafa backup, or ledger-*.db"
        ) from error
    except OSError as error:
        raise LedgerError(f"{source} cannot be read ({error.strerror})", fix=_AS_ROOT) from error


def restore(
    config: Config, source: Path, unlock: Unlock, wall_ms: Callable[[], int], *, replace: bool
) -> Restored:
    """Puts the backup in the place of the ledger. KeyFileError without its keys; LedgerBusy while a daemon
    runs; Refused where a ledger is there and is not to be replaced."""
    found = look(source)
    has_keys = found.about is None and key_files.device_key_path(config).exists()  # then nobody need be asked
    sealed = None if has_keys else found.sealed
    files = {} if sealed is None else recovery.open_keys(sealed, unlock(sealed))
    directory = config.ledger_directory
    directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    path = ledger_path(directory.absolute())
    lock = lock_ledger(path)
    scratch = directory / SCRATCH
    try:
        if path.exists() and not replace:
            raise Refused(f"there is a ledger at {path}", fix="--replace puts it aside under another name")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        draft = ledger_path(scratch)
        _draft(source, draft, found)
        _judge_keys(config, files, draft)
        rows, device, epoch = _new_epoch(scratch, found, wall_ms)
        kept = key_files.place(config, files)
        aside = _put_aside(path)
        draft.rename(path)
        _begin_sync_anew(directory)
        flush(directory)
    except OSError as error:
        raise LedgerError(f"nothing was restored ({error})", fix="check space and rights") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(lock)
    _give_to_owner(config)
    made_at = "" if found.about is None else iso(found.about.made_at_ms)
    return Restored(
        rows, device, epoch, made_at, aside, kept, "" if found.sealed is None else found.sealed.hub
    )


def _text(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.getmember(name)
    file = archive.extractfile(member)
    if file is None or member.size > _TEXT_BYTES_MAX:
        raise Malformed(f"{name} in the backup is none", fix=_ANOTHER)
    return file.read()


def _decoded(text: bytes, kind: type[About]) -> About:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"{ABOUT} in the backup cannot be read ({error})", fix=_ANOTHER) from error


def _draft(source: Path, draft: Path, found: Found) -> None:
    """The ledger beside its place, checked. LedgerDamaged when it is not what the backup says."""
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if found.about is None:
                with source.open("rb") as ledger:
                    _copied(ledger, file)
            else:
                with tarfile.open(source, "r:") as archive:
                    ledger_in = archive.extractfile(LEDGER)
                    if ledger_in is None:  # a directory, a device, a link
                        raise Malformed(f"{LEDGER} in the backup is none", fix=_ANOTHER)
                    _copied(ledger_in, file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LedgerError(f"{draft} cannot be written ({error.strerror})", fix="is there space?") from error
    if found.about is not None and digest_of(draft) != found.about.digest:
        raise LedgerDamaged("ledger and keys in this backup do not belong together", fix=_ANOTHER)
    problems = upkeep.check_integrity(draft, chain_faults)
    if problems:
        raise LedgerDamaged(f"this backup does not verify: {problems[0]}", fix=_ANOTHER)


def _copied(source: IO[bytes], target: IO[bytes]) -> None:
    while chunk := source.read(1 << 20):
        target.write(chunk)


def _judge_keys(config: Config, files: dict[str, bytes], draft: Path) -> None:
    """The device key, out of the backup or already here, is the one the ledger was begun with."""
    if key_files.DEVICE_KEY in files:
        key = device_key.parsed(files[key_files.DEVICE_KEY], "the backup's device key")
    else:
        key = device_key.load(key_files.device_key_path(config))
    with closing(sqlite3.connect(f"{draft.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        begun = reads.device(connection)
    if begun is None or begun.own_key_id != Tokens(key).own_key_id:
        raise KeyFileError(
            "the device key is not the one this ledger was begun with: its members could not be found",
            fix="restore a file of vafa backup, which carries its keys",
        )


def _put_aside(path: Path) -> str:
    """The ledger that is there under another name too, '' for none: the restored one then takes its place in
    one step, for a start that finds no ledger would begin a new one."""
    if not path.exists():
        return ""
    with contextlib.suppress(LedgerError):  # a damaged one keeps its log beside it
        upkeep.checkpoint(path)
    number = 1
    while (aside := path.with_name(f"ledger.before-restore-{number}.db")).exists():
        number += 1
    os.link(path, aside)
    for suffix in ("-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return str(aside)


def _begin_sync_anew(directory: Path) -> None:
    """What the sync kept is of the journal that was: the hub tells how far it has this one."""
    for path in (directory / "sync").glob("sync.db*"):
        path.unlink()


def _new_epoch(scratch: Path, found: Found, wall_ms: Callable[[], int]) -> tuple[int, int, int]:
    """(rows, device, new epoch). Before the ledger gets its place: a restored one that goes on in its old
    epoch must never be there, whenever the power fails."""
    ledger = Ledger(scratch, wall_ms)
    try:
        begun, head = ledger.read(reads.device), ledger.head
        assert begun is not None
        made_at = "" if found.about is None else iso(found.about.made_at_ms)
        why = f"restored from the backup of {made_at}" if made_at else "restored from a scheduled backup"
        before = (head.epoch, head.seq, head.hash)
        opened = events.EpochOpened(begun.ledger_id, begun.device, before, begun.key_id, why)
        row = ledger.write(lambda tx: tx.post(opened))
    finally:
        ledger.close()
    upkeep.checkpoint(ledger.path)  # all of it in the one file that is renamed
    flush(ledger.path)
    return head.seq, begun.device, row.epoch


def _give_to_owner(config: Config) -> None:
    """What root restored must be the daemon's. A systemd credential stays root's."""
    directory = config.ledger_directory
    if os.geteuid() != 0:
        return
    owner = directory.stat()
    patterns = ("ledger*", "keys", "keys/*", "*.json", "hub-ca-*")
    made = {path for pattern in patterns for path in directory.glob(pattern)} | {config.key_file}
    for path in made:
        if path.exists():
            os.chown(path, owner.st_uid, owner.st_gid)
