"""The daemon's side towards its hub: nothing of it runs, or is loaded, on a device that is not enrolled.

`settle` belongs to a start before the first payment (the journal must say the right number and key); `begin`
comes after READY. After `vafa enrol` everything begins anew with what the enrolment says now.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from vafa.app import hub_questions, sync_questions
from vafa.app.config import Config
from vafa.app.joining import merge_own_members, settle
from vafa.app.live import HubLive
from vafa.keys.seal import Seals
from vafa.keys.tokens import Tokens
from vafa.ledger.ledger import Ledger
from vafa.model.errors import LedgerError, SealingFailed, SyncError
from vafa.ports.clock import Clock
from vafa.sync.enrolment import Enrolment, EnrolmentFault, load
from vafa.sync.facts import SyncFacts

if TYPE_CHECKING:
    from vafa.app.counter import Counter
    from vafa.app.link_thread import LinkThread
    from vafa.app.question import Reply
    from vafa.app.sync_side import SyncSide

BEGUN_WITHIN_S = 10.0  # behind READY it is a tenth of a second

log = structlog.get_logger()


class HubSide:
    """One daemon's. What goes wrong in its threads is a state that `status` shows."""

    def __init__(self, ledger: Ledger, tokens: Tokens, sealer: Seals, config: Config, clock: Clock) -> None:
        self._ledger, self._tokens, self._sealer = ledger, tokens, sealer
        self._config, self._clock = config, clock
        self._changing = threading.Lock()  # one enrolment, begin or stop at a time
        self._links: LinkThread | None = None
        self._host = ""
        self._sync: SyncSide | None = None
        self._counter: Counter | None = None
        self._memory_only: Callable[[], int] = int
        self._threads: list[threading.Thread] = []
        self._begun = threading.Event()

    def settle(self) -> None:
        """The journal says what the enrolment says. LedgerError."""
        enrolled = self._enrolled()
        if enrolled is not None:
            settle(self._ledger, self._tokens, enrolled)

    def begin(self, counter: "Counter", memory_only: Callable[[], int]) -> None:
        """Start what an enrolled device runs; nothing where it is not enrolled. Anew where an enrolment that
        came right after READY has started it already, without the counter.

        counter      where what comes down is posted
        memory_only  how many payments a failing disk did not take
        """
        self._counter, self._memory_only = counter, memory_only
        with self._changing:
            self._end()
            try:
                self._begin()
            except (OSError, MemoryError, RuntimeError):  # half of it may run: all or none
                self._end()
                raise
        self._begun.set()

    def stop(self) -> None:
        """End all of it, and wait for that."""
        with self._changing:
            self._end()

    def enrol(self, question: hub_questions.Enrol, by: str) -> hub_questions.EnrolIs:
        """Answer `vafa enrol`, then begin anew."""
        from vafa.app.enrolling import Enrolling, go_on_with_sync

        with self._changing:
            before = self._enrolled()
            done = Enrolling(self._ledger, self._tokens, self._sealer, self._clock).answer(question)
            log.info("enrolled", hub=done.host, merchant=done.merchant, device=done.device, by=by)
            self._end()
            go_on_with_sync(self._ledger.path.parent, before)
            self._begin()
        return done

    def live(self) -> HubLive | None:
        """For `status`; None where nothing runs."""
        links = self._links
        if links is None:
            return None
        from vafa.app.hub_standing import hub_live

        now, now_ms = self._clock.monotonic(), self._clock.wall_ms()
        return hub_live(links.links(), self._sync_facts(), now, now_ms)

    def sync(self, question: "sync_questions.AnySyncQuestion", by: str) -> "Reply":
        """Answer `vafa sync`. EnrolmentFault where there is nothing to sync with, SyncError where it does not
        begin."""
        sync = self._sync or self._about_to_begin()
        match question:
            case sync_questions.SyncNow():
                return sync.now(question, by)
            case sync_questions.SyncStatus():
                return sync.status(question, by)
            case sync_questions.SyncLog():
                return sync.log(question, by)

    def _about_to_begin(self) -> "SyncSide":
        """Who asks right after READY waits until it has begun."""
        if load(self._ledger.path.parent) is None:
            fix = "vafa enrol CODE --hub URL"
            raise EnrolmentFault("this device is not enrolled", fix=fix, code="ENR-006")
        self._begun.wait(BEGUN_WITHIN_S)
        sync = self._sync
        if sync is None:
            raise SyncError("the sync does not begin", fix="vafa status", code="SYN-024")
        return sync

    def _sync_facts(self) -> SyncFacts:
        if self._sync is not None:
            return self._sync.facts()
        from vafa.app.sync_standing import of_ledger

        return of_ledger(self._ledger.path.parent, self._host, self._clock.wall_ms())

    def _begin(self) -> None:
        enrolled = self._enrolled()
        if enrolled is None:
            return
        self._host = enrolled.host
        from vafa.app.link_thread import LinkThread
        from vafa.sync.links import Metering

        wanted = self._config.links
        links = LinkThread(Metering(wanted.metered, wanted.unmetered), self._clock, self._wake)
        self._links = links
        if self._counter is not None:
            from vafa.app.sync_side import SyncSide

            self._sync = SyncSide(
                enrolled,
                self._ledger,
                self._counter,
                self._config,
                self._links.links,
                lambda address: links.toward((address,)),
                self._memory_only,
                self._clock,
            )
            self._start("sync", self._sync.run)
        self._start("links", self._links.run)
        self._start("merging", self._merge)

    def _end(self) -> None:
        if self._links is not None:
            self._links.stop()
        if self._sync is not None:
            self._sync.stop()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._links = self._sync = None

    def _wake(self) -> None:
        """A link came up, or another one carries us: what waits is sent now."""
        sync = self._sync
        if sync is not None:
            sync.wake()

    def _merge(self) -> None:
        """Ends what an enrolment began and a crash cut off; mostly there is nothing to do."""
        try:
            merged, unreadable = merge_own_members(self._ledger, self._tokens, self._sealer)
        except (SealingFailed, LedgerError) as error:
            log.warning("members are not merged yet", reason=str(error))  # the next start goes on
            return
        if merged or unreadable:
            log.info("members merged", merged=merged, unreadable=unreadable)

    def _enrolled(self) -> Enrolment | None:
        """None too where the enrolment cannot be read: sales go on, and `status` says what is wrong."""
        try:
            return load(self._ledger.path.parent)
        except EnrolmentFault as error:
            log.error("not enrolled", reason=str(error), fix=error.fix)
            return None

    def _start(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name)
        thread.start()
        self._threads.append(thread)
