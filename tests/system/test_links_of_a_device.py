"""A real daemon with a SIM and a Wi-Fi, a real hub on the other side, each in a network namespace."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from namespaces import Namespace, namespaces
from real_device import Device
from real_hub import RealHub

HUB = "203.0.113.9"
SIM, WIFI = "wwan0", "wlan0"
WITHIN_S = 30.0


class There:
    """A device in its namespace, and the hub's world."""

    def __init__(self, device: Device, hub: RealHub, near: Namespace, world: Namespace) -> None:
        self.device, self.hub, self.near, self.world = device, hub, near, world

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.device.vafa("status", "--json").stdout)
        return found

    def sent_by(self, name: str) -> int:
        """Bytes the kernel counted out by an interface of the device."""
        told = json.loads(self.near.ip("-j", "-s", "link", "show", "dev", name))
        return int(told[0]["stats64"]["tx"]["bytes"])

    def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first status that holds."""
        ends_at = time.monotonic() + WITHIN_S
        while not holds(status := self.status()):
            assert time.monotonic() < ends_at, json.dumps(status, indent=1)
        return status

    def all_sent(self) -> dict[str, Any]:
        return self.until(lambda status: status["queue"]["waiting"] == 0)

    def links(self, status: dict[str, Any]) -> dict[str, str]:
        return {link["name"]: link["state"] for link in status["links"]}


@pytest.fixture
def there(tmp_path: Path) -> Iterator[There]:
    with (
        namespaces("device", "world") as (near, world),
        tempfile.TemporaryDirectory(prefix="vafa-hub-") as folder,
    ):
        near.link_to(world, SIM, "far-sim", "198.51.100.2/24", "198.51.100.1/24")
        near.link_to(world, WIFI, "far-wifi", "192.168.7.2/24", "192.168.7.1/24")
        near.ip("route", "add", "default", "via", "198.51.100.1", "dev", SIM, "metric", "700")
        near.ip("route", "add", "default", "via", "192.168.7.1", "dev", WIFI, "metric", "600")
        world.ip("addr", "add", f"{HUB}/32", "dev", "lo")
        Path(folder).chmod(0o755)  # as root, PostgreSQL runs as somebody else
        hub = RealHub(Path(folder), host=HUB, inside=world.name)
        device = Device(tmp_path / "device", inside=near.name)
        with hub.running(), device.running():
            merchant = hub.vafa("merchant", "add", "Kafe Negin")["merchants"][0]["merchant"]
            code = hub.vafa("code", "add", merchant)["code"]
            device.enrol(code, "--hub", hub.address, "--ca", str(hub.authority.file))
            yield There(device, hub, near, world)


def test_the_link_that_carries_us_is_shown_and_a_lost_carrier_is_gone_around_though_its_route_stays(
    there: There,
) -> None:
    there.device.pay("1")
    status = there.all_sent()
    assert there.links(status) == {WIFI: "online", SIM: "up"}
    assert [link["metered"] for link in status["links"]] == [False, True]
    before = there.sent_by(SIM)
    there.world.ip("link", "set", "far-wifi", "down")
    there.device.pay("2")
    there.until(lambda status: status["queue"]["waiting"] == 0 and there.links(status)[SIM] == "online")
    assert f"dev {WIFI}" in there.near.ip("route", "show", "default")
    assert there.links(there.status())[WIFI] == "no carrier"
    assert there.sent_by(SIM) - before > 500  # TLS and the rows


def test_without_any_link_sales_go_on_and_wait_and_are_sent_when_one_comes_up(there: There) -> None:
    there.device.pay("1")
    there.all_sent()
    for far in ("far-wifi", "far-sim"):
        there.world.ip("link", "set", far, "down")
    there.until(lambda status: not any(link["carries"] for link in status["links"]))
    assert there.device.pay("2")["answer"] == "paid"
    ran = there.device.vafa("sync", "now")
    assert ran.returncode != 0
    status = there.status()
    assert status["queue"]["waiting"] > 0
    assert status["hub"]["reach"][0] is False
    there.world.ip("link", "set", "far-sim", "up")
    there.near.ip("route", "replace", "default", "via", "198.51.100.1", "dev", SIM, "metric", "700")
    status = there.all_sent()  # at once, not when the next try would have been
    assert there.links(status)[SIM] == "online"
    assert status["hub"]["reach"][0] is True
