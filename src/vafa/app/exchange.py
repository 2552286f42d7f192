"""Whether a relayed line is in the middle of something, as far as the frames that crossed it show.

    register INM -> terminal ACK -> register REQUEST -> terminal ACK -> RESPONSE -> register ACK: done

Nobody may speak into an exchange that is not done. One that is left lying ends by the clock: each frame names
how long what follows it may take. Before the first frame nothing is known, and what was lost on the way to us
may have been the beginning of a sale.
"""

from vafa.codecs.sadad_dialogue import RESPONSE_S
from vafa.codecs.sadad_frames import FrameType
from vafa.ports.relay_wire import TO_REGISTER, TO_TERMINAL

STEP_S = 10.0  # a cash register repeats an INM or a request after 5 s
PAYING_S = 300.0  # nobody pays more slowly, and no list takes so long
REPEATS_S = RESPONSE_S + 20.0  # a RESPONSE without its ACK is said again after 180, 5 and 5 s
UNKNOWN_S = STEP_S  # we have just come: the sale requests that wait are told again, other frames are not
MISSED_S = RESPONSE_S  # copies are lost: a customer may stand at the keypad

# (whose word, what it is) -> how long what follows may take. These settle what was before them ...
_SETTLES_S = {
    (TO_TERMINAL, FrameType.ACK): 0.0,
    (TO_REGISTER, FrameType.RESPONSE): REPEATS_S,
    (TO_REGISTER, FrameType.EOT): 0.0,
}
# ... all others do not: a NACK may refuse an INM too many while a customer pays.
_FOLLOWS_S = {
    (TO_TERMINAL, FrameType.REQUEST): PAYING_S,
    (TO_TERMINAL, FrameType.NACK): REPEATS_S,
}


class Exchange:
    """One line's. Times are seconds of the clock that the caller gives."""

    def __init__(self) -> None:
        self.open_until = 0.0
        self._answered = False

    def heard(self, direction: bytes, kind: FrameType, now: float) -> None:
        """A frame crossed."""
        word = (direction, kind)
        if word in _SETTLES_S:
            self.open_until = now + _SETTLES_S[word]
        else:
            self.open_until = max(self.open_until, now + _FOLLOWS_S.get(word, STEP_S))
        self._answered = word == (TO_REGISTER, FrameType.RESPONSE)

    def noise(self, now: float) -> None:
        """Something crossed that could not be read."""
        self.open_until = max(self.open_until, now + STEP_S)

    def cut(self, now: float) -> None:
        """The line was cut: an answer cannot be repeated on it; a customer at the keypad goes on."""
        if self._answered:
            self.open_until = now + STEP_S

    def unknown(self, now: float, for_s: float) -> None:
        """What crossed before now is not known."""
        self.open_until = max(self.open_until, now + for_s)
