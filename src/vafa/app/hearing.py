"""What a terminal's line brings, and what that says of the terminal: answers, noise, refusals, nothing.

    garbled   bytes come and never make a message: another speed, another machine, a broken cable
    noisy     messages come, and more noise than messages
    refusing  NACK upon NACK, asked or unasked
    mute      it answers nothing, and never has: PC-POS mode is off by default
    silent    it answered once, and now it does not: off, frozen, busy, or the far end of a dead connection

None of them is latched. One good answer ends what questions in vain and NACKs in a row have shown; what only
time can end (a storm nobody asks into) is forgotten when nothing new was heard of it for KEPT_S.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal

import msgspec
import structlog

from vafa.codecs.sadad_frames import QUIET_BEFORE_FLUSH_S, Frame, FrameType, Noise, Reader

WINDOW_S = 60.0
KEPT_S = 600.0  # twice the longest pause between two polls: a state is confirmed or gone within it
UNANSWERED_SHOWN = 3  # questions in a row, three INMs each: about 75 s with their pauses. Customers may pay
NACKS_SHOWN = 12  # four questions refused thrice; a terminal may refuse while a customer pays at its keypad
GARBLED_BYTES_MIN = 3  # in place of an answer. A fast terminal's bytes are few at a slow line's speed
FLOOD_BYTES_MIN = 64  # unasked, within a window that held no message
NOISY_BYTES_MIN = 200
_LOGGED_EVERY_S = 60.0  # a line can bring 11,000 bytes of noise a second, and the log lies on flash

Kind = Literal["garbled", "noisy", "refusing", "mute", "silent"]


class Finding(msgspec.Struct, frozen=True):
    """What is wrong, since when (monotonic seconds), and how often it showed: bytes, NACKs or questions."""

    kind: Kind
    since: float
    count: int


class _Second(msgspec.Struct):
    """What one second brought."""

    at: float
    received: int = 0
    noise: int = 0
    frames: int = 0
    nacks: int = 0


class Hearing:
    """One lane's; its thread alone feeds it. Others may read `finding` and the counters.

    known_before  the terminal answered in an earlier run: it is silent, not mute
    """

    def __init__(
        self, monotonic: Callable[[], float], log: structlog.BoundLogger, *, known_before: bool
    ) -> None:
        self._monotonic = monotonic
        self._known_before = known_before
        self._log = log
        self._reader = Reader()
        self._last_byte_at = 0.0
        self._window: deque[_Second] = deque()
        self._question_from: tuple[int, int] | None = None  # (frames, bytes) heard when it was asked
        self._asked_at = 0.0
        self._received = self._frames = 0
        self._unanswered = self._nacks_in_a_row = self._garbled_bytes = self._noise_untold = 0
        self._unanswered_since = self._nacks_since = self._garbled_since = 0.0
        self._nacked_at = self._garbled_at = self._logged_at = float("-inf")
        self.last_frame_at: float | None = None
        self.noise = self.nacks = 0

    # What comes

    def opened(self) -> None:
        """A new line: half a message of the old one means nothing."""
        self._reader = Reader()

    @property
    def due_at(self) -> float | None:
        """When `take` is to be called though nothing came; None: not at all."""
        return self._last_byte_at + QUIET_BEFORE_FLUSH_S if self._reader.pending else None

    def take(self, received: bytes) -> list[Frame | Noise]:
        """What the bytes make; b'' lets go of a message that was cut off, when the line has gone quiet."""
        now = self._monotonic()
        if received:
            self._last_byte_at = now
            self._received += len(received)
            self._second().received += len(received)
            seen = self._reader.feed(received)
        elif self._reader.pending and now - self._last_byte_at >= QUIET_BEFORE_FLUSH_S:
            seen = self._reader.flush()  # or it would hold back the next one
        else:
            return []
        for each in seen:
            if isinstance(each, Noise):
                self._noise(each)
            else:
                self._frame(each)
        return seen

    def _frame(self, frame: Frame) -> None:
        now = self.last_frame_at = self._monotonic()
        self._frames += 1
        self._second().frames += 1
        self._unanswered = self._garbled_bytes = 0
        if frame.type is FrameType.RESPONSE:  # it answers what it is asked: whatever it refused is over
            for each in self._window:
                each.nacks = 0
        if frame.type is not FrameType.NACK:
            self._nacks_in_a_row = 0
            return
        if not self._nacks_in_a_row or now - self._nacked_at > KEPT_S:
            self._nacks_in_a_row, self._nacks_since = 0, now
        self._nacked_at = now
        self._nacks_in_a_row += 1
        self.nacks += 1
        self._second().nacks += 1

    def _noise(self, noise: Noise) -> None:
        now = self._monotonic()
        self.noise += 1
        self._second().noise += noise.length
        heard = self._heard()
        if not heard.frames and heard.noise >= FLOOD_BYTES_MIN:
            self._is_garbled(noise.length, now)
        self._noise_untold += noise.length
        if now - self._logged_at >= _LOGGED_EVERY_S:
            self._log.warning("noise on the line", bytes=self._noise_untold, why=noise.why)
            self._logged_at, self._noise_untold = now, 0

    def _is_garbled(self, count: int, since: float) -> None:
        if not self._garbled_bytes or self._monotonic() - self._garbled_at > KEPT_S:
            self._garbled_bytes, self._garbled_since = 0, since
        self._garbled_bytes += count
        self._garbled_at = self._monotonic()

    # What was asked

    def asked(self) -> None:
        """A question was sent, or a sale: something has to come."""
        self._question_from, self._asked_at = (self._frames, self._received), self._monotonic()

    def asked_by_another(self) -> None:
        """The cash register asks, or repeats itself. Garbage for an answer counts; silence it sees."""
        if self._question_from is not None:
            frames, received = self._question_from
            if frames == self._frames and self._received - received >= GARBLED_BYTES_MIN:
                self.ended()
            elif frames == self._frames and self._monotonic() - self._asked_at <= WINDOW_S:
                return  # the same question still: each answer at another speed is a byte or two
        self.asked()

    def withdrawn(self) -> None:
        """The line went before an answer could come."""
        self._question_from = None

    def ended(self) -> bool:
        """Nothing is asked now. True when so many questions were in vain that a new line may help.

        A TCP connection whose far end has forgotten it looks open for ever; a new one is answered at once.
        """
        if self._question_from is None:
            return False
        (frames, received), self._question_from = self._question_from, None
        if frames != self._frames:
            return False
        if not self._unanswered:
            self._unanswered_since = self._asked_at
        self._unanswered += 1
        if self._received - received >= GARBLED_BYTES_MIN:
            self._is_garbled(self._received - received, self._asked_at)
        return self._unanswered % UNANSWERED_SHOWN == 0

    # What it says

    def finding(self) -> Finding | None:
        """What is wrong with terminal or line now; None when nothing is."""
        now, heard = self._monotonic(), self._heard()
        if self._garbled_bytes and now - self._garbled_at <= KEPT_S:
            return Finding("garbled", self._garbled_since, self._garbled_bytes)
        if heard.nacks >= NACKS_SHOWN:
            return Finding("refusing", heard.at, heard.nacks)
        if self._nacks_in_a_row >= NACKS_SHOWN and now - self._nacked_at <= KEPT_S:
            return Finding("refusing", self._nacks_since, self._nacks_in_a_row)
        if self._unanswered >= UNANSWERED_SHOWN:
            answered = self._known_before or self.last_frame_at is not None
            kind: Kind = "silent" if answered else "mute"
            return Finding(kind, self._unanswered_since, self._unanswered)
        if heard.noise >= NOISY_BYTES_MIN and heard.noise * 2 > heard.received:
            return Finding("noisy", heard.at, heard.noise)
        return None

    def _second(self) -> _Second:
        """The present second's count; what left the window is forgotten here."""
        now = self._monotonic()
        if not self._window or now - self._window[-1].at >= 1.0:
            self._window.append(_Second(now))
        while now - self._window[0].at > WINDOW_S:
            self._window.popleft()
        return self._window[-1]

    def _heard(self) -> _Second:
        """The whole window's count, its `at` the first second's."""
        now = self._monotonic()
        whole = _Second(now)
        for each in tuple(self._window):  # another thread may ask
            if now - each.at <= WINDOW_S:
                whole.at = min(whole.at, each.at)
                whole.received += each.received
                whole.noise += each.noise
                whole.frames += each.frames
                whole.nacks += each.nacks
        return whole
