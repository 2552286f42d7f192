"""A device whose real daemon is enrolled at a hub that answers as a hub does, behind real TLS."""

import time
from pathlib import Path

from certificates import Authority
from hub_stub import HUB_KEY, Hub, Served
from real_device import Device

from vafa.keys.device_key import load_or_create
from vafa.keys.sign import SigningKey
from vafa.keys.tokens import key_id
from vafa.sync import enrolment


class Enrolled:
    """A device with a hub behind real TLS, enrolled as `vafa enrol` leaves it."""

    def __init__(self, directory: Path) -> None:
        self.device = Device(directory / "device")
        state = self.device.state
        (state / "keys").mkdir(parents=True)
        key = SigningKey(load_or_create(state / enrolment.SYNC_KEY))
        own = load_or_create(state / "keys" / "device.key").derived("tokens")
        self.hub = Hub(key.public, lambda: time.time_ns() // 1_000_000)
        authority = Authority(directory)
        (state / "ca.pem").write_bytes(authority.file.read_bytes())
        self.served = Served(self.hub, authority.server())
        sealing = bytes(32).hex()
        enrolment.save(
            state,
            enrolment.Enrolment(
                self.served.url, "negin", 1, HUB_KEY.public.hex(), sealing, key_id(own).hex(), "ca.pem",
                public_key=key.public.hex(),
            ),
        )  # fmt: skip

    def logged(self) -> str:
        return (self.device.directory / "log").read_text(errors="replace")
