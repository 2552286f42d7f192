"""Enrolment as the device does it: a one-time code, keys made here, the hub's key pinned.

    first       code, our new keys                                 -> who we are, the hub's keys
    wants key   the same, with our token key sealed to the hub     -> it is the merchant's from now on
    later       the answer brings the merchant's token key, sealed to us
    again       as first, by a code made for this device: same number, the key replaced
    rotate      no code; signed by the key we have, the new ones inside

Every step may be lost after the hub took it: the keys are on the disk before they are named to anybody, and
the same request by the same key gets the same answer.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from vafa import __version__
from vafa.keys import device_key, sealed_box
from vafa.keys.device_key import DeviceKey
from vafa.keys.sealed_box import SealingKey
from vafa.keys.sign import SigningKey, is_signed
from vafa.keys.tokens import key_id
from vafa.model.errors import Malformed, SyncError
from vafa.sync.enrolment import (
    SYNC_KEY,
    Enrolment,
    EnrolmentFault,
    load,
    merchant_key,
    save,
    save_merchant_key,
    sync_key_path,
)
from vafa.wire import limits, signing
from vafa.wire.messages import (
    ENROL_PATH,
    SEALED_FOR,
    EnrolAnswer,
    EnrolRequest,
    Envelope,
    Mark,
    Reason,
    Refusal,
)

Post = Callable[[str, bytes], bytes]  # path and body to the answer's body; SyncError where none comes

NEXT = ".next"  # a key that is being made known to the hub and not in use yet
_REFUSED = {
    Reason.CODE_UNKNOWN: (
        "ENR-002",
        "read it again, letter by letter; vafa hub code add, on the hub, makes one",
    ),
    Reason.CODE_USED: ("ENR-003", "ask for a new one: vafa hub code add, on the hub"),
    Reason.CODE_EXPIRED: ("ENR-004", "ask for a new one: vafa hub code add, on the hub"),
    Reason.VERSION: ("ENR-008", "update Vafa here, or on the hub"),
    Reason.REVOKED: ("ENR-009", "the hub took this device off; ask for a code that enrols it again"),
    Reason.UNKNOWN_DEVICE: ("ENR-009", "the hub does not know this device; ask for a code"),
    Reason.BAD_SIGNATURE: ("ENR-009", "the hub has another key of this device; ask for a code"),
    Reason.BUSY: ("ENR-007", "try again in a minute; the code stays good"),
}


class Wish(msgspec.Struct, frozen=True):
    """What a person asked for. hub '' and code '' rotate the keys of an enrolled device."""

    hub: str = ""
    code: str = ""
    ca: str = ""
    new_hub: bool = False  # a hub with another key is meant


class Ledger(msgspec.Struct, frozen=True):
    """What enrolment tells of the ledger: its id, its newest row, and the device's own token key."""

    ledger_id: bytes
    head: Mark
    own_key: bytes


class Enrolled(msgspec.Struct, frozen=True):
    """How it ended. `merchant_key` is b'' where the device's own is the merchant's."""

    enrolment: Enrolment
    merchant_key: bytes
    again: bool
    hub_ms: int = 0


