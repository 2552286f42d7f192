"""What a lane shows of itself, and what is wrong with it in words a shop can act on: the worst thing, once.

A closed line comes first, since nothing else can be true of it; then a ledger that takes nothing; then what
the line's bytes say of the terminal; then the last thing the terminal did wrong.
"""

from typing import TYPE_CHECKING

import msgspec

from vafa.app.hearing import Finding, Hearing
from vafa.app.line import Line
from vafa.app.live import LaneState
from vafa.app.polling import Polling
from vafa.app.posting import Posting
from vafa.codecs.sadad_fields import (
    AMOUNT_DIFFERS,
    NO_REFERENCE,
    REFUSED_THRICE,
    UNEXPECTED,
    UNREADABLE,
    USED_REFERENCE,
    WRONG_TERMINAL,
    Fault,
)
from vafa.model.errors import LedgerError, PortError
from vafa.ports.link import TCP_PREFIX

if TYPE_CHECKING:
    from vafa.app.lane import LaneSettings

SILENT_LONG_S = 600.0  # longer than any customer stands at the keypad: it is off

# What the terminal did wrong, and what to do. Sadad's document knows one speed: 115200 (section 1).
FAULT_FIXES = {
    WRONG_TERMINAL: "Compare the terminal id in config.toml with the terminal's own, and its slip with the "
    "sale. It is over with the first sale that the right terminal answers.",
    NO_REFERENCE: "Look for the sale in the terminal's last transactions; then: vafa why ID",
    AMOUNT_DIFFERS: "Look at the terminal's slip; correct the sale at the terminal.",
    UNREADABLE: "If it comes back: capture the line and vafa decode it. Is the firmware new?",
    UNEXPECTED: "If it comes back: is a second cash register on this line?",
    USED_REFERENCE: "Compare the terminal's slip with vafa why on the number in the message.",
    REFUSED_THRICE: "Check the line's settings (speed, parity) and its cable.",
}
# Those that a good answer of the terminal ends; the others are about money, and wait for a sale.
_OVER_WHEN_ANSWERED = {UNREADABLE, UNEXPECTED, REFUSED_THRICE}
_LOGGED_EVERY_S = 60.0


class Told(msgspec.Struct, frozen=True):
    """What is wrong, what to do, the code to look up. `cut_off`: the terminal is not heard at all."""

    message: str = ""
    fix: str = ""
    code: str = ""
    cut_off: bool = False


WELL = Told()


class LastFault(msgspec.Struct):
    """What the terminal did wrong last, and how often it did something wrong."""

    told: Told = WELL
    count: int = 0
    at: float = 0.0

    def happened(self, fault: Fault, now: float) -> bool:
        """Note it. True when it is news: it can come 100 times a second, and the log lies on flash."""
        is_news = fault.code != self.told.code or now - self.at >= _LOGGED_EVERY_S
        self.told = Told(fault.message, FAULT_FIXES.get(fault.code, ""), fault.code)
        self.count += 1
        if is_news:
            self.at = now
        return is_news

    def sale_went_through(self) -> None:
        """A sale that did ends what was wrong before it."""
        self.told = WELL

    def answered(self) -> None:
        """The terminal answered a question as it should."""
        if self.told.code in _OVER_WHEN_ANSWERED:
            self.told = WELL


def lane_state(
    settings: "LaneSettings",
    line: Line,
    hearing: Hearing,
    posting: Posting,
    polling: Polling,
    fault: LastFault,
    doing: str,
    now: float,
) -> LaneState:
    """How a lane stands at `now` (monotonic seconds), of what its parts know."""
    is_open, name, finding = line.is_open, line.name, hearing.finding()
    finding = finding if is_open else None
    wrong = told(line.error, posting.trouble, finding, fault.told, settings, now)
    seen, polled = hearing.last_frame_at, polling.answered_at
    is_serial = name and not settings.address.startswith(TCP_PREFIX)
    return LaneState(
        terminal=settings.terminal_id,
        mode=settings.mode,
        address=settings.address,
        line="open" if is_open or line.is_renewed else "closed",
        doing=doing,
        last_frame_age_s=None if seen is None else now - seen,
        trouble=wrong.message,
        noise=hearing.noise,
        faults=fault.count,
        unposted=posting.waiting,
        poll_trouble="" if wrong.cut_off or finding else polling.trouble,
        polled_age_s=None if polled is None else now - polled,
        disagreeing=tuple(polling.disagreeing.values()),
        fix=wrong.fix,
        code=wrong.code,
        finding=finding.kind if finding else "",
        cut_off=wrong.cut_off,
        since_s=now - (finding.since if finding else line.changed_at),
        wired=f"{name} {settings.baud} 8N1" if is_serial else "",
        nacks=hearing.nacks,
    )


def told(
    line: PortError | None,
    ledger: str,
    finding: Finding | None,
    fault: Told,
    settings: "LaneSettings",
    now: float,
) -> Told:
    """The one thing to show of a lane; WELL when there is nothing."""
    if line is not None:
        return Told(str(line), line.fix, line.code, cut_off=True)
    if ledger:
        fix = "Check disk space (df) and the disk; sales at the terminal go on."
        return Told(ledger, fix, LedgerError.code)
    if finding is not None:
        return of_finding(finding, settings.address, settings.baud, now)
    return fault


def of_finding(finding: Finding, address: str, baud: int, now: float) -> Told:
    """What is wrong with the terminal of a line that is open, by what the line's bytes say."""
    count, over_tcp = finding.count, address.startswith(TCP_PREFIX)
    match finding.kind:
        case "garbled" if over_tcp:
            message = "what answers at its address makes no messages of this protocol"
            return Told(
                message, "Is that address the terminal's? Its own menu shows it.", "SER-007", cut_off=True
            )
        case "garbled":
            return Told(
                f"{count} bytes came and made no message: it most likely talks at another speed",
                "Look up the terminal's own speed and set baud in config.toml to it (Sadad's document says "
                f"115200; set is {baud}). If they are the same: the cable, and its ground wire.",
                "SER-007",
                cut_off=True,
            )
        case "noisy":
            message = f"{count} bytes of noise in the last minute, more than half of what came"
            return Told(message, "Check the cable: its length, its plugs, what it lies beside.", "SER-012")
        case "refusing":
            return Told(
                f"it refuses what it is asked ({count} NACKs)",
                "Look at its screen. If nobody pays there: switch it off and on, check the cable. It is "
                "asked again by itself, ever less often.",
                "TRM-011",
                cut_off=True,
            )
        case "mute":
            also = "" if over_tcp else f" On a serial line also check cable and speed (baud = {baud})."
            return Told(
                "it does not answer, and never did: PC-POS mode is off by default",
                f"Ask the PSP to switch PC-POS (cash register) mode on.{also}",
                "TRM-012",
                cut_off=True,
            )
        case "silent":
            return Told(
                f"it answered before and is silent now ({count} questions in a row)",
                "Is it on, and is nobody paying at it? Switch it off and on. It is asked again by itself.",
                "TRM-010",
                cut_off=now - finding.since >= SILENT_LONG_S,
            )
