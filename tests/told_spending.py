"""What a life spends, on both sides: holds, captures, releases, and what comes back."""

from shop import TID
from telling import Telling

from vafa.app import returning
from vafa.app.redeeming import Redeeming, Wish
from vafa.model.errors import NotFound, Refused
from vafa.model.payment import PaymentKey, Scheme


class Spends(Telling):
    """`asked`: requests of holds that were not ended here, open or not; `spent`: of captures."""

    asked: list[str]
    spent: list[str]

    @property
    def _redeeming(self) -> Redeeming:
        return Redeeming(self.world.shop.counter)

    def hold(self) -> None:
        """Something is asked for; it is there or it is not."""
        self.count += 1
        world, chance, named = self.world, self.chance, self.chance.choice(list(self.members))
        rules = world.rules_at(world.now)
        bill = chance.choice((0, 40, chance.randint(40, 400), chance.randint(40, 400))) * rules.unit
        name, reward = chance.choice(rules.rewards)
        if chance.random() < 0.7:  # rather something that is there
            there = [
                (each, what)
                for each, what in rules.rewards
                if self.life.price(named, rules, what, bill, None, world.now) is not None
            ]
            if world.is_spending:  # of money off, parts are applied and come back
                there = [each for each in there if each[0] == "money"] or there
            name, reward = chance.choice(there or rules.rewards)
        wanted = chance.choice((None, None, chance.randint(1, 20))) if name == "money" else None
        request = f"h{self.number}-{self.count}"
        held = self.life.hold(named, rules, request, reward, bill, wanted, world.now)
        try:
            done = self._redeeming.hold(Wish(request, self.members[named], name, bill, wanted, "test"))
            ours = (done.points, done.stamps, done.until, done.rials)
        except (NotFound, Refused):
            ours = None
        oracle = held and (
            sum(share.points for share in held.shares), sum(held.stamps.values()), held.until, held.rials
        )  # fmt: skip
        self.same("holding", ours, oracle)
        self.seen[f"holds, {reward['kind']}" if held else "holds refused"] += 1
        self.asked += [request] * (held is not None)
        if held and (world.is_spending or chance.random() < 0.6):
            self.end_hold()

    def end_hold(self) -> None:
        """A hold is captured or released; both find it ended where its time was over."""
        if not self.asked:
            return
        request = self.asked.pop()
        held = self.life.holds[request]
        was_open = held.state == "open"
        if self.chance.random() < 0.2:
            self.same("the end of a hold", self._redeeming.release(request, "test").state, "released")
            if was_open:
                self.life.release(request)
            return
        applied = None
        if (held.is_money or held.coupon) and self.chance.random() < 0.5:
            applied = self.chance.randint(0, held.rials + held.rials // 8)
        untouched = self._untouched()
        sale = self.chance.choice(untouched) if untouched and self.chance.random() < 0.7 else ""
        key = PaymentKey(Scheme.RRN, TID, sale) if sale else None
        oracle = self.life.capture(request, applied, sale, self.world.now) if was_open else None
        try:
            done = self._redeeming.capture(request, applied, key, "test")
            ours = (done.state, done.points if done.state == "captured" else 0)
        except Refused:
            ours = None
            self.asked += [request] * was_open
        self.same("captured", ours, oracle)
        if oracle and oracle[0] == "captured":
            self.seen[f"redemptions, {held.reward['kind']}"] += 1
            self.seen["redemptions, partly applied"] += applied is not None and applied < held.rials
            self.spent.append(request)

    def _untouched(self) -> list[str]:
        """Purchases of which nothing went back."""
        return [name for name, each in self.life.purchases.items() if each.left == each.bill.amount]

    def _with_lapsed(self) -> list[str]:
        """Redemptions of points that would have lapsed by now."""
        return [
            each for each in self.spent
            if any(0 < point.expires_at <= self.world.now
                   for share in self.life.holds[each].shares for point in share.spent)
        ]  # fmt: skip

    def give_back(self) -> None:
        """A redemption is undone by a request of its own, all of it or a part."""
        if not self.spent:
            return
        self.count += 1
        of_offers = [each for each in self.spent if self.life.holds[each].coupon]
        world = self.world
        rather = of_offers if world.is_giving else self._with_lapsed() if world.is_of_chance else []
        request = self.chance.choice(rather or self.spent)
        held = self.life.holds[request]
        points = self.chance.choice((None, *[self.chance.randint(1, 12)] * (request not in of_offers)))
        lapsed = sum(bool(p.expires_at) and p.expires_at <= world.now
                     for share in held.shares for p in share.spent)  # fmt: skip
        has_offer = held.coupon is not None
        oracle = self.life.return_of(request, points, world.now)
        ref = PaymentKey(Scheme.REQUEST, "", f"g{self.number}-{self.count}")
        try:
            done = returning.give_back(world.shop.ledger, request, ref, points, "test", "Asia/Tehran")
            ours = done.came_back
        except Refused:
            ours = None
        self.same("given back", ours, oracle)
        if oracle is not None:
            self.seen["returns"] += 1
            self.seen["offers back by a return"] += has_offer
            self.seen["returns of lapsed points"] += bool(lapsed)
