"""The local protocol's redemptions: quote, hold, capture, release, return. `request` is its identity.

Money first says how much, then that it happened; so do points. A hold ends by itself unless it is captured.
"""

from typing import Annotated

from msgspec import Meta, Struct

from vafa.app.message import Amount, Answer, Language, Phone, Reference, Request, TerminalId, Text

Points = Annotated[int, Meta(ge=1, le=10**12)]
RewardName = Annotated[str, Meta(min_length=1, max_length=24)]
ClaimCode = Annotated[str, Meta(min_length=6, max_length=24)]  # digits, Persian ones too
OfferId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


class Quote(Request, frozen=True, tag="quote"):
    """What a member may have on a bill of `amount` rials: by phone, or by `identified` of `identify`; or what
    the points of a slip may be spent for, by its `claim` code."""

    member: Phone | None = None
    identified: Text | None = None
    amount: Amount = 0
    lang: Language | None = None
    claim: ClaimCode | None = None


class Hold(Request, frozen=True, tag="hold"):
    """Set aside what a reward costs, before the payment is asked for. `request` is never used again.

    reward  or `offer`, one of the member's that takes money off
    amount  the bill, rials; points: how many of a reward that takes money off, absent: as many as can be
    claim   of a slip, where nobody told a phone: its own points are spent
    """

    request: Reference
    reward: RewardName | None = None
    member: Phone | None = None
    identified: Text | None = None
    amount: Amount = 0
    points: Points | None = None
    lang: Language | None = None
    offer: OfferId | None = None
    claim: ClaimCode | None = None


class Capture(Request, frozen=True, tag="capture"):
    """The payment was completed: spend what the hold of this `request` set aside.

    applied        rials really taken off; absent: all it was held for. Points beyond it are free again
    terminal, ref  the payment's, so that its refund brings the points back
    """

    request: Reference
    applied: Amount | None = None
    terminal: TerminalId | None = None
    ref: Reference | None = None
    lang: Language | None = None


class Release(Request, frozen=True, tag="release"):
    """The payment was not completed: what was set aside is free again."""

    request: Reference
    lang: Language | None = None


class Return(Request, frozen=True, tag="return"):
    """A redemption is undone, without a refund of its payment. `redemption` is the request it was held under.

    request  the return's own identity; points: so many of a reward that took money off, absent: all
    """

    redemption: Reference
    request: Reference
    points: Points | None = None
    lang: Language | None = None


AnyRedeem = Quote | Hold | Capture | Release | Return


class RewardQuote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reward and what it takes now, or `why` it cannot be had.

    rials  money off the bill, or what the reward is worth
    """

    reward: str
    kind: str
    name: str
    points: int = 0
    rials: int = 0
    stamps: int = 0
    why: str = ""


class OfferQuote(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An offer that takes `rials` off this bill, or `why` it does not. until: UTC seconds, when it ends."""

    offer: str
    name: str
    rials: int = 0
    until: int = 0
    why: str = ""


class Quoted(Answer, frozen=True, kw_only=True, tag="quoted"):
    """What a member may have. usable: points of the balance that are neither pending nor set aside."""

    balance: int
    usable: int
    debt: int = 0
    rewards: tuple[RewardQuote, ...] = ()
    offers: tuple[OfferQuote, ...] = ()


class Redeemed(Answer, frozen=True, kw_only=True, tag="redeemed"):
    """A redemption as it stands. state: held, captured, released (see `why`) or returned.

    points   set aside, or what was really taken; stamps: of a full card
    rials    what it was held for; `applied` what was really taken off
    until    UTC seconds; a hold ends by itself then
    lines    the receipt's lines of a capture or return, ready to print
    offer    what was redeemed is this offer, and `reward` its name
    """

    request: str
    state: str
    reward: str
    name: str
    number: str
    check: str
    points: int
    rials: int
    until: int = 0
    stamps: int = 0
    applied: int = 0
    returned: int = 0
    balance: int | None = None
    why: str = ""
    lines: tuple[str, ...] = ()
    offer: str = ""


AnyRedeemed = Quoted | Redeemed
