"""The link watch in real network namespaces: veth pairs named like a SIM modem and a Wi-Fi card."""

import select
import socket
from collections.abc import Iterator

import pytest
from namespaces import Namespace, namespaces

from vafa.sync.link_watch import LinkWatch
from vafa.sync.links import Link, Metering
from vafa.sync.network_manager import Told

HUB, HUB6 = "203.0.113.9", "2001:db8:ffff::9"
SIM, WIFI = "wwan0", "wlan0"


class Watched:
    """A watch inside a device's namespace, stepped by hand; `woken` counts the courier's wakings."""

    def __init__(self, device: Namespace, world: Namespace) -> None:
        self.device, self.world = device, world
        self.woken = 0
        self.now = 0.0
        self.told = Told()
        self.asked = 0
        self.watch = device.inside(lambda: LinkWatch(self._wake, 0.0, Metering(), self._managers))

    def _wake(self) -> None:
        self.woken += 1

    def _managers(self) -> Told:
        self.asked += 1
        return self.told

    def step(self, seconds: float = 1.0) -> None:
        """Hear what the kernel told, `seconds` later."""
        self.now += seconds
        self.watch.step(self.now)

    def until(self, by: str) -> None:
        """Step at each notice until `by` carries us; the kernel tells of a carrier by and by."""
        for _ in range(20):
            self.watch.wait(1.0)
            self.step(0.01)
            if self.by == by:
                return
        raise AssertionError(f"never carried by {by!r} but by {self.by!r}: {self.watch.links()}")

    @property
    def by(self) -> str:
        carrier = self.watch.links().carrier
        return carrier.name if carrier else ""

    def link(self, name: str) -> Link:
        return next(link for link in self.watch.links().links if link.name == name)


@pytest.fixture
def watched() -> Iterator[Watched]:
    with namespaces("device", "world") as (device, world):
        device.link_to(world, SIM, "far-sim", "198.51.100.2/24", "198.51.100.1/24")
        device.link_to(world, WIFI, "far-wifi", "192.168.7.2/24", "192.168.7.1/24")
        device.ip("route", "add", "default", "via", "198.51.100.1", "dev", SIM, "metric", "700")
        device.ip("route", "add", "default", "via", "192.168.7.1", "dev", WIFI, "metric", "600")
        made = Watched(device, world)
        try:
            made.watch.toward([HUB])
            made.step()
            made.until(WIFI)  # a new veth's carrier comes by and by
            made.woken = 0
            yield made
        finally:
            made.watch.close()


def test_of_two_default_routes_the_lesser_metric_carries_us(watched: Watched) -> None:
    assert (watched.by, watched.watch.links().way) == (WIFI, WIFI)
    assert (watched.link(SIM).kind, watched.link(WIFI).kind) == ("sim", "wifi")
    assert (watched.link(SIM).metered, watched.link(WIFI).metered) == (True, False)


def test_a_switched_off_link_hands_over_to_the_other_and_wakes_the_courier_once(watched: Watched) -> None:
    watched.device.ip("link", "set", WIFI, "down")
    watched.until(SIM)
    assert watched.woken == 1
    assert watched.link(WIFI).state == "down"
    assert watched.link(WIFI).was_up
    assert watched.link(WIFI).changed_at == watched.now


def test_a_lost_carrier_is_noticed_though_the_default_route_stays(watched: Watched) -> None:
    watched.device.ip("link", "set", SIM, "down")
    watched.world.ip("link", "set", "far-wifi", "down")
    watched.until("")
    assert f"dev {WIFI}" in watched.device.ip("route", "show", "default")
    assert watched.watch.links().way == WIFI
    assert watched.link(WIFI).state == "no carrier"
    assert watched.woken == 0  # there is nothing to send by


def test_where_the_kept_route_leads_into_nothing_the_other_link_is_named_as_the_detour(
    watched: Watched,
) -> None:
    watched.world.ip("link", "set", "far-wifi", "down")
    watched.until(SIM)
    links = watched.watch.links()
    assert (links.way, links.detour) == (WIFI, SIM)
    assert watched.woken == 1


