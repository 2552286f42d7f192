"""Exactly what is signed, by whom; and messages in and out of their envelopes.

request  the device's Ed25519 key over  "vafa request 1" 0 MessagePack [path, merchant, device, nonce, at_ms,
         form, BLAKE2b-256(content)]
answer   the hub's Ed25519 key over  "vafa answer 1" 0 MessagePack [path, nonce, BLAKE2b-256(the request's
         whole body), form, BLAKE2b-256(content)]
version  (a programme's) the hub's key over  "vafa programme 1" 0 MessagePack [merchant, order, from_at,
         BLAKE2b-256(document in UTF-8)]
branch   the hub's key over  "vafa branch 1" 0 MessagePack [merchant, device, epoch, seq, hash, state] of the
         last row of a branch's part

The nonce ties an answer to one request, the body's digest to what was asked; so neither an old answer nor
another's can be played to a device. A replayed request changes nothing: rows are idempotent.

There are no headers of ours: all of this travels in the body, in fewer bytes. Signing itself is `keys.sign`.
"""

from hashlib import blake2b
from typing import TypeVar

import msgspec

from vafa.model.errors import Malformed
from vafa.wire import limits
from vafa.wire.compress import Form, packed, unpacked
from vafa.wire.messages import Answer, AnswerContent, Content, Envelope, Message, Programme

M = TypeVar("M")
_encoder = msgspec.msgpack.Encoder()
_envelopes = msgspec.msgpack.Decoder(Envelope)
_answers = msgspec.msgpack.Decoder(Answer)
_contents: msgspec.msgpack.Decoder[Content] = msgspec.msgpack.Decoder(Content)
_answer_contents: msgspec.msgpack.Decoder[AnswerContent] = msgspec.msgpack.Decoder(AnswerContent)


def digest(data: bytes) -> bytes:
    """BLAKE2b-256."""
    return blake2b(data, digest_size=limits.HASH_BYTES).digest()


def request_input(path: str, envelope: Envelope) -> bytes:
    """What the device signs."""
    e = envelope
    fields = (path, e.merchant, e.device, e.nonce, e.at_ms, e.form, digest(e.content))
    return b"vafa request 1\0" + _encoder.encode(fields)


def answer_input(path: str, nonce: bytes, request_body: bytes, answer: Answer) -> bytes:
    """What the hub signs."""
    fields = (path, nonce, digest(request_body), answer.form, digest(answer.content))
    return b"vafa answer 1\0" + _encoder.encode(fields)


def programme_input(merchant: str, programme: Programme) -> bytes:
    """What the hub signs of one programme version."""
    document = digest(programme.document.encode())
    fields = (merchant, programme.order, programme.from_at, document)
    return b"vafa programme 1\0" + _encoder.encode(fields)


def branch_input(merchant: str, device: int, epoch: int, seq: int, row_hash: bytes, state: bytes) -> bytes:
    """What the hub signs of the rows a device lost: that it holds those up to this one.

    row_hash  the row's chain hash; state: the state hash of the books after it
    """
    fields = (merchant, device, epoch, seq, row_hash, state)
    return b"vafa branch 1\0" + _encoder.encode(fields)


def envelope(merchant: str, device: int, nonce: bytes, at_ms: int, content: Content) -> Envelope:
    """An unsigned envelope around a request; `signed` puts the signature in."""
    form, body = packed(_encoder.encode(content))
    return Envelope(limits.VERSION, merchant, device, nonce, at_ms, form, body)


def answer(content: AnswerContent) -> Answer:
    """An unsigned answer."""
    form, body = packed(_encoder.encode(content))
    return Answer(limits.VERSION, form, body)


def signed(message: Envelope | Answer, signature: bytes) -> bytes:
    """The body as it travels."""
    return _encoder.encode(msgspec.structs.replace(message, signature=signature))


def read_envelope(body: bytes) -> Envelope:
    """A request's envelope; its content is not looked at before the signature was. Malformed otherwise."""
    return _read(_envelopes, body, limits.REQUEST_BYTES_MAX, "request")


def read_answer(body: bytes) -> Answer:
    """An answer's envelope. Malformed otherwise."""
    return _read(_answers, body, limits.ANSWER_BYTES_MAX, "answer")


def request_content(envelope: Envelope) -> Content:
    """What the device asks. Malformed when it is none of our requests."""
    body = unpacked(Form(envelope.form) if envelope.form in tuple(Form) else None, envelope.content)
    return _read(_contents, body, limits.CONTENT_BYTES_MAX, "request")


def answer_content(answer: Answer) -> AnswerContent:
    """What the hub answers. Malformed when it is none of its answers."""
    body = unpacked(Form(answer.form) if answer.form in tuple(Form) else None, answer.content)
    return _read(_answer_contents, body, limits.CONTENT_BYTES_MAX, "answer")


def _read(decoder: "msgspec.msgpack.Decoder[M]", body: bytes, bytes_max: int, what: str) -> M:
    if len(body) > bytes_max:
        raise Malformed(f"the {what} has {len(body):,} bytes, more than {bytes_max:,}")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Malformed(f"the {what} is no message of ours ({error})") from error


def encoded(message: Message) -> bytes:
    """Canonical MessagePack of one message."""
    return _encoder.encode(message)
