"""`vafa hub ...` as a person types it, on a real database: what it shows, what it wants, what it changes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from device import Ran, Run
from hub.device_rows import busy, copied, journal, sold
from hub.served import Hub, Till
from hub.test_intake import agrees_with
from shop import PROGRAMME, Shop

from vafa.books import apply
from vafa.cli.hub import PARTS
from vafa.cli.main import main
from vafa.hub import contact, fleet, merchants
from vafa.hub.hub_key import HubKey
from vafa.model import events
from vafa.wire.messages import SYNC_PATH, Facts, SyncAnswer

HOUR_MS = 3_600_000


@pytest.fixture
def vafa(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs `vafa hub` with the hub's clock."""
    monkeypatch.setenv("VAFA_HUB_DSN", hub.database.dsn)
    monkeypatch.setenv("VAFA_HUB_STATE", str(tmp_path))
    for part in ("merchant", "code", "device", "programme", "message", "fleet"):
        monkeypatch.setattr(f"vafa.cli.hub_{part}.now_ms", lambda: hub.now_ms)

    def run(*args: str) -> Ran:
        capfd.readouterr()
        code = 0
        try:
            main(["hub", *args])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        return Ran(code, *capfd.readouterr())

    return run


def said(ran: Ran) -> Any:
    """The JSON a verb printed."""
    assert ran.code in (0, 10, 20), ran.err
    return json.loads(ran.out)


def test_help_names_every_part_without_the_hub_s_packages(vafa: Run) -> None:
    out = vafa("--help").out
    assert all(re.search(rf"^  {part} ", out, re.MULTILINE) for part in PARTS)


def test_a_merchant_is_added_listed_renamed_closed_and_opened(vafa: Run) -> None:
    added = vafa("merchant", "add", "کافه نگین")
    merchant = added.out.split()[0]
    assert f"vafa hub code add {merchant}" in added.out
    assert "کافه نگین" in vafa("merchant", "list").out
    vafa("merchant", "rename", merchant.lower(), "Kafe Negin")
    assert said(vafa("merchant", "show", merchant, "--json"))["merchants"][0]["name"] == "Kafe Negin"
    only_shown = vafa("merchant", "close", merchant)
    assert "nothing was done" in only_shown.out
    assert "CLOSED" not in vafa("merchant", "list").out
    assert "CLOSED" in vafa("merchant", "close", merchant, "--yes").out
    assert "CLOSED" not in vafa("merchant", "open", merchant).out


@pytest.mark.parametrize(
    "args",
    [
        ("merchant", "show", "ZZZZZZ"),
        ("code", "add", "ZZZZZZ"),
        ("device", "list", "ZZZZZZ"),
        ("programme", "list", "ZZZZZZ"),
        ("message", "list", "ZZZZZZ"),
        ("member", "list", "ZZZZZZ"),
        ("fleet", "ZZZZZZ"),
    ],
)
def test_a_merchant_nobody_added_is_named(vafa: Run, args: tuple[str, ...]) -> None:
    ran = vafa(*args)
    assert (ran.code, "[ASK-001]" in ran.err, "vafa hub merchant list" in ran.err) == (1, True, True)


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "two\nlines"])
def test_a_name_nobody_can_read_is_refused(vafa: Run, name: str) -> None:
    assert vafa("merchant", "add", name).code == 1


def test_a_code_is_shown_once_and_enrols(hub: Hub, vafa: Run, tmp_path: Path) -> None:
    HubKey(tmp_path / "hub.key")
    merchant = hub.merchant()
    made = vafa("code", "add", merchant, "--label", "counter", "--hours", "2")
    code = made.out.split()[0]
    assert re.fullmatch(r"(?:[0-9A-Z]{4}-){3}[0-9A-Z]{4}", code)
    assert f"vafa enrol {code}" in made.out
    assert vafa("key").out.split()[0] in made.out
    listed = vafa("code", "list", merchant).out
    assert code not in listed
    assert "counter" in listed
    till = Till(hub)
    till.enrol(code)
    assert till.device == 1
    assert "used by device 1" in vafa("code", "list", merchant).out
    assert "counter" in vafa("device", "list", merchant).out


