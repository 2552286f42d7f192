"""`vafa backup`: the ledger and its keys in one file, while sales go on.

The file is a tar of three: about.json, keys.json (sealed, see keys.recovery) and ledger.db, a checked copy.
It gets its name when it is whole and durable. The scheduled copies of the ledger (`ledger.upkeep`) go on
beside it: they are made more often, and without keys they restore a ledger on the machine that has its keys.
"""

import io
import os
import tarfile
import tempfile
from hashlib import blake2b
from pathlib import Path

import msgspec

from vafa import __version__
from vafa.app import key_files
from vafa.app.config import Config
from vafa.keys import recovery
from vafa.ledger import reads, upkeep
from vafa.ledger.storage import connect_reader, flush, ledger_path
from vafa.ledger.verify import chain_faults
from vafa.model.errors import LedgerDamaged, LedgerError
from vafa.sync import enrolment

ABOUT, KEYS, LEDGER = "about.json", "keys.json", "ledger.db"


class About(msgspec.Struct, frozen=True):
    """What a backup is of. `head` of the journal: (epoch, seq, hash in hex); digest: of ledger.db,
    BLAKE2b."""

    schema: int
    vafa: str
    made_at_ms: int
    ledger_id: str
    device: int
    head: tuple[int, int, str]
    digest: str


class Made(msgspec.Struct, frozen=True):
    """The finished backup. `code`: the new recovery code, to be shown once; '' where the known one holds."""

    path: str
    size_bytes: int
    rows: int
    hub: str
    code: str


def back_up(config: Config, target: Path, now_ms: int, *, new_code: bool) -> Made:
    """Writes `target`, which must not exist. KeyFileError, LedgerError, LedgerDamaged: then no file is
    left."""
    if target.exists():
        raise LedgerError(f"{target} is there already", fix="give the backup a name of its own")
    directory = config.ledger_directory
    files = key_files.held(config)
    known = None if new_code else key_files.recovery_public(directory)
    code = "" if known is not None else recovery.new_code()
    public = known if known is not None else recovery.key_of(code).public
    draft = target.with_name(f".{target.name}.new")
    try:
        with tempfile.TemporaryDirectory(prefix=".vafa-", dir=target.parent) as scratch:
            copy = Path(scratch) / LEDGER
            upkeep.copy(ledger_path(directory.absolute()), copy)
            about = _about(copy, now_ms)
            sealed = recovery.seal_keys(files, about.digest, public, _hub(directory))
            _write(draft, about, sealed, copy)
        draft.rename(target)
        flush(target.parent)
    except OSError as error:
        raise LedgerError(f"no backup at {target}: {error.strerror}", fix="check space and rights") from error
    finally:
        draft.unlink(missing_ok=True)
    if code:  # only now: a code that was never shown seals nothing
        _keep_public(directory, public)
    return Made(str(target), target.stat().st_size, about.head[1], sealed.hub, code)


def _about(copy: Path, now_ms: int) -> About:
    problems = upkeep.check_integrity(copy, chain_faults)
    if problems:
        raise LedgerDamaged(f"the copy of the ledger does not verify: {problems[0]}", fix="vafa verify")
    connection = connect_reader(copy.absolute())
    try:
        device = reads.device(connection)
        if device is None:
            raise LedgerError("this ledger has no row yet", fix="start the daemon once", code="LED-006")
        head = connection.execute("SELECT epoch, seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    finally:
        connection.close()
    return About(
        schema=1,
        vafa=__version__,
        made_at_ms=now_ms,
        ledger_id=device.ledger_id.hex(),
        device=device.device,
        head=(head[0], head[1], head[2].hex()),
        digest=digest_of(copy),
    )


def digest_of(path: Path) -> str:
    """BLAKE2b-256 of a file, hex."""
    found = blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


def _hub(directory: Path) -> tuple[str, bytes] | None:
    enrolled = enrolment.load(directory)
    return None if enrolled is None else (enrolled.host, bytes.fromhex(enrolled.hub_sealing_key))


def _write(path: Path, about: About, sealed: recovery.SealedKeys, copy: Path) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w") as archive:
        for name, value in ((ABOUT, about), (KEYS, sealed)):
            text = msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
            archive.addfile(_member(name, len(text)), io.BytesIO(text))
        with copy.open("rb") as ledger:
            archive.addfile(_member(LEDGER, copy.stat().st_size), ledger)
        archive.close()
        file.flush()
        os.fsync(file.fileno())


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _keep_public(directory: Path, public: bytes) -> None:
    path = directory / key_files.RECOVERY
    path.parent.mkdir(mode=0o700, exist_ok=True)
    enrolment.write_durably(path, public.hex().encode() + b"\n")
    if os.geteuid() == 0:
        owner = directory.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
