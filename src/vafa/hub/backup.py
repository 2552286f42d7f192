"""Dumping the database, and telling devices what is safe.

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

from vafa.hub.database import Database
from vafa.hub.embedded import programs
from vafa.hub.merchants import merchants
from vafa.model.errors import HubError

_ENDS = "SELECT device, line, epoch, seq, hash FROM line WHERE merchant_id = %s"
_SAFE = """UPDATE line SET safe_epoch = %s, safe_seq = %s, safe_hash = %s
WHERE merchant_id = %s AND device = %s AND line = %s AND safe_seq < %s"""


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


def _pg_dump(dsn: str, server: int, target: Path) -> None:
    parameters = psycopg.conninfo.conninfo_to_dict(dsn)
    password = str(parameters.pop("password", "") or "")
    part = target.with_name(target.name + ".part")
    shown = psycopg.conninfo.make_conninfo("", **{k: str(v) for k, v in parameters.items() if v is not None})
    command = [str(_program(server)), "--format=custom", "--no-owner", f"--file={part}", f"--dbname={shown}"]
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        # The password goes by the environment: everybody on the machine sees a command's arguments.
        environment = os.environ | ({"PGPASSWORD": password} if password else {})
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            part.unlink(missing_ok=True)
            words = ended.stderr.strip().splitlines() or ["it said nothing"]
            raise HubError(
                f"pg_dump failed: {words[-1]}",
                fix="is there space? is pg_dump as new as the server?",
                code="HUB-006",
            )
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(target)
    except OSError as error:
        raise HubError(
            f"{target} cannot be written ({error.strerror})",
            fix="check the folder and its rights",
            code="HUB-006",
        ) from error


def _program(server: int) -> Path:
    """A pg_dump as new as the server: the system's, which restores there too; else the embedded package's."""
    found = shutil.which("pg_dump")
    if found is not None:
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"\) (\d+)", said)
        if version and int(version.group(1)) >= server:
            return Path(found)
    return programs() / "pg_dump"