class Enroller:
    """One enrolment in a ledger's directory. `post` talks to the hub the wish names."""

    def __init__(self, directory: Path, post: Post, now_ms: Callable[[], int]) -> None:
        self._directory = directory
        self._post = post
        self._now_ms = now_ms
        self._before = load(directory)

    def run(self, wish: Wish, ledger: Ledger) -> Enrolled:
        """Enrols, enrols again, or rotates. Afterwards the files say so. SyncError's and EnrolmentFault's."""
        before = self._before
        rotates = not wish.code
        if rotates and before is None:
            raise EnrolmentFault(
                "this device is not enrolled", fix="vafa enrol CODE --hub URL", code="ENR-006"
            )
        in_use = sync_key_path(self._directory)
        is_apart = in_use != self._directory / SYNC_KEY
        if rotates and is_apart:
            raise EnrolmentFault(
                f"the device's key is a systemd credential ({in_use.name}): it is not changed from here",
                fix="put another one into /etc/credstore, restart vafa, and enrol again with a new code",
                code="ENR-013",
            )
        current = device_key.load(in_use) if before is not None and in_use.exists() else None
        # A first key goes by its own name at once: there is no older one that must stay in use meanwhile.
        place = in_use if current is None or is_apart else in_use.with_name(in_use.name + NEXT)
        fresh = device_key.load_or_create(place)
        answer = self._ask(wish, self._request(wish, ledger, fresh, b""), fresh, current if rotates else None)
        if answer.want_key:
            try:
                box = sealed_box.seal_to(answer.hub_sealing_key, ledger.own_key, SEALED_FOR)
            except ValueError as error:
                raise Malformed("the hub's sealing key is none", fix="tell the hub's operator") from error
            request = self._request(wish, ledger, fresh, box)
            answer = self._ask(wish, request, fresh, current if rotates else None)
        enrolled = self._taken(wish, answer, fresh, ledger)
        self._keep(enrolled, place)
        return enrolled

    def _request(self, wish: Wish, ledger: Ledger, fresh: DeviceKey, token_key: bytes) -> EnrolRequest:
        before = self._before
        return EnrolRequest(
            code="".join(letter for letter in wish.code.upper() if letter.isalnum()),
            signing_key=SigningKey(fresh).public,
            sealing_key=SealingKey(fresh).public,
            ledger_id=ledger.ledger_id,
            head=ledger.head,
            key_id=key_id(ledger.own_key),
            token_key=token_key,
            vafa=__version__,
            previous=(before.merchant, before.device) if before is not None else None,
        )

    def _ask(
        self, wish: Wish, request: EnrolRequest, fresh: DeviceKey, current: DeviceKey | None
    ) -> EnrolAnswer:
        """The hub's answer. `current`: the key that proves a rotation; where the hub has the fresh one
        already, because an answer was lost, the fresh one proves it."""
        answer = self._said(wish, request, SigningKey(current or fresh), rotates=current is not None)
        if isinstance(answer, Refusal) and current is not None and answer.reason == Reason.BAD_SIGNATURE:
            answer = self._said(wish, request, SigningKey(fresh), rotates=True)
        if isinstance(answer, Refusal):
            raise refused(answer)
        return answer

    def _said(
        self, wish: Wish, request: EnrolRequest, key: SigningKey, *, rotates: bool
    ) -> EnrolAnswer | Refusal:
        before = self._before
        merchant, device = (before.merchant, before.device) if rotates and before is not None else ("", 0)
        nonce = os.urandom(limits.NONCE_BYTES)
        unsigned = signing.envelope(merchant, device, nonce, self._now_ms(), request)
        body = signing.signed(unsigned, key.sign(signing.request_input(ENROL_PATH, unsigned)))
        return self._heard(wish, unsigned, body, self._post(ENROL_PATH, body))

    def _heard(self, wish: Wish, asked: Envelope, body: bytes, said: bytes) -> EnrolAnswer | Refusal:
        """An answer to exactly this request, by the hub that is pinned, or by one that proves its own key.

        A refusal need not be signed: nothing is done by it, and it is a person who reads it.
        """
        answer = signing.read_answer(said)
        content = signing.answer_content(answer)
        if isinstance(content, Refusal):
            return content
        if not isinstance(content, EnrolAnswer):
            raise Malformed("the hub answered something else than an enrolment")
        pinned = self._before.hub_public_key if self._before is not None and not wish.new_hub else None
        if pinned is not None and content.hub_key != pinned:
            raise EnrolmentFault(
                "this is another hub than the one this device is enrolled with: its key differs",
                fix="check the address; where the hub was really replaced: --new-hub",
                code="ENR-005",
            )
        signed = signing.answer_input(ENROL_PATH, asked.nonce, body, answer)
        if not is_signed(content.hub_key, answer.signature, signed):
            raise EnrolmentFault(
                "the answer is not signed by the hub it says it is from",
                fix="is something between this device and the hub? try another network",
                code="ENR-005",
            )
        return content

    def _taken(self, wish: Wish, answer: EnrolAnswer, fresh: DeviceKey, ledger: Ledger) -> Enrolled:
        before = self._before
        if before is not None and before.merchant != answer.merchant:
            raise EnrolmentFault(
                f"this device belongs to merchant {before.merchant}, the code to {answer.merchant}",
                fix="a ledger stays its merchant's; another one begins with an empty ledger directory",
                code="ENR-010",
            )
        if answer.want_key:
            raise SyncError("the hub did not take this device's token key", fix="try again; then report it")
        key = merchant_key(self._directory)
        if answer.token_key:
            key = SealingKey(fresh).open(answer.token_key, SEALED_FOR)
        if key == ledger.own_key:
            key = b""
        if key_id(key or ledger.own_key) != answer.key_id:
            raise EnrolmentFault(
                "the token key the hub named is not the one it sent", fix="try again; then report it"
            )
        enrolment = Enrolment(
            hub=wish.hub or (before.hub if before is not None else ""),
            merchant=answer.merchant,
            device=answer.device,
            hub_key=answer.hub_key.hex(),
            hub_sealing_key=answer.hub_sealing_key.hex(),
            key_id=answer.key_id.hex(),
            ca=wish.ca or (before.ca if before is not None and not wish.hub else ""),
            shop=answer.shop,
            enrolled_at_ms=self._now_ms(),
            public_key=SigningKey(fresh).public.hex(),
        )
        return Enrolled(enrolment, key, before is not None, answer.hub_ms)

    def _keep(self, enrolled: Enrolled, place: Path) -> None:
        """The merchant's key first, then the word that it is used, then our own new key in the old one's
        place: `settle_keys` ends the last step where it was cut off."""
        if enrolled.merchant_key:
            save_merchant_key(self._directory, enrolled.merchant_key)
        save(self._directory, enrolled.enrolment)
        if place.suffix == NEXT:
            place.rename(place.with_suffix(""))


def settle_keys(directory: Path, enrolment: Enrolment) -> DeviceKey:
    """The key the hub knows: where a rotation was cut off after the hub took the new one, that one.

    KeyFileError where neither is; EnrolmentFault where they are others'.
    """
    in_use, following = sync_key_path(directory), directory / (SYNC_KEY + NEXT)
    for path in (in_use, following):
        if path.exists() and SigningKey(device_key.load(path)).public.hex() == enrolment.public_key:
            if path is following:
                in_use = following.rename(directory / SYNC_KEY)
            return device_key.load(in_use)
    if not in_use.exists():
        return device_key.load(in_use)  # says that it is missing, and what to do
    raise EnrolmentFault(
        f"the key {in_use} is not the one this device enrolled with",
        fix="put it back from a backup, or enrol again with a new code: vafa enrol CODE --hub URL",
    )


def refused(refusal: Refusal) -> SyncError:
    """The hub's no, with what a person can do about it."""
    known = Reason(refusal.reason) if refusal.reason in tuple(Reason) else Reason.VERSION
    code, fix = _REFUSED.get(known, ("ENR-007", "try again; the hub's log says more"))
    return EnrolmentFault(f"the hub refuses: {refusal.text}", fix=fix, code=code)
