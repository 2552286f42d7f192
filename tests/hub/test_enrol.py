"""`POST /v1/enrol`: one-time codes, token keys handed on, keys changed; and every way to be refused."""

from collections.abc import Callable

import msgspec
import pytest
from hub.served import OWN_KEY, Hub, Till, refusal
from hub.test_sync import stored

from vafa.hub import codes, devices, merchants
from vafa.keys.device_key import DeviceKey
from vafa.keys.sealed_box import seal_to
from vafa.keys.sign import SigningKey
from vafa.keys.tokens import key_id
from vafa.wire.messages import ENROL_PATH, SEALED_FOR, SYNC_PATH, EnrolAnswer, Reason


def answer(till: Till, code: str) -> EnrolAnswer:
    """The welcome an enrolment must end in."""
    said = till.enrol(code)
    assert isinstance(said.content, EnrolAnswer), said.content
    assert said.signed
    return said.content


def test_the_first_device_s_token_key_becomes_the_merchant_s(hub: Hub) -> None:
    merchant = hub.merchant("کافه نگین")
    till = Till(hub)
    first = till.ask(ENROL_PATH, till.enrol_request(hub.code(merchant)))
    assert isinstance(first.content, EnrolAnswer)
    assert first.content.want_key
    code = hub.code(merchant)
    till = Till(hub, b"x")
    said = answer(till, code)
    assert (said.merchant, said.device, said.want_key, said.token_key) == (merchant, 1, False, b"")
    assert (said.key_id, said.shop, said.alone) == (key_id(OWN_KEY), "کافه نگین", True)
    assert said.hub_key == hub.key.signing.public
    with hub.database.transaction() as connection:
        kept = merchants.token_key(connection, merchant)
    assert kept is not None
    assert OWN_KEY not in kept[1]
    assert hub.key.sealing.open(kept[1], SEALED_FOR) == OWN_KEY


def test_a_later_device_gets_the_merchant_s_token_key_sealed_to_it(hub: Hub) -> None:
    merchant = hub.merchant()
    Till(hub).enrol(hub.code(merchant))
    later = Till(hub, b"later", b"M" * 16, b"u" * 32)
    said = answer(later, hub.code(merchant))
    assert (said.device, said.alone, said.key_id) == (2, False, key_id(OWN_KEY))
    assert later.sealing.open(said.token_key, SEALED_FOR) == OWN_KEY


def test_a_code_in_small_letters_and_with_look_alikes_is_the_same_code(hub: Hub, till: Till) -> None:
    code = hub.code(till.merchant)
    sloppy = code.lower().replace("0", "o").replace("1", "l")
    assert answer(Till(hub, b"q", b"Q" * 16), sloppy).device == 2


def test_a_code_is_one_device_s_who_may_say_it_again(hub: Hub) -> None:
    code = hub.code(hub.merchant())
    till = Till(hub)
    first = answer(till, code)
    before = stored(hub)
    assert answer(till, code) == first
    assert stored(hub) == before
    thief = Till(hub, b"thief", b"T" * 16)
    assert refusal(thief.enrol(code)).reason == Reason.CODE_USED
    assert stored(hub) == before


def test_an_expired_code_is_refused(hub: Hub) -> None:
    code = hub.code(hub.merchant(), valid_h=1)
    hub.now_ms += 3_600_000
    assert refusal(Till(hub).enrol(code)).reason == Reason.CODE_EXPIRED


def test_a_code_that_was_taken_back_is_unknown(hub: Hub) -> None:
    merchant = hub.merchant()
    code = hub.code(merchant)
    with hub.database.transaction() as connection:
        (gone,) = codes.revoke(connection, merchant, "")
        assert gone.device is None
    assert refusal(Till(hub).enrol(code)).reason == Reason.CODE_UNKNOWN


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"code": "0000000000000000"}, Reason.CODE_UNKNOWN),
        ({"code": "X"}, Reason.CODE_UNKNOWN),
        ({"code": "\0" * 16}, Reason.CODE_UNKNOWN),
        ({"key_id": b"\1"}, Reason.MALFORMED),
        ({"ledger_id": b""}, Reason.MALFORMED),
        ({"token_key": b"x" * 100}, Reason.MALFORMED),
        ({"signing_key": b"\7" * 32}, Reason.BAD_SIGNATURE),
    ],
)
def test_what_is_wrong_is_refused_and_enrols_nobody(
    hub: Hub, change: dict[str, object], reason: Reason
) -> None:
    till = Till(hub)
    request = msgspec.structs.replace(till.enrol_request(hub.code(hub.merchant())), **change)
    said = till.ask(ENROL_PATH, request)
    assert refusal(said).reason == reason
    assert stored(hub)["device"] == 0


