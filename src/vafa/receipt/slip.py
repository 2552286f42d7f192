"""What a slip says, before any language: the one place that knows which lines exist and when.

A slip is a tuple of typed lines with plain values. The wording stands in `fa` and `en`, the way to paper in
`words` (full text) and `terminal` (terminals that take text). A slip with no lines means: print nothing.

Rules (UX.md "The receipt", LOYALTY.md §7):
* earned now, confirmed balance with its time, provisional since: never one number a sync could contradict;
* before the payment nothing is known for sure, so everything is worded "if paid";
* a card known only by BIN and last four digits may be somebody else's: no balance, no name, no digits of it.
"""

from datetime import date
from enum import Enum

from msgspec import Struct

from vafa.model.events import Nothing


class Shop(Struct, frozen=True):
    """The paper carries the shop's name, not ours."""

    fa: str
    en: str = ""


class Line(Struct, frozen=True, tag=True):
    """What the lines have in common."""


class Header(Line, frozen=True):
    """Whose club it is."""

    shop: Shop


class Amount(Line, frozen=True):
    """What was paid, in rial; toman is printed beside it, not beside the new rial."""

    rials: int
    is_new: bool = False


class Promise(Line, frozen=True):
    """Earned only if the payment that follows succeeds."""

    points: int


class Earned(Line, frozen=True):
    """What this purchase earned."""

    points: int


class Waiting(Line, frozen=True):
    """Points kept for a card nobody has claimed."""

    points: int


class ClaimCode(Line, frozen=True):
    """Digits only: it is typed on a keypad or read out over the telephone."""

    code: str


class NothingEarned(Line, frozen=True):
    """The sale was below the programme's minimum (rial)."""

    minimum: int


class ClawedBack(Line, frozen=True):
    """Points that left with a refund or void."""

    points: int


class Redeemed(Line, frozen=True):
    """A reward was given for `points`; 0: for a full stamp card. The name in both languages."""

    points: int
    fa: str
    en: str = ""


class CameBack(Line, frozen=True):
    """Redeemed points that came back with a refund or return; 0: the stamps of this reward."""

    points: int
    fa: str = ""
    en: str = ""


class OwnBalance(Line, frozen=True):
    """The balance of a shop without a hub: this device knows it all."""

    points: int


class HubBalance(Line, frozen=True):
    """What the hub confirmed at the instant `at` (UTC seconds), and what this device added since."""

    confirmed: int
    at: int
    provisional: int = 0


class Pending(Line, frozen=True):
    """Points that may be spent from `day` on."""

    points: int
    day: date


class NextReward(Line, frozen=True):
    """How many more points bring which reward; its name in both languages."""

    reward: str
    points: int
    en: str = ""


class Lapsing(Line, frozen=True):
    """`day` is the last day on which the points are good, never the instant of lapse."""

    points: int
    day: date


class OfferUsed(Line, frozen=True):
    """A single-use offer that this purchase used; its name in both languages."""

    fa: str
    en: str = ""


class OfferOpen(Line, frozen=True):
    """An offer the member holds; `day` the last on which it is good, None: without end."""

    fa: str
    en: str = ""
    day: date | None = None


class OfferBack(Line, frozen=True):
    """An offer that can be used again: what it was used for went back."""

    fa: str
    en: str = ""


class Message(Line, frozen=True):
    """One message at most: birthday, thanks, offer. Text in both languages; `en` may be empty."""

    fa: str
    en: str = ""


class Number(Line, frozen=True):
    """Our short number, device-epoch-seq: what a caller reads out to support."""

    number: str


class CheckCode(Line, frozen=True):
    """Pins what the journal said when this was printed (model.chain.check_code)."""

    code: str


Balance = OwnBalance | HubBalance
AnyLine = (
    Header | Amount | Promise | Earned | Waiting | ClaimCode | NothingEarned | ClawedBack | Redeemed
    | CameBack | OwnBalance | HubBalance | Pending | NextReward | Lapsing | OfferUsed | OfferOpen | OfferBack
    | Message | Number | CheckCode
)  # fmt: skip

# Where room is short the highest rank goes first, whole lines at a time; rank 0 is why the slip is printed.
RANKS: dict[type[Line], int] = {
    Promise: 0, Earned: 0, Waiting: 0, ClaimCode: 0, NothingEarned: 0, ClawedBack: 0, Redeemed: 0,
    CameBack: 0, OfferUsed: 0, OfferBack: 0,
    OwnBalance: 1, HubBalance: 1,
    Number: 2, CheckCode: 2,
    Header: 3,
    Lapsing: 4, Pending: 4, NextReward: 4, OfferOpen: 4,
    Amount: 5,
    Message: 6,
}  # fmt: skip


# What only the member may read, beside the balance.
Held = Redeemed | Pending | NextReward | Lapsing | OfferUsed | OfferOpen | OfferBack


class Slip(Struct, frozen=True):
    """The lines of one paper, in the order they are printed."""

    lines: tuple[AnyLine, ...] = ()


