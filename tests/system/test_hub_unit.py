"""The hub's unit, its account, the code's defaults and docs/hub.md name the same things; and it is enough."""

import ctypes.util
import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from system.test_unit import ROOT, SYSTEMD, lines, settings

from vafa.cli import hub, hub_run
from vafa.cli.main import EXIT_USAGE
from vafa.hub import embedded, serving
from vafa.hub.embedded import ACCOUNTS
from vafa.hub.hub_key import CREDENTIAL
from vafa.hub.installation import STATE

HUB = settings((SYSTEMD / "vafa-hub.service").read_text())
PAGE = (ROOT / "docs/hub.md").read_text()
CONFINED = Path(__file__).with_name("confined.py")
PROGRAM = """
import os, pathlib, tempfile
try:
    os.sched_setaffinity(0, {0})
except PermissionError:
    print("confined")
from vafa.hub import backup, codes, merchants
from vafa.hub.hub_key import HubKey
from vafa.hub.installation import opened
with tempfile.TemporaryDirectory(prefix="vafa-hub-") as folder:
    state = pathlib.Path(folder)
    HubKey(state / "hub.key")
    with opened("", state) as database:
        with database.transaction() as connection:
            merchant = merchants.add(connection, "x", 1).merchant
            codes.make(connection, merchant, "", 1, 1)
        backup.dump(database, state / "hub.dump")
print("database started, used, dumped and stopped")
"""


def one(name: str) -> str:
    (value,) = HUB[name]
    return value


def test_the_unit_starts_the_hub_with_the_folder_and_key_the_code_knows() -> None:
    (venv,) = re.findall(r"^python3 -m venv (\S+)$", PAGE, re.MULTILINE)
    assert one("ExecStart") == f"{venv}/bin/vafa hub run"
    assert f"VAFA_HUB_STATE={STATE}" in HUB["Environment"]
    assert f"/var/lib/{one('StateDirectory')}" == str(STATE)
    assert one("LoadCredential") == CREDENTIAL
    assert one("RestartPreventExitStatus") == str(EXIT_USAGE)


def test_the_account_is_made_and_is_the_one_that_runs_the_database() -> None:
    (made,) = lines("vafa-hub.sysusers")
    assert made[:2] == ["u", one("User")]
    assert one("User") == one("Group") == ACCOUNTS[0]
    assert str(STATE) in made


def test_there_is_time_to_end_in_order() -> None:
    assert int(one("TimeoutStopSec")) > serving.STOP_S + embedded.STOP_S
    assert int(one("TasksMax")) > serving.REQUESTS_AT_ONCE_MAX


def test_every_variable_of_the_page_is_one_the_verb_reads() -> None:
    read = {option.envvar for option in hub_run.command.params if getattr(option, "envvar", None)}
    assert set(re.findall(r"`(VAFA_HUB_\w+)`", PAGE)) == read
    assert f"{hub_run.LISTEN}" in PAGE


def test_every_part_the_page_names_exists() -> None:
    named = set(re.findall(r"vafa hub (\w+)", PAGE))
    assert named == hub.PARTS.keys()


def _may_start(account: pwd.struct_passwd) -> bool:
    """Can this account run this Python? As root it may lie where nobody else may look."""
    try:
        tried = subprocess.run(
            [sys.executable, "-c", "import vafa.hub, psycopg"],
            user=account.pw_uid, cwd="/", env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True, check=False,
        )  # fmt: skip
    except OSError:
        return False
    return tried.returncode == 0


def test_the_embedded_database_works_within_the_unit_s_confinement() -> None:
    if not (shutil.which("systemd-analyze") and ctypes.util.find_library("seccomp")):
        pytest.skip("needs systemd-analyze and libseccomp")
    nobody = pwd.getpwnam("nobody")
    if os.geteuid() == 0 and not _may_start(nobody):
        pytest.skip("no other account may run this Python")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "HOME": "/", "TMPDIR": "/tmp"}  # noqa: S108
    done = subprocess.run(
        [sys.executable, str(CONFINED), PROGRAM, "vafa-hub.service"],
        user=nobody.pw_uid if os.geteuid() == 0 else None, extra_groups=[] if os.geteuid() == 0 else None,
        cwd="/", env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["confined", "database started, used, dumped and stopped"], done.stderr
