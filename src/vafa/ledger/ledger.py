"""The one write path. `Ledger.write(decide)` is the only code in Vafa that changes a ledger.

Process lock, BEGIN IMMEDIATE, `decide(tx)` reads and posts events through `tx`, COMMIT. Each posted event is
one journal row and, in the same transaction, its effect on the books as `books.apply` says. The head (last
row's seq, hash, till sums, state hash) is kept in memory and trusted only while nothing went wrong: after any
SQLite error the connection is closed, opened again and the head read back, so that what the disk has decides.

Writes that come while another is being flushed share the next flush: whoever gets the lock decides for all
that wait, each on the state the one before it left, and commits once. Each returns after that commit only, so
eight lanes on a slow disk wait for two flushes at most, not for eight.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vafa.books import till as tills
from vafa.books.apply import apply, state_hash_after
from vafa.books.rows import BookRow, Key, R, key_of
from vafa.books.till import TillSums
from vafa.ledger import log_end, log_file, reserve, storage
from vafa.ledger.tables import SQL, find_row, update_of
from vafa.ledger.trouble import explained, is_full, is_sqlite
from vafa.model import events
from vafa.model.chain import NO_HASH, Row, chain_hash
from vafa.model.errors import LedgerBusy, LedgerDamaged, LedgerError

T = TypeVar("T")
Migrate = Callable[
    [Path, int], None
]  # brings the ledger at a path to the newest schema; its lock's descriptor
INSERT_ROW = "INSERT INTO journal (epoch, seq, at, kind, body, till, state, hash) VALUES (?,?,?,?,?,?,?,?)"
_NEWEST_TWO = "SELECT epoch, seq, at, kind, body, till, state, hash FROM journal ORDER BY seq DESC LIMIT 2"


class Head(msgspec.Struct, frozen=True):
    """The newest journal row, as far as the next one needs it. `state` is the state hash as a number."""

    seq: int = 0
    epoch: int = 0
    hash: bytes = NO_HASH
    till: TillSums = TillSums()
    state: int = 0


class Transaction:
    """What `decide` may do: read rows, post events. Lives only inside one `Ledger.write`.

    A row of the books is read once: deciding and applying look at the same ones, and nobody else writes.
    """

    def __init__(self, connection: sqlite3.Connection, head: Head, at_ms: int) -> None:
        self.connection = connection
        self.head = head
        self.keeps = False  # set by who writes beside the books: to be committed though nothing was posted
        self.at_ms = at_ms
        self._seen: dict[tuple[type[BookRow], Key], BookRow | None] = {}

    def find(self, row_type: type[R], key: Key) -> R | None:
        """The row of the books with this primary key, or None."""
        place = (row_type, key)
        if place not in self._seen:
            self._seen[place] = find_row(self.connection, row_type, key)
        row: R | None = self._seen[place]  # type: ignore[assignment]  # its place says of which type
        return row

    def note(self, row_type: type[BookRow], key: Key, row: BookRow | None) -> None:
        """What another question just told of a row, so that nobody asks for it again."""
        self._seen.setdefault((row_type, key), row)

    def post(self, event: events.Event) -> Row:
        """Append `event` to the journal and apply it to the books. Durable when `write` returns."""
        head = self.head
        seq = head.seq + 1
        epoch = head.epoch + 1 if isinstance(event, events.EpochOpened) else head.epoch
        assert epoch > 0, "a ledger begins with EpochOpened"
        effect = apply(event, seq, self, head.till)
        state = state_hash_after(head.state, effect.changes)
        kind, body, till = events.KINDS[type(event)], events.encode(event), tills.pack(effect.till)
        state_bytes = state.to_bytes(32, "big")
        row_hash = chain_hash(head.hash, epoch, seq, self.at_ms, kind, body, till, state_bytes)
        row = Row(epoch, seq, self.at_ms, kind, body, till, state_bytes, row_hash)
        self.connection.execute(INSERT_ROW, msgspec.structs.astuple(row))
        for change in effect.changes:
            self._write_row(change.old, change.new)
        self.head = Head(seq, epoch, row_hash, effect.till, state)
        return row

    def attempt(self, decide: Callable[[], T]) -> T:
        """Part of a larger decision that may turn out not to be possible: when it raises, nothing of it
        stands, and the rest of the transaction goes on as if it had not been tried."""
        head = self.head
        self.connection.execute("SAVEPOINT attempt")
        try:
            return decide()
        except BaseException:
            self.connection.execute("ROLLBACK TO attempt")
            self.head = head
            self._seen.clear()
            raise
        finally:
            self.connection.execute("RELEASE attempt")

    def _write_row(self, old: BookRow | None, new: BookRow | None) -> None:
        if new is None:
            assert old is not None
            sql = SQL[type(old)]
            self._seen[type(old), key_of(old)] = None
            self.connection.execute(sql.delete, sql.key_values(old))
        else:
            sql = SQL[type(new)]
            self._seen[type(new), key_of(new)] = new
            if old is None:
                self.connection.execute(sql.insert, msgspec.structs.astuple(new))
            else:
                self.connection.execute(*update_of(old, new))


def _migrate_here(path: Path, _lock: int) -> None:
    """In this process, which keeps what that loads."""
    from vafa.ledger.migrations import migrate

    migrate(path)


class _Write:
    """A `write` that waits for its turn, or has had it: then `answer` or `error` is what came of it.

    over  held until then, by whoever decides for it
    """

    def __init__(self, decide: Callable[[Transaction], Any]) -> None:
        self.decide = decide
        self.keeps = False
        self.answer: Any = None
        self.error: BaseException | None = None
        self.over = threading.Lock()
        self.over.acquire()


class Ledger:
    """An open ledger. One instance a process, shared by all threads."""

    def __init__(self, directory: Path, wall_ms: Callable[[], int], migrate: Migrate = _migrate_here) -> None:
        """Open or create the ledger in `directory` for writing. Raises the LedgerError family."""
        self.path = storage.ledger_path(directory)
        self._wall_ms = wall_ms
        self._migrate = migrate
        self._lock = threading.Lock()
        self._waiting: list[_Write] = []  # the first of them leads: it decides for all
        self._queueing = threading.Lock()
        self.failure = ""  # why the last write failed; '' while all is well
        self.failed: LedgerError | None = None  # the same, with what to do
        self.has_reserve = True  # as far as known; `look_after` keeps it
        self.lost_commits = 0  # acknowledged once and not to be read any more; found when it was opened
        self.followers: list[Callable[[], None]] = []  # told after each commit, on its thread
        self._lock_descriptor = storage.lock_ledger(self.path)
        try:
            self.lost_commits = log_end.settle(self.path)
            self._connection: sqlite3.Connection | None = self._connected()
            self._head = _read_head(self._connection)
        except sqlite3.Error as error:
            os.close(self._lock_descriptor)
            raise explained(error, f"{self.path} cannot be read", self.path) from error
        except BaseException:
            os.close(self._lock_descriptor)
            raise

    @property
    def head(self) -> Head:
        """The newest committed row."""
        return self._head

    def write(self, decide: Callable[[Transaction], T]) -> T:
        """Run `decide` in a write transaction and commit what it posted, durably. Returns its answer.

        Raises what `decide` raises (nothing is then written), LedgerBusy when another program holds the file
        too long, LedgerError when the disk fails: then nothing may be acknowledged, and the next call starts
        from what the disk has.
        """
        mine = _Write(decide)
        with self._queueing:
            self._waiting.append(mine)
            leads = len(self._waiting) == 1
        if leads:
            self._write_all_that_wait()
        else:
            mine.over.acquire()
        if mine.error is not None:
            raise mine.error
        for follower in self.followers:
            follower()
        answer: T = mine.answer
        return answer

    def _write_all_that_wait(self) -> None:
        """One transaction, and one flush, for every write that came while the last one was being flushed.

        Those it decided for are woken by it. Waiting for the ledger's lock, as who comes next does, they
        would sleep on through the next flush, which is none of theirs.
        """
        with self._lock:
            with self._queueing:
                batch, self._waiting = self._waiting, []
            try:
                self._write_batch(batch)
            except BaseException as error:  # noqa: BLE001 - raised by each `write` it concerns
                failed = error
                if is_sqlite(error):
                    failed = self._failed(error)
                    failed.__cause__ = error
                for each in batch:
                    each.error = failed
            finally:
                for each in batch:
                    each.over.release()

    def _write_batch(self, batch: Sequence["_Write"]) -> None:
        try:
            self._commit(batch)
        except sqlite3.OperationalError as error:
            if not (is_full(error) and self._make_room()):
                raise
            for each in batch:
                each.error = None
            self._commit(batch)

    def _commit(self, batch: Sequence["_Write"]) -> None:
        connection = self._ready()
        connection.execute("BEGIN IMMEDIATE")
        head = self._head
        for each in batch:
            head = self._decided(connection, head, each, batch)
        # nothing to make durable costs no flush, and does not show that the disk takes anything
        is_news = head is not self._head or any(each.keeps for each in batch)
        connection.execute("COMMIT" if is_news else "ROLLBACK")
        if is_news or isinstance(self.failed, LedgerBusy):
            self._is_well()
        self._head = head
        if not self.has_reserve:
            self.has_reserve = reserve.keep(self.path)

    def _decided(
        self, connection: sqlite3.Connection, head: Head, each: "_Write", batch: Sequence["_Write"]
    ) -> Head:
        """The head after one write of a batch; unchanged, with all it did taken back, when it raised."""
        if len(batch) > 1:
            connection.execute("SAVEPOINT one")
        transaction = Transaction(connection, head, self._wall_ms())
        try:
            each.answer = each.decide(transaction)
        except (sqlite3.Error, MemoryError):  # nothing of the whole batch may stand
            raise
        except BaseException as error:  # noqa: BLE001 - raised by the `write` that asked for it
            each.error = error
            if len(batch) > 1:
                connection.execute("ROLLBACK TO one")
        if len(batch) > 1:
            connection.execute("RELEASE one")
        each.keeps = transaction.keeps and not each.error
        return head if each.error else transaction.head

    def read(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the books on the writing connection, between writes: for the daemon's own answers."""
        with self._lock:
            try:
                return question(self._ready())
            except (sqlite3.Error, MemoryError) as error:
                raise self._failed(error) from error

    def extend_log(self) -> bool:
        """A slice more for the log's file (`log_file.extend`); True when more may be wanted. LedgerError: the
        disk refused; then, as after a commit that failed, the next write starts from what the disk has."""
        with self._lock:
            try:
                self._ready()  # makes the log anew where a failure has taken it away
                return log_file.extend(self.path)
            except (OSError, sqlite3.Error) as error:
                raise self._failed(error) from error

    def look_after(self) -> None:
        """After a failure: does the disk take something again? And is there room kept aside? Never raises for
        the disk; to be called now and then, so that trouble ends though no sale comes."""
        with self._lock:
            if self.failed is not None and not isinstance(self.failed, LedgerDamaged):
                try:
                    connection = self._ready()
                    connection.execute("BEGIN IMMEDIATE")
                    (schema,) = connection.execute("PRAGMA user_version").fetchone()
                    connection.execute(f"PRAGMA user_version = {schema}")  # as it is: one page, durably
                    connection.execute("COMMIT")
                    self._is_well()
                except (sqlite3.Error, MemoryError) as error:
                    self._failed(error)
                except LedgerError as error:
                    self.failed, self.failure = error, str(error)
            if self.failed is None:
                self.has_reserve = reserve.keep(self.path)

    def close(self) -> None:
        """Close the file and give up the lock. A write in hand ends first; closing twice is harmless."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            if self._lock_descriptor >= 0:
                os.close(self._lock_descriptor)
                self._lock_descriptor = -1

    def _ready(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connected()
            self._head = _read_head(self._connection)
        return self._connection

    def _connected(self) -> sqlite3.Connection:
        return storage.connect_writer(self.path, lambda path: self._migrate(path, self._lock_descriptor))

    def _failed(self, error: BaseException) -> LedgerError:
        """Forget the connection: after an error only what the disk has counts."""
        self._forget()
        failed = explained(error, "the ledger could not be written", self.path)
        if not isinstance(self.failed, LedgerDamaged):
            self.failed, self.failure = failed, str(error) or type(error).__name__
        return failed

    def _is_well(self) -> None:
        """Damage stays said: that another page could be written proves nothing of the broken one."""
        if not isinstance(self.failed, LedgerDamaged):
            self.failure, self.failed = "", None

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _make_room(self) -> bool:
        """The disk is full: gives up what was kept aside, and empties the log into the database with it. The
        log's own room, which repeats pages, is free for rows then. False while a reader holds it."""
        self._forget()
        self.has_reserve = False
        reserve.give_up(self.path)
        held, _, _ = self._ready().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not held


def _read_head(connection: sqlite3.Connection) -> Head:
    """The head as the disk has it. LedgerDamaged when the newest row does not chain to the one before."""
    rows = [Row(*columns) for columns in connection.execute(_NEWEST_TWO)]
    if not rows:
        return Head()
    newest = rows[0]
    before = rows[1].hash if len(rows) == 2 else NO_HASH
    columns = (newest.epoch, newest.seq, newest.at, newest.kind, newest.body, newest.till, newest.state)
    if chain_hash(before, *columns) != newest.hash:
        raise LedgerDamaged(
            f"the newest journal row {newest.seq} does not follow the one before",
            fix="vafa verify; then restore the newest good backup",
        )
    return Head(
        newest.seq, newest.epoch, newest.hash, tills.unpack(newest.till), int.from_bytes(newest.state, "big")
    )
