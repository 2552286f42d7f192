"""What else must be there after a power cut, where a hub or a backup has its part: More's for crash.judge."""

import shutil
import tarfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from crash.disk import Image
from crash.judge import NOW_MS, Answers, More, judged, lost
from crash.two_hubs import MERCHANT
from hub_stub import HUB_KEY, Hub

from vafa.app.backing_up import digest_of
from vafa.app.joining import merge_own_members, settle
from vafa.app.programmes import Programmes
from vafa.app.restoring import look
from vafa.app.sync_journal import LedgerJournal
from vafa.club.programme import parse
from vafa.keys.device_key import load
from vafa.keys.seal import Sealer, wrapping_key
from vafa.keys.sign import SigningKey
from vafa.keys.tokens import Tokens
from vafa.ledger.ledger import Ledger
from vafa.model import events
from vafa.model.chain import Row
from vafa.sync import enrolment, kept
from vafa.sync.courier import Courier, Who, World
from vafa.sync.enrol import settle_keys
from vafa.sync.links import LinkNow
from vafa.sync.transport import Reply
from vafa.wire.messages import SYNC_PATH, Forgotten
from vafa.wire.rows import WireRow

STEPS_MAX = 20


def joined(directory: Path, ledger: Ledger, tokens: Tokens, answers: Answers) -> str:
    """A key the hub may know is there; what was enrolled is, and a start ends what was cut off."""
    keys = [answer["key"] for answer in answers if answer["answer"] == "key told"]
    here = [path.read_text("ascii", "replace") for path in (directory / "keys").glob("sync.key*")]
    if keys and not any(keys[-1] in text for text in here):
        return "the hub was told a key that is gone: nobody can enrol with its code any more"
    told = [answer["device"] for answer in answers if answer["answer"] == "enrolled"]
    found = enrolment.load(directory)
    if found is None:
        return "the enrolment was acknowledged and is gone" if told else ""
    if told and found.device != told[-1]:
        return f"enrolled as {told[-1]}, and is {found.device}"
    settle_keys(directory, found)
    settle(ledger, tokens, found)
    sealer = Sealer(wrapping_key(load(directory / "keys" / "device.key")))
    _, unreadable = merge_own_members(ledger, tokens, sealer)
    return f"{unreadable} members cannot be merged" if unreadable else ""


def synced(device_key: bytes) -> More:
    """For the device with this public key: judges marks and caches, then lets the sync go on to its end."""

    def judge(directory: Path, ledger: Ledger, _tokens: Tokens, answers: Answers) -> str:
        received = max((a["received"] for a in answers if a["answer"] == "synced"), default=0)
        if received > ledger.head.seq:
            return f"the hub has row {received}, the newest here is {ledger.head.seq}"
        store = kept.Store(kept.path_in(directory))
        journal = LedgerJournal(ledger.path)
        try:
            return _kept_fault(ledger, journal, store) or _goes_on(
                directory, ledger, journal, store, device_key, received
            )
        finally:
            journal.close()
            store.close()

    return judge


def _kept_fault(ledger: Ledger, journal: LedgerJournal, store: kept.Store) -> str:
    """What is kept as taken is there."""
    mark, have = store.kept.received, store.kept.have
    row = journal.row(mark.seq) if mark.seq else None
    if mark.seq and (row is None or not row.hash.startswith(mark.hash)):
        return f"the mark is at row {mark.seq}, which is not in the journal"
    activated = ledger.read(lambda c: c.execute("SELECT count(*) FROM programme").fetchone()[0])
    if have.programmes and activated < 1 + have.programmes:
        return f"programme version {have.programmes} is taken, and {activated} were activated"
    with kept.reading(kept.path_in(ledger.path.parent)) as connection:
        assert connection is not None
        members, messages = kept.counts_in(connection)
    if (members, messages) < (have.members, have.messages):
        return (
            f"{have.members} members and {have.messages} messages came down, {members}, {messages} are here"
        )
    return ""


