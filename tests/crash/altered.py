"""`vafa` with one thing altered from outside, so that production needs no switch for tests.

`command("lazy")` is the command line of one; the processes it begins are altered too. Each but `hasty`,
`short` and `unfilled` takes a guard away: the crash states must show what it guards.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def hasty() -> None:
    """No guard: a long day in a short one. The log starts over again and again, backups between the sales."""
    from vafa.app import jobs, log_keeping
    from vafa.ledger import storage

    storage.WAL_PAGES_AUTOCHECKPOINT = 60
    log_keeping.COMMITS_WORTH_MOVING, log_keeping.COMMITS_UNTIL_MOVED = 1, 7
    jobs._MINUTE_S = jobs._HOUR_S = 0.06


def short() -> None:
    """No guard: a short log, filled in as many slices. Images of the disk that are quickly made."""
    from vafa.ledger import log_file, storage

    storage.LOG_BYTES, log_file.SLICE_BYTES = 17 * 16_384, 16_384


def unfilled() -> None:
    """No guard: the log grows as SQLite needs it. Then every sync counted is one of the sales'."""
    from vafa.ledger import log_file

    log_file.FREE_BYTES_MIN = 1 << 62


def lazy() -> None:
    """synchronous=NORMAL: what an SQLite built with another default does if nobody reads the setting back."""
    from vafa.ledger import storage

    connect = storage.connect_writer

    def connect_lazily(path: Path, migrate: Callable[[Path], None]) -> Any:
        connection = connect(path, migrate)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    storage.connect_writer = connect_lazily


def unsynced_key() -> None:
    """Key files get their name before their content is on the disk."""
    from vafa.keys import device_key

    _without_fsync(device_key)


def unsynced_enrolment() -> None:
    """The enrolment gets its name before its content is on the disk."""
    from vafa.sync import enrolment

    _without_fsync(enrolment)


def unsynced_backup() -> None:
    """Scheduled backups get their name before their content is on the disk."""
    hasty()
    from vafa.ledger import upkeep

    opened = upkeep.open_beside

    def carelessly(path: Path, mode: str) -> Any:
        connection = opened(path, mode)
        if path.name.startswith(".ledger-draft"):
            connection.execute("PRAGMA synchronous = OFF")
        return connection

    careless: Any = upkeep
    careless.open_beside, careless.flush = carelessly, lambda path: None


def unnamed_backup() -> None:
    """`vafa backup` says that it is done before the new file's name is on the disk."""
    from vafa.app import backing_up

    careless: Any = backing_up
    careless.flush = lambda path: None


def piecemeal_migration() -> None:
    """A migration is no transaction: each of its statements stands by itself."""
    import sqlite_utils

    database: Any = sqlite_utils.Database
    execute = database.execute

    def at_once(self: Any, sql: str, *rest: Any) -> Any:
        done = execute(self, sql, *rest)
        if sql.lstrip().startswith(("CREATE", "ALTER", "DROP")) and self.conn.in_transaction:
            self.conn.commit()
            self.conn.execute("BEGIN")
        return done

    database.execute = at_once


def early_have() -> None:
    """The sync keeps that it has a programme before the ledger has it."""
    import msgspec

    from vafa.sync import downward, kept

    module: Any = downward
    take, begun, stores = downward.take, kept.Store.__init__, []

    def remember(self: kept.Store, path: Path | None) -> None:
        begun(self, path)
        stores.append(self)

    def kept_first(answer: Any, before: kept.Kept, *rest: Any) -> Any:
        stores[-1].keep(msgspec.structs.replace(before, have=answer.have))
        return take(answer, before, *rest)

    kept.Store.__init__ = remember  # type: ignore[method-assign]
    module.take = kept_first


def bare_restore() -> None:
    """A restore moves the ledger that is there away, and then the restored one to its place."""
    from vafa.app import restoring

    def moved(path: Path) -> str:
        aside = path.with_name("ledger.before-restore-1.db")
        for suffix in ("", "-wal"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return str(aside)

    restoring._put_aside = moved


def old_epoch() -> None:
    """A restored ledger takes its place first and opens its new epoch then."""
    import time

    from vafa.app import restoring

    module: Any = restoring
    open_epoch, give = restoring._new_epoch, restoring._give_to_owner

    def then(config: Any) -> None:
        found = restoring.Found(None, None, 0)
        open_epoch(config.ledger_directory, found, lambda: time.time_ns() // 1_000_000)
        give(config)

    module._new_epoch, module._give_to_owner = lambda *_: (0, 0, 0), then


def _without_fsync(module: Any) -> None:
    """`os` in this module, but for one function."""
    import os

    class Os:
        def __getattr__(self, name: str) -> Any:
            return (lambda descriptor: None) if name == "fsync" else getattr(os, name)

    module.os = Os()


ALTERATIONS: Mapping[str, Callable[[], None]] = {
    made.__name__.replace("_", "-"): made
    for made in (
        hasty, short, unfilled, lazy, unsynced_key, unsynced_enrolment, unsynced_backup, unnamed_backup,
        piecemeal_migration, early_have, bare_restore, old_epoch,
    )
}  # fmt: skip


def command(*hows: str) -> tuple[str, ...]:
    """`vafa`, altered so."""
    here = Path(__file__).parent
    path = ":".join([str(here / "altering"), str(here.parent), *filter(None, sys.path)])
    return (
        "env",
        f"VAFA_ALTERED={','.join(hows)}",
        f"PYTHONPATH={path}",
        sys.executable,
        "-m",
        "vafa.cli.main",
    )
