"""Offers once more: who is given which and when, what one takes off a bill, and how each of them ends.

Nothing here is ours. An offer is a coupon with a state; nothing of it is worked out, all of it is remembered.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from math import floor
from typing import Any

from oracle.days import DAY_S, day_of, gregorian, midnight, near, read
from oracle.purse import Id
from oracle.rules import Entry, Rules
from oracle.spending import Held, Spending

OPEN_MOST = 20  # somebody who holds so many is given no more
HEARD_LATE_S = DAY_S  # a purchase of the last day may be heard so much later
OPEN, ASIDE, USED, OVER = "open", "set aside", "used", "over"


@dataclass(eq=False)
class Coupon:
    """An offer to one id. `occasion`: why it was given, so that it is given once for it; `cause`: the
    purchase it was given for; `tie`: what decides between equals, the number on it."""

    holder: str
    name: str
    entry: Entry
    from_at: int
    until: int
    occasion: object
    cause: str = ""
    state: str = OPEN
    tie: bytes = b""

    def good_at(self, at: int) -> bool:
        return self.from_at <= at < self.until

    @property
    def takes_money_off(self) -> bool:
        return bool(self.entry.get("discount") or self.entry.get("percent_off"))

    def off(self, bill: int) -> int:
        """Whole rial off a bill."""
        if bill < self.entry.get("at_least", 0):
            return 0
        most = self.entry.get("max_discount", 0) or bill
        percent = floor(Fraction(bill * self.entry.get("percent_off", 0), 100))
        return min(self.entry.get("discount", 0) or percent, most, bill)


@dataclass(frozen=True)
class Bought:
    """A purchase as the rules that give see it: what of it earns, in rial, and of its id the purchases and
    what they came to, this one included."""

    name: str
    at: int
    eligible: int
    visits: int
    spent: int
    went_up: bool


class Coupons(Spending):
    """People, and what they were given. `now`: the second at which things happen."""

    def __init__(self) -> None:
        super().__init__()
        self.coupons: list[Coupon] = []
        self.now = 0
        self.turned_away = 0  # what a rule would have given whoever holds too many

    def visits(self, name: str) -> int:
        """How many purchases an id has made."""
        raise NotImplementedError

    def spent(self, name: str) -> int:
        """What an id's purchases come to that may earn, in today's rial, less what went back."""
        raise NotImplementedError

    def coupons_of(self, name: str, *states: str) -> list[Coupon]:
        return [each for each in self.coupons if each.holder == name and each.state in states]

    def is_full(self, name: str) -> bool:
        return len(self.coupons_of(name, OPEN, ASIDE)) >= OPEN_MOST

    def give(self, coupon: Coupon) -> bool:
        """Once for an occasion; false where it was given before."""
        same = (coupon.holder, coupon.name, coupon.occasion)
        if any((each.holder, each.name, each.occasion) == same for each in self.coupons):
            return False
        self.coupons.append(coupon)
        return True

    def usable_by(self, name: str, rules: Rules, amount: int, at: int) -> list[Coupon]:
        """The coupons for more points that a purchase of so many rial may use, the first to be used first;
        where bonuses do not add up each of them stands beside them, else only that one."""
        good = [
            each
            for owner in self.people(name)
            for each in self.coupons_of(owner, OPEN)
            if each.good_at(at) and not each.takes_money_off and amount >= each.entry.get("at_least", 0)
        ]
        good.sort(key=lambda each: (-each.entry.get("priority", 0), each.until, each.tie))
        return good if rules.stacking in ("best", "exclusive") else good[:1]

    def given_with(self, rules: Rules, holder: str, sale: Bought) -> None:
        """What a purchase brings by the programme's rules."""
        for name, entry in rules.offers:
            occasion = _occasion(entry, sale)
            if occasion is not None:
                until = _end(sale.at, entry)
                coupon = Coupon(holder, name, entry, sale.at, until, occasion, sale.name)
                self._by_rule(rules, name, coupon, self.now)

    def gone_back(self, rules: Rules, holder: str, sale: str, *, whole: bool, at: int) -> None:
        """What a return does: it ends what the purchase had given, and somebody is sorry."""
        for each in self.coupons:
            if whole and each.cause == sale and each.state == OPEN:
                each.state = OVER
        for name, entry in rules.offers:
            if entry.get("grant") == "returned":
                self._by_rule(rules, name, Coupon(holder, name, entry, at, _end(at, entry), sale), at)

    def round(self, rules: Rules, at: int) -> int:
        """What the calendar ends and gives at an attested time. How many ended."""
        over = [each for each in self.coupons if each.state == OPEN and each.until <= at - HEARD_LATE_S]
        for each in over:
            each.state = OVER
        calendar = [each for each in rules.offers if each[1].get("grant") in ("birthday", "lapsed")]
        for me in [me for me in self.ids.values() if me.is_member and calendar]:
            for name, entry in calendar:
                for coupon in _by_calendar(me, name, entry, at):
                    self._by_rule(rules, name, coupon, at)
        return len(over)

    def _by_rule(self, rules: Rules, name: str, coupon: Coupon, at: int) -> None:
        """Given unless the holder has too many, has one of those that would pile up, or is not meant; a bare
        id is given nothing."""
        if not self.ids[coupon.holder].is_member:
            return
        if self.is_full(coupon.holder):
            self.turned_away += 1
            return
        grant, segment = coupon.entry.get("grant"), coupon.entry.get("segment", "")
        piled = any(each.name == name for each in self.coupons_of(coupon.holder, OPEN))
        if grant in ("purchase", "returned") and piled:
            return
        if not segment or self.is_in(rules, segment, coupon.holder, at):
            self.give(coupon)

    def is_in(self, rules: Rules, segment: str, name: str, at: int) -> bool:
        """True for whom all is so that a segment says."""
        says, me, today = dict(rules.segments)[segment], self.ids[name], day_of(at)
        tier = me.tier if me.tier in rules.ladder() else rules.everybodys()
        away = (today - day_of(me.last_at)).days if me.last_at else None
        joined = day_of(me.joined_at)
        checks: dict[str, Callable[[Any], bool]] = {
            "tier": lambda value: tier == value,
            "visits_at_least": lambda value: self.visits(name) >= value,
            "visits_below": lambda value: self.visits(name) < value,
            "spent_at_least": lambda value: self.spent(name) >= value,
            "balance_at_least": lambda value: len(me.points) >= value,
            "away_days": lambda value: away is not None and away >= value,
            "seen_days": lambda value: away is not None and 0 <= away <= value,
            "joined_days": lambda value: joined + timedelta(days=value) >= today,
            "joined_from": lambda value: joined >= read(value),
            "joined_until": lambda value: joined <= read(value),
        }
        return all(checks[key](value) for key, value in says.items())

    def give_segment(self, rules: Rules, segment: str, name: str, request: str, at: int) -> tuple[int, int]:
        """Everybody in a segment is given a coupon, under the id they answer as: (to how many, how many hold
        too many)."""
        entry, given, full = dict(rules.offers)[name], 0, 0
        for me in [me for me in self.ids.values() if me.is_member and self.acting(me.name) == me.name]:
            if not self.is_in(rules, segment, me.name, at):
                continue
            if self.is_full(me.name):
                full += 1
            else:
                given += self.give(Coupon(me.name, name, entry, at, _end(at, entry), request))
        return given, full

    def hold_coupon(self, request: str, coupon: Coupon, bill: int, rules: Rules, at: int) -> Held | None:
        """A coupon is set aside for a payment. None: refused."""
        rials = coupon.off(bill)
        if coupon.state != OPEN or not coupon.good_at(at) or not coupon.takes_money_off or not rials:
            return None
        coupon.state = ASIDE
        until = at + rules.hold_minutes * 60
        self.holds[request] = Held(request, until, {"kind": "offer"}, [], rials, {}, at, coupon=coupon)
        return self.holds[request]


