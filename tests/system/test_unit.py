"""The unit, its accounts and directories, the code's defaults, README and docs name the same things.

Whether systemd itself likes the unit is asked by scripts/test (systemd-analyze); here is what it cannot know.
"""

import re
from pathlib import Path

import pytest

from vafa.app.config import KEY_CREDENTIAL, Control, Ledger, Local, Terminal
from vafa.cli.main import CONFIG, EXIT_USAGE
from vafa.ports.line_server import Limits
from vafa.sync.enrolment import SYNC_CREDENTIAL

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PACKAGE = (ROOT / "scripts/package/nfpm.yaml").read_text()
PROGRAM = "/opt/vafa/current/bin/vafa"
OPERATIONS = (ROOT / "docs/operations.md").read_text()
SYSTEMD = ROOT / "systemd"
SOCKETS = 2  # the local protocol's and the command line's
OTHER_THREADS = (
    25  # main, jobs, late acknowledgements, two for each of some ten terminals, the one that seals
)


def settings(text: str) -> dict[str, list[str]]:
    """A unit's lines by name; a name may stand several times."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def lines(name: str) -> list[list[str]]:
    """The words of each line of sysusers or tmpfiles, comments left out."""
    text = (SYSTEMD / name).read_text().splitlines()
    return [line.split() for line in text if line and not line.startswith("#")]


UNIT = settings((SYSTEMD / "vafa.service").read_text())
MADE = lines("vafa.sysusers")
KEPT = {words[1]: words[2:5] for words in lines("vafa.tmpfiles")}


def one(name: str) -> str:
    (value,) = UNIT[name]
    return value


def documented(path: str) -> str:
    """Owner and mode of a path, as the table of files has them."""
    row = re.search(rf"^\| `{re.escape(path)}` \|.*\| ([^|]+) \|$", OPERATIONS, re.MULTILINE)
    assert row, f"docs/operations.md does not say who owns {path}"
    return row.group(1)


def packed() -> dict[str, str]:
    """Where the package puts each file of the tree."""
    return dict(re.findall(r"^  - \{src: ([\w./-]+), dst: ([^,}]+)", PACKAGE, re.MULTILINE))


def test_the_unit_starts_what_the_package_installs() -> None:
    program, verb, option, config = one("ExecStart").split()
    assert (program, verb, option) == (PROGRAM, "run", "--config")
    assert packed()[PROGRAM] == "/usr/bin/vafa"
    assert packed()["scripts/package/config.toml"] == config == CONFIG
    assert f"sudo editor {CONFIG}" in README


@pytest.mark.parametrize("file", sorted(SYSTEMD.iterdir()), ids=lambda file: file.name)
def test_each_file_is_installed_where_it_says(file: Path) -> None:
    by_hand = dict(re.findall(r"^install -m 644 (systemd/\S+) (\S+)$", README, re.MULTILINE))
    target = (packed() | by_hand)[f"systemd/{file.name}"]
    said = re.findall(r"installed as (\S+?)[,;.]?(?:\s|$)", file.read_text())
    assert said in ([], [target])
    folders = ("/lib/systemd/system", "/etc/systemd/system")
    assert target in [f"{folder}/{file.name}" for folder in folders] or said


def test_the_unit_makes_the_directories_that_the_defaults_name() -> None:
    assert Ledger().directory == f"/var/lib/{one('StateDirectory')}"
    for socket in (Local().socket, Control().socket):
        assert socket.startswith(f"/run/{one('RuntimeDirectory')}/")
        assert documented(socket).endswith(" 0660")
    assert documented(f"{Ledger().directory}/").endswith(one("StateDirectoryMode"))
    assert documented(f"/run/{one('RuntimeDirectory')}/").endswith(one("RuntimeDirectoryMode"))


def test_settings_and_keys_have_the_modes_that_are_documented() -> None:
    mode, user, group = KEPT[CONFIG]
    assert documented(CONFIG) == f"{user}:{group} {mode}"
    assert f"dst: {CONFIG}, type: config, file_info: {{mode: {mode}}}" in PACKAGE
    assert UNIT["LoadCredential"] == [KEY_CREDENTIAL, SYNC_CREDENTIAL]
    for name in UNIT["LoadCredential"]:
        assert documented(f"/etc/credstore/{name}") == "root 0600"
    assert KEPT["/etc/credstore"] == ["0700", "root", "root"]


def test_every_account_is_made_and_every_group_is_the_service_s() -> None:
    user, groups = one("User"), {one("Group"), *one("SupplementaryGroups").split()}
    made = {words[1] for words in MADE if words[0] == "g"}
    joined = {words[2] for words in MADE if words[:2] == ["m", user]}
    assert ["u", user, f"-:{one('Group')}"] in [words[:3] for words in MADE]
    assert any(words[:2] == ["u", user] and Ledger().directory in words for words in MADE)
    assert groups - {one("Group")} == joined
    assert groups - made == {"dialout", "lp"}  # Debian's own
    for page in (README, OPERATIONS):
        assert set(re.findall(r"\bgroups? (?:= )?[`\"](vafa[\w-]*)[`\"]", page)) <= made
    assert 'group = "vafa-pos"' in README


def test_the_unit_has_room_for_what_the_code_may_need() -> None:
    assert int(one("TasksMax")) >= SOCKETS * Limits().connections + OTHER_THREADS
    assert int(one("TimeoutStopSec")) > Terminal(id="x").answer_timeout_s
    assert int(one("RestartPreventExitStatus")) == EXIT_USAGE


def test_a_daemon_that_the_kernel_killed_for_its_memory_is_started_again_however_often() -> None:
    assert (one("Restart"), one("StartLimitIntervalSec")) == ("always", "0")
    assert "OOMPolicy" not in UNIT, "the daemon goes with whatever of it was killed, and begins anew"


def test_the_unit_lets_the_link_watch_hear_the_kernel_and_the_daemon_reach_the_hub() -> None:
    assert set(one("RestrictAddressFamilies").split()) == {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"}
