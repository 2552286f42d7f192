"""A pretend Sadad terminal: bytes and seconds in, bytes out; no thread, no port, no clock of its own.

    IDLE --REQUEST--> PAYING --customer--> ANSWERING --ACK, or tries used up--> IDLE

The customer pays, declines, cancels or walks away as told (`next`), `pay_after_s` after the request. What was
approved stands in the journal whether or not the answer ever arrives: that is what a cash register has to
cope with. Times are seconds of a monotonic clock; `wall` tells UTC seconds for paper and journal.

Where the vendor's document is silent: an INM that comes while an answer waits for its ACK ends that wait; an
EOT from the cash register before the card is answered with EOT; a busy terminal is silent (`busy="nack"`
makes it refuse).
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from random import Random
from threading import RLock

from vafa.model.errors import Refused
from vafa.simulators import sadad_bytes as wire
from vafa.simulators.deck import Card, deck
from vafa.simulators.faults import Faults
from vafa.simulators.iran_system import decode_lines
from vafa.simulators.line_trouble import Drop, LineTrouble
from vafa.simulators.sadad_records import SALE_ROW, ZONE, Record, remember

RESPONSE_WAITS_S = (180.0, 5.0, 5.0)  # the document's figures: how long each sending waits for its ACK
SPLIT_GAP_S = 0.03
CARD_PROMPT_S = 60.0  # a terminal nobody shows a card to goes back to idle, and says nothing
_OTHER_TID = "99999999"


class State(Enum):
    """Where the terminal stands in its conversation."""

    IDLE = "idle"
    PAYING = "a customer is paying"
    ANSWERING = "waiting for the ACK"


@dataclass(frozen=True)
class Outcome:
    """What the next customer does. `end`: approve, decline, cancel (EOT) or never (walks away)."""

    end: str = "approve"
    code: str = "51"
    text: str = "موجودی کافی نیست"
    card: int | None = None


OUTCOMES = ("approve", "decline", "cancel", "never")
APPROVE = Outcome()


@dataclass(frozen=True)
class Slip:
    """An approved sale's paper: the facts, and the lines the cash register asked to print."""

    terminal_id: str
    amount: int
    trace: int
    rrn: str
    card: str
    at: int
    lines: tuple[str, ...] = ()