def test_a_code_is_taken_back(hub: Hub, vafa: Run) -> None:
    merchant = hub.merchant()
    hub.code(merchant)
    name = said(vafa("code", "list", merchant, "--json"))["codes"][0]["name"]
    assert "nothing was done" in vafa("code", "revoke", merchant, name).out
    assert vafa("code", "revoke", merchant, name, "--yes").out.startswith(name)
    assert said(vafa("code", "list", merchant, "--json"))["codes"] == []
    assert "none" in vafa("code", "revoke", merchant, "--yes").out


def test_a_device_is_shown_labelled_revoked_and_allowed(hub: Hub, vafa: Run, till: Till, shop: Shop) -> None:
    busy(shop)
    till.sync(shop, facts=Facts("0.1.0", 1, link="wwan0 sim", metered=True))
    m = till.merchant
    assert "front" in vafa("device", "label", m, "1", "front").out
    shown = vafa("device", "show", m, "1")
    assert "wwan0 sim, metered" in shown.out
    assert f"{len(journal(shop)):,} rows, 0 waiting" in shown.out
    assert "each counted once" in shown.out
    assert "nothing was done" in vafa("device", "revoke", m, "1").out
    assert "REVOKED" in vafa("device", "revoke", m, "1", "--yes").out
    assert "REVOKED" not in vafa("device", "allow", m, "1").out
    found = said(vafa("device", "show", m, "1", "--json"))
    assert (found["device"], found["verdict"], found["books_agree"]) == ("1", "ok", True)
    assert vafa("device", "show", m, "9").code == 1


def test_rules_are_published_once_and_shown(hub: Hub, vafa: Run, tmp_path: Path) -> None:
    merchant, file = hub.merchant(), tmp_path / "rules.toml"
    file.write_text(PROGRAMME)
    assert "nothing was done" in vafa("programme", "add", merchant, str(file)).out
    assert said(vafa("programme", "list", merchant, "--json"))["programmes"] == []
    at = ("--from", "2026-12-01T00:00+03:30", "--yes")
    assert "2026-11-30 20:30Z" in vafa("programme", "add", merchant, str(file), *at).out
    assert "nothing changed" in vafa("programme", "add", merchant, str(file), *at).out
    assert "earn.per = 10" in vafa("programme", "show", merchant, "1").out
    assert vafa("programme", "show", merchant, "2").code == 1
    file.write_text("schema = 1\n")
    broken = vafa("programme", "add", merchant, str(file), "--yes")
    assert (broken.code, "[PRG-001]" in broken.err) == (2, True)


def test_a_message_is_added_and_cancelled(hub: Hub, vafa: Run) -> None:
    merchant = hub.merchant()
    assert vafa("message", "add", merchant).code == 1
    assert vafa("message", "add", merchant, "--fa", "س" * 501).code == 1
    assert vafa("message", "add", merchant, "--en", "x", "--member", "no id").code == 1
    made = vafa("message", "add", merchant, "--fa", "سپاس", "--until", "2027-01-01T00:00+03:30")
    assert "سپاس" in made.out
    assert "nothing was done" in vafa("message", "cancel", merchant, "1").out
    assert "cancelled" in vafa("message", "cancel", merchant, "1", "--yes").out
    assert said(vafa("message", "list", merchant, "--json"))["messages"] == []
    assert vafa("message", "cancel", merchant, "1", "--yes").code == 1


def test_members_are_found_by_the_end_of_a_phone_and_never_by_more(
    hub: Hub, vafa: Run, till: Till, shop: Shop
) -> None:
    busy(shop)
    till.sync(shop)
    m = till.merchant
    found = said(vafa("member", "list", m, "--last4", "۶۷۸۹", "--json"))["members"]
    assert [each["last4"] for each in found] == ["6789"]
    shown = vafa("member", "show", m, found[0]["member"]).out
    assert "device 1:" in shown
    assert "09••••••6789" in shown
    assert vafa("member", "list", m, "--last4", "09121236789").code == 1
    assert vafa("member", "show", m, "00" * 10).code == 1


