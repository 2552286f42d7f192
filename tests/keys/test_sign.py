"""Signatures and boxes sealed to a public key, with real keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vafa.keys.device_key import DeviceKey
from vafa.keys.sealed_box import SealingKey, seal_to
from vafa.keys.sign import SigningKey, fingerprint, is_signed
from vafa.model.errors import KeyFileError

OURS, THEIRS = DeviceKey(b"o" * 32), DeviceKey(b"t" * 32)


def test_what_a_key_signed_is_known_as_signed() -> None:
    key = SigningKey(OURS)
    assert is_signed(key.public, key.sign(b"text"), b"text")


@given(place=st.integers(0, 63), bit=st.integers(0, 7))
def test_one_bit_of_a_signature_changed_is_noticed(place: int, bit: int) -> None:
    signature = bytearray(SigningKey(OURS).sign(b"text"))
    signature[place] ^= 1 << bit
    assert not is_signed(SigningKey(OURS).public, bytes(signature), b"text")


@pytest.mark.parametrize("signature", [b"", b"x" * 63, b"x" * 64, b"x" * 65])
def test_bytes_that_are_no_signature_are_none(signature: bytes) -> None:
    assert not is_signed(SigningKey(OURS).public, signature, b"text")
    assert not is_signed(b"short", SigningKey(OURS).sign(b"text"), b"text")


def test_another_key_or_another_text_is_noticed() -> None:
    signature = SigningKey(OURS).sign(b"text")
    assert not is_signed(SigningKey(THEIRS).public, signature, b"text")
    assert not is_signed(SigningKey(OURS).public, signature, b"texts")


def test_the_same_key_file_gives_the_same_public_keys_and_never_shows_the_private_ones() -> None:
    assert SigningKey(OURS).public == SigningKey(DeviceKey(b"o" * 32)).public
    assert SealingKey(OURS).public != SigningKey(OURS).public
    assert repr(SigningKey(OURS)) == "SigningKey(...)"
    assert repr(SealingKey(OURS)) == "SealingKey(...)"


def test_a_fingerprint_can_be_read_aloud() -> None:
    shown = fingerprint(SigningKey(OURS).public)
    assert len(shown) == 19
    assert shown.count("-") == 3
    assert shown != fingerprint(SigningKey(THEIRS).public)


def test_only_its_owner_opens_a_box_and_only_for_its_purpose() -> None:
    box = seal_to(SealingKey(OURS).public, b"a token key", "token key")
    assert SealingKey(OURS).open(box, "token key") == b"a token key"
    with pytest.raises(KeyFileError):
        SealingKey(THEIRS).open(box, "token key")
    with pytest.raises(KeyFileError):
        SealingKey(OURS).open(box, "backup")


@given(data=st.binary(max_size=100))
def test_bytes_that_are_no_box_give_a_clear_error(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        SealingKey(OURS).open(data, "token key")


def test_a_changed_box_does_not_open() -> None:
    box = bytearray(seal_to(SealingKey(OURS).public, b"a token key", "token key"))
    for place in (0, 31, 32, len(box) - 1):
        changed = bytearray(box)
        changed[place] ^= 1
        with pytest.raises(KeyFileError):
            SealingKey(OURS).open(bytes(changed), "token key")
