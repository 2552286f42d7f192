"""`vafa programme check|diff|whatif` and `vafa report liability` as people type them."""

import json
from pathlib import Path

import pytest
from device import Device, Run
from rich_shop import PHONE, RICH, with_programme
from shop import payment

from vafa.app.programmes import example


@pytest.fixture
def rich(tmp_path: Path) -> str:
    path = tmp_path / "rich.toml"
    path.write_text(RICH, encoding="utf-8")
    return str(path)


def test_check_tells_the_rules_and_the_most_they_can_cost(vafa: Run, rich: str) -> None:
    ran = vafa("programme", "check", rich, "--devices", "3")
    assert ran.code == 0
    assert 'bonus.lunch.hours = "12:00-14:00"' in ran.out
    assert "one payment           500 points" in ran.out
    assert "one member in a day   1,800 points" in ran.out
    assert "the whole programme   15,000 points" in ran.out
    found = json.loads(vafa("programme", "check", rich, "--json").out)
    assert found["worst_case"] == {
        "devices": 1,
        "payment": 500,
        "member_day": 600,
        "budget": 5_000,
        "offers": [],
    }


def test_check_names_every_fault_at_once_and_ends_with_2(vafa: Run, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(RICH.replace("[bonus.lunch]", "[bonus.lunch]\nweekdays = ['sunday']\nextras = 3"))
    ran = vafa("programme", "check", str(path))
    assert ran.code == 2
    assert "bonus.lunch.extras" in ran.err
    assert "bonus.lunch.weekdays" in ran.err
    assert "did you mean 'extra'" in ran.err


def test_diff_tells_places_that_differ_and_ends_with_1(vafa: Run, device: Device, rich: str) -> None:
    assert vafa("programme", "diff", rich, rich).code == 0
    ran = vafa("programme", "diff", rich)  # from the device's: one point per 10 rial
    assert ran.code == 1
    assert "earn.per: 10 -> 1000" in ran.out
    assert "tier.good.extra: (not there) -> 50" in ran.out
    found = json.loads(vafa("programme", "diff", rich, "--json").out)
    assert found["changes"]["cap.payment"] == [None, 500]


def test_whatif_tells_no_difference_for_the_same_and_each_for_another(
    vafa: Run, device: Device, rich: str, tmp_path: Path
) -> None:
    member = bytes.fromhex(device.shop.members.add(PHONE, "", "test").id)
    with_programme(device.shop)
    for number in range(5):
        device.shop.counter.post(payment(number, 100_000), member)
    same = json.loads(vafa("programme", "whatif", rich, "--json").out)
    assert (same["payments"], same["different"]) == (5, [])
    plain = tmp_path / "plain.toml"
    plain.write_text(example("plain"))
    ran = vafa("programme", "whatif", str(plain))
    assert ran.code == 0
    assert "1 holders with a difference" in ran.out
    assert f"{member.hex()}" in ran.out
    found = json.loads(vafa("programme", "whatif", str(plain), "--json").out)
    assert (found["points_would"], found["different"][0]["would"]) == (50, 50)


def test_report_liability_says_what_is_known(vafa: Run, device: Device) -> None:
    member = bytes.fromhex(device.shop.members.add(PHONE, "", "test").id)
    with_programme(device.shop, example("cafe"))
    for number in range(3):
        device.shop.counter.post(payment(number, 1_000_000), member)
    device.shop.counter.post(payment(9, 1_000_000))
    ran = vafa("report", "liability")
    assert ran.code == 0
    found = json.loads(vafa("report", "liability", "--json").out)
    assert (found["members"], found["waiting"], found["point_value"]) == (80, 20, "9000")
    assert (found["rial"], found["rial_low"], found["rial_high"]) == (900_000, 0, 900_000)
    assert "900,000 rial" in ran.out
    assert "none has been redeemed or has lapsed here" in ran.out


def test_report_liability_of_a_programme_without_worth_says_so(vafa: Run, device: Device) -> None:
    assert "worth: unknown" in vafa("report", "liability").out


def test_check_tells_what_a_single_offer_can_cost(vafa: Run, tmp_path: Path) -> None:
    file = tmp_path / "cafe.toml"
    file.write_text(example("cafe"), encoding="utf-8")
    told = vafa("programme", "check", str(file)).out
    assert "one offer sorry       300,000 rial, given returned" in told
    assert "one offer thanks      50 points, given visit" in told
