"""What a process has loaded, each time in one of its own."""

import os
import subprocess
import sys
from pathlib import Path

_ZONES = """
from zoneinfo import TZPATH, ZoneInfo
print(TZPATH, ZoneInfo("Asia/Tehran"), "PYTHONTZPATH" in os.environ)
"""


def _said(program: str, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    command = [sys.executable, "-c", f"import os, sys\n{program}"]
    ran = subprocess.run(
        command, capture_output=True, check=True, text=True, env={**inherited, **environment}
    )
    assert ran.stderr == ""
    return ran.stdout.strip()


def test_the_zones_lie_where_python_itself_looks_for_them() -> None:
    assert _said("from vafa.cli.lean import load_zoneinfo\nload_zoneinfo()" + _ZONES) == _said(_ZONES)


def test_where_somebody_says_the_zones_lie_holds() -> None:
    said = _said(
        "from vafa.cli.lean import load_zoneinfo\nload_zoneinfo()\nimport zoneinfo\nprint(zoneinfo.TZPATH)",
        PYTHONTZPATH="/srv/zones",
    )
    assert said == "('/srv/zones',)"


def test_neither_the_daemon_nor_a_verb_that_shows_times_loads_how_python_was_built() -> None:
    program = """
from pathlib import Path
from vafa.cli import asking, serve
from vafa.model.errors import ConfigError
for work in (serve.serve, asking.shop_zone):
    try:
        work(Path("/nonexistent"))
    except ConfigError:
        pass
import vafa.app.daemon
print([name for name in sys.modules if name.startswith("_sysconfigdata")], "zoneinfo" in sys.modules)
"""
    assert _said(program) == "[] True"


def test_how_things_stand_is_asked_without_the_types_of_all_other_questions(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[control]\nsocket = "s"\n')
    program = f"""
import socket, threading
from pathlib import Path
from vafa.cli import status
from vafa.model.errors import VafaError
heard = []
def answer(daemon):
    with daemon.accept()[0] as line:
        heard.append(line.recv(100))
        line.sendall(b'{{"is":"failure","code":"LED-001","message":"the disk"}}' + bytes([10]))
os.chdir({str(tmp_path)!r})  # a socket's path is short
with socket.socket(socket.AF_UNIX) as daemon:
    daemon.bind("s")
    daemon.listen()
    thread = threading.Thread(target=answer, args=(daemon,))
    thread.start()
    try:
        status.standing(Path("config.toml"))
    except VafaError as error:
        print(error, heard)
    thread.join()
print([name for name in ("vafa.app.questions", "vafa.app.messages", "sqlite3") if name in sys.modules])
"""
    assert _said(program) == 'the disk [b\'{"do":"status"}\\n\']\n[]'
