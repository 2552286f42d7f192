"""What happens in a life, on both sides: purchases, undoings, adjustments, and all that those below tell."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from oracle.days import DAY_S
from oracle.earning import NEW_RIAL, Bill, Parts
from oracle.life import Purchase
from oracle.purse import Id
from oracle.rules import Rules
from random_rules import EDGES
from shop import TID, payment
from told_people import Meets

from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.events import Less
from vafa.model.money import Currency
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme

if TYPE_CHECKING:
    from histories import World

PARTS = {"cashback": Less.CASHBACK, "tip": Less.TIP, "vat": Less.VAT, "points": Less.POINTS}
FEEDBACK = 16  # the bit of a profile that says so


class Told(Meets):
    """One life. `step` does something random of what can be done by now."""

    def __init__(self, world: "World", number: int, chance: random.Random) -> None:
        super().__init__(world, number, chance)
        self.codes, self.numbers, self.owners, self.with_card = {}, {}, [], []
        self.asked, self.spent, self.known, self.stood = [], [], {}, {}

    def step(self) -> None:
        """Time has passed and something happens; then both sides are compared."""
        self.settle()
        often = 3 if self.world.is_spending else 1  # much is redeemed there, and comes back
        actions: dict[Callable[[], object], int] = {
            self._buy: 9, self._refund: 2 + 2 * often, self._void: 1, self._adjust: 1, self.move: 1,
            self.merge: 1, self.unmerge: 1, self.claim: 3, self._feedback: 2,
            self.hold: 5 * often, self.end_hold: 2, self.give_back: 2 * often,
        }  # fmt: skip
        if self.world.has_offers:
            actions |= {self.give: 3, self.hold_offer: 3, self.withdraw: 1}
        if self.world.is_giving:
            actions |= {self._buy: 14, self.hold_offer: 9, self.give: 6, self.give_back: 8}
        if self.world.is_full:
            actions |= {self.fill: 6, self._buy: 14, self.give: 6}
        if self.world.is_of_chance:
            actions |= {self.bind: 1, self.forget: 1, self.join_again: 2}
        if self.world.is_of_people:
            actions |= {self._buy: 18, self.merge: 4, self.unmerge: 3, self.claim: 6, self.bind: 1}
            actions |= {self.forget: 2, self.join_again: 4}
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
        ways = ("member", "member", "member", "card", "hint") + (
            "card",
            "card",
            "card",
            "card",
            "both",
            "both",
        ) * world.is_of_people
        how = chance.choice(ways)
        who, hint, member = "", CardHint("621986", f"{self.count % 10000:04d}"), b""
        if how in ("card", "both"):
            hint, who = self.card, self.holder_of_card()
        if how in ("member", "both"):
            named = chance.choice(list(self.members))
            member = self.members[named]
            hint = hint if how == "both" else CardHint()
            if self.life.is_known(named):
                who = self.life.acting(named)
                self.seen["purchases with a family's card, one named"] += (
                    how == "both" and len(self.owners) > 1
                )
        if who == "card":
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
        self.with_card += [name] * (how in ("card", "both"))
        if outcome.balance is not None and said is not None:
            theirs = sum(len(self.life.ids[each].points) for each in self.life.people(who))
            self.same("the balance on paper", outcome.balance, theirs)
        if world.is_of_people and hint == self.card and len(self.owners) < 2 and chance.random() < 0.6:
            self.bind()
            self.bind()
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
        self.seen["offers a rule may not give, too many"] += self.life.turned_away
        self.life.turned_away = 0

    def _feedback(self) -> None:
        """Somebody says what they think of the shop."""
        name = self.life.acting(self.chance.choice(list(self.members)))
        if not self.life.is_known(name):
            return
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
        late = {self.life.holds[each].sale for each in self._with_lapsed()} if self.world.is_of_chance else ()
        redeemed = [n for n in redeemed if n in late] or redeemed
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
        wish = Adjustment(self.members[name], points, "x", ref, "test")
        try:
            done = Undo(self.world.shop.counter).adjust(wish)
        except NotFound:
            self.same("adjusting somebody", self.life.ids[name].forgotten, True)
            return
        self.same("debt of an adjustment", done.debt, self.life.adjust(name, points))
        self.seen["adjustments"] += 1
