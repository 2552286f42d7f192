"""`verify`: recompute the chain, rebuild the books from the journal in a scratch file, compare every row.

Three independent looks, each naming the first bad place: the chain (any column of any journal row), the
effects (each row's stored till sums and state hash against what `books.apply` gives), and the tables (each
stored row of the books against the rebuilt one). What a room above knows how to check (points from programme
and inputs) comes in as `recheck`.
"""

import sqlite3
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

import msgspec

from vafa.books import till as tills
from vafa.books.effect import State
from vafa.books.rows import TABLES, BookRow, HoldState
from vafa.ledger import branches
from vafa.ledger.rebuild import Rebuild
from vafa.ledger.schema import scratch_tables
from vafa.ledger.tables import SQL
from vafa.model import events
from vafa.model.chain import NO_HASH, Row, chain_hash

_ROWS = "SELECT epoch, seq, at, kind, body, till, state, hash FROM journal ORDER BY seq"
PROGRESS_EVERY_ROWS = 5_000
_COMPARED_ROWS = 500  # of a table at once
_AWARD = int(events.Kind.AWARD)

Recheck = Callable[[events.Event, State], str]  # an event, and the books after it


class Bad(msgspec.Struct, frozen=True):
    """The first thing that does not verify in one place. `place` reads like `journal 57` or `member 1f…`."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class Verified(msgspec.Struct, frozen=True):
    """What was looked at and what is wrong; all is well when `bad` is empty."""

    rows: int
    awards: int
    points: int
    head_hash: bytes
    bad: tuple[Bad, ...]


def chain_faults(connection: sqlite3.Connection) -> list[str]:
    """The first row whose hash does not chain, in words; [] when all do. Fast: nothing is rebuilt."""
    before, count = NO_HASH, 0
    for columns in connection.execute(_ROWS):
        row = Row(*columns)
        fault = _chain_fault(row, before, count)
        if fault:
            return [str(Bad(f"journal {row.seq}", fault))]
        before, count = row.hash, count + 1
    return []


def verify(
    connection: sqlite3.Connection,
    recheck: Recheck,
    progress: Callable[[int], None] = lambda _rows: None,
    scratch: Path | None = None,
) -> Verified:
    """Verify the ledger behind a reading connection. `progress(rows so far)` is called now and then.

    scratch: where the rebuilt books go; None takes a temporary directory. Reads one consistent snapshot.
    """
    import tempfile  # the daemon checks chains with this module and never rebuilds

    with tempfile.TemporaryDirectory(prefix="vafa-verify-", dir=scratch) as directory:
        books = sqlite3.connect(Path(directory) / "books.db", isolation_level=None)
        try:
            for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -16384"):
                books.execute(f"PRAGMA {setting}")
            scratch_tables(books)
            books.execute("BEGIN")
            connection.execute("BEGIN")
            try:
                return _verify(connection, Rebuild(books), recheck, progress)
            finally:
                connection.execute("ROLLBACK")
        finally:
            books.close()


def _verify(
    connection: sqlite3.Connection, rebuild: Rebuild, recheck: Recheck, progress: Callable[[int], None]
) -> Verified:
    bad: list[Bad] = []
    before, count, awards = NO_HASH, 0, 0
    for columns in connection.execute(_ROWS):
        row = Row(*columns)
        fault = _row_fault(row, before, count, rebuild, recheck)
        if fault:
            bad.append(Bad(f"journal {row.seq}", fault))
            break  # every later row chains to this one: naming the first is the answer
        before, count = row.hash, count + 1
        awards += row.kind == _AWARD
        if count % PROGRESS_EVERY_ROWS == 0:
            progress(count)
    if not bad:
        bad.extend(_table_faults(connection, rebuild))
        bad.extend(_identity_faults(rebuild))
        bad.extend(_branch_faults(connection, rebuild))
    progress(count)
    return Verified(count, awards, rebuild.till.member, before, tuple(bad))


def _row_fault(row: Row, before: bytes, count: int, rebuild: Rebuild, recheck: Recheck) -> str:
    """Why a journal row cannot be right after the row with hash `before`; '' when it is."""
    fault = _chain_fault(row, before, count)
    if fault:
        return fault
    try:
        event = events.decode(row.kind, row.body)
        rebuild.take(event, row.seq)
    except (ValueError, ArithmeticError, msgspec.DecodeError) as error:
        return f"{_kind_name(row.kind)} cannot follow what is before it ({error})"
    if tills.pack(rebuild.till) != row.till:
        return f"the till sums are not what the events give: {rebuild.till}"
    if rebuild.state.to_bytes(32, "big") != row.state:
        return "the state hash is not what the events give"
    return recheck(event, rebuild)


def _chain_fault(row: Row, before: bytes, count: int) -> str:
    if row.seq != count + 1:
        return f"row {count + 1} is missing"
    if chain_hash(before, row.epoch, row.seq, row.at, row.kind, row.body, row.till, row.state) != row.hash:
        return "the chain breaks here: this row or the hash of the row before was altered"
    return ""


def _table_faults(connection: sqlite3.Connection, rebuild: Rebuild) -> Iterator[Bad]:
    """The first difference in each table of the books."""
    for row_type, table in TABLES.items():
        sql = SQL[row_type].all_by_key
        here, there = connection.execute(sql), rebuild.connection.execute(sql)
        stored, rebuilt = [()], [()]
        while stored and stored == rebuilt:
            stored, rebuilt = here.fetchmany(_COMPARED_ROWS), there.fetchmany(_COMPARED_ROWS)
        for one, other in zip_longest(stored, rebuilt):
            if one != other:
                yield _difference(row_type, table, one, other)
                break


def _identity_faults(rebuild: Rebuild) -> Iterator[Bad]:
    """What every till must hold: counted from the events, posted in the accounts, lying with the members."""
    sums = "SELECT coalesce(sum(balance), 0), coalesce(sum(debt), 0), coalesce(sum(held), 0) FROM member"
    balances, debts, held = rebuild.connection.execute(sums).fetchone()
    fault = rebuild.counted.fault(rebuild.till, balances, debts)
    if fault:
        yield Bad("till", fault)
    (open_holds,) = rebuild.connection.execute(
        f"SELECT coalesce(sum(points), 0) FROM hold WHERE state = {int(HoldState.OPEN)}"
    ).fetchone()
    if held != open_holds:
        yield Bad("till", f"held: {held} with the members, {open_holds} in open holds")


def _branch_faults(connection: sqlite3.Connection, rebuild: Rebuild) -> Iterator[Bad]:
    """What a Checkpoint names of a branch is retained, chains, and has every payment in the books."""
    for branch in branches.counted(rebuild.connection):
        fault = branches.evidence_fault(connection, branch, rebuild.connection)
        if fault:
            yield Bad(f"branch {branch.first.hex()[:16]}", fault)


def _difference(
    row_type: type[BookRow], table: str, stored: tuple[object, ...] | None, rebuilt: tuple[object, ...] | None
) -> Bad:
    columns = row_type.__struct_fields__
    width = len(SQL[row_type].find.split("WHERE")[1].split("AND"))
    if stored is None or rebuilt is None or stored[:width] != rebuilt[:width]:
        extra = rebuilt is None or (stored is not None and list(map(str, stored)) < list(map(str, rebuilt)))
        shown = stored if extra and stored is not None else rebuilt
        assert shown is not None
        what = "is in no journal row" if extra else "is missing from the table"
        return Bad(f"{table} {_key_text(shown[:width])}", what)
    wrong = [name for name, a, b in zip(columns, stored, rebuilt, strict=True) if a != b]
    return Bad(f"{table} {_key_text(stored[:width])}", f"{', '.join(wrong)} differ from the journal")


def _key_text(key: tuple[object, ...]) -> str:
    return "/".join(part.hex() if isinstance(part, bytes) else str(part) for part in key)


def _kind_name(kind: int) -> str:
    try:
        return events.Kind(kind).name.replace("_", " ").lower()
    except ValueError:
        return f"kind {kind}"
