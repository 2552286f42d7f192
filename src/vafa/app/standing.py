"""How things stand, as `vafa status` shows it and `--json` prints it: plain values, nothing else.

Apart from `app.status`, which finds them out, so that the command which only shows them loads in
milliseconds. Instants are ISO 8601 in UTC, ages and spans in seconds, ids text.
"""

from typing import Literal

from msgspec import Struct

SCHEMA = 1

Verdict = Literal["ok", "degraded", "broken"]


class Trouble(Struct, frozen=True):
    """One thing that is not as it should be; `fix` is what to do, `code` what support looks up."""

    level: Literal["degraded", "broken"]
    message: str
    fix: str
    code: str


class TerminalFacts(Struct, frozen=True):
    """A terminal. `state`: answering, unheard, silent, garbled, refusing, other terminal, closed, local.

    unheard       its line is open and nothing came yet: no sale through the relay, no question asked so far
    since_s       how long the line has been open or closed, or the terminal silent, garbled or refusing
    wired         the line as the system has it: `ttyUSB0 115200 8N1`; '' where the address says all
    nacks         how often it refused something
    polled_age_s  since its own list of transactions was read, None when it never was
    disagreeing   our numbers of payments that this list shows otherwise
    """

    terminal: str
    mode: str
    address: str
    state: str
    doing: str = ""
    last_frame_age_s: float | None = None
    noise: int = 0
    faults: int = 0
    polled_age_s: float | None = None
    disagreeing: tuple[str, ...] = ()
    since_s: float | None = None
    wired: str = ""
    nacks: int = 0


class NotificationFacts(Struct, frozen=True):
    """What terminals said by UDP since the start (unproven; each one heard only makes a poll come at once).

    heard     of terminals configured here;  strangers  of others;  garbage  datagrams that are none
    """

    port: int
    heard: int = 0
    strangers: int = 0
    garbage: int = 0
    trouble: tuple[Trouble, ...] = ()


class LocalLineFacts(Struct, frozen=True):
    """Where payment applications come in: a socket, a port or a serial line.

    state    listening, open or closed
    clients  connections served now; a serial line does not know who is at its end
    """

    kind: str
    address: str
    state: str
    clients: int = 0
    noise: int = 0


class ClockFacts(Struct, frozen=True):
    """The device's own clock; nobody vouches for it yet. `behind_s`: how far behind the newest row."""

    time: str
    zone: str
    attested: bool = False
    jumps: int = 0
    behind_s: int = 0


class Queue(Struct, frozen=True):
    """What waits to be sent. A device that is not enrolled has no queue: `kept` events lie on it.

    waiting   events the hub has not confirmed; None while nobody can say
    retrying  those of the waiting events that were sent before in vain; suspense: kept aside at the hub
    """

    enrolled: bool
    kept: int
    waiting: int | None = None
    retrying: int = 0
    suspense: int = 0
    oldest_age_s: float | None = None


class LinkFacts(Struct, frozen=True):
    """A network link. `state`: online (the hub answered by it), up, no carrier, or down.

    since    when it came to be so; carries: it is the one our bytes take now
    metered  its bytes cost; radio: LTE, 3G ... where a modem manager says so
    was_up   it was up at some time since the daemon began to watch
    """

    name: str
    kind: str
    state: str
    since: str
    age_s: float
    carries: bool = False
    metered: bool = False
    radio: str = ""
    round_trip_ms: float | None = None
    was_up: bool = False


class HubFacts(Struct, frozen=True):
    """The hub this device is enrolled with. `state`: never asked, reachable, unreachable, refused.

    reach   how the last requests ended, newest first; failed_at: when the last bad one did, '' for none
    skew_s  this device's clock less the hub's, as of skew_age_s ago
    """

    host: str
    state: str
    last_sync_age_s: float | None = None
    next_try_s: float | None = None
    reach: tuple[bool, ...] = ()
    failed_at: str = ""
    skew_s: float | None = None
    skew_age_s: float | None = None


class Today(Struct, frozen=True):
    """Sales since `since`, local midnight: those a member has, those that wait for one, those too small.

    points    what all of them earned, less what voids and refunds took back since midnight
    undone    voids and refunds since midnight, those of earlier sales too; `taken` the points they took back
    adjusted  points given (above zero) and taken by hand
    """

    since: str
    sales: int = 0
    awarded: int = 0
    waiting: int = 0
    nothing: int = 0
    points: int = 0
    undone: int = 0
    taken: int = 0
    adjusted: int = 0


class OpenSale(Struct, frozen=True):
    """A sale without a certain end: `in_hand` or `unsure`."""

    number: str
    terminal: str
    amount: int
    at: str
    age_s: float
    state: Literal["in_hand", "unsure"]


class Gap(Struct, frozen=True):
    """Sales of a terminal may be missing, found out `at`; between two of its trace numbers, '' unknown."""

    number: str
    terminal: str
    at: str
    why: str
    after_trace: str = ""
    before_trace: str = ""


class PrinterFacts(Struct, frozen=True):
    """A receipt printer. `state`: ready, printing, or what is wrong; `waiting` slips are not on paper yet."""

    name: str
    what: str
    state: str
    waiting: int = 0
    given_up: int = 0
    printed_age_s: float | None = None


class ReleaseFacts(Struct, frozen=True):
    """The releases of an installed device (docs/updating.md); versions, '' for none.

    on_trial     the one that runs, or is asked for, and is not confirmed; trial_age_s since it was asked for
    rolled_back  the last one that failed its trial, and why
    """

    current: str
    previous: str = ""
    on_trial: str = ""
    trial_age_s: float | None = None
    rolled_back: str = ""
    why: str = ""


class Job(Struct, frozen=True):
    """A recurring job's last run."""

    name: str
    ok: bool
    age_s: float
    words: str


class Status(Struct, frozen=True, kw_only=True):
    """The answer to: is it working, and if not, what do I do?

    running       whether the daemon answered; when False the rest was read from the ledger
    backup_age_s  of the newest backup file, None when there is none
    """

    schema: int = SCHEMA
    verdict: Verdict
    running: bool
    checked_at: str
    shop: str
    version: str
    pid: int = 0
    up_s: float = 0.0
    trouble: tuple[Trouble, ...] = ()
    terminals: tuple[TerminalFacts, ...] = ()
    clock: ClockFacts
    links: tuple[LinkFacts, ...] = ()
    hub: HubFacts | None = None
    queue: Queue
    today: Today
    open_sales: tuple[OpenSale, ...] = ()
    gaps: tuple[Gap, ...] = ()
    jobs: tuple[Job, ...] = ()
    backup_age_s: float | None = None
    local: tuple[LocalLineFacts, ...] = ()
    notifications: NotificationFacts | None = None
    printers: tuple[PrinterFacts, ...] = ()
    release: ReleaseFacts | None = None
