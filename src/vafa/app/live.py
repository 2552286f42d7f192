"""What only a running daemon knows: each lane's line and hand. Plain values, for `status` and the log."""

from typing import Literal

import msgspec

from vafa.app.standing import HubFacts, LinkFacts, NotificationFacts, Queue, Trouble


class LaneState(msgspec.Struct, frozen=True):
    """One terminal as its lane sees it now.

    line         closed: not opened yet or lost; open: bytes can flow; local: no line, a program tells us
    doing        what the lane is at, in a few words: `idle`, `asking 125,000`, `customer pays`, `resolving`
    trouble      why the line is closed or what the terminal did wrong last; '' when all is well
    poll_trouble why the terminal's journal has not been read for a while; '' when it was
    disagreeing  our numbers of payments whose row in the terminal's journal differs from what we heard first
    fix, code    what to do about the trouble, where the lane knows better than `status`
    finding      what the line's bytes say: garbled, noisy, refusing, mute, silent; '' nothing wrong
    cut_off      the terminal is not heard at all, though its line may be open
    since_s      how long the line has been open or closed, or the finding has stood
    wired        the line as the system has it: `ttyUSB0 115200 8N1`; '' where there is no more to say
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
    finding: str = ""
    cut_off: bool = False
    since_s: float | None = None
    wired: str = ""
    nacks: int = 0


class LocalLine(msgspec.Struct, frozen=True):
    """Where payment applications come in, as it stands now.

    state    listening: a socket or a port; open, closed: a serial line
    clients  connections served now; a serial line does not know who is at its end
    noise    lines of a serial line that held no request
    """

    kind: Literal["socket", "tcp", "serial"]
    address: str
    state: Literal["listening", "open", "closed"]
    clients: int = 0
    noise: int = 0
    trouble: str = ""
    fix: str = ""
    code: str = ""


class HubLive(msgspec.Struct, frozen=True):
    """An enrolled device's links and hub; what `queue` keeps is the ledger's to say."""

    hub: HubFacts
    links: tuple[LinkFacts, ...]
    queue: Queue
    trouble: tuple[Trouble, ...] = ()


class PrinterState(msgspec.Struct, frozen=True):
    """A printer for `status`. `doing`: ready, printing, or what is wrong; `fix` and `code` for that.

    waiting     pages not yet on paper
    given_up    pages that were not printed in time since the start; `last_given_up` our number of the newest
    """

    name: str
    address: str
    profile: str
    doing: str
    waiting: int = 0
    printed: int = 0
    given_up: int = 0
    last_given_up: str = ""
    printed_age_s: float | None = None
    paper_low: bool = False
    message: str = ""
    fix: str = ""
    code: str = ""


class Live(msgspec.Struct, frozen=True):
    """The daemon's own part of `status`. `jobs`: name -> (ended well, age in seconds, words).

    has_reserve  as much room is kept aside on the ledger's disk as there should be
    unbegun      why jobs and sync do not run, '' when they do
    """

    version: str
    pid: int
    up_s: float
    lanes: tuple[LaneState, ...]
    ledger_failure: str = ""
    ledger_fix: str = ""
    ledger_code: str = ""
    has_reserve: bool = True
    unbegun: str = ""
    jobs: dict[str, tuple[bool, float, str]] = {}
    clock_jumps: int = 0
    hub: HubLive | None = None
    local: tuple[LocalLine, ...] = ()
    notifications: NotificationFacts | None = None
    printers: tuple[PrinterState, ...] = ()


class SaleTimes(msgspec.Struct, frozen=True):
    """When each step of a sale happened, milliseconds of one monotonic clock; None: it was not seen.

    heard: the approval was decoded; durable: its commit was done; acknowledged: our ACK had left.
    """

    heard_ms: float
    durable_ms: float | None = None
    acknowledged_ms: float | None = None
