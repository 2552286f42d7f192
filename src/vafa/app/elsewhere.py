"""What the hub told of the merchant's other devices, for when there is no network: their members, messages.

Read from the caches the sync process keeps (`sync/sync.db`); nothing of it is ever spent from, and nothing
waits for it: what cannot be read at once is not there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from vafa.model.errors import SyncError
from vafa.receipt.slip import Message
from vafa.sync import kept
from vafa.wire.messages import RemoteMember

READ_WITHIN_S = 0.1

T = TypeVar("T")
log = structlog.get_logger()


class Elsewhere:
    """One ledger's. A device without a hub has no such file: then there is nothing."""

    def __init__(self, ledger_directory: Path, wall_ms: Callable[[], int]) -> None:
        self._path = kept.path_in(ledger_directory.absolute())
        self._wall_ms = wall_ms

    def member(self, ids: Sequence[bytes]) -> RemoteMember | None:
        """The first of these ids that is a member of another device."""

        def question(connection: kept.Connection) -> RemoteMember | None:
            found = (kept.remote_member(connection, each) for each in ids)
            return next((each for each in found if each is not None), None)

        return self._asked(question)

    def message(self, holder: bytes) -> Message | None:
        """What a member's next slip may say: their own message first, the newest; one at most."""
        now_s = self._wall_ms() // 1000
        found = self._asked(lambda connection: kept.messages_for(connection, holder, now_s)) or []
        return Message(found[0].fa, found[0].en) if found else None

    def _asked(self, question: Callable[[kept.Connection], T]) -> T | None:
        try:
            with kept.reading(self._path, READ_WITHIN_S) as connection:
                return None if connection is None else question(connection)
        except SyncError as error:
            log.warning("other devices are not known now", reason=str(error))
            return None
