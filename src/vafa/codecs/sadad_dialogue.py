"""The conversation with a Sadad terminal, as a cash register leads it: frames and seconds in, outputs out.

    we        INM ......... REQUEST ...................... ACK (after the caller's commit)
    terminal  ......... ACK ......... ACK .... RESPONSE ..........

The one question that matters is whether a card may have been charged. Until the REQUEST leaves, none was:
whatever breaks is TIMED_OUT. Once it has left, only the terminal's own word ends the sale: a RESPONSE (paid
or declined), an EOT (the customer cancelled) or NACKs (never taken). Silence and a lost line are UNSURE, and
the terminal's journal is asked later. So an INM is repeated on silence, a REQUEST only on a NACK: a repeated
REQUEST could charge twice. For the same reason a NACK that may belong to a repeated INM repeats nothing.

A RESPONSE is told first and acknowledged by `acknowledge`, which the caller calls when its commit is durable,
or after 300 ms at the latest. A terminal that got no ACK sends the RESPONSE again: that is a Repeat. A
RESPONSE nobody waits for is Late, and tells of a payment like any other. Both are to be acknowledged too.

Journal rows and cards are asked the same way. They move no money and can be asked again, so their answers are
acknowledged at once. Times are seconds of a monotonic clock. Source: "PcPos Protocol" v1.5, section 2.
"""

from collections import deque
from enum import Enum
from typing import NamedTuple

from msgspec.structs import replace

from vafa.codecs.sadad_fields import (
    AMOUNT_DIFFERS,
    REFUSED_THRICE,
    UNEXPECTED,
    UNREADABLE,
    WRONG_TERMINAL,
    id_of,
)
from vafa.codecs.sadad_frames import EOT, INM, SADAD2, Frame, FrameType, Noise, ack_bytes, encode
from vafa.codecs.sadad_messages import (
    Ask,
    CardInfo,
    CardInfoRequest,
    Fault,
    JournalAnswer,
    JournalRequest,
    JournalRow,
    Malformed,
    NotPaid,
    SaleRequest,
    SaleResponse,
    Tokenise,
    card_info_frame,
    journal_request_frame,
    payment_of,
    read_answer,
    read_message,
    sale_request_frame,
)
from vafa.codecs.sadad_outputs import (
    CardRefused,
    CardSeen,
    JournalRefused,
    JournalRows,
    Late,
    Output,
    Repeat,
    SaleDone,
    Send,
    Taken,
)
from vafa.model.events import SaleOutcome
from vafa.model.payment import Payment

__all__ = [
    "NEXT", "CardRefused", "CardSeen", "Dialogue", "Fault", "JournalRefused", "JournalRows", "Late", "Output",
    "Repeat", "SaleDone", "Seen", "Send", "State", "Taken",
]  # fmt: skip

TRIES_MAX = 3  # INM and REQUEST, the document's figure
INM_ANSWER_S = 5.0
REQUEST_ANSWER_S = 15.0  # the document's 5 s x 3, of which we use the time but not the repeats
RESPONSE_S = 180.0  # the customer finds the card and types the PIN
JOURNAL_ANSWER_S = 15.0  # no customer is involved
CANCEL_ANSWER_S = 15.0
_UNSURE_KEPT_MAX = 8


class State(Enum):
    """Where a conversation stands."""

    IDLE = "idle"
    ASKED = "asked"  # INM sent
    REQUESTED = "requested"  # REQUEST sent: from here on a card may be charged
    PAYING = "paying"  # the terminal took the REQUEST
    CANCELLING = "cancelling"  # we sent EOT after the REQUEST; the terminal has the last word


class Seen(Enum):
    """What can happen. SILENCE: the deadline passed. GIVEN_UP: a NACK or silence with no try left."""

    ACK = "ACK"
    NACK = "NACK"
    EOT = "EOT"
    RESPONSE = "RESPONSE"
    SILENCE = "silence"
    GIVEN_UP = "given up"
    CANCEL = "cancel"
    LINK_LOST = "link lost"


