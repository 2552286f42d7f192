"""The first words of a client who comes over TCP: `hello` with this device's secret, or nothing is heard.

On loopback any user of the machine may connect, and so may a web page in its browser. So who comes that way
shows that it may read a file: mode 0640, of the group that may open the socket. A new secret is made where
there is no file (the packaged unit's /run/vafa is gone while the daemon is stopped), one that is there stays.
"""

import contextlib
import os
import secrets
from pathlib import Path

import msgspec
import structlog

from vafa.app import messages
from vafa.model.errors import KeyFileError, PortError
from vafa.ports.unix_place import give

SECRET_BYTES = 32
SECRET_LETTERS_MIN = 16
SECRET_MODE = 0o640
CODE = "ASK-007"
FILE_CODE = "KEY-002"

log = structlog.get_logger()


class Introduction:
    """`turned_away(line)` is None for the right hello; else the one answer the stranger gets."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._decoder = msgspec.json.Decoder(messages.Hello)

    def turned_away(self, line: bytes) -> bytes | None:
        """Compares in constant time, and neither logs nor answers what was told."""
        told = b""
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            told = self._decoder.decode(line).secret.encode()
        if secrets.compare_digest(told, self._secret):
            return None
        log.warning("client without the secret", said="nothing of it" if not told else "another one")
        return msgspec.json.encode(
            messages.Failure(
                code=CODE,
                message="over TCP the first line is a hello with this device's secret",
                fix="read it from local.secret's file at each connection",
            )
        )


def load_or_make(path: Path, group: str) -> str:
    """The secret in `path`, which everybody is kept from; a new one where there is none. KeyFileError."""
    try:
        if not path.exists():
            _make(path, group)
        if path.stat().st_mode & 0o007:
            raise KeyFileError(
                f"{path} can be read by everybody", fix=f"sudo chmod 640 {path}", code=FILE_CODE
            )
        secret = path.read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise KeyFileError(
            f"the local protocol's secret {path} cannot be read or made ({error})",
            fix="check its directory and group, or set local.secret to another file",
            code=FILE_CODE,
        ) from error
    if len(secret) < SECRET_LETTERS_MIN:
        raise KeyFileError(
            f"the secret in {path} is shorter than {SECRET_LETTERS_MIN} letters",
            fix=f"sudo rm {path}; a good one is made at the next start",
            code=FILE_CODE,
        )
    return secret


def _make(path: Path, group: str) -> None:
    """Write a new one under a private name, so that whoever may read it never reads half of it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(SECRET_BYTES) + "\n")
        if group:
            give(fresh, group)
        fresh.chmod(SECRET_MODE)
        fresh.rename(path)
    except PortError as error:
        fresh.unlink()
        raise KeyFileError(f"{path}: {error}", fix=error.fix, code=FILE_CODE) from error
