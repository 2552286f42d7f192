"""Changing the release of an installed device: asked for here, done by `releases` under systemd.

Whoever asks may be cut off at any moment (a closed terminal, a pulled plug): what was asked for stands in one
file, and the program that does it is started again at the next boot.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from vafa.app import releases
from vafa.app.config_update import Update
from vafa.app.releases import ROLLED_BACK, UNCONFIRMED, Releases, Trial, UpdateError, checked_way_back
from vafa.app.standing import ReleaseFacts, Status
from vafa.ledger.storage import flush
from vafa.ports import machine

KEEPER = Path("/usr/lib/vafa/releases")
UNIT = "vafa-update.service"
LOOK_EVERY_S = 0.5
TAKEN_WITHIN_S = 560.0  # the payment in hand may take 200 s, a large ledger's migration 300
ILL = ("LED-001", "LED-003", "LED-004", "LED-007")  # the ledger does not do its part

Said = Callable[[str], None]


def here() -> Releases:
    """This device's releases. UpdateError where Vafa was not installed as a package."""
    found = releases.own()
    if found is None:
        raise UpdateError(
            "this vafa was not installed as a package: it has no releases",
            fix="sudo apt install ./vafa_VERSION_ARCH.deb (docs/installing.md)",
            code="UPD-009",
        )
    return found


def facts() -> ReleaseFacts:
    """What `vafa update status` tells."""
    found = releases.standing(here(), time.time_ns() // 1_000_000_000)
    assert found is not None
    return found


def illness(status: Status) -> None:
    """UpdateError unless the daemon is this release's and its ledger works.

    A terminal that is off, or a network that is away, is no fault of a release.
    """
    if status.version != releases.vafa_version():
        raise UpdateError(f"the daemon runs {status.version}")
    for trouble in status.trouble:
        if trouble.code in ILL:
            raise UpdateError(trouble.message, code=trouble.code)


def go_back(settings: Update, say: Said) -> ReleaseFacts:
    """The release before, by hand: at once while one is on trial, else as a trial of its own."""
    there = here()
    _as_root()
    trial = there.trial()
    if trial is not None:
        say(f"rolling {trial.to} back to {trial.origin} ...")
        subprocess.run([KEEPER, "rollback", "asked for by hand"], check=True, stdout=subprocess.DEVNULL)
        return facts()
    current, previous = there.link("current"), there.link("previous")
    if not previous or not there.path(previous).exists():
        raise UpdateError("there is no release to go back to", fix="vafa update status", code="UPD-012")
    checked_way_back(there, previous)
    ask_for(there, Trial(previous, current, "", settings.confirm_after_min * 60, _now_s()))
    return taken(there, previous, say)


def update(file: Path, settings: Update, config_path: Path, say: Said) -> ReleaseFacts:
    """Take the release in `file`. UpdateError says why not, or that it was rolled back."""
    there = here()
    _as_root()
    if trial := there.trial():
        raise UpdateError(
            f"release {trial.to} is on trial", fix="wait some minutes, or: sudo vafa update rollback",
            code="UPD-010",
        )  # fmt: skip
    from vafa.app.new_release import prepared

    version = prepared(there, file, settings.keys, config_path.absolute(), say)
    current, previous = there.link("current"), there.link("previous")
    ask_for(there, Trial(version, current, previous, settings.confirm_after_min * 60, _now_s()))
    return taken(there, version, say)


def put_note_away() -> str:
    """The roll-back that is put away. UpdateError when there is none."""
    there = here()
    _as_root()
    failed = there.trial(ROLLED_BACK)
    if failed is None or failed.to == there.link("current"):
        raise UpdateError("there is no roll-back to put away", fix="vafa update status", code="UPD-012")
    (there.root / ROLLED_BACK).unlink()
    return failed.to


def ask_for(there: Releases, trial: Trial) -> None:
    """Written whole and durably: from here on it will be done, whatever becomes of us."""
    fresh = there.root / f"{UNCONFIRMED}.new"
    try:
        fresh.write_text(trial.text(), "utf-8")
        flush(fresh)
        fresh.rename(there.root / UNCONFIRMED)
        flush(there.root)
    except OSError as error:
        raise UpdateError(f"{there.root} cannot be written ({error.strerror})", fix="df -h; mount") from error


def taken(there: Releases, version: str, say: Said) -> ReleaseFacts:
    """Have the keeper put it to use, and see what becomes of it. UpdateError when it was rolled back."""
    if not machine.has_systemd():
        subprocess.run([KEEPER, "apply"], check=True, stdout=subprocess.DEVNULL, timeout=TAKEN_WITHIN_S)
        return facts()
    subprocess.run(["systemctl", "restart", "--no-block", UNIT], check=True)
    began, told = time.monotonic(), ""
    while time.monotonic() - began < TAKEN_WITHIN_S:
        failed = there.trial(ROLLED_BACK)
        if there.trial() is None and failed is not None and failed.to == version:
            raise UpdateError(
                f"release {version} was rolled back to {failed.origin}: {failed.why}",
                fix="sales went on; to support: journalctl -u vafa -u vafa-update -u vafa-rollback",
                code="UPD-011",
            )  # fmt: skip
        doing = _doing(there, version)
        if not doing:
            return facts()
        if doing != told:
            say(doing)
            told = doing
        time.sleep(LOOK_EVERY_S)
    raise UpdateError(f"release {version} is not ready yet", fix="vafa update status; vafa status")


def _doing(there: Releases, version: str) -> str:
    """What it waits for; '' when the release runs, or is in place for a daemon that somebody has stopped."""
    seen = machine.unit("vafa.service", "ActiveState", "MainPID")
    state, pid = seen.get("ActiveState", ""), seen.get("MainPID", "0")
    if there.link("current") != version:
        return "switching ..."
    if state == "active" and _runs_from(pid, there.path(version)):
        return ""
    if state == "inactive":
        return ""
    return (
        "waiting for the payment in hand ..."
        if state in ("active", "deactivating")
        else f"starting {version} ..."
    )


def _runs_from(pid: str, release: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(f"{release}/".encode())
    except OSError:
        return False


def _as_root() -> None:
    if os.geteuid() != 0:
        raise UpdateError("only root may change releases", fix="run it with sudo")


def _now_s() -> int:
    return time.time_ns() // 1_000_000_000
