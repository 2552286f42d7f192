"""Offers through the real daemon: its sockets, its command line, many tills at once, a kill in between."""

import json
import signal
import threading
from pathlib import Path
from typing import Any

from real_device import TID, Device
from till import RULES

PHONE = "09121236789"
TILLS = 5


def enrolled(directory: Path) -> Device:
    """A device whose rules have offers, once it runs."""
    device = Device(directory / "device")
    (device.directory / "rules.toml").write_text(RULES, encoding="utf-8")
    return device


def start(device: Device) -> None:
    ran = device.vafa("programme", "activate", str(device.directory / "rules.toml"))
    assert ran.returncode == 0, ran.stderr
    device.ask(op="member", member=PHONE)


def give(device: Device, *words: str) -> str:
    """The id of an offer that was given."""
    ran = device.vafa("offer", "give", PHONE, *words, "--yes", "--json")
    assert ran.returncode == 0, ran.stderr
    return str(json.loads(ran.stdout)["offer"]["offer"])


def at_once(*works: Any) -> list[dict[str, Any]]:
    """What each of them answers, all begun together."""
    barrier, answers = threading.Barrier(len(works)), list[dict[str, Any]]()

    def run(work: Any) -> None:
        barrier.wait()
        answers.append(work())

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_many_tills_at_once_use_each_offer_once(tmp_path: Path) -> None:
    device = enrolled(tmp_path)
    with device.running():
        start(device)
        offer = give(device, "sorry")
        give(device, "double")
        shown = device.ask(op="identify", member=PHONE)["offers"]
        assert [each["name_en"] if "name_en" in each else each["name"] for each in shown] == [
            "Double points",
            "با پوزش",
        ]
        paid = at_once(*(lambda n=n: device.pay(f"p-{n}", amount=1_000, member=PHONE) for n in range(TILLS)))
        assert all(each["answer"] == "paid" for each in paid), paid
        assert sorted(each["points"] for each in paid) == [100] * (TILLS - 1) + [200]
        held = at_once(
            *(
                lambda n=n: device.ask(op="hold", request=f"h-{n}", member=PHONE, offer=offer, amount=2_000)
                for n in range(TILLS)
            )
        )
        assert sorted(each["answer"] for each in held) == ["failure"] * (TILLS - 1) + ["redeemed"]
        (won,) = (each["request"] for each in held if each["answer"] == "redeemed")
        done = at_once(
            *(lambda: device.ask(op="capture", request=won, terminal=TID, ref="q-1") for _ in range(TILLS))
        )
        assert {(each["state"], each["applied"], each["number"]) for each in done} == {
            ("captured", 500, done[0]["number"])
        }
        assert "offers" not in device.ask(op="balance", member=PHONE)
        last = device.pay("q-1", amount=1_500, member=PHONE, lang="en")
        assert "Offer used: \u2068با پوزش\u2069" in last["lines"]
    assert device.vafa("verify", "--explain").returncode == 0


def test_a_daemon_killed_between_hold_and_capture_has_the_offer_once(tmp_path: Path) -> None:
    device = enrolled(tmp_path)
    with device.running(signal.SIGKILL):
        start(device)
        offer = give(device, "sorry")
        hold = {"op": "hold", "request": "h-1", "member": PHONE, "offer": offer, "amount": 2_000}
        first = device.ask(**hold)
        assert (first["state"], first["rials"], first["offer"]) == ("held", 500, offer)
    with device.running(signal.SIGKILL):
        assert device.ask(**hold) == first
        refused = device.ask(**hold | {"request": "h-2"})
        assert "it is set aside" in refused["message"]
        captured = device.ask(op="capture", request="h-1", terminal=TID, ref="p-1")
    with device.running():
        assert device.ask(op="capture", request="h-1", terminal=TID, ref="p-1") == captured
        assert "it is used" in device.ask(**hold | {"request": "h-3"})["message"]
        device.pay("p-1", amount=1_500, member=PHONE)
        undone = device.ask(op="void", terminal=TID, ref="p-1", request="v-1", lang="en")
        assert "Offer good again: \u2068با پوزش\u2069" in undone["lines"]
        (again,) = device.ask(op="balance", member=PHONE)["offers"]
        assert again["offer"] == offer
    assert json.loads(device.vafa("offer", "show", offer[:6], "--json").stdout)["offer"]["state"] == "open"
    assert device.vafa("verify", "--explain").returncode == 0
