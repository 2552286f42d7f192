"""The program `releases`, cut off before each of its steps: what is there starts, the next boot finishes it.

The program is the real one, in a root of its own; systemctl and its like are stand-ins (the real ones:
tests/system/on_systemd.py). Each changing command counts itself, and the n-th kills the whole process group.
"""

import subprocess
from pathlib import Path

import pytest

KEEPER = Path(__file__).parents[2] / "scripts/package/releases"
COUNTED = ("mv", "ln", "rm", "rmdir", "mkdir", "systemd-sysusers", "systemd-tmpfiles")
IDLE = ("sleep", "sync")
STEPS_MAX = 80
COUNTING = """#!/bin/sh
n=$(($(/bin/cat "$STAGE/steps" 2>/dev/null || echo 0) + 1)); echo $n >"$STAGE/steps"
[ "$n" != "${CUT_AT:-0}" ] || kill -9 0
case $0 in */systemd-*) exit 0 ;; esac
exec "/bin/${0##*/}" "$@"
"""
# A release is good when its own program says so; systemd's word on it follows from that.
SYSTEMCTL = """#!/bin/sh
echo "$*" >>"$STAGE/asked"
case "$*" in
reset-failed*) touch "$STAGE/reset" ;;
*=ActiveState*)
    if "$VAFA_ROOT/opt/vafa/current/bin/vafa"; then echo active
    elif [ -e "$STAGE/reset" ]; then echo inactive; else echo failed; fi ;;
*=MainPID* | *=NRestarts*) echo 0 ;;
esac
"""


class Device:
    """Releases 1.0 (in use), 0.9 (kept) and 1.1, and the commands that the keeper finds on its PATH."""

    def __init__(self, directory: Path, *, good: bool) -> None:
        self.root, self.stage = directory / "device", directory / "stage"
        self.opt = self.root / "opt/vafa"
        for name in ("etc/systemd/system", "lib/systemd/system", "usr/lib/sysusers.d", "run/systemd/system"):
            (self.root / name).mkdir(parents=True)
        for version, starts in (("0.9", True), ("1.0", True), ("1.1", good)):
            release = self.opt / "releases" / version
            (release / "systemd").mkdir(parents=True)
            (release / "bin").mkdir()
            self.program(release / "bin/vafa", "#!/bin/sh\nexit " + ("0" if starts else "1") + "\n")
            (release / "release.json").write_text(f'{{\n  "version": "{version}"\n}}\n')
            (release / "systemd/vafa.service").write_text(f"# of {version}\n")
        (self.opt / "current").symlink_to("releases/1.0")
        (self.opt / "previous").symlink_to("releases/0.9")
        (self.root / "lib/systemd/system/vafa.service").write_text("# of 1.0\n")
        self.stage.mkdir()
        for name in COUNTED:
            self.program(self.stage / name, COUNTING)
        self.program(self.stage / "systemctl", SYSTEMCTL)
        for name in IDLE:
            self.program(self.stage / name, "#!/bin/sh\n")

    def program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def run(self, *words: str, cut_at: int = 0) -> int:
        (self.stage / "steps").unlink(missing_ok=True)
        environment = {
            "PATH": f"{self.stage}:/usr/bin:/bin", "VAFA_ROOT": str(self.root), "STAGE": str(self.stage),
            "CUT_AT": str(cut_at), "VAFA_TICK_S": "100",
        }  # fmt: skip
        ran = subprocess.run(
            [KEEPER, *words], env=environment, capture_output=True, start_new_session=True, check=False
        )
        return ran.returncode

    def ask(self, to: str = "1.1") -> None:
        (self.opt / "unconfirmed").write_text(
            f"to={to}\nfrom=1.0\nbefore=0.9\nconfirm_after_s=300\nsince=0\nboots=0\n"
        )

    def link(self, name: str) -> str:
        return str((self.opt / name).readlink()).removeprefix("releases/")

    def starts(self) -> bool:
        """A device that boots now has a whole release to start."""
        return (self.opt / "current" / "release.json").exists()

    def trial_file(self) -> Path:
        return self.root / "etc/systemd/system/vafa.service.d/unconfirmed.conf"

    def unit_of(self) -> str:
        return (self.root / "lib/systemd/system/vafa.service").read_text()


def is_confirmed(device: Device) -> bool:
    return (
        (device.link("current"), device.link("previous")) == ("1.1", "1.0")
        and not (device.opt / "unconfirmed").exists()
        and not device.trial_file().exists()
        and device.unit_of() == "# of 1.1\n"
    )


