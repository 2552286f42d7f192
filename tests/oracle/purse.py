"""Points, one by one, each a thing with its own dates; and what gives and takes them.

Nothing here is ours. A purse is an id of a person, or a card nobody has claimed.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from fractions import Fraction


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

    @property
    def dates(self) -> tuple[int, int, int | None]:
        return self.expires_at, self.available_at, self.version

    def forget_pending(self, at: int) -> None:
        """A pending that is over by `at` is forgotten; what has no date left is like any other point."""
        if self.version is None or self.available_at > at:
            return
        self.available_at = 0
        if not self.expires_at:
            self.version, self.order = None, 0


@dataclass(eq=False)
class Id:
    """Something that holds points. `metric`: the tier's, period by period; `since`: in this tier;
    `joined_at`: when a phone came with it, 0 for a card; `forgotten`: no phone leads here any more."""

    name: str
    points: list[Point] = field(default_factory=list)
    debt: int = 0
    held: int = 0
    tier: str = ""
    since: int = 0
    metric: dict[int, int] = field(default_factory=dict)
    birthday: tuple[int, int] | None = None
    sender: str = ""
    feedback_at: int = 0
    first_at: int = 0
    last_at: int = 0
    used: dict[str, int] = field(default_factory=dict)
    stamps: Counter[str] = field(default_factory=Counter)
    stamped: dict[str, int] = field(default_factory=dict)
    days: dict[int, Fraction] = field(default_factory=dict)
    joined_at: int = 0
    forgotten: bool = False

    @property
    def is_member(self) -> bool:
        """Somebody is known by this id: a phone came with it, and was not forgotten."""
        return bool(self.joined_at) and not self.forgotten


class Purses:
    """What gives points and takes them, whoever decides it."""

    def __init__(self) -> None:
        self.ids: dict[str, Id] = {}
        self.ticks = 0

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
        me.points += [Point(expires_at, available_at, version, self.ticks) for _ in range(rest)]
        for point in me.points:
            point.forget_pending(at)
        first: dict[tuple[int, int, int | None], int] = {}
        for point in sorted(me.points, key=lambda each: each.order):
            point.order = first.setdefault(point.dates, point.order)

    @staticmethod
    def take(me: Id, points: int, order: list[Point]) -> list[Point]:
        """The first so many of these go; they."""
        gone = set(map(id, order[:points]))
        me.points = [point for point in me.points if id(point) not in gone]
        return order[:points]

    def pay(self, me: Id, points: int) -> None:
        """Of so many points that came free, what pays a debt."""
        pays = min(me.debt, points)
        self.take(me, pays, sorted(me.points, key=lambda point: point.place))
        me.debt -= pays

    def claw(self, me: Id, points: int, own: Point, version: int) -> int:
        """Take a purchase's points: those with its own dates first, then as any debit. What is not there.

        own  the dates they came with; what is set aside for a reward stays
        """
        there = min(points, max(0, len(me.points) - me.held))
        dated = bool(own.available_at or own.expires_at)

        def nearness(point: Point) -> int:
            if not dated:
                return 0 if point.version is None else 1
            if (point.expires_at, point.version) == (own.expires_at, version):
                if point.available_at == own.available_at:
                    return 0
                if not point.available_at:
                    return 1
            return 2 if not own.expires_at and point.version is None else 3

        self.take(me, there, sorted(me.points, key=lambda point: (nearness(point), *point.place)))
        return points - there

    def give_back(self, me: Id, spent: list[Point], at: int, good_until: int) -> None:
        """Points that were spent are there again, with their own dates; those that lapsed meanwhile are good
        for some days more. They join what is still there of where they came from. A debt is paid first."""
        for point in spent:
            back = replace(point)
            if back.expires_at and back.expires_at <= at:
                back.expires_at = max(good_until, back.expires_at)
            same = [p for p in me.points
                    if back.version is not None and p.version is not None
                    and (p.order, p.expires_at) == (back.order, back.expires_at)]  # fmt: skip
            if same:
                back.available_at, back.version = same[0].available_at, same[0].version
            back.forget_pending(at)
            for there in me.points:
                there.forget_pending(at)
            orders: dict[tuple[int, int, int | None], int] = {}
            for there in sorted(me.points, key=lambda each: each.order):
                there.order = orders.setdefault(there.dates, there.order)
            back.order = orders.get(back.dates, back.order)
            me.points.append(back)
        self.pay(me, len(spent))

    def lapse(self, at: int) -> int:
        """Points that lapsed by an attested time go, except those that open holds need. How many."""
        gone = 0
        for me in self.ids.values():
            old = sorted((p for p in me.points if p.expires_at and p.expires_at <= at), key=lambda p: p.place)
            lapsed = old[: max(0, min(len(old), len(me.points) - me.held))]
            self.take(me, len(lapsed), lapsed)
            gone += len(lapsed)
        return gone
