"""What a Sadad line in mode `proxy` tells: both directions decoded, the request joined to its response.

The response is the payment. The request before it brings what the response lacks: the cash register's order
id, and which kind of sale it was where the terminal does not say. A card asked for before the sale brings its
hash. Reading may begin anywhere, in the middle of a frame too: the first good frame is found.

`needed_from` is the oldest record that must be heard again after a crash: one that holds the beginning of an
unfinished frame, or the request of a sale that has no answer yet.
"""

from collections import deque
from typing import assert_never

from msgspec.structs import replace

from vafa.app.exchange import Exchange
from vafa.codecs.sadad_fields import AMOUNT_DIFFERS, UNREADABLE, Fault, Malformed, NotPaid, Tokenise
from vafa.codecs.sadad_frames import QUIET_BEFORE_FLUSH_S, SADAD, Frame, FrameType, Noise, Reader
from vafa.codecs.sadad_journal import CardInfo
from vafa.codecs.sadad_messages import payment_of, read_message
from vafa.codecs.sadad_sale import SaleRequest, SaleResponse
from vafa.model.pan import CardHint
from vafa.model.payment import Payment
from vafa.ports.relay_wire import TO_REGISTER, TO_TERMINAL

SALE_KEPT_S = 300.0  # a request without an answer for so long stays without one: nobody pays that slowly

Heard = Payment | Fault | Noise


class Direction:
    """One direction's reader, and which records the bytes it still holds came in."""

    def __init__(self) -> None:
        self._reader = Reader()
        self._fed = 0
        self._ends: deque[tuple[int, int]] = deque()  # (record, position after its last byte)
        self._fed_at = 0.0

    @property
    def needed_from(self) -> int | None:
        """The oldest record with bytes that may become a frame."""
        return self._ends[0][0] if self._ends else None

    @property
    def quiet_at(self) -> float | None:
        """When held bytes are given up if nothing follows."""
        return self._fed_at + QUIET_BEFORE_FLUSH_S if self._reader.pending else None

    def feed(self, number: int, data: bytes, now: float) -> list[Frame | Noise]:
        """What record `number` completes."""
        self._fed += len(data)
        self._fed_at = now
        self._ends.append((number, self._fed))
        seen = self._reader.feed(data)
        while self._ends and self._ends[0][1] <= self._fed - self._reader.held_bytes:
            self._ends.popleft()
        return seen

    def flush(self) -> list[Frame | Noise]:
        """What was held, for a line that went quiet or was cut."""
        self._ends.clear()
        return self._reader.flush()


class Overheard:
    """One terminal's line. Feed it the relay's records in order; it never raises.

    doing     what the terminal is at, in words for `status`
    exchange  whether the line is in the middle of something
    """

    def __init__(self, terminal_id: str, tokenise: Tokenise) -> None:
        self._terminal_id = terminal_id
        self._tokenise = tokenise
        self._directions = {TO_TERMINAL: Direction(), TO_REGISTER: Direction()}
        self.exchange = Exchange()
        self._request: SaleRequest | None = None
        self._card = CardHint()
        self._sale_from: int | None = None  # the record its story begins in
        self._sale_at = 0.0

    @property
    def needed_from(self) -> int | None:
        """The oldest record that is not understood to its end; None when all are."""
        needed = [each.needed_from for each in self._directions.values()]
        return min((n for n in (*needed, self._sale_from) if n is not None), default=None)

    @property
    def doing(self) -> str:
        return "listening" if self._request is None else f"customer pays {self._request.amount:,}"

    def due_at(self) -> float | None:
        """When `tick` has something to do, on the clock that `feed` is given."""
        due = [each.quiet_at for each in self._directions.values()]
        due.append(self._sale_at + SALE_KEPT_S if self._sale_from is not None else None)
        return min((at for at in due if at is not None), default=None)

    def feed(self, direction: bytes, number: int, data: bytes, now: float) -> list[Heard]:
        """What a record completes."""
        seen = self._directions[direction].feed(number, data, now)
        return self._understand(direction, seen, number, now)

    def cut(self, number: int, now: float) -> list[Heard]:
        """The line was cut: a frame does not go on behind it. A customer at the keypad does."""
        heard: list[Heard] = []
        for direction, each in self._directions.items():
            heard += self._understand(direction, each.flush(), number, now)
        self.exchange.cut(now)
        return heard

    def tick(self, now: float) -> list[Heard]:
        """Lets go of what waited too long."""
        heard: list[Heard] = []
        for direction, each in self._directions.items():
            if each.quiet_at is not None and now >= each.quiet_at:
                number = each.needed_from or 0
                heard += self._understand(direction, each.flush(), number, now)
        if self._sale_from is not None and now >= self._sale_at + SALE_KEPT_S:
            self._sale_over()
        return heard

    def _understand(
        self, direction: bytes, seen: list[Frame | Noise], number: int, now: float
    ) -> list[Heard]:
        heard: list[Heard] = []
        for each in seen:
            if isinstance(each, Noise):
                heard.append(each)
                self.exchange.noise(now)
                continue
            self.exchange.heard(direction, each.type, now)
            if direction == TO_TERMINAL:
                self._asked(each, number, now)
            else:
                heard += self._answered(each, number, now)
        return heard

    def _asked(self, frame: Frame, number: int, now: float) -> None:
        """A frame of the cash register: only a sale's request matters."""
        if frame.type != FrameType.REQUEST:
            return
        message = read_message(frame, self._tokenise)
        if isinstance(message, SaleRequest):
            self._request = message
            self._sale_begins(number, now)

    def _answered(self, frame: Frame, number: int, now: float) -> list[Heard]:
        """A frame of the terminal."""
        match frame.type:
            case FrameType.RESPONSE:
                message = read_message(frame, self._tokenise)
                if isinstance(message, SaleResponse):
                    return self._sale_answered(message)
                if isinstance(message, CardInfo):
                    self._card = message.card
                    self._sale_begins(number, now)
                elif isinstance(message, Malformed) and frame.version == SADAD:
                    self._sale_over()
                    return [Fault(UNREADABLE, f"a RESPONSE could not be read: {message.why}")]
            case FrameType.EOT | FrameType.NACK:
                self._sale_over()
            case FrameType.ACK | FrameType.INM | FrameType.REQUEST | FrameType.NOTIFICATION:
                pass  # they move no money
        return []

    def _sale_answered(self, response: SaleResponse) -> list[Heard]:
        request, card = self._request, self._card
        self._sale_over()
        if request is not None and not response.processing:
            response = replace(response, processing=request.processing)
        found = payment_of(response, self._terminal_id)
        match found:
            case NotPaid():
                return []
            case Fault():
                return [found]
            case Payment():
                return self._with_request(found, request, card)
            case _:
                assert_never(found)

    def _with_request(self, payment: Payment, request: SaleRequest | None, card: CardHint) -> list[Heard]:
        if card.pan_sha256 and payment.card.mask and payment.card.mask == card.mask:
            payment = replace(payment, card=card)
        if request is None:
            return [payment]
        if request.amount != payment.amount:
            message = (
                f"the cash register asked for {request.amount:,} rials, the terminal took {payment.amount:,}"
            )
            return [payment, Fault(AMOUNT_DIFFERS, message)]
        return [replace(payment, order_id=request.order_id)]

    def _sale_begins(self, number: int, now: float) -> None:
        self._sale_at = now
        if self._sale_from is None:
            self._sale_from = number

    def _sale_over(self) -> None:
        self._request, self._card, self._sale_from = None, CardHint(), None
