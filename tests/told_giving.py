"""What a life is given and uses once, on both sides: offers given by hand, withdrawn, set aside."""

import sqlite3
from datetime import timedelta
from typing import Any

import msgspec
from oracle.coupons import ASIDE, OPEN, OPEN_MOST, OVER, USED, Coupon
from oracle.days import day_of, midnight, written
from told_spending import Spends

from vafa.app.offering import Wish
from vafa.app.redeeming import Wish as Redemption
from vafa.books.rows import OfferRow
from vafa.club.offers import Brings, told
from vafa.ledger import reads
from vafa.ledger.offers import offers_of
from vafa.model import events
from vafa.model.errors import NotFound, Refused

OWN: tuple[dict[str, Any], ...] = ({"points": 6}, {"extra": 40}, {"discount": 25})
NO_FIELDS = frozenset({"name", "fa", "en"})


class Gives(Spends):
    """`known`: the oracle's offers by the books' number for them; `stood`: how each stood when compared."""

    known: dict[bytes, Coupon]
    stood: dict[bytes, str]

    def give(self, named: str = "") -> bool:
        """Somebody is given an offer, of the programme or one of its own; now and then for later days."""
        self.count += 1
        world, chance = self.world, self.chance
        named = named or chance.choice(list(self.members))
        rules, who = world.rules_at(world.now), self.life.acting(named)
        name, entry = chance.choice(rules.offers)
        days, own = chance.choice((0, 0, 2)), None
        if chance.random() < 0.3:
            name, entry, days = "own", chance.choice(OWN), 3
            own = Brings(name="own", fa="هدیه", **entry)
        today = day_of(world.now)
        first = today + timedelta(days=chance.choice((0, 0, 0, 1, 8)))
        request = f"g{self.number}-{self.count}"
        told_day = "" if first == today else written(first)
        wish = Wish(request, "" if own else name, own, days, told_day, request, "test")
        from_at = max(midnight(first), world.now)
        until = midnight(first + timedelta(days=(days or entry["valid_days"]) + 1))
        coupon = Coupon(who, name, entry, from_at, until, request)
        full = self.life.is_full(who)
        oracle = self.life.is_known(who) and not full and self.life.give(coupon)
        try:
            ours = not world.offering.give(self.members[named], wish).seen_before
            self.same("given again", world.offering.give(self.members[named], wish).seen_before, True)
        except (NotFound, Refused):
            ours = False
        self.same("giving", ours, oracle)
        self.seen["offers given by hand"] += oracle
        self.seen["offers by hand, too many"] += full
        return oracle

    def fill(self) -> None:
        """Somebody is given as many offers as they may hold, or one or two less, and some are told no."""
        named = self.chance.choice(list(self.members))
        for _ in range(OPEN_MOST + self.chance.choice((-2, 0, 1))):
            self.give(named)

    def withdraw(self) -> None:
        """The merchant takes an offer back, which somebody may have used."""
        mine = [tie for tie, each in self.known.items() if each.state != OVER]
        if not mine:
            return
        tie = self.chance.choice(mine)
        coupon = self.known[tie]
        oracle = coupon.state == OPEN
        coupon.state = OVER if oracle else coupon.state
        try:
            self.world.offering.withdraw(tie, "x", "test")
            ours = True
        except Refused:
            ours = False
        self.same("withdrawn", ours, oracle)
        self.seen["offers withdrawn"] += oracle

    def hold_offer(self) -> None:
        """Money is to be taken off a bill; the offer is there, or used, over, set aside, not begun."""
        named = self.chance.choice(list(self.members))
        theirs = set(self.life.people(named))
        every = [each for each in self.known.values() if each.holder in theirs]
        rather = [each for each in every if each.takes_money_off and each.state == OPEN]
        if not every:
            return
        self.count += 1
        world, chance = self.world, self.chance
        coupon = chance.choice(rather if rather and chance.random() < 0.8 else every)
        bill = chance.choice((0, 40, chance.randint(40, 400))) * world.rules[0].unit
        request = f"o{self.number}-{self.count}"
        known = self.life.is_known(named)
        rules = world.rules_at(world.now)
        held = self.life.hold_coupon(request, coupon, bill, rules, world.now) if known else None
        try:
            wish = Redemption(request, self.members[named], "", bill, None, "test", coupon.tie)
            done = self._redeeming.hold(wish)
            ours = (done.points, done.until, done.rials)
        except (NotFound, Refused):
            ours = None
        self.same("holding an offer", ours, held and (0, held.until, held.rials))
        self.seen["holds, offer" if held else "holds refused"] += 1
        self.asked += [request] * (held is not None)
        if held and chance.random() < 0.8:
            self.end_hold()
            if world.is_giving and chance.random() < 0.9:
                self.give_back()

    def settle(self) -> None:
        """What was given meanwhile gets its number: it decides between equals."""
        super().settle()
        if any(not each.tie for each in self.life.coupons):
            self.compare("what time did")

    def compare(self, what: str) -> None:
        super().compare(what)
        if self.world.has_offers:
            for name, member in self.members.items():
                self.world.shop.ledger.read(lambda c, n=name, m=member: self._compare_offers(c, what, n, m))  # type: ignore[misc]
                open_ones = len(self.life.coupons_of(name, OPEN, ASIDE))
                self.same("open offers", self.world.row(member).offers, open_ones)

    def _compare_offers(self, connection: sqlite3.Connection, what: str, name: str, member: bytes) -> None:
        """How each offer of an id stands; a new one is told by what it is and why it was given."""
        mine = [each for each in self.life.coupons if each.holder == name]
        rows = offers_of(connection, member)
        for row in reversed(rows):
            if row.offer not in self.known:
                self.known[row.offer] = self._named(connection, row, mine)
        books = {row.offer: _stands(connection, row) for row in rows}
        oracle = {each.tie: each.state for each in mine}
        self.same(f"offers of {name} after {what}", books, oracle)
        for tie, state in oracle.items():
            before = self.stood.get(tie, OPEN)
            self.seen[f"offers, {before} then {state}"] += before != state
            self.stood[tie] = state

    def _named(self, connection: sqlite3.Connection, row: OfferRow, mine: list[Coupon]) -> Coupon:
        """The oracle's coupon that an offer of the books is, from now on by its number."""
        event = reads.entry(connection, row.seq).event
        assert isinstance(event, events.Offer)
        brings = told(event.document)
        occasion: object = event.occasion if event.by == "rule" else event.why
        if event.why == "returned":
            occasion = connection.execute("SELECT ref FROM payment WHERE seq = ?", (occasion,)).fetchone()[0]
        for each in mine:
            if not each.tie and (brings.name, row.from_at, row.until, occasion) == (
                each.name, each.from_at, each.until, each.occasion
            ):  # fmt: skip
                each.tie = row.offer
                self.same("what an offer brings", _fields(brings), _fields(each.entry))
                if event.by == "rule":
                    self.seen[f"offers given, {event.why}"] += 1
                return each
        self.same("an offer", event, [each for each in mine if not each.tie])
        raise AssertionError("what is given was meant")


def _stands(connection: sqlite3.Connection, row: OfferRow) -> str:
    if not row.spent_seq:
        return ASIDE if row.hold else OPEN
    ended = reads.entry(connection, row.spent_seq).event
    return OVER if isinstance(ended, events.OfferEnded) else USED


def _fields(brings: Brings | dict[str, Any]) -> dict[str, int]:
    """What it brings; without when it is given and how long it is good."""
    told_ = brings if isinstance(brings, dict) else msgspec.structs.asdict(brings)
    names = set(Brings.__struct_fields__) - NO_FIELDS
    return {name: value for name, value in told_.items() if name in names and value}
