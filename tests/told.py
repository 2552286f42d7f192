"""What happens in a life, on both sides: purchases, undoings, claims, moves, merges, and what is spent."""

import random
from typing import TYPE_CHECKING

from oracle.days import DAY_S
from oracle.earning import NEW_RIAL, Bill, Parts
from oracle.life import Purchase
from oracle.purse import Id
from oracle.rules import Rules
from random_rules import EDGES
from shop import TID, payment
from told_giving import Gives

from vafa.app.joined_people import JoinedPeople
from vafa.app.moving import Moving
from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.model import events
from vafa.model.errors import Refused
from vafa.model.events import Less
from vafa.model.money import Currency
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme

if TYPE_CHECKING:
    from histories import World

PARTS = {"cashback": Less.CASHBACK, "tip": Less.TIP, "vat": Less.VAT, "points": Less.POINTS}
FEEDBACK = 16  # the bit of a profile that says so


class Told(Gives):
    """One life. `step` does something random of what can be done by now."""

    def __init__(self, world: "World", number: int, chance: random.Random) -> None:
        super().__init__(world, number, chance)
        self.card_owner = ""
        self.codes: dict[str, str] = {}  # waiting purchase -> its claim code
        self.numbers: dict[str, str] = {}
        self.asked, self.spent, self.known, self.stood = [], [], {}, {}

    def step(self) -> None:
        """Time has passed and something happens; then both sides are compared."""
        self.settle()
        often = 3 if self.world.is_spending else 1  # much is redeemed there, and comes back
        actions = {
            self._buy: 9, self._refund: 2 + 2 * often, self._void: 1, self._adjust: 1, self._move: 1,
            self._merge: 1, self._unmerge: 1, self._claim: 3, self._feedback: 2,
            self.hold: 5 * often, self.end_hold: 2, self.give_back: 2 * often,
        }  # fmt: skip
        if self.world.has_offers:
            actions |= {self.give: 3, self.hold_offer: 3, self.withdraw: 1}
        if self.world.is_giving:
            actions |= {self._buy: 14, self.hold_offer: 9, self.give: 6, self.give_back: 8}
        (action,) = self.chance.choices(list(actions), list(actions.values()))
        action()
        self.compare(action.__name__)

    def _bill(self, rules_at: int) -> Bill:
        chance, rules = self.chance, self.world.rules[0]
        amount = chance.choice((chance.randint(1, 40), chance.randint(40, 400), *EDGES)) * rules.unit
        new_rial = rules.unit > 1 and chance.random() < 0.4
        if new_rial:
            amount = max(1, amount // NEW_RIAL)
        parts: Parts = ()
        if chance.random() < 0.25:
            what = chance.sample(list(PARTS), chance.choice((1, 1, 2)))
            parts = tuple((each, chance.randint(1, max(1, amount // 2))) for each in what)
        return Bill(amount, rules_at, new_rial, parts)

    def _buy(self) -> None:
        world, chance = self.world, self.chance
        self.count += 1
        name = f"{self.number}-{self.count}"
        at = world.now - (chance.randint(0, 20) * DAY_S if world.timeless and chance.random() < 0.2 else 0)
        bill, rules = self._bill(at), world.rules_at(at)
        how = chance.choice(("member", "member", "member", "card", "hint"))
        who, hint, member = "", CardHint("621986", f"{self.count % 10000:04d}"), b""
        if how == "member":
            named = chance.choice(list(self.members))
            who, hint, member = self.life.acting(named), CardHint(), self.members[named]
        elif how == "card":
            hint = CardHint("621986", "3864", b"%032d" % self.number)
            who = self.life.acting(self.card_owner) if self.card_owner else "card"
            self.life.ids.setdefault(who, Id(who))
        paid = payment(
            name, bill.amount, card=hint, paid_at=at,  # type: ignore[arg-type]
            currency=Currency.RIAL_NEW if bill.new_rial else Currency.RIAL_CURRENT,
            less=tuple((int(PARTS[what]), amount) for what, amount in bill.parts),
        )  # fmt: skip
        outcome = world.shop.counter.post(paid, member)
        said = self.life.buy(name, rules, bill, who)
        if who == "card" and not any(p.holder == "card" for p in self.life.purchases.values()):
            del self.life.ids["card"]
        self.same("points of a purchase", outcome.points, said or 0)
        self.numbers[name] = outcome.number
        if said is None:
            return
        if who in ("", "card"):
            self.codes[name] = outcome.claim
        purchase = self.life.purchases[name]
        self._count(purchase, rules)
        if purchase.coupon and world.is_giving and chance.random() < 0.5:  # else hardly any would come back
            self._undo(name, bill.amount, chance.choice((Undoing.REFUND, Undoing.VOID)))

    def _count(self, purchase: Purchase, rules: Rules) -> None:
        got = purchase.earned
        self.seen["purchases"] += 1
        self.seen["purchases in new rial"] += purchase.bill.new_rial
        self.seen["purchases with parts that earn nothing"] += got.eligible < purchase.bill.amount
        self.seen["caps"] += bool(got.clipped)
        self.seen.update(f"caps, {cap}" for cap in got.clipped)
        self.seen.update(f"bonuses, {kind}" for kind in got.kinds)
        self.seen["dated"] += bool(got.expires_at)
        self.seen["pending"] += bool(got.available_at)
        self.seen["stamps"] += bool(got.stamps)
        self.seen["offers used by a purchase"] += purchase.coupon is not None
        self.seen["earned in a tier"] += bool(rules.tiers and purchase.holder)

    def _feedback(self) -> None:
        """Somebody says what they think of the shop."""
        name = self.life.acting(self.chance.choice(list(self.members)))
        told = events.Profile(self.members[name], FEEDBACK, None, b"", None, "test", self.world.now)
        self.world.shop.ledger.write(lambda tx: tx.post(told))
        self.life.ids[name].feedback_at = self.world.now

    def _left(self) -> list[str]:
        return [name for name, purchase in self.life.purchases.items() if purchase.left]

    def _refund(self) -> None:
        names = self._left()
        if not names:
            return
        redeemed = [n for n in names if any(n == held.sale for held in self.life.holds.values())]
        name = self.chance.choice(redeemed if redeemed and self.chance.random() < 0.6 else names)
        left = self.life.purchases[name].left
        self._undo(name, self.chance.choice((left, self.chance.randint(1, left))), Undoing.REFUND)

    def _void(self) -> None:
        names = self._left()
        if names:
            name = self.chance.choice(names)
            self._undo(name, self.life.purchases[name].left, Undoing.VOID)

    def _undo(self, name: str, amount: int, kind: Undoing) -> None:
        self.count += 1
        world, purchase = self.world, self.life.purchases[name]
        told, currency = self._in_a_rial(purchase, amount)
        ref = PaymentKey(Scheme.RRN, TID, f"r{self.number}-{self.count}")
        wish = Wish(kind, PaymentKey(Scheme.RRN, TID, name), ref, told, None, "test", currency)
        exact = told * (NEW_RIAL if currency else 1) == purchase.bill.in_rial(amount)
        if not exact:
            self._refused(wish)
            return
        undone = Undo(world.shop.counter).undo(wish)
        said = self.life.refund(name, amount, world.now, void=kind is Undoing.VOID)
        self.same(
            "an undoing", (undone.points, undone.debt, undone.forgiven, undone.returned),
            (said.points, said.debt, said.forgiven, said.returned),
        )  # fmt: skip
        self.seen["undoings"] += 1
        self.seen["debts"] += said.debt > 0
        self.seen["debts beyond their cap"] += said.forgiven > 0
        self.seen["cross-version"] += purchase.rules.version != world.rules_at(world.now).version
        self.seen["undoings in the other rial"] += bool(currency) != purchase.bill.new_rial
        self.seen["offers back with a purchase"] += purchase.coupon is not None and not purchase.left
        self.seen["points back with a sale"] += said.returned > 0
        self.seen["lapsed points back with a sale"] += said.returned_lapsed > 0
        if kind is Undoing.VOID:
            self.codes.pop(name, None)

    def _in_a_rial(self, purchase: Purchase, amount: int) -> tuple[int, Currency]:
        """What the terminal tells of money that goes back: in the sale's rial, or in the other one, where
        what is no whole number of it is told rounded down."""
        other = self.world.rules[0].unit > 1 and self.chance.random() < 0.4
        if purchase.bill.new_rial:
            return (amount * NEW_RIAL, Currency.RIAL_CURRENT) if other else (amount, Currency.RIAL_NEW)
        if other and amount % NEW_RIAL == 0:
            return amount // NEW_RIAL, Currency.RIAL_NEW
        return amount, Currency.RIAL_CURRENT

    def _refused(self, wish: Wish) -> None:
        try:
            Undo(self.world.shop.counter).undo(wish)
        except Refused:
            return
        self.same("a refund of no whole amount", "done", "refused")

    def _adjust(self) -> None:
        self.count += 1
        name = self.chance.choice(list(self.members))
        points = self.chance.choice((-30, -5, 4, 20))
        ref = PaymentKey(Scheme.REQUEST, "", f"a{self.number}-{self.count}")
        done = Undo(self.world.shop.counter).adjust(Adjustment(self.members[name], points, "x", ref, "test"))
        self.same("debt of an adjustment", done.debt, self.life.adjust(name, points))
        self.seen["adjustments"] += 1

    def _move(self) -> None:
        mine = [n for n, p in self.life.purchases.items() if p.left and p.holder in self.members]
        if not mine:
            return
        name, named = self.chance.choice(mine), self.chance.choice(list(self.members))
        to = self.life.acting(named)
        moved = Moving(self.world.shop.ledger).move(self.numbers[name], self.members[named], "x", "test")
        if to == self.life.purchases[name].holder:
            self.same("moving to the same member", moved.seen_before, True)
            return
        self.same("points of a move", (moved.points_out, moved.points_in), self.life.move(name, to))
        self.seen["moves"] += 1

    def _merge(self) -> None:
        if len(self.members) < 2:
            return
        one, other = self.chance.sample(list(self.members), 2)
        shop = self.world.shop
        done = JoinedPeople(shop.ledger, shop.tokens).merge(self.phone(one), self.phone(other), "x")
        top, alias = self.life.acting(one), self.life.acting(other)
        self.same("merged before", done.seen_before, top == alias)
        if top != alias:
            self.life.answers_as[alias] = top
            self.seen["merges"] += 1

    def _unmerge(self) -> None:
        if not self.life.answers_as:
            return
        alias = self.chance.choice(list(self.life.answers_as))
        shop = self.world.shop
        JoinedPeople(shop.ledger, shop.tokens).unmerge(self.phone(alias), "x")
        del self.life.answers_as[alias]
        self.seen["unmerges"] += 1

    def _claim(self) -> None:
        if not self.codes:
            return
        name, named = self.chance.choice(list(self.codes)), self.chance.choice(list(self.members))
        who, holder = self.life.acting(named), self.life.purchases[name].holder
        names = [n for n in self.codes if self.life.purchases[n].holder == holder] if holder else [name]
        done = self.world.shop.members.claim(self.codes[name], self.members[named], "test")
        self.same("claimed", (done.payments, done.points), (len(names), self.life.claim(names, who)))
        if holder and not self.card_owner:
            self.card_owner = who
        for each in names:
            del self.codes[each]
        self.seen["claims"] += 1