def test_a_backup_is_whole_and_what_is_in_it_is_safe(
    hub: Hub, vafa: Run, till: Till, shop: Shop, tmp_path: Path
) -> None:
    sold(shop, 3)
    till.sync(shop)
    file = tmp_path / "hub.dump"
    ran = vafa("backup", str(file))
    assert ran.code == 0, ran.err
    assert file.read_bytes().startswith(b"PGDMP")
    assert file.stat().st_mode & 0o777 == 0o600
    head = journal(shop)[-1]
    sold(shop, 1, 320062690000)
    assert till.sync(shop).safe.seq == head.seq
    shown = vafa("restore", str(file))
    assert "would replace what the database holds of 1 merchants; nothing was done" in shown.out
    refused = vafa("backup", str(tmp_path / "nowhere" / "x"))
    assert (refused.code, "[HUB-006]" in refused.err) == (1, True)


# The fleet

Spoil = Callable[[Hub, Till, Shop, Path], None]


def _silent(hub: Hub, till: Till, shop: Shop, _tmp: Path) -> None:
    hub.now_ms += 25 * HOUR_MS


def _gaps(hub: Hub, till: Till, shop: Shop, _tmp: Path) -> None:
    till.sync(shop, facts=Facts("0.1.0", 1, gaps_open=2))


def _says_so(hub: Hub, till: Till, shop: Shop, _tmp: Path) -> None:
    till.sync(shop, facts=Facts("0.1.0", 1, verdict="degraded"))


def _in_memory(hub: Hub, till: Till, shop: Shop, _tmp: Path) -> None:
    till.sync(shop, facts=Facts("0.1.0", 1, memory_only=4))


def _skew(hub: Hub, till: Till, shop: Shop, _tmp: Path) -> None:
    till.at_ms += 400_000
    till.sync(shop)


def _lagging(hub: Hub, till: Till, shop: Shop, _tmp: Path) -> None:
    with hub.database.transaction() as connection:
        last = contact.contact(connection, till.merchant, 1)
        assert last is not None
        import msgspec

        behind = msgspec.structs.replace(last, newest=last.newest + fleet.WAITING_MAX + 1)
        contact.keep(connection, till.merchant, 1, behind)


def _suspense(hub: Hub, till: Till, shop: Shop, _tmp: Path) -> None:
    from hub.test_intake import chained

    from vafa.wire.messages import SYNC_PATH

    rows = chained(journal(shop), (60, b"\x90"))
    till.ask(SYNC_PATH, till.request(rows[-1:], rows[-2], whole=True))


def _fork(hub: Hub, till: Till, shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "twin").mkdir()
    twin_shop = copied(shop, tmp_path / "twin")
    twin = Till(hub)
    twin.merchant, twin.device, twin.sent = till.merchant, till.device, till.sent
    sold(shop, 2, 320062650000)
    sold(twin_shop, 1, 320062660000)
    for each in (shop, twin_shop):  # both hear of this one
        sold(each, 1, 320062670000)
    till.sync(shop)
    twin.sync(twin_shop)
    twin_shop.ledger.close()


@pytest.mark.parametrize(
    ("spoil", "code", "exit_code"),
    [
        (_silent, "HUB-014", 10),
        (_gaps, "HUB-016", 10),
        (_says_so, "HUB-017", 10),
        (_in_memory, "HUB-012", 20),
        (_skew, "HUB-018", 10),
        (_lagging, "HUB-015", 10),
        (_suspense, "HUB-013", 10),
        (_fork, "HUB-010", 20),
    ],
)
def test_the_fleet_page_names_what_is_wrong(
    hub: Hub, vafa: Run, till: Till, shop: Shop, tmp_path: Path, spoil: Spoil, code: str, exit_code: int
) -> None:
    sold(shop, 2)
    till.sync(shop, facts=Facts("0.1.0", 1))
    well = vafa("fleet")
    assert (well.code, "[HUB-" in well.out) == (0, False)
    spoil(hub, till, shop, tmp_path)
    ran = vafa("fleet")
    assert (ran.code, f"[{code}]" in ran.out) == (exit_code, True), ran.out
    assert all(len(line) <= 80 for line in ran.out.splitlines())
    found = said(vafa("fleet", till.merchant, "--json"))
    assert found["verdict"] == {10: "degraded", 20: "broken"}[exit_code]
    assert code in [trouble["code"] for trouble in found["devices"][0]["trouble"]]


