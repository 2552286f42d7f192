"""What people write and hand over: configuration, programmes, keys, certificates, backups."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from fuzz.judging import same
from fuzz.target import Housed, Target
from shop import PROGRAMME

from vafa.app import config as configuration
from vafa.app.programmes import example
from vafa.club.bonuses import Customer
from vafa.club.earn import NO_CARRY, Circumstances, Earned, earn
from vafa.club.programme import Programme, document, parse
from vafa.keys import device_key, pem, recovery
from vafa.keys.sealed_box import SealingKey
from vafa.model.errors import ConfigError, DocumentError, ProgrammeError, VafaError
from vafa.model.money import Currency
from vafa.model.standing import NOBODY
from vafa.sync import enrolment

_JOURNAL = "SELECT * FROM journal ORDER BY seq"
_ROOT = Path(__file__).parents[2]
_AT = int(datetime(2026, 4, 25, 12, tzinfo=UTC).timestamp())
TOML = (
    b"[", b"]", b"[[", b"=", b'"""', b"'", b"\n", b"true", b"false", b"1979-05-27T07:32:00Z", b"inf",
    b"nan", b"0x",
    b"1_000", b"{", b"}", b'""', b"\\u0000", b"\\U0010FFFF", b"\xef\xbb\xbf", b"\xff", b"-1",
    b"9223372036854775808",
    "کافه".encode(), b"[terminal]", b"[[terminal]]", b'[[terminal]]\nid = "40217736"\n', b"a.b.c = 1",
    b"[" * 600, b"9" * 5_000, b"{a=" * 400,
)  # fmt: skip


def _judge_faults(error: DocumentError) -> None:
    """Every fault has a place and a message, and the whole is no longer than a person can read."""
    assert error.faults
    assert all(fault.place and fault.message for fault in error.faults)
    assert len(str(error)) < 200_000


class ConfigFile(Housed):
    """config.toml, as `vafa run` and `vafa doctor` read it."""

    name = "config"
    what = "config.toml"
    share = 8
    bytes_max = 12_000

    def __init__(self) -> None:
        super().__init__()
        self.file = self.directory / "config.toml"
        whole = (_ROOT / "config.example.toml").read_bytes()
        small = b'[shop]\nname_fa = "\xda\xa9\xd8\xa7\xd9\x81\xd9\x87"\n[[terminal]]\nid = "40217736"\n'
        local = small + b'mode = "local"\n[local]\ntcp = "127.0.0.1:9000"\nserial = "/dev/ttyS0"\n'
        proxy = small + b'mode = "proxy"\naddress = "tcp:192.0.2.1:1"\nlisten = "tcp:127.0.0.1:2"\n'
        printer = small + b'[[printer]]\nname = "a"\naddress = "/dev/usb/lp0"\nterminals = ["40217736"]\n'
        self.seeds = [whole, small, small, local, local, proxy, proxy, printer, printer]
        self.words = (
            *TOML,
            b"terminal",
            b"printer",
            b"local",
            b'"usb:067b:2303"',
            b'"tcp:[::1]:80"',
            b"mode = ",
        )

    def judge(self, data: bytes, random: Random) -> str:
        self.file.write_bytes(data)
        try:
            found = configuration.load(self.file)
        except ConfigError as error:
            _judge_faults(error)
            return "refused"
        assert found.terminal, "a configuration without a terminal"
        assert len({each.id for each in found.terminal}) == len(found.terminal)
        for path in (found.ledger_directory, found.local_socket, found.relay_socket, found.backup_directory):
            assert isinstance(path, Path)
        return "configuration"


