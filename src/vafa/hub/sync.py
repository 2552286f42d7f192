"""`POST /v1/sync`: one request of a device, answered in one transaction.

Who it is comes first (the signature), what it says second (bounds, then rows), and only then is anything
locked: a stranger costs one look-up and one signature check. Everything a request changes is committed
together with the answer it gets, so an answer that is lost on the way is given again, byte for byte.
"""

import structlog

from vafa.hub import branches, devices, suspense
from vafa.hub import contact as contacts
from vafa.hub.answers import Clock, Refusing, Reply, answered, known_device, signed_answer
from vafa.hub.contact import Contact
from vafa.hub.database import Connection, Database
from vafa.hub.down import Down, down
from vafa.hub.hub_key import HubKey
from vafa.hub.intake import Booked, End, Sender, book
from vafa.hub.lines import Line, Spot, current, lines_of
from vafa.hub.rate import Bucket, spend
from vafa.hub.tables import Place
from vafa.keys.sign import is_signed
from vafa.model.errors import Malformed
from vafa.wire import limits
from vafa.wire.messages import (
    MARK_HASH_BYTES,
    SYNC_PATH,
    Envelope,
    Mark,
    Note,
    Reason,
    SyncAnswer,
    SyncRequest,
)
from vafa.wire.rows import WireRow, unpack
from vafa.wire.signing import digest, request_content, request_input

FORK = Note(
    "HUB-010",
    "This device's journal left another copy of itself that the hub holds: a restored backup or a copied "
    "card. Both are kept, and what this device lacks comes back to it; tell who runs the hub.",
)
LOST = Note(
    "HUB-019",
    "The hub holds rows of this journal that this device has lost: an older state of its disk came back. "
    "Sales go on; a newer Vafa gets them back by itself.",
)
COPY = Note(
    "HUB-020",
    "Another device goes on under this one's number: a backup of this one was restored elsewhere, or its "
    "card was copied. What is sold here counts there; stop this one, and enrol it as a device of its own.",
)

log = structlog.get_logger()


class Sync:
    """Answers sync requests. All state is in the database: any number of processes may do it."""

    def __init__(
        self, database: Database, key: HubKey, clock: Clock, requests: Bucket = contacts.REQUESTS
    ) -> None:
        """`clock` gives UTC milliseconds."""
        self._database = database
        self._key = key
        self._clock = clock
        self._requests = requests

    def answer(self, body: bytes) -> Reply:
        """The answer to a request's body; every bad one is refused with a reason."""
        return answered(SYNC_PATH, self._key, self._clock, body, lambda e: self._answer(e, body))

    def _answer(self, envelope: Envelope, body: bytes) -> Reply:
        with self._database.transaction() as connection:
            device = known_device(connection, envelope)
            is_open = devices.merchant_is_open(connection, envelope.merchant)
        if not is_signed(device.sign_key, envelope.signature, request_input(SYNC_PATH, envelope)):
            raise Refusing(Reason.BAD_SIGNATURE, "the request is not signed by this device's key")
        if device.revoked_at is not None or not is_open:
            raise Refusing(Reason.REVOKED, "this device was taken off by whoever runs the hub")
        request, rows = _understood(envelope)
        now_ms = self._clock()
        with self._database.transaction() as connection:
            return self._within(connection, envelope, body, request, rows, now_ms)

    def _within(
        self,
        connection: Connection,
        envelope: Envelope,
        body: bytes,
        request: SyncRequest,
        rows: list[WireRow],
        now_ms: int,
    ) -> Reply:
        """The part under the device's lock."""
        merchant, number = envelope.merchant, envelope.device
        device = devices.lock(connection, merchant, number)
        if device is None or device.revoked_at is not None:
            raise Refusing(Reason.REVOKED, "this device was taken off by whoever runs the hub")
        last = contacts.contact(connection, merchant, number)
        if last is not None and last.answer and last.request_digest == digest(body):
            return Reply(200, last.answer, "repeated")
        spent = spend(self._requests, last.bucket if last else None, now_ms)
        if spent.wait_s:
            raise Refusing(Reason.BUSY, "this device asks too often", spent.wait_s)
        before = Spot(request.before.epoch, request.before.seq, request.before.hash)
        sender = Sender(merchant, number, device.ledger_id)
        rewinds = last.rewinds if last else 0
        booked = book(connection, sender, before, rows, request.head, now_ms, rewinds)
        if booked.end is End.CHAIN:
            raise Refusing(Reason.CHAIN, "the rows do not give the chain hash that was named; vafa verify")
        content = self._content(connection, merchant, number, request, booked, now_ms)
        rewinds = rewinds + 1 if booked.end is End.REWIND else 0
        reply = signed_answer(SYNC_PATH, self._key, envelope, body, content)
        facts = _facts(request, last, now_ms)
        skew_ms = _bounded(envelope.at_ms - now_ms)
        asked = (now_ms, digest(body), reply, spent.tokens, now_ms, skew_ms, request.newest)
        contacts.keep(connection, merchant, number, Contact(*asked, *facts, rewinds))
        if booked.appended or booked.end is not End.BOOKED:
            log.info(
                "sync", merchant=merchant, device=number, end=booked.end.name.lower(), rows=booked.appended,
                suspended=booked.suspended, forked=booked.forked,
            )  # fmt: skip
        return Reply(200, reply, booked.end.name.lower() if not booked.forked else "forked")

    def _content(
        self,
        connection: Connection,
        merchant: str,
        number: int,
        request: SyncRequest,
        booked: Booked,
        now_ms: int,
    ) -> SyncAnswer:
        lines = lines_of(connection, merchant, number)
        line = current(lines)
        lost = _lost(connection, Place(merchant, number, line.line), lines, request, booked)
        branch, rest = None, False
        if lost:
            branch, last = branches.given(
                connection, Place(merchant, number, line.line), lost[0], self._key.signing
            )
            rest = len(lost) > 1 or last < lost[0].last_seq
        if branch is not None and len(branch.rows) > limits.BRANCH_BYTES_MAX:  # one row that fills an answer
            found = Down(request.have)
        else:
            found = down(connection, merchant, number, request.have, self._key.signing, now_ms)
        return SyncAnswer(
            received=_mark(booked.received),
            safe=_mark(Spot(line.safe_epoch, line.safe_seq, line.safe_hash)),
            hub_ms=now_ms,
            whole_rows=booked.whole,
            have=found.have,
            programmes=found.programmes,
            members=found.members,
            messages=found.messages,
            notes=_notes(booked, line.line, request),
            more=found.more or rest,
            suspense=suspense.count(connection, merchant, number, line.line),
            branch=branch,
            forgotten=found.forgotten,
        )


