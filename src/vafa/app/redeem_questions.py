"""What the control socket is asked about redemptions, and answers: the local protocol's own messages."""

from vafa.app.question import Question, Reply, Text
from vafa.app.redeem_messages import AnyRedeem, AnyRedeemed


class Redeem(Question, frozen=True, tag="redeem"):
    """A quote, hold, capture, release or return. `sale`: any number of the sale a capture is for."""

    ask: AnyRedeem
    sale: Text = ""


class RedeemIs(Reply, frozen=True, tag="redeemed"):
    """What it brought."""

    told: AnyRedeemed
