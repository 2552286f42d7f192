"""The programme versions this ledger holds, parsed, and which one covers a sale."""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from vafa import club
from vafa.app.questions import Version
from vafa.app.status import iso
from vafa.club.programme import Programme, document, parse_stored
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.model import events
from vafa.model.errors import LedgerDamaged


class Programmes:
    """Versions by id, in the order they were activated; documents come from the journal, parsed once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._parsed: dict[bytes, Programme] = {}
        self._order: list[tuple[bytes, int | None]] = []
        ledger.read(self._load)

    def knows(self, programme: bytes) -> bool:
        """True when this version was ever activated here."""
        return any(version == programme for version, _ in self._order)

    def activate(self, programme: Programme, from_at: int | None) -> bool:
        """Make `programme` hold from the UTC second `from_at` (None: from now). False when it already does.

        The first programme of a ledger holds from the beginning.
        """
        if self._order and self._order[-1][0] == programme.id:
            return False

        def decide(tx: Transaction) -> None:
            now = tx.at_ms // 1000
            start = None if not self._order else now if from_at is None else from_at
            tx.post(events.ProgrammeActivated(programme.id, programme.hash, document(programme), start))
            self._load(tx.connection)  # under the ledger's lock: the next award is under the new version

        try:
            self._ledger.write(decide)
        except BaseException:
            self._ledger.read(self._load)  # it was not committed after all
            raise
        return True

    def at(self, instant: int) -> Programme | None:
        """The version that covers a UTC second: the newest that had begun, else the first; None if none."""
        version = covering(self._order, instant)
        return self._parsed[version] if version else None

    def by_id(self, programme: bytes) -> Programme:
        """A version an award names. NotFound when it was never activated here."""
        if programme not in self._parsed:
            self._parsed[programme] = self._ledger.read(lambda c: parsed(c, programme))
        return self._parsed[programme]

    def look_again(self, connection: sqlite3.Connection) -> None:
        """The versions as this connection sees them, uncommitted ones too: another decision posted one, or it
        was not committed after all. Under the ledger's lock."""
        self._load(connection)

    def _load(self, connection: sqlite3.Connection) -> None:
        rows = reads.programmes(connection)
        for row in rows:
            if row.id not in self._parsed:
                self._parsed[row.id] = parsed(connection, row.id)
        self._order = [(row.id, row.from_at) for row in rows]


def covering(versions: Sequence[tuple[bytes, int | None]], instant: int) -> bytes:
    """Of (id, from) in activation order, the one that covers a UTC second: the newest begun, else the first.

    b'' when there is none.
    """
    begun = [version for version, start in versions if start is None or start <= instant]
    if begun:
        return begun[-1]
    return versions[0][0] if versions else b""


def example(name: str = "plain") -> str:
    """The text of an annotated programme shipped with the package, in club/examples."""
    folder = Path(club.__path__[0]) / "examples"
    return (folder / f"{name}.toml").read_text(encoding="utf-8")


def parsed(connection: sqlite3.Connection, programme: bytes) -> Programme:
    """The version with this id out of the journal; LedgerDamaged when its document is not of its hash."""
    version = _of(reads.programme_document(connection, programme))
    if version.id != programme:
        raise LedgerDamaged(f"the document of programme {programme.hex()} was altered", fix="vafa verify")
    return version


@lru_cache(maxsize=4)  # a redemption asks for it several times; as many as refunds of a season may name
def _of(document: str) -> Programme:
    return parse_stored(document, "programme in the journal")


def in_force(connection: sqlite3.Connection, instant: int) -> Programme | None:
    """The version a ledger holds for a UTC second; None when it holds none."""
    version = covering([(row.id, row.from_at) for row in reads.programmes(connection)], instant)
    return parsed(connection, version) if version else None


def versions(connection: sqlite3.Connection, now_s: int) -> tuple[Version, ...]:
    """The versions a ledger holds, in the order they were activated."""
    rows = reads.programmes(connection)
    active = covering([(row.id, row.from_at) for row in rows], now_s)
    return tuple(
        Version(
            id=row.id.hex(),
            hash=row.hash.hex(),
            since="" if row.from_at is None else iso(row.from_at * 1000),
            row=row.seq,
            active=row.id == active,
            document=reads.programme_document(connection, row.id),
        )
        for row in rows
    )
