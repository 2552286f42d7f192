"""Rows that this device lost come back from the hub: judged here, counted by the daemon.

They count only when they chain, row by row, from a row that is here to the one the hub signed: the same
pinned key that signs every answer. The daemon takes them in short slices, each whole or not at all, and the
ledger itself says how far it has counted: so a cut, a kill or a repeated answer changes nothing. What does
not follow is refused and said; rows go up and sales go on all the same.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
import structlog

from vafa.keys.sign import is_signed
from vafa.model.chain import Row, chain_hash
from vafa.model.errors import Malformed, SyncError, VafaError
from vafa.sync.kept import Kept
from vafa.wire import limits, signing
from vafa.wire.messages import Branch, Mark
from vafa.wire.rows import WireRow, unpack

SLICE_ROWS, SLICE_BYTES = 50, 256 * 1024  # of one transaction: a sale never waits long for one

log = structlog.get_logger()


class Ends(Protocol):
    """What the ledger knows of branches it left."""

    def counted(self) -> Sequence[Mark]:
        """The last row of each branch that is counted here, the newest first."""
        ...

    def before(self, seq: int) -> list[bytes]:
        """The chain hashes that a row `seq` of a branch may follow: of rows here and of what came back."""
        ...


class Hand(Protocol):
    """The daemon's: it alone writes the ledger."""

    def regain(self, rows: Sequence[Row], signature: bytes) -> str:
        """Count rows of a branch; '' or why they are refused. SyncError when it could not be tried."""
        ...


def asked_for(ends: Ends, kept: Kept, *, has_rows: bool) -> tuple[Mark, ...] | None:
    """What to say of the branches: None where nothing is to come. After a part that was refused only a
    request without rows asks again: what a hub that is wrong costs stays small."""
    if kept.branch_fault and has_rows:
        return None
    return tuple(ends.counted())[: limits.BRANCHES_MAX]


def take(
    branch: Branch | None, kept: Kept, ends: Ends, hand: Hand, whose: tuple[str, int], hub_key: bytes
) -> tuple[Kept, int]:
    """What is kept after an answer that was asked for such rows, and how many it brought that are counted
    now; 0 too where all were here before: then there is no hurry to ask again.

    whose  (merchant, device), which the hub's signature is over
    """
    if branch is None:
        return msgspec.structs.replace(kept, branch_left=0, branch_fault=""), 0
    done, fault, before = 0, "", list(ends.counted())
    try:
        rows = judged(branch, ends, whose, hub_key)
        for part in _slices(rows):
            fault = hand.regain(part, branch.signature if part[-1] is rows[-1] else b"")
            if fault:
                break
            done += len(part)
    except VafaError as error:
        fault = str(error)
    if fault:
        log.error("rows that were lost are refused", why=fault)
        return msgspec.structs.replace(kept, branch_fault=fault), done
    left = branch.newest - rows[-1].seq
    done = done if list(ends.counted()) != before else 0
    return msgspec.structs.replace(kept, branch_left=left, branch_fault=""), done


def judged(branch: Branch, ends: Ends, whose: tuple[str, int], hub_key: bytes) -> list[Row]:
    """The rows of a branch with their hashes. SyncError, Malformed for what does not follow or is not
    signed."""
    if not branch.rows:
        raise Malformed("a branch without rows")
    sent = unpack(branch.rows)
    starts = ends.before(sent[0].seq)
    rows = next((found for start in starts if (found := _chained(start, sent, branch))), [])
    if not rows:
        where = f"row {sent[0].epoch}-{sent[0].seq}"
        raise SyncError(f"{where} and those after it do not chain to this journal", code="SYN-022")
    last = rows[-1]
    merchant, device = whose
    signed = signing.branch_input(merchant, device, last.epoch, last.seq, last.hash, last.state)
    if not is_signed(hub_key, branch.signature, signed):
        raise SyncError("they are not signed by the hub", code="SYN-022")
    if last.seq > branch.newest:
        raise SyncError("there are more than the hub says it holds", code="SYN-022")
    return rows


def _chained(start: bytes, sent: list[WireRow], branch: Branch) -> list[Row]:
    """The rows after the row with hash `start`; [] where they do not end in the hash that was named."""
    rows: list[Row] = []
    for row in sent:
        if row.till is None or row.state is None:
            raise Malformed("rows of a branch come whole")
        columns = (row.epoch, row.seq, row.at, row.kind, row.body, row.till, row.state)
        start = chain_hash(start, *columns)
        rows.append(Row(*columns, start))
    return rows if start == branch.head else []


def _slices(rows: list[Row]) -> Iterator[list[Row]]:
    part: list[Row] = []
    size = 0
    for row in rows:
        if part and (len(part) == SLICE_ROWS or size + len(row.body) > SLICE_BYTES):
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row.body)
    yield part
