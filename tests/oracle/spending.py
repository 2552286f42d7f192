"""What a person spends: rewards and their price, holds, captures, releases, and what comes back.

Nothing here is ours. Prices are found by trying every number of points.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

from oracle.days import day_of, midnight
from oracle.purse import Point, Purses
from oracle.rules import Entry, Rules

if TYPE_CHECKING:
    from oracle.coupons import Coupon

GOOD_AGAIN_DAYS = 7


@dataclass
class Share:
    """What of a redemption lies on one id: points set aside, then the points spent, last spent last."""

    name: str
    points: int
    spent: list[Point] = field(default_factory=list)
    total: int = 0
    returned: int = 0


@dataclass
class Held:
    """A reward or a coupon asked for: what is set aside until when, or what was spent for which sale."""

    name: str
    until: int
    reward: Entry
    shares: list[Share]
    rials: int
    stamps: dict[str, int]
    at: int
    state: str = "open"
    sale: str = ""
    coupon: "Coupon | None" = None

    @property
    def is_money(self) -> bool:
        return bool(self.reward["kind"] == "amount-off")


def worth(reward: Entry, points: int) -> int:
    """Whole rial that so many points of money off take off."""
    return floor(Fraction(points * reward["rial"], reward["points"]))


class Spending(Purses):
    """People and what they have asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.answers_as: dict[str, str] = {}
        self.holds: dict[str, Held] = {}

    def root(self, name: str) -> str:
        """The id that `name` was merged into, in the end."""
        while name in self.answers_as:
            name = self.answers_as[name]
        return name

    def acting(self, name: str) -> str:
        """Who gets what `name` earns. Of a person who was forgotten and came again by another phone than the
        one they answered as it is the id of that phone."""
        return self.people(name)[0]

    def people(self, name: str) -> list[str]:
        """All ids of the person, the acting one first, then in the order they were merged. A forgotten id is
        nobody's: it stands for itself alone, where nobody is left."""
        found = [self.root(name)]
        for each in found:
            found += [alias for alias, member in self.answers_as.items() if member == each]
        return [each for each in found if not self.ids[each].forgotten] or found[:1]

    def is_known(self, name: str) -> bool:
        """Somebody answers for this id."""
        return bool(name) and self.ids[self.acting(name)].is_member

    def forget(self, name: str) -> list[str]:
        """No phone and no card leads to the person any more: which ids that was. What they told is forgotten
        with them; points, debts, tiers, stamps and what was used once stay under the bare ids."""
        gone = self.people(name)
        for each in gone:
            me = self.ids[each]
            me.forgotten, me.birthday, me.sender = True, None, ""
        return gone

    def join_again(self, name: str) -> None:
        """The phone of an id that was forgotten leads to it again."""
        self.ids[name].forgotten = False

    def usable(self, name: str, at: int) -> int:
        """What a person may set aside now, over all their ids."""
        return sum(self._room(each, at) for each in self.people(name))

    def _room(self, name: str, at: int) -> int:
        me = self.ids[name]
        return max(0, sum(point.available_at <= at for point in me.points) - me.held)

    def _spent_today(self, name: str, at: int) -> int:
        """Points the person redeemed or holds since midnight, less those that came back."""
        since, theirs = midnight(day_of(at)), set(self.people(name))
        total = 0
        for held in self.holds.values():
            if held.at < since:
                continue
            for share in held.shares:
                if share.name in theirs:
                    total += share.points if held.state == "open" else share.total - share.returned
        return total

    def price(
        self, name: str, rules: Rules, reward: Entry, bill: int, wanted: int | None, at: int
    ) -> int | None:
        """The points that a reward takes now; None when it cannot be had."""
        people = self.people(name)
        if not self.is_known(name):
            return None
        if reward["kind"] == "stamps":
            needed = dict(rules.stamps)[reward["stamp"]]["needed"]
            return 0 if self.ids[people[0]].stamps[reward["stamp"]] >= needed else None
        usable = self.usable(name, at)
        if any(self.ids[each].debt for each in people) or usable < rules.min_balance:
            return None
        if rules.per_day:
            usable = min(usable, max(0, rules.per_day - self._spent_today(name, at)))
        if reward["kind"] != "amount-off":
            return reward["points"] if reward["points"] <= usable else None
        fitting = [points for points in range(1, usable + 1) if self._fits(rules, reward, points, bill)]
        best = max((points for points in fitting if wanted is None or points <= wanted), default=None)
        return best if wanted in (None, best) else None

    @staticmethod
    def _fits(rules: Rules, reward: Entry, points: int, bill: int) -> bool:
        most = bill * rules.max_percent // 100
        return (
            points >= reward.get("min_points", 0)
            and points <= (reward.get("max_points", 0) or points)
            and points % max(1, reward.get("step", 0)) == 0
            and points * reward["rial"] <= most * reward["points"]
            and worth(reward, points) > 0
        )

    def hold(
        self, name: str, rules: Rules, request: str, reward: Entry, bill: int, wanted: int | None, at: int
    ) -> Held | None:
        """Set a reward's price aside, nearest expiry first over all ids of the person. None: refused."""
        points = self.price(name, rules, reward, bill, wanted, at)
        if points is None:
            return None
        people = self.people(name)
        room, parts = {each: self._room(each, at) for each in people}, dict.fromkeys(people, 0)
        every = [(p.place, place, each) for place, each in enumerate(people)
                 for p in self.ids[each].points if p.available_at <= at]  # fmt: skip
        for _, _, each in sorted(every):
            if room[each] and sum(parts.values()) < points:
                room[each] -= 1
                parts[each] += 1
        shares = [Share(each, part) for each, part in parts.items() if part]
        for share in shares:
            self.ids[share.name].held += share.points
        rials, stamps = worth(reward, points) if reward["kind"] == "amount-off" else 0, {}
        if reward["kind"] == "stamps":
            shares = [Share(people[0], 0)]
            stamps = {reward["stamp"]: dict(rules.stamps)[reward["stamp"]]["needed"]}
            self.ids[people[0]].stamps.subtract(stamps)
        until = at + rules.hold_minutes * 60
        self.holds[request] = Held(request, until, reward, shares, rials, stamps, at)
        return self.holds[request]

    def capture(self, request: str, applied: int | None, sale: str, at: int) -> tuple[str, int] | None:
        """Spend what is held, as far as it was applied. (how it ended, points); None: refused."""
        held = self.holds[request]
        if held.state != "open" or (applied or 0) > held.rials:
            return None
        points = sum(share.points for share in held.shares)
        taken_off = held.rials if applied is None else applied
        if held.is_money and taken_off < worth(held.reward, points):
            enough = (n for n in range(points + 1)
                      if n * held.reward["rial"] >= taken_off * held.reward["points"])  # fmt: skip
            points = next(enough, points)
        if not points and not held.stamps and not (held.coupon and taken_off):
            self.release(request)
            return "released", 0
        held.state, held.sale = "captured", sale
        if held.coupon:
            held.coupon.state = "used"
        for share in held.shares:
            me, part = self.ids[share.name], min(share.points, points)
            points -= part
            me.held -= share.points - part
            self.pay(me, share.points - part)
            me.held -= part
            spent = self.take(me, part, sorted(me.points, key=lambda p: (p.available_at > at, *p.place)))
            share.spent = sorted(spent, key=lambda point: point.version is None)
            share.total, share.points = part, 0
        return "captured", sum(share.total for share in held.shares)

    def release(self, request: str) -> None:
        """What is held is free again; a debt is paid from it first."""
        held = self.holds[request]
        held.state = "released"
        for share in held.shares:
            me = self.ids[share.name]
            me.held -= share.points
            self.pay(me, share.points)
            share.points = 0
        if held.stamps:
            self.ids[held.shares[0].name].stamps.update(held.stamps)
        self._open_again(held)

    @staticmethod
    def _open_again(held: Held) -> None:
        """The coupon of a hold or of a redemption can be used again."""
        if held.coupon:
            held.coupon.state, held.coupon = "open", None

    def come_back(self, held: Held, share: Share, points: int, at: int) -> int:
        """So many points of a redemption come back to where they came from, the longest-lived first."""
        back = share.spent[::-1][:points]
        share.spent = share.spent[: len(share.spent) - points]
        share.returned += points
        good_until = midnight(day_of(at) + timedelta(days=GOOD_AGAIN_DAYS + 1))
        lapsed = sum(bool(point.expires_at) and point.expires_at <= at for point in back)
        self.give_back(self.ids[share.name], back, at, good_until)
        if not share.spent and held.stamps:
            self.ids[share.name].stamps.update(held.stamps)
            held.stamps = {}
        return lapsed

    def returned_with(self, sale: str, amount: int, gone: int, at: int) -> tuple[int, int]:
        """(points that come back, of them lapsed) when `gone` rial in all of a sale of `amount` went back."""
        came = lapsed = 0
        for held in self.holds.values():
            if held.state != "captured" or held.sale != sale:
                continue
            if gone == amount:
                self._open_again(held)
            for share in held.shares:
                due = share.total if gone == amount else 0
                if held.is_money and gone < amount:
                    due = floor(Fraction(share.total * gone, amount))
                part = max(0, due - share.returned)
                if part or gone == amount:
                    came += part
                    lapsed += self.come_back(held, share, part, at)
        return came, lapsed

    def return_of(self, request: str, points: int | None, at: int) -> int | None:
        """A redemption is undone by a request of its own: how many points come back; None: refused."""
        held = self.holds[request]
        left = sum(len(share.spent) for share in held.shares)
        if held.state != "captured" or not (left or held.stamps or held.coupon):
            return None
        wanted = left if points is None else points
        if wanted > left or (wanted < left and not held.is_money):
            return None
        came = 0
        self._open_again(held)
        for share in reversed(held.shares):
            part = min(len(share.spent), wanted - came)
            came += part
            if part or held.stamps:
                self.come_back(held, share, part, at)
        return came

    def pass_time(self, at: int) -> tuple[int, int]:
        """(holds that timed out, points that lapsed) by an attested time."""
        over = sorted((h.until, h.name) for h in self.holds.values() if h.state == "open" and h.until <= at)
        for _, name in over:
            self.release(name)
        return len(over), self.lapse(at)

    def due(self) -> int:
        """When time alone will do something next."""
        lapsing = (p.expires_at for me in self.ids.values() for p in me.points if p.expires_at)
        holds = (held.until for held in self.holds.values() if held.state == "open")
        return min((*holds, *lapsing), default=1 << 60)
