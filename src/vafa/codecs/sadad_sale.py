"""Sadad version 000: the sale request and its response ("PcPos Protocol" v1.5, sections 3 and 4).

The response is 137 UTF-16LE units. Firmware of 2018 sends the whole card number in it: the parsed value
holds a hint of the card and nothing else.
"""

import struct

from msgspec import Struct

from vafa.codecs.sadad_fields import Malformed, Tokenise, clean, id_of, number_of, rrn_of, text_of
from vafa.codecs.sadad_frames import DATA_BYTES_MAX, SADAD, Frame, FrameType
from vafa.model.calendar import Calendar, WallTime
from vafa.model.money import AMOUNT_MAX
from vafa.model.pan import CardHint, card_hint

SALE, BILL = "000000", "170000"
APPROVED = "00"
RECEIPT_TEXT_BYTES_MAX = 500  # Opt6, by the vendor's library; its length field could say 999
_MESSAGE_TYPE = "0200"
_CARD_HASH_BYTES = 32  # SHA-256, on the wire as 64 hex digits

# Fixed fields of the request: (field, bytes, padding); then one bitmap byte, then the options it names.
_AMOUNT, _INVOICE, _FUNCTION, _TYPE, _PROCESSING = 13, 10, 4, 4, 6
_FIXED_BYTES = _AMOUNT + _INVOICE + _FUNCTION + _TYPE + _PROCESSING
# Bit n-1 of the bitmap says that option n follows, as three digits of length and the value.
_OPTIONS = ("split", "sale_id", "bill", "card_hash", "order_id", "receipt_text", "opt7", "api_version")