def _end(at: int, entry: Entry) -> int:
    """The end of the so many-th day after that of `at`."""
    return midnight(day_of(at) + timedelta(days=entry["valid_days"] + 1))


def _occasion(entry: Entry, sale: Bought) -> object:  # noqa: PLR0911 - a grant a line
    """For which occasion a purchase brings it; None where it does not."""
    match entry.get("grant"):
        case "first-purchase":
            return 0 if sale.visits == 1 else None
        case "purchase":
            return sale.visits if sale.eligible >= entry.get("from_amount", 0) else None
        case "visit":
            if entry.get("repeat"):
                return sale.visits if sale.visits % entry["visit"] == 0 else None
            return 0 if sale.visits == entry["visit"] else None
        case "spend":
            times, before = (
                total // entry["every_rial"] for total in (sale.spent, sale.spent - sale.eligible)
            )
            return times if times > before else None
        case "tier-up":
            return sale.at if sale.went_up else None
        case _:
            return None


def _by_calendar(me: Id, name: str, entry: Entry, at: int) -> Iterator[Coupon]:
    """What the calendar brings an id on the day of `at`."""
    today, grant = day_of(at), entry.get("grant")
    if grant == "lapsed" and me.last_at and (today - day_of(me.last_at)).days >= entry["away_days"]:
        yield Coupon(me.name, name, entry, at, _end(at, entry), me.last_at)
    if grant == "birthday" and me.birthday:
        before = entry.get("days_before", 0)
        year = near(today, *me.birthday, before, entry["valid_days"] - before)
        if year is not None:
            start = midnight(gregorian(year, *me.birthday) - timedelta(days=before))
            yield Coupon(me.name, name, entry, start, _end(start, entry), year)
