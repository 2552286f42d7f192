"""What a device hears of a hub, or of what stands between: answers to syncs and to an enrolment."""

from collections.abc import Callable, Sequence
from random import Random

import msgspec
from enrolling_hub import EnrollingHub
from fuzz.judging import same
from fuzz.target import Housed
from fuzz.wire_targets import DEVICE, NOW_MS, PACKED
from hub.device_rows import copied, journal
from shop import PROGRAMME, Shop, payment

from vafa.app import forgetting
from vafa.app.sync_journal import LedgerJournal
from vafa.club.programme import parse
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey
from vafa.keys.tokens import key_id
from vafa.model import events
from vafa.model.chain import Row
from vafa.model.errors import ProgrammeError, VafaError
from vafa.sync import enrolment
from vafa.sync.courier import Courier, Who, World
from vafa.sync.enrol import Enroller, Ledger, Wish
from vafa.sync.kept import Kept, Store
from vafa.sync.links import LinkNow
from vafa.sync.transport import Reply
from vafa.wire import limits, signing
from vafa.wire.compress import Form, compress
from vafa.wire.messages import (
    Answer,
    AnswerContent,
    Branch,
    EnrolAnswer,
    Facts,
    Forgotten,
    Have,
    Mark,
    Note,
    Programme,
    Reason,
    ReceiptMessage,
    Refusal,
    RemoteMember,
    SyncAnswer,
)
from vafa.wire.rows import pack

HUB, STRANGER = (SigningKey(DeviceKey(letter * 32)) for letter in (b"H", b"X"))


class _Wire:
    """What answers a courier here: the input, in an answer of the wanted kind."""

    def __init__(self) -> None:
        self.data, self.how, self.status = b"", 0, 200

    def post(
        self, path: str, body: bytes, *, trusts_clock: bool, meanwhile: Callable[[], None] = lambda: None
    ) -> Reply:
        """0: the input itself. 1: unsigned. 2: signed by a stranger. 3: by the hub, for this request."""
        said = self.data
        if self.how:
            form = Form.ZSTD if len(self.data) % 3 == 1 else Form.PLAIN
            content = compress(form, self.data) if form is Form.ZSTD else self.data
            answer = Answer(limits.VERSION, form, content)
            key = HUB if self.how == 3 else STRANGER
            nonce = signing.read_envelope(body).nonce
            signature = key.sign(signing.answer_input(path, nonce, body, answer)) if self.how > 1 else b""
            said = signing.signed(answer, signature)
        return Reply(self.status, said, len(said), False, None, dates_checked=True)

    def check_dates(self, at_ms: int) -> None:
        raise AssertionError("the dates were checked")

    def close(self) -> None:
        """Nothing is open."""


def answers() -> list[AnswerContent]:
    """Answers of every kind, with all that can come down."""
    programme = Programme(3, PROGRAMME, None, b"")
    signed = Programme(3, PROGRAMME, None, HUB.sign(signing.programme_input("m1", programme)))
    member = RemoteMember(b"m" * 16, "6789", (b"t" * 8, b"u" * 8), 1_250, 1_767_000_000)
    message = ReceiptMessage(7, b"", "نوروز مبارک", "Happy new year", None, 1_800_000_000)
    rich = SyncAnswer(
        Mark(1, 2, b"h" * 8), Mark(1, 1, b"h" * 8), NOW_MS, True, Have(3, 9, 7), (signed, programme),
        (member, RemoteMember(b"g" * 16, "", (), 0, 0, gone=True)), (message,), (Note("HUB-010", "two"),),
        False, 30, 2,
    )  # fmt: skip
    return [
        rich, SyncAnswer(Mark(), Mark(), NOW_MS), Refusal(Reason.BUSY, "later", 30, NOW_MS),
        Refusal(Reason.REVOKED, "taken off", 0, NOW_MS), Refusal(99, "what a newer hub says"),
        EnrolAnswer("m1", 1, HUB.public, b"s" * 32, NOW_MS, b"ab"),
    ]  # fmt: skip


