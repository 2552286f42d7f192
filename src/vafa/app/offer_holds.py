"""An offer that takes money off, set aside for a payment: what it takes off a bill, or why it does not.

The rest is a redemption's: captured with the payment, free again without it, back with a whole refund.
"""

import secrets
import sqlite3
from collections.abc import Sequence

import msgspec

from vafa.app import open_offers
from vafa.app.offer_words import state_of
from vafa.books.rows import MemberRow, OfferRow
from vafa.club.offers import Held, money_off
from vafa.club.programme import Programme
from vafa.club.rewards import MINUTE_S
from vafa.ledger.ledger import Transaction
from vafa.model import events
from vafa.model.errors import NotFound, Refused, VafaError

REWARD = "offer."  # before an offer's name, where a redemption names a reward: no reward is called so


class MoneyOff(msgspec.Struct, frozen=True):
    """An open offer that takes money off: so many rial of this bill; 0 and `no` says why not."""

    held: Held
    rials: int
    no: str = ""


def on_bill(
    connection: sqlite3.Connection, owners: Sequence[MemberRow], bill: int, at: int
) -> tuple[MoneyOff, ...]:
    """What a person's open offers take off a bill at a UTC second; those that end first come first."""
    held = [each for row in owners for each in open_offers.of_member(connection, row)]
    good = [each for each in held if each.brings.takes_money_off and each.good_at(at)]
    return tuple(_priced(each, bill) for each in sorted(good, key=lambda each: each.ends))


def set_aside(
    tx: Transaction, offer: bytes, owners: Sequence[MemberRow], programme: Programme, wish: events.Hold
) -> VafaError | None:
    """Post the hold of an offer; or why it cannot be had. `wish`: its request, bill and who asks."""
    row = tx.find(OfferRow, (offer,))
    if row is None or row.holder not in {owner.id for owner in owners}:
        return NotFound("this member has no such offer", fix="vafa offer list PHONE")
    state = state_of(tx.connection, row, wish.at)
    if state != "open":
        return Refused(f"this offer cannot be used: it is {state}", fix="vafa offer list PHONE")
    held = open_offers.held(tx.connection, row)
    if not held.brings.takes_money_off:
        return Refused("this offer brings points: the next purchase uses it by itself")
    priced = _priced(held, wish.bill)
    if not priced.rials:
        return Refused(priced.no, fix="vafa redeem quote PHONE --bill RIAL")
    tx.post(
        msgspec.structs.replace(
            wish,
            hold=secrets.token_bytes(8),
            holder=row.holder,
            reward=REWARD + held.brings.name,
            until=wish.at + programme.hold_minutes * MINUTE_S,
            programme=programme.id,
            rials=priced.rials,
            offer=offer,
        )
    )
    return None


def _priced(held: Held, bill: int) -> MoneyOff:
    rials = money_off(held.brings, bill)
    if rials:
        return MoneyOff(held, rials)
    least = held.brings.at_least
    return MoneyOff(held, 0, f"it is for a bill of {least:,} rial or more" if least else "say the bill")
