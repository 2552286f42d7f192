"""`POST /v1/enrol`: a device with a one-time code becomes one of a merchant's.

The request is signed by the very key it brings, so nobody can enrol a key that is not theirs. A code is the
first device's that uses it; the same device may say it again (its answer was lost, or it has to send the
token key after it learned the hub's sealing key). One ledger is one device: a ledger that enrols again keeps
its number and gets its new keys, and the old ones open nothing any more. A device may also change its keys by
itself, signing with those it has.
"""

import msgspec
import structlog

from vafa.hub import codes, devices, merchants
from vafa.hub.answers import Clock, Refusing, Reply, answered, known_device, signed_answer
from vafa.hub.database import Connection, Database
from vafa.hub.devices import Device
from vafa.hub.hub_key import HubKey
from vafa.hub.merchants import Merchant
from vafa.keys.device_key import KEY_BYTES
from vafa.keys.sealed_box import seal_to
from vafa.keys.sign import is_signed
from vafa.keys.tokens import KEY_ID_BYTES, key_id
from vafa.model.errors import KeyFileError, Malformed
from vafa.wire.messages import (
    ENROL_PATH,
    SEALED_FOR,
    EnrolAnswer,
    EnrolRequest,
    Envelope,
    Reason,
)
from vafa.wire.signing import request_content, request_input

log = structlog.get_logger()
_UNKNOWN = "the hub knows no such code: was every letter typed?"


class Enrolling:
    """Answers enrolment requests."""

    def __init__(self, database: Database, key: HubKey, clock: Clock) -> None:
        """`clock` gives UTC milliseconds."""
        self._database = database
        self._key = key
        self._clock = clock

    def answer(self, body: bytes) -> Reply:
        """The answer to a request's body; every bad one is refused with a reason."""

        def enrolled(envelope: Envelope) -> Reply:
            request = _understood(envelope)
            content = self._enrolled(request) if request.code else self._rotated(envelope, request)
            return Reply(200, signed_answer(ENROL_PATH, self._key, envelope, body, content), "enrolled")

        return answered(ENROL_PATH, self._key, self._clock, body, enrolled)

    def _enrolled(self, request: EnrolRequest) -> EnrolAnswer:
        now_ms = self._clock()
        merchant_id = codes.merchant_of(request.code)
        with self._database.transaction() as connection:
            if not merchant_id or not devices.merchant_is_open(connection, merchant_id):
                raise Refusing(Reason.CODE_UNKNOWN, _UNKNOWN)
            tried = codes.may_try(connection, merchant_id, now_ms)
        if tried.wait_s:
            raise Refusing(Reason.BUSY, "too many codes were tried for this merchant", tried.wait_s)
        with self._database.transaction() as connection:
            token_key = merchants.token_key(connection, merchant_id)  # and the merchant's lock
            merchant = merchants.merchant(connection, merchant_id)
            device = _device(connection, merchant, request, now_ms)
            return self._welcomed(connection, merchant, device, request, token_key, now_ms)

    def _rotated(self, envelope: Envelope, request: EnrolRequest) -> EnrolAnswer:
        """New keys for a device that proves itself by those it has (or, told again, by the new ones)."""
        now_ms = self._clock()
        with self._database.transaction() as connection:
            device = known_device(connection, envelope)
            if not is_signed(device.sign_key, envelope.signature, request_input(ENROL_PATH, envelope)):
                raise Refusing(Reason.BAD_SIGNATURE, "the request is not signed by this device's key")
            if device.revoked_at is not None or not devices.merchant_is_open(connection, envelope.merchant):
                raise Refusing(Reason.REVOKED, "this device was taken off by whoever runs the hub")
            if device.ledger_id != request.ledger_id:
                raise Refusing(Reason.NOT_YOURS, "this device enrolled with another ledger")
            token_key = merchants.token_key(connection, envelope.merchant)
            merchant = merchants.merchant(connection, envelope.merchant)
            device = _with_keys(device, request, now_ms)
            devices.rekey(connection, merchant.merchant, device)
            return self._welcomed(connection, merchant, device, request, token_key, now_ms)

    def _welcomed(
        self,
        connection: Connection,
        merchant: Merchant,
        device: Device,
        request: EnrolRequest,
        token_key: tuple[bytes, bytes] | None,
        now_ms: int,
    ) -> EnrolAnswer:
        """Who the device is from now on; keeps the token key it may have brought."""
        merchant_id = merchant.merchant
        if token_key is None and request.token_key:
            if key_id(self._opened(request.token_key)) != request.key_id:
                raise Refusing(Reason.MALFORMED, "the token key is not the one of the id it came with")
            token_key = (request.key_id, request.token_key)
            merchants.keep_token_key(connection, merchant_id, *token_key)
        others = [d for d in devices.devices(connection, merchant_id) if d.device != device.device]
        log.info("enrolled", merchant=merchant_id, device=device.device)
        return EnrolAnswer(
            merchant=merchant_id,
            device=device.device,
            hub_key=self._key.signing.public,
            hub_sealing_key=self._key.sealing.public,
            hub_ms=now_ms,
            key_id=token_key[0] if token_key else request.key_id,
            token_key=self._resealed(token_key, request),
            want_key=token_key is None,
            shop=merchant.name,
            alone=all(other.revoked_at is not None for other in others),
        )

    def _resealed(self, token_key: tuple[bytes, bytes] | None, request: EnrolRequest) -> bytes:
        """The merchant's token key for this device; b'' when it is its own, or there is none yet."""
        if token_key is None or token_key[0] == request.key_id:
            return b""
        try:
            return seal_to(request.sealing_key, self._opened(token_key[1]), SEALED_FOR)
        except ValueError as error:
            raise Refusing(Reason.MALFORMED, "the sealing key is none") from error

    def _opened(self, box: bytes) -> bytes:
        """A token key that was sealed to the hub."""
        try:
            opened = self._key.sealing.open(box, SEALED_FOR)
        except KeyFileError as error:
            raise Refusing(Reason.MALFORMED, "the token key is not sealed for this hub") from error
        if len(opened) != KEY_BYTES:
            raise Refusing(Reason.MALFORMED, f"a token key has {KEY_BYTES} bytes")
        return opened


