"""The sync as the daemon runs it: the keeper with its thread, and the answers to who asks about it."""

from collections.abc import Callable
from pathlib import Path

import structlog

from vafa import __version__
from vafa.app import sync_report
from vafa.app.config import Config
from vafa.app.counter import Counter
from vafa.app.sync_keeper import Keeper
from vafa.app.sync_questions import SyncIs, SyncLog, SyncLogIs, SyncNow, SyncStanding, SyncStatus
from vafa.app.sync_report import Moment
from vafa.app.sync_talk import Begin, Forget, Now, Regain
from vafa.club.programme import parse_stored
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger, Transaction
from vafa.ledger.schema import SCHEMA_VERSION
from vafa.model import events
from vafa.model.errors import LedgerError, ProgrammeError, SyncError
from vafa.ports.clock import Clock
from vafa.sync.enrolment import Enrolment
from vafa.sync.facts import SyncFacts
from vafa.sync.links import LinkNow, Links
from vafa.wire.messages import Facts

log = structlog.get_logger()


class SyncSide:
    """One enrolment's. `run` is its thread's.

    reached      is told the hub's address: the way to it is the one that counts
    memory_only  how many payments a failing disk did not take
    """

    def __init__(
        self,
        who: Enrolment,
        ledger: Ledger,
        counter: Counter,
        config: Config,
        links: Callable[[], Links],
        reached: Callable[[str], None],
        memory_only: Callable[[], int],
        clock: Clock,
    ) -> None:
        self._who, self._ledger, self._programmes = who, ledger, counter.programmes
        self._counter = counter
        self._links, self._memory_only, self._clock = links, memory_only, clock
        self._directory: Path = ledger.path.parent
        self._gaps_open = 0
        self._day_bytes = config.links.metered_kb_a_day * 1000
        begin = Begin(
            ledger_directory=str(self._directory.absolute()),
            metered_bytes_a_day=self._day_bytes,
            keep_warm_s=float(config.links.keep_warm_s),
            log_format=config.log.format,
            log_level=config.log.level,
        )
        self._keeper = Keeper(
            begin,
            self._now,
            self._activate,
            self._attest,
            self._regain,
            self._forget,
            lambda: ledger.head.seq,
            clock,
            reached=reached,
        )

    def run(self) -> None:
        """Until `stop`."""
        self._ledger.followers.append(self._keeper.rows)
        try:
            self._keeper.run()
        finally:
            self._ledger.followers.remove(self._keeper.rows)

    def stop(self) -> None:
        """Ends `run` soon, and the sync process with it."""
        self._keeper.stop()

    def wake(self) -> None:
        """A link came up, or another one carries us: what waits is sent now."""
        self._keeper.wake()

    def facts(self) -> SyncFacts:
        """For `status` and the doctor. What cannot be read is a state, too."""
        try:
            return sync_report.facts(self._directory, self._who, self._moment())
        except (SyncError, LedgerError) as error:
            return SyncFacts(self._who.host, trouble=str(error), fix=error.fix, code=error.code)

    def now(self, question: SyncNow, by: str) -> SyncIs:
        """Sync at once; how things stand when it ended."""
        log.info("sync asked for", by=by)
        tried = self._keeper.sync_now(question.within_s)
        there = self._standing()
        return SyncIs(standing=there, tried=tried, ok=tried and not there.facts.trouble)

    def status(self, _question: SyncStatus, _by: str) -> SyncIs:
        """Where it stands."""
        return SyncIs(standing=self._standing())

    def log(self, question: SyncLog, _by: str) -> SyncLogIs:
        """The last syncs."""
        return SyncLogIs(syncs=sync_report.logged(self._directory, question.limit))

    def _standing(self) -> SyncStanding:
        return sync_report.report(self._directory, self._who, self._day_bytes, self._moment())

    def _moment(self) -> Moment:
        keeper = self._keeper
        now, process = self._clock.monotonic(), keeper.process_id or 0
        return Moment(now, self._clock.wall_ms(), keeper.next_at, keeper.fault, process)

    def _now(self) -> Now:
        links = self._links()
        carrier = links.carrier
        link = LinkNow(f"{carrier.name} {carrier.kind}", carrier.metered) if carrier else LinkNow()
        try:
            self._gaps_open = self._ledger.read(lambda connection: len(reads.open_gaps(connection)))
        except LedgerError as error:  # the disk fails: what is there is sent all the same
            log.warning("gaps not counted", reason=str(error))
        facts = Facts(
            vafa=__version__,
            schema=SCHEMA_VERSION,
            gaps_open=self._gaps_open,
            memory_only=self._memory_only(),
            link=link.name,
            metered=link.metered,
        )
        return Now(link, links.detour, facts)

    def _activate(self, document: str, from_at: int | None) -> str:
        """A version the hub signed; '' or why it is refused. LedgerError where it cannot be written now."""
        try:
            version = parse_stored(document, "the hub's programme")
        except ProgrammeError as error:
            return str(error)
        changed = self._programmes.activate(version, from_at)
        log.info("programme", id=version.id.hex(), changed=changed, by="hub")
        return ""

    def _regain(self, told: Regain) -> str:
        """Rows that were lost; '' or why they are refused. LedgerError where they cannot be written now."""
        from vafa.app.regaining import Regaining  # a device that was never restored never loads it

        return Regaining(self._counter).regain(told.rows, told.signature)

    def _forget(self, told: Forget) -> None:
        """People whom other devices forgot. LedgerError where it cannot be written now."""
        from vafa.app import forgetting  # most shops never need it

        forgetting.heard(self._ledger, told.told)

    def _attest(self, hub_s: int) -> None:
        def decide(tx: Transaction) -> None:
            tx.post(events.ClockAttested(hub_s, "hub"))

        self._ledger.write(decide)
