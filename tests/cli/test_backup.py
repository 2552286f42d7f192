"""`vafa backup` and `vafa restore`: a lost disk, a wrong code, a hub that helps, a ledger put aside."""

import os
import shutil
import sqlite3
import tarfile
from pathlib import Path

import msgspec
import pytest
from device import CONFIG, NOW_MS, Device, Run
from shop import Shop, payment

from vafa.app.config import load
from vafa.app.restoring import look
from vafa.app.scheduled_backup import keep_keys, scheduled_backup
from vafa.hub.hub_key import FILE as HUB_KEY
from vafa.hub.hub_key import HubKey
from vafa.keys.recovery import ALPHABET
from vafa.ledger import reads, upkeep
from vafa.ledger.verify import chain_faults
from vafa.model import events
from vafa.sync import enrolment
from vafa.sync.enrolment import Enrolment

PHONE = "09121236789"


def code_in(text: str) -> str:
    (line,) = (line for line in text.splitlines() if line.startswith("RECOVERY CODE"))
    return line.split()[-1]


@pytest.fixture
def backup(device: Device, vafa: Run, tmp_path: Path) -> tuple[Path, Path]:
    """(a backup, the file with its recovery code) of a device with a member who has points."""
    member = bytes.fromhex(device.shop.members.add(PHONE, "مینا", "test").id)
    device.shop.counter.post(payment(1), member)
    target, code = tmp_path / "out" / "b.vafa", tmp_path / "out" / "code"
    target.parent.mkdir()
    ran = vafa("backup", str(target))
    assert ran.code == 0, ran.err
    code.write_text(code_in(ran.out))
    return target, code


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a new machine, which the command line now looks at."""
    directory = tmp_path / "new"
    directory.mkdir()
    (directory / "config.toml").write_text(CONFIG)
    monkeypatch.setenv("VAFA_CONFIG", str(directory / "config.toml"))
    return directory


def test_a_backup_and_its_code_bring_a_new_machine_to_where_the_old_one_was(
    backup: tuple[Path, Path], empty: Path, vafa: Run
) -> None:
    target, code = backup
    assert target.stat().st_mode & 0o777 == 0o600
    ran = vafa("restore", str(target), "--code-file", str(code), "--yes")
    assert ran.code == 0, ran.err
    assert (empty / "device.key").stat().st_mode & 0o777 == 0o600
    restored = Shop(empty, NOW_MS)
    try:
        (view,) = restored.members.find(PHONE)
        assert (view.balance, view.phone, view.name) == (10, "0912•••6789", "مینا")
        outcome = restored.counter.post(payment(2), bytes.fromhex(view.id))
        assert (outcome.number[:4], outcome.balance) == ("1-2-", 21)
        assert restored.counter.post(payment(1)).seen_before
        assert restored.verified().bad == ()
    finally:
        restored.ledger.close()


def test_the_new_epoch_names_the_head_it_follows_and_the_backup(
    device: Device, backup: tuple[Path, Path], empty: Path, vafa: Run
) -> None:
    head = device.shop.ledger.head
    vafa("restore", str(backup[0]), "--code-file", str(backup[1]), "--yes")
    restored = Shop(empty, NOW_MS)
    try:
        opened = restored.ledger.read(lambda c: reads.entry(c, head.seq + 1)).event
    finally:
        restored.ledger.close()
    assert isinstance(opened, events.EpochOpened)
    assert (opened.before, opened.ledger_id) == ((head.epoch, head.seq, head.hash), b"L" * 16)
    assert opened.why == "restored from the backup of 2025-12-29T09:20:00.000Z"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_restores_is_the_daemon_s(backup: tuple[Path, Path], empty: Path, vafa: Run) -> None:
    os.chown(empty, 65534, 65534)
    assert vafa("restore", str(backup[0]), "--code-file", str(backup[1]), "--yes").code == 0
    made = {path.name: path.stat().st_uid for path in empty.iterdir() if path.name != "config.toml"}
    assert set(made.values()) == {65534}, made


def test_without_yes_it_is_only_looked_at(backup: tuple[Path, Path], empty: Path, vafa: Run) -> None:
    ran = vafa("restore", str(backup[0]))
    assert (ran.code, "With --yes" in ran.out) == (0, True)
    assert [path.name for path in empty.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [("", "has 20 letters"), ("0" * 20, "not the recovery code of this backup"), ("AB-CD", "has 20 letters")],
)
def test_without_the_right_code_nothing_is_restored(
    backup: tuple[Path, Path], empty: Path, vafa: Run, typed: str, says: str
) -> None:
    backup[1].write_text(typed)
    ran = vafa("restore", str(backup[0]), "--code-file", str(backup[1]), "--yes")
    assert ran.code != 0
    assert says in ran.err
    assert not (empty / "ledger.db").exists()
    assert not (empty / "device.key").exists()


def test_a_code_may_be_typed_as_people_read_it(backup: tuple[Path, Path], empty: Path, vafa: Run) -> None:
    code = backup[1].read_text()
    assert set(code) <= set(ALPHABET + "-")
    backup[1].write_text(code.lower().replace("-", " ").replace("0", "o").replace("1", "l"))
    assert vafa("restore", str(backup[0]), "--code-file", str(backup[1]), "--yes").code == 0


def test_the_code_is_shown_once_and_lies_nowhere(
    device: Device, backup: tuple[Path, Path], vafa: Run
) -> None:
    code = backup[1].read_text().strip()
    backup[1].unlink()
    ran = vafa("backup", str(backup[0].with_name("second")))
    assert "RECOVERY" not in ran.out
    kept = b"".join(path.read_bytes() for path in device.config.parent.rglob("*") if path.is_file())
    assert code.encode() not in kept
    assert code.replace("-", "").encode() not in kept


def test_a_new_code_opens_later_backups_and_not_the_earlier_ones(
    backup: tuple[Path, Path], vafa: Run, empty: Path, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, code = backup
    monkeypatch.setenv("VAFA_CONFIG", str(device.config))
    second = first.with_name("second")
    newer = first.with_name("newer")
    newer.write_text(code_in(vafa("backup", str(second), "--new-code").out))
    monkeypatch.setenv("VAFA_CONFIG", str(empty / "config.toml"))
    assert vafa("restore", str(first), "--code-file", str(newer), "--yes").code != 0
    assert vafa("restore", str(second), "--code-file", str(code), "--yes").code != 0
    assert vafa("restore", str(second), "--code-file", str(newer), "--yes").code == 0


def test_the_hub_opens_what_the_shop_lost_the_code_of(
    device: Device, vafa: Run, tmp_path: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = HubKey(tmp_path / "hub" / HUB_KEY)
    enrolled = Enrolment("https://hub.example", "m", 1, "00" * 32, hub.sealing.public.hex(), "0102")
    enrolment.save(device.config.parent, enrolled)
    target = tmp_path / "b.vafa"
    assert vafa("backup", str(target), "--config", str(device.config)).code == 0
    ran = vafa("hub", "recover", str(target), "--state", str(tmp_path / "hub"))
    assert ran.code == 0, ran.err
    unlock = ran.out.split()[-1]
    assert vafa("restore", str(target), "--unlock", "00" * 32, "--yes").code != 0
    assert vafa("restore", str(target), "--unlock", unlock, "--yes").code == 0
    assert enrolment.load(empty) == enrolled
    HubKey(tmp_path / "other" / HUB_KEY)
    assert vafa("hub", "recover", str(target), "--state", str(tmp_path / "other")).code != 0


def test_a_ledger_that_is_there_stays_unless_replaced_and_is_then_put_aside(
    device: Device, backup: tuple[Path, Path], vafa: Run
) -> None:
    target, code = backup
    words = ("restore", str(target), "--code-file", str(code), "--yes")
    ran = vafa(*words, "--replace")
    assert "[LED-002]" in ran.err  # the daemon runs
    device.shop.counter.post(payment(2))
    rows = device.shop.ledger.head.seq
    device.shop.ledger.close()
    ran = vafa(*words)
    assert "--replace" in ran.err
    ran = vafa(*words, "--replace")
    assert ran.code == 0, ran.err
    aside = device.config.parent / "ledger.before-restore-1.db"
    with sqlite3.connect(aside) as old:
        assert old.execute("SELECT max(seq) FROM journal").fetchone() == (rows,)
    old.close()
    device.shop.open()
    assert device.shop.ledger.head.epoch == 2


def test_another_ledger_s_device_key_is_refused_and_the_ledger_is_not_put_in_its_place(
    backup: tuple[Path, Path], empty: Path, vafa: Run
) -> None:
    (empty / "device.key").write_text("ff" * 32)
    (empty / "device.key").chmod(0o600)
    ran = vafa("restore", str(backup[0]), "--code-file", str(backup[1]), "--yes")
    assert "[KEY-001]" in ran.err
    assert sorted(path.name for path in empty.iterdir()) == ["config.toml", "device.key", "ledger.lock"]


def test_newer_keys_that_are_here_stay(device: Device, vafa: Run, empty: Path, tmp_path: Path) -> None:
    old = Enrolment("https://hub.example", "m", 1, "00" * 32, "00" * 31 + "09", "0102", public_key="old")
    enrolment.save(device.config.parent, old)
    target = tmp_path / "b.vafa"
    code = tmp_path / "code"
    code.write_text(code_in(vafa("backup", str(target), "--config", str(device.config)).out))
    newer = msgspec.structs.replace(old, public_key="rotated since")
    enrolment.save(empty, newer)
    ran = vafa("restore", str(target), "--code-file", str(code), "--yes")
    assert "kept: enrolment.json" in ran.out
    assert enrolment.load(empty) == newer


def test_what_the_sync_kept_of_the_journal_that_was_is_begun_anew(
    backup: tuple[Path, Path], empty: Path, vafa: Run
) -> None:
    (empty / "sync").mkdir()
    (empty / "sync" / "sync.db").write_bytes(b"of another journal")
    assert vafa("restore", str(backup[0]), "--code-file", str(backup[1]), "--yes").code == 0
    assert not (empty / "sync" / "sync.db").exists()


def test_a_scheduled_copy_is_restored_where_its_keys_are_and_refused_where_they_are_not(
    device: Device, vafa: Run, empty: Path, tmp_path: Path
) -> None:
    device.shop.counter.post(payment(1))
    done = upkeep.backup(device.shop.ledger.path, tmp_path / "copies", 3, chain_faults)
    ran = vafa("restore", str(done.path), "--yes")
    assert (ran.code != 0, "[KEY-001]" in ran.err) == (True, True)
    shutil.copy(device.config.parent / "device.key", empty / "device.key")
    assert vafa("restore", str(done.path), "--yes").code == 0
    restored = Shop(empty, NOW_MS)
    assert (restored.ledger.head.epoch, restored.counter.post(payment(1)).seen_before) == (2, True)
    restored.ledger.close()


@pytest.mark.parametrize("spoil", ["ledger", "keys", "cut", "text", "words", "link"])
def test_a_backup_that_was_altered_is_refused_with_a_reason(
    backup: tuple[Path, Path], empty: Path, vafa: Run, spoil: str
) -> None:
    target, code = backup
    data = bytearray(target.read_bytes())
    if spoil == "ledger":
        data[-20_000] ^= 1
    elif spoil == "keys":
        sealed = look(target).sealed
        assert sealed is not None
        other = msgspec.structs.replace(sealed, keys="00" + sealed.keys[2:]).keys
        data = bytearray(bytes(data).replace(sealed.keys.encode(), other.encode()))
    elif spoil == "cut":
        del data[700:]
    elif spoil == "words":
        data = bytearray(bytes(data).replace(b'"vafa"', b'"v\xffa"'))
    elif spoil == "link":  # the third member is none: its type in the header, and the header's sum
        at = data.index(b"ledger.db\0")
        data[at + 156] = ord("5")
        data[at + 148 : at + 156] = b"%06o\0 " % (
            sum(data[at : at + 148] + b" " * 8 + data[at + 156 : at + 512])
        )
    else:
        data = bytearray(b"hello")
    target.write_bytes(bytes(data))
    ran = vafa("restore", str(target), "--code-file", str(code), "--yes")
    assert ran.code != 0
    assert "Traceback" not in ran.err
    assert not (empty / "ledger.db").exists()


def test_a_backup_never_writes_over_anything_and_a_failed_one_leaves_nothing(
    device: Device, backup: tuple[Path, Path], vafa: Run, tmp_path: Path
) -> None:
    assert vafa("backup", str(backup[0])).code != 0
    assert vafa("backup", str(tmp_path / "nowhere" / "b")).code != 0
    (device.config.parent / "device.key").unlink()
    target = tmp_path / "out" / "third"
    assert vafa("backup", str(target)).code != 0
    assert sorted(path.name for path in target.parent.iterdir()) == ["b.vafa", "code"]


def test_no_key_phone_or_name_stands_in_a_backup(device: Device, backup: tuple[Path, Path]) -> None:
    data = backup[0].read_bytes()
    for secret in (
        b"k" * 32,
        (b"k" * 32).hex().encode(),
        PHONE.encode(),
        PHONE[1:].encode(),
        "مینا".encode(),
    ):
        assert secret not in data
    with tarfile.open(backup[0]) as archive:
        assert archive.getnames() == ["about.json", "keys.json", "ledger.db"]


def test_scheduled_copies_have_their_sealed_keys_beside_them_once_there_is_a_code(
    device: Device, backup: tuple[Path, Path], vafa: Run, empty: Path
) -> None:
    config = load(device.config)
    done = scheduled_backup(config, device.shop.ledger.path)
    keys = done.path.with_name("keys.json")
    before = keys.read_bytes()
    assert (b"k" * 32).hex().encode() not in before
    assert not keep_keys(config)  # nothing changed: not sealed again
    assert keys.read_bytes() == before
    enrolment.save(device.config.parent, Enrolment("https://h", "m", 1, "00" * 32, "09" * 32, "0102"))
    assert keep_keys(config)
    ran = vafa("restore", str(done.path), "--code-file", str(backup[1]), "--yes")
    assert ran.code == 0, ran.err
    assert (empty / "device.key").read_text().strip() == (b"k" * 32).hex()
    restored = Shop(empty, NOW_MS)
    assert [view.balance for view in restored.members.find(PHONE)] == [10]
    restored.ledger.close()


def test_before_there_is_a_code_scheduled_copies_go_without_keys(device: Device) -> None:
    done = scheduled_backup(load(device.config), device.shop.ledger.path)
    assert [path.name for path in done.path.parent.iterdir()] == ["ledger-000001.db"]