def test_a_carrier_that_comes_back_wakes_the_courier_at_once(watched: Watched) -> None:
    watched.device.ip("link", "set", SIM, "down")
    watched.world.ip("link", "set", "far-wifi", "down")
    watched.until("")
    lost_at = watched.watch.links().changed_at
    watched.now += 500
    watched.world.ip("link", "set", "far-wifi", "up")
    watched.until(WIFI)
    assert watched.woken == 1
    assert watched.watch.links().changed_at >= lost_at + 500


def test_a_route_that_appears_is_a_way_that_appears(watched: Watched) -> None:
    for name in (SIM, WIFI):
        watched.device.ip("route", "del", "default", "dev", name)
    watched.until("")
    assert watched.link(SIM).state == "up"
    assert watched.watch.links().way == ""
    watched.device.ip("route", "add", "default", "via", "198.51.100.1", "dev", SIM)
    watched.until(SIM)
    assert watched.woken == 1


def test_a_route_of_its_own_to_the_hub_outweighs_the_default_ones(watched: Watched) -> None:
    watched.device.ip("route", "add", f"{HUB}/32", "via", "198.51.100.1", "dev", SIM)
    watched.until(SIM)


def test_a_hub_with_two_addresses_is_reached_by_the_one_that_has_a_way(watched: Watched) -> None:
    watched.watch.toward([HUB6, HUB])
    watched.until(WIFI)
    watched.device.ip("-6", "addr", "add", "2001:db8:1::2/64", "dev", SIM, "nodad")
    watched.device.ip("-6", "route", "add", "default", "via", "2001:db8:1::1", "dev", SIM)
    watched.until(SIM)


def test_a_hub_known_by_an_address_of_a_family_that_is_gone_is_reached_by_the_other_one(
    watched: Watched,
) -> None:
    watched.watch.toward([HUB6])
    watched.watch.wait(1.0)
    watched.step()
    assert watched.by == WIFI


def test_a_modem_that_vanishes_is_remembered_as_down_and_known_again(watched: Watched) -> None:
    watched.device.ip("link", "set", WIFI, "down")
    watched.until(SIM)
    watched.device.ip("link", "delete", SIM)
    watched.until("")
    gone = watched.link(SIM)
    assert (gone.state, gone.was_up) == ("down", True)
    watched.device.link_to(watched.world, SIM, "far-sim", "198.51.100.2/24", "198.51.100.1/24")
    watched.device.ip("route", "add", "default", "via", "198.51.100.1", "dev", SIM)
    watched.until(SIM)
    assert [link.name for link in watched.watch.links().links].count(SIM) == 1


def test_the_managers_are_asked_at_a_change_and_outweigh_the_guess(watched: Watched) -> None:
    asked = watched.asked
    watched.told = Told(metered={SIM: False}, radio={SIM: "LTE"})
    watched.step()
    assert watched.asked == asked
    watched.device.ip("link", "set", WIFI, "down")
    watched.until(SIM)
    assert watched.asked == asked + 1
    assert (watched.link(SIM).metered, watched.link(SIM).radio) == (False, "LTE")


def test_a_notice_that_was_lost_is_made_up_for_within_a_minute(watched: Watched) -> None:
    watched.device.ip("link", "set", WIFI, "down")
    while select.select([watched.watch._told], [], [], 0)[0]:
        watched.watch._told.recv(65_536)  # somebody else's now: what was told is gone
    watched.step()
    assert watched.by == WIFI
    watched.step(60)
    assert watched.by == SIM


def test_more_notices_than_were_kept_lead_to_asking_anew(watched: Watched) -> None:
    watched.watch._told.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least there is
    routes = "".join(f"route add 10.0.{number}.0/24 dev {SIM}\n" for number in range(250))
    watched.device.batch(routes)
    watched.device.ip("link", "set", WIFI, "down")
    watched.step()
    assert (watched.by, watched.link(WIFI).state) == (SIM, "down")
