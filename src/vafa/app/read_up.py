"""How far each terminal's list of its last 13 transactions was read: what a later list must show to be whole.

A sale keyed at the terminal is told by its list alone, and leaves it when 13 more were made. That every
sale asked for over the line is known proves nothing of those between them: 13 of ours push one of the
keypad's out unseen. **A list is whole when it shows a payment that stood in the list read before it** (or
when it is all the terminal has); any other is a gap. So two things must be known, also after a power cut:

* which payments the list before showed. In memory by their keys; on the disk by how each payment was heard,
  which its own row says (`Source`), so that no reading writes anything: POLLED stood in a list that was read;
  LIVE_AFTER_LIST is the first heard after a list was read: those known before it were there to be seen; LIVE
  came later, and LOOKED_UP was taken from a list that nobody read for the others: both prove nothing.
* how many were heard since. So many that the next list might not reach back are no gap yet, but a reason to
  read it: soon (SOON_AFTER), and before another sale is asked for (READ_BEFORE), or a busy till had gaps.
"""

import threading
from collections.abc import Iterable, Sequence

import msgspec

from vafa.model.payment import Payment, PaymentKey, Source

SOON_AFTER = 4  # a third of the list: room for a reading or two to fail
READ_BEFORE = 8  # and five places left for sales of the keypad
_KEPT_MAX = 64  # nobody reads the list of a terminal in mode `local`


class Known(msgspec.Struct, frozen=True):
    """A payment in a list, as the ledger has it: its journal row, and how it was heard."""

    seq: int
    source: int


def proves(known: Sequence[Known], read_at: int) -> bool:
    """After a start: whether a list with these payments shows one that an earlier list showed.

    `read_at`: a journal row that a reading wrote (its baseline, its gap); what came before it was seen.
    """
    newest_first = sorted(known, key=lambda each: each.seq, reverse=True)
    for older, each in enumerate(newest_first, 1):
        if each.source == Source.POLLED or each.seq < read_at:
            return True
        if each.source == Source.LIVE_AFTER_LIST:
            return older < len(newest_first)
    return False


class _Since(msgspec.Struct):
    """One terminal, since its list was read.

    heard   payments told since by anything but its list; `during`: those since the question for it
    is_new  no payment was heard since it was read; `first`: the one that then was
    """

    heard: set[PaymentKey] = msgspec.field(default_factory=set)
    during: set[PaymentKey] = msgspec.field(default_factory=set)
    before_start: int = SOON_AFTER  # how many it may have been at the start: read it soon
    is_new: bool = False
    first: PaymentKey | None = None


class ReadUp:
    """All terminals of the device; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[str, _Since] = {}

    def source_of(self, payment: Payment) -> Source:
        """How a payment that is about to be written down was heard. The same again when it is tried again.

        What a list tells is no concern of this: only who reads it knows whether it was read for all it has.
        """
        if payment.source == Source.POLLED:
            return Source.POLLED
        with self._lock:
            since = self._since.setdefault(payment.key.tid, _Since())
            if len(since.heard) < _KEPT_MAX:
                since.heard.add(payment.key)
                since.during.add(payment.key)
            if since.is_new:
                since.is_new, since.first = False, payment.key
            is_first = since.first == payment.key and payment.source == Source.LIVE
        return Source.LIVE_AFTER_LIST if is_first else payment.source

    def unread(self, tid: str) -> int:
        """How many payments of a terminal may have been made since its list was read, as far as we know."""
        with self._lock:
            since = self._since.setdefault(tid, _Since())
            return len(since.heard) + since.before_start

    def asked(self, tid: str) -> None:
        """A question for the list leaves: what is heard from now on may have been made after it."""
        with self._lock:
            self._since.setdefault(tid, _Since()).during.clear()

    def read(self, tid: str, shown: Iterable[PaymentKey]) -> None:
        """The list was read, and what it led to is on the disk."""
        seen = frozenset(shown)
        with self._lock:
            later = self._since.setdefault(tid, _Since()).during - seen
            self._since[tid] = _Since(later, set(later), 0, is_new=not later)
