"""Enrolment against a hub in memory: keys, codes, the merchant's token key, each way it can be cut off."""

import os
from pathlib import Path

import pytest
from enrolling_hub import EnrollingHub

from vafa.keys import device_key
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey
from vafa.keys.tokens import Tokens, key_id
from vafa.model.errors import KeyFileError, SyncError, VafaError
from vafa.sync import enrolment
from vafa.sync.enrol import Enrolled, Enroller, Ledger, Wish, settle_keys
from vafa.sync.enrolment import MERCHANT_KEY, SYNC_CREDENTIAL, SYNC_KEY, EnrolmentFault
from vafa.wire.messages import Mark

URL = "https://hub.example"


class Device:
    """A ledger's directory and its own token key."""

    def __init__(self, directory: Path, letter: bytes, hub: EnrollingHub) -> None:
        self.directory = directory
        directory.mkdir()
        self.own_key = Tokens(DeviceKey(letter * 32)).own_key
        self.ledger_id = letter * 16
        self.hub = hub

    def run(self, wish: Wish) -> Enrolled:
        ledger = Ledger(self.ledger_id, Mark(1, 7, b"h" * 32), self.own_key)
        return Enroller(self.directory, self.hub.post, lambda: 1_764_000_000_000).run(wish, ledger)

    def enrol(self, code: str = "AAAA", **fields: object) -> Enrolled:
        return self.run(Wish(URL, code, **fields))  # type: ignore[arg-type]

    def rotate(self) -> Enrolled:
        return self.run(Wish())

    @property
    def public(self) -> bytes:
        known = enrolment.load(self.directory)
        assert known is not None
        return SigningKey(settle_keys(self.directory, known)).public


@pytest.fixture
def hub() -> EnrollingHub:
    made = EnrollingHub()
    made.codes = {"AAAA": ("negin", 0), "BBBB": ("negin", 0), "CCCC": ("negin", 1), "DDDD": ("other", 0)}
    return made


@pytest.fixture
def first(tmp_path: Path, hub: EnrollingHub) -> Device:
    return Device(tmp_path / "first", b"1", hub)


@pytest.fixture
def second(tmp_path: Path, hub: EnrollingHub) -> Device:
    return Device(tmp_path / "second", b"2", hub)


def test_the_first_device_s_token_key_becomes_the_merchant_s(first: Device, hub: EnrollingHub) -> None:
    enrolled = first.enrol()
    assert hub.token_keys == {"negin": first.own_key}
    assert (enrolled.merchant_key, enrolled.enrolment.device) == (b"", 1)
    assert not (first.directory / MERCHANT_KEY).exists()
    assert hub.requests[0].token_key == b""  # sealed only to a hub that has said which key is its own
    assert enrolment.load(first.directory) == enrolled.enrolment
    assert (enrolled.enrolment.merchant, enrolled.enrolment.hub) == ("negin", URL)


def test_a_later_device_receives_the_merchant_s_key_and_never_sends_its_own(
    first: Device, second: Device, hub: EnrollingHub
) -> None:
    first.enrol()
    enrolled = second.enrol("BBBB")
    assert enrolled.merchant_key == first.own_key == enrolment.merchant_key(second.directory)
    assert (second.directory / MERCHANT_KEY).stat().st_mode & 0o777 == 0o600
    assert enrolled.enrolment.key_id == key_id(first.own_key).hex()
    assert hub.requests[-1].token_key == b""
    assert second.own_key not in hub.token_keys.values()


def test_the_device_s_keys_are_made_here_for_us_alone_and_the_hub_s_is_pinned(
    first: Device, hub: EnrollingHub
) -> None:
    enrolled = first.enrol()
    path = first.directory / SYNC_KEY
    assert path.stat().st_mode & 0o777 == 0o600
    assert hub.devices[1].sign == SigningKey(device_key.load(path)).public == first.public
    assert enrolled.enrolment.hub_public_key == hub.signing.public


def test_a_code_may_be_typed_with_dashes_spaces_and_small_letters(first: Device) -> None:
    assert first.enrol("aa-a a").enrolment.device == 1


@pytest.mark.parametrize("lost", [1, 2])
def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_key(
    first: Device, hub: EnrollingHub, lost: int
) -> None:
    hub.lose_answers = 1
    if lost == 2:  # the second answer, after our token key was taken
        hub.lose_answers = 0
        original = hub.post

        def once(path: str, body: bytes) -> bytes:
            if len(hub.requests) == 1:
                hub.lose_answers = 1
            return original(path, body)

        hub.post = once  # type: ignore[method-assign]
    with pytest.raises(SyncError, match="broke"):
        first.enrol()
    hub.lose_answers = 0
    hub.post = type(hub).post.__get__(hub)  # type: ignore[method-assign]
    assert first.enrol().enrolment.device == 1
    assert len({request.signing_key for request in hub.requests}) == 1
    assert hub.token_keys == {"negin": first.own_key}


