"""`vafa member profile` and `forget`: what a member told, shown masked; destructive with --yes only."""

import json

from device import Device, Run
from shop import payment

PHONE, OTHER = "09121236789", "09351112233"


def test_a_profile_is_told_and_shown(device: Device, vafa: Run) -> None:
    with device.up():
        vafa("member", "add", PHONE)
        vafa("member", "add", OTHER)
        told = vafa(
            "member", "profile", PHONE, "--birthday", "31/06", "--consent", "yes", "--referrer", OTHER
        )
    down = vafa("member", "show", PHONE)
    assert told.code == 0
    for shown in (told.out, down.out):
        assert "born on 31/06; messages welcome since 2025-12-29; sent by member" in shown
        assert "not asked yet: name" in shown
    assert OTHER[1:] not in told.out


def test_a_day_that_does_not_exist_is_refused_with_what_to_write(device: Device, vafa: Run) -> None:
    with device.up():
        vafa("member", "add", PHONE)
        ran = vafa("member", "profile", PHONE, "--birthday", "31/07")
    assert ran.code == 1
    assert "31/06" in ran.err


def test_forgetting_is_shown_first_and_done_with_yes(device: Device, vafa: Run) -> None:
    with device.up():
        vafa("member", "add", PHONE)
        shown = vafa("member", "forget", PHONE, "--why", "asked")
        still = vafa("member", "show", PHONE)
        done = vafa("member", "forget", PHONE, "--why", "asked", "--yes", "--json")
        gone = vafa("member", "show", PHONE)
    assert (shown.code, still.code, done.code, gone.code) == (2, 0, 0, 1)
    assert "would be forgotten: 1 id(s)" in shown.out
    assert "vafa member forget PHONE" in shown.err
    assert json.loads(done.out.splitlines()[-1])["done"] is True


def test_two_phones_are_merged_with_yes_and_apart_again(device: Device, vafa: Run) -> None:
    with device.up():
        vafa("member", "add", PHONE)
        vafa("member", "add", OTHER)
        shown = vafa("member", "merge", PHONE, OTHER, "--why", "same person")
        before = vafa("member", "show", OTHER).out
        done = vafa("member", "merge", PHONE, OTHER, "--why", "same person", "--yes")
        after = vafa("member", "show", OTHER).out
        again = vafa("member", "merge", PHONE, OTHER, "--why", "same person", "--yes")
        apart = vafa("member", "unmerge", OTHER, "--why", "sisters", "--yes")
    assert (shown.code, done.code, apart.code) == (2, 0, 0)
    assert "answers also as" not in before
    assert "answers also as" in after
    assert "one member already" in again.out
    assert "stands alone again" in apart.out


def test_a_sale_is_moved_to_the_right_member_with_yes(device: Device, vafa: Run) -> None:
    with device.up():
        vafa("member", "add", PHONE)
        vafa("member", "add", OTHER)
        number = device.shop.counter.post(payment(), device.shop.members.known_id(PHONE)).number
        shown = vafa("member", "move", number, OTHER, "--why", "her card")
        done = vafa("member", "move", number, OTHER, "--why", "her card", "--yes")
        again = vafa("member", "move", number, OTHER, "--why", "her card", "--yes")
        told = vafa("why", number)
        history = vafa("member", "show", PHONE).out
    assert (shown.code, done.code) == (2, 0)
    assert "10 points leave member" in shown.out
    assert "10 points come to member" in done.out
    assert "already; nothing changed" in again.out
    assert "moved" in told.out
    assert "moved to another member" in history
