"""Finds out how things stand: what the books say, what the running daemon knows, and a verdict on both.

Trouble is only what a person can act on, each with what to do. `broken` means that sales are not being
turned into durable points now; `degraded` that something needs a look while sales go on.
"""

import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vafa import __version__
from vafa.app import releases
from vafa.app.ledger_standing import of_the_daemon, of_the_ledger
from vafa.app.live import Live
from vafa.app.local_standing import local_lines, of_local_lines
from vafa.app.printer_standing import of_printers, printer_facts
from vafa.app.standing import (
    ClockFacts,
    Gap,
    HubFacts,
    Job,
    OpenSale,
    Queue,
    ReleaseFacts,
    Status,
    TerminalFacts,
    Today,
    Trouble,
    Verdict,
)
from vafa.app.terminal_status import terminal_facts, terminal_troubles
from vafa.books.rows import PaymentState
from vafa.ledger import reads
from vafa.model import events
from vafa.model.calendar import local_time
from vafa.model.errors import KeyFileError, LedgerError, NotFound
from vafa.model.events import Kind, Nothing, SaleOutcome

if TYPE_CHECKING:
    from vafa.app.config import Config

IN_HAND_S_MAX = 900  # the longest answer_timeout_s and a queue before it; a sale open longer is stuck
CLOCK_BEHIND_S_MAX = 3_600
BACKUPS_LATE = 3  # a backup may be missed; this many periods without one is trouble
_OF_TODAY = (
    Kind.AWARD,
    Kind.PAYMENT,
    Kind.REVERSAL,
    Kind.REFUND,
    Kind.REFUND_UNMATCHED,
    Kind.ADJUST,
)
OLDER_ROWS_MAX = 200  # so many rows before midnight in a row end today's count: clocks may have been set back


class Facts(msgspec.Struct, frozen=True):
    """What the configuration says, as far as `status` shows it.

    terminals  (terminal id, mode, address) of each
    backup_ms  UTC milliseconds of the newest backup file, None when there is none
    hub        the one it is enrolled with; directory: the ledger's, what the sync keeps lies beside it
    trouble    what is wrong with the enrolment
    """

    shop: str
    zone: str
    terminals: tuple[tuple[str, str, str], ...]
    backup_ms: int | None = None
    backup_every_h: int = 24
    hub: HubFacts | None = None
    directory: Path = Path()
    trouble: tuple[Trouble, ...] = ()
    release: ReleaseFacts | None = None


class Books(msgspec.Struct, frozen=True):
    """What the ledger says."""

    rows: int
    newest_at_ms: int
    today: Today
    open_sales: tuple[OpenSale, ...]
    gaps: tuple[Gap, ...]