class Move(NamedTuple):
    """Where to go, and how a sale ends there; `outcome` None: it goes on, or its RESPONSE tells."""

    to: State
    outcome: SaleOutcome | None = None
    why: str = ""


_NOT_TAKEN = "the terminal does not answer; nothing was charged"
_LOST_BEFORE = "the line to the terminal was lost before the request; nothing was charged"
_LOST_AFTER = "the line to the terminal was lost after the request; the card may be charged"
_NO_WORD = "the terminal fell silent after the request; the card may be charged"
_CUSTOMER = "cancelled at the terminal"

NEXT: dict[tuple[State, Seen], Move] = {
    (State.ASKED, Seen.ACK): Move(State.REQUESTED),
    (State.ASKED, Seen.NACK): Move(State.ASKED),  # INM again
    (State.ASKED, Seen.SILENCE): Move(State.ASKED),  # INM again
    (State.ASKED, Seen.GIVEN_UP): Move(State.IDLE, SaleOutcome.TIMED_OUT, _NOT_TAKEN),
    (State.ASKED, Seen.EOT): Move(State.IDLE, SaleOutcome.CANCELLED, _CUSTOMER),
    (State.ASKED, Seen.CANCEL): Move(State.IDLE, SaleOutcome.CANCELLED, "cancelled before the request"),
    (State.ASKED, Seen.LINK_LOST): Move(State.IDLE, SaleOutcome.TIMED_OUT, _LOST_BEFORE),
    (State.REQUESTED, Seen.ACK): Move(State.PAYING),
    (State.REQUESTED, Seen.NACK): Move(State.REQUESTED),  # REQUEST again: a NACK says it was not taken
    (State.REQUESTED, Seen.GIVEN_UP): Move(
        State.IDLE, SaleOutcome.TIMED_OUT, "the terminal refused the request; nothing was charged"
    ),
    (State.REQUESTED, Seen.RESPONSE): Move(State.IDLE),  # its ACK was lost
    (State.REQUESTED, Seen.EOT): Move(State.IDLE, SaleOutcome.CANCELLED, _CUSTOMER),
    (State.REQUESTED, Seen.SILENCE): Move(State.IDLE, SaleOutcome.UNSURE, _NO_WORD),
    (State.REQUESTED, Seen.CANCEL): Move(State.CANCELLING),
    (State.REQUESTED, Seen.LINK_LOST): Move(State.IDLE, SaleOutcome.UNSURE, _LOST_AFTER),
    (State.PAYING, Seen.RESPONSE): Move(State.IDLE),
    (State.PAYING, Seen.EOT): Move(State.IDLE, SaleOutcome.CANCELLED, _CUSTOMER),
    (State.PAYING, Seen.SILENCE): Move(State.IDLE, SaleOutcome.UNSURE, _NO_WORD),
    (State.PAYING, Seen.CANCEL): Move(State.CANCELLING),
    (State.PAYING, Seen.LINK_LOST): Move(State.IDLE, SaleOutcome.UNSURE, _LOST_AFTER),
    (State.CANCELLING, Seen.ACK): Move(State.CANCELLING),  # of the REQUEST or of our EOT: proves nothing
    (State.CANCELLING, Seen.NACK): Move(State.CANCELLING),  # the same
    (State.CANCELLING, Seen.EOT): Move(State.IDLE, SaleOutcome.CANCELLED, "cancelled"),
    (State.CANCELLING, Seen.RESPONSE): Move(State.IDLE),  # the customer was faster
    (State.CANCELLING, Seen.SILENCE): Move(State.IDLE, SaleOutcome.UNSURE, _NO_WORD),
    (State.CANCELLING, Seen.LINK_LOST): Move(State.IDLE, SaleOutcome.UNSURE, _LOST_AFTER),
}

_ANSWER_UNREADABLE = Move(State.IDLE, SaleOutcome.UNSURE, "the terminal's answer could not be read")

