"""asyncio kept out, each time in a process of its own: it is about what a process has loaded."""

import subprocess
import sys
from pathlib import Path

_KEPT_OUT = """
import sys
from vafa.app.without_asyncio import asyncio_kept_out
with asyncio_kept_out():
    import structlog, apscheduler.util
"""


def _said(program: str) -> str:
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return ran.stdout.strip()


def test_the_daemon_loads_neither_asyncio_nor_ssl_nor_click() -> None:
    program = """
import vafa.cli.main, vafa.cli.serve, vafa.app.config, vafa.app.logs, vafa.app.daemon, vafa.app.jobs
unwanted = {"asyncio", "ssl", "click", "httpx", "sqlite_utils", "cryptography"}
print(sorted(unwanted & set(sys.modules)))
"""
    assert _said(_KEPT_OUT + program) == "[]"


def test_a_first_start_and_a_new_member_load_neither_sqlite_utils_nor_the_cipher(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from vafa.app.aside import SealerAside, migrate_aside
from vafa.app.ledger_start import open_epoch
from vafa.app.members import Members
from vafa.keys.device_key import DeviceKey
from vafa.keys.seal import wrapping_key
from vafa.keys.tokens import Tokens
from vafa.ledger.ledger import Ledger
key = DeviceKey(b"k" * 32)
tokens = Tokens(key)
ledger = Ledger(Path({str(tmp_path)!r}), lambda: 1_767_000_000_000, migrate_aside)
open_epoch(ledger, tokens.key_id)
members = Members(ledger, tokens, SealerAside(wrapping_key(key)))
members.add("09121236789", "Sara", "test")
print([(each.phone, each.name) for each in members.find("6789")])
print(sorted({{"click", "sqlite_utils", "cryptography"}} & set(sys.modules)))
"""
    assert _said(_KEPT_OUT + program) == "[('0912•••6789', 'Sara')]\n[]"


def test_who_imports_asyncio_later_gets_the_real_one() -> None:
    program = """
import asyncio.subprocess
async def answer(): return 42
print(asyncio.run(answer()), asyncio.subprocess.PIPE)
"""
    assert _said(_KEPT_OUT + program) == "42 -1"


def test_who_was_given_the_stand_in_and_uses_it_gets_the_real_one() -> None:
    program = """
import structlog.stdlib
print("asyncio" in sys.modules, structlog.stdlib.asyncio.Event.__module__, "asyncio" in sys.modules)
"""
    assert _said(_KEPT_OUT + program) == "False asyncio.locks True"


def test_an_asyncio_that_is_loaded_already_stays() -> None:
    program = "import asyncio\nrun = asyncio.run" + _KEPT_OUT + "print(sys.modules['asyncio'].run is run)"
    assert _said(program) == "True"
