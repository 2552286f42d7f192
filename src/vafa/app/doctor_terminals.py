"""`vafa doctor`, terminals: does each one answer?

While the daemon runs it has the line, so its word counts. With the daemon down the line is opened here and
the terminal is asked for the last row of its own list: a question that moves no money, in the protocol and
at the speed of the configuration. A line through the relay is the relay's, and is left alone.
"""

import time
from collections.abc import Iterator

from msgspec import Struct

from vafa.app.config import Terminal
from vafa.app.findings import PORT_CODES, Finding, Patient
from vafa.codecs.sadad_dialogue import Dialogue, JournalRefused, JournalRows, Send
from vafa.codecs.sadad_frames import Noise, Reader
from vafa.codecs.sadad_messages import JournalRequest
from vafa.model.errors import PortError
from vafa.ports.link import TCP_PREFIX, Link, open_link

ASK_S_MAX = 40.0  # an INM three times, then the list
_READ_S = 0.5
_PC_POS_FIX = (
    "switch it on; turn its PC-POS mode on (off by default; the PSP does it); compare the speed in its menu "
    "with terminal.baud"
)


def look(patient: Patient) -> Iterator[Finding]:
    """One finding a terminal."""
    if not patient.config.terminal:
        yield Finding(
            "warn", "terminal", "no terminal is configured", "", "vafa terminal find; then edit config.toml",
            "TRM-020",
        )  # fmt: skip
    for terminal in patient.config.terminal:
        yield from _by_daemon(patient, terminal) if patient.alive else _by_asking(patient, terminal)


def _by_daemon(patient: Patient, terminal: Terminal) -> Iterator[Finding]:
    """What the daemon's lane knows; why a line is closed stands as trouble of `status` already."""
    if patient.status is None or not patient.running:
        yield Finding("ok", "terminal", f"{terminal.id}: not asked, a silent daemon has its line")
        return
    seen = next((each for each in patient.status.terminals if each.terminal == terminal.id), None)
    if seen is None:
        yield Finding(
            "warn", "terminal", f"{terminal.id} is not served by the running daemon",
            "it stands in config.toml since the daemon started", "sudo systemctl restart vafa", "CFG-010",
        )  # fmt: skip
    elif seen.state == "unheard":
        yield Finding(
            "warn",
            "terminal",
            f"{terminal.id} has said nothing since its line opened",
            "",
            _PC_POS_FIX,
            "TRM-021",
        )
    elif seen.state == "local":
        yield Finding("ok", "terminal", f"{terminal.id}: the payment application tells of its sales")
    elif seen.state == "closed":  # other codes than a port's are told under this check anyway
        codes = [each.code for each in patient.status.trouble if terminal.id in each.message]
        for code in [code for code in codes if code in PORT_CODES][:1]:
            yield _port_closed(terminal, "its port is closed", code)
    elif seen.state not in ("closed", "silent"):
        heard = f", last frame {seen.last_frame_age_s:.0f} s ago" if seen.last_frame_age_s is not None else ""
        noise = f", {seen.noise} times noise" if seen.noise else ""
        yield Finding("ok", "terminal", f"{terminal.id} at {terminal.address}: {seen.state}{heard}{noise}")


def _by_asking(patient: Patient, terminal: Terminal) -> Iterator[Finding]:
    if terminal.mode == "local":
        yield Finding("ok", "terminal", f"{terminal.id}: nothing to ask, an application tells of its sales")
        return
    if terminal.mode == "proxy":
        yield Finding("ok", "terminal", f"{terminal.id}: not asked, its line is the relay's")
        return
    patient.say(f"terminal {terminal.id}: asking, up to {ASK_S_MAX:.0f} s")
    try:
        link = open_link(terminal.address, terminal.baud)
    except PortError as error:
        yield _unopened(terminal, error)
        return
    try:
        heard = ask(link, terminal.id)
    except PortError as error:
        heard = Heard(why=str(error))
    finally:
        link.close()
    yield _of_answer(terminal, heard)


def _unopened(terminal: Terminal, error: PortError) -> Finding:
    """A network line's trouble is told here; a port's is told by the check of the ports."""
    if terminal.address.startswith(TCP_PREFIX):
        return Finding("fail", "terminal", f"{terminal.id}: {error}", fix=error.fix, code=error.code)
    return _port_closed(terminal, "not asked, its port does not open", error.code)


def _port_closed(terminal: Terminal, what: str, code: str) -> Finding:
    fix = "see serial; vafa doctor --only serial"
    return Finding("fail", "terminal", f"{terminal.id}: {what}", fix=fix, code=code)


class Heard(Struct, frozen=True):
    """What came of a question: `frames` good ones, bytes of noise, rows of its list or why there are none."""

    frames: int = 0
    noise_bytes: int = 0
    answered: bool = False
    rows: int = 0
    why: str = ""


def ask(link: Link, terminal_id: str) -> Heard:
    """Ask for the newest row of the terminal's list. PortError when the line goes."""
    talk, reader = Dialogue(terminal_id), Reader()
    frames = noise = 0
    todo = talk.ask_journal(JournalRequest(count=1), time.monotonic())
    until = time.monotonic() + ASK_S_MAX
    while time.monotonic() < until:
        for output in todo:
            if isinstance(output, Send):
                link.write(output.data)
            elif isinstance(output, JournalRows):
                return Heard(frames, noise, answered=True, rows=len(output.rows))
            elif isinstance(output, JournalRefused):
                return Heard(frames, noise, why=output.why)
        seen = reader.feed(link.read(_READ_S))
        noise += sum(each.length for each in seen if isinstance(each, Noise))
        frames += sum(not isinstance(each, Noise) for each in seen)
        now = time.monotonic()
        todo = [output for each in seen for output in talk.feed(each, now)] + talk.tick(now)
    return Heard(frames, noise + reader.held_bytes, why="it did not come to an end")


def _of_answer(terminal: Terminal, heard: Heard) -> Finding:
    where = f"{terminal.id} at {terminal.address}"
    if heard.answered:
        return Finding("ok", "terminal", f"{where}: answers, and tells its last transactions")
    if heard.frames:
        return Finding(
            "warn", "terminal", f"{where}: answers, and does not tell its last transactions", heard.why,
            "ask the PSP for the right to read them; until then set poll = false for it", "GAP-002",
        )  # fmt: skip
    if heard.noise_bytes:
        return Finding(
            "fail", "terminal", f"{where}: {heard.noise_bytes} bytes came that are no answer",
            f"another speed than {terminal.baud}, a crossed cable, or another protocol",
            "compare the speed in the terminal's menu with terminal.baud in config.toml", "TRM-021",
        )  # fmt: skip
    return Finding("fail", "terminal", f"{where}: no answer", heard.why, _PC_POS_FIX, "TRM-021")
