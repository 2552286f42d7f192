"""Work aside: what needs large libraries for a moment is done by a short process of its own.

Loaded into the daemon they would stay as long as it runs: the cipher of phones and names 7 MB, sqlite-utils
with click 3 MB. A process a question costs some 50 ms where no payment waits (who enrols or shows a member)
and needs no care in between: nothing stays open, nothing can grow old. It inherits the unit's confinement,
gets what is secret through its stdin alone, and ends when it has answered, when the daemon is gone, or killed
when its time is over.
"""

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vafa.keys.seal import Person, SealedPerson
from vafa.keys.sealing import Ask, Done
from vafa.model.errors import LedgerError, SealingFailed, SyncError

if TYPE_CHECKING:
    from vafa.keys import recovery
    from vafa.sync import enrol_once

SEALING_WITHIN_S = 8.0  # waiting for one's turn counted; a verb waits 10 s for its answer
ENROLMENT_WITHIN_S = 170.0  # two requests that may each wait for a slow hub; the verb waits 180 s
MIGRATION_WITHIN_S = 280.0  # the unit gives a start 300 s
_SAID_LETTERS_MAX = 200


class Failed(Exception):
    """The process gave no answer; `str` says why."""


def run_aside(module: str, *arguments: str, given: bytes, within_s: float, kept: Sequence[int] = ()) -> bytes:
    """What `python -m module` wrote to its stdout. `kept`: descriptors it holds open too. Failed."""
    import subprocess  # not before a sale can be heard: it takes longer to load than to run

    # -P: nothing that lies in the working directory is ever imported.
    command = [sys.executable, "-P", "-m", module, *arguments]
    try:
        ran = subprocess.run(
            command, input=given, capture_output=True, timeout=within_s, pass_fds=kept, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"no answer within {within_s:.0f} s") from None
    except OSError as error:
        raise Failed(f"no process could be started: {error.strerror}") from error
    if ran.returncode != 0:
        said = ran.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Failed(f"it ended with {ran.returncode}: {''.join(said)[:_SAID_LETTERS_MAX]}")
    return ran.stdout


class SealerAside:
    """`Sealer` in a process of its own, one at a time: a crowd at the counter must not fill the memory."""

    def __init__(self, wrapping_key: bytes) -> None:
        self._wrapping_key = wrapping_key
        self._turn = threading.Lock()

    def sealed(self, member: bytes, person: Person) -> SealedPerson:
        """`person` under a fresh key. SealingFailed."""
        (sealed,) = self._ask(Ask(self._wrapping_key, [(member, person)], [])).sealed
        return sealed

    def opened(self, sealed: Sequence[tuple[bytes, SealedPerson]]) -> list[Person | None]:
        """The people of (member, sealed), in that order; None for one that does not open. SealingFailed."""
        if not sealed:
            return []
        return self._ask(Ask(self._wrapping_key, [], list(sealed))).opened

    def _ask(self, ask: Ask) -> Done:
        until = time.monotonic() + SEALING_WITHIN_S
        if not self._turn.acquire(timeout=SEALING_WITHIN_S):
            raise _not_sealed("too many ask at once")
        try:
            left_s = until - time.monotonic()
            answer = run_aside("vafa.keys.sealing", given=msgspec.msgpack.encode(ask), within_s=left_s)
            done = msgspec.msgpack.decode(answer, type=Done)
        except (Failed, msgspec.DecodeError) as failure:
            raise _not_sealed(str(failure)) from failure
        finally:
            self._turn.release()
        return done


def enrolled_aside(ask: "enrol_once.Ask") -> "enrol_once.Done":
    """One enrolment with a hub. SyncError where the process gives no answer; whether the hub has taken it
    nobody knows then, and asking again is harmless."""
    from vafa.sync import enrol_once

    try:
        answer = run_aside(
            "vafa.sync.enrol_once", given=msgspec.msgpack.encode(ask), within_s=ENROLMENT_WITHIN_S
        )
        done = msgspec.msgpack.decode(answer, type=enrol_once.Done)
    except (Failed, msgspec.DecodeError) as failure:
        raise SyncError(
            f"the enrolment was cut off ({failure})", fix="enrol again: the code stays good for this device"
        ) from failure
    return done


def keys_sealed_aside(ask: "recovery.Ask") -> "recovery.SealedKeys":
    """The keys sealed for a backup. SealingFailed."""
    from vafa.keys import recovery

    try:
        given = msgspec.msgpack.encode(ask)
        answer = run_aside("vafa.keys.recovery", given=given, within_s=SEALING_WITHIN_S)
        return msgspec.msgpack.decode(answer, type=recovery.SealedKeys)
    except (Failed, msgspec.DecodeError) as failure:
        raise SealingFailed(
            f"the keys could not be sealed for the backup ({failure})", fix="journalctl -u vafa -n 50"
        ) from failure


def _not_sealed(why: str) -> SealingFailed:
    return SealingFailed(
        f"phones and names cannot be sealed or opened now ({why})",
        fix="try again; if it stays: systemctl restart vafa, journalctl -u vafa -n 50",
    )


def migrate_aside(path: Path, lock: int) -> None:
    """Bring the ledger at `path` to the newest schema. LedgerError.

    The process holds the ledger's lock too: should the daemon be killed meanwhile, the next one waits for it.
    """
    try:
        run_aside("vafa.ledger.migrations", str(path), given=b"", within_s=MIGRATION_WITHIN_S, kept=(lock,))
    except Failed as failure:
        raise LedgerError(
            f"{path} could not be brought to this Vafa's schema ({failure})",
            fix="check disk space and the disk, then start it again: what was begun is undone",
        ) from failure
