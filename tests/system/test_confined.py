"""What the daemon starts processes for works within its unit's confinement."""

import ctypes.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFINED = Path(__file__).with_name("confined.py")
PROGRAM = """
import os, pathlib, sys, tempfile
from vafa.app.aside import SealerAside, migrate_aside
from vafa.app.printers import set_aside
from vafa.keys.seal import Person
from vafa.ledger.ledger import Ledger
from vafa.receipt.page import page
from vafa.receipt.slip import sample
try:
    os.sched_setaffinity(0, {0})
except PermissionError:
    print("confined")
with tempfile.TemporaryDirectory() as directory:
    Ledger(pathlib.Path(directory), lambda: 1, migrate_aside).close()
    print("a ledger was made")
there = SealerAside(b"w" * 32)
sealed = there.sealed(b"member", Person("+989121236789", "Sara"))
print([person.name for person in there.opened([(b"member", sealed)])])
print(len(set_aside(page(sample(0), "fa"), "escpos-58").pieces) > 3, "a slip was set")
from vafa.app.sync_process import goes_last
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey, is_signed
from vafa.sync.tls import context
key = SigningKey(DeviceKey(b"k" * 32))
context("", trusts_clock=False)
print("a sync can be signed", goes_last(), is_signed(key.public, key.sign(b"x"), b"x"))
from vafa.sync.link_watch import LinkWatch
from vafa.sync.links import Metering
from vafa.sync.network_manager import told
watch = LinkWatch(lambda: None, 0.0, Metering(), told)
watch.step(0.0)
watch.nudge()
watch.wait(1.0)
print("links are watched:", "lo" in [link.name for link in watch.links().links])
watch.close()
"""


def test_ledger_phone_slip_and_sync_are_made_under_the_unit_s_system_call_filter() -> None:
    if shutil.which("systemd-analyze") is None or ctypes.util.find_library("seccomp") is None:
        assert os.environ.get("CI") != "true", "systemd-analyze or libseccomp is missing"
        pytest.skip("systemd-analyze or libseccomp is missing: nothing to confine with")
    ran = subprocess.run(
        [sys.executable, str(CONFINED), PROGRAM], capture_output=True, text=True, check=False
    )
    assert ran.stdout.splitlines() == [
        "confined",
        "a ledger was made",
        "['Sara']",
        "True a slip was set",
        "a sync can be signed True True",
        "links are watched: True",
    ], ran.stderr
