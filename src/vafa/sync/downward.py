"""What comes down: programme versions, members and messages of the merchant's other devices, the hub's time.

A programme version counts only with its own signature by the hub's key, and only when it can be read: a bad
one is refused and said, the one in force stays. Members and messages go into caches beside the ledger; time
raises the attested mark, which never falls, and is journalled once a day. Whom another device forgot is
forgotten here before anything of the answer is kept: what was cut off in between is told again.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
import structlog

from vafa.keys.sign import is_signed
from vafa.sync.kept import Kept, Sync
from vafa.sync.regain import Hand
from vafa.wire import signing
from vafa.wire.messages import Forgotten, Programme, SyncAnswer

ATTEST_EVERY_S = 20 * 3600  # a row a day is enough: the own clock is believed for 26 h

log = structlog.get_logger()


class Inbox(Hand, Protocol):
    """The daemon's hand: it alone writes the ledger."""

    def programme(self, document: str, from_at: int | None) -> str:
        """Activate a version; '' or why it was refused. SyncError when it could not be tried."""
        ...

    def forget(self, told: Sequence[Forgotten]) -> None:
        """Forget people whom other devices forgot, each row once. SyncError when it could not be written."""
        ...

    def attest(self, hub_s: int) -> None:
        """Journal the hub's time, UTC seconds. SyncError when it could not be."""
        ...


def take(answer: SyncAnswer, kept: Kept, inbox: Inbox, merchant: str, hub_key: bytes) -> Kept:
    """Activates what can be activated; what is kept, with how far we have it all now.

    The hub's running numbers are taken as it tells them: restored from a backup they are lower than ours, and
    what it numbers anew must reach us.
    """
    if answer.forgotten:
        inbox.forget(answer.forgotten)
    refused = kept.refused
    for programme in sorted(answer.programmes, key=lambda each: each.order):
        refused = _activated(programme, inbox, merchant, hub_key)
        if refused:
            log.error("a programme version was refused", order=programme.order, why=refused)
    return msgspec.structs.replace(kept, have=answer.have, refused=refused)


def _activated(programme: Programme, inbox: Inbox, merchant: str, hub_key: bytes) -> str:
    if not is_signed(hub_key, programme.signature, signing.programme_input(merchant, programme)):
        return f"programme version {programme.order} is not signed by the hub"
    fault = inbox.programme(programme.document, programme.from_at)
    return f"programme version {programme.order}: {fault}" if fault else ""


def attested(hub_ms: int, sync: Sync, kept: Kept, inbox: Inbox) -> Kept:
    """The hub's time taken in: the skew of our clock, the mark, once a day a row of the journal."""
    hub_s = hub_ms // 1000
    middle_ms = sync.at_ms + sync.took_ms // 2
    row_s = kept.attested_row_s
    if hub_s - row_s >= ATTEST_EVERY_S:
        inbox.attest(hub_s)
        row_s = hub_s
    return msgspec.structs.replace(
        kept,
        skew_ms=middle_ms - hub_ms,
        rtt_ms=sync.took_ms,
        checked_ms=sync.at_ms + sync.took_ms,
        attested_s=max(kept.attested_s, hub_s),
        attested_row_s=row_s,
    )
