"""What only a running daemon knows: each lane's line and hand. Plain values, for `status` and the log."""

from typing import Literal

import msgspec


class LaneState(msgspec.Struct, frozen=True):
    """One terminal as its lane sees it now.

    line         closed: not opened yet or lost; open: bytes can flow; local: no line, a program tells us
    doing        what the lane is at, in a few words: `idle`, `asking 125,000`, `customer pays`, `resolving`
    trouble      why the line is closed or what the terminal did wrong last; '' when all is well
    poll_trouble why the terminal's journal has not been read for a while; '' when it was
    disagreeing  our numbers of payments whose row in the terminal's journal differs from what we heard first
    fix, code    what to do about the trouble, where the lane knows better than `status`
    unposted     approved payments that could not be made durable yet: BROKEN while above 0
    """

    terminal: str
    mode: str
    address: str
    line: Literal["closed", "open", "local"]
    doing: str
    last_frame_age_s: float | None = None
    trouble: str = ""
    noise: int = 0
    faults: int = 0
    unposted: int = 0
    poll_trouble: str = ""
    polled_age_s: float | None = None
    disagreeing: tuple[str, ...] = ()
    fix: str = ""
    code: str = ""


class Live(msgspec.Struct, frozen=True):
    """The daemon's own part of `status`. `jobs`: name -> (ended well, age in seconds, words)."""

    version: str
    pid: int
    up_s: float
    lanes: tuple[LaneState, ...]
    ledger_failure: str = ""
    jobs: dict[str, tuple[bool, float, str]] = {}
    clock_jumps: int = 0


class SaleTimes(msgspec.Struct, frozen=True):
    """When each step of a sale happened, milliseconds of one monotonic clock; None: it was not seen.

    heard: the approval was decoded; durable: its commit was done; acknowledged: our ACK had left.
    """

    heard_ms: float
    durable_ms: float | None = None
    acknowledged_ms: float | None = None
