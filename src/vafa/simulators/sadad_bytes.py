"""Sadad's bytes as the terminal sees them: messages both ways, built from the published vectors alone.

    02 | LEN 3 | VER 3 | TYPE 1 | DATA | 03 | LRC      LEN counts VER, TYPE, DATA, 03 and LRC, in ASCII digits

This is the terminal's half. It shares nothing with `codecs/`, on purpose: two readings of the same vectors
that agree are evidence, one reading used on both sides is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from operator import xor

from vafa.model.calendar import to_jalali

STX, ETX = 0x02, 0x03
INM, ACK, NACK, EOT, REQUEST, RESPONSE = 0xF1, 0x06, 0x15, 0x04, 0x19, 0x1A
PLAIN, LISTS = b"000", b"002"  # VER: 000 sales in fixed fields, 002 functions with a length
_LEN_MIN, _LEN_MAX = 6, 999
PARTIAL_KEPT_S = 2.0  # a message that stops in the middle is given up after this
ROWS_BYTES_MAX = _LEN_MAX - 13  # what a 002 message can carry beside its own 13 bytes


@dataclass(frozen=True)
class Message:
    """One message. `intact` is False when its LRC was wrong: such a one is answered with NACK."""

    version: bytes
    kind: int
    data: bytes = b""
    intact: bool = True


def build(version: bytes, kind: int, data: bytes = b"") -> bytes:
    """The bytes of one message."""
    body = b"%03d" % (len(data) + 6) + version + bytes([kind]) + data + bytes([ETX])
    assert len(body) <= _LEN_MAX + 2, "a message longer than its three length digits can say"
    return bytes([STX]) + body + bytes([_lrc(body)])


def _lrc(body: bytes) -> int:
    return reduce(xor, body, 0)


class Splitter:
    """Cuts what arrives into messages, by length. What is no message is skipped."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._since = 0.0

    def feed(self, data: bytes, now: float) -> list[Message]:
        """Messages completed by `data`. `now` (seconds) ages a message that never ends."""
        if self._held and now - self._since > PARTIAL_KEPT_S:
            del self._held[0]
        if data:
            self._since = now
        self._held += data
        found = []
        while self._align():
            length = int(self._held[1:4])
            end = 4 + length
            if len(self._held) < end:
                break
            if self._held[end - 2] != ETX:
                del self._held[0]
                continue
            found.append(self._take(end))
        return found

    def _align(self) -> bool:
        """Drop bytes until a plausible head stands first. False when more bytes are needed."""
        while self._held:
            head = self._held[1:4]
            if self._held[0] == STX and not head.strip(b"0123456789"):
                if len(head) < 3:
                    return False
                if int(head) >= _LEN_MIN:
                    return True
            del self._held[0]
        return False

    def _take(self, end: int) -> Message:
        raw = bytes(self._held[:end])
        del self._held[:end]
        return Message(raw[4:7], raw[7], raw[8:-2], intact=_lrc(raw[1:-1]) == raw[-1])

    def clear(self) -> None:
        self._held.clear()


# --- what the cash register asks -----------------------------------------------------------------------

# a sale's fixed fields: amount 13, invoice 10, function 4, message type 4, processing code 6, bitmap 1
_FIXED_BYTES = 38
SALE = "000000"


@dataclass(frozen=True)
class SaleAsk:
    """A sale request. `optional` holds the raw optional fields by number (2 sale id, 4 card hash,
    5 order id, 6 text to print, 8 API version). Amount in rials."""

    amount: int
    processing: str
    optional: dict[int, bytes] = field(default_factory=dict)

    @property
    def order_id(self) -> str:
        return self.optional.get(5, b"").decode("ascii", "replace").strip("\0 ")


@dataclass(frozen=True)
class Ask:
    """A version 002 request: function `0001` with payload `051`, for example."""

    function: str
    payload: str


