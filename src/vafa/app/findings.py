"""The nouns of `vafa doctor`: what a check looks at (Patient), what it says (Finding), all of it (Report).

A check is a function from a Patient to findings. It reads, asks and listens; it changes nothing, and it never
takes a port, a lock or a socket that the daemon may want. Whoever adds one writes such a function and gives
it a row in `doctor.CHECKS`.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from msgspec import Struct

from vafa.app.config import Config, Terminal
from vafa.app.standing import Status
from vafa.model.errors import Fault, VafaError

SCHEMA = 1

Level = Literal["fail", "warn", "ok"]
Verdict = Literal["ok", "degraded", "broken"]

# Codes of a port; the other SER codes are of a network line, which only the terminal's check looks at.
PORT_CODES = ("SER-001", "SER-002", "SER-003", "SER-005", "SER-006", "SER-008")


class Finding(Struct, frozen=True):
    """One line of the screen.

    level  fail: sales earn nothing, or what was earned is in danger; warn: needs a look; ok: looked at, good
    name   the check's name in `doctor.CHECKS`
    what   what is so;  why  what is behind it, '' when nobody can tell;  fix  a command, or a thing to do
    code   what support looks up in docs/operations.md; '' for ok
    """

    level: Level
    name: str
    what: str
    why: str = ""
    fix: str = ""
    code: str = ""


class Report(Struct, frozen=True, kw_only=True):
    """What `--json` prints. Trouble first; instants are ISO 8601 in UTC."""

    schema: int = SCHEMA
    verdict: Verdict
    running: bool
    checked_at: str
    version: str
    findings: tuple[Finding, ...]


def _say_nothing(_text: str) -> None:
    return


class Patient(Struct, frozen=True, kw_only=True):
    """Everything a check may look at.

    config       what could be read; a setting with a fault has its default, a terminal with one is left out
    faults       what is wrong in the configuration; `unread`: the file itself could not be read
    status       how things stand, from the daemon or from the ledger; None when neither could tell
    silence      why the daemon did not answer; None when it did
    alive        a daemon runs, whether it answers or not: its ports, locks and sockets are not to be touched
    full         look at everything, however long it takes
    listen_s     how long a check may listen for what comes by itself
    say          tells whoever waits what is being looked at
    """

    config_path: Path
    config: Config
    faults: tuple[Fault, ...] = ()
    unread: bool = False
    status: Status | None = None
    silence: VafaError | None = None
    alive: bool = False
    now_ms: int
    full: bool = False
    listen_s: float = 2.5
    say: Callable[[str], None] = _say_nothing

    @property
    def running(self) -> bool:
        """True when the daemon answered."""
        return self.silence is None and self.status is not None and self.status.running

    def line_state(self, terminal: Terminal) -> str:
        """A terminal's state as the running daemon sees it, '' when it does not run or does not serve it."""
        seen = self.status.terminals if self.status is not None and self.running else ()
        return next((each.state for each in seen if each.terminal == terminal.id), "")


class Check(NamedTuple):
    """A row of the table.

    codes      the beginnings of the codes of `status` that belong under this name
    of_config  it looks at what the configuration names; where the file cannot be read there is nothing to say
    """

    name: str
    about: str
    look: Callable[[Patient], Iterable[Finding]]
    codes: tuple[str, ...] = ()
    of_config: bool = False
