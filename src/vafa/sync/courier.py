"""The courier: rows up, marks and news down, one request at a time, for as long as it takes.

    step(now) --not due--> when it is
       | due
       v
    request: rows after the received mark, at most what fits; signed
       | no answer, a bad one, "come back later"  -> wait, full jitter, twice as long at most each time, <= 15
       min | a signed, final refusal                   -> visible, tried again every six hours or when a
       person asks v
    answer, signed by the pinned key for this nonce
       marks (rewind where the hub has less), programmes, members, messages, the hub's time
       rows left or more to come down -> at once; else the next row, or the heartbeat

It has no clock, thread, socket or ledger of its own: all are handed in, so a simulation runs a fleet of real
couriers in one thread. `step` blocks for as long as the transport does and raises nothing that the world
does.
"""

import os
from collections.abc import Callable
from random import Random

import msgspec
import structlog

from vafa.keys.sign import SigningKey
from vafa.model.errors import Malformed, SyncError, VafaError
from vafa.sync import downward, regain
from vafa.sync.budget import Budget
from vafa.sync.downward import Inbox
from vafa.sync.kept import Store, Sync, Trouble
from vafa.sync.links import LinkNow
from vafa.sync.parcel import Journal, Packer, Parcel, Wanted, believed, last_shared, mark_at, placed
from vafa.sync.refused import Later, meant
from vafa.sync.transport import Reply, Transport, Unreached
from vafa.wire import limits, signing
from vafa.wire.messages import (
    SYNC_PATH,
    AnswerContent,
    Envelope,
    Facts,
    Have,
    Reason,
    Refusal,
    SyncAnswer,
    SyncRequest,
)

RETRY_FIRST_S, RETRY_MAX_S = 2.0, 900.0
HEARTBEAT_S, HEARTBEAT_METERED_S = 900.0, 6 * 3600.0  # without rows: what comes down, and "we are there"
FINAL_RETRY_S = 6 * 3600.0
GATHER_S = 0.3  # a sale's rows come in twos and threes: they go together
OWN_CLOCK_ADDS_S = 26 * 3600  # as far as the own clock is believed beyond the last attested time
_ROWS_AT_LEAST = 20
LOOK_FROM_ROWS = 25  # a request without rows costs about as much as so many of them

log = structlog.get_logger()


class Who(msgspec.Struct, frozen=True):
    """Who we are to the hub, and its pinned key."""

    merchant: str
    device: int
    hub_key: bytes


class World(msgspec.Struct, frozen=True):
    """What a courier is told of the rest. `boot` names the boot that monotonic times are of."""

    wall_ms: Callable[[], int]
    link: Callable[[], LinkNow]
    facts: Callable[[], Facts | None]
    boot: str
    metered_bytes_a_day: int
    random: Random
    nonce: Callable[[], bytes] = lambda: os.urandom(limits.NONCE_BYTES)


