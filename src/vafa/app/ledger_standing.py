"""What is wrong with the ledger and the daemon itself, for `vafa status`."""

from collections.abc import Iterator

from vafa.app.live import Live
from vafa.app.standing import Trouble
from vafa.model.errors import LedgerError

_DISK_FIX = "Check disk space (df) and the disk; then: vafa verify. Sales at the terminal go on."


def of_the_ledger(live: Live | None, unreadable: LedgerError | None) -> Iterator[Trouble]:
    """What keeps sales from being written. `unreadable`: why who asks could not read it."""
    failure = (live.ledger_failure if live else "") or str(unreadable or "")
    fix, code = _DISK_FIX, LedgerError.code
    if live is not None and live.ledger_fix:
        fix, code = f"Sales at the terminal go on. {_sentence(live.ledger_fix)}", live.ledger_code
    if live is None and unreadable is not None and unreadable.fix:  # who asks may be who lacks something
        fix, code = _sentence(unreadable.fix), unreadable.code
    if failure:
        yield Trouble("broken", f"The ledger does not answer: {failure}.", fix, code)
    for lane in live.lanes if live else ():
        if lane.unposted:
            yield Trouble(
                "broken",
                f"{lane.unposted} paid sales of terminal {lane.terminal} are not on the disk yet.",
                "Free disk space. Do not switch this device off until they are written.",
                "LED-007",
            )
    if live is not None and not failure and not live.has_reserve:
        yield Trouble(
            "degraded",
            "The ledger's disk is nearly full: sales go on, in the room that is left.",
            "Free disk space: df -h; journalctl --vacuum-size=50M. It mends itself then.",
            "LED-008",
        )


def of_the_daemon(live: Live | None) -> Iterator[Trouble]:
    """Whether it runs, and all of it."""
    if live is not None and live.unbegun:
        yield Trouble(
            "degraded",
            f"Checks, backups and sync are not running: {live.unbegun}. Sales go on.",
            "Memory, or open files (ulimit -n)? It is tried again every ten seconds.",
            "JOB-003",
        )
    if live is None:
        yield Trouble(
            "broken",
            "The daemon does not answer: sales earn nothing now.",
            "sudo systemctl restart vafa; if it stops again: journalctl -u vafa",
            "RUN-001",
        )


def _sentence(fix: str) -> str:
    """A remedy as a sentence; one that begins with a command stays as it is typed."""
    if fix.startswith(("vafa ", "sudo ")):
        return fix
    return f"{fix[0].upper()}{fix[1:]}" + ("" if fix.endswith("?") else ".")
