"""Opens what a power cut left, as a start does: is what was acknowledged there once, does the shop go on?"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
from crash.disk import Image, write_image
from shop import PROGRAMME

from vafa.app.counter import Counter
from vafa.app.joining import tokens_of
from vafa.app.ledger_start import open_epoch
from vafa.app.outcome import Outcome
from vafa.app.programmes import Programmes
from vafa.books.rows import HoldState
from vafa.club.programme import parse
from vafa.keys.device_key import load, load_or_create
from vafa.keys.tokens import Tokens
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger
from vafa.ledger.storage import connect_reader, ledger_path
from vafa.ledger.upkeep import check_integrity
from vafa.ledger.value import holds_of_request
from vafa.ledger.verify import chain_faults, verify
from vafa.model import events
from vafa.model.errors import VafaError
from vafa.model.payment import Payment, PaymentKey, Scheme, Source

KEY_PATH = Path("keys/device.key")
NOW_MS = 1_800_000_000_000
_TOLD = ("paid", "known", "redeemed", "undone")
_ELSE = {
    b'{"is":"enrolled"': "enrolled",
    b'{"tell":"synced"': "synced",
    b'{"tell":"key told"': "key told",
}
_SAID = {b"keys sealed\n": "backed up", b" are back, in epoch ": "restored"}  # by the command line, to people
Answers = Sequence[dict[str, Any]]
More = Callable[[Path, Ledger, Tokens, Answers], str]


@cache
def programme() -> Any:
    """The rules of the next payment."""
    return parse(PROGRAMME)


def acknowledged(data: bytes) -> dict[str, Any] | None:
    """What a reply promises (to a client, a person or the daemon), None for any other bytes."""
    if data.startswith(b'{"answer":'):
        answer: dict[str, Any] = msgspec.json.decode(data)
        return answer if answer["answer"] in _TOLD else None
    for begin, name in _ELSE.items():
        if data.startswith(begin):
            told: dict[str, Any] = msgspec.json.decode(data.partition(b"\n")[0])
            return told | {"answer": name}
    for text, name in _SAID.items():
        if text in data:
            return {"answer": name}
    return None


def fault_of(image: Image, answers: Answers, directory: Path) -> str:
    """'' when the image holds all that `answers` promised and the shop goes on; else what is wrong."""
    return judged(image, answers, directory, ())


def judged(image: Image, answers: Answers, directory: Path, more: Sequence[More]) -> str:
    """The same, and what `more` finds before the shop goes on."""
    directory.mkdir(parents=True)
    write_image(image, directory)
    try:
        key = (load if ledger_path(directory).exists() else load_or_create)(directory / KEY_PATH)
        tokens = tokens_of(directory, key)
        ledger = Ledger(directory, lambda: NOW_MS)
    except VafaError as error:
        return f"it does not start: {error}"
    try:
        open_epoch(ledger, tokens.own_key_id)
        if ledger.lost_commits:
            return f"{ledger.lost_commits} commits are told to be lost, and none was"
        looks: Sequence[More] = (lost, _unspent, _not_undone, *more, _doubled, _altered)
        found = (look(directory, ledger, tokens, answers) for look in looks)
        return next(filter(None, found), "") or _bad_backup(image, directory)
    except VafaError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        ledger.close()


def lost(_directory: Path, ledger: Ledger, _tokens: Tokens, answers: Answers) -> str:
    """An acknowledged award or member that is not there as it was told."""
    for answer in answers:
        if answer["answer"] != "paid":
            continue
        key = PaymentKey(Scheme.SENDER, answer["terminal"], answer["ref"])
        row = ledger.read(partial(reads.payment, key=key))
        if row is None:
            return f"{answer['ref']} was acknowledged and is gone"
        if answer["number"].rpartition("-")[2] != str(row.seq) or answer["amount"] != row.amount:
            return f"{answer['ref']} is not where it was acknowledged"
    phones = {answer["phone"][-4:] for answer in answers if answer["answer"] == "known"}
    found = ledger.read(lambda c: {row[0] for row in c.execute("SELECT last4 FROM member")})
    sealed, active = ledger.read(
        lambda c: c.execute(
            "SELECT (SELECT count(*) FROM secret), "
            "(SELECT count(*) FROM member WHERE state = 1 AND last4 <> '')"
        ).fetchone()
    )
    if sealed != active:
        return f"{active} members have {sealed} sealed phones"
    return "" if phones <= found else "an acknowledged member is gone"


def _unspent(_directory: Path, ledger: Ledger, _tokens: Tokens, answers: Answers) -> str:
    """A hold, capture or release that was acknowledged and is not as it was told."""
    states = {"held": HoldState.OPEN, "captured": HoldState.CAPTURED, "released": HoldState.RELEASED}
    told = {answer["request"]: answer for answer in answers if answer["answer"] == "redeemed"}
    for request, answer in told.items():
        rows = ledger.read(partial(holds_of_request, request=request))
        if len(rows) != 1:
            return f"{request} was acknowledged and is {len(rows)} holds"
        state = states[answer["state"]]
        later = {HoldState.OPEN: set(HoldState), HoldState.CAPTURED: {HoldState.RETURNED}}.get(state, set())
        if rows[0].state not in {state, *later}:
            return f"{request} was acknowledged as {answer['state']}"
        if state == HoldState.CAPTURED and rows[0].captured != answer["points"]:
            return f"{request} spent {rows[0].captured} points, {answer['points']} were acknowledged"
    return ""


def _not_undone(_directory: Path, ledger: Ledger, _tokens: Tokens, answers: Answers) -> str:
    """A void or refund that was acknowledged and is not there as it was told."""
    for answer in answers:
        if answer["answer"] != "undone":
            continue
        tid = "C0000301"
        row = ledger.read(partial(reads.payment, key=PaymentKey(Scheme.REQUEST, tid, answer["request"])))
        if row is None:
            return f"{answer['request']} ({answer['kind']}) was acknowledged and is gone"
        if answer["number"].rpartition("-")[2] != str(row.seq):
            return f"{answer['request']} is not where it was acknowledged"
    return ""


def _doubled(_directory: Path, ledger: Ledger, _tokens: Tokens, _answers: Answers) -> str:
    """A payment, void or refund that the journal has twice."""
    paid = (events.Kind.AWARD, events.Kind.PAYMENT)
    keys = ledger.read(lambda c: [reads.paid_of(each.event).key for each in reads.entries(c, 0, paid)])
    if len(keys) != len(set(keys)):
        return "a payment is in the journal twice"
    undone = (events.Kind.REVERSAL, events.Kind.REFUND, events.Kind.REFUND_UNMATCHED)
    events_of = partial(reads.entries, kinds=undone)
    refs = ledger.read(lambda c: [_ref(each.event) for each in events_of(c)])
    return "" if len(refs) == len(set(refs)) else "a void or refund is in the journal twice"


def _stuck(ledger: Ledger, tokens: Tokens) -> str:
    """The next payment is taken, and answered the same again."""
    programmes = Programmes(ledger)
    programmes.activate(programme(), None)
    counter = Counter(ledger, tokens, programmes, "Asia/Tehran")
    next_one = Payment(key=PaymentKey(Scheme.SENDER, "C0000301", "next"), amount=777, source=Source.LOCAL)
    first: Outcome = counter.post(next_one)
    again = counter.post(next_one)
    same = msgspec.structs.replace(again, seen_before=False) == first and again.seen_before
    return "" if same and not first.seen_before else "the next payment is not taken once"


def _ref(event: events.Event) -> PaymentKey:
    assert isinstance(event, events.Reversal | events.Refund | events.RefundUnmatched)
    return event.ref


_verified: dict[bytes, str] = {}


def _altered(_directory: Path, ledger: Ledger, tokens: Tokens, _answers: Answers) -> str:
    """Pages and indexes by SQLite; chain, till sums, state hashes and every row of the books, recomputed,
    before and after the next payment.

    Images differ in what is half written; once opened most hold the same rows. The same rows in all tables
    have the same verdict: for them the next payment is tried and the pages looked at, and that is all.
    """
    rows = ledger.read(_digest)
    if rows not in _verified:
        _verified[rows] = _unverified(ledger) or _stuck(ledger, tokens) or _unverified(ledger)
        return _verified[rows] or _broken(ledger)
    return _verified[rows] or _stuck(ledger, tokens) or _broken(ledger)


def _unverified(ledger: Ledger) -> str:
    reader = connect_reader(ledger.path)
    try:
        return "; ".join(str(bad) for bad in verify(reader, lambda *_: "", scratch=ledger.path.parent).bad)
    finally:
        reader.close()


def _broken(ledger: Ledger) -> str:
    (sound,) = ledger.read(lambda c: c.execute("PRAGMA integrity_check(1)").fetchone())
    return "" if sound == "ok" else f"the file is damaged: {sound}"


def _digest(connection: sqlite3.Connection) -> bytes:
    """Of every row of every table."""
    digest = blake2b(digest_size=16)
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        digest.update(repr((table, connection.execute(f"SELECT * FROM {table}").fetchall())).encode())  # noqa: S608
    return digest.digest()


_sound: dict[bytes, str] = {}


def _bad_backup(image: Image, directory: Path) -> str:
    """A backup that has its name is whole. Most images have the same ones: each is looked at once."""
    problems = []
    for path, content in image.items():
        if not path.startswith("backups/ledger-"):
            continue
        if content not in _sound:
            if len(_sound) > 50:
                _sound.clear()
            _sound[content] = "; ".join(check_integrity(directory / path, chain_faults))
        problems.append(_sound[content])
    return "; ".join(filter(None, problems))
