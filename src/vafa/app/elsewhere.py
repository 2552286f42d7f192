"""What the hub told of the merchant's other devices, for when there is no network: their members, messages.

Read from the caches the sync process keeps (`sync/sync.db`); nothing of it is ever spent from, and nothing
waits for it: what cannot be read at once is not there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from vafa.model.errors import SyncError
from vafa.receipt.slip import Message
from vafa.sync.enrolment import FILE

if TYPE_CHECKING:
    from vafa.sync.kept import Connection
    from vafa.wire.messages import ReceiptMessage, RemoteMember

READ_WITHIN_S = 0.1

T = TypeVar("T")
log = structlog.get_logger()


class Elsewhere:
    """One ledger's. A device that is not enrolled has nothing, and loads nothing for it."""

    def __init__(self, ledger_directory: Path, wall_ms: Callable[[], int]) -> None:
        self._directory = ledger_directory.absolute()
        self._wall_ms = wall_ms

    def member(self, ids: Sequence[bytes]) -> "RemoteMember | None":
        """The first of these ids that is a member of another device."""

        def question(connection: "Connection") -> "RemoteMember | None":
            from vafa.sync import kept

            found = (kept.remote_member(connection, each) for each in ids)
            return next((each for each in found if each is not None), None)

        return self._asked(question)

    def message(self, holder: bytes) -> Message | None:
        """What a member's next slip may say: their own message first, the newest; one at most."""
        now_s = self._wall_ms() // 1000

        def question(connection: "Connection") -> "list[ReceiptMessage]":
            from vafa.sync import kept

            return kept.messages_for(connection, holder, now_s)

        found = self._asked(question) or []
        return Message(found[0].fa, found[0].en) if found else None

    def _asked(self, question: "Callable[[Connection], T]") -> T | None:
        if not (self._directory / FILE).exists():
            return None
        from vafa.sync import kept

        try:
            with kept.reading(kept.path_in(self._directory), READ_WITHIN_S) as connection:
                return None if connection is None else question(connection)
        except SyncError as error:
            log.warning("other devices are not known now", reason=str(error))
            return None