class Courier:
    """One device's. One thread steps it; `wake` may be called from any."""

    def __init__(
        self,
        who: Who,
        key: SigningKey,
        journal: Journal,
        store: Store,
        transport: Transport,
        inbox: Inbox,
        world: World,
        now: float,
    ) -> None:
        self._who, self._key = who, key
        self._journal, self._store, self._transport, self._inbox = journal, store, transport, inbox
        self._world = world
        self._packer, self._rows_max = Packer(journal), limits.ROWS_MAX
        self._budget = Budget(world.metered_bytes_a_day, world.boot, now, store.kept.budget)
        self._asked = False
        self._sent_rows = 0
        self.newest = 0  # row, when it was last looked
        self.syncs = 0  # tried, however they ended
        self._more = False
        self._unplaced = store.kept.received.seq == 0  # how far the hub has our rows is not known
        self._waits_since: float | None = None  # rows were first seen waiting
        self._recognise()
        if store.kept.boot != world.boot:  # monotonic times of another boot mean nothing
            store.keep(msgspec.structs.replace(store.kept, boot=world.boot, retry_at_s=0.0, last_ok_at_s=now))
            self._asked = True  # and the clock may mean nothing: the hub's time is wanted

    def _recognise(self) -> None:
        """After an enrolment: at another hub nothing that was kept is true, as a new device no refusal is."""
        store, who = self._store, self._who
        hub = signing.digest(who.hub_key + who.merchant.encode())[:8]
        device = signing.digest(self._key.public + who.device.to_bytes(8, "big"))[:8]
        if store.kept.hub not in (b"", hub):
            store.forget()
        if (store.kept.hub, store.kept.device) != (hub, device):
            anew = msgspec.structs.replace(
                store.kept, hub=hub, device=device, final=None, trouble=None, failures=0, retry_at_s=0.0,
                held=False, facts_told=b"",
            )  # fmt: skip
            store.keep(anew)

    @property
    def waiting(self) -> int:
        """Rows the hub does not have yet."""
        self.newest = self._journal.newest()
        return max(0, self.newest - self._store.kept.received.seq)

    def wake(self, *, by_person: bool = False) -> None:
        """A link came up, or somebody asks: try at once. Only a person's asking ends a hub's wait or no."""
        kept = self._store.kept
        self._asked = True
        if by_person:
            self._store.keep(msgspec.structs.replace(kept, retry_at_s=0.0, held=False, final=None))
        elif not kept.held and kept.final is None:
            self._store.keep(msgspec.structs.replace(kept, retry_at_s=0.0))

    def due_at(self, now: float) -> float:
        """The monotonic second of the next try, as things stand."""
        kept, metered = self._store.kept, self._world.link().metered
        earliest = kept.retry_at_s
        waiting = self.waiting
        if not waiting:
            self._waits_since = None
        elif self._waits_since is None:
            self._waits_since = now
        if metered and self._budget.is_used_up(now):
            earliest = max(earliest, now + self._budget.wait_s(now))
        if kept.final is not None or self._asked or self._more or kept.failures:
            return earliest
        if self._waits_since is not None:
            gather_s = GATHER_S
            if metered and waiting < limits.ROWS_MAX:
                gather_s = max(GATHER_S, self._budget.wait_s(now))
            return max(earliest, self._waits_since + gather_s)
        heartbeat_s = HEARTBEAT_METERED_S if metered else HEARTBEAT_S
        return max(earliest, kept.last_ok_at_s + heartbeat_s if kept.last_ok_ms else 0.0)

    def rows_wait_s(self, now: float) -> float:
        """How long a row that came now would wait."""
        kept, metered = self._store.kept, self._world.link().metered
        gather_s = max(GATHER_S, self._budget.wait_s(now)) if metered else GATHER_S
        if kept.final is not None or kept.failures or kept.held:
            return max(gather_s, kept.retry_at_s - now)
        return gather_s

    def step(self, now: float) -> float:
        """Sync once if it is due; the monotonic second of the next time. Never raises for the world."""
        due = self.due_at(now)
        if due > now:
            return due
        self._asked = False
        self.syncs += 1
        self._sync(now)
        return self.due_at(now)

    def _sync(self, now: float) -> None:
        world, link = self._world, self._world.link()
        sent_ms = world.wall_ms()
        spent = Sync(sent_ms, False, 0, 0, 0, 0, False, 0, link.name)  # noqa: FBT003
        try:
            request, body, envelope = self._request(sent_ms)
            spent = msgspec.structs.replace(spent, up=len(body), rows=self._sent_rows)
            trusts_clock, meanwhile = self._trusts_clock(sent_ms), self._packing_ahead(request)
            reply = self._transport.post(SYNC_PATH, body, trusts_clock=trusts_clock, meanwhile=meanwhile)
            spent = _costed(spent, reply, world.wall_ms() - sent_ms)
            content = believed(reply, envelope, body, self._who.hub_key)
            if not reply.dates_checked:
                self._transport.check_dates(content.hub_ms)
            self._take(request, content, reply, spent, now)
        except VafaError as error:
            link_bytes = error.link_bytes if isinstance(error, Unreached) else spent.link_bytes
            wait_s = error.wait_s if isinstance(error, Later) else None
            spent = msgspec.structs.replace(spent, link_bytes=link_bytes, took_ms=world.wall_ms() - sent_ms)
            self._failed(Trouble(error.code, str(error), error.fix), wait_s, spent, now)

    def _request(self, at_ms: int) -> tuple[SyncRequest, bytes, Envelope]:
        """Rows after the mark, as many as fit; none as long as it is to be found out where the mark is."""
        kept, newest = self._store.kept, self._journal.newest()
        looks = self._unplaced and newest >= LOOK_FROM_ROWS
        wanted = Wanted(kept.received.seq, self._rows_max, kept.whole)
        parcel = Parcel() if looks else self._packer.packed(wanted)
        self._sent_rows, after = parcel.count, kept.received.seq if parcel.count else newest
        request = SyncRequest(
            rows=parcel.payload,
            before=mark_at(
                self._journal, kept.received.seq or last_shared(self._journal) if looks else after
            ),
            head=parcel.head,
            newest=newest,
            have=asking(kept.have),
            facts=self._new_facts(),
            counted=None if looks else regain.asked_for(self._journal, kept, has_rows=parcel.count > 0),
        )
        envelope = signing.envelope(self._who.merchant, self._who.device, self._world.nonce(), at_ms, request)
        body = signing.signed(envelope, self._key.sign(signing.request_input(SYNC_PATH, envelope)))
        return request, body, envelope

    def _packing_ahead(self, request: SyncRequest) -> Callable[[], None]:
        """What is worth doing while the hub works: the rows after these, where they fill a request."""
        following = request.before.seq + self._sent_rows
        at_most = min(limits.ROWS_MAX, self._rows_max * 2)  # as it is once this one has gone well

        def ahead() -> None:
            if self._sent_rows and request.newest - following >= at_most:
                self._packer.ahead(Wanted(following, at_most, self._store.kept.whole))

        return ahead

    def _new_facts(self) -> Facts | None:
        """What the fleet page shows of us, where it changed since the hub took it."""
        facts = self._world.facts()
        if facts is None or signing.digest(signing.encoded(facts)) == self._store.kept.facts_told:
            return None
        return facts

    def _trusts_clock(self, wall_ms: int) -> bool:
        """Our clock is believed for 26 h beyond what was attested, and never below it."""
        attested_s = self._store.kept.attested_s
        return attested_s > 0 and 0 <= wall_ms // 1000 - attested_s <= OWN_CLOCK_ADDS_S

    def _take(
        self, request: SyncRequest, content: AnswerContent, reply: Reply, spent: Sync, now: float
    ) -> None:
        match content:
            case SyncAnswer():
                self._answered(request, content, spent, now)
            case Refusal():
                self._refused(content, reply, spent, now)
            case _:
                raise Malformed("the hub answered something else than a sync")

    def _answered(self, request: SyncRequest, answer: SyncAnswer, spent: Sync, now: float) -> None:
        kept, looked = self._store.kept, self._unplaced and request.before.seq > 0 and not request.rows
        received = placed(self._journal, answer.received, request.before)
        self._unplaced = 0 < received.seq < request.before.seq and received != answer.received
        if received.seq < kept.received.seq:
            log.warning("the hub has fewer rows than before", ours=kept.received.seq, its=received.seq)
        elif request.rows and received == kept.received and (kept.whole or not answer.whole_rows):
            raise SyncError(
                f"the hub took none of {self._sent_rows} rows after {received.seq}",
                fix="it is tried again; the hub's log says more",
                code="SYN-011",
            )
        self._spend(spent.link_bytes, now)
        self._rows_max = min(limits.ROWS_MAX, self._rows_max * 2)
        taken = downward.take(answer, kept, self._inbox, self._who.merchant, self._who.hub_key)
        taken = downward.attested(answer.hub_ms, spent, taken, self._inbox)
        whose, regained = (self._who.merchant, self._who.device), 0
        if request.counted is not None:
            taken, regained = regain.take(
                answer.branch, taken, self._journal, self._inbox, whose, self._who.hub_key
            )
        kept = msgspec.structs.replace(
            taken,
            received=received,
            safe=answer.safe if answer.safe.seq <= received.seq else received,
            failures=0,
            retry_at_s=now + min(answer.retry_s, RETRY_MAX_S),
            held=answer.retry_s > 0,
            final=None,
            trouble=None,
            notes=kept.notes if looked else answer.notes,
            whole=answer.whole_rows,
            suspense=answer.suspense,
            last_ok_ms=self._world.wall_ms(),
            last_ok_at_s=now,
            facts_told=signing.digest(signing.encoded(request.facts)) if request.facts else kept.facts_told,
            budget=self._budget.left(now),
        )
        spent = msgspec.structs.replace(spent, ok=True, regained=regained)
        self._store.keep(kept, spent, answer.members, answer.messages)
        news = answer.more and (answer.branch is None or regained > 0)
        self._more = news or (self.waiting > 0 and (looked or bool(request.rows)))
        self._waits_since = None

    def _refused(self, refusal: Refusal, reply: Reply, spent: Sync, now: float) -> None:
        if refusal.reason == Reason.TOO_LARGE:
            self._rows_max = max(1, self._sent_rows // 2)
        if refusal.is_final:
            trouble = meant(refusal)
            log.error("the hub refuses for good", code=trouble.code, text=trouble.text)
            spent = msgspec.structs.replace(spent, code=trouble.code, text=trouble.text)
            self._spend(spent.link_bytes, now)
            kept = msgspec.structs.replace(
                self._store.kept, final=trouble, trouble=trouble, failures=self._store.kept.failures + 1,
                retry_at_s=now + FINAL_RETRY_S, held=False, budget=self._budget.left(now),
            )  # fmt: skip
            self._store.keep(kept, spent)
            self._more = False
            return
        wait_s = max(refusal.retry_s, reply.retry_after_s or 0) or None
        why = meant(refusal)
        raise Later(why.text, wait_s=wait_s, fix=why.fix, code=why.code)

    def _failed(self, trouble: Trouble, told_s: int | None, spent: Sync, now: float) -> None:
        """Wait: full jitter, so that a thousand devices behind one broken hub do not come back together."""
        kept = self._store.kept
        failures = kept.failures + 1
        if failures > 1:  # a weak link brings fewer rows through
            self._rows_max = max(_ROWS_AT_LEAST, self._rows_max // 2)
        ceiling_s = min(RETRY_MAX_S, RETRY_FIRST_S * 2.0 ** min(failures - 1, 20))
        wait_s = self._world.random.uniform(0.0, ceiling_s)
        if told_s is not None:
            wait_s = min(float(told_s), RETRY_MAX_S)
        if kept.final is not None:
            wait_s = FINAL_RETRY_S
        self._spend(spent.link_bytes, now)
        spent = msgspec.structs.replace(spent, code=trouble.code, text=trouble.text)
        kept = msgspec.structs.replace(
            kept, failures=failures, retry_at_s=now + wait_s, held=told_s is not None, trouble=trouble,
            budget=self._budget.left(now),
        )  # fmt: skip
        self._more = False
        self._store.keep(kept, spent)

    def _spend(self, link_bytes: int, now: float) -> None:
        if self._world.link().metered:
            self._budget.spent(link_bytes, now)


def asking(have: Have) -> Have:
    """What we have, as one says it who also hears whom others forgot: also to a hub that did not tell yet."""
    return have if have.forgotten is not None else msgspec.structs.replace(have, forgotten=b"")


def _costed(spent: Sync, reply: Reply, took_ms: int) -> Sync:
    return msgspec.structs.replace(
        spent,
        down=len(reply.body),
        link_bytes=reply.link_bytes,
        new_connection=reply.new_connection,
        took_ms=max(0, took_ms),
    )
