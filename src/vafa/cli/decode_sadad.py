"""What `vafa decode sadad` says of each frame.

The hash of a card is as good as its number: only `"hash": true` is shown.
"""

from typing import Any

from vafa.codecs.sadad_frames import Frame, FrameType, Noise, Reader, encode
from vafa.codecs.sadad_messages import (
    ROW_TYPES,
    Answer,
    Ask,
    CardInfo,
    CardInfoRequest,
    JournalAnswer,
    JournalRequest,
    JournalRow,
    Malformed,
    Message,
    OtherFunction,
    SaleRequest,
    SaleResponse,
    payment_of,
    read_message,
)
from vafa.model.calendar import WallTime
from vafa.model.pan import CardHint, mask_pans
from vafa.model.payment import Payment
from vafa.receipt import iransystem

REGISTER, TERMINAL, EITHER = "register", "terminal", "either"
_SENDER = {
    FrameType.INM: REGISTER,
    FrameType.REQUEST: REGISTER,
    FrameType.RESPONSE: TERMINAL,
    FrameType.NOTIFICATION: TERMINAL,
}


class Decoder:
    """Sadad bytes to JSON-ready events."""

    def __init__(self) -> None:
        self._reader = Reader()
        self._last_asker = EITHER  # who sent the last frame that wants an ACK

    def feed(self, received: bytes) -> list[dict[str, Any]]:
        return [self._event(seen) for seen in self._reader.feed(received)]

    def flush(self) -> list[dict[str, Any]]:
        return [self._event(seen) for seen in self._reader.flush()]

    def _event(self, seen: Frame | Noise) -> dict[str, Any]:
        if isinstance(seen, Noise):
            return {"event": "noise", "length": seen.length, "why": seen.why}
        event: dict[str, Any] = {
            "event": "frame",
            "type": seen.type.name,
            "version": seen.version,
            "from": self._sender(seen.type),
            "bytes": len(encode(seen)),
        }
        message = read_message(seen)
        if isinstance(message, Malformed):
            return event | {"malformed": message.why}
        return event | (_described(message) if message is not None else {})

    def _sender(self, kind: FrameType) -> str:
        """A guess: an ACK or NACK comes from the side that was spoken to last; an EOT from either."""
        if kind in _SENDER:
            self._last_asker = _SENDER[kind]
            return self._last_asker
        if kind is FrameType.EOT or self._last_asker == EITHER:
            return EITHER
        return TERMINAL if self._last_asker == REGISTER else REGISTER


def _described(message: Message) -> dict[str, Any]:
    """The message's name and its fields; empty fields are left out."""
    match message:
        case SaleRequest():
            return _sale_request(message)
        case SaleResponse():
            return _sale_response(message)
        case _:
            return _function(message)


def _function(message: Ask | Answer | OtherFunction) -> dict[str, Any]:
    match message:
        case JournalRequest():
            asked = {"count": message.count, "filter": message.filter.name.lower()}
            return {"message": "journal request", **asked, "with_order_ids": message.with_order_ids}
        case JournalAnswer():
            return {"message": "journal rows", "rows": [_row(row) for row in message.rows]}
        case CardInfoRequest():
            return {"message": "card info request"}
        case CardInfo():
            ids = {"terminal_id": message.terminal_id, "merchant_id": message.merchant_id}
            return {"message": "card info", **_card(message.card), **_filled(ids)}
        case OtherFunction():
            return {"message": f"function {message.function}", "payload_bytes": message.payload_bytes}


def _sale_request(request: SaleRequest) -> dict[str, Any]:
    names = (
        "invoice",
        "function",
        "processing",
        "split",
        "sale_id",
        "bill",
        "order_id",
        "opt7",
        "api_version",
    )
    shown = {"message": "sale request", "amount": request.amount}
    shown |= _filled({name: getattr(request, name) for name in names})
    if request.card_hash:
        shown["hash"] = True
    if request.receipt_text:
        shown["receipt_text"] = mask_pans(iransystem.decode(request.receipt_text))
    return shown


def _sale_response(response: SaleResponse) -> dict[str, Any]:
    names = ("response", "processing", "trace", "rrn", "approval", "terminal_id", "merchant_id", "text")
    shown = {"message": "sale response", "approved": response.approved, "amount": response.amount}
    shown |= _filled({name: getattr(response, name) for name in names})
    shown |= _card(response.card) | _time(response.paid_at)
    found = payment_of(response, response.terminal_id)
    return shown | ({"key": str(found.key)} if isinstance(found, Payment) else {})


def _row(row: JournalRow | Malformed) -> dict[str, Any]:
    if isinstance(row, Malformed):
        return {"malformed": row.why}
    kind, _is_sale = ROW_TYPES.get(row.type, ("unknown", False))
    texts = {"trace": row.trace, "rrn": row.rrn, "response": row.response, "order_id": row.order_id}
    shown = {"type": row.type, "kind": kind, "approved": row.approved, "amount": row.amount}
    return shown | _filled(texts) | _card(row.card) | _time(row.paid_at)


def _filled(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _card(card: CardHint) -> dict[str, Any]:
    shown: dict[str, Any] = {"card": card.mask} if card.mask else {}
    return shown | ({"hash": True} if card.pan_sha256 else {})


def _time(shown: WallTime | None) -> dict[str, str]:
    if shown is None:
        return {}
    day = f"{shown.year:04d}-{shown.month:02d}-{shown.day:02d}"
    clock = f"{shown.hour:02d}:{shown.minute:02d}:{shown.second:02d}"
    return {"paid_at": f"{day} {clock}", "calendar": shown.calendar.name.lower()}
