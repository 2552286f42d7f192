"""The releases of an installed device: which one runs, which one is on trial, what was rolled back.

They lie in /opt/vafa/releases; what the links and files beside them mean stands in
scripts/package/releases, the program that changes them. Here they are read, and asked for by writing
`unconfirmed`.
"""

import os
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from vafa import __version__
from vafa.app.standing import ReleaseFacts, Trouble
from vafa.model.errors import VafaError

FORMAT = 1  # of release.json, `unconfirmed` and what scripts/package/releases makes of them
UNCONFIRMED, ROLLED_BACK = "unconfirmed", "rolled-back"


class UpdateError(VafaError):
    """An update, or a way back, that cannot be done."""

    code = "UPD-001"


class About(Struct, frozen=True):
    """A release's own words, release.json.

    ledger_writes          the schema its ledger gets
    ledger_readable_since  the oldest schema whose code can go on with that ledger
    release_key            the public key, in hex, whose releases may follow; '' when it was built without
    """

    version: str
    arch: str
    ledger_writes: int
    ledger_readable_since: int
    commit: str = ""
    format: int = FORMAT
    release_key: str = ""


class Trial(Struct, frozen=True):
    """What `unconfirmed` or `rolled-back` says. `before`: the release that was kept beside `origin`."""

    to: str
    origin: str
    before: str = ""
    confirm_after_s: int = 300
    since_s: int = 0
    boots: int = 0
    why: str = ""

    def text(self) -> str:
        """As scripts/package/releases reads it."""
        return (
            f"to={self.to}\nfrom={self.origin}\nbefore={self.before}\n"
            f"confirm_after_s={self.confirm_after_s}\nsince={self.since_s}\nboots={self.boots}\n"
        )


class Releases:
    """The releases below `root` (/opt/vafa)."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, version: str) -> Path:
        """Where a release lies, whether it is there or not."""
        return self.root / "releases" / version

    def link(self, name: str) -> str:
        """The version that `current` or `previous` names; '' for none."""
        try:
            return (self.root / name).readlink().name
        except OSError:
            return ""

    def trial(self, name: str = UNCONFIRMED) -> Trial | None:
        """The trial that goes on, or with ROLLED_BACK the one that failed last."""
        try:
            lines = (self.root / name).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return None
        told = dict(line.partition("=")[::2] for line in lines)
        if not told.get("to"):
            return None
        text = {key: told.get(key, "") for key in ("from", "before", "why")}
        number = {key: int(value) for key, value in told.items() if value.isascii() and value.isdigit()}
        return Trial(
            told["to"], text["from"], text["before"], number.get("confirm_after_s", 300),
            number.get("since", 0), number.get("boots", 0), text["why"],
        )  # fmt: skip

    def about(self, version: str) -> About:
        """A release's own words. UpdateError when it is not there or not whole."""
        place = self.path(version) / "release.json"
        try:
            return msgspec.json.decode(place.read_bytes(), type=About)
        except (OSError, msgspec.DecodeError) as error:
            raise UpdateError(
                f"release {version} is not there, or not whole ({error})", fix="ls /opt/vafa/releases"
            ) from error


def way_back_fault(to: About, origin: About) -> str:
    """Why `origin` could not be taken again after `to` has run, or `to` after `origin`; '' when it could.

    A ledger never goes back a schema: the release that wrote it says which others can go on with it.
    """
    for written, reader in ((to, origin), (origin, to)):
        if reader.ledger_writes < written.ledger_readable_since:
            return (
                f"release {reader.version} could not go on with a ledger that release {written.version} has "
                f"written (schema {written.ledger_writes}, readable since {written.ledger_readable_since}; "
                f"it knows {reader.ledger_writes})"
            )
    return ""


def checked_way_back(releases: Releases, to: str) -> str:
    """That `to` could be left for the release in use again. UpdateError where the ledger forbids it."""
    current = releases.link("current")
    if current in ("", to):
        return "the first release here"
    if fault := way_back_fault(releases.about(to), releases.about(current)):
        raise UpdateError(
            fault, fix="take a release between the two first (docs/updating.md)", code="UPD-007"
        )
    return f"{current} could go on with its ledger"


def own() -> Releases | None:
    """The releases that this process is one of; None where Vafa was not installed as a package."""
    root = Path(os.environ.get("VAFA_ROOT", "") + "/opt/vafa")
    return Releases(root) if Path(sys.prefix).parent == root / "releases" else None


def vafa_version() -> str:
    """What this code calls itself; a release's folder has the same name."""
    return __version__


def own_version() -> str:
    """The release that this process runs from, as its folder is called."""
    return Path(sys.prefix).name


def standing(releases: Releases | None, now_s: int) -> ReleaseFacts | None:
    """What `vafa status` shows of releases."""
    if releases is None:
        return None
    trial, failed = releases.trial(), releases.trial(ROLLED_BACK)
    return ReleaseFacts(
        current=releases.link("current"),
        previous=releases.link("previous"),
        on_trial=trial.to if trial else "",
        trial_age_s=max(0.0, float(now_s - trial.since_s)) if trial and trial.since_s else None,
        rolled_back=failed.to if failed else "",
        why=failed.why if failed else "",
    )


def troubles(facts: ReleaseFacts | None) -> tuple[Trouble, ...]:
    """A roll-back that happened, until it is put away or a later release is taken."""
    if facts is None or not facts.rolled_back:
        return ()
    said = (
        f"Release {facts.rolled_back} was rolled back to {facts.current}: {facts.why or 'it did not start'}."
    )
    fix = (
        "Sales go on. To support: journalctl -u vafa -u vafa-update -u vafa-rollback; then vafa update clear"
    )
    return (Trouble("degraded", said, fix, "UPD-011"),)
