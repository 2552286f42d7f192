"""The local protocol's messages: newline-delimited JSON, one object a line, `op` says which.

These types are the protocol: docs/local-protocol.schema.json is generated from them, docs/local-protocol.md
explains them. Every request may carry an `id` of the sender's, echoed in its answer. A request that is
repeated word for word gets the same answer (`payment` by its reference; `sell`, `void`, `refund` and the
redemptions of redeem_messages.py by their request id; the others change nothing).
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from vafa.app import redeem_messages
from vafa.app.message import (
    Amount,
    Answer,
    Card,
    Instant,
    Language,
    Phone,
    Reference,
    Request,
    Rial,
    TerminalId,
    Text,
)
from vafa.model.money import AMOUNT_MAX

__all__ = ["AMOUNT_MAX", "Answer", "Card", "Language", "Reference", "Request", "TerminalId"]  # theirs too
PROTOCOL = 1


class Hello(Request, frozen=True, tag="hello"):
    """First words: who is asking. The answer tells the protocol's version and the terminals served.

    secret  needed over TCP, where it lets the connection in; nothing elsewhere
    """

    client: Text = ""
    secret: Text = ""


class Ping(Request, frozen=True, tag="ping"):
    """Is somebody there?"""


class Parts(Struct, frozen=True, forbid_unknown_fields=True):
    """What of a payment's amount may not earn, in rials: the programme says which of it counts.

    points  taken off for points, where the amount still holds it: it never earns
    """

    cashback: Amount = 0
    tip: Amount = 0
    delivery: Amount = 0
    vat: Amount = 0
    points: Amount = 0


class Payment(Request, frozen=True, tag="payment"):
    """A completed, approved payment. `ref` is the sender's own payment reference and its identity.

    terminal    the terminal id (TID) the payment was made on
    amount      rials
    paid_at     UTC seconds; when absent the device's clock counts
    member      the customer's phone, in any spelling; or `identified`, an answer of `identify`
    parts       what of the amount is cashback, tip, delivery or tax, where the program knows
    """

    terminal: TerminalId
    ref: Reference
    amount: Amount
    rrn: Annotated[str, Meta(max_length=32)] = ""
    trace: Annotated[str, Meta(max_length=32)] = ""
    paid_at: Instant | None = None
    card: Card = Card()
    order_id: Annotated[str, Meta(max_length=64)] = ""
    member: Phone | None = None
    identified: Text | None = None
    lang: Language | None = None
    parts: Parts = Parts()
    currency: Rial = "rial"


class Sell(Request, frozen=True, tag="sell"):
    """Ask a terminal (mode ecr) for a payment and wait for its end. `request` is the sale's identity.

    currency  the rial that the terminal counts in, and `amount` with it
    """

    request: Reference
    amount: Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
    terminal: TerminalId | None = None
    member: Phone | None = None
    identified: Text | None = None
    lang: Language | None = None
    currency: Rial = "rial"


class Void(Request, frozen=True, tag="void"):
    """A payment was undone whole at the terminal: what is left of its points goes back.

    ref      the payment's, as `paid` told it (`terminal`, `ref`)
    request  the void's own identity, never used again
    at       when, UTC seconds
    """

    terminal: TerminalId
    ref: Reference
    request: Reference
    at: Instant | None = None
    lang: Language | None = None


class Refund(Request, frozen=True, tag="refund"):
    """`amount` rials of a payment went back to the customer; the rest as for Void."""

    terminal: TerminalId
    ref: Reference
    amount: Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
    request: Reference
    at: Instant | None = None
    lang: Language | None = None
    currency: Rial = "rial"


class Identify(Request, frozen=True, tag="identify"):
    """Who is the customer, by phone or by card? `identified` is good for one payment within five minutes.

    card  only with the terminal's hash; a family's card is answered with `candidates`
    """

    member: Phone | None = None
    card: Card | None = None


class Member(Request, frozen=True, tag="member"):
    """Enrol a phone; a phone that is enrolled already is shown."""

    member: Phone
    name: Text = ""


class Balance(Request, frozen=True, tag="balance"):
    """The balance of a phone's member."""

    member: Phone


class Profile(Request, frozen=True, tag="profile"):
    """What a member told of themselves. A field that is absent was not asked; an empty one was.

    birthday  day/month of the Jalali calendar: 31/06
    consent   whether messages are welcome; the first yes is kept with its date
    referrer  phone of the member who sent them, told once
    feedback  they gave the shop their opinion just now
    """

    member: Phone
    name: Text | None = None
    birthday: Annotated[str, Meta(max_length=16)] | None = None
    consent: bool | None = None
    referrer: Annotated[str, Meta(max_length=40)] | None = None
    feedback: bool = False