def _device(connection: Connection, merchant: Merchant, request: EnrolRequest, now_ms: int) -> Device:
    """The device the code makes, or made before; in the merchant's lock."""
    code = codes.find(connection, request.code)
    if code is None:
        raise Refusing(Reason.CODE_UNKNOWN, _UNKNOWN)
    if code.device is not None:
        taken = devices.find(connection, merchant.merchant, code.device)
        if taken is None or taken.revoked_at is not None or taken.sign_key != request.signing_key:
            raise Refusing(Reason.CODE_USED, "this code was used before: ask for a new one")
        return taken
    if code.expires_at <= now_ms:
        raise Refusing(Reason.CODE_EXPIRED, "this code has expired: ask for a new one")
    known = devices.devices(connection, merchant.merchant)
    same = next((device for device in known if device.ledger_id == request.ledger_id), None)
    if same is not None:
        device = _with_keys(same, request, now_ms)
        devices.rekey(connection, merchant.merchant, device)
    else:
        number = 1 + max((each.device for each in known), default=0)
        keys = (request.signing_key, request.sealing_key, request.key_id)
        device = Device(number, code.label, request.ledger_id, *keys, now_ms, None)
        devices.add(connection, merchant.merchant, device)
    codes.use(connection, merchant.merchant, code, device.device, now_ms)
    return device


def _with_keys(device: Device, request: EnrolRequest, now_ms: int) -> Device:
    return msgspec.structs.replace(
        device,
        sign_key=request.signing_key,
        seal_key=request.sealing_key,
        key_id=request.key_id,
        enrolled_at=now_ms,
        revoked_at=None,
    )


def _understood(envelope: Envelope) -> EnrolRequest:
    try:
        content = request_content(envelope)
    except Malformed as error:
        raise Refusing(Reason.MALFORMED, str(error)) from error
    if not isinstance(content, EnrolRequest):
        raise Refusing(Reason.MALFORMED, f"this is no request for {ENROL_PATH}")
    if len(content.key_id) != KEY_ID_BYTES or not content.ledger_id:
        raise Refusing(Reason.MALFORMED, "the ledger's or the key's id is none")
    signed = request_input(ENROL_PATH, envelope)
    if content.code and not is_signed(content.signing_key, envelope.signature, signed):
        raise Refusing(Reason.BAD_SIGNATURE, "the request is not signed by the key it brings")
    return content
