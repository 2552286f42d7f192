"""One life on both sides: told to the real counter and to the oracle, compared after every step."""

import random
from collections import Counter
from typing import TYPE_CHECKING

from oracle.days import DAY_S, day_of, jalali
from oracle.life import Life
from oracle.purse import Id

from vafa.app.member_view import ASKED
from vafa.books import lots
from vafa.books.rows import MemberRow, MemberState
from vafa.model import events
from vafa.model.lots import usable
from vafa.model.standing import unpack

if TYPE_CHECKING:
    from histories import World

Said = tuple[int, int, int, int, int, str, dict[int, int], dict[str, int]]


class Disagreement(AssertionError):
    """The counter and the oracle do not say the same. The message says of which life, step and id."""


class Telling:
    """The people of a life, what time does to them, and the comparison."""

    def __init__(self, world: "World", number: int, chance: random.Random) -> None:
        self.world, self.number, self.chance = world, number, chance
        self.life = Life(world.given)
        self.life.now = world.now
        self.members: dict[str, bytes] = {}
        self.count = 0
        self.settled = len(world.settled)
        for place in range(chance.choice((2, 3) if world.is_of_people else (1, 2, 2, 3))):
            self._join(f"m{place}")

    @property
    def seen(self) -> Counter[str]:
        return self.world.seen

    def _join(self, name: str) -> None:
        shop = self.world.shop
        phone = f"+98912{self.number:05d}{len(self.members):02d}"
        member = shop.tokens.member_id(phone)
        shop.ledger.write(lambda tx: tx.post(events.Enrol(member, phone[-4:], "test")))
        self.members[name] = member
        self.life.ids.setdefault(name, Id(name, joined_at=self.world.now))
        self.tell(name)

    def tell(self, name: str) -> None:
        """Somebody who joins tells when they were born, or who sent them, or neither."""
        member, me, shop = self.members[name], self.life.ids[name], self.world.shop
        fields, birthday, sender = 0, None, b""
        if self.chance.random() < 0.5:
            near = jalali(day_of(self.world.now + self.chance.randint(-5, 30) * DAY_S))[1:]
            birthday = self.chance.choice((near, near, (12, 30)))
            fields |= ASKED["birthday"]
        if name != "m0" and self.chance.random() < 0.5:
            sender, me.sender = self.members["m0"], "m0"
            fields |= ASKED["referrer"]
        me.birthday = birthday
        if fields:
            told = events.Profile(member, fields, None, sender, birthday, "test", self.world.now)
            shop.ledger.write(lambda tx: tx.post(told))

    def phone(self, name: str) -> str:
        return f"0912{self.number:05d}{list(self.members).index(name):02d}"

    def settle(self) -> None:
        """What the jobs have done to this life since its last step."""
        due = self.life.due()
        for passed in self.world.settled[self.settled :]:
            if passed.at >= due:
                over, lapsed = self.life.pass_time(passed.at)
                due = self.life.due()
                self.seen["holds timed out"] += over
                self.seen["lapses"] += lapsed > 0
            if passed.evaluation is not None:
                self.seen.update(f"downgrades, {why}" for why in self.life.evaluate(*passed.evaluation))
            if passed.round is not None:
                self.seen["offers lapsed"] += self.life.round(passed.round, passed.at)
            if passed.gift is not None:
                _, full = self.life.give_segment(*passed.gift, passed.at)
                self.seen["offers to a segment, too many"] += full
        self.settled = len(self.world.settled)
        self.life.now = self.world.now

    def compare(self, what: str) -> None:
        """Every id of this life: points, what can be spent, debt, visits, tier, last days, stamps."""
        for name, member in self.members.items():
            row = self.world.row(member)
            self.same("who is forgotten", row.state == MemberState.FORGOTTEN, self.life.ids[name].forgotten)
            theirs = _said_by_books(row, self.world.now)
            mine = _said_by_oracle(self.life, name, self.world.now)
            if theirs != mine:
                raise Disagreement(f"life {self.number} after {what}: {name}: books {theirs}, oracle {mine}")

    def same(self, what: str, ours: object, oracle: object) -> None:
        if ours != oracle:
            raise Disagreement(f"life {self.number}: {what}: the counter says {ours}, the oracle {oracle}")


def _said_by_books(row: MemberRow, now: int) -> Said:
    dated: Counter[int] = Counter()
    for lot in lots.unpack(row.lots):
        if lot.expires_at:
            dated[lot.expires_at] += lot.points
    stamps = {stamp.id: stamp.count for stamp in unpack(row.standing).stamps if stamp.count}
    there = usable(lots.unpack(row.lots), row.balance, row.held, now)
    return row.balance, there, row.debt, row.held, row.visits, row.tier, dict(dated), stamps


def _said_by_oracle(life: Life, name: str, now: int) -> Said:
    me = life.ids[name]
    dated = Counter(point.expires_at for point in me.points if point.expires_at)
    stamps = {card: count for card, count in me.stamps.items() if count}
    there = max(0, sum(point.available_at <= now for point in me.points) - me.held)
    return len(me.points), there, me.debt, me.held, life.visits(name), me.tier, dict(dated), stamps
