"""What the control socket is asked about the sync, and answers. Types only, as in `questions`."""

from typing import Annotated

from msgspec import Meta, Struct

from vafa.app.question import Question, Reply
from vafa.sync.facts import SyncFacts

LOG_ROWS_MAX = 500
NOW_S_MAX = 170


class SyncNow(Question, frozen=True, tag="sync now"):
    """Sync at once, whatever is being waited for; the answer comes when it ended, or after `within_s`."""

    within_s: Annotated[int, Meta(ge=1, le=NOW_S_MAX)] = 60


class SyncStatus(Question, frozen=True, tag="sync status"):
    """Where the sync stands."""


class SyncLog(Question, frozen=True, tag="sync log"):
    """The last syncs."""

    limit: Annotated[int, Meta(ge=1, le=LOG_ROWS_MAX)] = 20


AnySyncQuestion = SyncNow | SyncStatus | SyncLog
SYNC_QUESTIONS = (SyncNow, SyncStatus, SyncLog)


class SyncStanding(Struct, frozen=True):
    """Where it stands.

    received, safe    our short numbers of the newest rows the hub has, and has in its backups too; '' none
    refused           a programme version that was not taken, '' when the newest was
    notes             what the hub wants people here to know: (code, text)
    members, messages how many of the merchant's other devices are kept for when there is no network
    left_kb           of a metered link's daily allowance, None where nothing is metered or limited
    came_back         of rows this device lost: counted again, here already, left out, and points that were
                      spent twice and are owed
    process           the sync process, 0 while there is none
    """

    merchant: str
    device: int
    facts: SyncFacts
    received: str = ""
    safe: str = ""
    refused: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    members: int = 0
    messages: int = 0
    left_kb: int | None = None
    process: int = 0
    came_back: tuple[int, int, int, int] = (0, 0, 0, 0)


class SyncIs(Reply, frozen=True, tag="sync"):
    """Where it stands; `tried`: a sync that was asked for has ended, `ok` well."""

    standing: SyncStanding
    tried: bool = False
    ok: bool = False


class LoggedSync(Struct, frozen=True):
    """One sync: when, how it ended, what it carried and cost on the link."""

    at: str
    ok: bool
    rows: int
    up: int
    down: int
    link_bytes: int
    new_connection: bool
    took_ms: int
    link: str
    code: str
    text: str
    regained: int = 0


class SyncLogIs(Reply, frozen=True, tag="sync log"):
    """The last syncs, the newest first."""

    syncs: tuple[LoggedSync, ...]
