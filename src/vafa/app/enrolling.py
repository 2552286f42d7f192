"""Enrols this device: the exchange with the hub, then what it changes here. By the daemon, or with it down.

Each part may be cut off and done again: the hub answers the same key alike, the files say what is so, and the
journal follows them at the next start (`settle`). A sale never waits: ids change hands in one assignment, and
members are merged in slices.
"""

import os
import re
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import structlog

from vafa.app import hub_questions
from vafa.app.aside import enrolled_aside
from vafa.app.config import Config
from vafa.app.joining import merge_own_members, settle, tokens_of
from vafa.keys import device_key
from vafa.keys.pem import certificates
from vafa.keys.seal import Sealer, Seals, wrapping_key
from vafa.keys.sign import fingerprint
from vafa.keys.tokens import Tokens
from vafa.ledger import reads
from vafa.ledger.ledger import Ledger
from vafa.ledger.storage import ledger_path
from vafa.model.errors import LedgerError, SyncError
from vafa.ports.clock import Clock, SystemClock
from vafa.sync import enrol, enrolment, kept
from vafa.sync.enrol_once import Ask, Done
from vafa.sync.enrolment import SYNC_KEY, Enrolment, EnrolmentFault
from vafa.wire.messages import MARK_HASH_BYTES, Mark

_ADDRESS = re.compile(r"https://[^\s/?#@]+(?:/[^\s?#]*)?")

log = structlog.get_logger()

EARLIEST_MS = 1_735_689_600_000  # 2025: a clock before it was never set
BEHIND_MS_MAX = 3_600_000


class Enrolling:
    """Answers `vafa enrol`. One at a time.

    exchange  has the hub asked, in a process that ends
    """

    def __init__(
        self,
        ledger: Ledger,
        tokens: Tokens,
        sealer: Seals,
        clock: Clock,
        exchange: Callable[[Ask], Done] = enrolled_aside,
    ) -> None:
        self._ledger, self._tokens, self._sealer = ledger, tokens, sealer
        self._clock, self._exchange = clock, exchange
        self._directory = ledger.path.parent

    def answer(self, question: hub_questions.Enrol) -> hub_questions.EnrolIs:
        """Enrols, enrols again, or changes keys. SyncError and EnrolmentFault say what to do."""
        before = enrolment.load(self._directory)
        self._judge_clock()
        authorities = self._certificates(question, before)
        address = question.hub.rstrip("/") or (before.hub if before is not None else "")
        if before is None and not question.code:
            fix = "vafa enrol CODE --hub URL"
            raise EnrolmentFault("this device is not enrolled", fix=fix, code="ENR-006")
        if not _ADDRESS.fullmatch(address):
            raise EnrolmentFault(
                f"{address or 'no address'}: a hub's address begins with https:// and a name",
                fix="vafa enrol CODE --hub https://NAME",
                code="ENR-012",
            )
        wish = enrol.Wish(question.hub and address, question.code, authorities, question.new_hub)
        place = str(self._directory / authorities) if authorities else ""
        done = self._exchanged(Ask(str(self._directory), address, place, wish, self._told_of_ledger()))
        self._tokens.adopt(done.merchant_key or self._tokens.own_key)
        settle(self._ledger, self._tokens, done.enrolment)
        merged, unreadable = merge_own_members(self._ledger, self._tokens, self._sealer)
        known = done.enrolment
        return hub_questions.EnrolIs(
            host=known.host,
            merchant=known.merchant,
            device=known.device,
            shop=known.shop,
            fingerprint=fingerprint(known.hub_public_key),
            again=done.again,
            merged=merged,
            unreadable=unreadable,
            skew_s=(self._clock.wall_ms() - done.hub_ms) / 1000 if done.hub_ms else 0.0,
        )

    def _exchanged(self, ask: Ask) -> enrol.Enrolled:
        done = self._exchange(ask)
        if done.enrolled is None:
            assert done.failure is not None
            raise EnrolmentFault(done.failure.message, fix=done.failure.fix, code=done.failure.code)
        return done.enrolled

    def _judge_clock(self) -> None:
        """A certificate's dates are judged by our clock here: there is no pinned key yet to tell the time."""
        now_ms = self._clock.wall_ms()
        newest_ms = self._ledger.read(reads.newest_at_ms)
        if now_ms < max(EARLIEST_MS, newest_ms - BEHIND_MS_MAX):
            raise EnrolmentFault(
                "the clock of this device is wrong: the hub's certificate cannot be judged by it",
                fix="sudo timedatectl set-ntp true, or set the time; then enrol again",
                code="ENR-011",
            )

    def _certificates(self, question: hub_questions.Enrol, before: Enrolment | None) -> str:
        """The name of the file of authorities to trust, '' for the system's: those just named, else those of
        before where the hub is the same one. Named by what is in it: one in use is never written over."""
        if question.certificates:
            text = certificates(question.certificates)
            if not text:
                raise EnrolmentFault(
                    "that file holds no certificate",
                    fix="it begins with -----BEGIN CERTIFICATE-----; ask whoever runs the hub for it",
                    code="ENR-014",
                )
            name = f"hub-ca-{blake2b(text, digest_size=4).hexdigest()}.pem"
            enrolment.write_durably(self._directory / name, text, 0o640)
            return name
        return before.ca if before is not None and question.hub.rstrip("/") in ("", before.hub) else ""

    def _told_of_ledger(self) -> enrol.Ledger:
        device = self._ledger.read(reads.device)
        if device is None:
            raise LedgerError("there is no ledger here yet", fix="start the daemon once", code="LED-006")
        head = self._ledger.head
        mark = Mark(head.epoch, head.seq, head.hash[:MARK_HASH_BYTES])
        return enrol.Ledger(device.ledger_id, mark, self._tokens.own_key)


def enrolled_alone(config: Config, question: hub_questions.Enrol) -> hub_questions.EnrolIs:
    """The same with the daemon down, under the ledger's lock. What it makes is the ledger's owner's."""
    directory = config.ledger_directory
    if not ledger_path(directory).exists():
        raise LedgerError("there is no ledger here yet", fix="start the daemon once", code="LED-006")
    key, clock = device_key.load(config.key_file), SystemClock()
    ledger = Ledger(directory, clock.wall_ms)
    try:
        sealer = Sealer(wrapping_key(key))
        before = enrolment.load(directory)
        done = Enrolling(ledger, tokens_of(directory, key), sealer, clock).answer(question)
        go_on_with_sync(directory, before)
        return done
    finally:
        ledger.close()
        _give_to_owner(directory)


def go_on_with_sync(directory: Path, before: Enrolment | None) -> None:
    """No sync process runs: what it keeps is made to fit the enrolment that is there now."""
    now = enrolment.load(directory)
    assert now is not None
    who = (now.hub_key, now.merchant, now.device)
    same = before is not None and (before.hub_key, before.merchant, before.device) == who
    try:
        kept.renewed(directory, same_hub=same)
    except SyncError as error:  # it is begun anew by the next sync
        log.warning("what the sync keeps", reason=str(error))


def _give_to_owner(directory: Path) -> None:
    """Files that root has made here must be readable by the daemon, which is not root."""
    if os.geteuid() != 0:
        return
    owner = directory.stat()
    keys = (directory / SYNC_KEY).parent
    made = [directory / enrolment.FILE, keys, *keys.glob("sync.key*"), *keys.glob("merchant.key")]
    for path in (*made, *directory.glob("hub-ca-*.pem")):
        if path.exists() and path.stat().st_uid != owner.st_uid:
            os.chown(path, owner.st_uid, owner.st_gid)