def is_back(device: Device) -> bool:
    return (
        (device.link("current"), device.link("previous")) == ("1.0", "0.9")
        and not (device.opt / "unconfirmed").exists()
        and not device.trial_file().exists()
        and "to=1.1\n" in (device.opt / "rolled-back").read_text()
        and device.unit_of() == "# of 1.0\n"
    )


def cut_everywhere(directory: Path, *, good: bool) -> int:
    """At each step: cut, look whether it boots, let the next boot finish, compare. The number of steps."""
    for step in range(1, STEPS_MAX):
        device = Device(directory / str(step), good=good)
        device.ask()
        was_cut = device.run("apply", cut_at=step) == -9
        assert device.starts(), f"cut before step {step}"
        if was_cut:
            assert device.run("apply") == 0, f"cut before step {step}"
        assert is_confirmed(device) if good else is_back(device), f"cut before step {step}"
        if not was_cut:
            return step
    raise AssertionError(f"more than {STEPS_MAX} steps")


def test_an_update_cut_at_any_step_is_finished_by_the_next_boot(tmp_path: Path) -> None:
    assert cut_everywhere(tmp_path, good=True) > 15


def test_a_bad_update_cut_at_any_step_ends_with_the_release_before(tmp_path: Path) -> None:
    assert cut_everywhere(tmp_path, good=False) > 20


def test_two_releases_are_kept_when_one_is_confirmed_and_the_third_goes(tmp_path: Path) -> None:
    device = Device(tmp_path, good=True)
    device.ask()
    assert device.run("apply") == 0
    assert sorted(path.name for path in (device.opt / "releases").iterdir()) == ["1.0", "1.1"]


def test_a_release_that_is_started_again_and_again_without_being_confirmed_goes_back(tmp_path: Path) -> None:
    device = Device(tmp_path, good=True)
    device.ask()
    text = (device.opt / "unconfirmed").read_text().replace("boots=0", "boots=5")
    (device.opt / "unconfirmed").write_text(text)
    assert device.run("apply") == 0
    assert is_back(device)
    assert "why=the device started 6 times" in (device.opt / "rolled-back").read_text()


def test_a_release_that_is_not_there_is_not_switched_to(tmp_path: Path) -> None:
    device = Device(tmp_path, good=True)
    device.ask("9.9")
    assert device.run("apply") != 0
    assert device.link("current") == "1.0"
    assert not (device.opt / "unconfirmed").exists()


def test_the_unit_that_failed_is_started_again_with_the_release_before(tmp_path: Path) -> None:
    device = Device(tmp_path, good=False)
    device.ask()
    for name, version in (("previous", "1.0"), ("current", "1.1")):
        (device.opt / name).unlink()
        (device.opt / name).symlink_to(f"releases/{version}")
    # As systemd has it: failed until it is reset, inactive from then on; what somebody stopped is left alone.
    (device.opt / "releases/1.0/bin/vafa").write_text("#!/bin/sh\nexit 1\n")
    assert device.run("rollback", "it did not start") == 0
    assert is_back(device)
    assert "--no-block restart vafa.service" in (device.stage / "asked").read_text()


def test_without_a_trial_a_failed_unit_is_started_again_and_stays_free_of_limits(tmp_path: Path) -> None:
    device = Device(tmp_path, good=True)
    device.trial_file().parent.mkdir()
    device.trial_file().write_text("[Unit]\n")  # a power cut between the confirmation's two steps
    assert device.run("rollback", "it did not start") == 0
    assert device.link("current") == "1.0"
    assert not device.trial_file().exists()
    assert "--no-block start vafa.service" in (device.stage / "asked").read_text()


@pytest.mark.parametrize("step", range(1, 12))
def test_going_back_by_hand_is_finished_too(tmp_path: Path, step: int) -> None:
    device = Device(tmp_path, good=True)
    device.ask()
    for name, version in (("previous", "1.0"), ("current", "1.1")):
        (device.opt / name).unlink()
        (device.opt / name).symlink_to(f"releases/{version}")
    (device.root / "lib/systemd/system/vafa.service").write_text("# of 1.1\n")
    was_cut = device.run("rollback", "asked for by hand", cut_at=step) == -9
    assert device.starts()
    decided = not (device.opt / "unconfirmed").exists()
    assert device.run("apply") == 0 if was_cut else True
    assert is_back(device) if decided or not was_cut else is_confirmed(device)
