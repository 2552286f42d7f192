"""A real device with a SIM and a Wi-Fi and a real hub on the other side, each in a network namespace."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from namespaces import Namespace, namespaces
from real_device import Device
from real_hub import RealHub

from vafa.hub.installation import opened
from vafa.hub.lines import current, lines_of
from vafa.ledger.storage import connect_reader

HUB = "203.0.113.9"
SIM, WIFI = "wwan0", "wlan0"
WITHIN_S = 60.0


class There:
    """A device in its namespace, and the hub's world."""

    def __init__(self, device: Device, hub: RealHub, near: Namespace, world: Namespace) -> None:
        self.device, self.hub, self.near, self.world = device, hub, near, world
        self.merchant = ""

    def enrol(self) -> None:
        """The daemon must be there."""
        self.merchant = self.hub.vafa("merchant", "add", "Kafe Negin")["merchants"][0]["merchant"]
        code = self.hub.vafa("code", "add", self.merchant)["code"]
        self.device.enrol(code, "--hub", self.hub.address, "--ca", str(self.hub.authority.file))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.device.vafa("status", "--json").stdout)
        return found

    def carried(self, name: str) -> tuple[int, int]:
        """(in, out): bytes the kernel counted at an interface of the device, Ethernet heads and all."""
        told = json.loads(self.near.ip("-j", "-s", "link", "show", "dev", name))
        stats = told[0]["stats64"]
        return int(stats["rx"]["bytes"]), int(stats["tx"]["bytes"])

    def sent_by(self, name: str) -> int:
        return self.carried(name)[1]

    def until(self, holds: Callable[[dict[str, Any]], bool], within_s: float = WITHIN_S) -> dict[str, Any]:
        """The first status that holds."""
        ends_at = time.monotonic() + within_s
        while not holds(status := self.status()):
            assert time.monotonic() < ends_at, json.dumps(status, indent=1)
        return status

    def all_sent(self, within_s: float = WITHIN_S) -> dict[str, Any]:
        return self.until(lambda status: status["queue"]["waiting"] == 0, within_s)

    def links(self, status: dict[str, Any]) -> dict[str, str]:
        return {link["name"]: link["state"] for link in status["links"]}

    def at_hub(self) -> tuple[int, bytes, bytes]:
        """(newest row, chain hash, state hash) as the hub's database has them."""
        with opened("", self.hub.state) as database, database.transaction() as connection:
            lines = lines_of(connection, self.merchant, 1)
            assert len(lines) < 2, "the device's journal has branches at the hub"
            line = current(lines)
            return line.seq, line.hash, line.state

    def at_device(self) -> tuple[int, bytes, bytes]:
        """The same in the device's ledger."""
        with contextlib.closing(connect_reader(self.device.state / "ledger.db")) as connection:
            sql = "SELECT seq, hash, state FROM journal ORDER BY seq DESC LIMIT 1"
            seq, row_hash, state = connection.execute(sql).fetchone()
            return seq, row_hash, state

    def lone_event(self, ref: str, name: str = WIFI) -> int:
        """Bytes on the link, both ways, of one sale that goes to the hub by itself."""
        before = sum(self.carried(name))
        self.device.pay(ref)
        self.all_sent()
        self.quiet(name)
        return sum(self.carried(name)) - before

    def lone_event_on_a_new_connection(self, ref: str, name: str = WIFI) -> int:
        """The same when the sync process had ended, and its connection with it."""
        process = json.loads(self.device.vafa("sync", "status", "--json").stdout)["process"]
        os.kill(process, signal.SIGTERM)
        self.quiet(name)
        before = sum(self.carried(name))
        self.device.pay(ref)
        self.all_sent()
        self.quiet(name)
        return sum(self.carried(name)) - before

    def quiet(self, name: str) -> None:
        """Until no byte has gone for as long as a status takes, three times."""
        same, last = 0, -1
        while same < 3:
            self.status()
            now = sum(self.carried(name))
            same, last = (same + 1, now) if now == last else (0, now)


@contextlib.contextmanager
def linked(directory: Path, before: Callable[[Device], None] = lambda _: None) -> Iterator[There]:
    """Both, not enrolled, the daemon not running. `before`: something to do to the device first."""
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
        device = Device(directory / "device", inside=near.name)
        before(device)
        with hub.running():
            yield There(device, hub, near, world)


def filters_needed() -> None:
    """Skips a test where packets cannot be dropped on order."""
    if os.geteuid() != 0 or shutil.which("nft") is None:
        pytest.skip("dropping packets needs root and the command nft (Debian: nftables)")


@contextlib.contextmanager
def dropping(space: Namespace, hook: str, rule: str) -> Iterator[Callable[[], int]]:
    """While inside, packets of `hook` (input, output) for which the nftables `rule` holds are dropped: it
    tells how many."""
    chain = f"type filter hook {hook} priority 0;"
    table = f"table inet dropping {{\nchain it {{\n{chain}\n{rule} counter drop\n}}\n}}\n"
    nft = ["ip", "netns", "exec", space.name, "nft"]
    subprocess.run([*nft, "-f", "-"], input=table.encode(), check=True)

    def dropped() -> int:
        told = subprocess.run([*nft, "list", "table", "inet", "dropping"], capture_output=True, check=True)
        return int(told.stdout.partition(b"counter packets ")[2].split()[0])

    try:
        yield dropped
    finally:
        subprocess.run([*nft, "delete", "table", "inet", "dropping"], check=True)


def slowed(space: Namespace, interface: str, rate: str) -> None:
    """The interface sends at most `rate` (tc's words: 64kbit) from now on."""
    tbf = ["root", "tbf", "rate", rate, "burst", "1600", "latency", "2s"]
    subprocess.run(["tc", "-n", space.name, "qdisc", "add", "dev", interface, *tbf], check=True)
