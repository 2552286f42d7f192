"""The relay's unit: independent of the daemon's, in its account, where the defaults and pages say."""

from pathlib import Path

import pytest
from system.test_unit import ROOT, SYSTEMD, UNIT, documented, settings

from vafa.app.config import Relay
from vafa.cli.main import CONFIG, daemon_config

RELAY = settings((SYSTEMD / "vafa-relay.service").read_text())
TIES = ("Requires", "Requisite", "BindsTo", "PartOf", "Upholds", "Wants", "Conflicts", "PropagatesStopTo")


@pytest.mark.parametrize("unit", [UNIT, RELAY], ids=["daemon", "relay"])
def test_nothing_ties_the_relay_s_life_to_the_daemon_s(unit: dict[str, list[str]]) -> None:
    assert not set(TIES) & unit.keys()
    assert unit["Restart"] == ["always"]
    assert unit["StartLimitIntervalSec"] == ["0"]


def test_the_relay_is_started_lean_with_the_daemon_s_configuration() -> None:
    (start,) = RELAY["ExecStart"]
    program, *arguments = start.split()
    assert program == UNIT["ExecStart"][0].split()[0]
    assert daemon_config(arguments, "relay") == Path(CONFIG)


def test_the_relay_runs_as_the_daemon_in_directories_of_its_own() -> None:
    assert (RELAY["User"], RELAY["Group"]) == (UNIT["User"], UNIT["Group"])
    (run,), (state,) = RELAY["RuntimeDirectory"], RELAY["StateDirectory"]
    assert Relay().socket.startswith(f"/run/{run}/")
    assert Relay().directory == f"/var/lib/{state}"
    assert documented(f"/run/{run}/").endswith(RELAY["RuntimeDirectoryMode"][0])
    assert documented(f"/var/lib/{state}/").endswith(RELAY["StateDirectoryMode"][0])


def test_the_copies_can_reach_no_disk_by_way_of_core_or_swap() -> None:
    assert (RELAY["LimitCORE"], RELAY["MemorySwapMax"]) == (["0"], ["0"])


def test_the_page_for_installers_copies_what_is_there() -> None:
    page = (ROOT / "docs/relay.md").read_text()
    assert f"`{Relay().socket}`" in page
    assert "systemctl enable --now vafa-relay" in page
