"""What became of a payment: one value for the reply, the paper and support, read back from the journal.

The first answer and every repeated one are made by the same function from the same journal row, so they are
equal by construction.
"""

import sqlite3
from typing import Literal

import msgspec

from vafa.app.offer_words import Told, told_with_sale, used
from vafa.keys.tokens import Tokens
from vafa.ledger import reads, value
from vafa.ledger.reads import Entry
from vafa.model import events
from vafa.model.chain import check_code
from vafa.model.events import KnownBy, Nothing
from vafa.model.identity import MEMBER_ID_BYTES
from vafa.model.payment import Payment, PaymentKey

OF_AN_UNDOING = "of_an_undoing"  # `why` of a payment with the identity of a void, refund or adjustment


_PAYMENTS = (events.Award, events.PaymentSeen)
_UNDOINGS = (
    events.Reversal, events.Refund, events.RefundUnmatched, events.Adjust, events.RedemptionRefund,
)  # fmt: skip


class Spent(msgspec.Struct, frozen=True):
    """A reward that was given for points (0: for stamps); its name is in the programme version. Or the
    offer that took money off."""

    points: int
    reward: str
    programme: bytes
    offer: Told | None = None


class Outcome(msgspec.Struct, frozen=True):
    """result    earned: a member has the points; waiting: they wait for `claim`; nothing: see `why`
    number    our short number; `check` four digits of the row's hash
    balance   the member's balance after this payment; None where the paper must not say it
    disagrees evidence that differs from what was posted first: an alarm, never a second award
    pending_at UTC second from which these points can be used, 0 at once
    lapsing   (points, UTC second): what of the balance lapses next, (0, 0) nothing soon
    redeemed  what paid a part of it before it was posted
    offers    the offer it used, and one that is open
    """

    result: Literal["earned", "waiting", "nothing"]
    key: PaymentKey
    number: str
    check: str
    seq: int
    at_ms: int
    amount: int
    currency: int
    paid_at: int | None
    points: int = 0
    balance: int | None = None
    claim: str = ""
    why: str = ""
    programme: bytes = b""
    known_by: KnownBy = KnownBy.NOBODY
    member: bytes = b""
    seen_before: bool = False
    disagrees: tuple[str, ...] = ()
    pending_at: int = 0
    lapsing: tuple[int, int] = (0, 0)
    redeemed: tuple[Spent, ...] = ()
    offers: tuple[Told, ...] = ()


def outcome_at(
    connection: sqlite3.Connection, entry: Entry, heard: Payment | None = None, tokens: Tokens | None = None
) -> Outcome:
    """The outcome of the row in `entry` that has a payment's identity; `heard`: it was heard again."""
    device = reads.device(connection)
    assert device is not None
    spent, offers = spent_before(connection, entry), told_with_sale(connection, entry)
    first = outcome_of(device.numbers[entry.row.epoch], entry, spent, offers)
    if heard is None or tokens is None:
        return first
    if first.why == OF_AN_UNDOING:
        return msgspec.structs.replace(first, seen_before=True, disagrees=("reference",))
    disagrees = evidence_against(reads.paid_of(entry.event), heard, tokens)
    return msgspec.structs.replace(first, seen_before=True, disagrees=disagrees)


def spent_before(connection: sqlite3.Connection, entry: Entry) -> tuple[Spent, ...]:
    """What was redeemed for a payment before its award in `entry` was posted."""
    if not isinstance(entry.event, events.Award):
        return ()
    rows = value.redeemed_for(connection, entry.event.paid.key, entry.row.seq)
    found = ((row, reads.entry(connection, row.ended_seq).event) for row in rows)
    return tuple(
        Spent(each.points, each.reward, each.programme, used(connection, row.offer))
        for row, each in found
        if isinstance(each, events.Redemption)
    )


def outcome_of(
    device: int, entry: Entry, redeemed: tuple[Spent, ...] = (), offers: tuple[Told, ...] = ()
) -> Outcome:
    """The first outcome of the Award or Payment in `entry`, of the device with this number.

    A void's, refund's or adjustment's own identity can come back as a payment's, by a terminal's fault or a
    person's: that earns nothing, and its number leads to what the identity was used for.
    """
    event, row = entry.event, entry.row
    number, code = reads.short_number(device, row.epoch, row.seq), check_code(row.hash)
    if isinstance(event, _UNDOINGS):
        assert event.ref is not None, "an undoing has an identity of its own"
        return Outcome("nothing", event.ref, number, code, row.seq, row.at, 0, 0, None, why=OF_AN_UNDOING)
    assert isinstance(event, _PAYMENTS)
    paid = event.paid
    known = (paid.key, number, code, row.seq, row.at, paid.amount, paid.currency, paid.paid_at)
    if isinstance(event, events.PaymentSeen):
        return Outcome("nothing", *known, why=Nothing(event.why).name.lower(), programme=event.programme)
    assert isinstance(event, events.Award)
    owned = len(event.holder) == MEMBER_ID_BYTES
    shown = owned and event.known_by in (KnownBy.PHONE, KnownBy.CARD)
    return Outcome(
        "earned" if owned else "waiting",
        *known,
        points=event.points,
        balance=event.balance + event.beside if shown else None,
        claim="" if owned else event.claim,
        programme=event.programme,
        known_by=KnownBy(event.known_by),
        member=event.holder if owned else b"",
        pending_at=event.available_at,
        lapsing=event.lapsing,
        redeemed=redeemed,
        offers=offers,
    )


def used_reference(outcome: Outcome) -> str:
    """The fault of a payment OF_AN_UNDOING, for people."""
    used = f"the reference of a void, refund or adjustment ({outcome.number})"
    return f"a sale came with {used}: it earned nothing"


def evidence_against(paid: events.Paid, heard: Payment, tokens: Tokens) -> tuple[str, ...]:
    """The names of evidence fields, present both times, that differ."""
    mask = heard.card.bin6 + heard.card.last4
    pairs = {
        "amount": (paid.amount, heard.amount),
        "trace": (paid.trace, heard.trace),
        "mask": (paid.mask, mask),
        "order_id": (paid.order_id, tokens.without_pans(heard.order_id)),
    }
    return tuple(name for name, (first, second) in pairs.items() if first and second and first != second)