def _goes_on(
    directory: Path,
    ledger: Ledger,
    journal: LedgerJournal,
    store: kept.Store,
    device_key: bytes,
    received: int,
) -> str:
    """The hub, with the rows it had, ends with each row once and the same chain."""
    hub = Hub(device_key, lambda: NOW_MS)
    for row in journal.rows_after(0, received) if received else ():
        hub.books._book(WireRow(row.epoch, row.seq, row.at, row.kind, row.body))
    key = SigningKey(load(directory / enrolment.SYNC_KEY))
    world = World(lambda: NOW_MS, LinkNow, lambda: None, "another boot", 10**9, Random(1))  # noqa: S311
    who = Who(MERCHANT, 1, HUB_KEY.public)
    courier = Courier(who, key, journal, store, _ToHub(hub), _Inbox(ledger), world, 0.0)
    now = 0.0
    for _ in range(STEPS_MAX):
        now = max(courier.step(now), now)
        if store.kept.trouble is not None:
            return f"the sync does not go on: {store.kept.trouble.text}"
        if store.kept.received.seq == ledger.head.seq:
            break
    if len(hub.books.log) != ledger.head.seq or hub.books.hash != ledger.head.hash:
        return f"the hub has {len(hub.books.log)} of {ledger.head.seq} rows, or others"
    return ""


class _ToHub:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def post(
        self, path: str, body: bytes, *, trusts_clock: bool, meanwhile: Callable[[], None] = lambda: None
    ) -> Reply:
        assert path == SYNC_PATH
        meanwhile()
        return Reply(200, self._hub.handle(path, body), 900, dates_checked=trusts_clock)

    def check_dates(self, at_ms: int) -> None:
        """Good."""

    def close(self) -> None:
        """Nothing is open."""


class _Inbox:
    """As the daemon's."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def programme(self, document: str, from_at: int | None) -> str:
        Programmes(self._ledger).activate(parse(document), from_at)
        return ""

    def regain(self, rows: Sequence[Row], signature: bytes) -> str:
        raise AssertionError("no row was lost that the hub has")

    def forget(self, told: Sequence[Forgotten]) -> None:
        raise AssertionError("nobody was forgotten elsewhere")

    def attest(self, hub_s: int) -> None:
        self._ledger.write(lambda tx: tx.post(events.ClockAttested(hub_s, "hub")))


def branch(answers: Answers) -> tuple[Answers, Answers]:
    """(all that the ledger of before holds, all that a restored one holds) of sales, a backup, sales, a
    restore, sales."""
    said = [answer["answer"] for answer in answers]
    made = said.index("backed up") if "backed up" in said else len(said)
    restored = said.index("restored") if "restored" in said else len(said)
    return answers[:restored], [*answers[:made], *answers[restored:]]


def restored_or_not(image: Image, answers: Answers, directory: Path) -> str:
    """The ledger of before, whole, or the restored one with it aside: never neither."""
    said = {answer["answer"] for answer in answers}
    before, after = branch(answers)
    fault = ""
    if "restored" not in said:
        fault = judged(image, before, directory, (_backup_is_good,))
        if not fault or "backed up" not in said:
            return fault
        shutil.rmtree(directory)

    def aside(place: Path, ledger: Ledger, tokens: Tokens, _answers: Answers) -> str:
        return _epoch_fault(ledger) or _aside_fault(place, tokens, before)

    again = judged(image, after, directory, (_backup_is_good, aside))
    return " / ".join(filter(None, (fault, again))) if again else ""


def _epoch_fault(ledger: Ledger) -> str:
    return "" if ledger.head.epoch >= 2 else "a restored ledger goes on in its old epoch"


def _aside_fault(directory: Path, tokens: Tokens, answers: Answers) -> str:
    """What was there lies aside, whole."""
    name = "ledger.before-restore-1.db"
    if not (directory / name).exists():
        return "the ledger that was there is gone"
    (directory / "aside").mkdir()
    for suffix in ("", "-wal"):
        part = directory / (name + suffix)
        if part.exists():
            shutil.copy(part, directory / "aside" / f"ledger.db{suffix}")
    ledger = Ledger(directory / "aside", lambda: NOW_MS)
    try:
        return lost(directory, ledger, tokens, answers)
    finally:
        ledger.close()


def _backup_is_good(directory: Path, _ledger: Ledger, _tokens: Tokens, answers: Answers) -> str:
    """A backup with its name is whole; one that was told of has it."""
    path = directory / "usb" / "one.vafa"
    if not path.exists():
        return "the backup was told of and is gone" if _has("backed up", answers) else ""
    about = look(path).about
    assert about is not None
    copy = directory / "usb" / "copy.db"
    with tarfile.open(path, "r:") as archive, copy.open("wb") as file:
        ledger = archive.extractfile("ledger.db")
        assert ledger is not None
        with closing(ledger):
            shutil.copyfileobj(ledger, file)
    return "" if digest_of(copy) == about.digest else "the backup is not whole"


def _has(name: str, answers: Sequence[dict[str, Any]]) -> bool:
    return any(answer["answer"] == name for answer in answers)