class Known(Enum):
    """How sure we are whose card it was."""

    MEMBER = "member"  # by phone, by claim code, or by the terminal's hash of the whole card number
    HINT = "hint"  # a member's BIN and last four digits: about one card in a hundred collides
    UNKNOWN = "unknown"  # nobody's yet: the points wait


def slip_for_award(
    shop: Shop,
    amount: int,
    points: int,
    known: Known,
    *,
    balance: Balance | None = None,
    claim: str = "",
    number: str = "",
    check: str = "",
    message: Message | None = None,
    held: tuple[Held, ...] = (),
    in_new_rial: bool = False,
) -> Slip:
    """After an approved sale of `amount` rial. `balance` is printed for a surely known member only, and so is
    what is `held`: what was redeemed, is pending, lapses next, the next reward needs, and offers."""
    earned: AnyLine = Waiting(points) if known is Known.UNKNOWN and points and claim else Earned(points)
    told = _told(known, balance, message, held)
    code: list[AnyLine] = [ClaimCode(claim)] if claim and known is not Known.MEMBER else []
    return Slip((Header(shop), Amount(amount, in_new_rial), earned, *code, *told, *_footer(number, check)))


def slip_for_promise(
    shop: Shop, points: int, known: Known, *, balance: Balance | None = None, claim: str = ""
) -> Slip:
    """On a terminal's request, before the approval is known. Empty when there is nothing to say.

    `balance` is the one before this sale, for a member who is known already (card first, or by phone).
    """
    lines: list[AnyLine] = [Promise(points)] if points else []
    if claim and known is not Known.MEMBER:
        lines.append(ClaimCode(claim))
    return Slip((Header(shop), *lines, *_told(known, balance, None))) if lines else Slip()


def slip_for_nothing(
    shop: Shop,
    why: Nothing,
    known: Known,
    *,
    minimum: int = 0,
    balance: Balance | None = None,
    number: str = "",
) -> Slip:
    """After a payment that earned nothing. Only a sale too small is worth paper."""
    if why is not Nothing.BELOW_MINIMUM:
        return Slip()
    return Slip((Header(shop), NothingEarned(minimum), *_told(known, balance, None), *_footer(number, "")))


def slip_for_claw_back(
    shop: Shop,
    points: int,
    known: Known,
    *,
    balance: Balance | None = None,
    number: str = "",
    check: str = "",
    returned: int = 0,
    held: tuple[Held, ...] = (),
) -> Slip:
    """After a void or refund that took `points` (positive) back and `returned` redeemed ones; none, when no
    whole point and no offer moved. `held`: offers that can be used again, or came with it."""
    moved: list[AnyLine] = [CameBack(returned)] if returned else []
    if points:
        moved.append(ClawedBack(points))
    told = _told(known, balance, None, held)
    if not moved and not (held and known is Known.MEMBER):
        return Slip()
    return Slip((Header(shop), *moved, *told, *_footer(number, check)))


def slip_for_redemption(
    shop: Shop,
    moved: Redeemed | CameBack | OfferUsed | OfferBack,
    *,
    balance: int | None,
    number: str = "",
    check: str = "",
) -> Slip:
    """After a capture, or after a redemption was taken back; the customer said who they are."""
    told: list[AnyLine] = [] if balance is None else [OwnBalance(balance)]
    return Slip((Header(shop), moved, *told, *_footer(number, check)))


def sample(now: int) -> Slip:
    """A slip with every line there is: to look at a printer, a profile, or a wording. Invented figures."""
    shop = Shop("کافه نمونه", "Sample Cafe")
    lines: tuple[AnyLine, ...] = (
        Amount(1_250_000), Earned(125), HubBalance(1_240, now, 180), Pending(50, date(2026, 11, 26)),
        NextReward("غذای رایگان", 25), Lapsing(30, date(2026, 6, 21)),
        OfferUsed("دو برابر امتیاز", "Double points"),
        OfferOpen("ده درصد تخفیف خرید بعد", "10 % off next time", date(2026, 12, 20)),
        Message("این یک رسید آزمایشی است (۱۲۳)", "This is a sample slip (123)"),
    )  # fmt: skip
    return Slip((Header(shop), *lines, ClaimCode("482917"), *_footer("1-1-1", "1234")))


def _told(
    known: Known, balance: Balance | None, message: Message | None, held: tuple[AnyLine, ...] = ()
) -> list[AnyLine]:
    """What only the member may read: what was redeemed before the balance it left, the rest after it."""
    if known is not Known.MEMBER:
        return []
    redeemed = [line for line in held if isinstance(line, Redeemed | OfferUsed)]
    rest = [line for line in held if not isinstance(line, Redeemed | OfferUsed)]
    return [line for line in (*redeemed, balance, *rest, message) if line is not None]


def _footer(number: str, check: str) -> list[AnyLine]:
    footer: list[AnyLine] = []
    if number:
        footer.append(Number(number))
    if check:
        footer.append(CheckCode(check))
    return footer