_SEEN = {
    FrameType.ACK: Seen.ACK, FrameType.NACK: Seen.NACK, FrameType.EOT: Seen.EOT,
    FrameType.RESPONSE: Seen.RESPONSE,
}  # fmt: skip


class Dialogue:
    """One terminal's conversation. Commands need `busy` False; inputs may come at any time.

    terminal_id  the configured one; a RESPONSE by another is a Fault
    tokenise     what stands for a card number in a reference or order id; masked without it
    pay_s        how long the customer may take
    """

    def __init__(self, terminal_id: str, tokenise: Tokenise | None = None, pay_s: float = RESPONSE_S) -> None:
        self.terminal_id, self._pay_s = terminal_id, pay_s
        self.state = State.IDLE
        self.deadline: float | None = None
        self._tokenise = tokenise
        self._asked: SaleRequest | Ask | None = None
        self._request = b""
        self._tries = self._function_answered = 0  # the latter a hash: its repetition is no news
        self._answers_open = 0  # INMs sent and not answered yet: an answer may still come
        self._ack_owed: str | None = None  # the version to answer in
        self._answered: SaleResponse | None = None
        self._answered_payment: Payment | None = None
        self._unsure_amounts: deque[int] = deque(maxlen=_UNSURE_KEPT_MAX)

    @property
    def busy(self) -> bool:
        """True from a command until what it asked for has ended."""
        return self.state is not State.IDLE

    # Commands

    def sell(self, request: SaleRequest, now: float) -> list[Output]:
        """Asks for a payment. ValueError when the request does not fit the wire; nothing is sent then."""
        return self._begin(request, encode(sale_request_frame(request)), now)

    def ask_card(self, now: float) -> list[Output]:
        """Asks for a card without a sale."""
        return self._begin(CardInfoRequest(), encode(card_info_frame()), now)

    def ask_journal(self, request: JournalRequest, now: float) -> list[Output]:
        """Asks for the terminal's last transactions. ValueError for a count it cannot have."""
        return self._begin(request, encode(journal_request_frame(request)), now)

    def cancel(self, now: float) -> list[Output]:
        """Takes back what was asked; a sale under way ends by the terminal's word. Nothing asked: nothing."""
        if self.state in (State.IDLE, State.CANCELLING):
            return []
        if not isinstance(self._asked, SaleRequest):
            return [Send(encode(EOT)), *self._end(Move(State.IDLE, SaleOutcome.CANCELLED, "cancelled"))]
        return [Send(encode(EOT)), *self._happened(Seen.CANCEL, now)]

    def acknowledge(self, now: float) -> list[Output]:  # noqa: ARG002  the shape all inputs have
        """The ACK of the last RESPONSE, once; call it when the commit is durable."""
        version, self._ack_owed = self._ack_owed, None
        return [] if version is None else [Send(ack_bytes(version))]

    # Inputs

    def feed(self, seen: Frame | Noise, now: float) -> list[Output]:
        """One thing the reader saw. Noise changes nothing: whoever missed an answer repeats or waits."""
        if isinstance(seen, Noise):
            return []
        if seen.type is FrameType.RESPONSE:
            return self._function_answer(seen) if seen.version == SADAD2 else self._sale_answer(seen)
        event = _SEEN.get(seen.type)
        if self._answers_open and self._may_answer_an_inm(event):
            self._answers_open -= 1
            return []
        if event is None or (self.state, event) not in NEXT:
            return [Fault(UNEXPECTED, f"the terminal sent {seen.type.name} while {self.state.value}")]
        if event is Seen.NACK and self.state is not State.CANCELLING and self._tries >= TRIES_MAX:
            given_up = self._happened(Seen.GIVEN_UP, now)
            return [*given_up, Fault(REFUSED_THRICE, f"the terminal refused {TRIES_MAX} times")]
        return self._happened(event, now)

    def _may_answer_an_inm(self, event: Seen | None) -> bool:
        """An ACK is rather the REQUEST's (an INM was lost); a NACK must not be: that would repeat it."""
        return (self.state, event) in ((State.REQUESTED, Seen.NACK), (State.PAYING, Seen.ACK))

    def tick(self, now: float) -> list[Output]:
        """Time passed. Call it at `deadline`, or as often as you like."""
        if self.deadline is None or now < self.deadline:
            return []
        tries_used_up = self.state is State.ASKED and self._tries >= TRIES_MAX
        return self._happened(Seen.GIVEN_UP if tries_used_up else Seen.SILENCE, now)

    def link_lost(self, now: float) -> list[Output]:
        """The port or socket is gone. An ACK still owed is void: the terminal will repeat or tell."""
        self._ack_owed = None
        return self._happened(Seen.LINK_LOST, now) if self.busy else []

    # The machine

    def _begin(self, asked: SaleRequest | Ask, request: bytes, now: float) -> list[Output]:
        assert not self.busy, "one question at a time; look at `busy` first"
        self._asked, self._request = asked, request
        return self._enter(State.ASKED, now)

    def _happened(self, event: Seen, now: float) -> list[Output]:
        move = NEXT[self.state, event]
        if move.to is State.IDLE:
            return self._end(move)
        if self.state is State.CANCELLING:
            return []  # its deadline stands
        if self.state is State.ASKED and event in (Seen.ACK, Seen.NACK):
            self._answers_open -= 1
        return self._enter(move.to, now)

    def _enter(self, state: State, now: float) -> list[Output]:
        """What is said on entering (or re-entering) a state, and how long an answer may take."""
        self._tries = self._tries + 1 if state is self.state else 1
        self.state = state
        match state:
            case State.ASKED:
                self._answers_open += 1
                self.deadline = now + INM_ANSWER_S
                return [Send(encode(INM))]
            case State.REQUESTED:
                self.deadline = now + REQUEST_ANSWER_S
                return [Send(self._request)]
            case State.PAYING:
                journal = isinstance(self._asked, JournalRequest)
                self.deadline = now + (JOURNAL_ANSWER_S if journal else self._pay_s)
                return [Taken()] if isinstance(self._asked, SaleRequest) else []
            case State.CANCELLING:
                self.deadline = now + CANCEL_ANSWER_S
                return []
            case State.IDLE:
                raise AssertionError("a conversation ends in _end")

    def _end(self, move: Move) -> list[Output]:
        """The end that the table names, in the words of what was asked."""
        heard = self.state is not State.ASKED and move.why != _LOST_AFTER
        match self._leave():
            case SaleRequest(amount=amount):
                assert move.outcome is not None
                if move.outcome is SaleOutcome.UNSURE:
                    self._unsure_amounts.append(amount)
                return [SaleDone(move.outcome, text=move.why)]
            case CardInfoRequest():
                return [CardRefused(_harmless(move.why))]
            case JournalRequest():
                return [JournalRefused(_harmless(move.why), by_terminal=heard)]
            case None:
                raise AssertionError("nothing was asked")

    def _leave(self) -> SaleRequest | Ask | None:
        asked, self._asked = self._asked, None
        self.state, self.deadline, self._request = State.IDLE, None, b""
        self._tries = self._answers_open = 0
        return asked

    # Answers

    def _sale_answer(self, frame: Frame) -> list[Output]:
        """A RESPONSE to a sale: ours, the last one again, or a late one. The ACK waits for `acknowledge`."""
        self._ack_owed = frame.version
        response = read_message(frame, self._tokenise)
        expected = isinstance(self._asked, SaleRequest) and (self.state, Seen.RESPONSE) in NEXT
        if not isinstance(response, SaleResponse):
            why = response.why if isinstance(response, Malformed) else "no sale response"
            unreadable = Fault(UNREADABLE, f"a RESPONSE could not be read: {why}")
            return [*(self._end(_ANSWER_UNREADABLE) if expected else ()), unreadable]
        payment, faults = self._judge(response)
        if response == self._answered and (not expected or _has_identity(response)):
            return [Repeat(self._answered_payment)]
        if not expected or self._is_of_an_earlier_sale(response):
            self._answered, self._answered_payment = response, payment
            if response.amount in self._unsure_amounts:
                self._unsure_amounts.remove(response.amount)
            return [Late(payment, response.response, response.text), *faults]
        return self._sale_answered(response, payment, faults)

    def _judge(self, response: SaleResponse) -> tuple[Payment | None, list[Output]]:
        found = payment_of(response, self.terminal_id)
        match found:
            case Payment():
                return found, []
            case NotPaid():
                return None, []
            case Fault():
                return None, [found]

    def _is_of_an_earlier_sale(self, response: SaleResponse) -> bool:
        """True when the amount is not ours but that of a sale that ended UNSURE before."""
        assert isinstance(self._asked, SaleRequest)
        return response.amount != self._asked.amount and response.amount in self._unsure_amounts

    def _sale_answered(
        self, response: SaleResponse, payment: Payment | None, faults: list[Output]
    ) -> list[Output]:
        request = self._leave()
        assert isinstance(request, SaleRequest)
        if payment is not None:
            if response.amount != request.amount:
                message = f"asked for {request.amount:,} rials, the terminal took {response.amount:,}"
                faults = [*faults, Fault(AMOUNT_DIFFERS, message)]
            outcome = SaleOutcome.APPROVED
            payment = replace(payment, order_id=id_of(request.order_id, self._tokenise))
        elif response.response and not response.approved:
            outcome = SaleOutcome.DECLINED
        else:
            outcome = SaleOutcome.UNSURE
            self._unsure_amounts.append(request.amount)
            faults = faults or [Fault(UNREADABLE, "the terminal answered without a response code")]
        self._answered, self._answered_payment = response, payment
        return [SaleDone(outcome, response.response, payment, response.text), *faults]

    def _function_answer(self, frame: Frame) -> list[Output]:
        """Journal rows or a card: acknowledged at once, since they can be asked again."""
        ack = Send(ack_bytes(frame.version))
        asked = self._asked
        if asked is None or isinstance(asked, SaleRequest) or (self.state, Seen.RESPONSE) not in NEXT:
            unexpected = Fault(UNEXPECTED, f"an answer to what was not asked, while {self.state.value}")
            return [ack] if hash(frame.data) == self._function_answered else [ack, unexpected]
        self._function_answered = hash(frame.data)
        answer = read_answer(frame.data, self._tokenise)
        if isinstance(asked, CardInfoRequest) and isinstance(answer, CardInfo):
            self._leave()
            return [ack, *self._card_seen(answer)]
        if isinstance(asked, JournalRequest) and isinstance(answer, JournalAnswer):
            self._leave()
            rows = tuple(row for row in answer.rows if isinstance(row, JournalRow))
            bad = [Fault(UNREADABLE, f"journal: {r.why}") for r in answer.rows if isinstance(r, Malformed)]
            return [ack, JournalRows(rows, answer.with_order_ids, len(bad)), *bad]
        why = answer.why if isinstance(answer, Malformed) else "the terminal answered another question"
        return [ack, *self._end(Move(State.IDLE, None, why)), Fault(UNREADABLE, why)]

    def _card_seen(self, info: CardInfo) -> list[Output]:
        if info.terminal_id and info.terminal_id != self.terminal_id:
            why = f"terminal {info.terminal_id} answered where {self.terminal_id} is configured"
            return [CardRefused(why), Fault(WRONG_TERMINAL, why)]
        return [CardSeen(info)]


def _has_identity(response: SaleResponse) -> bool:
    """False for a bare "no" without number or time: two of them in a row can be two answers."""
    return bool(response.rrn or (response.trace.strip("0") and response.paid_at))


def _harmless(why: str) -> str:
    """A sale's words for a question that moves no money."""
    return why.split(";", maxsplit=1)[0]
