"""The lines Link, Hub, Queue and Reach: golden screens, and what of links and hub is trouble."""

from typing import Any

import msgspec
import pytest

from vafa.app.hub_standing import hub_live
from vafa.app.live import HubLive
from vafa.app.standing import ClockFacts, Queue, Status, TerminalFacts, Today
from vafa.app.status import iso, verdict
from vafa.cli.status import COLUMNS, screen
from vafa.sync.facts import SyncFacts
from vafa.sync.links import Link, Links

NOON_MS = 1_763_885_520_000  # 2025-11-23, 11:42 in Tehran
NOW = 500_000.0
SIM = Link(3, "wwan0", "sim", "up", NOW - 7_200, was_up=True, metered=True, radio="LTE")
WIFI = Link(4, "wlan0", "wifi", "up", NOW - 600, was_up=True)
LO = Link(1, "lo", "loopback", "up", 0.0, was_up=True)
BRIDGE = Link(9, "docker0", "other", "up", 0.0, was_up=True)
CABLE = Link(2, "eth0", "ethernet", "no carrier", 0.0)
GOOD = SyncFacts(
    host="hub.example",
    state="reachable",
    last_sync_age_s=38,
    round_trip_ms=81.2,
    reach=(True,) * 7 + (False,),
    failed_age_s=6_180,
    skew_s=0.21,
    skew_age_s=240,
    next_try_s=600,
)
ON_SIM = """\
● OK    terminal 40217736 · Kafe Negin · vafa 1.4.2 · up 3d 04h

  Terminal  ttyUSB0                 answering          last frame      4 s ago
  Link      wwan0 LTE, metered      online  81 ms      since       09:42 (2 h)
            wlan0                   down               lost        09:41
  Hub       hub.example             reachable          last sync      38 s ago
  Clock     +0.21 s vs hub          good               checked       4 min ago
  Queue     0 waiting   0 retrying  0 in suspense      oldest                -
  Today     0 sales   0 awarded  0 wait for a claim   0 points
  Reach     ●●●●●●●○    last 8 syncs, newest left      1 failed at       09:59
  Backup    none yet
"""
NO_NETWORK = """\
▲ DEGRADED  terminal 40217736 · Kafe Negin · vafa 1.4.2 · up 3d 04h

! No network for 41 min. Sales go on; points are kept on this device (23).
! Nothing to do: they will be sent when a link comes back.   [LINK-002]

  Terminal  ttyUSB0                 answering          last frame      4 s ago
  Link      wwan0                   no carrier         lost     11:01 (41 min)
  Clock     +0.21 s vs hub          good               checked       4 min ago
  Queue     23 waiting  0 retrying  0 in suspense      oldest           41 min
  Today     0 sales   0 awarded  0 wait for a claim   0 points
  Reach     ○○○○●●●●    last 8 syncs, newest left      next try       in 2 min
  Backup    none yet
"""


def seen(links: Links, sync: SyncFacts) -> HubLive:
    return hub_live(links, sync, NOW, NOON_MS)


def shown(live: HubLive | None) -> str:
    status = Status(
        verdict=verdict(list(live.trouble) if live else []),
        running=True,
        checked_at=iso(NOON_MS),
        shop="Kafe Negin",
        version="1.4.2",
        up_s=273_600,
        trouble=live.trouble if live else (),
        terminals=(TerminalFacts("40217736", "ecr", "/dev/ttyUSB0", "answering", last_frame_age_s=4),),
        clock=ClockFacts(iso(NOON_MS), "Asia/Tehran"),
        links=live.links if live else (),
        hub=live.hub if live else None,
        queue=live.queue if live else Queue(enrolled=False, kept=23),
        today=Today(iso(NOON_MS)),
    )
    lines = screen(status)
    assert max(map(len, lines)) <= COLUMNS
    return "\n".join(lines) + "\n"


def changed(link: Link, **fields: Any) -> Link:
    return msgspec.structs.replace(link, **fields)


def test_a_device_online_by_its_sim_shows_the_sample_screen() -> None:
    lost = changed(WIFI, state="down", changed_at=NOW - 7_260)
    links = Links((LO, BRIDGE, CABLE, lost, SIM), way="wwan0", changed_at=NOW - 7_200)
    assert shown(seen(links, GOOD)) == ON_SIM


def test_a_device_without_a_network_for_41_minutes_shows_the_sample_screen() -> None:
    links = Links(
        (changed(SIM, state="no carrier", changed_at=NOW - 2_460),), "wwan0", changed_at=NOW - 2_460
    )
    sync = msgspec.structs.replace(
        GOOD,
        state="unreachable",
        reach=(False,) * 4 + (True,) * 4,
        next_try_s=120,
        waiting=23,
        oldest_age_s=2_460,
        last_sync_age_s=2_470,
    )
    assert shown(seen(links, sync)) == NO_NETWORK