class ProgrammeDocument(Target):
    """A programme, as a merchant writes it or a hub sends it; what is taken can be earned by."""

    name = "programme"
    what = "a programme's document, and a sale by what was taken"
    share = 10
    bytes_max = 12_000

    def __init__(self) -> None:
        names = ("plain", "cafe", "grocery", "restaurant")
        given = [example(name).encode() for name in names]
        canonical = [document(parse(text.decode())).encode() for text in given]
        self.seeds = [PROGRAMME.encode(), PROGRAMME.encode(), *given, *canonical]
        self.words = (
            *TOML, b"[bonus.a]", b"kind = ", b'"happy-hours"', b'hours = "22:00-02:00"', b"[tier.gold]",
            b"per = 0",
            b"points = 1000000", b"per = 1", b'"birthday"', b'from_day = "1405/12/30"', b"extra = 100000",
            b"[stamp.x]",
            b"[reward.r]", b"[offer.o]", b"months = 1200", b'zone = "Asia/Tehran"',
            b'zone = "../etc/passwd"', b"tier",
        )  # fmt: skip

    def judge(self, data: bytes, random: Random) -> str:
        text = data.decode("utf-8", "replace")
        try:
            found = parse(text)
        except ProgrammeError as error:
            _judge_faults(error)
            return "refused"
        again = parse(document(found))
        same(again.canonical, found.canonical, "the canonical document")
        same(again.hash, found.hash, "the hash")
        for amount in (0, 1, 9_999, 10**6, random.randrange(10**13)):
            self._earns(found, amount, random)
        return "programme"

    @staticmethod
    def _earns(programme: Programme, amount: int, random: Random) -> None:
        customer = Customer(True, random.randrange(20), "", NOBODY)
        at = _AT + random.randrange(-(10**9), 10**9)
        earned = earn(
            programme, amount, Currency.RIAL_CURRENT, True, NO_CARRY, Circumstances(at, customer=customer)
        )
        if isinstance(earned, Earned):
            assert earned.points >= 0
            assert 0 <= earned.eligible <= amount
            assert 0 <= earned.carry_after < 1


class KeysAndCertificates(Housed):
    """Key files, a pasted certificate, a recovery code, sealed keys, the enrolment."""

    name = "keys"
    what = "device keys, certificates, recovery codes, sealed keys, enrolment.json"
    share = 40

    def __init__(self) -> None:
        super().__init__()
        self.code = "7KQ2-MXB9-3FDT-Z5HW-8N4C"
        self.hub = SealingKey(device_key.DeviceKey(b"H" * 32))
        public = recovery.key_of(self.code).public
        about = {"device.key": b"61" * 32}
        self.sealed_keys = recovery.seal_keys(about, "digest", public, ("hub.example", self.hub.public))
        self.once = recovery.unlocked_by_code(self.sealed_keys, self.code)
        import msgspec

        certificate = b"-----BEGIN CERTIFICATE-----\nMIIBAjCBqQ==\n-----END CERTIFICATE-----\n"
        enrolled = enrolment.Enrolment("https://hub.example", "7KQ2MX", 1, "48" * 32, "49" * 32, "ab12")
        self.seeds = [
            b"61" * 32 + b"\n", certificate * 2, self.code.encode(), msgspec.json.encode(self.sealed_keys),
            msgspec.json.encode(enrolled), msgspec.json.encode(self.sealed_keys),
        ]  # fmt: skip
        self.words = (
            b'"schema":',
            b'"for_code":""',
            b'"keys":',
            b"=",
            b"-----",
            b"00",
            b"I",
            b"O",
            b"{",
            b'"ca":',
        )

    def judge(self, data: bytes, random: Random) -> str:
        words = []
        try:
            device_key.parsed(data, "the key")
            words.append("key")
        except VafaError:
            pass
        kept = pem.certificates(data.decode("utf-8", "replace"))
        assert kept == b"" or pem.certificates(kept.decode()) == kept
        if self._enrolment(data):
            words.append("enrolment")
        with contextlib.suppress(VafaError):
            recovery.key_of(data[:200].decode("utf-8", "replace"))
        words += self._sealed(data)
        return " ".join(words) or "refused"

    def _enrolment(self, data: bytes) -> bool:
        (self.directory / enrolment.FILE).write_bytes(data)
        try:
            found = enrolment.load(self.directory)
        except enrolment.EnrolmentFault:
            return False
        assert found is not None
        assert isinstance(found.hub_public_key, bytes)
        assert isinstance(found.host, str)
        return True

    def _sealed(self, data: bytes) -> list[str]:
        """What was altered never opens; what opens is what was sealed."""
        try:
            sealed = recovery.read(data)
        except VafaError:
            return []
        words = ["sealed"]
        with contextlib.suppress(VafaError):
            files = recovery.open_keys(sealed, self.once)
            same(files, {"device.key": b"61" * 32}, "the keys")
            words.append("opened")
        with contextlib.suppress(VafaError):
            same(recovery.unlocked_by_code(sealed, self.code), self.once, "the key of the keys")
        with contextlib.suppress(VafaError):
            same(recovery.unlocked_by_hub(sealed, self.hub), self.once, "the key of the keys")
        return words