class Terminal:
    """One terminal. Methods may be called from several threads."""

    def __init__(
        self,
        *,
        tid: str = "40217736",
        mid: str = "000000140332591",
        cards: Sequence[Card] | None = None,
        pay_after_s: float = 0.0,
        busy: str = "silent",
        response_waits_s: Sequence[float] = RESPONSE_WAITS_S,
        state_path: Path | None = None,
        seed: int = 1,
        wall: Callable[[], float] = time.time,
        tail: bytes = b"",
    ) -> None:
        """`tail` follows every message: 0A on serial, nothing on TCP."""
        self.tid, self.mid, self.tail = tid, mid, tail
        self.cards = tuple(cards) if cards else deck(20, seed)
        self.pay_after_s, self.busy, self.response_waits_s = pay_after_s, busy, tuple(response_waits_s)
        self.memory, self.faults = remember(state_path), Faults()
        self.slips: list[Slip] = []
        self.state = State.IDLE
        self.outcomes: deque[Outcome] = deque()
        self.sales_asked = 0
        self.on_slip: Callable[[Slip], None] = lambda _slip: None
        self.say: Callable[[str], None] = lambda _text: None
        self._wall, self._lock = wall, RLock()
        self._customers, self._random = Random(seed), Random(seed)  # noqa: S311 - not secret
        self._splitter = wire.Splitter()
        self._out: list[tuple[float, bytes]] = []
        self._ask: wire.SaleAsk | None = None  # None while PAYING: the card is asked for its hash only
        self._ready_at: float | None = None
        self._card: Card | None = None
        self._answer = b""
        self._waits: deque[float] = deque()
        self.line_trouble = LineTrouble(self.faults, self._random)

    # --- for people: keypad, script, paper -----------------------------------------------------------

    @property
    def journal(self) -> list[Record]:
        """The stored transactions, oldest first."""
        return list(self.memory.rows)

    def key_sale(self, amount: int, card: int | None = None, kind: str = SALE_ROW) -> Record:
        """A sale of `amount` rials keyed at the terminal itself: nothing on the wire, only the journal."""
        with self._lock:
            if self.state is State.PAYING:
                raise Refused("a customer is paying at the terminal", fix="try again when they are done")
            record = self._approve(amount, self._pick(card), kind, "", keyed=True)
            self._print(record, ())
            return record

    def next(
        self, end: str, *, code: str = "51", text: str = "موجودی کافی نیست", card: int | None = None
    ) -> None:
        """Queue what the next customer does; when the queue is empty they approve."""
        if end not in OUTCOMES:
            raise Refused(f"no outcome is called {end!r}", fix=f"one of: {', '.join(OUTCOMES)}")
        if card is not None:
            self._pick(card)
        with self._lock:
            self.outcomes.append(Outcome(end, code, text, card))

    def fault(self, name: str, times: int = 1, from_sale: int = 0) -> None:
        """Arm a fault; see `faults.FAULTS`."""
        with self._lock:
            self.faults.arm(name, times, from_sale)

    def use_card(self, number: int) -> None:
        """From now on every customer uses card `number` of the deck."""
        self.cards = (self._pick(number),)

    # --- for a line: bytes and seconds -----------------------------------------------------------------

    def feed(self, data: bytes, now: float) -> bytes:
        """Bytes from the cash register in, bytes to send out."""
        with self._lock:
            for message in self._splitter.feed(self.line_trouble.hears(data, self.sales_asked), now):
                self._hear(message, now)
            return self.step(now)

    def step(self, now: float) -> bytes:
        """Let time pass; bytes to send."""
        with self._lock:
            if self._ready_at is not None and now >= self._ready_at and not self.line_trouble.is_cut:
                if self.state is State.PAYING:
                    self._customer_acts(now)
                elif self.state is State.ANSWERING:
                    self._send_answer(now)
            due = [data for at, data in self._out if at <= now]
            self._out = [(at, data) for at, data in self._out if at > now]
            return self.line_trouble.says(b"".join(due), now, self.sales_asked)

    def link_lost(self) -> None:
        """The line went: half-heard and half-said messages are gone. A customer at the keypad goes on."""
        with self._lock:
            self._splitter.clear()
            self._out.clear()
            self.line_trouble.lost()

    def take_drop(self) -> Drop | None:
        """How the line is to end, once, when a fault wants it cut."""
        with self._lock:
            return self.line_trouble.take_drop()

    # --- the conversation ------------------------------------------------------------------------------

    def _hear(self, message: wire.Message, now: float) -> None:
        match message.kind:
            case _ if not message.intact:
                self._send(wire.build(message.version, wire.NACK), now)
            case wire.INM:
                self._hear_inm(message, now)
            case wire.REQUEST:
                self._hear_request(message, now)
            case wire.ACK if self.state is State.ANSWERING:
                self.say("the cash register has the answer")
                self._finish()
            case wire.NACK if self.state is State.ANSWERING:
                self._send_answer(now)
            case wire.EOT if self.state is State.PAYING:
                self.say("the cash register cancelled")
                if self.outcomes and self.outcomes[0].end == "gone":
                    self.outcomes.popleft()
                self._finish()
                self._send(wire.build(message.version, wire.EOT), now)

    def _hear_inm(self, message: wire.Message, now: float) -> None:
        if self.state is State.PAYING:
            self._refuse_busy(message, now)
        elif not self.faults.use("deaf", self.sales_asked + 1):
            self._finish()
            self._send(wire.build(message.version, wire.ACK), now)

    def _refuse_busy(self, message: wire.Message, now: float) -> None:
        if self.busy == "nack":
            self._send(wire.build(message.version, wire.NACK), now)

    def _hear_request(self, message: wire.Message, now: float) -> None:
        if self.state is State.PAYING:
            self._refuse_busy(message, now)
            return
        sale = wire.read_sale(message.data) if message.version == wire.PLAIN else None
        ask = wire.read_ask(message.data) if message.version == wire.LISTS else None
        known = ask is not None and ask.function in ("0001", "0003", "0013")
        if (sale is None and not known) or self.faults.use("nack", self.sales_asked + 1):
            self._send(wire.build(message.version, wire.NACK), now)
            return
        self._send(wire.build(message.version, wire.ACK), now)
        if sale is not None:
            self._start_sale(sale, now)
        elif ask is not None and ask.function == "0003":
            self.say("asks for a card")
            self._ask, self.state, self._ready_at = None, State.PAYING, now + self.pay_after_s
        elif ask is not None:
            self._list_rows(ask, now)

    def _start_sale(self, sale: wire.SaleAsk, now: float) -> None:
        self.sales_asked += 1
        self.say(f"asks for {sale.amount:,} rials")
        self._ask, self.state, self._ready_at = sale, State.PAYING, now + self.pay_after_s
        if self.faults.use("drop-link", self.sales_asked):
            self.line_trouble.cut()

    def _list_rows(self, ask: wire.Ask, now: float) -> None:
        rows = self.memory.newest(int(ask.payload[:2] or 0), ask.payload[2:3])
        self.say(f"lists its last {len(rows)} transactions")
        function = "0002" if ask.function == "0001" else "0014"
        self._reply(wire.rows_response(function, [record.row for record in rows]), now)

    # --- the customer ----------------------------------------------------------------------------------

    def _customer_acts(self, now: float) -> None:
        if self._ask is None:
            self._card = self._pick(self.outcomes[0].card if self.outcomes else None)
            card = self._card
            self._reply(wire.card_info_response(card.sha256_hex, self.tid, self.mid, card.short_mask), now)
            return
        outcome = self.outcomes.popleft() if self.outcomes else APPROVE
        match outcome.end:
            case "never":
                self.outcomes.appendleft(Outcome("gone"))
                self._ready_at = now + CARD_PROMPT_S
                self.say("the customer walked away")
            case "gone":
                self._finish()
            case "cancel":
                self.say("the customer cancelled")
                self._finish()
                self._send(wire.build(wire.PLAIN, wire.EOT), now)
            case _:
                self._settle(self._ask, outcome, now)

    def _settle(self, ask: wire.SaleAsk, outcome: Outcome, now: float) -> None:
        """The card is in: journal first, then paper, then the answer, if no fault swallows it."""
        card = self._seen_card(ask, outcome)
        if outcome.end == "approve":
            record = self._approve(ask.amount, card, SALE_ROW, ask.order_id, keyed=False)
            self._print(record, tuple(decode_lines(ask.optional.get(6, b""))))
        else:
            record = self._record(ask.amount, card, outcome.code, "", ask.order_id)
            self.say(f"declined, code {outcome.code}")
        if self.faults.use("silence-after-request", self.sales_asked):
            self.say("says nothing of it to the cash register")
            self._finish()
            return
        self._reply(self._sale_answer(record, card, "" if record.approved else outcome.text), now)

    def _seen_card(self, ask: wire.SaleAsk, outcome: Outcome) -> Card:
        """The card of this sale: scripted, or the one whose hash was asked for, or the next of the deck."""
        wanted = ask.optional.get(4, b"").decode("ascii", "replace").strip("\0 ").lower()
        named = next((card for card in self.cards if card.sha256_hex == wanted), None)
        held, self._card = self._card, None
        if outcome.card is not None:
            return self._pick(outcome.card)
        return named or held or self._pick(None)

    def _pick(self, number: int | None) -> Card:
        if number is None:
            return self._customers.choice(self.cards)
        if not 0 <= number < len(self.cards):
            raise Refused(f"there is no card {number}", fix=f"cards are 0 to {len(self.cards) - 1}")
        return self.cards[number]

    def _approve(self, amount: int, card: Card, kind: str, order_id: str, *, keyed: bool) -> Record:
        record = self._record(amount, card, "00", self.memory.next_rrn(), order_id, kind, keyed=keyed)
        self.say(f"approved {amount:,} rials, trace {record.trace:06d}, RRN {record.rrn}")
        return record

    def _record(
        self,
        amount: int,
        card: Card,
        code: str,
        rrn: str,
        order_id: str,
        kind: str = SALE_ROW,
        *,
        keyed: bool = False,
    ) -> Record:
        at = int(self._wall())
        trace = self.memory.next_trace()
        record = Record(kind, amount, trace, at, card.short_mask, rrn, code, order_id, keyed)
        self.memory.keep(record)
        return record

    def _print(self, record: Record, lines: tuple[str, ...]) -> None:
        slip = Slip(self.tid, record.amount, record.trace, record.rrn, record.card, record.at, lines)
        self.slips.append(slip)
        self.on_slip(slip)

    def _sale_answer(self, record: Record, card: Card, text: str) -> bytes:
        sale = self.sales_asked
        answer = wire.SaleAnswer(
            code=record.code,
            amount=record.amount,
            card=card.number if self.faults.use("full-pan", sale) else card.mask,
            trace=f"{record.trace:06d}",
            at=datetime.fromtimestamp(record.at, ZONE),
            rrn="" if self.faults.use("no-rrn", sale) else record.rrn,
            terminal_id=_OTHER_TID if self.faults.use("wrong-tid", sale) else self.tid,
            merchant_id=self.mid,
            text=text,
        )
        if self._ask is not None:
            answer = replace(answer, processing=self._ask.processing)
        return wire.sale_response(answer)

    # --- sending ---------------------------------------------------------------------------------------

    def _reply(self, answer: bytes, now: float) -> None:
        """Send `answer` and repeat it until it is acknowledged or the tries are used up."""
        self._answer, self._waits, self.state = answer, deque(self.response_waits_s), State.ANSWERING
        self._send_answer(now)

    def _send_answer(self, now: float) -> None:
        if not self._waits:
            self.say("got no ACK and gives up")
            self._finish()
            return
        self._ready_at = now + self._waits.popleft()
        if self.faults.use("lost-answer", self.sales_asked):
            return
        bad = self.faults.use("bad-lrc", self.sales_asked)
        answer = self._answer[:-1] + bytes([self._answer[-1] ^ 0x55]) if bad else self._answer
        self._send(answer, now)
        if self.faults.use("repeat-response", self.sales_asked):
            self._send(answer, now)

    def _send(self, message: bytes, now: float) -> None:
        data, at = message + self.tail, max([now, *(at for at, _ in self._out)])
        if self.faults.use("noise", self.sales_asked):
            data = self._random.randbytes(self._random.randint(1, 12)) + data
        if not self.faults.use("split", self.sales_asked):
            self._out.append((at, data))
            return
        while data:
            size = self._random.randint(1, 40)
            self._out.append((at, data[:size]))
            data, at = data[size:], at + SPLIT_GAP_S

    def _finish(self) -> None:
        self.state, self._ready_at, self._answer = State.IDLE, None, b""
        self._waits.clear()
