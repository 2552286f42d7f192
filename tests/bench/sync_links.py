"""What sync does on links of every kind: `python tests/bench/sync_links.py`, as root (nftables, tc).

A real daemon and its sync process, a real hub with its own PostgreSQL, real TLS, interfaces called wwan0 and
wlan0; the bytes are the kernel's counts of the interfaces, Ethernet heads and all. At each end the chain and
state hash at the hub are the device's.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hub.drain_bench import backlog
from linked import SIM, WIFI, There, dropping, linked, slowed
from real_device import Device
from shop import Shop

SLOW_ROWS, SLOW_BYTES_S = 8_000, 8_000
LOSS = "numgen random mod 100 < 30"


def say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def equal(there: There) -> str:
    assert there.at_hub() == there.at_device(), "the hashes differ"
    return "hashes agree"


def lone_events(there: There) -> None:
    for ref in ("w1", "w2"):
        there.device.pay(ref)
        there.all_sent()
    there.quiet(WIFI)
    warm = [there.lone_event(f"w{n}") for n in range(3, 8)]
    new = [there.lone_event_on_a_new_connection(f"n{n}") for n in range(3)]
    say(f"a lone sale: warm {warm} B (goal 1,200), new connection {new} B (goal 4,400); {equal(there)}")


def switch_over(there: There) -> None:
    before, began = there.sent_by(SIM), time.monotonic()
    there.world.ip("link", "set", "far-wifi", "down")
    there.device.pay("s1")
    there.all_sent()
    took = time.monotonic() - began
    say(f"Wi-Fi lost: at the hub by SIM {took:.1f} s later, {there.sent_by(SIM) - before} B out by it")
    there.world.ip("link", "set", "far-wifi", "up")
    there.near.ip("route", "replace", "default", "via", "192.168.7.1", "dev", WIFI, "metric", "600")
    there.until(lambda status: there.links(status)[WIFI] == "online")
    before = there.sent_by(WIFI)
    there.device.pay("s2")
    there.all_sent()
    say(f"Wi-Fi back: {there.sent_by(WIFI) - before} B out by it; {equal(there)}")


def loss(there: There) -> None:
    with dropping(there.near, "input", LOSS) as down, dropping(there.world, "input", LOSS) as up:
        took, before = [], sum(there.carried(WIFI))
        for n in range(12):
            began = time.monotonic()
            there.device.pay(f"l{n}")
            there.all_sent(180)
            took.append(time.monotonic() - began)
        anew = there.lone_event_on_a_new_connection("anew")
        dropped = up() + down()
    bytes_each = (sum(there.carried(WIFI)) - before - anew) / 12
    say(
        f"30 % loss each way ({dropped} packets gone): 12 lone sales there in "
        f"{statistics.median(took):.1f} s each, "
        f"{max(took):.1f} s the slowest, {bytes_each:.0f} B each; on a new connection {anew} B; "
        f"{equal(there)}"
    )


def one_way(there: There) -> None:
    rows = there.at_hub()[0]
    with dropping(there.near, "input", f'iifname "{WIFI}"'):
        there.device.pay("o1")
        there.until(lambda _: there.at_hub()[0] > rows)
        waiting = there.status()["queue"]["waiting"]
    began = time.monotonic()
    there.all_sent()
    took = time.monotonic() - began
    say(
        f"answers lost one way: the hub had it, {waiting} waited here; "
        f"known {took:.1f} s after; {equal(there)}"
    )


def quota(there: There) -> None:
    there.world.ip("link", "set", "far-wifi", "down")
    there.until(lambda status: there.links(status)[SIM] == "online")
    with dropping(there.world, "input", 'iifname "far-sim" quota over 3000 bytes'):
        sold, ends_at = 0, time.monotonic() + 120
        while there.status()["hub"]["reach"][:1] != [False]:
            assert time.monotonic() < ends_at, "the plan ended and nobody noticed"
            there.device.pay(f"q{sold}")
            sold += 1
        waiting = there.status()["queue"]["waiting"]
        paid = there.device.pay("q-last")["answer"]
    there.world.ip("link", "set", "far-wifi", "up")
    there.near.ip("route", "replace", "default", "via", "192.168.7.1", "dev", WIFI, "metric", "600")
    began = time.monotonic()
    there.all_sent(120)
    took = time.monotonic() - began
    say(
        f"data quota ended: {waiting} waited, a sale then: {paid}; there {took:.1f} s after Wi-Fi; "
        f"{equal(there)}"
    )


def slow_link(there: There) -> None:
    """The backlog goes by a SIM of 64 kbit/s from the moment the device is enrolled."""
    slowed(there.near, SIM, "64kbit")
    slowed(there.world, "far-sim", "64kbit")
    there.near.ip("link", "set", WIFI, "down")  # and its route with it: enrolling takes the kernel's way
    there.enrol()
    rows, start = there.at_device()[0], there.sent_by(SIM)
    marks: list[tuple[float, int]] = []
    while not marks or there.at_hub()[0] < rows:
        marks.append((time.monotonic(), there.sent_by(SIM)))
        assert marks[-1][0] - marks[0][0] < 240, f"{there.at_hub()[0]} of {rows} rows"
        time.sleep(0.2)
    moving = [mark for mark in marks if mark[1] - start > 4_000]
    took, sent = moving[-1][0] - moving[0][0], moving[-1][1] - moving[0][1]
    share = sent / took / SLOW_BYTES_S
    there.all_sent()
    say(
        f"64 kbit/s: {rows:,} rows, {sent:,} B in {took:.1f} s, {share:.0%} of the link used (goal 80 %), "
        f"{(marks[-1][1] - start) / rows:.1f} B an event on the link; {equal(there)}"
    )


def with_backlog(device: Device) -> None:
    """A device that has sold for weeks without a network."""
    (device.state / "keys").mkdir(parents=True)
    key = device.state / "keys" / "device.key"
    key.write_text((b"k" * 32).hex())
    key.chmod(0o600)
    shop = Shop(device.state)
    backlog(shop, SLOW_ROWS)
    shop.ledger.close()


SCENES: dict[str, Callable[[There], None]] = {
    "lone": lone_events, "switch": switch_over, "loss": loss, "oneway": one_way, "quota": quota
}  # fmt: skip


def main(wanted: list[str]) -> None:
    """Each scene on a device of its own, so that one's trouble is not another's."""
    for name, scene in SCENES.items():
        if not wanted or name in wanted:
            with (
                tempfile.TemporaryDirectory() as folder,
                linked(Path(folder)) as there,
                there.device.running(),
            ):
                there.enrol()
                there.device.pay("first")
                there.all_sent()
                scene(there)
    if not wanted or "slow" in wanted:
        with (
            tempfile.TemporaryDirectory() as folder,
            linked(Path(folder), with_backlog) as there,
            there.device.running(),
        ):
            slow_link(there)


if __name__ == "__main__":
    main(sys.argv[1:])
