"""Messages in and out of their envelopes: whole, bounded, and signed over everything that matters."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey, is_signed
from vafa.model.errors import Malformed
from vafa.wire import limits, messages, signing
from vafa.wire.compress import Form, compress

DEVICE, HUB = SigningKey(DeviceKey(b"d" * 32)), SigningKey(DeviceKey(b"h" * 32))
NONCE = bytes(range(16))
REQUEST = messages.SyncRequest(b"rows", messages.Mark(1, 41, b"8 bytes."), b"h" * 32, 43)
ANSWER = messages.SyncAnswer(
    messages.Mark(1, 43, b"8 bytes."),
    messages.Mark(),
    1_767_000_000_000,
    members=(messages.RemoteMember(b"m" * 10, "6789", (b"t" * 11,), 120, 1_767_000_000),),
)


def request_body() -> bytes:
    envelope = signing.envelope("m1", 2, NONCE, 1_767_000_000_000, REQUEST)
    return signing.signed(envelope, DEVICE.sign(signing.request_input(messages.SYNC_PATH, envelope)))


def test_a_request_arrives_as_it_was_sent_and_signed() -> None:
    envelope = signing.read_envelope(request_body())
    assert signing.request_content(envelope) == REQUEST
    assert is_signed(DEVICE.public, envelope.signature, signing.request_input(messages.SYNC_PATH, envelope))


@pytest.mark.parametrize(
    "changed",
    [
        {"merchant": "m2"},
        {"device": 3},
        {"nonce": bytes(16)},
        {"at_ms": 0},
        {"form": 1},
        {"content": b"other"},
    ],
)
def test_each_part_of_a_request_is_signed(changed: dict[str, Any]) -> None:
    envelope = signing.read_envelope(request_body())
    other = msgspec.structs.replace(envelope, **changed)
    assert not is_signed(DEVICE.public, other.signature, signing.request_input(messages.SYNC_PATH, other))


def test_a_request_for_one_path_is_not_signed_for_another() -> None:
    envelope = signing.read_envelope(request_body())
    assert not is_signed(DEVICE.public, envelope.signature, signing.request_input("/v1/enrol", envelope))


def test_an_answer_belongs_to_one_request() -> None:
    answer = signing.answer(ANSWER)
    body = request_body()
    made = signing.answer_input(messages.SYNC_PATH, NONCE, body, answer)
    read = signing.read_answer(signing.signed(answer, HUB.sign(made)))
    assert signing.answer_content(read) == ANSWER
    assert is_signed(HUB.public, read.signature, made)
    for path, nonce, asked in (
        ("/v1/enrol", NONCE, body),
        ("/v1/sync", bytes(16), body),
        ("/v1/sync", NONCE, b""),
    ):
        assert not is_signed(HUB.public, read.signature, signing.answer_input(path, nonce, asked, read))


def test_a_programme_s_signature_binds_merchant_order_start_and_document() -> None:
    version = messages.Programme(3, "schema = 1\n", None, b"")
    signature = HUB.sign(signing.programme_input("m1", version))
    assert is_signed(HUB.public, signature, signing.programme_input("m1", version))
    others = [
        ("m2", version),
        ("m1", msgspec.structs.replace(version, order=4)),
        ("m1", msgspec.structs.replace(version, from_at=0)),
        ("m1", msgspec.structs.replace(version, document="schema = 2\n")),
    ]
    assert not any(is_signed(HUB.public, signature, signing.programme_input(*other)) for other in others)


@given(data=st.binary(max_size=300))
@settings(max_examples=500)
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    for read in (
        lambda: signing.read_envelope(data),
        lambda: signing.request_content(messages.Envelope(1, "", 0, NONCE, 0, 0, data)),
        lambda: signing.answer_content(messages.Answer(1, 1, data)),
        lambda: signing.answer_content(signing.read_answer(data)),
    ):
        try:
            read()
        except Malformed:
            continue


def test_an_answer_that_is_too_large_is_not_even_decoded() -> None:
    with pytest.raises(Malformed, match="bytes"):
        signing.read_answer(bytes(limits.ANSWER_BYTES_MAX + 1))


def test_a_bomb_in_an_answer_is_refused() -> None:
    bomb = compress(Form.ZSTD, bytes(limits.CONTENT_BYTES_MAX))
    assert len(bomb) < 1_000
    longer = b"\xff\xff\xff\xff\x7f" + bomb[4:]
    for content in (bomb, longer, b"\x10" + bomb[4:]):
        with pytest.raises(Malformed):
            signing.answer_content(messages.Answer(1, Form.ZSTD, content))


def test_a_form_of_a_later_vafa_is_refused_with_a_sentence() -> None:
    for form in (2, 9, -1):
        with pytest.raises(Malformed, match="form"):
            signing.answer_content(messages.Answer(1, form, b""))


def test_a_deeply_nested_message_is_malformed() -> None:
    with pytest.raises(Malformed):
        signing.read_answer(b"\x91" * 200_000)


def test_a_newer_side_s_last_field_is_skipped() -> None:
    parts = msgspec.msgpack.decode(msgspec.msgpack.encode(ANSWER))
    newer = msgspec.msgpack.encode([*parts, "a field of a later Vafa"])
    assert signing.answer_content(messages.Answer(1, 0, newer)) == ANSWER


def test_a_reason_of_a_newer_hub_is_read_and_not_final() -> None:
    refusal = messages.Refusal(99, "no")
    assert signing.answer_content(signing.answer(refusal)) == refusal
    assert not refusal.is_final
    assert messages.Refusal(messages.Reason.FORK, "a fork").is_final


def test_every_reason_has_a_status() -> None:
    assert set(messages.STATUS) == set(messages.Reason)


def test_a_part_of_a_branch_is_signed_for_one_device_and_one_place() -> None:
    whole = ("m1", 2, 1, 57, b"h" * 32, b"s" * 32)
    signature = HUB.sign(signing.branch_input(*whole))
    assert is_signed(HUB.public, signature, signing.branch_input(*whole))
    others: tuple[Any, ...] = ("m2", 3, 2, 58, b"i" * 32, b"t" * 32)
    for place, other in enumerate(others):
        changed = (*whole[:place], other, *whole[place + 1 :])
        assert not is_signed(HUB.public, signature, signing.branch_input(*changed))


def test_an_older_side_reads_what_a_newer_one_says_of_branches() -> None:
    branch = messages.Branch(b"rows", b"h" * 32, 57, bytes(64))
    newer = signing.encoded(msgspec.structs.replace(ANSWER, branch=branch))
    fields = msgspec.msgpack.decode(newer)
    assert (fields[-2][0], fields[-1]) == (b"rows", [])
    older = msgspec.msgpack.encode(fields[:-2])
    assert msgspec.msgpack.decode(older, type=messages.SyncAnswer).branch is None
    assert msgspec.msgpack.decode(newer, type=messages.SyncAnswer).branch == branch
