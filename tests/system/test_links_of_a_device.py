"""A real daemon with a SIM and a Wi-Fi, a real hub on the other side, each in a network namespace."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from linked import HUB, SIM, WIFI, There, dropping, filters_needed, linked


@pytest.fixture
def there(tmp_path: Path) -> Iterator[There]:
    with linked(tmp_path) as it, it.device.running():
        it.enrol()
        yield it


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


def test_a_device_enrols_by_its_other_link_where_the_first_lost_its_carrier_though_its_route_stays(
    tmp_path: Path,
) -> None:
    with linked(tmp_path) as there, there.device.running():
        there.world.ip("link", "set", "far-wifi", "down")
        there.until(lambda _: "NO-CARRIER" in there.near.ip("link", "show", WIFI))
        assert f"dev {WIFI}" in there.near.ip("route", "get", HUB), "the kernel would send into nothing"
        before = there.sent_by(SIM)
        there.enrol()
        assert there.sent_by(SIM) - before > 1_000  # TLS and the keys
        there.device.pay("1")
        there.all_sent()
        assert there.at_hub() == there.at_device()


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


def test_an_answer_that_gets_lost_one_way_leaves_every_row_at_the_hub_once(there: There) -> None:
    filters_needed()
    there.device.pay("1")
    there.all_sent()
    rows = there.at_device()[0]  # the hub's as well; asking the hub takes longer than the connection is kept
    with dropping(there.near, "input", f'iifname "{WIFI}"'):  # what we send arrives, nothing comes back
        there.device.pay("2")
        there.until(lambda _: there.at_hub()[0] > rows)
        assert there.status()["queue"]["waiting"] > 0
        assert there.device.pay("3")["answer"] == "paid"
    there.all_sent()
    assert there.at_hub() == there.at_device()


@pytest.mark.alone
def test_a_lone_sale_costs_little_on_a_warm_connection_and_on_a_new_one(there: There) -> None:
    for ref in "12":
        there.device.pay(ref)
        there.all_sent()
    there.quiet(WIFI)
    by_sim = sum(there.carried(SIM))
    assert 300 < there.lone_event("3") <= 1_200
    assert 2_000 < there.lone_event_on_a_new_connection("4") <= 4_400
    assert sum(there.carried(SIM)) - by_sim < 1_500, "no handshake; only what the kernel itself says"
    assert there.at_hub() == there.at_device()
