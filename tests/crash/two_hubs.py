"""The hubs of the crash days: one enrols, one takes rows and sends things down. Neither is traced."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from certificates import Authority
from enrolling_hub import EnrollingHub, Known, served
from hub_stub import HUB_KEY, Hub, Served

from vafa.keys.device_key import DeviceKey, load_or_create
from vafa.keys.sign import SigningKey
from vafa.keys.tokens import key_id
from vafa.sync import enrolment
from vafa.wire import signing
from vafa.wire.messages import Have, Programme, ReceiptMessage, RemoteMember

MERCHANT = "negin"
PROGRAMME = 'schema = 1\n[name]\nfa = "کافه"\n[earn]\npoints = 1\nper = {}\ncurrency = "IRR"\n'


@contextlib.contextmanager
def enrolling_hub(directory: Path) -> Iterator[tuple[EnrollingHub, str, str]]:
    """(hub, address, certificates) where the merchant has a device already: ours becomes the second."""
    hub = EnrollingHub()
    hub.codes = {"BBBB": (MERCHANT, 0), "CCCC": (MERCHANT, 2)}
    first = SigningKey(DeviceKey(b"1" * 32)).public
    hub.devices = {1: Known(MERCHANT, first, first)}
    hub.token_keys = {MERCHANT: b"T" * 32}
    authority = Authority(directory)
    with served(hub, authority.server()) as url:
        yield hub, url, authority.file.read_text()


class BringingHub(Hub):
    """One that sends more down each time."""

    def brings(self, number: int) -> None:
        """From the next request on: a programme version, members and a message more."""
        version = Programme(number, PROGRAMME.format(10 + number), None, b"")
        signature = HUB_KEY.sign(signing.programme_input(MERCHANT, version))
        version = msgspec.structs.replace(version, signature=signature)
        member = bytes([number]) * 10
        self.answer = msgspec.structs.replace(
            self.answer,
            programmes=(version,),
            members=tuple(
                RemoteMember(member[:9] + bytes([n]), "6789", (member[:8],), 12, 34) for n in range(3)
            ),
            messages=(ReceiptMessage(number, member, "سلام", "Hello", None, None),),
            have=Have(number, 3 * number, number),
        )


@contextlib.contextmanager
def syncing_hub(directory: Path) -> Iterator[tuple[BringingHub, Callable[[Path], None]]]:
    """(hub, what makes a device in a directory enrolled with it)."""
    sync_key = load_or_create(directory / "made" / "sync.key")
    authority = Authority(directory)
    hub = BringingHub(SigningKey(sync_key).public, lambda: time.time_ns() // 1_000_000)
    there = Served(hub, authority.server())

    def prepare(state: Path) -> None:
        (state / "keys").mkdir()
        (directory / "made" / "sync.key").rename(state / enrolment.SYNC_KEY)
        own = load_or_create(state / "keys" / "device.key").derived("tokens")
        (state / "ca.pem").write_bytes(authority.file.read_bytes())
        whose = enrolment.Enrolment(
            there.url, MERCHANT, 1, HUB_KEY.public.hex(), bytes(32).hex(), key_id(own).hex(), "ca.pem",
            public_key=hub.device_key.hex(),
        )  # fmt: skip
        enrolment.save(state, whose)

    try:
        yield hub, prepare
    finally:
        there.close()
