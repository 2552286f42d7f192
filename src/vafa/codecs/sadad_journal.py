"""Sadad version 002: the terminal's own journal and its card reader, asked by function number.

DATA = function (4) | length (3) | payload, ASCII, numbers padded with zeros. Journal rows carry Gregorian
dates and no terminal id; a live response of the same payment has a Jalali date and another mask.
"""

from enum import IntEnum

from msgspec import Struct

from vafa.codecs.sadad_fields import Malformed, Tokenise, clean, id_of, number_of, rrn_of, text_of
from vafa.codecs.sadad_frames import SADAD2, Frame, FrameType
from vafa.codecs.sadad_sale import APPROVED, hash_of
from vafa.model.calendar import Calendar, WallTime
from vafa.model.pan import CardHint, card_hint

JOURNAL_ROWS_MAX = 13  # what a terminal remembers
_HEAD_BYTES = 7  # function and length
_LAST, _LAST_ANSWER = "0001", "0002"
_CARD, _CARD_ANSWER = "0003", "0004"
_LAST_WITH_ORDERS, _LAST_WITH_ORDERS_ANSWER = "0013", "0014"

# A row: field -> characters, in order. Rows of 0014 go on with two digits of length and the order id.
_ROW = {
    "type": 2, "amount": 12, "trace": 6, "date": 8, "time": 6, "card": 12, "rrn": 12, "response": 2,
}  # fmt: skip
_ROW_BYTES = sum(_ROW.values())
_CARD_INFO_BYTES = 64 + 8 + 15 + 12  # SHA-256 in hex, terminal, merchant, mask


class JournalFilter(IntEnum):
    """Which of its transactions a terminal is asked for."""

    FAILED = 0
    OK = 1
    ALL = 2


class JournalRequest(Struct, frozen=True):
    """The last `count` (0 to 13) rows of the terminal's journal."""

    count: int = JOURNAL_ROWS_MAX
    filter: JournalFilter = JournalFilter.OK
    with_order_ids: bool = False


class JournalRow(Struct, frozen=True, kw_only=True):
    """One transaction the terminal remembers. `type` is its two-digit transaction type."""

    type: str
    amount: int
    trace: str
    paid_at: WallTime | None
    card: CardHint
    rrn: str
    response: str
    order_id: str = ""

    @property
    def approved(self) -> bool:
        return self.response == APPROVED


class JournalAnswer(Struct, frozen=True):
    """The rows, newest first as the terminal sends them; one it garbled stands as Malformed in its place."""

    rows: tuple[JournalRow | Malformed, ...]
    with_order_ids: bool


class CardInfoRequest(Struct, frozen=True):
    """Ask for a card without a sale, so that the member is known before the amount."""


class CardInfo(Struct, frozen=True):
    """The card a customer presented. `card.pan_sha256` is unsalted: token it at once, never store it."""

    card: CardHint
    terminal_id: str
    merchant_id: str


class OtherFunction(Struct, frozen=True):
    """A function that Vafa does not read (device info, IBANs, searches)."""

    function: str
    payload_bytes: int


Ask = JournalRequest | CardInfoRequest
Answer = JournalAnswer | CardInfo


def journal_request_frame(request: JournalRequest) -> Frame:
    """The REQUEST frame. ValueError when the count is outside 0 to 13."""
    if not 0 <= request.count <= JOURNAL_ROWS_MAX:
        raise ValueError(f"a terminal's journal has 0 to {JOURNAL_ROWS_MAX} rows, not {request.count}")
    function = _LAST_WITH_ORDERS if request.with_order_ids else _LAST
    return _function_frame(function, f"{request.count:02d}{request.filter:d}")


def card_info_frame() -> Frame:
    """The REQUEST frame that asks for a card."""
    return _function_frame(_CARD, "")


def _function_frame(function: str, payload: str) -> Frame:
    data = f"{function}{len(payload):03d}{payload}".encode("ascii")
    return Frame(SADAD2, FrameType.REQUEST, data)