def _lost(
    connection: Connection, place: Place, lines: list[Line], request: SyncRequest, booked: Booked
) -> list[branches.Missing]:
    """What the device lacks of what the hub holds under its number: none while it sends again what the hub
    has, none for a copy whose number another goes on under."""
    at = booked.received.seq
    if request.counted is None or booked.end is not End.BOOKED or booked.line != place.line:
        return []
    if not booked.behind and at != next((each.seq for each in lines if each.line == place.line), 0):
        return []
    return branches.missing(connection, place, lines, at, request.counted)


def _notes(booked: Booked, newest: int, request: SyncRequest) -> tuple[Note, ...]:
    """What people at the device should know of its journal."""
    if booked.end is End.BOOKED and booked.line != newest:
        return (COPY,)
    if booked.forked:
        return (FORK,)
    return (LOST,) if booked.behind and request.counted is None else ()


def _understood(envelope: Envelope) -> tuple[SyncRequest, list[WireRow]]:
    """What a device whose signature is good says. Malformed is refused; nothing was changed yet."""
    try:
        content = request_content(envelope)
        if not isinstance(content, SyncRequest):
            raise Refusing(Reason.MALFORMED, f"this is no request for {SYNC_PATH}")
        return content, unpack(content.rows) if content.rows else []
    except Malformed as error:
        raise Refusing(Reason.MALFORMED, str(error)) from error


def _facts(request: SyncRequest, last: Contact | None, now_ms: int) -> tuple[bytes, int]:
    """(what the device says of itself, since when). A request overtaken by a later one tells nothing."""
    known = (last.packed_facts, last.facts_at) if last else (b"", 0)
    if request.facts is None or (last is not None and request.newest < last.newest):
        return known
    return contacts.packed(request.facts), now_ms


def _mark(spot: Spot) -> Mark:
    return Mark(spot.epoch, spot.seq, spot.hash[:MARK_HASH_BYTES])


def _bounded(milliseconds: int) -> int:
    """A skew the column can hold, whatever clock the device says it has."""
    return max(-(2**62), min(2**62, milliseconds))
