"""Where the write-ahead log ends: what a power cut left unfinished, or commits behind a damaged place?

SQLite reads the log up to the first frame whose checksum is wrong, and takes that for the end: after a power
cut it is. But each commit is synced before the next begins, so a cut can leave the frames of one unfinished
commit at most. More behind the end was acknowledged once: the disk has changed what was durable, and nothing
else would say so, for the chain that is left is whole.

The log is not emptied between its runs but begun anew in place, and filled with zeros before: what an earlier
run left has other salts, and zeros have none.
"""

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import structlog

from vafa.ledger import upkeep
from vafa.ledger.log_file import of
from vafa.ledger.log_frames import (
    FRAME_HEAD_BYTES,
    HEADER_BYTES,
    LogFile,
    destroyed_header,
    mended_header,
    wrong_bytes,
)
from vafa.ledger.storage import BROKEN, flush
from vafa.ledger.trouble import explained
from vafa.model.errors import LedgerDamaged

CUT_OFF_MAX = 1  # commits behind the end that a power cut explains
_MX_FRAME_AT = 16  # of the WAL index, in the machine's own byte order (walformat, 2.1)
_READ_MAX = 1 << 16

log = structlog.get_logger()


def settle(database: Path) -> int:
    """Before the ledger is opened: puts right what single bytes of its log have become, and cuts off what
    lies behind the last commit. Returns how many commits are lost that were durable once; the log is then
    kept under another name. LedgerDamaged when what is left is no ledger; LedgerError when it cannot be read.

    What is no ledger at all is left to who opens it.
    """
    if not (database.is_file() and of(database).is_file()):
        return 0
    try:
        with _opened(of(database)) as descriptor:
            return _settled(database, descriptor)
    except (*BROKEN, OSError) as error:
        raise explained(error, f"the log of {database} cannot be read", database) from error


def _settled(database: Path, descriptor: int) -> int:
    found = os.pread(descriptor, HEADER_BYTES, 0)
    if os.fstat(descriptor).st_size <= HEADER_BYTES:
        return 0
    page_bytes = _page_bytes(database)
    first = os.pread(descriptor, FRAME_HEAD_BYTES + page_bytes, HEADER_BYTES)
    if len(first) < FRAME_HEAD_BYTES + page_bytes:
        return 0
    mended = mended_header(found, page_bytes, first)
    file = LogFile(descriptor, mended or destroyed_header(page_bytes, first[8:16]))
    end = _end(database)
    if mended:
        end = _put_right(database, descriptor, file, end, wrong_bytes(found, mended, 0))
    behind = list(file.own_from(end))
    lost = max(0, sum(frame.ends for frame in behind) - CUT_OFF_MAX)
    if lost:
        moved = _moved(database, file, end)
        if moved == "all":  # the database is newer than what is left of the log
            end, lost = -1, 0
            _index(database).unlink(missing_ok=True)
        elif moved == "some":
            raise LedgerDamaged(
                f"the log of {database} is damaged, and newer pages than those before that place were moved",
                fix="keep the files; then restore the newest backup: vafa restore",
            )
        else:
            log.error("log damaged", commits_lost=lost, kept=_kept(database, descriptor))
    if behind:
        os.ftruncate(descriptor, file.offset(end) if end >= 0 else 0)  # so that it is never counted again
        os.fsync(descriptor)
    return lost


def _page_bytes(database: Path) -> int:
    (said,) = struct.unpack_from(">H", _read(database, 16, 2))
    return 65_536 if said == 1 else int(said)


def _end(database: Path) -> int:
    """Frames up to the last commit, as SQLite finds them. By a connection that only reads: the last one to
    close a ledger it may write moves the log into it, and this one may have to be put right before. (Reading
    the index beside it gives up its locks, so it ends with that.)"""
    with closing(upkeep.open_beside(database, "ro")) as connection:
        try:
            connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            if (
                error.sqlite_errorname != "SQLITE_CORRUPT"
            ):  # pages that do not fit: the log is looked at first
                raise
        (frames,) = struct.unpack("=I", _read(_index(database), _MX_FRAME_AT, 4))
        return int(frames)


def _put_right(database: Path, descriptor: int, file: LogFile, end: int, header: dict[int, bytes]) -> int:
    """The new end."""
    further, fixes = file.mended_from(end)
    if further == end:
        return end
    fixes |= header
    for offset, right in fixes.items():
        os.pwrite(descriptor, right, offset)
    os.fsync(descriptor)
    _index(database).unlink()  # who reads now goes on with it; it is made anew from what the log holds
    log.error("log put right", bytes=sorted(fixes), frames=further - end)
    return further


def _moved(database: Path, file: LogFile, end: int) -> Literal["all", "some", "none"]:
    """What of a log that does not go on behind `end` is in the database already.

    all   each page as the log has it last: nothing is lost, and the log is older. So it is, too, when its
          header was being written anew as the power went
    some  pages that changed behind `end` alone: those before it fit no longer
    """
    newest: dict[int, int] = {}
    for number, _ends in file.own_from(0):
        if file.is_whole(number):
            newest[struct.unpack_from(">I", file.frame(number))[0]] = number
    before = {struct.unpack_from(">I", file.frame(number))[0] for number in range(end)}
    moved = {page for page, number in newest.items() if _is_in(database, file, page, number)}
    if moved == set(newest) != set():
        return "all"
    return "some" if moved - before else "none"


def _is_in(database: Path, file: LogFile, page: int, number: int) -> bool:
    content = _read(database, (page - 1) * file.page_bytes, file.page_bytes)
    return content == file.frame(number)[FRAME_HEAD_BYTES:]


def _kept(database: Path, descriptor: int) -> str:
    """The log as it is, under another name, durably; where there is no room for it, why not."""
    number = 1
    while (aside := database.with_name(f"ledger.damaged-{number}.wal")).exists():
        number += 1
    try:
        made = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(made, "wb") as copy:
            offset = 0
            while chunk := os.pread(descriptor, _READ_MAX, offset):
                offset += copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        flush(database.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        return f"not kept: {error.strerror}"
    return str(aside)


def _index(database: Path) -> Path:
    return database.with_name(database.name + "-shm")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(
        path, os.O_RDWR | os.O_CLOEXEC
    )  # SQLite holds no lock on this file that closing drops
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(path: Path, offset: int, count: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, count, offset)
    finally:
        os.close(descriptor)
