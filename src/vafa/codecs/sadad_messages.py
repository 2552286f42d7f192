"""Sadad messages: what a good frame says, and which payment it tells of. The one door to the Sadad values.

sadad_sale has version 000 (sales), sadad_journal version 002 (journal rows, card info), sadad_fields the way
any text gets clean. A payment's key is (RRN, terminal id, reference number), the same live and from a row.
"""

from vafa.codecs.sadad_fields import (
    NO_REFERENCE,
    UNREADABLE,
    WRONG_TERMINAL,
    Fault,
    Malformed,
    NotPaid,
    Tokenise,
)
from vafa.codecs.sadad_frames import SADAD, SADAD2, Frame, FrameType
from vafa.codecs.sadad_journal import (
    Answer,
    Ask,
    CardInfo,
    CardInfoRequest,
    JournalAnswer,
    JournalFilter,
    JournalRequest,
    JournalRow,
    OtherFunction,
    card_info_frame,
    journal_request_frame,
    read_answer,
    read_ask,
)
from vafa.codecs.sadad_sale import (
    APPROVED,
    BILL,
    RECEIPT_TEXT_BYTES_MAX,
    SALE,
    SaleRequest,
    SaleResponse,
    read_sale_request,
    read_sale_response,
    sale_request_frame,
)
from vafa.model.payment import Payment, PaymentKey, Scheme, Source

__all__ = [
    "APPROVED", "BILL", "RECEIPT_TEXT_BYTES_MAX", "ROW_TYPES", "SALE", "Answer", "Ask", "CardInfo",
    "CardInfoRequest", "Fault", "JournalAnswer", "JournalFilter", "JournalRequest", "JournalRow", "Malformed",
    "Message", "NotPaid", "OtherFunction", "SaleRequest", "SaleResponse", "Tokenise", "card_info_frame",
    "journal_request_frame", "payment_of", "payment_of_row", "read_answer", "read_ask", "read_message",
    "read_sale_request", "read_sale_response", "sale_request_frame",
]  # fmt: skip

Message = SaleRequest | SaleResponse | Ask | Answer | OtherFunction

# Transaction types of journal rows -> (what it is, is it a sale?). A sale is money for what this shop sells,
# however the payment is labelled: with a payer's id (identified, inquired, government, tariff) or from a
# state allowance (goods, food). A bill or a top-up only passes through the shop. Of 24, which stands between
# those two, no source tells the meaning: not a sale, since points can be added later but not guessed. The
# same payment must be judged alike live, where the processing codes below tell less: hence one rule for all
# the identified kinds.
ROW_TYPES = {
    "04": ("sale", True),
    "05": ("government", True),
    "06": ("tariff", True),
    "07": ("identified", True),
    "10": ("inquired", True),
    "17": ("inquired", True),
    "18": ("inquired", True),
    "22": ("bill", False),
    "24": ("unknown", False),
    "25": ("top-up", False),
    "55": ("goods", True),
    "56": ("food", True),
    "97": ("goods", True),
    "98": ("food", True),
}
# Processing codes of live responses that are sales; an empty one answers our own request, which was a sale.
_SALE_PROCESSING = frozenset({"", SALE, "240000", "270000", "280000"})


def read_message(frame: Frame, tokenise: Tokenise | None = None) -> Message | Malformed | None:
    """What a REQUEST or RESPONSE says; None for the frames that say all by their type.

    `tokenise` gives what stands for a card number in an id; without it the number is masked.
    """
    match frame.type, frame.version:
        case FrameType.REQUEST, "000":
            return read_sale_request(frame.data, tokenise)
        case FrameType.RESPONSE, "000":
            return read_sale_response(frame.data, tokenise)
        case FrameType.REQUEST, "002":
            return read_ask(frame.data)
        case FrameType.RESPONSE, "002":
            return read_answer(frame.data, tokenise)
        case FrameType.REQUEST | FrameType.RESPONSE, _:
            return Malformed(f"version {frame.version} is not {SADAD} or {SADAD2}: its format is not public")
        case _:
            return None


def payment_of(response: SaleResponse, terminal_id: str) -> Payment | NotPaid | Fault:
    """The payment a live response tells of, for the lane of `terminal_id` (the configured one).

    Fault: approved, yet without what a payment needs, or by another terminal. Then nobody may say paid.
    """
    if not response.approved:
        return NotPaid(f"response code {response.response or 'missing'}")
    if response.terminal_id and response.terminal_id != terminal_id:
        return Fault(
            WRONG_TERMINAL,
            f"terminal {response.terminal_id} answered where {terminal_id} is configured; "
            "correct terminal_id or the line's address",
        )
    if not response.rrn:
        return Fault(NO_REFERENCE, "approved without a reference number: not done, by the vendor's rule")
    if not response.amount:
        return Fault(UNREADABLE, "approved without an amount; the terminal's journal must tell")
    return Payment(
        key=PaymentKey(Scheme.RRN, terminal_id, response.rrn),
        amount=response.amount,
        source=Source.LIVE,
        paid_at=response.paid_at,
        trace=response.trace,
        card=response.card,
        processing=response.processing,
        is_sale=response.processing in _SALE_PROCESSING,
    )


def payment_of_row(row: JournalRow, terminal_id: str) -> Payment | NotPaid:
    """The payment a journal row tells of. The row names no terminal: it is the one that was asked."""
    if not row.approved:
        return NotPaid(f"response code {row.response or 'missing'}")
    if not row.rrn:
        return NotPaid("no reference number")
    if not row.amount:
        return NotPaid("no amount")
    _name, is_sale = ROW_TYPES.get(row.type, ("unknown", False))
    return Payment(
        key=PaymentKey(Scheme.RRN, terminal_id, row.rrn),
        amount=row.amount,
        source=Source.POLLED,
        paid_at=row.paid_at,
        trace=row.trace,
        card=row.card,
        order_id=row.order_id,
        processing=row.type,
        is_sale=is_sale,
    )
