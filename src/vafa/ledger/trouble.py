"""SQLite's words for a broken world, in the error tree's: what it means for the shop and what to do."""

import sqlite3
from pathlib import Path

from vafa.model.errors import LedgerBusy, LedgerDamaged, LedgerError

_FULL, _IOERR, _READONLY = "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY"
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_HELD = ("SQLITE_BUSY", "SQLITE_LOCKED")
_CLOSED = ("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")
_FIXES = {
    _FULL: "free disk space (df -h; journalctl --vacuum-size=50M): it goes on by itself",
    _IOERR: "the disk fails, see dmesg --level err; make a backup elsewhere: vafa backup FILE",
    _READONLY: "is the disk mounted read-only (dmesg --level err)? may vafa write the folder?",
}


def is_full(error: BaseException) -> bool:
    """True when there was no room on the disk."""
    return _primary(error, _FULL)


def explained(error: BaseException, what: str, path: Path) -> LedgerError:
    """`what` (a half sentence about the ledger at `path`) with the error's own words and a remedy."""
    if isinstance(error, MemoryError):
        return LedgerError(f"{what} (out of memory)", fix="free -m; systemctl status vafa: what takes it?")
    said = f"{what} ({error})"
    if _primary(error, *_DAMAGED) or isinstance(error, UnicodeDecodeError):
        fix = "vafa verify names the bad place; keep the files, then restore the newest backup"
        return LedgerDamaged(said, fix=fix)
    if _primary(error, *_HELD):
        return LedgerBusy(f"the ledger is held by another program ({error})", fix=f"sudo fuser -v {path}")
    if _primary(error, *_CLOSED):
        return LedgerError(said, fix="run as the vafa user or with sudo; who owns the folder?")
    fixes = (fix for name, fix in _FIXES.items() if _primary(error, name))
    return LedgerError(said, fix=next(fixes, "check disk space and the disk; then: vafa verify"))


def _primary(error: BaseException, *names: str) -> bool:
    """Extended names (SQLITE_BUSY_RECOVERY) begin with the primary one."""
    return getattr(error, "sqlite_errorname", "").startswith(names)


def is_sqlite(error: BaseException) -> bool:
    """True when the connection is not to be trusted after it."""
    return isinstance(error, sqlite3.Error | MemoryError)
