"""The files without which a ledger is a heap of numbers: which they are, and where each belongs."""

from fnmatch import fnmatchcase
from pathlib import Path

from vafa.app.config import Config
from vafa.model.errors import KeyFileError
from vafa.sync.enrolment import FILE, MERCHANT_KEY, SYNC_CREDENTIAL, SYNC_KEY, sync_key_path, write_durably

DEVICE_KEY = "device.key"
RECOVERY = "keys/recovery.pub"  # the public half of the recovery code: seals, opens nothing
CREDENTIAL = Path("/etc/credstore/vafa.key")  # LoadCredential= of the unit
_AS_ROOT = "run it with sudo"
_CERTIFICATES = "hub-ca-*.pem"


def device_key_path(config: Config) -> Path:
    """Where the device's key is: as the daemon finds it, else where systemd reads the credential."""
    path = config.key_file
    return CREDENTIAL if not path.exists() and CREDENTIAL.exists() else path


def recovery_public(directory: Path) -> bytes | None:
    """The public half of the recovery code, None before there is one. KeyFileError when it cannot be read."""
    path = directory / RECOVERY
    try:
        return bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise KeyFileError(
            f"{path} cannot be read ({error})", fix="vafa backup FILE --new-code makes a new one"
        ) from error


def held(config: Config) -> dict[str, bytes]:
    """Name -> content of each that is there. KeyFileError when the device's own key cannot be read."""
    directory = config.ledger_directory
    found: dict[str, bytes] = {}
    places = {DEVICE_KEY: device_key_path(config)}
    places |= {name: directory / name for name in (MERCHANT_KEY, FILE)}
    kept_apart = CREDENTIAL.with_name(SYNC_CREDENTIAL)
    in_use = sync_key_path(directory)
    places[SYNC_KEY] = kept_apart if not in_use.exists() and kept_apart.exists() else in_use
    places |= {path.name: path for path in directory.glob(_CERTIFICATES)}
    for name, path in places.items():
        try:
            found[name] = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise KeyFileError(
                f"{path} may not be read ({error.strerror})", fix="run it with sudo"
            ) from error
    if DEVICE_KEY not in found:
        raise KeyFileError(f"the device's key is not at {places[DEVICE_KEY]}", fix=_AS_ROOT)
    return found


def place(config: Config, files: dict[str, bytes]) -> tuple[str, ...]:
    """Writes them where they belong, durably, mode 0600; the names of those that stay as they are here.

    What is here is newer than a backup (keys are changed by enrolling again) and stays, but the device's key,
    which never changes: another one there is another ledger's. Names are ours: no other is written.
    """
    kept = []
    for name, content in files.items():
        path = device_key_path(config) if name == DEVICE_KEY else config.ledger_directory / name
        if name not in (DEVICE_KEY, SYNC_KEY, MERCHANT_KEY, FILE) and not fnmatchcase(name, _CERTIFICATES):
            raise KeyFileError(f"the backup holds a file that is none of ours: {name!r}", fix="do not use it")
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(path, content)
        elif path.read_bytes().strip() != content.strip():
            if name == DEVICE_KEY:
                raise KeyFileError(
                    f"another device key is at {path}: with it the restored members could not be found",
                    fix="move it away (it belongs to another ledger), then restore again",
                )
            kept.append(name)
    return tuple(kept)
