"""A release tries itself before it is put to use: `python -P -m vafa.app.selftest`, by its own Python.

Nothing of the shop is changed: the ledger is read, and where this release has a newer schema a copy of it is
migrated; an award is posted in a ledger of its own. Each look gives one line of JSON; the first that fails
ends it with exit code 1. `vafa update` and the package's postinst run all of it; a daemon on trial runs the
part that needs no configuration, within its unit's confinement, before it says READY.
"""

import importlib
import pkgutil
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from vafa.app.releases import checked_way_back, own, own_version
from vafa.model.errors import LedgerError, VafaError

# The cloud side and what talks to it in-process have libraries of their own, which a device does not carry.
NOT_A_DEVICE_S = ("vafa.hub", "vafa.cli.hub", "vafa.cli.demo_hub", "vafa.cli.demo_fleet")
ROWS_READ = 200  # the newest rows: their kinds and fields must be known
SPARE = 1.3  # a copy of the ledger, and what its migration adds


class Look(msgspec.Struct, frozen=True):
    """One thing looked at: `words` say what was seen, or what is wrong."""

    name: str
    ok: bool
    words: str
    code: str = ""
    fix: str = ""


def everything(config_path: Path) -> Iterator[Look]:
    """All looks, each as soon as it is done."""
    yield _look("modules", modules)
    yield _look("settings", lambda: settings(config_path))
    yield _look("way back", way_back)
    yield _look("ledger", lambda: ledger(config_path))
    yield from without_shop()


def without_shop() -> Iterator[Look]:
    """What depends on this release and this machine alone."""
    yield _look("award", award)
    yield _look("paper", paper)


def _look(name: str, work: Callable[[], str]) -> Look:
    try:
        return Look(name, ok=True, words=work())
    except VafaError as error:
        return Look(name, ok=False, words=str(error), code=error.code, fix=error.fix)
    except Exception as error:  # noqa: BLE001 - whatever ails a release, the answer is: not this one
        return Look(name, ok=False, words=f"{type(error).__name__}: {error}", code="UPD-006")


def modules() -> str:
    """Every module of a device can be loaded, with all it imports."""
    count = 0
    for found in pkgutil.walk_packages([str(Path(__file__).parents[1])], "vafa."):
        if not found.name.startswith(NOT_A_DEVICE_S):
            importlib.import_module(found.name)
            count += 1
    return f"{count} modules"


def settings(config_path: Path) -> str:
    """This release reads the configuration and the programme it names."""
    from vafa.app.config import load
    from vafa.app.daemon import configured_programme

    config = load(config_path)
    programme = configured_programme(config.programme_file)
    return f"{len(config.terminal)} terminals, programme {programme.id.hex()[:8]}"


def way_back() -> str:
    """The release in use could go on with the ledger that this one leaves."""
    releases = own()
    if releases is None:
        return "not a release: nothing to go back to"
    return checked_way_back(releases, own_version())


def ledger(config_path: Path) -> str:
    """This release reads the shop's ledger, or a copy of it that it has migrated."""
    from vafa.app.config import load
    from vafa.ledger.schema import SCHEMA_VERSION
    from vafa.ledger.storage import connect_reader, ledger_path

    path = ledger_path(load(config_path).ledger_directory.absolute())
    if not path.exists():
        return "none yet"
    version = stored_schema(path)
    if version >= SCHEMA_VERSION:
        connection = connect_reader(path)
        try:
            return f"{read_newest(connection):,} rows, schema {version}"
        finally:
            connection.close()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".trial-") as directory:
        copied = Path(directory) / path.name
        rows = migrated_copy(path, copied)
    return f"{rows:,} rows; a copy went from schema {version} to {SCHEMA_VERSION}"


def stored_schema(path: Path) -> int:
    """The schema of a ledger file."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def migrated_copy(path: Path, copied: Path) -> int:
    """Copy, migrate, read; the number of rows. LedgerError where there is no room for it."""
    from vafa.ledger.migrations import migrate
    from vafa.ledger.storage import connect_reader
    from vafa.ledger.upkeep import copy

    needed, free = int(path.stat().st_size * SPARE), shutil.disk_usage(path.parent).free
    if free < needed:
        raise LedgerError(
            f"a copy of the ledger needs {needed >> 20:,} MB, {free >> 20:,} MB are free on {path.parent}",
            fix="free disk space", code="UPD-005",
        )  # fmt: skip
    copy(path, copied)
    migrate(copied)
    connection = connect_reader(copied)
    try:
        return read_newest(connection)
    finally:
        connection.close()


def read_newest(connection: sqlite3.Connection) -> int:
    """The newest rows can be read, and chain; how many there are in all."""
    from vafa.ledger import reads

    (count,) = connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()
    for seq in range(max(1, count - ROWS_READ + 1), count + 1):
        reads.entry(connection, seq)
    return int(count)


def award() -> str:
    """A payment becomes a durable award, once, in a ledger of its own, and the books of it verify."""
    from vafa.app.aside import migrate_aside
    from vafa.app.counter import Counter
    from vafa.app.daemon import configured_programme
    from vafa.app.ledger_start import open_epoch
    from vafa.app.programmes import Programmes
    from vafa.keys.device_key import DeviceKey
    from vafa.keys.tokens import Tokens
    from vafa.ledger.ledger import Ledger
    from vafa.ledger.storage import connect_reader
    from vafa.ledger.verify import verify
    from vafa.model.payment import Payment, PaymentKey, Scheme, Source

    with tempfile.TemporaryDirectory(prefix="vafa-selftest-") as directory:
        tokens, path = Tokens(DeviceKey(bytes(32))), Path(directory)
        books = Ledger(path, lambda: 1_767_000_000_000, migrate_aside)
        try:
            open_epoch(books, tokens.key_id)
            programmes = Programmes(books)
            programmes.activate(configured_programme(None), None)
            counter = Counter(books, tokens, programmes, "Asia/Tehran")
            paid = Payment(
                key=PaymentKey(Scheme.SENDER, "SELFTEST", "1"), amount=1_000_000, source=Source.LIVE
            )
            first, again = counter.post(paid), counter.post(paid)
        finally:
            books.close()
        connection = connect_reader(books.path)
        try:
            verified = verify(connection, lambda *_: "")
        finally:
            connection.close()
    if verified.bad or verified.awards != 1 or first.seq != again.seq:
        raise LedgerError(
            f"one payment, told twice, became {verified.awards} awards; {verified.bad}", code="UPD-006"
        )
    return f"{verified.points} points, once, and verified"


def paper() -> str:
    """This machine draws Persian lines as they must be."""
    from vafa.receipt.raster import WIDTHS_PX, Typesetter

    Typesetter(WIDTHS_PX[0])
    return "Persian letters come out joined and in order"


def main(arguments: list[str]) -> int:
    """`--config FILE` for everything; without it what needs no shop. The exit code."""
    looks = everything(Path(arguments[1])) if arguments[:1] == ["--config"] else without_shop()
    for look in looks:
        sys.stdout.buffer.write(msgspec.json.encode(look) + b"\n")
        sys.stdout.buffer.flush()
        if not look.ok:
            sys.stderr.write(f"{look.name}: {look.words}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