AnyRequest = (
    Hello | Ping | Payment | Sell | Void | Refund | Identify | Member | Balance | Profile
    | redeem_messages.AnyRedeem
)  # fmt: skip


class Failure(Answer, frozen=True, kw_only=True, tag="failure"):
    """It was not done: `code` to look up, `message` for a person, `fix` what to do."""

    code: str
    message: str
    fix: str = ""


class Welcome(Answer, frozen=True, kw_only=True, tag="welcome"):
    """The protocol's version, ours, the shop, and its terminals.

    terminals  those whose payments may be told (`payment`)
    sells      those that can be asked for one (`sell`)
    """

    protocol: int
    vafa: str
    shop: str
    terminals: tuple[str, ...]
    sells: tuple[str, ...] = ()


class Pong(Answer, frozen=True, kw_only=True, tag="pong"):
    """Somebody is there; `time` is the device's clock, UTC seconds."""

    time: int


class Paid(Answer, frozen=True, kw_only=True, tag="paid"):
    """What became of a payment. result: earned, waiting (for `claim`) or nothing (see `why`).

    number, check   our short number and the check code, as printed
    balance         absent where the paper must not say it (nobody known for sure)
    lines           the receipt's lines, ready to print
    currency        the rial that `amount` is in
    """

    result: str
    number: str
    check: str
    amount: int
    points: int
    lines: tuple[str, ...]
    terminal: str
    ref: str
    claim: str = ""
    why: str = ""
    balance: int | None = None
    currency: Rial = "rial"


class Sold(Answer, frozen=True, kw_only=True, tag="sold"):
    """How a sale ended: approved, declined, cancelled, timed_out, unsure, resolved_paid, resolved_unpaid.

    response  the terminal's own code; `text` its words
    paid      the payment's outcome when it was paid
    """

    request: str
    outcome: str
    number: str
    response: str = ""
    text: str = ""
    paid: Paid | None = None


class Undone(Answer, frozen=True, kw_only=True, tag="undone"):
    """What a void or refund did. kind: void, refund, or unmatched (its sale is unknown here: nothing moved).

    points   taken back, debt included; `debt` is the part that was spent already
    sale     our number of the payment
    returned points of its redemption that came back; `points` are those it had earned
    balance  absent where the paper must not say it
    currency the rial that `amount` is in, the sale's
    """

    kind: str
    number: str
    check: str
    amount: int
    points: int
    lines: tuple[str, ...]
    request: str
    sale: str = ""
    debt: int = 0
    balance: int | None = None
    returned: int = 0
    forgiven: int = 0
    currency: Rial = "rial"


class MemberOffer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A single-use offer, good now. One that brings points is used by the next purchase; money off is held.

    extra, percent_off  per cent; discount, max_discount, at_least (of the purchase) rials
    until               UTC seconds, when it ends
    """

    offer: str
    name: str
    name_en: str = ""
    extra: int = 0
    points: int = 0
    discount: int = 0
    percent_off: int = 0
    max_discount: int = 0
    at_least: int = 0
    until: int = 0


class Known(Answer, frozen=True, kw_only=True, tag="known"):
    """A member as the counter may see them: masked phone, masked name.

    unasked  what nobody asked this member yet, in the order to ask: name, birthday, consent, referrer
    offers   those that end first come first
    """

    phone: str
    name: str
    balance: int
    debt: int = 0
    visits: int = 0
    identified: str = ""
    valid_s: int = 0
    created: bool = False
    unasked: tuple[str, ...] = ()
    offers: tuple[MemberOffer, ...] = ()


class Candidate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the members a card belongs to. Ask which of them pays, then use that one's `identified`."""

    phone: str
    name: str
    identified: str


class Candidates(Answer, frozen=True, kw_only=True, tag="candidates"):
    """The card is a family's: each member masked, with a ticket of their own; the cashier resolves it."""

    candidates: tuple[Candidate, ...]
    valid_s: int


AnyAnswer = Failure | Welcome | Pong | Paid | Sold | Undone | Known | Candidates | redeem_messages.AnyRedeemed


def schema() -> bytes:
    """The JSON Schema of requests and answers, as docs/local-protocol.schema.json holds it."""
    (requests, answers), definitions = msgspec.json.schema_components(
        [AnyRequest, AnyAnswer], ref_template="#/$defs/{name}"
    )
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Vafa local protocol",
        "description": "One JSON object a line. `request` is what a client sends, `answer` what it gets.",
        "version": PROTOCOL,
        "properties": {"request": requests, "answer": answers},
        "$defs": definitions,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
