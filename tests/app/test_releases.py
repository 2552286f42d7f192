"""Releases: what their files say, which may follow which, what `vafa status` shows of them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vafa.app import selftest
from vafa.app.releases import (
    ROLLED_BACK,
    UNCONFIRMED,
    About,
    Releases,
    Trial,
    UpdateError,
    checked_way_back,
    standing,
    troubles,
    way_back_fault,
)
from vafa.ledger.ledger import Ledger
from vafa.ledger.migrations import migrations
from vafa.ledger.schema import SCHEMA_VERSION

TRIAL = Trial("1.1", "1.0", "0.9", 300, 1_000, 1)


def installed(root: Path, **schemas: tuple[int, int]) -> Releases:
    """1.0 in use, and others by version ('v1_1'): the schema they write, and since when it is readable."""
    releases = Releases(root)
    for name, (writes, since) in ({"v1_0": (6, 6)} | schemas).items():
        version = name.removeprefix("v").replace("_", ".")
        releases.path(version).mkdir(parents=True)
        about = {"version": version, "arch": "amd64", "ledger_writes": writes, "ledger_readable_since": since}
        (releases.path(version) / "release.json").write_text(json.dumps(about))
    (root / "current").symlink_to("releases/1.0")
    return releases


def test_a_trial_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / UNCONFIRMED).write_text(TRIAL.text())
    assert Releases(tmp_path).trial() == TRIAL


@pytest.mark.parametrize("text", ["", "to=\n", "\x00\xff", "confirm_after_s=x\n"])
def test_a_trial_s_file_that_says_nothing_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / UNCONFIRMED).write_text(text, "latin-1")
    assert Releases(tmp_path).trial() is None


@pytest.mark.parametrize(
    ("new", "old", "possible"),
    [
        ((6, 6), (6, 6), True),
        ((7, 6), (6, 6), True),  # the older one can go on with the newer ledger
        ((7, 7), (6, 6), False),  # it could not
        ((8, 7), (7, 7), True),
        ((6, 6), (7, 7), False),  # the older one again, after the newer one has written
        ((6, 6), (7, 6), True),
    ],
)
def test_a_release_follows_another_only_if_the_ledger_leaves_a_way_back(
    new: tuple[int, int], old: tuple[int, int], possible: bool
) -> None:
    fault = way_back_fault(About("1.1", "amd64", *new), About("1.0", "amd64", *old))
    assert (fault == "") is possible


def test_a_release_without_a_way_back_is_refused_with_what_to_do(tmp_path: Path) -> None:
    releases = installed(tmp_path, v1_1=(7, 7))
    with pytest.raises(UpdateError, match=r"release 1\.0 could not go on") as refused:
        checked_way_back(releases, "1.1")
    assert refused.value.code == "UPD-007"
    assert "between the two" in refused.value.fix


def test_a_roll_back_is_shown_until_it_is_put_away(tmp_path: Path) -> None:
    releases = installed(tmp_path)
    (tmp_path / ROLLED_BACK).write_text(TRIAL.text() + "why=it did not start\nat=2000\n")
    facts = standing(releases, 1_060)
    (trouble,) = troubles(facts)
    assert "1.1 was rolled back to 1.0: it did not start" in trouble.message
    assert (trouble.level, trouble.code) == ("degraded", "UPD-011")
    (tmp_path / ROLLED_BACK).unlink()
    assert troubles(standing(releases, 1_060)) == ()


def test_a_trial_is_shown_with_its_age_and_is_no_trouble(tmp_path: Path) -> None:
    releases = installed(tmp_path)
    (tmp_path / UNCONFIRMED).write_text(TRIAL.text())
    facts = standing(releases, 1_060)
    assert facts is not None
    assert (facts.on_trial, facts.trial_age_s, facts.current) == ("1.1", 60.0, "1.0")
    assert troubles(facts) == ()


def test_without_a_package_nothing_of_releases_is_shown() -> None:
    assert standing(None, 0) is None


def test_a_release_tries_itself_and_leaves_the_shop_as_it_was(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        '[shop]\nname = "x"\n[ledger]\ndirectory = "."\n[[terminal]]\nid = "1"\nmode = "local"\n'
    )
    Ledger(tmp_path, lambda: 1).close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.suffix in (".db", ".toml")}
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "vafa.app.selftest", "--config", config],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert "0 rows, schema" in ran.stdout
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name in before} == before
    assert not list(tmp_path.glob(".trial*"))


def test_a_fault_of_the_settings_ends_the_self_test_and_says_where(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[shop]\nnmae = 1\n")
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "vafa.app.selftest", "--config", config],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 1
    last = json.loads(ran.stdout.splitlines()[-1])
    assert (last["name"], last["ok"], last["code"]) == ("settings", False, "CFG-001")
    assert "nmae" in ran.stderr


def test_an_older_ledger_is_migrated_as_a_copy_and_stays_what_it_was(tmp_path: Path) -> None:
    import sqlite3

    from sqlite_utils import Database

    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    migrations.apply(Database(connection), stop_before="m006_claims")
    connection.close()
    copied = tmp_path / "copy.db"
    assert selftest.stored_schema(path) == 5
    assert selftest.migrated_copy(path, copied) == 0
    assert (selftest.stored_schema(path), selftest.stored_schema(copied)) == (5, SCHEMA_VERSION)
