"""What counting a branch again does to the books: they remember how far, so that no row counts twice."""

from vafa.books.effect import Change, Effect, State, require
from vafa.books.rows import BranchRow
from vafa.books.till import TillSums
from vafa.model import events


def checkpoint(event: events.Checkpoint, seq: int, state: State, till: TillSums) -> Effect:
    """Rows of a branch are counted; what they did stands in the rows before this one."""
    require(bool(event.first), "a checkpoint of the journal's own rows is written by a newer Vafa")
    require(min(event.counted, event.known, event.left_out, event.short) >= 0, "a count is not below zero")
    old = state.find(BranchRow, (event.first,))
    if old is not None:
        forward = event.seq > old.seq and event.epoch >= old.epoch
        require(forward, f"the branch was counted up to {old.epoch}-{old.seq} before")
    before = (old.counted, old.known, old.left_out, old.short) if old else (0, 0, 0, 0)
    now = (event.counted, event.known, event.left_out, event.short)
    sums = (one + other for one, other in zip(before, now, strict=True))
    new = BranchRow(event.first, event.epoch, event.seq, event.snapshot_hash, seq, *sums)
    return Effect((Change(old, new),), till)