def test_enrolling_again_keeps_the_number_and_replaces_the_key(first: Device, hub: EnrollingHub) -> None:
    before = first.enrol().enrolment
    old = first.public
    enrolled = first.enrol("CCCC")
    assert (enrolled.enrolment.device, enrolled.again) == (before.device, True)
    assert first.public == hub.devices[1].sign != old
    assert hub.requests[-1].previous == ("negin", 1)


def test_a_device_that_lost_its_directory_gets_its_number_back_and_the_merchant_s_key(
    tmp_path: Path, first: Device, hub: EnrollingHub
) -> None:
    first.enrol()
    renewed = Device(tmp_path / "renewed", b"3", hub)
    enrolled = renewed.enrol("CCCC")
    assert (enrolled.enrolment.device, enrolled.merchant_key) == (1, first.own_key)


def test_rotation_needs_no_code_and_is_proved_by_the_key_in_use(first: Device, hub: EnrollingHub) -> None:
    first.enrol()
    old = first.public
    enrolled = first.rotate()
    assert first.public == hub.devices[1].sign != old
    assert (enrolled.enrolment.hub, enrolled.enrolment.device) == (URL, 1)


def test_a_rotation_whose_answer_was_lost_goes_on_with_the_old_key_until_it_is_repeated(
    first: Device, hub: EnrollingHub
) -> None:
    first.enrol()
    hub.lose_answers = 1
    with pytest.raises(SyncError, match="broke"):
        first.rotate()
    taken = hub.devices[1].sign
    first.rotate()
    assert first.public == hub.devices[1].sign == taken


