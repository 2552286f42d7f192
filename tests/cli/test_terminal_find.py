"""`vafa terminal find` and the doctor's discovery, on the loopback of a network of their own.

Terminals announce themselves on fixed ports; in a network namespace nobody else is there.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from namespaces import namespaces

CONFIG = """
[shop]
name = "x"
[ledger]
directory = "state"
[control]
socket = "c.sock"
[[terminal]]
id = "40217736"
address = "tcp:127.0.0.1:{port}"
"""
VAFA = [sys.executable, "-m", "vafa.cli.main"]
ALONE = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
# A simulator as a process, then the command under test, then the simulator's end: all in one namespace.
TRY = """
import subprocess, sys
vafa = [sys.executable, "-m", "vafa.cli.main"]
simulate = [*vafa, "simulate", "sadad", "--tcp", "127.0.0.1:8888", "--json", *sys.argv[1].split()]
with subprocess.Popen(simulate, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as terminal:
    terminal.stdout.readline()
    ran = subprocess.run([*vafa, *sys.argv[2:]])
    terminal.stdin.close()
sys.exit(ran.returncode)
"""

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode != 0,
    reason="a network namespace needs root",
)


def ran(simulator: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ALONE, sys.executable, "-c", TRY, simulator, *args], capture_output=True, text=True, check=False
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(CONFIG.format(port=8888))
    return path


def test_a_terminal_that_announces_itself_is_found_with_its_lines_for_the_configuration(
    config: Path,
) -> None:
    found = ran("--tid 50000001", "terminal", "find", "--seconds", "1.5", "--config", str(config))
    assert found.returncode == 0, found.stderr
    assert (
        found.stdout
        == """\
50000001  127.0.0.1:8888  کافه نمونه
  not in config.toml; to serve it:
    [[terminal]]
    id = "50000001"
    protocol = "sadad"
    address = "tcp:127.0.0.1:8888"
"""
    )


def test_a_terminal_s_broadcast_is_heard_across_a_cable(config: Path) -> None:
    with namespaces("shop", "terminal") as (shop, terminal):
        shop.link_to(terminal, "lan0", "eth0", "198.51.100.1/24", "198.51.100.2/24")
        simulate = ["simulate", "sadad", "--tcp", "198.51.100.2:8888", "--tid", "50000001", "--json"]
        with subprocess.Popen(
            ["ip", "netns", "exec", terminal.name, *VAFA, *simulate],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            assert process.stdin is not None
            process.stdout.readline()
            find = ["terminal", "find", "--seconds", "2.5", "--config", str(config)]
            found = subprocess.run(
                ["ip", "netns", "exec", shop.name, *VAFA, *find], capture_output=True, text=True, check=False
            )
            process.stdin.close()
    assert found.returncode == 0, found.stderr
    assert 'address = "tcp:198.51.100.2:8888"' in found.stdout
    assert "sent from" not in found.stdout


def test_as_json_it_says_how_it_fits_the_configuration(config: Path) -> None:
    found = json.loads(
        ran("", "terminal", "find", "--seconds", "1.5", "--json", "--config", str(config)).stdout
    )
    (terminal,) = found["terminals"]
    assert (terminal["terminal_id"], terminal["configured"]) == ("40217736", "same")
    assert found["garbage"] == 0
    assert found["ports"] == [100, 8010]


def test_where_nobody_announces_it_says_what_to_look_at(config: Path) -> None:
    found = ran("--no-announce", "terminal", "find", "--seconds", "0.3", "--config", str(config))
    assert found.returncode == 1
    assert "no terminal announced itself in 0.3 s on UDP port 100 and 8010" in found.stdout


def test_the_doctor_warns_of_a_terminal_at_another_address(config: Path) -> None:
    config.write_text(CONFIG.format(port=9999))
    looked = ran("", "doctor", "--only", "discovery", "--config", str(config))
    assert looked.returncode == 10
    assert "40217736 announces itself at 127.0.0.1:8888" in looked.stdout
    assert "[TRM-022]" in looked.stdout


def test_the_doctor_is_content_with_one_at_its_address(config: Path) -> None:
    looked = ran("", "doctor", "--only", "discovery", "--config", str(config))
    assert looked.returncode == 0
    assert " ok    discovery   1 terminal heard in 2.5 s" in looked.stdout
