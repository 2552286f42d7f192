"""Random members' lives, told to the real counter and to the oracle, which must agree after every step.

One ledger takes many lives side by side under two versions of one random programme; time runs forward over
them all. `scripts/histories 100000` runs many, with progress; the tests run some.
"""

import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from oracle.life import Id, Life
from oracle.rules import DAY_S, Rules, jalali, local
from random_rules import EDGES, random_rules
from shop import TID, Shop, payment

from vafa.app.joined_people import JoinedPeople
from vafa.app.member_view import ASKED
from vafa.app.moving import Moving
from vafa.app.recheck import Recheck
from vafa.app.redeeming import Redeeming
from vafa.app.redeeming import Wish as Want
from vafa.app.settling import settle_all
from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.books import lots
from vafa.books.rows import MemberRow
from vafa.club.programme import parse
from vafa.ledger.storage import connect_reader
from vafa.ledger.tables import find_row
from vafa.ledger.verify import verify
from vafa.model import events
from vafa.model.errors import ProgrammeError, Refused
from vafa.model.lots import usable
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme
from vafa.model.standing import unpack

START = 1_759_000_000  # in Mehr 1404
DAYS = 420  # over a Nowruz and 30 Esfand 1403 + 1
SECOND_VERSION_DAY = 150
STEPS_MIN, STEPS_MAX = 5, 11
LIVES_A_LEDGER = 150
GAPS_S = (600, 5 * 3600, DAY_S, 4 * DAY_S, 30 * DAY_S)  # between the steps of one life, about


class Disagreement(AssertionError):
    """The counter and the oracle do not say the same. The message says of which life, step and id."""