def test_a_rotation_cut_off_before_the_key_got_its_name_is_ended_at_the_next_start(
    first: Device, hub: EnrollingHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.enrol()

    def power_cut(_path: Path, _target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        monkeypatch_rename(patched, first.directory / (SYNC_KEY + ".next"), power_cut)
        with pytest.raises(KeyboardInterrupt):
            first.rotate()
    assert (first.directory / (SYNC_KEY + ".next")).exists()
    assert first.public == hub.devices[1].sign
    assert not (first.directory / (SYNC_KEY + ".next")).exists()


def monkeypatch_rename(patched: pytest.MonkeyPatch, which: Path, instead: object) -> None:
    rename = Path.rename
    patched.setattr(
        Path,
        "rename",
        lambda path, to: instead(path, to) if path == which else rename(path, to),  # type: ignore[operator]
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ZZZZ", "ENR-002"), ("USED", "ENR-003"), ("LATE", "ENR-004")],
)
def test_a_code_that_is_not_good_says_why_and_changes_nothing(
    second: Device, hub: EnrollingHub, code: str, expected: str
) -> None:
    hub.codes |= {"USED": ("negin", 0), "LATE": ("negin", 0)}
    hub.used["USED"] = (b"k" * 32, 9)
    hub.expired.add("LATE")
    with pytest.raises(EnrolmentFault) as caught:
        second.enrol(code)
    assert (caught.value.code, bool(caught.value.fix)) == (expected, True)
    assert enrolment.load(second.directory) is None


def test_another_hub_under_the_same_address_is_refused_unless_it_is_meant(
    first: Device, hub: EnrollingHub
) -> None:
    before = first.enrol().enrolment
    other = EnrollingHub(b"X" * 32)
    other.codes = {"EEEE": ("negin", 0)}
    first.hub = other
    with pytest.raises(EnrolmentFault, match="another hub") as caught:
        first.enrol("EEEE")
    assert caught.value.code == "ENR-005"
    assert enrolment.load(first.directory) == before
    assert first.enrol("EEEE", new_hub=True).enrolment.hub_public_key == other.signing.public


def test_an_answer_signed_by_somebody_else_is_refused(first: Device, hub: EnrollingHub) -> None:
    hub.signing, honest = SigningKey(DeviceKey(b"X" * 32)), hub.signing
    signer = hub.signing

    class Liar(SigningKey):
        public = honest.public

    hub.signing = Liar(DeviceKey(b"X" * 32))
    assert signer.public != honest.public
    with pytest.raises(EnrolmentFault, match="not signed") as caught:
        first.enrol()
    assert caught.value.code == "ENR-005"


def test_a_ledger_stays_its_merchant_s(first: Device) -> None:
    first.enrol()
    with pytest.raises(EnrolmentFault, match="belongs to merchant negin") as caught:
        first.enrol("DDDD")
    assert caught.value.code == "ENR-010"


def test_rotating_a_device_that_is_not_enrolled_says_how_to_enrol(first: Device) -> None:
    with pytest.raises(EnrolmentFault, match="not enrolled") as caught:
        first.rotate()
    assert caught.value.fix == "vafa enrol CODE --hub URL"


def test_keys_that_are_missing_or_others_are_named(first: Device) -> None:
    known = first.enrol().enrolment
    (first.directory / SYNC_KEY).unlink()
    with pytest.raises(KeyFileError, match=r"sync\.key"):
        settle_keys(first.directory, known)
    device_key.load_or_create(first.directory / SYNC_KEY)
    with pytest.raises(EnrolmentFault, match="not the one this device enrolled with"):
        settle_keys(first.directory, known)


@pytest.mark.parametrize("text", ["", "{}", '{"hub": 1}', "garbage"])
def test_an_enrolment_that_cannot_be_read_says_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / enrolment.FILE).write_text(text)
    with pytest.raises(VafaError) as caught:
        enrolment.load(tmp_path)
    assert (caught.value.code, "vafa enrol" in caught.value.fix) == ("ENR-001", True)


class Cut(BaseException):
    """The power fails."""


def cutting(patched: pytest.MonkeyPatch, hub: EnrollingHub, at: int) -> list[str]:
    """The power fails at the `at`-th of these moments: before and after each rename and each request."""
    moments: list[str] = []

    def moment(what: str) -> None:
        moments.append(what)
        if len(moments) == at:
            raise Cut

    rename, post = os.rename, type(hub).post.__get__(hub)

    def renaming(source: str, target: str, **options: int) -> None:
        moment(f"before {Path(target).name}")
        rename(source, target, **options)
        moment(f"after {Path(target).name}")

    def posting(path: str, body: bytes) -> bytes:
        moment("before the request")
        answer: bytes = post(path, body)
        moment("after the request")
        return answer

    patched.setattr(os, "rename", renaming)
    patched.setattr(hub, "post", posting)
    return moments


@pytest.mark.parametrize("which", ["first", "later", "again", "rotated"])
def test_wherever_the_power_fails_doing_it_again_ends_with_keys_the_hub_knows(
    tmp_path: Path, which: str
) -> None:
    """Each moment of each way to enrol: the device ends as if nothing had happened."""
    at = reached = 0
    while at == reached:
        at += 1
        hub = EnrollingHub()
        hub.codes = {"AAAA": ("negin", 0), "BBBB": ("negin", 0), "CCCC": ("negin", 1)}
        device = Device(tmp_path / f"{which}-{at}", b"1", hub)
        if which == "later":
            Device(tmp_path / f"{which}-{at}-first", b"0", hub).enrol()
        elif which != "first":
            device.enrol()
        wish = {"rotated": Wish(), "again": Wish(URL, "CCCC")}.get(which, Wish(URL, "BBBB"))
        with pytest.MonkeyPatch.context() as patched:
            moments = cutting(patched, hub, at)
            try:
                device.run(wish)
            except Cut:
                reached = len(moments)
        known = enrolment.load(device.directory)
        if known is not None:  # a start: whatever was cut off, it has a key of its own enrolment
            settle_keys(device.directory, known)
        try:
            known, code = device.run(wish).enrolment, ""
        except EnrolmentFault as error:
            code = error.code
        assert code in ("", "ENR-003"), moments  # a used code: it had all been done
        assert known is not None
        assert hub.devices[known.device].sign == device.public, moments
        assert len(hub.devices) == (2 if which == "later" else 1)
        assert set(hub.token_keys) == {"negin"}
        key = enrolment.merchant_key(device.directory) or device.own_key
        assert key == hub.token_keys["negin"], moments
    assert at > 8  # there were moments to cut at


def test_a_key_that_systemd_hands_in_is_used_and_not_changed(
    first: Device, hub: EnrollingHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.enrol()
    apart = tmp_path / "credentials" / SYNC_CREDENTIAL
    apart.parent.mkdir()
    (first.directory / SYNC_KEY).rename(apart)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(apart.parent))
    known = first.public
    assert first.enrol("CCCC").enrolment.public_key == known.hex() == hub.devices[1].sign.hex()
    with pytest.raises(EnrolmentFault, match="systemd credential") as caught:
        first.rotate()
    assert caught.value.code == "ENR-013"
    assert not (first.directory / SYNC_KEY).exists()
