"""A member's life in slow motion: every point is a thing of its own, sums are made anew from all purchases.

Nothing here is ours. What is told (`buy`, `refund`, ...) changes lists; what is asked is counted from them.
"""

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor

from oracle.rules import Buyer, Earned, Rules, earned, left_of, local


@dataclass(eq=False)
class Point:
    """One point. `order`: when the first point with these dates came; version None: without dates."""

    expires_at: int = 0
    available_at: int = 0
    version: int | None = None
    order: int = 0

    @property
    def place(self) -> tuple[bool, bool, int, int]:
        """Nearest expiry first, then oldest, never-expiring last, without dates last of all."""
        return self.version is None, not self.expires_at, self.expires_at, self.order


@dataclass(eq=False)
class Purchase:
    """A purchase and whose it is now: `holder` an id's name, '' for points that wait on it alone."""

    name: str
    holder: str
    amount: int
    left: int
    at: int
    rules: Rules
    earned: Earned
    claimed: bool = True
    counts: bool = True  # towards the visits

    @property
    def contribution(self) -> Fraction:
        return left_of(self.amount, self.left, self.earned.full, self.earned.fixed, self.earned.contribution)


@dataclass(eq=False)
class Id:
    """Something that holds points: a member's id, or a card nobody has claimed."""

    name: str
    points: list[Point] = field(default_factory=list)
    debt: int = 0
    held: int = 0
    tier: str = ""
    metric: dict[int, int] = field(default_factory=dict)
    birthday: tuple[int, int] | None = None
    sender: str = ""
    first_at: int = 0
    last_at: int = 0
    used: dict[str, int] = field(default_factory=dict)
    stamps: Counter[str] = field(default_factory=Counter)
    stamped: dict[str, int] = field(default_factory=dict)
    days: dict[int, Fraction] = field(default_factory=dict)


@dataclass(eq=False)
class Held:
    """Points set aside for a reward: how many on each id, until when."""

    name: str
    until: int
    shares: dict[str, int]


