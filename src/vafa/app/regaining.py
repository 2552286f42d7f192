"""A device gets back what it lost: rows of its own number that its journal does not have, counted again.

They come from the hub, which holds them since before this device was restored from a backup, or because a
copy of it went on. They keep their own numbers and are retained as evidence (ledger.branches); what they did
is posted here as rows of ours (app.recounting), and a Checkpoint right behind says how far. All of a slice is
one transaction, so a cut or a crash anywhere counts no row twice and none not at all. Slices are short: a
sale never waits long for one.
"""

import shutil
from collections.abc import Sequence
from itertools import dropwhile

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

    def regain(self, rows: Sequence[Row], signature: bytes) -> str:
        """`take` for whom rows that do not follow are an answer: '' or why they are refused."""
        try:
            self.take(rows, signature)
        except SyncError as error:
            return str(error)
        return ""

    def take(self, rows: Sequence[Row], signature: bytes) -> int:
        """Count consecutive rows of a branch; how many of them were news.

        Rows that came back before are passed over. SyncError when they do not follow what is here,
        LedgerError when they cannot be written; then nothing has changed.

        signature  the hub's of the last row, b'' for a slice that ends before it
        """
        free = shutil.disk_usage(self._ledger.path.parent).free
        if free < FREE_BYTES_MIN:
            raise LedgerError(
                f"{free >> 20} MB are free: rows that were lost wait, sales go on", fix="free disk space"
            )
        try:
            news = self._ledger.write(lambda tx: self._taken(tx, rows, signature))
        except BaseException:
            self._ledger.read(self._counter.programmes.look_again)  # nothing was committed
            raise
        if any(row.kind == events.Kind.FORGET for row in rows):
            upkeep.checkpoint(self._ledger.path)  # who is forgotten does not stay in the log either
        return news

    def _taken(self, tx: Transaction, rows: Sequence[Row], signature: bytes) -> int:
        fault = branches.chain_fault(branches.before(tx.connection, rows[0]), rows)
        if fault:
            raise SyncError(f"rows that were lost do not follow: {fault}", code="SYN-022")
        fresh = list(dropwhile(lambda row: branches.has(tx.connection, row), rows))
        if not fresh:
            self._say_known(tx, rows[-1], len(rows))
            return 0
        goes_on = branches.going_on(tx.connection, fresh[0])
        first = fresh[0].hash if goes_on is None else goes_on.first
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
        return len(fresh)

    @staticmethod
    def _say_known(tx: Transaction, last: Row, known: int) -> None:
        """All of it is here and the hub does not know: it lost what we had of it. A Checkpoint tells."""
        told = {(each.seq, each.hash) for each in branches.counted(tx.connection)}
        if (last.seq, last.hash) not in told and tx.find(BranchRow, (last.hash,)) is None:
            place = (last.epoch, last.seq, last.state, branches.RETAINED, last.hash)
            tx.post(events.Checkpoint(*place, first=last.hash, known=known))

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
            done = self._counted(tx, Around(self._counter, first, row.epoch, row.seq, now), row)
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