RESPONSE_BYTES = 274
# field -> (first byte, units of two bytes); newer firmware may append, so a longer response is read as this
_RESPONSE = {
    "response": (0, 4),
    "amount": (8, 13),
    "card": (34, 17),
    "processing": (68, 7),
    "trace": (82, 7),
    "rrn": (124, 13),
    "approval": (150, 7),
    "terminal_id": (164, 9),
    "merchant_id": (182, 16),
    "text": (214, 30),
}
_RESPONSE_UNITS = {name: slice(first // 2, first // 2 + units) for name, (first, units) in _RESPONSE.items()}
_TIME_BLOCK_AT = 108  # eight uint16: year, month, unused, day, hour, minute, second, 0; Jalali
_TIME_OFFSET = 24  # each is sent as its value + 24


class SaleRequest(Struct, frozen=True, kw_only=True):
    """What the cash register asks for. Optional fields are absent when empty.

    amount        rials, 1 to 13 digits
    split         Opt1, accounts to split the amount among
    bill          Opt3, `billId,payId`
    card_hash     Opt4, 32 bytes: the card that card-info named. As good as a card number: memory only
    receipt_text  Opt6, bytes the terminal prints (Iran System code page; the codec does not read them)
    """

    amount: int
    invoice: str = ""
    function: str = ""
    processing: str = SALE
    split: str = ""
    sale_id: str = ""
    bill: str = ""
    card_hash: bytes = b""
    order_id: str = ""
    receipt_text: bytes = b""
    opt7: str = ""
    api_version: str = ""

    def __repr__(self) -> str:
        return f"SaleRequest({self.amount} rials, order {self.order_id or '-'})"


class SaleResponse(Struct, frozen=True, kw_only=True):
    """What the terminal answered. `rrn` '' means that no payment happened, whatever `response` says.

    amount   rials; 0 when the field was empty
    paid_at  the terminal's Jalali clock, unchecked; None when the block holds no time
    text     the terminal's own words (Persian), mostly on errors
    """

    response: str
    amount: int
    card: CardHint
    processing: str
    trace: str
    paid_at: WallTime | None
    rrn: str
    approval: str
    terminal_id: str
    merchant_id: str
    text: str

    @property
    def approved(self) -> bool:
        return self.response == APPROVED


def sale_request_frame(request: SaleRequest) -> Frame:
    """The REQUEST frame. ValueError when a field does not fit its place."""
    if not 1 <= request.amount <= AMOUNT_MAX:
        raise ValueError(f"a sale of {request.amount} rials does not fit 13 digits")
    if len(request.receipt_text) > RECEIPT_TEXT_BYTES_MAX:
        raise ValueError(f"the receipt text has more than {RECEIPT_TEXT_BYTES_MAX} bytes")
    if request.card_hash and len(request.card_hash) != _CARD_HASH_BYTES:
        raise ValueError("a card hash has 32 bytes")
    bitmap, options = 0, b""
    for bit, name in enumerate(_OPTIONS):
        value = _option_bytes(request, name)
        if value:
            bitmap |= 1 << bit
            options += f"{len(value):03d}".encode("ascii") + value
    data = (
        str(request.amount).encode("ascii").ljust(_AMOUNT, b"\0")
        + _padded("invoice", request.invoice, _INVOICE)
        + _padded("function", request.function, _FUNCTION)
        + _MESSAGE_TYPE.encode("ascii")
        + _padded("processing", request.processing, _PROCESSING)
        + bytes([bitmap])
        + options
    )
    if len(data) > DATA_BYTES_MAX:
        raise ValueError(f"the request has {len(data)} bytes, a frame holds {DATA_BYTES_MAX}")
    return Frame(SADAD, FrameType.REQUEST, data)


def _option_bytes(request: SaleRequest, name: str) -> bytes:
    value: str | bytes = getattr(request, name)
    if name == "card_hash":
        return request.card_hash.hex().encode("ascii")  # the case a terminal wants is unproven
    if isinstance(value, str):
        if not value.isascii():
            raise ValueError(f"{name} must be ASCII")
        value = value.encode("ascii")
    if len(value) > 999:
        raise ValueError(f"{name} has more than 999 bytes")
    return value


def _padded(name: str, value: str, length: int) -> bytes:
    if not value.isascii() or len(value) > length:
        raise ValueError(f"{name} must be ASCII of at most {length} characters")
    return value.encode("ascii").ljust(length)


def read_sale_request(data: bytes, tokenise: Tokenise | None = None) -> SaleRequest | Malformed:
    """A sale request overheard on its way to the terminal. Bytes behind the last option are ignored."""
    if len(data) <= _FIXED_BYTES:
        return Malformed(f"a sale request has more than {_FIXED_BYTES} bytes, this one {len(data)}")
    fixed, at = [], 0
    for length in (_AMOUNT, _INVOICE, _FUNCTION, _TYPE, _PROCESSING):
        fixed.append(data[at : at + length].decode("ascii", "replace"))
        at += length
    amount = number_of(fixed[0])
    if amount is None:
        return Malformed("the amount is no number")
    if clean(fixed[3]) != _MESSAGE_TYPE:
        return Malformed(f"the message type is not {_MESSAGE_TYPE}")
    options = _read_options(data[at], data[at + 1 :])
    if isinstance(options, Malformed):
        return options
    texts = {
        name: id_of(value.decode("ascii", "replace"), tokenise)
        for name, value in options.items()
        if name not in ("card_hash", "receipt_text")
    }
    return SaleRequest(
        amount=amount,
        invoice=id_of(fixed[1], tokenise),
        function=text_of(fixed[2]),
        processing=text_of(fixed[4]),
        card_hash=hash_of(options.get("card_hash", b"")),
        receipt_text=options.get("receipt_text", b""),
        **texts,
    )


def _read_options(bitmap: int, rest: bytes) -> dict[str, bytes] | Malformed:
    """The options the bitmap names. Lengths are padded with zeros or, by one implementation, blanks."""
    found: dict[str, bytes] = {}
    for bit, name in enumerate(_OPTIONS):
        if not bitmap & 1 << bit:
            continue
        digits = rest[:3].lstrip(b" ")
        if len(rest) < 3 or not digits.isdigit():
            return Malformed(f"option {bit + 1} has no length")
        end = 3 + int(digits)
        if end > len(rest):
            return Malformed(f"option {bit + 1} is longer than the request")
        found[name], rest = rest[3:end], rest[end:]
    return found


def hash_of(hex_digits: bytes) -> bytes:
    """The 32 bytes behind a SHA-256 in hex of either case; b'' when it is none, or all zeros."""
    digits = hex_digits.strip(b"\0 ")
    if len(digits) != 2 * _CARD_HASH_BYTES or not digits.strip(b"0"):
        return b""
    try:
        return bytes.fromhex(digits.decode("ascii", "replace"))
    except ValueError:
        return b""


def read_sale_response(data: bytes, tokenise: Tokenise | None = None) -> SaleResponse | Malformed:
    """The answer to a sale. Its card number, whole or masked, survives as a hint only."""
    if len(data) < RESPONSE_BYTES:
        return Malformed(f"a sale response has {RESPONSE_BYTES} bytes, this one {len(data)}")
    field = _response_fields(data)
    amount = number_of(field["amount"])
    if amount is None:
        return Malformed("the amount is no number")
    return SaleResponse(
        response=text_of(field["response"]),
        amount=amount,
        card=card_hint(clean(field["card"])),
        processing=text_of(field["processing"]),
        trace=text_of(field["trace"]),
        paid_at=_time_of(data[_TIME_BLOCK_AT : _TIME_BLOCK_AT + 16]),
        rrn=rrn_of(field["rrn"], tokenise),
        approval=text_of(field["approval"]),
        terminal_id=text_of(field["terminal_id"]),
        merchant_id=text_of(field["merchant_id"]),
        text=text_of(field["text"]),
    )


def _response_fields(data: bytes) -> dict[str, str]:
    """The text of every field, each unit of two bytes one character."""
    text = data[:RESPONSE_BYTES].decode("utf-16-le", "replace")
    if 2 * len(text) == RESPONSE_BYTES:
        return {name: text[place] for name, place in _RESPONSE_UNITS.items()}
    # A pair of units became one character: noise, or a field's edge cut it. So each field is read by itself.
    return {
        name: data[first : first + 2 * units].decode("utf-16-le", "replace")
        for name, (first, units) in _RESPONSE.items()
    }


def _time_of(block: bytes) -> WallTime | None:
    year, month, _unused, day, hour, minute, second, _zero = struct.unpack("<8H", block)
    parts = [value - _TIME_OFFSET for value in (year, month, day, hour, minute, second)]
    if min(parts) < 0:
        return None
    return WallTime(Calendar.JALALI, *parts)
