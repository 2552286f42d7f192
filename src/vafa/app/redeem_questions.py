"""What the control socket is asked about redemptions, and answers: the local protocol's own messages."""

from msgspec import Struct

from vafa.app.question import Question, Reply, Text
from vafa.app.redeem_messages import AnyRedeem, AnyRedeemed


class LotLine(Struct, frozen=True):
    """Points with dates, ISO times; '' for none. They lapse at the start of the day after their last one."""

    points: int
    available_from: str = ""
    lapses_at: str = ""


class HoldLine(Struct, frozen=True):
    """Points that are set aside until an ISO time, under the request they were held by."""

    request: str
    points: int
    until: str


class StampLine(Struct, frozen=True):
    """How many stamps are on a card."""

    card: str
    count: int


class MemberValue(Struct, frozen=True):
    """What a member's points are made of. usable: what a redemption could take; undated: never lapse;
    tier: the id of the one they are in, "" for none."""

    usable: int
    undated: int
    lots: tuple[LotLine, ...] = ()
    holds: tuple[HoldLine, ...] = ()
    stamps: tuple[StampLine, ...] = ()
    tier: str = ""


class Redeem(Question, frozen=True, tag="redeem"):
    """A quote, hold, capture, release or return. `sale`: any number of the sale a capture is for."""

    ask: AnyRedeem
    sale: Text = ""


class RedeemIs(Reply, frozen=True, tag="redeemed"):
    """What it brought."""

    told: AnyRedeemed
