"""A device gets back what it lost: rows of its own number that its journal does not have, counted again.

They come from the hub, which holds them since before this device was restored from a backup, or because a
copy of it went on. They keep their own numbers and are retained as evidence (ledger.branches); what they did
is posted here as rows of ours (app.recounting), and a Checkpoint right behind says how far. All of a slice is
one transaction, so a cut or a crash anywhere counts no row twice and none not at all. Slices are short: a
sale never waits long for one.
"""

import shutil
from collections.abc import Sequence

import msgspec
import structlog

from vafa.app import recounting
from vafa.app.counter import Counter
from vafa.app.recount_value import Around, Recounted
from vafa.books.effect import Impossible
from vafa.books.rows import BranchRow
from vafa.ledger import branches, reads, upkeep
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.chain import Row
from vafa.model.errors import LedgerError, NotFound, ProgrammeError, Refused, SyncError

FREE_BYTES_MIN = 64 << 20  # what stays for sales: a branch has as many rows as the hub says
_WHY = "another branch of this journal went on under this epoch"
_CANNOT = (Refused, NotFound, ProgrammeError, Impossible)
_UNREADABLE = (ValueError, msgspec.DecodeError)

log = structlog.get_logger()


class Counts(msgspec.Struct):
    """Of one slice; see events.Checkpoint."""

    counted: int = 0
    known: int = 0
    left_out: int = 0
    short: int = 0


class Regaining:
    """The daemon's hand: it alone writes the ledger."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._ledger = counter.ledger

    def regain(self, first: bytes, rows: Sequence[Row], signature: bytes) -> str:
        """`take` for whom rows that do not follow are an answer: '' or why they are refused."""
        try:
            self.take(first, rows, signature)
        except SyncError as error:
            return str(error)
        return ""

    def take(self, first: bytes, rows: Sequence[Row], signature: bytes) -> int:
        """Count consecutive rows of the branch that begins with row hash `first`; the seq it is counted to.

        Rows that are counted already are passed over. SyncError when they do not follow what is here,
        LedgerError when they cannot be written; then nothing has changed.

        signature  the hub's of the last row, b'' for a slice that ends before it
        """
        free = shutil.disk_usage(self._ledger.path.parent).free
        if free < FREE_BYTES_MIN:
            raise LedgerError(
                f"{free >> 20} MB are free: rows that were lost wait, sales go on", fix="free disk space"
            )
        try:
            counted_to = self._ledger.write(lambda tx: self._taken(tx, first, rows, signature))
        except BaseException:
            self._ledger.read(self._counter.programmes.look_again)  # nothing was committed
            raise
        if any(row.kind == events.Kind.FORGET for row in rows):
            upkeep.checkpoint(self._ledger.path)  # who is forgotten does not stay in the log either
        return counted_to

    def _taken(self, tx: Transaction, first: bytes, rows: Sequence[Row], signature: bytes) -> int:
        branch = tx.find(BranchRow, (first,))
        fresh = [row for row in rows if branch is None or row.seq > branch.seq]
        if not fresh:
            return branch.seq if branch is not None else 0
        self._follow(tx, first, branch, fresh)
        now_ms = tx.at_ms
        self._open_epoch(tx, fresh[-1].epoch)
        counts = Counts()
        for row in fresh:
            branches.keep(tx.connection, first, row)
            tx.at_ms = row.at  # it happened then
            self._count(tx, first, row, now_ms // 1000, counts)
        tx.at_ms = now_ms
        last = fresh[-1]
        tx.post(
            events.Checkpoint(
                last.epoch, last.seq, last.state, branches.RETAINED, last.hash, signature, first,
                *msgspec.structs.astuple(counts),
            )
        )  # fmt: skip
        return last.seq

    @staticmethod
    def _follow(tx: Transaction, first: bytes, branch: BranchRow | None, rows: Sequence[Row]) -> None:
        """SyncError unless the rows chain to what is counted of the branch, or to where it left us."""
        if branch is not None:
            start: bytes | None = branch.hash
            fault = "" if rows[0].seq == branch.seq + 1 else f"{rows[0].seq} is not after {branch.seq}"
        else:
            start = branches.before(tx.connection, rows[0])
            fault = "" if rows[0].hash == first else "the branch begins with another row"
        if start is None:
            fault = fault or "they follow no row of this journal"
        fault = fault or branches.chain_fault(start or b"", iter(rows))
        if fault:
            raise SyncError(f"rows that were lost do not follow: {fault}", code="SYN-022")

    def _open_epoch(self, tx: Transaction, epoch: int) -> None:
        """Both branches number their rows: from here on no number of ours is one of theirs."""
        device = reads.device(tx.connection)
        assert device is not None, "a journal begins with its device"
        while tx.head.epoch <= epoch:
            before = (tx.head.epoch, tx.head.seq, tx.head.hash)
            tx.post(events.EpochOpened(device.ledger_id, device.device, before, device.key_id, _WHY))

    def _count(self, tx: Transaction, first: bytes, row: Row, now: int, counts: Counts) -> None:
        """One row. What cannot be counted is left out, said, and stays in the evidence."""
        try:
            done = self._counted(tx, Around(self._counter, first, row.seq, now), row)
        except _CANNOT as error:
            self._counter.programmes.look_again(tx.connection)
            log.warning("a row of a branch cannot be counted", row=f"{row.epoch}-{row.seq}", why=str(error))
            counts.left_out += 1
            return
        counts.counted += done.counted
        counts.known += not done.counted
        counts.short += done.short

    @staticmethod
    def _counted(tx: Transaction, around: Around, row: Row) -> Recounted:
        try:
            event = events.decode(row.kind, row.body)
        except _UNREADABLE as error:
            raise Refused(f"it cannot be read: {error}") from error
        return tx.attempt(lambda: recounting.recount(tx, around, event))