class SyncAnswers(Housed):
    """What comes down, to a real courier, its store and a real ledger."""

    name = "sync-answers"
    what = "sync answers: unsigned, a stranger's, the hub's, to a real courier and ledger"
    share = 15
    renewed_every = 200

    def __init__(self) -> None:
        super().__init__()
        self.shop = Shop(self.directory, NOW_MS)
        for number in range(5):
            self.shop.counter.post(payment(320_062_616_116 + number))
        self.journal = LedgerJournal(self.shop.ledger.path)
        self.wire, self.taken, self.now, self._judged = _Wire(), 0, 1_000.0, 0
        self.store, self.courier = self._begun()
        self.seeds = [signing.encoded(content) for content in answers()]
        self.seeds += [self._with_mark(seed) for seed in self.seeds[:2]]
        self.seeds.append(self._branch())
        self.words = (*PACKED, self.journal.row(3).hash[:8])  # type: ignore[union-attr]

    def _with_mark(self, seed: bytes) -> bytes:
        row = self.journal.row(3)
        assert row is not None
        return seed.replace(signing.encoded(Mark(1, 2, b"h" * 8)), signing.encoded(Mark(1, 3, row.hash[:8])))

    def _begun(self) -> tuple[Store, Courier]:
        """A courier that knows nothing yet."""
        store = Store(None)
        world = World(
            lambda: self.shop.wall_ms, lambda: LinkNow("wlan0 wifi"), lambda: Facts("0.1.0", 5), "boot",
            10**9,
            Random(1),  # noqa: S311
        )  # fmt: skip
        who = Who("m1", 1, HUB.public)
        return store, Courier(who, DEVICE, self.journal, store, self.wire, self, world, self.now)

    def programme(self, document: str, from_at: int | None) -> str:
        """As the daemon does it (app.sync_side), in words where it is refused."""
        self.taken += 1
        try:
            self.shop.programmes.activate(parse(document, "the hub's programme"), from_at)
        except ProgrammeError as error:
            return str(error)
        return ""

    def attest(self, hub_s: int) -> None:
        self.taken += 1
        self.shop.ledger.write(lambda tx: tx.post(events.ClockAttested(hub_s, "hub")))

    def forget(self, told: Sequence[Forgotten]) -> None:
        self.taken += 1
        forgetting.heard(self.shop.ledger, told)

    def regain(self, rows: Sequence[Row], signature: bytes) -> str:
        """As the daemon does it."""
        self.taken += 1
        return self.shop.regaining.regain(rows, signature)

    def _branch(self) -> bytes:
        """An answer with rows that a copy of this device wrote and this one lost."""
        place = self.directory / "copy"
        place.mkdir()
        other = copied(self.shop, place)
        for number in range(3):
            other.counter.post(payment(320_062_616_900 + number))
        rows = journal(other, self.shop.ledger.head.seq)
        other.ledger.close()
        last = rows[-1]
        ends = signing.branch_input("m1", 1, last.epoch, last.seq, last.hash, last.state)
        branch = Branch(pack(rows, whole=True), last.hash, last.seq, HUB.sign(ends))
        return signing.encoded(SyncAnswer(Mark(), Mark(), NOW_MS, branch=branch))

    def judge(self, data: bytes, random: Random) -> str:
        self._judged += 1
        if self._judged % self.renewed_every == 0:
            self.store.close()
            self.store, self.courier = self._begun()
        self.wire.data, self.wire.how = data, random.choice((0, 1, 2, 3, 3, 3))
        self.wire.status = random.choice((200, 200, 200, 400, 503))
        before, taken = self.store.kept, self.taken
        self.courier.wake(by_person=True)
        self.now += 10.0
        due = self.courier.step(self.now)
        assert due >= self.now
        kept = self.store.kept
        if self.wire.how != 3:
            same(_believed(kept), _believed(before), "what an unsigned answer changed")
            same(self.taken, taken, "what an unsigned answer had written")
            return "unsigned"
        assert kept.received.seq <= self.journal.newest()
        assert kept.safe.seq <= kept.received.seq
        assert kept.attested_s >= before.attested_s
        return "refused" if kept.trouble else "answer"

    def close(self) -> None:
        self.store.close()
        self.journal.close()
        self.shop.ledger.close()
        super().close()


def _believed(kept: Kept) -> tuple[object, ...]:
    return (
        kept.received,
        kept.safe,
        kept.have,
        kept.attested_s,
        kept.notes,
        kept.whole,
        kept.suspense,
        kept.last_ok_ms,
    )


class EnrolAnswers(Housed):
    """What a hub, or what stands between, answers to `vafa enrol`."""

    name = "enrol-answers"
    what = "enrol answers: unsigned, signed by their own key, by the pinned one"
    share = 5

    def __init__(self) -> None:
        super().__init__()
        self.own = b"t" * 32
        self.ledger = Ledger(b"L" * 16, Mark(1, 7, b"h" * 32), self.own)
        self.data, self.how = b"", 0
        real = EnrollingHub()
        real.codes = {"AAAA": ("m1", 0)}
        plain = EnrolAnswer("m1", 1, HUB.public, real.sealing.public, NOW_MS, key_id(self.own))
        self.seeds = [
            signing.encoded(each)
            for each in (
                plain, msgspec.structs.replace(plain, want_key=True), msgspec.structs.replace(plain,
                token_key=b"x" * 80),
                Refusal(Reason.CODE_USED, "used"), Refusal(Reason.BUSY, "later", 9), *answers()[:1],
            )
        ]  # fmt: skip
        self.words = (*PACKED, HUB.public, key_id(self.own))

    def _post(self, path: str, body: bytes) -> bytes:
        if self.how == 0:
            return self.data
        answer = Answer(limits.VERSION, Form.PLAIN, self.data)
        key = HUB if self.how > 1 else STRANGER
        nonce = signing.read_envelope(body).nonce
        return signing.signed(answer, key.sign(signing.answer_input(path, nonce, body, answer)))

    def judge(self, data: bytes, random: Random) -> str:
        self.data, self.how = data, random.randrange(4)
        again = random.random() < 0.3
        for left in self.directory.rglob("*"):
            if left.is_file():
                left.unlink()
        if again:
            enrolment.save(
                self.directory, enrolment.Enrolment("https://h", "m1", 1, HUB.public.hex(), "49" * 32, "ab12")
            )
        try:
            enrolled = Enroller(self.directory, self._post, lambda: NOW_MS).run(
                Wish("https://h", "AAAA"), self.ledger
            )
        except VafaError:
            if not again:
                assert enrolment.load(self.directory) is None, "enrolled all the same"
            return "refused"
        assert self.how > 1, "enrolled by an answer that is not signed by the hub it names"
        found = enrolment.load(self.directory)
        same(found, enrolled.enrolment, "what was kept")
        return "enrolled"
