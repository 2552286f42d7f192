"""Reads a relayed terminal's list of last transactions, on the line that the relay lends while it is idle.

    RESTING --due, idle: BORROW--> ASKED --LENT--> TALKING --the conversation ends: GIVE_BACK--> RESTING

The relay ends it whenever the cash register needs the line (OVER); then the same is asked again soon. What
the answers mean is Polling's, as for a terminal that Vafa asks itself.
"""

from collections.abc import Callable
from enum import Enum

import structlog

from vafa.app.counter import Counter
from vafa.app.polling import Polling
from vafa.codecs import sadad_dialogue as dialogue
from vafa.codecs.sadad_fields import REFUSED_THRICE, Fault
from vafa.codecs.sadad_frames import QUIET_BEFORE_FLUSH_S, Frame, Noise, Reader
from vafa.codecs.sadad_outputs import JournalRefused, JournalRows
from vafa.ports import relay_wire as wire
from vafa.ports.relay_lending import QUIET_S
from vafa.ports.relay_wire import Over

AGAIN_S = 3.0  # after the line was not lent, or was needed: a sale lasts longer, an INM not
NOT_LENT_SHOWN_S = 900.0  # a busy hour has pauses; a line without one for so long is told
OLD_RELAY = (
    "the relay that runs cannot lend its line; restart it in a quiet moment: systemctl restart vafa-relay"
)

log = structlog.get_logger()


class Step(Enum):
    """Where it stands."""

    RESTING = "resting"
    ASKED = "asked"  # the relay has not said yes or no
    TALKING = "talking"


class Borrowing:
    """One relayed terminal's; its lane's thread alone uses it. What it asks the ledger may raise LedgerError.

    can_lend   the relay knows how to
    suspended  another terminal answers on this line: its list proves nothing
    """

    def __init__(
        self,
        terminal_id: str,
        counter: Counter,
        monotonic: Callable[[], float],
        tell: Callable[[bytes], None],
        heals: frozenset[str],
    ) -> None:
        self.polling = Polling(terminal_id, counter, list, monotonic, heals)
        self._talk = dialogue.Dialogue(terminal_id, counter.tokens.without_pans)
        self._reader = Reader()
        self._monotonic, self._tell = monotonic, tell
        self._log = log.bind(terminal=terminal_id)
        self._step = Step.RESTING
        self._heard_at = 0.0
        self._wanted_since: float | None = None
        self._rows: JournalRows | None = None
        self.can_lend = self.suspended = False

    @property
    def is_talking(self) -> bool:
        return self._step is Step.TALKING

    @property
    def trouble(self) -> str:
        """Why the list has not been read for a while, in words for `status`."""
        if not self.can_lend:
            return OLD_RELAY
        if self._wanted_since is not None and self._monotonic() >= self._wanted_since + NOT_LENT_SHOWN_S:
            return "its last transactions could not be read: the line was never idle for long enough"
        return self.polling.trouble

    def connected(self) -> None:
        """A new connection with the relay: whatever was borrowed is not any more."""
        self._reset()
        self.can_lend = False
        self.polling.opened()

    def missed(self) -> None:
        """Copies are lost: the list may show what they told."""
        self.polling.opened()

    def due_at(self, free_at: float) -> float:
        """When `step` has something to do, on a line that may be idle from `free_at` on."""
        if self._step is Step.RESTING:
            return max(self.polling.next_at, free_at + QUIET_S) if self._may() else float("inf")
        deadlines = [self._talk.deadline] if self._talk.deadline is not None else []
        if self._reader.pending:
            deadlines.append(self._heard_at + QUIET_BEFORE_FLUSH_S)
        return min(deadlines, default=float("inf"))

    def step(self, free_at: float, newest: int) -> list[Fault | Noise]:
        """Borrow when it is due; let time pass in a conversation. `newest`: the last record understood."""
        now = self._monotonic()
        if self._step is Step.RESTING:
            if self._may() and self.polling.is_due() and now >= free_at + QUIET_S:
                self._wanted_since = now if self._wanted_since is None else self._wanted_since
                self._step = Step.ASKED
                self._tell(wire.encode(wire.BORROW, newest))
            return []
        seen = []
        if self._reader.pending and now >= self._heard_at + QUIET_BEFORE_FLUSH_S:
            seen = self._reader.flush()
        return [*self._hear(seen), *self._act(self._talk.tick(now))]

    def heard(self, message: wire.Message) -> list[Fault | Noise]:
        """LENT, ANSWER or OVER of the relay's; what of it a person should see."""
        now = self._monotonic()
        if message.kind == wire.LENT and self._step is not Step.ASKED:
            self._tell(wire.encode(wire.GIVE_BACK))  # we took it for refused
        elif message.kind == wire.LENT:
            self._step, self._wanted_since, self._heard_at = Step.TALKING, None, now
            return self._act(self._talk.ask_journal(self.polling.question(), now))
        elif message.kind == wire.ANSWER and self._step is Step.TALKING:
            self._heard_at = now
            return self._hear(self._reader.feed(message.payload))
        elif message.kind == wire.OVER and self._step is not Step.RESTING:
            known = message.number in set(Over)  # a newer relay may have more reasons
            how = Over(message.number) if known else Over.CUT_OFF
            self._over(how, message.payload.decode("utf-8", "replace"))
        return []

    def post(self) -> bool:
        """Write down what rows led to; True when there were some. LedgerError: they are asked for again."""
        rows, self._rows = self._rows, None
        if rows is not None:
            self.polling.answered(rows)
        return rows is not None

    def _may(self) -> bool:
        return self.can_lend and not self.suspended

    def _over(self, how: Over, why: str) -> None:
        self._log.info("line not lent", how=how.name.lower(), why=why)
        self._reset()
        if how is Over.UNREACHABLE:
            self.polling.refused(JournalRefused(why))
        else:
            self.polling.later(AGAIN_S)

    def _reset(self) -> None:
        if self._talk.busy:
            self._talk.link_lost(self._monotonic())
        self._reader = Reader()
        self._step = Step.RESTING

    def _hear(self, seen: list[Frame | Noise]) -> list[Fault | Noise]:
        told: list[Fault | Noise] = []
        for each in seen:
            told += [each] if isinstance(each, Noise) else []
            told += self._act(self._talk.feed(each, self._monotonic()))
        return told

    def _act(self, outputs: list[dialogue.Output]) -> list[Fault | Noise]:
        """Say what is to be said, and give the line back when all is said."""
        for output in outputs:
            if isinstance(output, dialogue.Send):
                self._tell(wire.encode(wire.ASK, 0, output.data))
        if self._step is Step.TALKING and not self._talk.busy:
            self._tell(wire.encode(wire.GIVE_BACK))
            self._reset()
        faults: list[Fault | Noise] = []
        for output in outputs:
            match output:
                case JournalRows():
                    self._rows = output
                case JournalRefused():
                    self.polling.refused(output)
                case Fault(code, _) if code != REFUSED_THRICE:  # busy, or without this question
                    faults.append(output)
                case _:
                    pass  # a question for a list has no other outcome
        return faults
