"""The event table: everything that can happen on a device, with the fields it is written with.

Each kind is one positional MessagePack array (msgspec array-like struct) in `journal.body`; the kind's
number stands in `journal.kind`. **Encodings only grow at the end**: a new field is appended with a default,
a kind or enum number is never reused, and a stored body is never re-encoded. An event carries every input
its effect on the books needs (docs/events.md has the same table with the effects).

Conventions: amounts in minor units with their currency epoch; points are integers; instants are UTC seconds;
`holder` is a member id, a strong card token (points wait on the card) or b'' (points wait on the payment
itself); `programme` is the first eight bytes of the programme document's hash; a contribution or carry is an
exact fraction (numerator, denominator) of a point; (epoch, seq) names an earlier row of the same journal.
"""

from enum import IntEnum
from typing import Any

import msgspec

from vafa.model.lots import Given, Taken
from vafa.model.payment import PaymentKey


class Kind(IntEnum):
    """Stored in every journal row; never renumber. The numbers leave room within each family."""

    EPOCH_OPENED = 1
    PROGRAMME_ACTIVATED = 2
    CLOCK_ATTESTED = 3
    CHECKPOINT = 4
    SALE_ASKED = 10
    SALE_ENDED = 11
    PAYMENT = 12
    AWARD = 13
    REVERSAL = 14
    REFUND = 15
    REFUND_UNMATCHED = 16
    GAP_DETECTED = 17
    GAP_CLOSED = 18
    RECORDED = 19
    AWARD_MOVED = 20
    AWARD_REFUND = 21
    CLAW_BACK = 22
    ADJUST = 23
    BASELINE = 24
    ENROL = 30
    PROFILE = 31
    BIND = 32
    CLAIM = 33
    FORGET = 34
    TIER_CHANGED = 35
    MERGE = 36
    UNMERGE = 37
    HOLD = 40
    REDEMPTION = 41
    RELEASE = 42
    REDEMPTION_REFUND = 43
    OFFER = 44
    EXPIRE = 45
    OFFER_ENDED = 46
    FLOAT_IN = 50
    FLOAT_OUT = 51
    SPEND_RIGHTS = 52


class SaleOutcome(IntEnum):
    """How a sale we asked a terminal for ended. Stored; never renumber. UNSURE is never final."""

    APPROVED = 1
    DECLINED = 2
    CANCELLED = 3
    TIMED_OUT = 4  # the terminal never took the request: nothing was charged
    UNSURE = 5  # the request left and no answer came: the card may be charged
    RESOLVED_PAID = 6  # the terminal's journal shows it
    RESOLVED_UNPAID = 7  # the terminal's journal covers the time and does not show it


class Nothing(IntEnum):
    """Why a payment earned nothing. Stored; never renumber."""

    NOT_A_SALE = 1
    BELOW_MINIMUM = 2
    BASELINE = 3  # older than the lane that first polled it
    NO_PROGRAMME = 4


class KnownBy(IntEnum):
    """How an award found its member. Stored; never renumber. A HINT never shows a balance or a name."""

    NOBODY = 0
    PHONE = 1  # the cashier or the customer named the member
    CARD = 2  # the terminal's hash of the whole card number
    HINT = 3  # first six and last four digits only


class Less(IntEnum):
    """Why a part of a payment earns nothing. Stored; never renumber."""

    CASHBACK = 1  # money handed back over the counter
    TIP = 2
    DELIVERY = 3
    VAT = 4
    POINTS = 5  # paid with points


class Cap(IntEnum):
    """What clipped a contribution. Stored; never renumber. In the order they are applied."""

    PAYMENT = 1
    DAY = 2  # one member on one day
    BUDGET = 3  # the whole programme


