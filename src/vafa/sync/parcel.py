"""What goes into one request and what may be believed of its answer, given the journal."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from vafa.keys.sign import SignatureWrong, is_signed
from vafa.model.chain import Row
from vafa.model.errors import Malformed, SyncError, VafaError
from vafa.sync.refused import Later
from vafa.sync.regain import Ends
from vafa.sync.transport import Reply
from vafa.wire import limits, signing
from vafa.wire.messages import MARK_HASH_BYTES, SYNC_PATH, AnswerContent, Envelope, Mark
from vafa.wire.rows import pack

_ENVELOPE_BYTES = 4_096  # what a request has beside its rows, at most


class Journal(Ends, Protocol):
    """Our own rows, as the ledger has them, and what it knows of branches it left."""

    def newest(self) -> int:
        """The newest seq, 0 for an empty journal."""
        ...

    def row(self, seq: int) -> Row | None:
        """One row."""
        ...

    def rows_after(self, seq: int, at_most: int) -> Sequence[Row]:
        """Consecutive rows, oldest first."""
        ...

    def epoch_begins(self, after_epoch: int) -> int | None:
        """The seq of the first row of the first epoch above this one."""
        ...


class Wanted(msgspec.Struct, frozen=True):
    """Which rows a request is to carry: those after a row, at most so many, whole or not."""

    after: int
    at_most: int
    whole: bool = False


class Parcel(msgspec.Struct, frozen=True):
    """Rows as they travel: how many, the chain hash after the last. Nothing where there were none."""

    count: int = 0
    head: bytes = b""
    payload: bytes = b""


class Packer:
    """Packs requests' rows, the next one's ahead while the hub works on this one's.

    Packing takes about half as long as the hub does: a backlog drains faster by that. Rows never change, so
    what was packed ahead is good whenever it is what is wanted next, and nothing is lost when it is not.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ahead: tuple[Wanted, Parcel] | None = None

    def packed(self, wanted: Wanted) -> Parcel:
        """As many of the rows as fit into one request. SyncError where not even one does."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == wanted:
            return ahead[1]
        return _packed(self._journal, wanted)

    def ahead(self, wanted: Wanted) -> None:
        """Pack what will be wanted next, where that is a full request."""
        try:
            parcel = _packed(self._journal, wanted)
        except VafaError:
            return  # said in its turn, when it is really wanted
        if parcel.count == wanted.at_most:
            self._ahead = wanted, parcel


def _packed(journal: Journal, wanted: Wanted) -> Parcel:
    rows = journal.rows_after(wanted.after, wanted.at_most)
    while rows:
        payload = pack(rows, whole=wanted.whole)
        if len(payload) <= limits.REQUEST_BYTES_MAX - _ENVELOPE_BYTES:
            return Parcel(len(rows), rows[-1].hash, payload)
        if len(rows) == 1:
            raise SyncError(
                f"journal row {rows[0].seq} is too large to be sent", fix="report this", code="SYN-008"
            )
        rows = rows[: len(rows) // 2]
    return Parcel()


def mark_at(journal: Journal, seq: int) -> Mark:
    """The mark of one of our rows; before the first where there is none."""
    row = journal.row(seq)
    return Mark() if row is None else Mark(row.epoch, row.seq, row.hash[:MARK_HASH_BYTES])


def last_shared(journal: Journal) -> int:
    """The last row that the hub may well hold, when nothing is known of it: what the sync kept is gone.

    A device that was restored has opened an epoch: that is news, and the row before it came from a backup.
    """
    newest = journal.row(journal.newest())
    begins = None if newest is None else journal.epoch_begins(newest.epoch - 1)
    return journal.newest() if begins is None or begins == 1 else begins - 1


def placed(journal: Journal, mark: Mark, before: Mark) -> Mark:
    """The hub's mark in our journal, after a request whose rows followed `before`. SyncError for none.

    A hub that does not hold `before` looks for where our branches part: it names rows further and further
    back until one is in both, and takes the rows from there as a branch of their own. A device that was
    restored opens an epoch at a row the hub has of the epoch before: then our rows begin there.
    """
    if mark.seq == 0:
        return Mark()
    row = journal.row(mark.seq)
    if row is not None and row.epoch == mark.epoch and row.hash.startswith(mark.hash):
        return mark_at(journal, mark.seq)
    if row is not None and mark.seq < before.seq:
        return mark_at(journal, mark.seq)  # not in our branch: further back, then
    begins = journal.epoch_begins(mark.epoch)
    if begins is not None and begins <= mark.seq + 1:
        return mark_at(journal, begins - 1)
    raise SyncError(
        f"the hub has row {mark.epoch}-{mark.seq} otherwise than this device, or this one lost it",
        fix="was the ledger copied or replaced? restore it properly: vafa restore",
        code="SYN-009",
    )


def believed(reply: Reply, asked: Envelope, body: bytes, hub_key: bytes) -> AnswerContent:
    """The answer, once it is signed by the pinned key for exactly this request. SyncError otherwise.

    Without a signature an error's status only says that somebody is to be asked again: it may be a proxy's.
    """
    later = Later(
        f"the hub is not ready, or something answers for it: HTTP {reply.status}", wait_s=reply.retry_after_s
    )
    try:
        answer = signing.read_answer(reply.body)
    except Malformed as error:
        if reply.status == 200:
            raise
        raise later from error
    if not is_signed(hub_key, answer.signature, signing.answer_input(SYNC_PATH, asked.nonce, body, answer)):
        if reply.status != 200:
            raise later
        raise SignatureWrong(
            "the answer is not signed by the hub this device enrolled with",
            fix="is something between here and the hub? else ask who runs it for its key's fingerprint",
        )
    return signing.answer_content(answer)
