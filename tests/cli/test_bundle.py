"""No card number, phone, key or token is in the archive support is sent, wherever one was planted.

Planted in: the configuration, the ledger's texts, the daemon's word, its log, the unit's log, file names, a
terminal's announcements. The unpacked archive is searched in every spelling; the same search finds a control.
"""

import base64
import gzip
import io
import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from device import LANE, Device, Run
from secrecy.plants import PANS, PHONES, phone_spellings, spellings
from secrecy.search import Place, forms, found
from shop import TID

from vafa.app import bundle
from vafa.keys.device_key import KEY_BYTES
from vafa.ports import machine

KEY = b"k" * KEY_BYTES  # the device's, as tests/device.py writes it
TOKEN = "vHt7PqL2xZ9mNc4RbS8wYd1KfG6jQe3A"  # noqa: S105 - invented
PHRASE = "correct horse"  # of words: only what is not shown at all is safe
NAMES = {
    "README.txt", "findings.json", "status.json", "config.txt", "versions.txt", "platform.txt", "units.txt",
    "journal.json", "schema.sql", "log-vafa.txt", "log-vafa-relay.txt",
}  # fmt: skip


def planted_text() -> str:
    """A log as bad as can be: each secret in each spelling, in lines like those of a log."""
    secrets = [text for pan in PANS for text in spellings(pan)]
    secrets += [text for phone in PHONES for text in phone_spellings(phone)]
    secrets += [
        form.data.decode("utf-8", "replace")
        for digits in (*PANS, *PHONES)
        for form in forms(digits)
        if not form.nibbles and "phase" not in form.name
    ]
    secrets += [base64.b64encode(digits.encode()).decode() for digits in (*PANS, *PHONES)]
    secrets += [KEY.hex(), base64.b64encode(KEY).decode(), KEY.hex().upper(), f"token={TOKEN}", TOKEN]
    return "\n".join(f"2026-11-23T12:50:00+0330 vafa[9]: said ref={text} and went on" for text in secrets)


def unpacked(path: Path) -> list[Place]:
    with tarfile.open(path) as archive:
        places = [Place(entry.name, archive.extractfile(entry).read()) for entry in archive]  # type: ignore[union-attr]
    return [*places, Place("the archive itself", gzip.decompress(path.read_bytes()))]


def secrets_in(places: list[Place]) -> list[str]:
    hits = found([*PANS, *PHONES], places)
    for place in places:
        text = place.data.decode("utf-8", "replace")
        for secret in (PHRASE, KEY.hex(), KEY.hex().upper(), base64.b64encode(KEY).decode()[:20], TOKEN):
            hits += [f"{place.name}: a key"] if secret in text else []
    return hits


