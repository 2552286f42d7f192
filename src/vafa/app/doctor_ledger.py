"""`vafa doctor`, the ledger: the file, the chain of its newest rows or all of it, the write-ahead log.

Read-only, on a connection of its own, beside a running daemon. The file is for root and the service; without
that right the daemon's own word stands.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from vafa.app.findings import Finding, Level, Patient
from vafa.ledger.storage import connect_reader, ledger_path
from vafa.model.chain import NO_HASH, Row, chain_hash, check_code
from vafa.model.errors import KeyFileError, LedgerError

NEWEST_ROWS = 1_000  # a few milliseconds; the jobs of the daemon check all of them once a day
WAL_BYTES_MAX = 32 << 20  # eight times what is moved at one checkpoint: somebody holds it open
_COLUMNS = "epoch, seq, at, kind, body, till, state, hash"
_DAMAGED = "sudo systemctl stop vafa; keep the files; restore the last good backup; sudo vafa verify"


def look(patient: Patient) -> Iterator[Finding]:
    """What is wrong, else one line of what was looked at."""
    path = ledger_path(patient.config.ledger_directory.absolute())
    if patient.running and not os.access(path, os.R_OK):
        assert patient.status is not None
        kept = f"{patient.status.queue.kept:,} events, as the daemon says"
        yield Finding("ok", "ledger", f"{kept}; sudo vafa doctor looks into the file")
        return
    try:
        connection = connect_reader(path)
    except PermissionError:
        yield _not_for_us(path.parent)
        return
    except LedgerError as error:
        if path.exists() and not os.access(path, os.R_OK):
            yield _not_for_us(path)
            return
        level: Level = "warn" if error.code == "LED-006" else "fail"
        yield Finding(level, "ledger", str(error), fix=error.fix, code=error.code)
        return
    with closing(connection):
        try:
            found = [*_of_rows(connection, patient), *_of_log(path), *_of_key(patient)]
        except sqlite3.DatabaseError as error:
            found = [Finding("fail", "ledger", f"{path} is damaged: {error}", fix=_DAMAGED, code="LED-003")]
    if any(finding.level != "ok" for finding in found):
        found = [finding for finding in found if finding.level != "ok"]
    yield from found


def _not_for_us(path: Path) -> Finding:
    """Whoever asks may not look: no fault of the ledger's."""
    what = f"{path} may be read by root and the vafa user only"
    return Finding("warn", "ledger", what, fix="sudo vafa doctor", code=LedgerError.code)


def _of_rows(connection: sqlite3.Connection, patient: Patient) -> Iterator[Finding]:
    bad, words = _whole(connection, patient) if patient.full else _newest(connection)
    for fault in bad:
        yield Finding("fail", "ledger", fault, "the file was altered, or its disk fails", _DAMAGED, "LED-003")
    if not bad:
        yield Finding("ok", "ledger", words)


def _newest(connection: sqlite3.Connection) -> tuple[list[str], str]:
    """The chain of the newest rows: what a failing disk damages first."""
    sql = f"SELECT {_COLUMNS} FROM journal ORDER BY seq DESC LIMIT {NEWEST_ROWS + 1}"  # noqa: S608 - our names
    rows = [Row(*columns) for columns in reversed(connection.execute(sql).fetchall())]
    if not rows:
        return [], "no row yet"
    before = NO_HASH if rows[0].seq == 1 else rows.pop(0).hash
    for row in rows:
        columns = (row.epoch, row.seq, row.at, row.kind, row.body, row.till, row.state)
        if chain_hash(before, *columns) != row.hash:
            return [f"journal {row.seq}: the chain breaks here"], ""
        before = row.hash
    count = f"{rows[-1].seq:,} rows" if rows else "1 row"
    return [], f"{count}, the newest {len(rows):,} chain to {check_code(before)}; --full verifies all"


def _whole(connection: sqlite3.Connection, patient: Patient) -> tuple[list[str], str]:
    """As `vafa verify`: pages, chain, effects, points, tables."""
    from vafa.app.recheck import Recheck
    from vafa.ledger.verify import verify

    patient.say("ledger: pages")
    pages = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)")]
    found = verify(connection, Recheck(connection), lambda rows: patient.say(f"ledger: {rows:,} rows"))
    bad = [str(each) for each in found.bad] + [f"pages: {page}" for page in pages if page != "ok"]
    return (
        bad,
        f"all {found.rows:,} rows verified, {found.points:,} points; ends in {check_code(found.head_hash)}",
    )


def _of_log(path: Path) -> Iterator[Finding]:
    log = path.with_name(path.name + "-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > WAL_BYTES_MAX:
        yield Finding(
            "warn", "ledger", f"the write-ahead log has {size >> 20} MB", "a program keeps the ledger open",
            f"sudo fuser -v {path}; then: sudo systemctl restart vafa", "LED-010",
        )  # fmt: skip


def _of_key(patient: Patient) -> Iterator[Finding]:
    """A ledger without its key finds no member by phone or card."""
    from vafa.keys.device_key import load

    key_file = patient.config.key_file
    if not key_file.exists() and os.geteuid() == 0 and Path("/etc/credstore/vafa.key").exists():
        return  # systemd hands it to the daemon
    try:
        load(key_file)
    except KeyFileError as error:
        yield Finding("fail", "ledger", str(error), fix=error.fix, code=error.code)
