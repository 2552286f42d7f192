"""Signed answers, and refusals as errors: what every endpoint of the hub ends in."""

from collections.abc import Callable

import msgspec
import structlog

from vafa.hub import devices
from vafa.hub.database import Connection
from vafa.hub.devices import Device
from vafa.hub.hub_key import HubKey
from vafa.hub.merchants import ALPHABET
from vafa.model.errors import Malformed, StoreUnavailable
from vafa.wire import limits
from vafa.wire.messages import STATUS, AnswerContent, Envelope, Reason, Refusal
from vafa.wire.signing import answer, answer_input, read_envelope, signed

TOO_MANY_REQUESTS = 429
BUSY_RETRY_S = 30
log = structlog.get_logger()
Clock = Callable[[], int]


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer. `outcome` is for logs and metrics: a word."""

    status: int
    body: bytes
    outcome: str
    retry_s: int = 0


class Refusing(Exception):
    """A request is refused; the transaction it came up in is rolled back. Every one becomes a Refusal."""

    def __init__(self, reason: Reason, text: str, retry_s: int = 0) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.retry_s = retry_s


def signed_answer(path: str, key: HubKey, envelope: Envelope, body: bytes, content: AnswerContent) -> bytes:
    """The answer to the request whose whole body is `body`, as it travels."""
    plain = answer(content)
    return signed(plain, key.signing.sign(answer_input(path, envelope.nonce, body, plain)))


def answered(path: str, key: HubKey, clock: Clock, body: bytes, handle: Callable[[Envelope], Reply]) -> Reply:
    """What `handle` answers to a request, or the refusal it ends in."""
    envelope = None
    try:
        envelope = enveloped(body)
        return handle(envelope)
    except Refusing as why:
        busy = why.reason is Reason.BUSY
        return refused(path, key, envelope, body, why, clock(), TOO_MANY_REQUESTS if busy else 0)
    except StoreUnavailable as error:
        log.error("the database does not answer", error=str(error))
        away = Refusing(Reason.BUSY, "the hub's database does not answer", BUSY_RETRY_S)
        return refused(path, key, envelope, body, away, clock())


def enveloped(body: bytes) -> Envelope:
    """The request's envelope, bounds checked; nothing in it is believed yet."""
    if len(body) > limits.REQUEST_BYTES_MAX:
        raise Refusing(Reason.TOO_LARGE, f"a request has at most {limits.REQUEST_BYTES_MAX:,} bytes")
    try:
        envelope = read_envelope(body)
    except Malformed as error:
        raise Refusing(Reason.MALFORMED, str(error)) from error
    if envelope.version != limits.VERSION:
        text = (
            f"the hub speaks version {limits.VERSION} of the messages, the request is of {envelope.version}"
        )
        raise Refusing(Reason.VERSION, text)
    return envelope


def known_device(connection: Connection, envelope: Envelope) -> Device:
    """The device that a request says it is from; its signature is still to be checked."""
    if set(envelope.merchant) <= set(ALPHABET):
        device = devices.find(connection, envelope.merchant, envelope.device)
        if device is not None:
            return device
    raise Refusing(Reason.UNKNOWN_DEVICE, "the hub knows no such device: vafa enrol CODE --hub URL")


def refused(
    path: str,
    key: HubKey,
    envelope: Envelope | None,
    body: bytes,
    why: Refusing,
    now_ms: int,
    status: int = 0,
) -> Reply:
    """A refusal as it travels: signed, unless the request could not even be read.

    status  the HTTP status, 0 for the one that goes with the reason
    """
    content = Refusal(why.reason, why.text[: limits.TEXT_CHARS_MAX], why.retry_s, now_ms)
    status = status or STATUS[why.reason]
    outcome = why.reason.name.lower()
    if envelope is None:
        return Reply(status, signed(answer(content), b""), outcome, why.retry_s)
    return Reply(status, signed_answer(path, key, envelope, body, content), outcome, why.retry_s)