class Life:
    """The people of one history and all they ever bought."""

    def __init__(self) -> None:
        self.ids: dict[str, Id] = {}
        self.answers_as: dict[str, str] = {}
        self.purchases: dict[str, Purchase] = {}
        self.ticks = 0
        self.holds: dict[str, Held] = {}

    def acting(self, name: str) -> str:
        """Who gets what `name` earns."""
        while name in self.answers_as:
            name = self.answers_as[name]
        return name

    def people(self, name: str) -> list[str]:
        """All ids of the person, the acting one first, then in the order they were merged."""
        found = [self.acting(name)]
        for each in found:
            found += [alias for alias, member in self.answers_as.items() if member == each]
        return found

    def visits(self, name: str) -> int:
        return sum(p.holder == name and p.counts for p in self.purchases.values())

    def floor_of(self, name: str, version: int) -> int:
        """The whole points of all this id's purchases under one version."""
        mine = (p for p in self.purchases.values() if p.holder == name and p.rules.version == version)
        return floor(sum((p.contribution for p in mine), Fraction(0)))

    def buyer(self, name: str, at: int) -> Buyer:
        if not name:
            return Buyer(False)
        me = self.ids[name]
        today = me.days.get(local(at).date().toordinal(), Fraction(0))
        return Buyer(
            True, self.visits(name), me.tier, me.first_at, me.last_at, me.birthday, bool(me.sender),
            dict(me.used), today, dict(me.stamped),
        )  # fmt: skip

    def buy(
        self, name: str, rules: Rules, amount: int, at: int, who: str, *, claimed: bool = True
    ) -> int | None:
        """A purchase for the id `who` ('' for nobody). Its points, None when it earned nothing."""
        got = earned(rules, amount, at, self.buyer(who, at))
        if got is None:
            return None
        purchase = Purchase(name, who, amount, amount, at, rules, got, claimed)
        if not who:
            self.purchases[name] = purchase
            return floor(purchase.contribution)
        points = self._taken_in(purchase)
        self._thank(purchase, got.for_sender, rules)
        return points

    def _taken_in(self, purchase: Purchase) -> int:
        """The purchase is its holder's from now on, with everything that comes with it."""
        me, rules, got = self.ids[purchase.holder], purchase.rules, purchase.earned
        before, had = self.floor_of(me.name, rules.version), self.visits(me.name)
        self.purchases.pop(purchase.name, None)
        self.purchases[purchase.name] = purchase
        points = self.floor_of(me.name, rules.version) - before
        self.credit(me, points, got.available_at, got.expires_at, rules.version, purchase.at)
        me.first_at = me.first_at if me.first_at and had else purchase.at
        me.last_at = max(me.last_at, purchase.at)
        day = local(purchase.at).date().toordinal()
        if rules.cap_day:
            me.days = {day: me.days.get(day, Fraction(0)) + got.contribution}
        me.used.update(got.used)
        for card in got.stamps:
            me.stamps[card] += 1
            me.stamped[card] = purchase.at
        if rules.tiers:
            value = {"spend": purchase.left, "points": points, "visits": 1}[rules.metric]
            me.metric[0] = me.metric.get(0, 0) + value
            self._rise(me, rules)
        return points

    @staticmethod
    def _rise(me: Id, rules: Rules) -> None:
        """The highest tier that is reached, never a lower one than now."""
        order = [name for name, _, _ in sorted(rules.tiers, key=lambda tier: tier[1])]
        reached = [name for name, least, _ in rules.tiers if least <= me.metric.get(0, 0)]
        if not reached:
            return
        high = max(order.index(name) for name in reached)
        lowest = next((order.index(name) for name, least, _ in rules.tiers if least == 0), -1)
        if high > (order.index(me.tier) if me.tier in order else lowest):
            me.tier = order[high]

    def _thank(self, purchase: Purchase, points: int, rules: Rules) -> None:
        """Points for whoever sent this customer, at their first purchase."""
        sender = self.ids.get(self.ids[purchase.holder].sender)
        if points and sender is not None:
            pending = purchase.earned.available_at
            self.credit(sender, points, pending, purchase.earned.expires_at, -1, 0)

    def credit(self, me: Id, points: int, available_at: int, expires_at: int, version: int, at: int) -> None:
        """New points, which pay a debt first."""
        pays = min(me.debt, max(points, 0))
        me.debt -= pays
        self.ticks += 1
        rest = points - pays
        if rest <= 0:
            return
        if not available_at and not expires_at:
            me.points += [Point() for _ in range(rest)]
            return
        for _ in range(rest):
            me.points.append(Point(expires_at, available_at, version, self.ticks))
        for point in me.points:  # a pending that is over is forgotten
            if point.available_at <= at:
                point.available_at = 0
                if not point.expires_at:
                    point.version, point.order = None, 0
        first: dict[tuple[int, int, int | None], int] = {}
        for point in sorted(me.points, key=lambda each: each.order):
            dates = (point.expires_at, point.available_at, point.version)
            point.order = first.setdefault(dates, point.order)

    def refund(self, name: str, amount: int, *, void: bool = False) -> tuple[int, int]:
        """(points taken, of them debt) when so many rials of a purchase go back."""
        purchase = self.purchases[name]
        assert 0 < amount <= purchase.left
        if not purchase.holder:
            before = floor(purchase.contribution)
            purchase.left -= amount
            purchase.counts = purchase.counts and not void
            return before - floor(purchase.contribution), 0
        me, rules = self.ids[purchase.holder], purchase.rules
        before = self.floor_of(me.name, rules.version)
        purchase.left -= amount
        points = before - self.floor_of(me.name, rules.version)
        debt = self._claw(me, points, purchase)
        if rules.tiers:
            value = {"spend": amount, "points": points, "visits": int(void)}[rules.metric]
            me.metric[0] = max(0, me.metric.get(0, 0) - value)
        if void:
            purchase.counts = False
            self._give_back_rights(me, purchase)
        return points, debt

    @staticmethod
    def _give_back_rights(me: Id, purchase: Purchase) -> None:
        for card in purchase.earned.stamps:
            me.stamps[card] = max(0, me.stamps[card] - 1)
        for right, period in purchase.earned.used:
            if me.used.get(right) == period:
                del me.used[right]

    def _claw(self, me: Id, points: int, purchase: Purchase) -> int:
        """Take a purchase's points: its own dates first, then as any debit. What is not there: the debt."""
        got = purchase.earned
        there = min(points, len(me.points) - me.held)
        dated = bool(got.available_at or got.expires_at)

        def own(point: Point) -> int:
            if not dated:
                return 0 if point.version is None else 1
            same = (point.expires_at, point.version) == (got.expires_at, purchase.rules.version)
            if same and point.available_at in (got.available_at, 0):
                return 0 if point.available_at == got.available_at else 1
            if not got.expires_at and point.version is None:
                return 2
            return 3

        self.take(me, there, sorted(me.points, key=lambda point: (own(point), *point.place)))
        me.debt += points - there
        return points - there

    @staticmethod
    def take(me: Id, points: int, order: list[Point]) -> None:
        gone = set(map(id, order[:points]))
        me.points = [point for point in me.points if id(point) not in gone]

    def adjust(self, name: str, points: int) -> int:
        """Points by hand; the debt that taking leaves."""
        me = self.ids[name]
        if points > 0:
            self.credit(me, points, 0, 0, 0, 0)
            return 0
        there = min(-points, len(me.points) - me.held)
        self.take(me, there, sorted(me.points, key=lambda point: point.place))
        me.debt += -points - there
        return -points - there

    def move(self, name: str, to: str) -> tuple[int, int]:
        """(points out, points in) when a purchase goes to the right id."""
        purchase = self.purchases[name]
        one, other, rules = self.ids[purchase.holder], self.ids[to], purchase.rules
        before = self.floor_of(one.name, rules.version), self.floor_of(to, rules.version)
        purchase.holder = to
        out = before[0] - self.floor_of(one.name, rules.version)
        came = self.floor_of(to, rules.version) - before[1]
        self._claw(one, out, purchase)
        got = purchase.earned
        self.credit(other, came, got.available_at, got.expires_at, rules.version, purchase.at)
        if rules.tiers:
            value = {"spend": purchase.left, "points": out, "visits": 1}[rules.metric]
            one.metric[0] = max(0, one.metric.get(0, 0) - value)
            other.metric[0] = other.metric.get(0, 0) + value
        self._give_back_rights(one, purchase)
        for card in got.stamps:
            other.stamps[card] += 1
            other.stamped[card] = max(other.stamped.get(card, 0), purchase.at)
        for right, period in got.used:
            other.used[right] = max(period, other.used.get(right, period))
        other.first_at = min(other.first_at or purchase.at, purchase.at)
        other.last_at = max(other.last_at, purchase.at)
        return out, came

    def claim(self, names: list[str], who: str) -> int:
        """Waiting purchases become a member's, as if they had joined first. Points that arrive."""
        arrived = 0
        waited = {self.purchases[name].holder for name in names} - {""}
        for name in names:
            purchase = self.purchases[name]
            got = earned(purchase.rules, purchase.amount, purchase.at, self.buyer(who, purchase.at))
            assert got is not None
            purchase.holder, purchase.earned, purchase.claimed = who, got, True
            del self.purchases[name]
            arrived += self._taken_in(purchase)
            self._thank(purchase, got.for_sender, purchase.rules)
        for card in waited:
            del self.ids[card]
        return arrived

    def usable(self, name: str, at: int) -> int:
        """What a person may set aside now, over all their ids."""
        return sum(self._room(each, at) for each in self.people(name))

    def _room(self, name: str, at: int) -> int:
        me = self.ids[name]
        return max(0, sum(point.available_at <= at for point in me.points) - me.held)

    def hold(self, name: str, request: str, points: int, at: int, until: int) -> bool:
        """Set points aside, nearest expiry first over all ids of the person. False: a debt, or too few."""
        people = self.people(name)
        if any(self.ids[each].debt for each in people) or self.usable(name, at) < points:
            return False
        room, shares = {each: self._room(each, at) for each in people}, dict.fromkeys(people, 0)
        every = [(p.place, place, each) for place, each in enumerate(people)
                 for p in self.ids[each].points if p.available_at <= at]  # fmt: skip
        for _, _, each in sorted(every):
            if room[each] and sum(shares.values()) < points:
                room[each] -= 1
                shares[each] += 1
        for each, part in shares.items():
            self.ids[each].held += part
        self.holds[request] = Held(request, until, {each: part for each, part in shares.items() if part})
        return True

    def capture(self, request: str, at: int) -> int:
        """Spend what is held. How many points."""
        held = self.holds.pop(request)
        for each, part in held.shares.items():
            me = self.ids[each]
            me.held -= part
            self.take(me, part, sorted(me.points, key=lambda p: (p.available_at > at, *p.place)))
        return sum(held.shares.values())

    def release(self, request: str) -> None:
        """What is held is free again; a debt is paid from it first."""
        for each, part in self.holds.pop(request).shares.items():
            me = self.ids[each]
            me.held -= part
            pays = min(me.debt, part)
            self.take(me, pays, sorted(me.points, key=lambda point: point.place))
            me.debt -= pays

    def due(self) -> int:
        """When time alone will do something next."""
        lapsing = (p.expires_at for me in self.ids.values() for p in me.points if p.expires_at)
        return min((*(held.until for held in self.holds.values()), *lapsing), default=1 << 60)

    def pass_time(self, at: int) -> tuple[int, int]:
        """(holds that timed out, points that lapsed) by an attested time."""
        over = sorted((h.until, h.name) for h in self.holds.values() if h.until <= at)
        for _, name in over:
            self.release(name)
        return len(over), self.lapse(at)

    def lapse(self, at: int) -> int:
        """Points that lapsed by an attested time go, except those that open holds need. How many."""
        gone = 0
        for me in self.ids.values():
            old = sorted((p for p in me.points if p.expires_at and p.expires_at <= at), key=lambda p: p.place)
            lapsed = old[: max(0, min(len(old), len(me.points) - me.held))]
            self.take(me, len(lapsed), lapsed)
            gone += len(lapsed)
        return gone