def read_ask(data: bytes) -> Ask | OtherFunction | Malformed:
    """What a cash register asks in version 002."""
    split = _split(data)
    if isinstance(split, Malformed):
        return split
    function, payload = split
    match function:
        case "0001" | "0013":
            asked = payload.decode("ascii", "replace")
            if len(payload) != 3 or not payload.isdigit() or int(asked[2]) > JournalFilter.ALL:
                return Malformed("a journal request has a count of two digits and a filter of 0, 1 or 2")
            return JournalRequest(int(asked[:2]), JournalFilter(int(asked[2])), function == _LAST_WITH_ORDERS)
        case "0003":
            return CardInfoRequest()
        case _:
            return OtherFunction(function, len(payload))


def read_answer(data: bytes, tokenise: Tokenise | None = None) -> Answer | OtherFunction | Malformed:
    """What the terminal answers in version 002."""
    split = _split(data)
    if isinstance(split, Malformed):
        return split
    function, payload = split
    match function:
        case "0002":
            return _read_rows(payload, tokenise)
        case "0014":
            return _read_rows_with_orders(payload, tokenise)
        case "0004":
            return _read_card_info(payload)
        case _:
            return OtherFunction(function, len(payload))


def _split(data: bytes) -> tuple[str, bytes] | Malformed:
    """(function, payload) of a version 002 message."""
    if len(data) < _HEAD_BYTES or not data[:_HEAD_BYTES].isdigit():
        return Malformed("a version 002 message begins with seven digits")
    payload = data[_HEAD_BYTES:]
    if int(data[4:_HEAD_BYTES]) != len(payload):
        return Malformed(f"the message announces {int(data[4:7])} bytes and carries {len(payload)}")
    return data[:4].decode("ascii"), payload


def _read_rows(payload: bytes, tokenise: Tokenise | None) -> JournalAnswer | Malformed:
    if len(payload) % _ROW_BYTES:
        return Malformed(f"journal rows have {_ROW_BYTES} bytes each, the answer {len(payload)}")
    starts = range(0, len(payload), _ROW_BYTES)
    return JournalAnswer(
        tuple(_read_row(payload[at : at + _ROW_BYTES], b"", tokenise) for at in starts), with_order_ids=False
    )


def _read_rows_with_orders(payload: bytes, tokenise: Tokenise | None) -> JournalAnswer:
    """A row whose order id has no readable length hides where the next begins: the rest is one Malformed."""
    rows: list[JournalRow | Malformed] = []
    at = 0
    while at < len(payload):
        order_at = at + _ROW_BYTES + 2
        length = payload[order_at - 2 : order_at]
        if len(length) < 2 or not length.isdigit() or order_at + int(length) > len(payload):
            rows.append(Malformed(f"a row's order id has no readable length; {len(payload) - at} bytes left"))
            break
        end = order_at + int(length)
        rows.append(_read_row(payload[at : at + _ROW_BYTES], payload[order_at:end], tokenise))
        at = end
    return JournalAnswer(tuple(rows), with_order_ids=True)


def _read_row(row: bytes, order_id: bytes, tokenise: Tokenise | None) -> JournalRow | Malformed:
    field: dict[str, str] = {}
    at = 0
    for name, length in _ROW.items():
        field[name] = row[at : at + length].decode("ascii", "replace")
        at += length
    amount = number_of(field["amount"])
    if amount is None:
        return Malformed("a row's amount is no number")
    return JournalRow(
        type=text_of(field["type"]),
        amount=amount,
        trace=text_of(field["trace"]),
        paid_at=_time_of(field["date"], field["time"]),
        card=card_hint(clean(field["card"])),
        rrn=rrn_of(field["rrn"], tokenise),
        response=text_of(field["response"]),
        order_id=id_of(order_id.decode("ascii", "replace"), tokenise),
    )


def _time_of(day: str, clock: str) -> WallTime | None:
    digits = day + clock
    if not (digits.isascii() and digits.isdigit()) or not int(day):
        return None
    year, month, date = int(day[:4]), int(day[4:6]), int(day[6:])
    hour, minute, second = int(clock[:2]), int(clock[2:4]), int(clock[4:])
    return WallTime(Calendar.GREGORIAN, year, month, date, hour, minute, second)


def _read_card_info(payload: bytes) -> CardInfo | Malformed:
    if len(payload) != _CARD_INFO_BYTES:
        return Malformed(f"card info has {_CARD_INFO_BYTES} bytes, this one {len(payload)}")
    text = payload[64:].decode("ascii", "replace")
    card = card_hint(clean(text[23:]), hash_of(payload[:64]))
    return CardInfo(card, text_of(text[:8]), text_of(text[8:23]))