def status(
    connection: sqlite3.Connection | None,
    live: Live | None,
    facts: Facts,
    now_ms: int,
    unreadable: LedgerError | None = None,
) -> Status:
    """How things stand now. live None: the daemon is down; connection None: `unreadable` says why."""
    since = midnight(now_ms, facts.zone)
    empty = Books(0, 0, Today(iso(since)), (), ())
    books = empty if connection is None else read_books(connection, since, now_ms)
    behind_s = max(0, (books.newest_at_ms - now_ms) // 1000)
    trouble = [
        *of_the_ledger(live, unreadable),
        *of_the_daemon(live),
        *terminal_troubles(live),
        *of_local_lines(live),
        *of_printers(live),
        *_of_sales(books),
        *_of_jobs(live, facts, now_ms),
        *_of_the_clock(behind_s),
        *facts.trouble,
        *releases.troubles(facts.release),
        *(live.hub.trouble if live and live.hub else ()),
        *(live.notifications.trouble if live and live.notifications else ()),
    ]
    trouble.sort(key=lambda each: each.level != "broken")
    hub, queue = _hub_and_queue(connection, live, facts, now_ms)
    return Status(
        verdict=verdict(trouble),
        running=live is not None,
        checked_at=iso(now_ms),
        shop=facts.shop,
        version=live.version if live else __version__,
        pid=live.pid if live else 0,
        up_s=live.up_s if live else 0.0,
        trouble=tuple(trouble),
        terminals=terminal_facts(live) if live else _unknown(facts),
        local=local_lines(live),
        printers=printer_facts(live),
        clock=ClockFacts(
            iso(now_ms), facts.zone, jumps=live.clock_jumps if live else 0, behind_s=max(0, behind_s)
        ),
        links=live.hub.links if live and live.hub else (),
        hub=hub,
        queue=msgspec.structs.replace(queue, kept=books.rows),
        today=books.today,
        open_sales=books.open_sales,
        gaps=books.gaps,
        jobs=tuple(Job(name, *run) for name, run in sorted(live.jobs.items())) if live else (),
        backup_age_s=None if facts.backup_ms is None else max(0.0, (now_ms - facts.backup_ms) / 1000),
        notifications=live.notifications if live else None,
        release=facts.release,
    )


def _hub_and_queue(
    connection: sqlite3.Connection | None, live: Live | None, facts: Facts, now_ms: int
) -> tuple[HubFacts | None, Queue]:
    """The running daemon's word, else what the sync process kept."""
    if live is not None and live.hub is not None:
        return live.hub.hub, live.hub.queue
    if facts.hub is None or connection is None:
        return facts.hub, Queue(enrolled=facts.hub is not None, kept=0)
    from vafa.app.sync_standing import without_daemon

    return without_daemon(facts.directory, facts.hub.host, connection, now_ms)


def facts(config: "Config") -> Facts:
    """What `status` shows of the configuration; the newest backup is looked for anew each time."""
    return Facts(
        shop=config.shop.name_en or config.shop.name,
        zone=config.shop.zone,
        terminals=tuple((each.id, each.mode, each.address) for each in config.terminal),
        backup_ms=newest_backup_ms(config.backup_directory),
        backup_every_h=config.jobs.backup_every_h,
        release=releases.standing(releases.own(), time.time_ns() // 1_000_000_000),
        **_enrolment(config.ledger_directory),
    )


def _enrolment(directory: Path) -> dict[str, Any]:
    """The hub's name where this device is enrolled; what is wrong where that cannot be read."""
    from vafa.sync.enrolment import EnrolmentFault, load, merchant_key

    enrolment, troubles = None, []
    try:
        enrolment = load(directory)
        merchant_key(directory)
    except EnrolmentFault as error:
        words = f"Nothing is sent to the hub: {error}."
        troubles.append(Trouble("degraded", words, f"{error.fix}.", error.code))
    except KeyFileError as error:
        words = f"Members of the merchant's other devices are not known: {error}."
        troubles.append(Trouble("degraded", words, f"{error.fix}.", error.code))
    hub = None if enrolment is None else HubFacts(enrolment.host, "never")
    return {"hub": hub, "directory": directory, "trouble": tuple(troubles)}


def verdict(trouble: list[Trouble]) -> Verdict:
    """The worst level of what is wrong."""
    levels = {each.level for each in trouble}
    return "broken" if "broken" in levels else "degraded" if levels else "ok"


def newest_backup_ms(directory: Path) -> int | None:
    """When the newest backup in `directory` was written, UTC milliseconds; None when there is none to see.

    The newest is the one with the highest number: file times come from a clock that may have lied.
    """
    try:
        newest = max(directory.glob("ledger-*.db"), default=None)
        return None if newest is None else int(newest.stat().st_mtime * 1000)
    except OSError:
        return None


def read_books(connection: sqlite3.Connection, since_ms: int, now_ms: int) -> Books:
    """The ledger's part, on a reading connection."""
    head = connection.execute("SELECT seq, at FROM journal ORDER BY seq DESC LIMIT 1").fetchone() or (0, 0)
    device = reads.device(connection)
    if device is None:
        return Books(0, 0, Today(iso(since_ms)), (), ())
    return Books(
        rows=head[0],
        newest_at_ms=head[1],
        today=_today(connection, since_ms),
        open_sales=tuple(_open_sales(connection, device, now_ms)),
        gaps=read_gaps(connection),
    )


def midnight(now_ms: int, zone: str) -> int:
    """UTC milliseconds of the last local midnight."""
    local = local_time(now_ms // 1000, zone)
    return int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()) * 1000


def iso(at_ms: int) -> str:
    """`2026-11-23T12:02:07.105Z`; a clock beyond the year 9999 shows the last moment there is."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    except OverflowError:
        moment = datetime.max.replace(tzinfo=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _today(connection: sqlite3.Connection, since_ms: int) -> Today:
    """Counts today's rows, newest first, until it is plain that older ones begin."""
    until_ms = since_ms + 86_400_000
    awarded = waiting = nothing = points = undone = taken = adjusted = older = 0
    for entry in reads.newest(connection, _OF_TODAY, reads.RECENT_ROWS_MAX):
        if not since_ms <= entry.row.at < until_ms:
            older += 1
            if older == OLDER_ROWS_MAX:
                break
            continue
        older = 0
        if isinstance(entry.event, events.Award):
            points += entry.event.points
            waits = bool(entry.event.claim) and _waits(connection, entry.event)
            awarded += not waits
            waiting += waits
        elif isinstance(entry.event, events.PaymentSeen):
            nothing += entry.event.why not in (Nothing.NOT_A_SALE, Nothing.BASELINE)
        elif isinstance(entry.event, events.Reversal | events.Refund | events.RefundUnmatched):
            undone += 1
            taken += 0 if isinstance(entry.event, events.RefundUnmatched) else entry.event.points
        elif isinstance(entry.event, events.Adjust):
            adjusted += entry.event.points
    sales = awarded + waiting + nothing
    return Today(iso(since_ms), sales, awarded, waiting, nothing, points - taken, undone, taken, adjusted)


def _waits(connection: sqlite3.Connection, award: events.Award) -> bool:
    """True until the claim code that was printed for the award comes back."""
    payment = reads.payment(connection, award.paid.key)
    return payment is not None and payment.state == PaymentState.WAITING


def _open_sales(connection: sqlite3.Connection, device: reads.Device, now_ms: int) -> Iterator[OpenSale]:
    for row in reads.open_sales(connection):
        entry = reads.entry(connection, row.seq)
        assert isinstance(entry.event, events.SaleAsked)
        yield OpenSale(
            device.short_number(entry.row.epoch, row.seq),
            row.tid,
            entry.event.amount,
            iso(entry.row.at),
            max(0.0, (now_ms - entry.row.at) / 1000),
            "unsure" if row.outcome == SaleOutcome.UNSURE else "in_hand",
        )


def read_gaps(connection: sqlite3.Connection) -> tuple[Gap, ...]:
    """The gaps nobody has closed, oldest first."""
    device = reads.device(connection)
    return tuple(_gaps(connection, device)) if device is not None else ()


def _gaps(connection: sqlite3.Connection, device: reads.Device) -> Iterator[Gap]:
    for row in reads.open_gaps(connection):
        try:
            entry = reads.entry(connection, row.seq)
        except NotFound:
            continue  # pruned behind a checkpoint: `verify` looks after such rows
        event = entry.event
        assert isinstance(event, events.GapDetected)
        number = device.short_number(entry.row.epoch, row.seq)
        yield Gap(number, row.tid, iso(entry.row.at), event.why, event.after_trace, event.before_trace)


def _unknown(facts: Facts) -> tuple[TerminalFacts, ...]:
    """The configured terminals, of which a stopped daemon tells nothing."""
    return tuple(
        TerminalFacts(tid, mode, "" if mode == "local" else address, "unknown")
        for tid, mode, address in facts.terminals
    )


def _of_sales(books: Books) -> Iterator[Trouble]:
    for sale in books.open_sales:
        if sale.state == "unsure" or sale.age_s > IN_HAND_S_MAX:
            yield Trouble(
                "degraded",
                f"Sale {sale.number}: nobody knows yet whether {sale.amount:,} rial were paid.",
                f"Look for {sale.amount:,} in the last transactions of terminal {sale.terminal} before "
                "asking the customer to pay again. The terminal's list settles it; where not, the slip: "
                f"vafa record --sale {sale.number}, or not paid: vafa gap unpaid {sale.number}.",
                "TRM-008",
            )
    for gap in books.gaps:
        yield Trouble(
            "degraded",
            f"GAP: sales of terminal {gap.terminal} may be missing ({gap.why}).",
            f"Compare its slips with: vafa journal --kind award. Enter a missed sale: vafa record --gap "
            f'{gap.number}; none missed: vafa gap close {gap.number} --why "..."',
            "GAP-001",
        )


def _of_jobs(live: Live | None, facts: Facts, now_ms: int) -> Iterator[Trouble]:
    for name, (ok, _, words) in sorted(live.jobs.items()) if live else ():
        if ok:
            continue
        if name == "integrity":
            fix = "Stop vafa, keep the files, restore the last good backup; then: vafa verify"
            yield Trouble("broken", f"The ledger file is damaged: {words}.", fix, "LED-003")
        else:
            yield Trouble(
                "degraded", f"The {name} job failed: {words}.", "journalctl -u vafa -n 50", "JOB-001"
            )
    late_ms = BACKUPS_LATE * facts.backup_every_h * 3_600_000
    if facts.backup_ms is not None and now_ms - facts.backup_ms > late_ms:
        fix = "Is the backup directory there and writable, and is there space on its disk?"
        yield Trouble("degraded", "There has been no backup for days.", fix, "JOB-002")


def _of_the_clock(behind_s: int) -> Iterator[Trouble]:
    if behind_s > CLOCK_BEHIND_S_MAX:
        yield Trouble(
            "degraded",
            f"The clock is {behind_s // 3600} h behind the newest sale: it lost its time.",
            "sudo timedatectl set-ntp true; a flat clock battery does this at each power cut.",
            "CLK-001",
        )
