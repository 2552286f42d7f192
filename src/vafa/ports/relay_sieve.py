"""Which of a terminal's bytes answer the daemon's question, and which are the cash register's.

While the daemon borrows the line, and for a while after, answers to its question may be under way. They are
told by the head of their frame: 02, LEN, VER, TYPE, and behind it the function's number (the daemon asks in
version 002, where a question 0013 is answered by 0014). Everything else is the cash register's, unchanged and
in order: an approval of its own that comes late, too. No byte waits for more than the first twelve of its
frame.
"""

from vafa.codecs.sadad_frames import LEN_MIN, NEWLINE, SADAD2, STX, FrameType

FLUSH_AFTER_S = 0.2  # there is no such pause within the head of one frame
_HEAD_BYTES = 8
_FUNCTION_BYTES = 4
_SIGNS = frozenset((FrameType.ACK, FrameType.NACK, FrameType.EOT))
_TYPES = frozenset(FrameType)


class Sieve:
    """One borrowing's. Bytes in, bytes out; the caller flushes after FLUSH_AFTER_S without a byte.

    lent         the daemon has the line: no question of the cash register's is open, so every sign is ours
    interrupted  the terminal told the cash register something meanwhile: the line is not idle
    """

    def __init__(self) -> None:
        self.lent, self.interrupted = True, False
        self._inms = 0  # signs that the terminal owes: for INMs,
        self._request = False  # and for the request
        self._unanswered = self._unacknowledged = False
        self._awaited: set[bytes] = set()  # functions of answers that may come, or come again
        self._held = bytearray()  # a head that cannot be told yet
        self._left = 0  # of the frame that passes now
        self._is_ours = False  # that frame, or the one before
        self._newline_may_follow = False

    @property
    def owes(self) -> bool:
        """True while an end now would leave the terminal in the middle of our question."""
        passing = self._left > 0 and self._is_ours
        return bool(self._inms or self._request or self._unanswered or self._unacknowledged or passing)

    @property
    def is_holding(self) -> bool:
        """True while a frame's head is incomplete."""
        return bool(self._held)

    @property
    def may_stray(self) -> bool:
        """True while something may come that the cash register never asked for."""
        return bool(self._awaited or self._held) or self._left > 0

    def ask(self, frame: bytes) -> bool:
        """Note what the terminal owes for the daemon's `frame`. False: it is none that a borrower may say."""
        if len(frame) < _HEAD_BYTES or frame[0] != STX or not frame[1:7].isdigit():
            return False
        if len(frame) != 4 + int(frame[1:4]):
            return False
        version, kind = frame[4:7].decode("ascii"), frame[7]
        if kind == FrameType.INM:
            self._inms += 1
        elif kind == FrameType.ACK:
            self._unacknowledged = False
        elif kind == FrameType.REQUEST and version == SADAD2:
            function = frame[_HEAD_BYTES : _HEAD_BYTES + _FUNCTION_BYTES]
            if not function.isdigit():
                return False
            self._request = self._unanswered = True
            self._awaited.add(b"%04d" % (int(function) + 1))
        else:
            return False
        return True

    def claim_no_more(self) -> None:
        """The cash register asks for lists itself: what answers that is its own."""
        self._awaited.clear()
        self._request = False

    def end(self) -> None:
        """The line is the cash register's again; what it says first is an INM, and any ACK answers that."""
        self.lent, self._inms = False, 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """(the daemon's, the cash register's) of the terminal's bytes."""
        self._held += data
        return self._sorted(more_may_come=True)

    def flush(self) -> tuple[bytes, bytes]:
        """Let go of a head that does not go on."""
        return self._sorted(more_may_come=False)

    def _sorted(self, *, more_may_come: bool) -> tuple[bytes, bytes]:
        ours, theirs = bytearray(), bytearray()
        while self._held:
            taken, is_ours = 1, self.lent
            if self._left:
                taken, is_ours = min(self._left, len(self._held)), self._is_ours
                self._left -= taken
                self._newline_may_follow = not self._left
            elif self._held[0] == NEWLINE and self._newline_may_follow:
                self._newline_may_follow, is_ours = False, self._is_ours
            else:
                self._newline_may_follow = False
                length = self._begins()
                if length is None and more_may_come:
                    break
                if length:
                    self._left = length
                    continue
                start = self._held.find(STX, 1)
                taken = len(self._held) if start < 0 else start
            (ours if is_ours else theirs).extend(self._held[:taken])
            del self._held[:taken]
        return bytes(ours), bytes(theirs)

    def _begins(self) -> int | None:
        """The length of the frame that begins here, 0 when none does, None while that cannot be told."""
        head = bytes(self._held[:_HEAD_BYTES])
        digits = head[1:7]
        if head[0] != STX or (digits and not digits.isdigit()):
            return 0
        if len(head) < _HEAD_BYTES:
            return None
        length = int(head[1:4])
        if length < LEN_MIN or head[7] not in _TYPES:
            return 0
        kind, version, function = FrameType(head[7]), head[4:7].decode("ascii"), b""
        if kind is FrameType.RESPONSE and version == SADAD2:
            if len(self._held) < _HEAD_BYTES + _FUNCTION_BYTES:
                return None
            function = bytes(self._held[_HEAD_BYTES : _HEAD_BYTES + _FUNCTION_BYTES])
        self._is_ours = self._claims(kind, version, function)
        self.interrupted |= self.lent and not self._is_ours
        return 4 + length

    def _claims(self, kind: FrameType, version: str, function: bytes) -> bool:
        """Whether a frame answers us; what it leaves owed."""
        if kind in _SIGNS and (self.lent or version == SADAD2):
            owed = bool(self._inms or self._request or self._unanswered)
            if kind is FrameType.EOT:  # it broke off: nothing follows
                self._inms, self._request, self._unanswered = 0, False, False
            elif self._inms:
                self._inms -= 1
            else:
                owed, self._request = self._request, False
                self._unanswered &= kind is FrameType.ACK
            return owed
        if kind is FrameType.RESPONSE and version == SADAD2 and (self.lent or function in self._awaited):
            self._inms, self._request, self._unanswered = 0, False, False
            self._unacknowledged = self.lent
            return True
        return False


def begins_a_question_of_lists(data: bytes) -> bool:
    """True where a cash register begins a question of version 002: the answer will be its own."""
    return SADAD2.encode() + bytes([FrameType.REQUEST]) in data