def read_sale(data: bytes) -> SaleAsk | None:
    """The sale in a REQUEST's data, or None when it is not one."""
    amount = data[:13].rstrip(b"\0 ")
    if len(data) < _FIXED_BYTES or not amount.isdigit() or data[27:31] != b"0200":
        return None
    optional: dict[int, bytes] = {}
    at = _FIXED_BYTES
    for number in range(1, 9):
        if not data[37] >> (number - 1) & 1:
            continue
        size = data[at : at + 3]
        if len(size) < 3 or not size.isdigit() or at + 3 + int(size) > len(data):
            return None
        optional[number] = data[at + 3 : at + 3 + int(size)]
        at += 3 + int(size)
    return SaleAsk(int(amount), data[31:37].decode("ascii", "replace"), optional)


def read_ask(data: bytes) -> Ask | None:
    """The function and payload in a version 002 REQUEST's data, or None."""
    text = data.decode("latin-1")
    if not text[:7].isdecimal() or len(text) != 7 + int(text[4:7]):
        return None
    return Ask(text[:4], text[7:])


# --- what the terminal answers -------------------------------------------------------------------------


@dataclass(frozen=True)
class SaleAnswer:
    """The fields of a sale's RESPONSE. Amount in rials; `at` is the terminal's own wall clock."""

    code: str
    amount: int
    card: str
    trace: str
    at: datetime
    rrn: str
    terminal_id: str
    merchant_id: str
    processing: str = SALE
    text: str = ""


def sale_response(answer: SaleAnswer) -> bytes:
    """The whole RESPONSE message: 274 bytes of UTF-16LE units, the date as Jalali numbers plus 24."""
    year, month, day = to_jalali(answer.at.date())
    clock = (year, month, None, day, answer.at.hour, answer.at.minute, answer.at.second, None)
    data = b"".join(
        (
            _units(answer.code, 4),
            _units(str(answer.amount), 13),
            _units(answer.card, 17),
            _units(answer.processing, 7),
            _units(answer.trace, 7),
            bytes(12),  # a date field that is always empty
            b"".join((0 if n is None else n + 24).to_bytes(2, "little") for n in clock),
            _units(answer.rrn, 13),
            _units("0014  ", 7),  # the approval code of every sample
            _units(answer.terminal_id, 9),
            _units(answer.merchant_id, 16),
            _units(answer.text, 30),
        )
    )
    return build(PLAIN, RESPONSE, data)


def _units(text: str, count: int) -> bytes:
    """`text` cut to leave one NUL at its end, as UTF-16LE padded to `count` units."""
    return text.encode("utf-16-le")[: 2 * (count - 1)].ljust(2 * count, b"\0")


@dataclass(frozen=True)
class Row:
    """One row of the terminal's list of last transactions; Gregorian, card as `621986**3864`."""

    kind: str
    amount: int
    trace: str
    at: datetime
    card: str
    rrn: str
    code: str
    order_id: str = ""


def rows_response(function: str, rows: Sequence[Row]) -> bytes:
    """`0002` with rows of 60, or `0014` with the order id behind each. Rows that do not fit are left out."""
    payload = ""
    for row in rows:
        text = _row(row) + (_order_id(row.order_id) if function == "0014" else "")
        if len(payload) + len(text) > ROWS_BYTES_MAX:
            break
        payload += text
    return _function(function, payload)


def _row(row: Row) -> str:
    when = row.at.strftime("%Y%m%d%H%M%S")
    return f"{row.kind:0>2}{row.amount:012d}{row.trace:0>6}{when}{row.card:0>12}{row.rrn:0>12}{row.code:0>2}"


def _order_id(order_id: str) -> str:
    return f"{len(order_id):02d}{order_id}"


def card_info_response(pan_sha256_hex: str, terminal_id: str, merchant_id: str, card: str) -> bytes:
    """`0004`: the unsalted hash of the card number, the ids, and the card as `621986**3864`."""
    return _function("0004", f"{pan_sha256_hex}{terminal_id:0>8}{merchant_id:0>15}{card:0>12}")


def _function(function: str, payload: str) -> bytes:
    return build(LISTS, RESPONSE, f"{function}{len(payload):03d}{payload}".encode("ascii", "replace"))
