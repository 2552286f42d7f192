"""The local protocol over a serial cable: a payment application on another machine, one at a time.

A cable knows neither who is at its end nor when that one came or went, and it brings noise: when it is
plugged, when the far end is switched on, when the speed is wrong. So nothing hangs on a connection. Each line
stands for itself, what is no JSON object is noise and gets no answer (an answer to noise could be taken for
the answer to a request, and a far end that echoes would echo it for ever), and the sender repeats what stays
unanswered, as the protocol has it anyway. An answer goes into a dead cable for WRITE_LIMIT_S at most.

No parity is checked, and a digit that noise has changed is still a digit: so a line may carry a CRC-32.
"""

import re
import threading
from binascii import crc32
from collections.abc import Callable

import msgspec
import structlog

from vafa.app.line import Line
from vafa.app.live import LocalLine
from vafa.model.errors import PortError
from vafa.ports.allowance import Allowance
from vafa.ports.clock import Clock
from vafa.ports.line_server import Limits
from vafa.ports.line_splitter import LineSplitter
from vafa.ports.link import Link

IDLE_WAIT_S = 5.0
STARTS_TRIED_MAX = 16  # a request has two "{"; more of them only in noise and in a shop's own texts
_CHECK = re.compile(rb"[0-9A-Fa-f]{8}")

log = structlog.get_logger()


class Told(msgspec.Struct, frozen=True):
    """A request of a cable. `checked`: it came with its CRC-32. `ours`: an answer that the far end echoes."""

    request: bytes
    checked: bool = False
    ours: bool = False


class Cable:
    """`run` is its thread; `stop` and `state` are for others.

    handle  answers one request line, both without the newline
    refuse  words the refusal of a line that is too long: (code, message) -> line
    """

    def __init__(
        self,
        address: str,
        open_line: Callable[[], Link],
        handle: Callable[[bytes], bytes],
        refuse: Callable[[str, str], bytes],
        clock: Clock,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self._address = address
        self._handle, self._refuse = handle, refuse
        self._clock, self._limits = clock, limits
        self._line = Line(open_line, clock)
        self._splitter = LineSplitter(limits.line_bytes)
        self._allowance = Allowance(limits.burst_requests, limits.requests_per_s, clock.monotonic())
        self._stopping = threading.Event()
        self._noise = 0
        self._in_noise = False

    def state(self) -> LocalLine:
        """How the cable's line stands now."""
        failure = self._line.failure
        return LocalLine(
            kind="serial",
            address=self._address,
            state="open" if self._line.is_open else "closed",
            noise=self._noise,
            trouble=self._line.trouble,
            fix=failure.fix if failure else "",
            code=failure.code if failure else "",
        )

    def stop(self) -> None:
        """No further request is begun; `run` returns when the one in hand has its answer."""
        self._stopping.set()
        self._line.interrupt()

    def run(self) -> None:
        """Steps until stopped."""
        while not self._stopping.is_set():
            self.step()
        self._line.close()

    def step(self) -> None:
        """One round; blocks at most IDLE_WAIT_S and as long as a request takes."""
        try:
            if self._line.reopen():
                self._splitter = LineSplitter(self._limits.line_bytes)
                self._line.write(
                    b"\n"
                )  # ends what half an answer may stand at the far end; else means nothing
            if not self._line.is_open:
                self._stopping.wait(min(self._line.patience_s, IDLE_WAIT_S))
                return
            for line in self._splitter.feed(self._line.read(IDLE_WAIT_S)):
                self._hear(line)
        except PortError as error:
            self._line.lost(error)

    def _hear(self, line: bytes | None) -> None:
        if self._stopping.is_set() or (line is not None and not line.strip()):
            return
        if line is None:
            self._heard_noise()
            self._say(self._refuse("SRV-002", f"a line may have {self._limits.line_bytes} bytes"))
            return
        told = request_in(line)
        if told is None:
            self._heard_noise()
            return
        self._in_noise = False
        if told.ours or self._stopping.wait(self._allowance.take(self._clock.monotonic())):
            return
        answer = self._answer(told.request)
        self._say(answer + b"\t" + check_of(answer) if told.checked else answer)

    def _answer(self, request: bytes) -> bytes:
        try:
            return self._handle(request)
        except Exception:  # as on a socket: our bug costs one answer, not the line
            log.exception("request_crashed", socket=self._address)
            return self._refuse("SRV-003", "an error of Vafa's own; it is in the log")

    def _say(self, answer: bytes) -> None:
        self._line.write(answer + b"\n")

    def _heard_noise(self) -> None:
        """Counts it; the log hears of its beginning only, and never what it was."""
        self._noise += 1
        if not self._in_noise:
            log.warning("noise on the line", line=self._address)
        self._in_noise = True


def request_in(line: bytes) -> Told | None:
    """What a line of a cable asks: its first JSON object that reaches to its end. None: only noise.

    What stands before it is noise, or a line whose end was lost. A whole request is never taken apart: it is
    itself the first such object. Behind it may stand a tab and its CRC-32, which then must be right.
    """
    body, _, told = line.rstrip().rpartition(b"\t")
    checked = _CHECK.fullmatch(told) is not None
    body = body if checked else line
    starts = [at for at, byte in enumerate(body) if byte == ord("{")]
    for at in dict.fromkeys([*starts[:1], *starts[-STARTS_TRIED_MAX:]]):
        if checked and check_of(body[at:]) != told.lower():
            continue
        try:
            found = msgspec.json.decode(body[at:], type=dict[str, msgspec.Raw])
            body[at:].decode("utf-8")  # what is left raw has not been looked at
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        return Told(body[at:], checked, ours="answer" in found and "op" not in found)
    return None


def check_of(line: bytes) -> bytes:
    """The CRC-32 (as of zlib and Ethernet) of a line's bytes, in eight hex digits."""
    return b"%08x" % crc32(line)