def test_a_device_that_never_synced_is_trouble_after_an_hour(hub: Hub, vafa: Run, till: Till) -> None:
    assert vafa("fleet").code == 0
    hub.now_ms += 2 * HOUR_MS
    assert vafa("fleet").code == 10


def test_who_was_taken_off_is_shown_and_no_trouble(hub: Hub, vafa: Run, till: Till, shop: Shop) -> None:
    till.sync(shop)
    vafa("device", "revoke", till.merchant, "1", "--yes")
    hub.now_ms += 48 * HOUR_MS
    ran = vafa("fleet")
    assert (ran.code, "REVOKED" in ran.out) == (0, True)


def test_the_worst_comes_first_and_trouble_can_be_asked_for_alone(
    hub: Hub, vafa: Run, till: Till, shop: Shop
) -> None:
    till.sync(shop)
    other = Till(hub, b"o", b"O" * 16)
    other.enrol(hub.code(till.merchant))
    with hub.database.transaction() as connection:
        assert len(merchants.merchants(connection)) == 1
    hub.now_ms += 2 * HOUR_MS
    devices = said(vafa("fleet", "--json"))["devices"]
    assert [each["device"] for each in devices] == ["2", "1"]
    assert "device 1" not in vafa("fleet", "--trouble").out


def test_a_fork_that_is_accepted_is_reported_no_more_and_both_branches_stay(
    hub: Hub, vafa: Run, till: Till, shop: Shop, tmp_path: Path
) -> None:
    sold(shop, 2)
    till.sync(shop, facts=Facts("0.1.0", 1))
    _fork(hub, till, shop, tmp_path)
    shown = vafa("device", "show", till.merchant, "1").out
    assert "3 rows on the one that came first, 2 on the one that left it" in shown
    found = said(vafa("device", "show", till.merchant, "1", "--json"))["payments"]
    assert (found["count"], found["in_both"], found["only_left"]) == (
        6,
        3,
        1,
    )
    assert "nothing was done" in vafa("device", "accept", till.merchant, "1").out
    assert vafa("fleet").code == 20
    assert "1 branches accepted" in vafa("device", "accept", till.merchant, "1", "--yes").out
    assert vafa("fleet").code == 0
    assert "no fork" in vafa("device", "accept", till.merchant, "1", "--yes").out
    assert said(vafa("device", "show", till.merchant, "1", "--json"))["payments"]["count"] == 6


def test_after_an_update_rows_in_suspense_find_their_place(
    hub: Hub, vafa: Run, till: Till, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older hub, which knows no adjustments, gets a day with two of them; then it is updated."""
    busy(shop)
    rows = journal(shop)
    with monkeypatch.context() as older:
        without: dict[Any, Any] = {k: v for k, v in apply._RULES.items() if k is not events.Adjust}
        older.setattr(apply, "_RULES", without)
        whole = till.ask(SYNC_PATH, till.request(rows, None, whole=True)).content
        assert isinstance(whole, SyncAnswer)
        assert (whole.suspense > 0, whole.whole_rows) == (True, True)
        assert vafa("fleet").code == 20
    assert "nothing was done" in vafa("device", "rebuild", till.merchant, "1").out
    assert "the books are the device's" in vafa("device", "rebuild", till.merchant, "1", "--yes").out
    agrees_with(hub.database, shop, till.merchant)
    assert vafa("fleet").code == 0
    till.sent = rows[-1]
    sold(shop, 1, 320062690000)
    assert till.sync(shop).whole_rows is False
    agrees_with(hub.database, shop, till.merchant)


def test_without_a_database_the_verbs_say_so_and_end_with_three(
    vafa: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAFA_HUB_DSN", f"host={tmp_path} dbname=x password=hunter2")
    ran = vafa("fleet")
    assert (ran.code, "[HUB-004]" in ran.err) == (3, True)
    assert "hunter2" not in ran.err
