"""What the courier tells of itself, for `vafa status` and the doctor: plain values, spans in seconds."""

from typing import Literal

import msgspec

REACH_SHOWN = 8  # so many of the last requests


class SyncFacts(msgspec.Struct, frozen=True):
    """How it stands between this device and its hub.

    host             the hub's name
    state            never: no request has ended yet; reachable, unreachable: how the last one ended; refused:
                     the hub answered and says no, for good, until a person acts
    trouble          why, in words for people; `fix` what to do, `code` to look up; '' when all is well
    next_try_s       seconds until the next request that is planned; None when none is (nothing waits)
    reach            how the last requests ended, newest first, at most REACH_SHOWN
    failed_age_s     since the last one that failed, None when none did
    waiting          rows the hub has not confirmed; retrying: those of them that were sent before in vain
    oldest_age_s     of the oldest row that waits, None when none does
    suspense         rows of ours the hub keeps aside because its books could not take them
    skew_s           our clock less the hub's, as of skew_age_s ago; None before the first answer
    paused_s         the data budget of a metered link is spent: seconds until there is a new one
    refused          a programme version that came down and was not taken; '' when the newest was
    branch_left      rows this device lost that are still to come back; branch_fault: why some were refused
    """

    host: str
    state: Literal["never", "reachable", "unreachable", "refused"] = "never"
    trouble: str = ""
    fix: str = ""
    code: str = ""
    last_sync_age_s: float | None = None
    next_try_s: float | None = None
    round_trip_ms: float | None = None
    reach: tuple[bool, ...] = ()
    failed_age_s: float | None = None
    waiting: int = 0
    retrying: int = 0
    suspense: int = 0
    oldest_age_s: float | None = None
    skew_s: float | None = None
    skew_age_s: float | None = None
    paused_s: float | None = None
    refused: str = ""
    branch_left: int = 0
    branch_fault: str = ""
