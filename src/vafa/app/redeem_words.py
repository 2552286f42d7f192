"""Why a redemption is refused, in a cashier's words; and what a redemption is called in an answer."""

from typing import Literal

import msgspec

from vafa.app.offer_holds import MoneyOff
from vafa.club.programme import Reward
from vafa.club.rewards import Means, No
from vafa.model.errors import Refused

State = Literal["held", "captured", "released", "returned"]


class Redeemed(msgspec.Struct, frozen=True):
    """A redemption as it stands; always the same for the same request.

    points    set aside, or what was really taken; stamps: of a full card
    rials     money off the bill, or what the reward costs the shop; applied: what was really taken off
    until     UTC second at which a hold ends by itself
    balance   of a capture: the member's balance after it
    why       of a release: "timed out", "released" ...
    returned  points that came back since; came_back: those of this request
    offer     what is redeemed is this offer; b'': a reward
    """

    request: str
    state: State
    reward: str
    name_fa: str
    name_en: str
    number: str
    check: str
    points: int
    rials: int
    until: int
    stamps: int = 0
    applied: int = 0
    returned: int = 0
    came_back: int = 0
    balance: int | None = None
    why: str = ""
    seen_before: bool = False
    member: bytes = b""
    offer: bytes = b""

    def name(self, lang: str) -> str:
        """What the reward is called on paper."""
        return self.name_en if lang == "en" and self.name_en else self.name_fa


class Offered(msgspec.Struct, frozen=True):
    """A reward and what it would take now; or why it cannot be had."""

    reward: Reward
    points: int = 0
    rials: int = 0
    stamps: int = 0
    no: str = ""


class Quoted(msgspec.Struct, frozen=True):
    """What a member may have now, reward by reward; and their offers. usable: points that can be spent."""

    balance: int
    usable: int
    debt: int
    offered: tuple[Offered, ...]
    offers: tuple[MoneyOff, ...] = ()


_WHY = {
    No.DEBT: "{debt:,} points are owed; they are paid from the next purchases first",
    No.BALANCE: "{usable:,} points can be used; the programme asks for more before any is spent",
    No.TOO_FEW: "{usable:,} points can be used; that is too few for this reward",
    No.BELOW_MINIMUM: "fewer points than the smallest redemption ({least:,})",
    No.BILL_TOO_SMALL: "the bill is too small for this reward",
    No.DAY_SPENT: "{today:,} points were redeemed today; the programme allows no more",
    No.TOO_FEW_STAMPS: "the stamp card is not full: {stamps} stamps",
}


def why_not(no: No, reward: Reward, means: Means) -> str:
    """The reason for people."""
    return _WHY[no].format(
        debt=means.debt,
        usable=means.usable,
        least=max(reward.min_points, reward.step, 1),
        today=means.spent_today,
        stamps=means.standing.stamp(reward.stamp).count,
    )


def refusal(no: No, reward: Reward, means: Means) -> Refused:
    """The same as an error."""
    return Refused(why_not(no, reward, means), fix="vafa redeem quote PHONE", code="ASK-002")