class Told:
    """One life on both sides. `step` does something random of what can be done by now."""

    def __init__(self, world: "World", number: int, chance: random.Random) -> None:
        self.world, self.number, self.chance = world, number, chance
        self.life = Life()
        self.members: dict[str, bytes] = {}
        self.card_owner = ""
        self.codes: dict[str, str] = {}  # waiting purchase -> its claim code
        self.numbers: dict[str, str] = {}
        self.count = 0
        self.settled = len(world.settled)
        self.asked: list[str] = []  # requests of holds, open or not
        for place in range(chance.choice((1, 2, 2, 3))):
            self._join(f"m{place}")

    def _join(self, name: str) -> None:
        shop = self.world.shop
        phone = f"+98912{self.number:05d}{len(self.members):02d}"
        member = shop.tokens.member_id(phone)
        shop.ledger.write(lambda tx: tx.post(events.Enrol(member, phone[-4:], "test")))
        self.members[name] = member
        me = self.life.ids.setdefault(name, Id(name))
        fields, birthday, sender = 0, None, b""
        if self.chance.random() < 0.5:
            near = jalali(local(self.world.now + self.chance.randint(-5, 30) * DAY_S).date())[1:]
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

    def step(self) -> None:
        """Time has passed and something happens; then both sides are compared."""
        self.settle()
        actions = [(self._buy, 9), (self._refund, 4), (self._void, 1), (self._adjust, 1), (self._move, 1)]
        actions += [(self._hold, 4), (self._end_hold, 2)]
        actions += [(self._merge, 1), (self._unmerge, 1), (self._claim, 3)]
        weights = [weight for _, weight in actions]
        (action,) = self.chance.choices([action for action, _ in actions], weights)
        action()
        self.compare(action.__name__)

    def settle(self) -> None:
        """What the job has done to this life since its last step."""
        due = self.life.due()
        for at in self.world.settled[self.settled :]:
            if at < due:
                continue
            over, lapsed = self.life.pass_time(at)
            due = self.life.due()
            self.world.seen["holds timed out"] += over
            self.world.seen["lapses"] += lapsed > 0
        self.settled = len(self.world.settled)

    def _buy(self) -> None:
        world, chance = self.world, self.chance
        self.count += 1
        name = f"{self.number}-{self.count}"
        amount = chance.choice((chance.randint(1, 40), chance.randint(40, 400), *EDGES))
        at = world.now - (chance.randint(0, 20) * DAY_S if world.timeless and chance.random() < 0.2 else 0)
        rules = world.rules_at(at)
        how = chance.choice(("member", "member", "member", "card", "hint"))
        who, hint, member = "", CardHint(), b""
        if how == "member":
            named = chance.choice(list(self.members))
            who, member = self.life.acting(named), self.members[named]
        elif how == "card":
            hint = CardHint("621986", "3864", b"%032d" % self.number)
            who = self.life.acting(self.card_owner) if self.card_owner else "card"
            if who == "card":
                self.life.ids.setdefault("card", Id("card"))
        else:
            hint = CardHint("621986", f"{self.count % 10000:04d}")
        waits = who in ("", "card")
        outcome = world.shop.counter.post(payment(name, amount, card=hint, paid_at=at), member)  # type: ignore[arg-type]
        said = self.life.buy(name, rules, amount, at, who, claimed=not waits)
        if (
            who == "card"
            and said is None
            and not any(p.holder == "card" for p in self.life.purchases.values())
        ):
            self.life.ids.pop("card", None)
        self._same("points of a purchase", outcome.points, said or 0)
        self.numbers[name] = outcome.number
        if waits and said is not None:
            self.codes[name] = outcome.claim
        if said is not None:
            got = self.life.purchases[name].earned
            world.seen["purchases"] += 1
            world.seen["caps"] += got.contribution < got.full
            world.seen["bonuses"] += bool(got.used) or got.fixed > 0
            world.seen["dated"] += bool(got.expires_at)

    def _left(self) -> list[str]:
        return [name for name, purchase in self.life.purchases.items() if purchase.left]

    def _refund(self) -> None:
        names = self._left()
        if not names:
            return
        name = self.chance.choice(names)
        left = self.life.purchases[name].left
        self._undo(name, self.chance.choice((left, self.chance.randint(1, left))), Undoing.REFUND)

    def _void(self) -> None:
        names = self._left()
        if names:
            name = self.chance.choice(names)
            self._undo(name, self.life.purchases[name].left, Undoing.VOID)

    def _undo(self, name: str, amount: int, kind: Undoing) -> None:
        self.count += 1
        purchase = self.life.purchases[name]
        ref = PaymentKey(Scheme.RRN, TID, f"r{self.number}-{self.count}")
        key = PaymentKey(Scheme.RRN, TID, name)
        undone = Undo(self.world.shop.counter).undo(Wish(kind, key, ref, amount, None, "test"))
        said = self.life.refund(name, amount, void=kind is Undoing.VOID)
        self._same("points and debt of an undoing", (undone.points, undone.debt), said)
        seen = self.world.seen
        seen["undoings"] += 1
        seen["debts"] += said[1] > 0
        seen["cross-version"] += purchase.rules.version != self.world.rules_at(self.world.now).version
        if kind is Undoing.VOID:
            self.codes.pop(name, None)

    def _adjust(self) -> None:
        self.count += 1
        name = self.chance.choice(list(self.members))
        points = self.chance.choice((-30, -5, 4, 20))
        ref = PaymentKey(Scheme.REQUEST, "", f"a{self.number}-{self.count}")
        done = Undo(self.world.shop.counter).adjust(Adjustment(self.members[name], points, "x", ref, "test"))
        self._same("debt of an adjustment", done.debt, self.life.adjust(name, points))
        self.world.seen["adjustments"] += 1

    def _move(self) -> None:
        mine = [n for n, p in self.life.purchases.items() if p.left and p.holder in self.members]
        if not mine:
            return
        name, named = self.chance.choice(mine), self.chance.choice(list(self.members))
        to = self.life.acting(named)
        moved = Moving(self.world.shop.ledger).move(self.numbers[name], self.members[named], "x", "test")
        if to == self.life.purchases[name].holder:
            self._same("moving to the same member", moved.seen_before, True)
            return
        self._same("points of a move", (moved.points_out, moved.points_in), self.life.move(name, to))
        self.world.seen["moves"] += 1

    def _hold(self) -> None:
        if not self.world.rules[0].rewards:
            return
        self.count += 1
        world, named = self.world, self.chance.choice(list(self.members))
        rules = world.rules_at(world.now)
        reward, points = self.chance.choice(rules.rewards)
        request = f"h{self.number}-{self.count}"
        try:
            Redeeming(world.shop.counter).hold(Want(request, self.members[named], reward, 0, None, "test"))
            held = True
        except Refused:
            held = False
        until = world.now + rules.hold_minutes * 60
        self._same("holding", held, self.life.hold(named, request, points, world.now, until))
        self.world.seen["holds" if held else "holds refused"] += 1
        self.asked += [request] * held
        if held and self.chance.random() < 0.5:
            self._end_hold()

    def _end_hold(self) -> None:
        if not self.asked:
            return
        request = self.asked.pop()
        is_open = request in self.life.holds
        redeeming = Redeeming(self.world.shop.counter)
        if self.chance.random() < 0.3:
            state = redeeming.release(request, "test").state
            self._same("the end of a hold", state, "released")
            if is_open:
                self.life.release(request)
            return
        try:
            captured = redeeming.capture(request, None, None, "test").points
        except Refused:
            captured = None
        self._same("captured", captured, self.life.capture(request, self.world.now) if is_open else None)
        self.world.seen["redemptions"] += captured is not None

    def _merge(self) -> None:
        if len(self.members) < 2:
            return
        one, other = self.chance.sample(list(self.members), 2)
        shop = self.world.shop
        done = JoinedPeople(shop.ledger, shop.tokens).merge(self.phone(one), self.phone(other), "x")
        top, alias = self.life.acting(one), self.life.acting(other)
        self._same("merged before", done.seen_before, top == alias)
        if top != alias:
            self.life.answers_as[alias] = top
            self.world.seen["merges"] += 1

    def _unmerge(self) -> None:
        if not self.life.answers_as:
            return
        alias = self.chance.choice(list(self.life.answers_as))
        shop = self.world.shop
        JoinedPeople(shop.ledger, shop.tokens).unmerge(self.phone(alias), "x")
        del self.life.answers_as[alias]
        self.world.seen["unmerges"] += 1

    def _claim(self) -> None:
        if not self.codes:
            return
        name, named = self.chance.choice(list(self.codes)), self.chance.choice(list(self.members))
        who, holder = self.life.acting(named), self.life.purchases[name].holder
        names = [n for n in self.codes if self.life.purchases[n].holder == holder] if holder else [name]
        done = self.world.shop.members.claim(self.codes[name], self.members[named], "test")
        self._same("claimed", (done.payments, done.points), (len(names), self.life.claim(names, who)))
        if holder and not self.card_owner:
            self.card_owner = who
        for each in names:
            del self.codes[each]
        self.world.seen["claims"] += 1

    def compare(self, what: str) -> None:
        """Every id of this life: points, what can be spent, debt, visits, tier, last days, stamps."""
        for name, member in self.members.items():
            row = self.world.row(member)
            theirs = _said_by_books(row, self.world.now)
            mine = _said_by_oracle(self.life, name, self.world.now)
            if theirs != mine:
                raise Disagreement(f"life {self.number} after {what}: {name}: books {theirs}, oracle {mine}")

    def _same(self, what: str, ours: object, oracle: object) -> None:
        if ours != oracle:
            raise Disagreement(f"life {self.number}: {what}: the counter says {ours}, the oracle {oracle}")