def test_a_device_that_was_never_enrolled_says_so_in_one_line_and_is_not_degraded() -> None:
    text = shown(None)
    assert text.startswith("● OK")
    assert "  Queue     not enrolled            23 events kept on this device\n" in text
    assert not {"Link", "Hub", "Reach"} & {line[2:8].strip() for line in text.splitlines()}


@pytest.mark.parametrize(("lost_s", "codes"), [(119, []), (120, ["LINK-002"])])
def test_a_link_that_flaps_is_no_trouble_until_it_lasts(lost_s: float, codes: list[str]) -> None:
    links = Links((changed(SIM, state="no carrier"),), "wwan0", changed_at=NOW - lost_s)
    sync = msgspec.structs.replace(GOOD, last_sync_age_s=lost_s + 5)
    assert [each.code for each in seen(links, sync).trouble] == codes


def test_a_hub_that_fails_three_times_while_a_link_is_up_is_trouble_with_its_own_words() -> None:
    sync = msgspec.structs.replace(
        GOOD, state="unreachable", reach=(False,) * 2, trouble="no answer", fix="vafa doctor", code="SYN-006"
    )
    links = Links((SIM,), "wwan0", changed_at=NOW - 9_000)
    assert seen(links, sync).trouble == ()
    (trouble,) = seen(links, msgspec.structs.replace(sync, reach=(False,) * 3, last_sync_age_s=1_500)).trouble
    assert (trouble.level, trouble.code, trouble.fix) == ("degraded", "SYN-006", "Vafa doctor.")
    assert trouble.message == (
        "The hub hub.example has not answered for 25 min: no answer. "
        "Sales go on; points are kept on this device."
    )


def test_a_hub_that_refuses_is_trouble_at_once_and_one_reason_is_told() -> None:
    sync = msgspec.structs.replace(
        GOOD, state="refused", reach=(False,) * 8, trouble="the device was taken off", code="ENR-009"
    )
    links = Links((SIM,), "wwan0", changed_at=NOW - 9_000)
    assert [each.code for each in seen(links, sync).trouble] == ["ENR-009"]


def test_without_a_network_the_hub_is_not_blamed() -> None:
    sync = msgspec.structs.replace(GOOD, state="unreachable", reach=(False,) * 8, code="SYN-006")
    links = Links((changed(SIM, state="down"),), "", changed_at=NOW - 3_000)
    assert [each.code for each in seen(links, sync).trouble] == ["LINK-002"]


def test_a_hub_that_answered_since_is_no_missing_network_whatever_the_routes_look_like() -> None:
    links = Links((SIM,), "", changed_at=NOW - 3_000)
    assert seen(links, GOOD).trouble == ()


def test_what_lies_in_suspense_is_told_beside() -> None:
    sync = msgspec.structs.replace(GOOD, suspense=2)
    (trouble,) = seen(Links((SIM,), "wwan0"), sync).trouble
    assert (trouble.code, trouble.message[:8]) == ("SYN-020", "2 events")


def test_rules_that_came_down_and_were_not_taken_are_told() -> None:
    sync = msgspec.structs.replace(GOOD, refused="programme version 7 is not signed by the hub")
    (trouble,) = seen(Links((SIM,), "wwan0"), sync).trouble
    assert trouble.code == "SYN-021"
    assert "version 7" in trouble.message


def test_a_watch_that_does_not_work_is_told_and_hides_nothing_of_the_hub() -> None:
    live = seen(Links(fault="the kernel does not tell of its links"), GOOD)
    assert [each.code for each in live.trouble] == ["LINK-004"]
    assert "Hub       hub.example             reachable" in shown(live)


def test_the_link_taken_around_a_dead_route_is_the_one_shown_online() -> None:
    links = Links((changed(WIFI, state="no carrier"), SIM), way="wlan0", detour="wwan0")
    facts = {each.name: (each.state, each.carries) for each in seen(links, GOOD).links}
    assert facts == {"wwan0": ("online", True), "wlan0": ("no carrier", False)}


def test_a_link_is_up_but_not_online_until_the_hub_has_answered() -> None:
    live = seen(Links((SIM,), "wwan0"), SyncFacts("hub.example"))
    assert [each.state for each in live.links] == ["up"]
    (hub,) = (line for line in shown(live).splitlines() if line.startswith("  Hub"))
    assert hub.split() == ["Hub", "hub.example", "not", "asked", "yet", "last", "sync", "never"]
