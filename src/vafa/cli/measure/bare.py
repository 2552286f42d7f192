"""What SQLite alone takes for an award: the rows are there, and nothing reads bytes or thinks about rules.

A copy of the ledger takes the rows that the measured awards wrote, by the same statements and in the same
steps, beside floor writes of its own. What that takes no code around SQLite can go below: where it is near a
goal already, the disk is too fast for the goal to say anything of the code.
"""

import shutil
import sqlite3
import time
from pathlib import Path
from statistics import fmean

import msgspec

from vafa.books.rows import BookRow, MemberRow, key_of
from vafa.cli.measure.floor import Floor
from vafa.ledger import reads
from vafa.ledger.ledger import INSERT_ROW, Ledger
from vafa.ledger.storage import connect_writer, ledger_path
from vafa.ledger.tables import SQL, find_row, update_of
from vafa.model import events
from vafa.model.chain import Row


class Written(msgspec.Struct, frozen=True):
    """What one award wrote."""

    journal: list[Row]
    books: list[BookRow]


def written_since(ledger: Ledger, seq: int) -> Written:
    """The rows that the award behind journal row `seq` wrote, as they are now."""

    def asked(connection: sqlite3.Connection) -> Written:
        entries = list(reads.entries(connection, seq))
        found: list[BookRow | None] = []
        for each in entries:
            if isinstance(each.event, events.Award):
                found.append(reads.payment(connection, each.event.paid.key))
                found.append(find_row(connection, MemberRow, (each.event.holder,)))
        return Written([each.row for each in entries], [row for row in found if row is not None])

    return ledger.read(asked)


class Bare:
    """A copy of a ledger at rest, to be made before the awards that it repeats. Close it."""

    def __init__(self, ledger: Ledger, directory: Path) -> None:
        directory.mkdir()
        for path in ledger.path.parent.glob(f"{ledger.path.name}*"):
            shutil.copy(path, directory)
        self._connection = connect_writer(ledger_path(directory), lambda _: None)

    def times_floor(self, awards: list[Written], floor: Floor) -> float:
        """How many floor writes an award's rows take on average."""
        floors_s, took_s = [], []
        for written in awards:
            floors_s.append(floor.write())
            started = time.perf_counter()
            self._write(written)
            took_s.append(time.perf_counter() - started)
        return fmean(took_s) / fmean(floors_s)

    def _write(self, written: Written) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for row in written.journal:
            execute(INSERT_ROW, msgspec.structs.astuple(row))
        for new in written.books:
            old = find_row(self._connection, type(new), key_of(new))
            if old is None:
                execute(SQL[type(new)].insert, msgspec.structs.astuple(new))
            elif old != new:
                execute(*update_of(old, new))
        execute("COMMIT")

    def close(self) -> None:
        """Give the copy back."""
        self._connection.close()
