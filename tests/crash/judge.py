"""Opens what a power cut left: is every acknowledged thing there, once, and does the shop go on?"""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from crash.disk import Image, write_image
from shop import PROGRAMME

from vafa.app.counter import Counter
from vafa.app.outcome import Outcome
from vafa.app.programmes import Programmes
from vafa.books.rows import HoldState
from vafa.club.programme import parse
from vafa.keys.device_key import load_or_create
from vafa.keys.tokens import Tokens
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger
from vafa.ledger.storage import connect_reader
from vafa.ledger.upkeep import check_integrity
from vafa.ledger.value import holds_of_request
from vafa.ledger.verify import chain_faults, verify
from vafa.model import events
from vafa.model.errors import VafaError
from vafa.model.payment import Payment, PaymentKey, Scheme, Source

KEY_PATH = Path("keys/device.key")


def acknowledged(data: bytes) -> dict[str, Any] | None:
    """The award or enrolment that a reply confirms, None for any other bytes."""
    if not data.startswith(b'{"answer":'):
        return None
    answer: dict[str, Any] = msgspec.json.decode(data)
    return answer if answer["answer"] in ("paid", "known", "redeemed") else None


def fault_of(image: Image, answers: list[dict[str, Any]], directory: Path) -> str:
    """'' when the image holds all that `answers` promised and the ledger goes on; else what is wrong."""
    directory.mkdir(parents=True)
    write_image(image, directory)
    if answers and str(KEY_PATH) not in image:
        return "the device key is gone, though tokens made with it were acknowledged"
    try:
        ledger = Ledger(directory, lambda: 1_800_000_000_000)
    except VafaError as error:
        return f"the ledger does not open: {error}"
    try:
        return (
            _lost(ledger, answers)
            or _unspent(ledger, answers)
            or _doubled(ledger)
            or _stuck(ledger, directory)
            or _altered(ledger)
            or _bad_backup(directory)
        )
    except VafaError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        ledger.close()


def _lost(ledger: Ledger, answers: list[dict[str, Any]]) -> str:
    """An acknowledged award that is not there as it was told."""
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
            "SELECT (SELECT count(*) FROM secret), (SELECT count(*) FROM member WHERE state = 1)"
        ).fetchone()
    )
    if sealed != active:
        return f"{active} members have {sealed} sealed phones"
    return "" if phones <= found else "an acknowledged member is gone"


def _unspent(ledger: Ledger, answers: list[dict[str, Any]]) -> str:
    """A hold, capture or release that was acknowledged and is not as it was told."""
    states = {"held": HoldState.OPEN, "captured": HoldState.CAPTURED, "released": HoldState.RELEASED}
    told = {answer["request"]: answer for answer in answers if answer["answer"] == "redeemed"}
    for request, answer in told.items():
        rows = ledger.read(partial(holds_of_request, request=request))
        if len(rows) != 1:
            return f"{request} was acknowledged and is {len(rows)} holds"
        state = states[answer["state"]]
        if rows[0].state != state and state != HoldState.OPEN:  # a hold may have been captured since
            return f"{request} was acknowledged as {answer['state']}"
        if state == HoldState.CAPTURED and rows[0].captured != answer["points"]:
            return f"{request} spent {rows[0].captured} points, {answer['points']} were acknowledged"
    return ""


def _doubled(ledger: Ledger) -> str:
    """A payment that the journal has twice."""
    kinds = (events.Kind.AWARD, events.Kind.PAYMENT)
    keys = ledger.read(lambda c: [reads.paid_of(each.event).key for each in reads.entries(c, 0, kinds)])
    return "" if len(keys) == len(set(keys)) else "a payment is in the journal twice"


def _stuck(ledger: Ledger, directory: Path) -> str:
    """The next payment is taken, and answered the same again."""
    tokens = Tokens(load_or_create(directory / KEY_PATH))
    if ledger.head.seq == 0:
        ledger.write(lambda tx: tx.post(events.EpochOpened(b"L" * 16, 1, None, tokens.key_id, "test")))
    programmes = Programmes(ledger)
    programmes.activate(parse(PROGRAMME), None)
    counter = Counter(ledger, tokens, programmes, "Asia/Tehran")
    next_one = Payment(key=PaymentKey(Scheme.SENDER, "C0000301", "next"), amount=777, source=Source.LOCAL)
    first: Outcome = counter.post(next_one)
    again = counter.post(next_one)
    same = msgspec.structs.replace(again, seen_before=False) == first and again.seen_before
    return "" if same and not first.seen_before else "the next payment is not taken once"


def _altered(ledger: Ledger) -> str:
    """Chain, till sums, state hashes and every row of the books, recomputed."""
    reader = connect_reader(ledger.path)
    try:
        return "; ".join(str(bad) for bad in verify(reader, lambda *_: "", scratch=ledger.path.parent).bad)
    finally:
        reader.close()


def _bad_backup(directory: Path) -> str:
    """A backup that has its name is whole."""
    problems = [
        problem
        for backup in sorted(directory.glob("backups/ledger-*.db"))
        for problem in check_integrity(backup, chain_faults)
    ]
    return "; ".join(problems)
