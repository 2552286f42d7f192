"""Dumping the database and putting a dump back, and telling devices what is safe.

A device may one day forget rows that are in the hub's backups as well: the safe mark. Where each line ends is
read before the dump is made, so the dump holds at least that; the marks move only when the dump is complete
on the disk.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import psycopg

from vafa.hub.database import Connection, Database, prepared
from vafa.hub.embedded import programs
from vafa.hub.merchants import merchants
from vafa.hub.migrations import migrate
from vafa.model.errors import HubError

_ENDS = "SELECT device, line, epoch, seq, hash FROM line WHERE merchant_id = %s"
_SAFE = """UPDATE line SET safe_epoch = %s, safe_seq = %s, safe_hash = %s
WHERE merchant_id = %s AND device = %s AND line = %s AND safe_seq < %s"""

_OTHERS = """SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
_MAGIC = b"PGDMP"
_ASIDE = "before_restore"
_CUT_OFF = "SELECT 1 FROM pg_namespace WHERE nspname = 'before_restore'"


def dump(database: Database, target: Path) -> int:
    """Dump everything into `target` (pg_restore reads it), durably. How many lines it covers."""
    with database.transaction() as connection:
        server = connection.info.server_version // 10_000
        ends = [
            (merchant.merchant, *end)
            for merchant in merchants(connection)
            for end in connection.execute(_ENDS, (merchant.merchant,)).fetchall()
        ]
    _pg_dump(database.dsn, server, target)
    with database.transaction() as connection, connection.cursor() as cursor:
        moved = [(e, seq, h, merchant, device, line, seq) for merchant, device, line, e, seq, h in ends]
        cursor.executemany(_SAFE, moved)
    return len(ends)


def restore(database: Database, source: Path) -> int:
    """Put the dump in `source` in the place of all that is there; how many merchants there are now.

    HubError when it is no dump, when a hub is at work on the database, or when the dump cannot be read or is
    a newer hub's: then what was there is there again. One that was cut off (a power cut) is said again.
    """
    _require_dump(source)
    with database.transaction() as connection:
        _require_nobody_else(connection)
        server = connection.info.server_version // 10_000
        if connection.execute(_CUT_OFF).fetchone():  # what was there stands aside already
            connection.execute("DROP SCHEMA public CASCADE")
        else:
            connection.execute(f"ALTER SCHEMA public RENAME TO {_ASIDE}")
        connection.execute("CREATE SCHEMA public")
    try:
        _run(_program("pg_restore", server), database.dsn, "--no-owner", "--exit-on-error", str(source))
        prepared(database.dsn, migrate)
        with database.transaction() as connection:
            found = len(merchants(connection))
            connection.execute(f"DROP SCHEMA {_ASIDE} CASCADE")
    except BaseException:
        with database.transaction() as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute(f"ALTER SCHEMA {_ASIDE} RENAME TO public")
        raise
    return found


def _require_dump(source: Path) -> None:
    try:
        with source.open("rb") as file:
            begin = file.read(len(_MAGIC))
    except OSError as error:
        raise HubError(f"{source} cannot be read ({error.strerror})", code="HUB-006") from error
    if begin != _MAGIC:
        raise HubError(f"{source} is no dump of a hub", fix="made by: vafa hub backup FILE", code="HUB-006")


def _require_nobody_else(connection: Connection) -> None:
    others = connection.execute(_OTHERS).fetchone()
    if others is not None and others[0]:
        raise HubError(
            f"{others[0]} connections are open to this database: a hub is at work on it",
            fix="stop it first: sudo systemctl stop vafa-hub",
            code="HUB-006",
        )


def _pg_dump(dsn: str, server: int, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        try:
            _run(_program("pg_dump", server), dsn, "--format=custom", "--no-owner", f"--file={part}")
        except HubError:
            part.unlink(missing_ok=True)
            raise
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(target)
    except OSError as error:
        raise HubError(
            f"{target} cannot be written ({error.strerror})",
            fix="check the folder and its rights",
            code="HUB-006",
        ) from error


def _run(program: Path, dsn: str, *arguments: str) -> None:
    """One of PostgreSQL's programs on the database. HubError with its last words when it fails."""
    parameters = psycopg.conninfo.conninfo_to_dict(dsn)
    password = str(parameters.pop("password", "") or "")
    shown = psycopg.conninfo.make_conninfo("", **{k: str(v) for k, v in parameters.items() if v is not None})
    # The password goes by the environment: everybody on the machine sees a command's arguments.
    environment = os.environ | ({"PGPASSWORD": password} if password else {})
    command = [str(program), f"--dbname={shown}", *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        words = ended.stderr.strip().splitlines() or ["it said nothing"]
        raise HubError(
            f"{program.name} failed: {words[-1]}",
            fix=f"is there space? is {program.name} as new as the server?",
            code="HUB-006",
        )


def _program(name: str, server: int) -> Path:
    """pg_dump or pg_restore, as new as the server: the system's, which goes with the other tools there; else
    the embedded package's."""
    found = shutil.which(name)
    if found is not None:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"\) (\d+)", said)
        if version and int(version.group(1)) >= server:
            return Path(found)
    return programs() / name
