"""A shop with a member and offers, and what a cashier does."""

from typing import Any

import msgspec
from shop import Shop, payment

from vafa.app.offer_words import state_of
from vafa.app.offering import Given, Offering
from vafa.app.offering import Wish as Give
from vafa.app.outcome import Outcome
from vafa.app.redeem_words import Redeemed
from vafa.app.redeeming import Redeeming, Wish
from vafa.app.undo import Undo, Undoing, Undone
from vafa.app.undo import Wish as UndoWish
from vafa.books.rows import MemberRow, OfferRow
from vafa.club.offers import Brings
from vafa.club.programme import Programme, parse
from vafa.ledger import reads
from vafa.ledger.offers import offers_of
from vafa.ledger.tables import find_row
from vafa.model import events
from vafa.model.payment import PaymentKey, Scheme

RULES = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 10
[redeem]
hold_minutes = 10
[offer.double]
name_fa = "دو برابر امتیاز"
name_en = "Double points"
valid_days = 14
extra = 100
[offer.sorry]
name_fa = "با پوزش"
valid_days = 30
discount = 500
at_least = 1_000
[segment.regulars]
name_fa = "مشتریان همیشگی"
visits_at_least = 2
"""
PHONE, OTHER = "09121236789", "09351112233"
DAY_S = 86_400
TEN = PaymentKey(Scheme.REQUEST, "", "t-10")


class Till:
    """A shop, a member, and what a cashier does."""

    def __init__(self, shop: Shop, text: str = RULES) -> None:
        self.shop = shop
        self.rules(text)
        self.member = self.joined(PHONE)
        self.number = 0
        self.undo_number = 0

    def rules(self, text: str) -> Programme:
        programme = parse(text)
        self.shop.programmes.activate(programme, None)
        self.offering = Offering(self.shop.ledger, self.shop.programmes)
        return programme

    def joined(self, phone: str) -> bytes:
        return bytes.fromhex(self.shop.members.add(phone, "", "test").id)

    def give(self, template: str = "double", request: str = "g-1", **fields: object) -> Given:
        wish = Give(request, template, None, 0, "", "welcome", "test")
        return self.offering.give(self.member, msgspec.structs.replace(wish, **fields))

    def own(self, request: str = "g-1", **brings: Any) -> Given:
        what = Brings(name="offer", fa="هدیه", **brings)
        return self.give("", request, own=what, days=7)

    def buys(self, amount: int = 1_000, member: bytes | None = None, **fields: object) -> Outcome:
        self.number += 1
        told = {"paid_at": self.shop.wall_ms // 1000} | fields
        whose = self.member if member is None else member
        return self.shop.counter.post(payment(self.number, amount, **told), whose)

    def undoes(self, sale: Outcome, amount: int | None = None) -> Undone:
        self.undo_number += 1
        ref = PaymentKey(Scheme.REQUEST, "", f"u-{self.undo_number}")
        kind = Undoing.VOID if amount is None else Undoing.REFUND
        return Undo(self.shop.counter).undo(UndoWish(kind, sale.key, ref, amount, None, "test"))

    def holds(self, offer: bytes, bill: int = 2_000, request: str = "h-1") -> Redeemed:
        wish = Wish(request, self.member, "", bill, None, "test", offer)
        return Redeeming(self.shop.counter).hold(wish)

    def captures(self, sale: PaymentKey | None, request: str = "h-1", applied: int | None = None) -> Redeemed:
        return Redeeming(self.shop.counter).capture(request, applied, sale, "test")

    def passes(self, days: int) -> None:
        """So many days, and somebody vouches for the clock."""
        self.shop.wall_ms += days * DAY_S * 1000
        now = self.shop.wall_ms // 1000
        self.shop.ledger.write(lambda tx: tx.post(events.ClockAttested(now, "test")))

    def row(self, member: bytes | None = None) -> MemberRow:
        found_row = self.shop.ledger.read(lambda c: reads.holder(c, member or self.member))
        assert found_row is not None
        return found_row

    def states(self, member: bytes | None = None) -> dict[str, str]:
        """How each of the member's offers stands, by what it is called."""
        now = self.shop.wall_ms // 1000

        def question(connection: object) -> dict[str, str]:
            rows = offers_of(connection, member or self.member)  # type: ignore[arg-type]
            events_ = [(row, reads.entry(connection, row.seq).event) for row in rows]  # type: ignore[arg-type]
            return {
                f"{event.why} {event.occasion}": state_of(connection, row, now)  # type: ignore[arg-type]
                for row, event in events_
                if isinstance(event, events.Offer)
            }

        return self.shop.ledger.read(question)

    def offer(self, name: bytes) -> OfferRow:
        row = self.shop.ledger.read(lambda c: find_row(c, OfferRow, (name,)))
        assert row is not None
        return row
