"""Which link is which, what costs, the way around a route that leads into nothing, what the managers say."""

import os
from pathlib import Path

import pytest

from vafa.sync import network_manager
from vafa.sync.links import Link, Links, Metering, detour, kind_of
from vafa.sync.netlink import LinkState, Route
from vafa.sync.network_manager import Told, metered_in, radio_in

HUB = bytes((203, 0, 113, 9))
NMCLI = """\
GENERAL.DEVICE:wlan0
GENERAL.METERED:yes (guessed)

GENERAL.DEVICE:eth0
GENERAL.METERED:no (guessed)

GENERAL.DEVICE:wwan0
GENERAL.METERED:no

GENERAL.DEVICE:lo
GENERAL.METERED:unknown
"""
MMCLI = """\
modem.generic.ports.length                      : 2
modem.generic.ports.value[1]                    : cdc-wdm0 (qmi)
modem.generic.ports.value[2]                    : wwan0 (net)
modem.generic.access-technologies.length        : 1
modem.generic.access-technologies.value[1]      : lte
"""


def link(name: str, index: int, state: LinkState = "up") -> Link:
    return Link(index, name, kind_of(name), state, 0.0)


def default(index: int, metric: int) -> Route:
    return Route(bytes(4), 0, index, metric)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("wwan0", "sim"),
        ("wwp0s20f0u2i12", "sim"),
        ("ppp0", "sim"),
        ("usb0", "sim"),
        ("wlan0", "wifi"),
        ("wlp2s0", "wifi"),
        ("eth0", "ethernet"),
        ("enp3s0", "ethernet"),
        ("enx0c5b8f279a64", "ethernet"),
        ("lo", "loopback"),
        ("tun0", "other"),
        ("docker0", "other"),
    ],
)
def test_a_link_is_known_by_its_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_the_detour_is_the_longest_prefix_then_the_least_metric_of_links_that_are_up() -> None:
    links = [link("eth0", 1, "no carrier"), link("wwan0", 2), link("wlan0", 3), link("ppp0", 4, "down")]
    routes = [default(1, 100), default(2, 700), default(3, 600), default(4, 50)]
    found = detour(1, links, routes, [HUB])
    assert found is not None
    assert found.name == "wlan0"
    own = Route(HUB, 32, 2, 900)
    found = detour(1, links, [*routes, own], [HUB])
    assert found is not None
    assert found.name == "wwan0"


def test_there_is_no_detour_from_a_way_that_is_up_nor_where_the_kernel_has_no_way_nor_over_no_route() -> None:
    links = [link("eth0", 1), link("wwan0", 2)]
    assert detour(1, links, [default(2, 1)], [HUB]) is None
    assert detour(0, links, [default(2, 1)], [HUB]) is None
    lost = [link("eth0", 1, "no carrier"), link("wwan0", 2)]
    assert detour(1, lost, [Route(bytes((10, 0, 0, 0)), 8, 2, 0)], [HUB]) is None


def test_nothing_carries_us_where_the_way_has_no_carrier() -> None:
    lost = link("wwan0", 2, "no carrier")
    assert Links((lost,), way="wwan0").carrier is None
    assert Links((lost, link("wlan0", 3)), way="wwan0", detour="wlan0").carrier == link("wlan0", 3)


@pytest.mark.parametrize(
    ("metering", "name", "told", "costs"),
    [
        (Metering(), "wwan0", {}, True),
        (Metering(), "wlan0", {}, False),
        (Metering(), "eth0", {}, False),
        (Metering(), "wlan0", {"wlan0": True}, True),  # a telephone's hotspot, as NetworkManager sees it
        (Metering(), "wwan0", {"wwan0": False}, False),
        (Metering(unmetered=("wwan*",)), "wwan0", {"wwan0": True}, False),
        (Metering(metered=("enx*",)), "enx0c5b8f279a64", {"enx0c5b8f279a64": False}, True),
        (Metering(metered=("*",), unmetered=("*",)), "eth0", {}, True),  # in doubt it costs
    ],
)
def test_the_configuration_outweighs_the_manager_and_the_manager_the_guess(
    metering: Metering, name: str, told: dict[str, bool], costs: bool
) -> None:
    assert metering.of(link(name, 1), told) == costs


def test_network_manager_s_guess_is_a_word_and_unknown_is_none() -> None:
    assert metered_in(NMCLI) == {"wlan0": True, "eth0": False, "wwan0": False}
    assert metered_in("garbage\nGENERAL.METERED\n") == {}


@pytest.mark.parametrize(
    ("technology", "radio"), [("lte", "LTE"), ("hspa-plus", "3G"), ("edge", "2G"), ("5gnr", "5G")]
)
def test_the_modem_s_radio_is_told_of_its_port_and_of_ppp(technology: str, radio: str) -> None:
    assert radio_in(MMCLI.replace(": lte", f": {technology}")) == {"wwan0": radio, "ppp0": radio}


def test_a_modem_without_a_network_has_no_radio() -> None:
    assert radio_in(MMCLI.replace(": lte", ": unknown")) == {}
    assert radio_in("") == {}


def test_managers_that_are_there_are_asked_and_those_that_fail_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {"nmcli": f"cat <<'END'\n{NMCLI}END\n", "mmcli": "echo no modem >&2; exit 1\n"}
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert network_manager.told() == Told({"wlan0": True, "eth0": False, "wwan0": False}, {})


def test_a_manager_that_hangs_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nmcli").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "nmcli").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(network_manager, "ANSWER_S", 0.1)
    assert network_manager.told() == Told()
