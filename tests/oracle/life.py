"""A member's life in slow motion: every point is a thing of its own, sums are made anew from all purchases.

Nothing here is ours. What is told (`buy`, `refund`, ...) changes lists; what is asked is counted from them.
"""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from math import floor

from oracle.coupons import OPEN, USED, Bought, Coupon, Coupons
from oracle.days import DAY_S, day_of, jalali, months_after
from oracle.earning import Bill, Buyer, Earned, earned, left_of
from oracle.purse import Id, Point
from oracle.rules import Rules

LATE_DAYS = 31  # a rolling window's days are kept so much longer, for an evaluation that comes late


@dataclass(eq=False)
class Purchase:
    """A purchase and whose it is now: `holder` an id's name, '' for points that wait on it alone."""

    name: str
    holder: str
    bill: Bill
    left: int
    rules: Rules
    earned: Earned
    counts: bool = True  # towards the visits
    coupon: Coupon | None = None  # that it used up

    @property
    def at(self) -> int:
        return self.bill.at

    @property
    def contribution(self) -> Fraction:
        return left_of(self.bill.amount, self.left, self.earned)[1]

    @property
    def spend(self) -> int:
        """What of it may earn and did not go back, in today's rial."""
        return self.bill.in_rial(left_of(self.bill.amount, self.left, self.earned)[0])

    @property
    def own(self) -> Point:
        return Point(self.earned.expires_at, self.earned.available_at)


@dataclass(frozen=True)
class Undone:
    """What an undoing took, came short of and let go, and what came back before it."""

    points: int
    debt: int
    forgiven: int
    returned: int
    returned_lapsed: int = 0