Said = tuple[int, int, int, int, str, dict[int, int], dict[str, int]]


def _said_by_books(row: MemberRow, now: int) -> Said:
    dated: Counter[int] = Counter()
    for lot in lots.unpack(row.lots):
        if lot.expires_at:
            dated[lot.expires_at] += lot.points
    stamps = {stamp.id: stamp.count for stamp in unpack(row.standing).stamps if stamp.count}
    there = usable(lots.unpack(row.lots), row.balance, row.held, now)
    return row.balance, there, row.debt, row.visits, row.tier, dict(dated), stamps


def _said_by_oracle(life: Life, name: str, now: int) -> Said:
    me = life.ids[name]
    dated = Counter(point.expires_at for point in me.points if point.expires_at)
    stamps = {card: count for card, count in me.stamps.items() if count}
    there = max(0, sum(point.available_at <= now for point in me.points) - me.held)
    return len(me.points), there, me.debt, life.visits(name), me.tier, dict(dated), stamps


def _accepted(versions: tuple[Rules, ...]) -> bool:
    """False for a programme whose chance numbers together are too fine: the document is refused."""
    try:
        return all(parse(rules.text()) for rules in versions)
    except ProgrammeError:
        return False


class World:
    """A ledger under two versions of one random programme, and the clock over it."""

    def __init__(self, directory: Path, seed: int, seen: Counter[str], wanted: dict[str, Any]) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a history, not a secret
        self.seen = seen
        self.now, self.mark = START, 0
        self.settled: list[int] = []  # when the job ran
        self.shop = Shop(directory, START * 1000)
        self.rules = random_rules(self.chance, dict(wanted))
        while not _accepted(self.rules):
            self.rules = random_rules(self.chance, dict(wanted))
        starts = (START - 40 * DAY_S, START + SECOND_VERSION_DAY * DAY_S)
        for rules, start in zip(self.rules, starts, strict=True):
            self.shop.programmes.activate(parse(rules.text()), start)
        self.switch = starts[1]
        first = self.rules[0]
        kinds = {bonus["kind"] for _, bonus in first.bonuses}
        self.plain = parse(first.text()).is_plain
        self.timeless = not first.cap_day and not kinds & {"lapsed", "birthday"}

    def rules_at(self, at: int) -> Rules:
        return self.rules[at >= self.switch]

    def row(self, member: bytes) -> MemberRow:
        row = self.shop.ledger.read(lambda connection: find_row(connection, MemberRow, (member,)))
        assert row is not None
        return row

    def run(self, lives: int) -> None:
        """That many lives, side by side. Disagreement where the two sides differ."""
        todo: list[tuple[int, int]] = []
        for number in range(lives):
            at, gap = START + self.chance.randint(0, DAYS * DAY_S), self.chance.choice(GAPS_S)
            for _ in range(self.chance.randint(STEPS_MIN, STEPS_MAX)):
                todo.append((at, number))
                at += self.chance.randint(1, 2 * gap)
        told: dict[int, Told] = {}
        for at, number in sorted(todo):
            self.now = max(at, self.now)
            self.shop.wall_ms = self.now * 1000
            self._pass_time()
            if number not in told:
                told[number] = Told(self, number, self.chance)
            told[number].step()
        for each in told.values():
            each.settle()
            each.compare("the end")
        self.seen["lives"] += lives

    def _pass_time(self) -> None:
        """The clock is vouched for now and then, and the job runs that ends holds and lots."""
        if self.now - self.mark > 20 * 3600:
            self.mark = self.now
            self.shop.ledger.write(lambda tx: tx.post(events.ClockAttested(self.now, "test")))
        settle_all(self.shop.ledger)
        self.settled.append(self.now)

    def verified(self) -> tuple[object, ...]:
        """What `vafa verify` finds wrong in the ledger."""
        connection = connect_reader(self.shop.ledger.path)
        try:
            return verify(connection, Recheck(connection)).bad
        finally:
            connection.close()


