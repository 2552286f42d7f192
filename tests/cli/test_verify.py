"""`vafa verify`: all well, the first bad place named, sealed phones, and what was not checked."""

import json
import sqlite3
from collections.abc import Callable

import pytest
from device import Device, Run
from rich_shop import with_programme
from shop import payment


def alter(device: Device, sql: str) -> None:
    """Change the file behind the ledger's back."""
    device.shop.ledger.close()
    forger = sqlite3.connect(device.shop.ledger.path)
    assert forger.execute(sql).rowcount == 1
    forger.commit()
    forger.close()


def test_a_whole_ledger_is_ok_and_ends_with_0(device: Device, vafa: Run) -> None:
    device.shop.members.add("09121236789", "", "test")
    device.shop.counter.post(payment())
    ran = vafa("verify")
    assert ran.code == 0
    assert ran.out.startswith("OK   4 rows, 1 awards, 10 points with members; chain ends in ")
    assert "1 opened with the device's key" in ran.out


def test_every_payment_is_explained_in_both_languages(device: Device, vafa: Run) -> None:
    with_programme(device.shop)
    member = bytes.fromhex(device.shop.members.add("09121236789", "", "test").id)
    for number in range(4):
        device.shop.counter.post(payment(number, 400_000), member)
    ran = vafa("verify", "--explain")
    assert ran.code == 0
    assert "payments explained in both languages: 4" in ran.out
    assert json.loads(vafa("verify", "--explain", "--json").out)["explained"] == 4


def test_it_verifies_while_the_daemon_runs(device: Device, vafa: Run) -> None:
    device.shop.counter.post(payment())
    with device.up():
        found = json.loads(vafa("verify", "--json").out)
    assert (found["ok"], found["rows"], found["awards"], found["bad"]) == (True, 3, 1, [])
    assert found["head_hash"] == device.shop.ledger.head.hash.hex()


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("UPDATE journal SET at = at + 1 WHERE seq = 2", "journal 2:"),
        ("DELETE FROM journal WHERE seq = 2", "journal 3:"),
        ("UPDATE member SET balance = 999", "member"),
        ("UPDATE payment SET amount = 1", "payment 1/C0000301/"),
        ("DELETE FROM payment", "payment 1/C0000301/"),
        ("UPDATE secret SET phone = x'00'", "secret"),
    ],
)
def test_what_was_altered_is_named_and_ends_with_1(device: Device, vafa: Run, sql: str, place: str) -> None:
    member = bytes.fromhex(device.shop.members.add("09121236789", "", "test").id)
    device.shop.counter.post(payment(), member)
    alter(device, sql)
    ran = vafa("verify")
    assert ran.code == 1
    assert f"BAD  {place}" in ran.out
    assert "[LED-003]" in ran.out
    found = json.loads(vafa("verify", "--json").out)
    assert not found["ok"]
    assert found["bad"][0].startswith(place)


def test_without_the_key_it_says_that_phones_were_not_opened(device: Device, vafa: Run) -> None:
    (device.config.parent / "device.key").unlink()
    ran = vafa("verify")
    assert ran.code == 0
    assert "sealed phones: not checked" in ran.out


def scribbled(device: Device) -> None:
    """Pages of the file overwritten, as a dying card does."""
    path = device.shop.ledger.path
    device.shop.ledger.close()
    content = bytearray(path.read_bytes())
    content[4096 : len(content) - 1024] = b"\xa5" * (len(content) - 1024 - 4096)
    path.write_bytes(content)


def emptied(device: Device) -> None:
    """Not a database at all."""
    device.shop.ledger.close()
    for file in device.config.parent.glob("ledger.db*"):
        file.unlink()
    device.shop.ledger.path.write_bytes(b"no database " * 100)


@pytest.mark.parametrize("damage", [scribbled, emptied])
@pytest.mark.parametrize("verb", [["verify"], ["journal"], ["why", "3"], ["status"]])
def test_a_damaged_file_is_a_message_never_a_traceback(
    device: Device, vafa: Run, damage: Callable[[Device], None], verb: list[str]
) -> None:
    for n in range(40):
        device.shop.counter.post(payment(320062616116 + n))
    damage(device)
    ran = vafa(*verb)
    assert ran.code in (1, 3)
    assert "[LED-00" in ran.out + ran.err