@pytest.fixture
def planted(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    """A device with a secret everywhere one can be put."""
    pan, phone = PANS[0], "0" + PHONES[0]
    text = device.config.read_text()
    text = text.replace("کافه نگین", f"کافه {pan}").replace("Kafe Negin", f"Kafe {phone} {TOKEN}")
    text += (
        f'listen = "/dev/{pan}"\npassword = "{TOKEN}"\nwifi = "{PHRASE}"\n[{TOKEN}]\n"{pan}" = "{phone}"\n'
    )
    text += f'[[terminal]]\nid = "{pan}"\naddress = "/dev/tty{PANS[1]}"\n'
    text += f'[[terminal]]\nid = "B0000009"\nmode = "local"\naddress = "/dev/{PANS[2]} {phone}"\n'
    device.config.write_text(text)
    sayings = spellings(PANS[1]) + phone_spellings(PHONES[1])
    lanes = [
        msgspec.structs.replace(
            LANE,
            line="closed",
            trouble=f"it said {text}",
            fix=f"ask {text}",
            doing=text,
            address=f"/dev/{text}",
        )
        for text in sayings
    ]
    device.live = msgspec.structs.replace(
        device.live, lanes=tuple(lanes), ledger_failure=f"row {PANS[2]} {TOKEN}",
        jobs={f"backup {phone}": (False, 1.0, f"no space at /mnt/{PANS[3]}")},
    )  # fmt: skip
    log = planted_text()
    monkeypatch.setattr(
        machine, "said", lambda command, *_: log if command[0] == "journalctl" else f"User={pan}"
    )
    monkeypatch.setattr(machine, "serial_ports", lambda: [f"/dev/serial/by-id/{text}" for text in sayings])
    with closing(sqlite3.connect(device.shop.ledger.path)) as connection, connection:
        connection.execute("INSERT INTO sale VALUES (?, ?, 2, 1, 2)", (TID, f"r {pan}"))
        connection.execute(f'CREATE TABLE "{phone}" ("{pan}" TEXT)')
    return device


@pytest.mark.parametrize("up", [True, False])
def test_nothing_secret_is_in_the_archive(planted: Device, vafa: Run, tmp_path: Path, up: bool) -> None:
    archive = tmp_path / "b.tar.gz"
    arguments = (
        "doctor",
        "--only",
        "config",
        "--only",
        "disk",
        "--only",
        "service",
        "--bundle",
        str(archive),
    )
    if up:
        with planted.up():
            ran = vafa(*arguments)
    else:
        ran = vafa(*arguments)
    assert archive.exists(), ran.err
    places = unpacked(archive)
    assert {place.name.removeprefix("vafa-support/") for place in places[:-1]} == NAMES
    hits = secrets_in(places)
    assert hits == [], "\n".join(hits[:20])
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    log = next(place.data for place in places if place.name.endswith("log-vafa.txt"))
    assert log.count(b"and went on") == planted_text().count("and went on")  # masked, not thrown away


def test_the_same_search_finds_what_is_planted_behind_the_masking(
    planted: Device, vafa: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "harmless", lambda text: text)
    monkeypatch.setattr(bundle, "harmless_value", lambda value: value)
    archive = tmp_path / "b.tar.gz"
    with planted.up():
        vafa("doctor", "--only", "disk", "--bundle", str(archive))
    names = {hit.partition(":")[0].removeprefix("vafa-support/") for hit in secrets_in(unpacked(archive))}
    assert names >= {
        "status.json",
        "config.txt",
        "platform.txt",
        "schema.sql",
        "log-vafa.txt",
        "the archive itself",
    }


def test_every_text_of_the_archive_is_bounded_and_its_newest_lines_are_kept(
    device: Device, vafa: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = "".join(f"line {number} of a log\n" for number in range(60_000))
    monkeypatch.setattr(machine, "said", lambda *_: endless)
    archive = tmp_path / "b.tar.gz"
    vafa("doctor", "--only", "disk", "--bundle", str(archive))
    places = {place.name: place.data for place in unpacked(archive)[:-1]}
    log = places["vafa-support/log-vafa.txt"]
    assert bundle.MEMBER_BYTES_MAX * 0.9 < len(log) <= bundle.MEMBER_BYTES_MAX
    assert log.startswith(b"... earlier lines were left out ...\nline ")
    assert log.endswith(b"line 59999 of a log\n")
    assert archive.stat().st_size < 1 << 20


def test_the_archive_says_what_is_in_it(device: Device, vafa: Run, tmp_path: Path) -> None:
    archive = tmp_path / "b.tar.gz"
    ran = vafa("doctor", "--only", "disk", "--json", "--bundle", str(archive))
    msgspec.json.decode(ran.out)  # stdout is the report alone
    assert f"{archive}: " in ran.err
    with tarfile.open(archive) as files:
        readme = files.extractfile("vafa-support/README.txt")
        assert readme is not None
        told = io.TextIOWrapper(readme).read()
        assert all(name in told for name in NAMES)
        assert {entry.mode for entry in files} == {0o600}


def test_an_archive_that_cannot_be_written_is_no_traceback_and_leaves_nothing(
    device: Device, vafa: Run, tmp_path: Path
) -> None:
    there = tmp_path / "there.tar.gz"
    there.write_text("mine")
    ran = vafa("doctor", "--only", "disk", "--bundle", str(there))
    assert (ran.code, there.read_text()) == (1, "mine")
    assert "is there already" in ran.err
    ran = vafa("doctor", "--only", "disk", "--bundle", str(tmp_path / "no" / "such.tar.gz"))
    assert ran.code == 1
    assert "cannot be written" in ran.err


def test_without_a_name_it_gets_one_where_you_stand(
    device: Device, vafa: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    vafa("doctor", "--only", "disk", "--bundle")
    (archive,) = tmp_path.glob("vafa-support-*.tar.gz")
    assert tarfile.is_tarfile(archive)