@pytest.mark.parametrize("box", ["short", "another key"])
def test_a_token_key_that_is_not_the_one_of_its_id_is_refused(hub: Hub, box: str) -> None:
    till = Till(hub)
    secret = b"s" * 31 if box == "short" else b"v" * 32
    sealed = seal_to(hub.key.sealing.public, secret, SEALED_FOR)
    assert refusal(till.enrol(hub.code(hub.merchant()), token_key=sealed)).reason == Reason.MALFORMED
    assert stored(hub)["device"] == 0


def test_guessing_is_slowed_and_does_not_shut_the_merchant_out_for_ever(hub: Hub) -> None:
    merchant = hub.merchant()
    good = hub.code(merchant)
    till = Till(hub)
    guess = merchant + "0" * codes.SECRET_LETTERS
    reasons = [refusal(till.enrol(guess)).reason for _ in range(int(codes.TRIES.size))]
    assert set(reasons) == {Reason.CODE_UNKNOWN}
    said = till.enrol(good)
    assert (said.status, refusal(said).reason) == (429, Reason.BUSY)
    assert int(said.headers["retry-after"]) == refusal(said).retry_s > 0
    other = hub.merchant("another")
    assert answer(Till(hub), hub.code(other)).merchant == other  # their tries are their own
    hub.now_ms += 1_000 * refusal(said).retry_s
    hub.now_ms += 10_000  # the token key takes a second request
    assert answer(till, good).device == 1


def test_the_same_ledger_again_keeps_its_number_and_its_old_key_opens_nothing(hub: Hub) -> None:
    merchant = hub.merchant()
    till = Till(hub)
    answer(till, hub.code(merchant))
    old = till.signing
    with hub.database.transaction() as connection:
        devices.revoke(connection, merchant, 1, hub.now_ms)
    till.use_keys(b"new")
    said = answer(till, hub.code(merchant))
    assert said.device == 1
    assert till.ask(SYNC_PATH, till.request([], None)).status == 200
    assert refusal(till.ask(SYNC_PATH, till.request([], None), old)).reason == Reason.BAD_SIGNATURE


def test_a_device_changes_its_keys_by_itself_and_may_say_so_twice(hub: Hub, till: Till) -> None:
    old = till.signing
    till.use_keys(b"next")
    asked = till.enrol_request("")
    for signer in (old, till.signing):
        said = till.ask(ENROL_PATH, asked, signer)
        assert isinstance(said.content, EnrolAnswer), said.content
        assert (said.content.device, said.content.want_key) == (1, False)
    assert till.ask(SYNC_PATH, till.request([], None)).status == 200
    assert refusal(till.ask(SYNC_PATH, till.request([], None), old)).reason == Reason.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda till: setattr(till, "merchant", "ZZZZZZ"), Reason.UNKNOWN_DEVICE),
        (lambda till: setattr(till, "device", 7), Reason.UNKNOWN_DEVICE),
        (lambda till: setattr(till, "ledger_id", b"another"), Reason.NOT_YOURS),
    ],
)
def test_keys_are_changed_by_nobody_else(
    hub: Hub, till: Till, spoil: Callable[[Till], None], reason: Reason
) -> None:
    spoil(till)
    assert refusal(till.ask(ENROL_PATH, till.enrol_request(""))).reason == reason


def test_keys_are_not_changed_with_a_stranger_s_signature(hub: Hub, till: Till) -> None:
    stranger = SigningKey(DeviceKey(b"s" * 32))
    said = till.ask(ENROL_PATH, till.enrol_request(""), stranger)
    assert refusal(said).reason == Reason.BAD_SIGNATURE


def test_a_closed_merchant_enrols_nobody_and_hears_nobody(hub: Hub, till: Till) -> None:
    code = hub.code(till.merchant)
    with hub.database.transaction() as connection:
        merchants.close(connection, till.merchant, hub.now_ms)
    assert refusal(till.ask(SYNC_PATH, till.request([], None))).reason == Reason.REVOKED
    assert refusal(Till(hub, b"z", b"Z" * 16).enrol(code)).reason == Reason.CODE_UNKNOWN