class Life(Coupons):
    """The people of one history and all they ever bought. `given`: what each programme version of the shop
    has contributed in all, to anybody."""

    def __init__(self, given: dict[int, Fraction]) -> None:
        super().__init__()
        self.purchases: dict[str, Purchase] = {}
        self.given = given

    def visits(self, name: str) -> int:
        return sum(p.holder == name and p.counts for p in self.purchases.values())

    def spent(self, name: str) -> int:
        return sum(p.spend for p in self.purchases.values() if p.holder == name)

    def floor_of(self, name: str, version: int) -> int:
        """The whole points of all this id's purchases under one version."""
        mine = (p for p in self.purchases.values() if p.holder == name and p.rules.version == version)
        return floor(sum((p.contribution for p in mine), Fraction(0)))

    def buyer(self, name: str, at: int) -> Buyer:
        if not name:
            return Buyer(False)
        me = self.ids[name]
        today = me.days.get(day_of(at).toordinal(), Fraction(0))
        return Buyer(
            True, self.visits(name), me.tier, me.first_at, me.last_at, me.birthday, bool(me.sender),
            dict(me.used), today, dict(me.stamped), me.feedback_at,
        )  # fmt: skip

    def buy(self, name: str, rules: Rules, bill: Bill, who: str) -> int | None:
        """A purchase for the id `who` ('' for nobody). Its points, None when it earned nothing."""
        is_known = bool(who) and self.is_known(who)
        usable = self.usable_by(who, rules, bill.in_rial(bill.amount), bill.at) if is_known else []
        coupons = tuple((each.name, each.entry) for each in usable)
        given = self.given.get(rules.version, Fraction(0))
        got = earned(rules, bill, self.buyer(who, bill.at), given, coupons)
        if got is None:
            return None
        self.given[rules.version] = self.given.get(rules.version, Fraction(0)) + got.contribution
        purchase = Purchase(name, who, bill, bill.amount, rules, got)
        if got.coupon is not None:
            purchase.coupon = usable[got.coupon]
            purchase.coupon.state = USED
        if not who:
            self.purchases[name] = purchase
            return floor(purchase.contribution)
        return self._taken_in(purchase)

    def _taken_in(self, purchase: Purchase) -> int:
        """The purchase is its holder's from now on, with everything that comes with it."""
        me, rules, got = self.ids[purchase.holder], purchase.rules, purchase.earned
        tier = me.tier
        before, had = self.floor_of(me.name, rules.version), self.visits(me.name)
        self.purchases.pop(purchase.name, None)
        self.purchases[purchase.name] = purchase
        points = self.floor_of(me.name, rules.version) - before
        self.credit(me, points, got.available_at, got.expires_at, rules.version, purchase.at)
        me.first_at = me.first_at if me.first_at and had else purchase.at
        me.last_at = max(me.last_at, purchase.at)
        day = day_of(purchase.at).toordinal()
        if rules.cap_day:
            me.days = {day: me.days.get(day, Fraction(0)) + got.contribution}
        me.used.update(got.used)
        for card in got.stamps:
            me.stamps[card] += 1
            me.stamped[card] = purchase.at
        if rules.tiers:
            self._count(me, purchase, points)
            self._rise(me, rules, purchase.at)
        self._thank(purchase)
        if me.joined_at and purchase.left:
            self.given_with(rules, me.name, Bought(
                purchase.name, purchase.at, purchase.bill.in_rial(got.eligible), self.visits(me.name),
                self.spent(me.name), me.tier != tier,
            ))  # fmt: skip
        return points

    @staticmethod
    def _count(me: Id, purchase: Purchase, points: int, *, old_too: bool = False) -> None:
        """It counts in its period. What is long out of the window is forgotten with each purchase, so who
        claims a purchase of last year reaches nothing with what they bought around it."""
        period, rules = _period(purchase.rules, purchase.at), purchase.rules
        value = {"spend": purchase.spend, "points": points, "visits": 1}[rules.metric]
        me.metric[period] = me.metric.get(period, 0) + value
        kept = {"ever": 0, "year": 1, "rolling": rules.window_days - 1 + LATE_DAYS}[rules.window]
        if not old_too:
            me.metric = {each: so_many for each, so_many in me.metric.items() if each >= period - kept}

    @staticmethod
    def _uncounted(me: Id, purchase: Purchase, spend: int, points: int, visits: int) -> None:
        """What went back counts no more, in the period it was counted in."""
        period = _period(purchase.rules, purchase.at)
        if purchase.rules.tiers and period in me.metric:
            value = {"spend": spend, "points": points, "visits": visits}[purchase.rules.metric]
            me.metric[period] = max(0, me.metric[period] - value)

    @staticmethod
    def _rise(me: Id, rules: Rules, at: int) -> None:
        """The highest tier that is reached, never a lower one than now."""
        ladder, high = rules.ladder(), rules.reached(_metric(me, rules, at))
        now = me.tier if me.tier in ladder else rules.everybodys()
        if high and (not now or ladder.index(high) > ladder.index(now)):
            me.tier, me.since = high, at

    def evaluate(self, rules: Rules, instant: int) -> list[str]:
        """At the start of a period: who goes down, and why."""
        why = (self._fall(me, rules, instant) for me in self.ids.values())
        return [each for each in why if each]

    @staticmethod
    def _fall(me: Id, rules: Rules, instant: int) -> str:
        ladder = rules.ladder()
        if me.tier not in ladder or me.since >= instant:
            return ""
        place, eve = ladder.index(me.tier), instant - 1
        metric = _metric(me, rules, eve)
        if rules.window == "year":
            year = jalali(day_of(instant))[0]
            metric = max(metric, me.metric.get(year - 1, 0), me.metric.get(year, 0))
        reached = rules.reached(metric)
        deserved = ladder.index(reached) if reached else -1
        if deserved < place and instant - me.since >= rules.grace_days * DAY_S:
            down = deserved if rules.downgrade == "to_qualified" else place - 1
            me.tier, me.since = ladder[down] if down >= 0 else "", instant
            return rules.downgrade
        last = day_of(max(me.since, me.last_at))
        idle = rules.inactive_months and months_after(last, rules.inactive_months) <= day_of(instant)
        if idle and place > 0:
            me.tier, me.since = ladder[place - 1], instant
            return "inactive"
        return ""

    def _thank(self, purchase: Purchase) -> None:
        """Points for whoever sent this customer, at their first purchase; under the id they answer as."""
        sender, got = self.ids[purchase.holder].sender, purchase.earned
        if got.for_sender and sender:
            me = self.ids[self.acting(sender)]
            if me.name == purchase.holder or not me.is_member:
                return  # two phones of one person: nobody sends themselves; nobody is thanked by a bare id
            self.credit(me, got.for_sender, got.available_at, got.expires_at, -1, 0)

    def refund(self, name: str, amount: int, at: int, *, void: bool = False) -> Undone:
        """So much of a purchase, in its own rial, goes back."""
        purchase = self.purchases[name]
        assert 0 < amount <= purchase.left
        gone = purchase.bill.amount - purchase.left + amount
        returned = self.returned_with(name, purchase.bill.amount, gone, at)
        spend, floors = purchase.spend, floor(purchase.contribution)
        purchase.counts = purchase.counts and not void
        if not purchase.holder:
            purchase.left -= amount
            return Undone(floors - floor(purchase.contribution), 0, 0, *returned)
        me, rules = self.ids[purchase.holder], purchase.rules
        before = self.floor_of(me.name, rules.version)
        purchase.left -= amount
        points = before - self.floor_of(me.name, rules.version)
        short = self.claw(me, points, purchase.own, rules.version)
        debt = min(short, max(0, rules.debt_cap - me.debt)) if rules.debt_cap else short
        me.debt += debt
        self._uncounted(me, purchase, spend - purchase.spend, points, int(void))
        if void:
            self._give_back_rights(me, purchase)
        if me.joined_at:
            if purchase.coupon and not purchase.left:
                purchase.coupon.state = OPEN
            self.gone_back(rules, me.name, name, whole=not purchase.left, at=at)
        return Undone(points, debt, short - debt, *returned)

    @staticmethod
    def _give_back_rights(me: Id, purchase: Purchase) -> None:
        for card in purchase.earned.stamps:
            me.stamps[card] = max(0, me.stamps[card] - 1)
        for right, period in purchase.earned.used:
            if me.used.get(right) == period:
                del me.used[right]

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
        one.debt += self.claw(one, out, purchase.own, rules.version)
        got = purchase.earned
        self.credit(other, came, got.available_at, got.expires_at, rules.version, purchase.at)
        self._uncounted(one, purchase, purchase.spend, out, 1)
        if rules.tiers:
            self._count(other, purchase, out, old_too=True)
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
            purchase, rules = self.purchases[name], self.purchases[name].rules
            others = max(Fraction(0), self.given[rules.version] - purchase.earned.contribution)
            got = earned(rules, purchase.bill, self.buyer(who, purchase.at), others)
            assert got is not None
            purchase.holder, purchase.earned = who, got
            del self.purchases[name]
            arrived += self._taken_in(purchase)
        for card in waited:
            del self.ids[card]
        return arrived


def _period(rules: Rules, at: int) -> int:
    """The period a purchase counts in: a day of a rolling window, a Jalali year, or one for ever."""
    day = day_of(at)
    return {"ever": 0, "year": jalali(day)[0], "rolling": day.toordinal()}[rules.window]


def _metric(me: Id, rules: Rules, at: int) -> int:
    """What is counted in the window that ends with the day of `at`."""
    if rules.window != "rolling":
        return me.metric.get(_period(rules, at), 0)
    last = day_of(at)
    first = last - timedelta(days=rules.window_days - 1)
    return sum(value for day, value in me.metric.items() if first.toordinal() <= day <= last.toordinal())