class OfferEnd(IntEnum):
    """How an offer ended that nobody used. Stored; never renumber."""

    LAPSED = 1  # its window closed, by attested time
    WITHDRAWN = 2  # by a person
    UNEARNED = 3  # the sale it was given for went back


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the kinds have in common: nothing but the way they are written."""


class Paid(Event, frozen=True):
    """The facts of one completed payment, as kept. `card` is a keyed token, `mask` BIN6 and last four."""

    key: PaymentKey
    amount: int
    currency: int
    paid_at: int | None
    source: int
    trace: str = ""
    card: bytes = b""
    mask: str = ""
    order_id: str = ""


class Counted(Event, frozen=True):
    """What a purchase adds to its member's tier metric (below zero: takes out of it again).

    metric  which metric over which kind of period (club.tiers numbers them)
    period  a day's ordinal, a Jalali year, or 0 for all time; periods before `since` are forgotten
    """

    metric: int
    period: int
    value: int
    since: int = 0


class EpochOpened(Event, frozen=True):
    """The first row of an epoch. `before` is the head it follows: (epoch, seq, chain hash), or None."""

    ledger_id: bytes
    device: int
    before: tuple[int, int, bytes] | None
    key_id: bytes
    why: str


class ProgrammeActivated(Event, frozen=True):
    """The whole document travels in the journal; it holds from `from_at` on (None: from the beginning)."""

    programme: bytes
    hash: bytes
    document: str
    from_at: int | None


class ClockAttested(Event, frozen=True):
    mark: int
    by: str


class Checkpoint(Event, frozen=True):
    """Rows up to (epoch, seq) may go: the named snapshot holds the books, `state` is their hash.

    After a fork (`first`: the chain hash of a branch's first row) rows of the branch, retained in `snapshot`
    and counted by the rows before this one. snapshot_hash: the chain hash after them; counted, known (here
    already), left_out (could not be): of them; `short`: points spent in both branches, a debt of kind fork.
    """

    epoch: int
    seq: int
    state: bytes
    snapshot: str
    snapshot_hash: bytes
    signature: bytes = b""
    first: bytes = b""
    counted: int = 0
    known: int = 0
    left_out: int = 0
    short: int = 0


class SaleAsked(Event, frozen=True):
    """Committed before the request leaves for the terminal. `known_trace`: the newest we had heard of."""

    tid: str
    request: str
    amount: int
    currency: int
    order_id: str
    claim: str
    holder: bytes
    card: bytes
    programme: bytes
    points_promised: int
    known_trace: str


class SaleEnded(Event, frozen=True):
    """`sale` is (tid, request) of its SaleAsked; `response` the terminal's own code, '' when none came."""

    sale: tuple[str, str]
    outcome: int
    response: str = ""
    key: PaymentKey | None = None


class PaymentSeen(Event, frozen=True):
    """Kind PAYMENT: a completed payment that earned nothing."""

    paid: Paid
    why: int
    programme: bytes = b""


class Award(Event, frozen=True):
    """A payment with what it earned: points == floor(carry + contribution), the carry being the one before.

    `balance` is the holder's balance after it (the paper said so), 0 when points wait on the payment itself.
    The fields from `at` on are written only where the programme asks for more than its rate:

    at            the instant the rules went by (UTC seconds); 0: they asked for none
    less          (Less, minor units): parts of the amount that earn nothing
    fixed         points in the contribution that do not depend on the amount
    clipped       (Cap, numerator, denominator): points that a cap took; contribution is what it left
    available_at  when the points can be used, 0 at once; expires_at: when they lapse, 0 never
    visits, tier, standing   of the holder before it, as the rules saw them (model.standing)
    day           the local day (date ordinal) whose cap it counts for, 0 none
    lapsing       (points, UTC second): what of the balance after it lapses soon; the paper said so
    stamps        (rule, how many) given; granted: (rule, period) rights used; offers: ids spent
    beside        points of the same person under other ids (merged phones); the paper adds them
    counted       what the tier's metric gains; budget: the programme's points before it, where it has one
    told          an open offer that the paper names, b'' for none
    """

    paid: Paid
    holder: bytes
    claim: str
    programme: bytes
    eligible: int
    contribution: tuple[int, int]
    carry: tuple[int, int]
    points: int
    balance: int
    known_by: int
    at: int = 0
    less: tuple[tuple[int, int], ...] = ()
    fixed: int = 0
    clipped: tuple[tuple[int, int, int], ...] = ()
    available_at: int = 0
    expires_at: int = 0
    visits: int = 0
    tier: str = ""
    standing: bytes = b""
    day: int = 0
    stamps: tuple[tuple[str, int], ...] = ()
    granted: tuple[tuple[str, int], ...] = ()
    counted: Counted | None = None
    budget: tuple[int, int] | None = None
    offers: tuple[bytes, ...] = ()
    beside: int = 0
    lapsing: tuple[int, int] = (0, 0)
    told: bytes = b""


class Reversal(Event, frozen=True):
    """A void or reversal before settlement: the whole contribution that is left goes.

    `ref` is its own identity at the terminal; `amount` and (in current rial) `eligible` what was left of the
    sale; `points` (not negative) what leaves, `debt` the part of them that was not there any more; `balance`
    the holder's after it (the paper may say so), 0 when points wait on the payment itself. `lots`: what was
    drawn from dated lots, (seq, points, expires_at); `counted`: what the tier's metric loses; the award's
    `stamps` and `granted` go with it. `available_at` and `expires_at` are the award's: its lot is drawn from
    first. `forgiven`: the part that was not there and is more than the programme lets a member owe.
    `offers`: those the award had spent, open again. `beside`: points of the same person under other ids
    (merged phones); the paper adds them.
    """

    key: PaymentKey
    ref: PaymentKey
    amount: int
    eligible: int
    holder: bytes
    programme: bytes
    contribution: tuple[int, int]
    carry: tuple[int, int]
    points: int
    debt: int
    reversed_at: int | None
    by: str
    balance: int
    lots: tuple[Taken, ...] = ()
    counted: Counted | None = None
    stamps: tuple[tuple[str, int], ...] = ()
    granted: tuple[tuple[str, int], ...] = ()
    available_at: int = 0
    expires_at: int = 0
    forgiven: int = 0
    offers: tuple[bytes, ...] = ()
    beside: int = 0


class Refund(Event, frozen=True):
    """As Reversal, for the `amount` that went back to the card; `eligible` is the part that had earned.
    `offers` are open again where nothing is left of the sale."""

    key: PaymentKey
    ref: PaymentKey
    amount: int
    eligible: int
    holder: bytes
    programme: bytes
    contribution: tuple[int, int]
    carry: tuple[int, int]
    points: int
    debt: int
    refunded_at: int | None
    by: str
    balance: int
    lots: tuple[Taken, ...] = ()
    counted: Counted | None = None
    available_at: int = 0
    expires_at: int = 0
    forgiven: int = 0
    offers: tuple[bytes, ...] = ()
    beside: int = 0


class RefundUnmatched(Event, frozen=True):
    """A refund whose sale is unknown here moves nothing; it carries every reference the terminal gave."""

    ref: PaymentKey
    amount: int
    currency: int
    refunded_at: int | None
    originals: tuple[tuple[str, str], ...]
    card: bytes
    mask: str
    by: str


class GapDetected(Event, frozen=True):
    """Payments of `tid` may be missing after `after_trace` and before `before_trace` ('' unknown)."""

    tid: str
    after_trace: str
    before_trace: str
    why: str


class GapClosed(Event, frozen=True):
    gap: tuple[int, int]
    by: str
    why: str


class Recorded(Event, frozen=True):
    """A person entered the payment `key` by hand; its Award or Payment row follows in the same commit.

    Scheme REQUEST: said that nothing was charged for the unsure sale of this request; its SaleEnded follows.
    """

    key: PaymentKey
    by: str
    why: str


class AwardMoved(Event, frozen=True):
    """A purchase was somebody else's: what is left of its contribution goes from one member to the other.

    `points_out` leave (`debt` and `forgiven` the part that was not there any more), `points_in` arrive: each
    the difference of its member's floor. `lots`: what was drawn from dated lots, (seq, points, expires_at);
    a lot with the award's `available_at` and `expires_at` is made. `counted` (below zero), `stamps` and
    `granted` go from the one to the other; `at` is when the purchase was; `eligible` in current rial.
    """

    key: PaymentKey
    from_holder: bytes
    to_holder: bytes
    programme: bytes
    contribution: tuple[int, int]
    points_out: int
    points_in: int
    debt: int
    by: str
    why: str
    eligible: int = 0
    carry_out: tuple[int, int] = (0, 1)
    carry_in: tuple[int, int] = (0, 1)
    lots: tuple[Taken, ...] = ()
    available_at: int = 0
    expires_at: int = 0
    counted: Counted | None = None
    stamps: tuple[tuple[str, int], ...] = ()
    granted: tuple[tuple[str, int], ...] = ()
    at: int = 0
    forgiven: int = 0


class AwardRefund(Event, frozen=True):
    """Points of a redemption that came back with its sale's money (`key`); the rest as RedemptionRefund."""

    key: PaymentKey
    redemption: tuple[int, int]
    holder: bytes
    points: int
    lots: tuple[Given, ...]
    by: str
    hold: bytes = b""
    stamps: tuple[tuple[str, int], ...] = ()
    debt: int = 0
    drawn: tuple[Taken, ...] = ()
    at: int = 0
    ref: PaymentKey | None = None
    balance: int = 0


class ClawBack(Event, frozen=True):
    """The hub takes back an award that another device owned or whose refund came elsewhere."""

    key: PaymentKey
    holder: bytes
    points: int
    debt: int
    why: str
    transfer: bytes


class Adjust(Event, frozen=True):
    """Points given (above zero) or taken by hand; `ref` is the request it was asked for with."""

    holder: bytes
    points: int
    debt: int
    expires_at: int | None
    by: str
    why: str
    ref: PaymentKey
    balance: int
    available_at: int = 0
    lots: tuple[Taken, ...] = ()


class Baseline(Event, frozen=True):
    """The first poll of `tid`: `rows` older payments follow, recorded and not awarded; `trace` the newest."""

    tid: str
    trace: str
    rows: int


class Enrol(Event, frozen=True):
    """A member joined. The phone is no field: it lives as ciphertext in `secret`, beside the journal."""

    member: bytes
    last4: str
    by: str


class Profile(Event, frozen=True):
    """What a member told of themselves (bits: 1 name, 2 birthday, 4 consent, 8 referrer, 16 feedback).

    A name is sealed beside the journal. `at` is when, UTC seconds.
    """

    member: bytes
    fields: int
    consent_at: int | None
    referrer: bytes
    birthday: tuple[int, int] | None
    by: str
    at: int = 0


class Bind(Event, frozen=True):
    member: bytes
    token: bytes
    by: str


class Claimed(Event, frozen=True):
    """What one programme's waiting payments bring: points_out leave the waiting holders, points_in arrive.

    points_in == floor(carry + contribution): as if the member had enrolled before these payments. `eligible`
    is the sum of their eligible amounts, in current rial.
    """

    programme: bytes
    keys: tuple[PaymentKey, ...]
    eligible: int
    contribution: tuple[int, int]
    carry: tuple[int, int]
    points_out: int
    points_in: int


class Claim(Event, frozen=True):
    """`token`: the strong card token whose waiting payments are taken, b'' for the code's own payment.

    Under rules beyond a rate each payment is a row of its own: `award` is what it would have been had the
    member joined first (nobody's, where a slip's own account has what the slip says); the one part is what is
    left of it, `counted` what its refunds took of the metric.
    """

    member: bytes
    code: str
    token: bytes
    parts: tuple[Claimed, ...]
    by: str
    award: Award | None = None
    counted: Counted | None = None


class Forget(Event, frozen=True):
    """The ciphertext and its key are deleted on every holder; balances stay under the bare id.

    `tokens`: the cards that lead to the member no more. `origin`: (device, epoch, seq) of the row that said
    so first, of another device or of a branch that was left: all of them count as that one.
    """

    member: bytes
    by: str
    why: str
    tokens: tuple[bytes, ...] = ()
    origin: tuple[int, int, int] | None = None


class TierChanged(Event, frozen=True):
    """`metric` is what the member had reached by `at` (UTC seconds) under the programme version."""

    member: bytes
    tier_before: str
    tier: str
    metric: int
    why: str
    at: int = 0
    programme: bytes = b""


class Merge(Event, frozen=True):
    """`alias` answers as `member` from now on; lots, debts and bonuses keep their owner."""

    member: bytes
    alias: bytes
    order: int
    why: str


class Unmerge(Event, frozen=True):
    member: bytes
    alias: bytes
    order: int
    why: str


class Hold(Event, frozen=True):
    """Points set aside for a reward until the UTC second `until`; stamps (card, how many) leave their card.

    request  its own identity, as its client named it; `bill` rial it was quoted for; `at` UTC seconds, what
             could be used then; `programme` the version whose reward it is
    short    points it was to set aside and another branch of the journal has spent
    offer    the offer it sets aside instead, b'' for none; its `reward` is then the offer's name
    """

    hold: bytes
    holder: bytes
    points: int
    reward: str
    until: int
    request: str
    at: int = 0
    stamps: tuple[tuple[str, int], ...] = ()
    programme: bytes = b""
    bill: int = 0
    rials: int = 0
    by: str = ""
    short: int = 0
    offer: bytes = b""


class Redemption(Event, frozen=True):
    """Held points are spent. `amount`: rial that were really taken off; `lots`: what was drawn from dated
    lots at the UTC second `at`; `key`: the payment it was for, if any; `balance` after it. `debt`: points of
    them that another branch had spent: a debt of kind fork. `beside`: points of the same person under ids
    that nothing was drawn from; the first row of a redemption tells them, and the paper adds them."""

    hold: bytes
    holder: bytes
    points: int
    reward: str
    amount: int
    currency: int
    lots: tuple[Taken, ...]
    key: PaymentKey | None
    at: int = 0
    balance: int = 0
    programme: bytes = b""
    by: str = ""
    debt: int = 0
    beside: int = 0


class Release(Event, frozen=True):
    """Held points are free again, all or (before a capture) a part; `stamps` are back on their card.

    debt   points of them that pay what the member came to owe meanwhile, drawn from `lots`
    """

    hold: bytes
    holder: bytes
    points: int
    why: str
    stamps: tuple[tuple[str, int], ...] = ()
    debt: int = 0
    lots: tuple[Taken, ...] = ()
    by: str = ""


class RedemptionRefund(Event, frozen=True):
    """Points of a redemption come back: `lots` says to which, what is in none goes to the undated points.

    redemption  (epoch, seq) of its row; `at` UTC seconds, what had lapsed by then
    debt        points of them that pay a debt, drawn from `drawn`; `stamps` are back on their card
    ref         its own identity; beside: as in Redemption
    """

    redemption: tuple[int, int]
    holder: bytes
    points: int
    lots: tuple[Given, ...]
    by: str
    hold: bytes = b""
    stamps: tuple[tuple[str, int], ...] = ()
    debt: int = 0
    drawn: tuple[Taken, ...] = ()
    at: int = 0
    ref: PaymentKey | None = None
    balance: int = 0
    beside: int = 0


class Offer(Event, frozen=True):
    """Something to be used once, by this holder, from `from_at` to before `until` (UTC seconds).

    document   what it brings, in a form of its own (club.offers): it stays so whatever the programme becomes
    by, why    who gave it, or that a rule did; `programme`: the version of the rule or template, b'' for none
    occasion   which time of the rule it is for this holder: its identity follows from the three of them
    cause      journal row of the sale it was given for, 0 for none; `at`: when, UTC seconds
    """

    offer: bytes
    holder: bytes
    document: str
    from_at: int | None
    until: int | None
    by: str
    why: str = ""
    programme: bytes = b""
    occasion: int = 0
    cause: int = 0
    at: int = 0


class OfferEnded(Event, frozen=True):
    """An offer that nobody used is over. `end` is an OfferEnd; `at` UTC seconds, attested where it lapsed."""

    offer: bytes
    holder: bytes
    end: int
    why: str
    by: str
    at: int


class Expire(Event, frozen=True):
    """Lots that lapsed by the attested UTC second `at`; what open holds need is left until they end."""

    holder: bytes
    points: int
    lots: tuple[Taken, ...]
    at: int


class FloatOut(Event, frozen=True):
    """Whole points leave this till; each lot: origin (device, epoch, seq), programme, points, expires_at."""

    transfer: bytes
    to_till: str
    points: int
    lots: tuple[tuple[int, int, int, bytes, int, int | None], ...]


class FloatIn(Event, frozen=True):
    transfer: bytes
    from_till: str
    points: int
    lots: tuple[tuple[int, int, int, bytes, int, int | None], ...]


class SpendRights(Event, frozen=True):
    spend_until: int
    order: int
    signature: bytes


TYPES: dict[Kind, type[Event]] = {
    Kind.EPOCH_OPENED: EpochOpened,
    Kind.PROGRAMME_ACTIVATED: ProgrammeActivated,
    Kind.CLOCK_ATTESTED: ClockAttested,
    Kind.CHECKPOINT: Checkpoint,
    Kind.SALE_ASKED: SaleAsked,
    Kind.SALE_ENDED: SaleEnded,
    Kind.PAYMENT: PaymentSeen,
    Kind.AWARD: Award,
    Kind.REVERSAL: Reversal,
    Kind.REFUND: Refund,
    Kind.REFUND_UNMATCHED: RefundUnmatched,
    Kind.GAP_DETECTED: GapDetected,
    Kind.GAP_CLOSED: GapClosed,
    Kind.RECORDED: Recorded,
    Kind.AWARD_MOVED: AwardMoved,
    Kind.AWARD_REFUND: AwardRefund,
    Kind.CLAW_BACK: ClawBack,
    Kind.ADJUST: Adjust,
    Kind.BASELINE: Baseline,
    Kind.ENROL: Enrol,
    Kind.PROFILE: Profile,
    Kind.BIND: Bind,
    Kind.CLAIM: Claim,
    Kind.FORGET: Forget,
    Kind.TIER_CHANGED: TierChanged,
    Kind.MERGE: Merge,
    Kind.UNMERGE: Unmerge,
    Kind.HOLD: Hold,
    Kind.REDEMPTION: Redemption,
    Kind.RELEASE: Release,
    Kind.REDEMPTION_REFUND: RedemptionRefund,
    Kind.OFFER: Offer,
    Kind.EXPIRE: Expire,
    Kind.OFFER_ENDED: OfferEnded,
    Kind.FLOAT_IN: FloatIn,
    Kind.FLOAT_OUT: FloatOut,
    Kind.SPEND_RIGHTS: SpendRights,
}
KINDS: dict[type[Event], Kind] = {event: kind for kind, event in TYPES.items()}

# Fields of the first release; those appended since are left out while they and all after hold their default,
# so a plain sale has the body it always had.
_FIRST_FIELDS: dict[type[Event], int] = {
    Award: 10, Reversal: 13, Refund: 13, Adjust: 8, AwardMoved: 10, Claim: 5, Profile: 6,
    TierChanged: 5, Forget: 3, Checkpoint: 6, Hold: 12, Redemption: 12, Offer: 6,
}  # fmt: skip
AS_PAID = 1  # how a body tells an award's `at` that is the payment's own time: four bytes less a sale
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[int, msgspec.msgpack.Decoder[Any]] = {}


def encode(event: Event) -> bytes:
    """The canonical body: MessagePack in its shortest form, fields in order."""
    first = _FIRST_FIELDS.get(type(event))
    if first is None:
        return _encoder.encode(event)
    values = msgspec.structs.astuple(event)
    if isinstance(event, Award) and event.at and event.at == instant_of_rules(event.paid, 0):
        values = (*values[:first], AS_PAID, *values[first + 1 :])
    defaults = event.__struct_defaults__
    told = len(values)
    while told > first and values[told - 1] == defaults[told - 1 - len(values)]:
        told -= 1
    return _encoder.encode(values[:told])


def instant_of_rules(paid: Paid, otherwise: int) -> int:
    """The UTC second that rules go by: the payment's own, where its terminal told one. Never 0."""
    return (otherwise if paid.paid_at is None else paid.paid_at) or AS_PAID


def has_grown(event: Event) -> bool:
    """True when a field that was appended after the first release says something."""
    first = _FIRST_FIELDS.get(type(event), len(event.__struct_fields__))
    values, defaults = msgspec.structs.astuple(event)[first:], event.__struct_defaults__
    return bool(values) and values != tuple(defaults[-len(values) :])


def decode(kind: int, body: bytes) -> Event:
    """The event of a stored body. ValueError when the kind is unknown or the body does not fit it."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(TYPES[Kind(kind)])
    try:
        event: Event = decoder.decode(body)
    except RecursionError as error:  # arrays in arrays in arrays: no event has them
        raise ValueError(f"the body is nested too deep ({error})") from error
    if isinstance(event, Award) and event.at == AS_PAID:
        return msgspec.structs.replace(event, at=instant_of_rules(event.paid, AS_PAID))
    return event
