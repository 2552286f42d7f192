"""What the courier keeps between syncs, in a database of its own beside the ledger (`sync/sync.db`).

Nothing here is the truth: the journal is, and the hub's answer. Lost or damaged it is begun anew, the hub
tells how far it has the rows and sends again what comes down. So it lies outside the chain, the upload and
the books, is written by the sync process alone and read by the daemon and the command line.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from vafa.model.errors import SyncError
from vafa.sync.budget import Left
from vafa.wire.messages import Have, Mark, Note, ReceiptMessage, RemoteMember

Connection = sqlite3.Connection
FOLDER, FILE = "sync", "sync.db"
LOG_ROWS_KEPT = 500
_BUSY_S = 5.0
# The last is what Python makes of bytes that are no text: in a value, or in SQLite's words of a broken page.
UNREADABLE = (sqlite3.Error, msgspec.DecodeError, UnicodeDecodeError)
_BROKEN = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_TABLES = """
CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY CHECK (id = 1), value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS log (number INTEGER PRIMARY KEY AUTOINCREMENT, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS member (
    id BLOB PRIMARY KEY, last4 TEXT NOT NULL, balance INTEGER NOT NULL, as_of INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token (
    token BLOB NOT NULL, member BLOB NOT NULL, PRIMARY KEY (token, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS token_member ON token (member);
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, holder BLOB NOT NULL, fa TEXT NOT NULL, en TEXT NOT NULL, from_at INTEGER, until
    INTEGER
) STRICT;
CREATE INDEX IF NOT EXISTS message_holder ON message (holder);
"""


def path_in(ledger_directory: Path) -> Path:
    """Where it lies."""
    return ledger_directory / FOLDER / FILE


class Trouble(msgspec.Struct, frozen=True):
    """What stops the sync until a person acts, or what was wrong the last time."""

    code: str
    text: str
    fix: str = ""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Where the sync stands.

    received, safe   the hub's marks, checked against our own journal
    failures         syncs in a row that failed; retry_at_s: monotonic second of boot `boot` of the next try
    held             the wait was asked for by the hub: a link coming up does not shorten it
    final            why trying again does not help, None while it does
    trouble          what the last sync failed with, None when it went well
    refused          a programme version that was not taken, '' when the newest was
    skew_ms          our clock against the hub's at `checked_ms` (ours), in `rtt_ms`
    attested_s       the newest time the hub signed, UTC seconds; never falls
    attested_row_s   the newest of them that was journalled
    whole            the hub wants rows with till and state
    suspense         rows of ours the hub could not book
    branch_left      rows that were lost and are still to come back; branch_fault: why some were refused
    hub, device      short digests of whose hub this is of, and of who we were to it
    """

    received: Mark = Mark()
    safe: Mark = Mark()
    have: Have = Have()
    failures: int = 0
    boot: str = ""
    retry_at_s: float = 0.0
    held: bool = False
    final: Trouble | None = None
    trouble: Trouble | None = None
    refused: str = ""
    notes: tuple[Note, ...] = ()
    skew_ms: int = 0
    rtt_ms: int = 0
    checked_ms: int = 0
    attested_s: int = 0
    attested_row_s: int = 0
    whole: bool = False
    suspense: int = 0
    branch_left: int = 0
    branch_fault: str = ""
    last_ok_ms: int = 0
    last_ok_at_s: float = 0.0
    facts_told: bytes = b""
    budget: Left | None = None
    hub: bytes = b""
    device: bytes = b""


class Sync(msgspec.Struct, frozen=True):
    """One sync in the log. `link_bytes`: all it cost on the link; `up`, `down`: the bodies; `regained`: rows
    that were lost and came back."""

    at_ms: int
    ok: bool
    rows: int
    up: int
    down: int
    link_bytes: int
    new_connection: bool
    took_ms: int
    link: str = ""
    code: str = ""
    text: str = ""
    regained: int = 0


_decoder = msgspec.msgpack.Decoder(Kept)
_syncs = msgspec.msgpack.Decoder(Sync)
_encoder = msgspec.msgpack.Encoder()


class Store:
    """The courier's hand on it. One writer."""

    def __init__(self, path: Path | None) -> None:
        """Open or begin it; None keeps all in memory, for a simulation. SyncError when it cannot be."""
        self._path = path
        try:
            self._connection = self._opened()
            self.kept = self._read()
        except (*UNREADABLE, OSError) as error:
            self.kept, self._connection = Kept(), self._begun_anew(error)

    def keep(
        self,
        kept: Kept,
        sync: Sync | None = None,
        members: Sequence[RemoteMember] = (),
        messages: Sequence[ReceiptMessage] = (),
    ) -> None:
        """All of it or nothing: where we stand, a line of the log, what came down."""
        with self._writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("REPLACE INTO kept VALUES (1, ?)", (_encoder.encode(kept),))
                if sync is not None:
                    _log(connection, sync)
                for member in members:
                    _take_member(connection, member)
                for message in messages:
                    _take_message(connection, message)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        self.kept = kept

    def forget(self) -> None:
        """Begin anew, as for another hub."""
        with self._writing() as connection:
            for table in ("log", "member", "token", "message"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
        self.keep(Kept())

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        """SyncError for what the disk does. A file that turns out broken is begun anew, for the next sync."""
        try:
            yield self._connection
        except (sqlite3.Error, UnicodeDecodeError) as error:
            name = getattr(error, "sqlite_errorname", _BROKEN[0])
            if name.startswith(_BROKEN):
                self._connection.close()
                self._connection = self._begun_anew(error)
                self.kept = Kept()
            raise SyncError(
                f"what the sync keeps could not be written ({error})", fix="free disk space", code="SYN-007"
            ) from error

    def _opened(self) -> sqlite3.Connection:
        place = ":memory:"
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
            place = str(self._path)
        connection = sqlite3.connect(place, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")  # nothing here is lost for good by a power cut
            connection.executescript(_TABLES)
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        except UNREADABLE:
            connection.close()
            raise
        return connection

    def _read(self) -> Kept:
        return _kept(self._connection)

    def _begun_anew(self, error: Exception) -> sqlite3.Connection:
        """A file that cannot be read is put aside: the hub tells again what was in it."""
        try:
            if self._path is not None:
                self._path.replace(self._path.with_suffix(".unreadable"))
                for suffix in ("-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._opened()
        except (*UNREADABLE, OSError) as again:
            raise SyncError(
                f"what the sync keeps can be neither read ({error}) nor begun anew ({again})",
                fix="check the disk and the rights of the folder sync beside the ledger",
                code="SYN-007",
            ) from again


def _kept(connection: sqlite3.Connection) -> Kept:
    row = connection.execute("SELECT value FROM kept").fetchone()
    return Kept() if row is None else _decoder.decode(_bytes(row[0]))


def _bytes(value: object) -> bytes:
    """DecodeError for what a damaged page holds in its place."""
    if isinstance(value, bytes):
        return value
    raise msgspec.DecodeError("a value is no bytes")


def _log(connection: sqlite3.Connection, sync: Sync) -> None:
    number = connection.execute("INSERT INTO log (value) VALUES (?)", (_encoder.encode(sync),)).lastrowid
    connection.execute("DELETE FROM log WHERE number <= ?", ((number or 0) - LOG_ROWS_KEPT,))


def _take_member(connection: sqlite3.Connection, member: RemoteMember) -> None:
    connection.execute("DELETE FROM token WHERE member = ?", (member.member,))
    connection.execute("DELETE FROM member WHERE id = ?", (member.member,))
    if not member.gone:
        row = (member.member, member.last4, member.balance, member.as_of)
        connection.execute("INSERT INTO member VALUES (?, ?, ?, ?)", row)
        pairs = [(token, member.member) for token in dict.fromkeys(member.tokens)]
        connection.executemany("INSERT INTO token VALUES (?, ?)", pairs)


def _take_message(connection: sqlite3.Connection, message: ReceiptMessage) -> None:
    if message.gone:
        connection.execute("DELETE FROM message WHERE id = ?", (message.id,))
    else:
        row = (message.id, message.holder, message.fa, message.en, message.from_at, message.until)
        connection.execute("REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?)", row)


def renewed(directory: Path, *, same_hub: bool) -> None:
    """After an enrolment: what the hub's last no stopped goes on. Of another hub, merchant or number nothing
    that was kept is true any more. SyncError when it cannot be written."""
    if not path_in(directory).exists():
        return
    store = Store(path_in(directory))
    try:
        if same_hub:
            store.keep(
                msgspec.structs.replace(
                    store.kept, final=None, trouble=None, failures=0, held=False, retry_at_s=0.0
                )
            )
        else:
            store.forget()
    finally:
        store.close()


@contextlib.contextmanager
def reading(path: Path, within_s: float = _BUSY_S) -> Iterator[Connection | None]:
    """A read-only connection, None where no sync ever kept anything. SyncError when it cannot be read."""
    if not path.exists():
        yield None
        return
    try:
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=ro", uri=True, timeout=within_s, isolation_level=None
        )
        try:
            yield connection
        finally:
            connection.close()
    except UNREADABLE as error:
        raise SyncError(
            f"what the sync keeps cannot be read ({error})",
            fix="it is begun anew by the next sync",
            code="SYN-007",
        ) from error


def kept_in(connection: sqlite3.Connection) -> Kept:
    """Where the sync stands."""
    return _kept(connection)


def log_in(connection: sqlite3.Connection, newest: int) -> list[Sync]:
    """The last syncs, the newest first."""
    rows = connection.execute("SELECT value FROM log ORDER BY number DESC LIMIT ?", (newest,))
    return [_syncs.decode(_bytes(row[0])) for row in rows]


def counts_in(connection: sqlite3.Connection) -> tuple[int, int]:
    """(members, messages) of the caches."""
    found = connection.execute("SELECT (SELECT count(*) FROM member), (SELECT count(*) FROM message)")
    members, messages = found.fetchone()
    return members, messages


def remote_member(connection: sqlite3.Connection, member: bytes) -> RemoteMember | None:
    """A member of the merchant's other devices, by id; without their cards."""
    row = connection.execute(
        "SELECT id, last4, balance, as_of FROM member WHERE id = ?", (member,)
    ).fetchone()
    return None if row is None else msgspec.convert((row[0], row[1], (), row[2], row[3]), RemoteMember)


def remote_members_of(connection: sqlite3.Connection, token: bytes) -> list[bytes]:
    """The members of the merchant's other devices a card belongs to."""
    return [row[0] for row in connection.execute("SELECT member FROM token WHERE token = ?", (token,))]


def messages_for(connection: sqlite3.Connection, holder: bytes, now_s: int) -> list[ReceiptMessage]:
    """What a holder's receipt may say today, their own first, then everybody's, the newest first."""
    rows = connection.execute(
        "SELECT id, holder, fa, en, from_at, until FROM message WHERE holder IN (?, x'') "
        "AND coalesce(from_at, ?) <= ? AND coalesce(until, ?) >= ? ORDER BY length(holder) DESC, id DESC",
        (holder, now_s, now_s, now_s, now_s),
    )
    return [msgspec.convert(row, ReceiptMessage) for row in rows]