def run(
    seed: int, lives: int, seen: Counter[str], scratch: Path, wanted: dict[str, Any] | None = None
) -> None:
    """One world, with what is `wanted` in its programme. Disagreement, also where it does not verify."""
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        world = World(Path(directory), seed, seen, wanted or {})
        try:
            world.run(lives)
            bad = world.verified()
            if bad:
                raise Disagreement(f"world {seed} does not verify: {bad[0]}")
        except Exception as error:
            error.add_note(f"seed {seed}; {world.rules[0].text()}")
            raise
        finally:
            world.shop.ledger.close()


def scratch() -> Path:
    """Where ledgers may lie that nobody keeps: in memory where there is such a place."""
    shared = Path("/dev/shm")  # noqa: S108
    return shared if shared.is_dir() and os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


def main(lives: int, first_seed: int = 0) -> None:
    """Run so many lives with progress, then tell how often each kind of thing happened."""
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    seen: Counter[str] = Counter()
    began, seed = time.monotonic(), first_seed
    while seen["lives"] < lives:
        run(seed, LIVES_A_LEDGER, seen, scratch())
        seed += 1
        if seed % 10 == 0:
            rate = seen["lives"] / (time.monotonic() - began)
            sys.stderr.write(f"{seen['lives']:,} lives agree, {rate:,.0f}/s\n")
    for what, count in sorted(seen.items()):
        sys.stdout.write(f"{count:>10,}  {what}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
