"""`vafa redeem` and `vafa member show`: a redemption from quote to return, as a cashier sees it."""

import json

import pytest
from device import Device, Run
from shop import PROGRAMME, payment

from vafa.club.programme import parse

PHONE = "09121236789"
REWARDS = """
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
name_en = "Money off"
points = 1
rial = 10
[reward.meal]
kind = "threshold"
name_fa = "غذا"
name_en = "Meal"
points = 500
[expiry]
months = 6
round = "month"
[pending]
hours = 1
"""


@pytest.fixture
def device(device: Device) -> Device:
    """A member with 200 points that lapse, of which none is pending any more."""
    device.shop.programmes.activate(parse(PROGRAMME + REWARDS), None)
    member = bytes.fromhex(device.shop.members.add(PHONE, "", "test").id)
    device.shop.counter.post(payment(1, 2_000, paid_at=None), member)
    device.shop.wall_ms += 3_600_000
    return device


def test_a_redemption_from_quote_to_return(device: Device, vafa: Run) -> None:
    with device.up():
        quoted = vafa("redeem", "quote", PHONE, "--bill", "1500")
        assert "200 points; 200 can be used" in quoted.out
        assert "off              Money off: 150 points, 1,500 rial off" in quoted.out
        assert "meal             Meal: 200 points can be used; that is too few for this reward" in quoted.out
        held = vafa("redeem", "hold", PHONE, "off", "--points", "80", "--bill", "1500", "--request", "t-17")
        assert held.out.startswith("held  1-1-6: 80 points for Money off, request t-17")
        assert "vafa redeem capture t-17" in held.err
        assert vafa(
            "redeem", "hold", PHONE, "off", "--points", "80", "--bill", "1500", "--request", "t-17"
        ).out == (held.out)
        shown = vafa("member", "show", PHONE).out
        assert "120 of them can be used now" in shown
        assert "200 points: lapse at 2026-07-23 00:00:00" in shown
        assert "80 points held until 2025-12-29 14:05:00: t-17" in shown
        done = vafa("redeem", "capture", "t-17", "--applied", "500", "--sale", "1-1-5")
        assert done.out.startswith(
            "captured  1-1-8: 50 points for Money off, request t-17\n  taken off: 500 rial"
        )
        assert "balance after it: 150 points" in done.out
        assert "  | ۵۰ امتیاز استفاده شد تخفیف\n" in done.out  # the slip as the shop's paper has it
        refused = vafa("redeem", "release", "t-17")
        assert (refused.code, "was captured (1-1-8)" in refused.err) == (1, True)
        back = vafa("redeem", "return", "t-17", "--json")
        told = json.loads(back.out)["told"]
        assert (told["state"], told["returned"], told["balance"]) == ("returned", 50, 200)
        shown = vafa("member", "show", PHONE).out
        assert "50 points  redemption came back" in shown
        assert "-50 points  redeemed" in shown


def test_what_cannot_be_had_says_why_and_nothing_is_held(device: Device, vafa: Run) -> None:
    with device.up():
        for command, why in (
            (("hold", PHONE, "meal"), "that is too few for this reward"),
            (("hold", PHONE, "boat"), "there is no reward 'boat' now"),
            (("hold", "09350000000", "meal"), "belongs to no member here"),
            (("capture", "t-9"), "nothing is held under 't-9'"),
        ):
            ran = vafa("redeem", *command)
            assert ran.code == 1
            assert why in ran.err
    down = vafa("redeem", "quote", PHONE)
    assert down.code == 3


def test_a_claim_code_stands_where_a_phone_would(device: Device, vafa: Run) -> None:
    code = device.shop.counter.post(payment(2, 3_000, paid_at=None)).claim
    device.shop.wall_ms += 3_600_000
    with device.up():
        assert "300 points; 300 can be used" in vafa("redeem", "quote", code, "--bill", "1500").out
        held = vafa("redeem", "hold", code, "off", "--points", "80", "--bill", "1500", "--request", "t-18")
        assert "80 points for Money off, request t-18" in held.out
        assert "member add" in vafa("redeem", "quote", "09350000001").err
