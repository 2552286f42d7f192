"""The Debian package: made once, looked into, and its release run by Debian's own Python."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vafa import __version__
from vafa.app.config import load
from vafa.ledger.schema import READABLE_SINCE, SCHEMA_VERSION

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "scripts/package/wheels.txt").read_text()
PYPROJECT = (ROOT / "pyproject.toml").read_text()
DEBIAN_S_PYTHON = Path("/usr/bin/python3.11")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this machine's architecture."""
    out = tmp_path_factory.mktemp("package")
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts/package/build.py", "--out", out],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return Path(ran.stdout.strip())


def said(*words: object) -> str:
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True).stdout


def test_every_dependency_is_locked_with_a_digest_for_each_architecture() -> None:
    named = {
        name.lower()
        for name in re.findall(
            r'^    "([\w-]+)[><=\[]', PYPROJECT.split("[project.optional")[0], re.MULTILINE
        )
    }
    locked = dict(re.findall(r"^([\w.-]+)==\S+ \\\n((?:    --hash\S+(?: \\)?\n)+)", LOCK, re.MULTILINE))
    assert named
    assert named <= locked.keys()
    compiled = ("cffi", "cryptography", "msgspec", "pillow", "zstandard")
    assert {name for name, digests in locked.items() if digests.count("sha256:") == 2} == set(compiled)


def test_the_settings_that_are_shipped_are_good_and_are_the_administrator_s_own(package: Path) -> None:
    assert len(load(ROOT / "scripts/package/config.toml").terminal) == 1
    assert said("dpkg-deb", "--info", package, "conffiles").strip() == "/etc/vafa/config.toml"


def test_it_depends_on_what_a_device_needs(package: Path) -> None:
    depends = said("dpkg-deb", "--field", package, "Depends")
    for needed in ("python3 (>= 3.11)", "python3 (<< 3.12)", "libfribidi0", "systemd (>= "):
        assert needed in depends
    assert said("dpkg-deb", "--field", package, "Version").strip() == __version__


def test_units_and_accounts_lie_where_systemd_looks(package: Path) -> None:
    listed = said("dpkg-deb", "--contents", package)
    names = {line.split()[5].removeprefix(".") for line in listed.splitlines()}
    for unit in ("vafa", "vafa-relay", "vafa-update", "vafa-rollback"):
        assert f"/lib/systemd/system/{unit}.service" in names
    assert {
        "/usr/lib/sysusers.d/vafa.conf",
        "/usr/lib/tmpfiles.d/vafa.conf",
        "/usr/lib/vafa/releases",
    } <= names
    assert "./usr/bin/vafa -> /opt/vafa/current/bin/vafa" in listed
    assert (
        "./lib/systemd/system/multi-user.target.wants/vafa-update.service -> ../vafa-update.service" in listed
    )
    assert not [name for name in names if "vafa-hub" in name]
    assert not re.search(r"^(?!\S{10} root/root).", listed, re.MULTILINE)


def test_the_release_inside_runs_by_debian_s_python_and_passes_its_self_test(
    package: Path, tmp_path: Path
) -> None:
    subprocess.run(["dpkg-deb", "--extract", package, tmp_path], check=True)
    release = tmp_path / "opt/vafa/package"
    about = json.loads((release / "release.json").read_text())
    assert (about["version"], about["ledger_writes"]) == (__version__, SCHEMA_VERSION)
    assert about["ledger_readable_since"] == READABLE_SINCE
    start = (release / "bin/vafa").read_text().splitlines()[0]
    assert start == f"#!/opt/vafa/releases/{__version__}/bin/python -P"
    files = [path for path in release.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if str(ROOT).encode() in path.read_bytes()]
    if not DEBIAN_S_PYTHON.exists():
        assert os.environ.get("CI") != "true", f"{DEBIAN_S_PYTHON} is missing"
        pytest.skip(f"{DEBIAN_S_PYTHON} is missing: nothing to run it with")
    config = tmp_path / "config.toml"
    config.write_text((ROOT / "scripts/package/config.toml").read_text() + '[ledger]\ndirectory = "state"\n')
    ran = subprocess.run(
        [release / "bin/python", "-P", "-m", "vafa.app.selftest", "--config", config],
        env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    looks = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [look["name"] for look in looks if look["ok"]] == [
        "modules", "settings", "way back", "ledger", "award", "paper",
    ], ran.stdout + ran.stderr  # fmt: skip


def test_the_maintainer_s_scripts_are_sound_and_short() -> None:
    for name in ("postinst", "prerm", "postrm", "releases"):
        script = ROOT / "scripts/package" / name
        subprocess.run(["sh", "-n", script], check=True)
        assert os.access(script, os.X_OK)
        if name != "releases":
            assert len(script.read_text().splitlines()) <= 30
