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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oracle.life import Id, Life
from oracle.rules import DAY_S, Bonus, Rules, jalali, local
from shop import TID, Shop, payment

from vafa.app.joined_people import JoinedPeople
from vafa.app.member_view import ASKED
from vafa.app.moving import Moving
from vafa.app.recheck import Recheck
from vafa.app.undo import Adjustment, Undo, Undoing, Wish
from vafa.books import lots
from vafa.books.rows import MemberRow
from vafa.club.programme import parse
from vafa.ledger.storage import connect_reader
from vafa.ledger.tables import find_row
from vafa.ledger.verify import verify
from vafa.model import events
from vafa.model.lots import usable
from vafa.model.pan import CardHint
from vafa.model.payment import PaymentKey, Scheme
from vafa.model.standing import unpack

START = 1_759_000_000  # in Mehr 1404
DAYS = 420  # over a Nowruz and 30 Esfand 1403 + 1
SECOND_VERSION_DAY = 150
STEPS_MIN, STEPS_MAX = 5, 11
LIVES_A_LEDGER = 150
EDGES = (30, 50, 100, 250)  # where the rules' bands and minima begin and end
GAPS_S = (600, 5 * 3600, DAY_S, 4 * DAY_S, 30 * DAY_S)  # between the steps of one life, about


class Disagreement(AssertionError):
    """The counter and the oracle do not say the same. The message says of which life, step and id."""


def random_rules(chance: random.Random, wanted: dict[str, Any]) -> tuple[Rules, Rules]:
    """Two versions of one programme: the same rules, another rate and another life of points. `wanted`: what
    must be in it, whatever chance says."""
    plain = not wanted and chance.random() < 0.25
    given: dict[str, Any] = {}
    if not plain:
        metric = chance.choice(("spend", "points", "visits"))
        steps = {"spend": (300, 900), "points": (20, 60), "visits": (2, 4)}[metric]
        given = {
            "stacking": chance.choice(("add", "multiply", "best", "exclusive")),
            "cap_payment": chance.choice((0, 0, 15, 40)),
            "cap_day": chance.choice((0, 0, 20, 60)),
            "months": chance.choice((0, 1, 3, 6)),
            "pending_hours": chance.choice((0, 0, 24, 200)),
            "metric": metric,
            "tiers": chance.choice(((), (("basic", 0, 0), ("gold", steps[0], 20), ("ruby", steps[1], 50)))),
            "stamps": chance.choice(((), (("cup", chance.choice((0, 12, 72)), chance.choice((0, 50))),))),
        }
        given["rounded"] = (
            chance.choice(("none", "month", "quarter", "half-year")) if given["months"] else "none"
        )
    kinds = wanted.pop("kinds", ())
    given |= wanted
    given["bonuses"] = () if plain else tuple(_bonuses(chance, kinds))
    rates = chance.sample(((1, 10), (1, 7), (7, 30), (3, 20), (2, 9)), 2)
    minimum = chance.choice((0, 0, 30))
    months = given.get("months", 0)
    one, two = (
        Rules(
            version,
            points,
            per,
            minimum,
            **(given | {"months": lasts, "rounded": given.get("rounded", "none") if lasts else "none"}),
        )
        for version, (points, per), lasts in zip(
            (1, 2), rates, (months, months and chance.choice((1, 2, months))), strict=True
        )
    )
    return one, two


def _bonuses(chance: random.Random, kinds: tuple[str, ...]) -> Iterator[tuple[str, Bonus]]:
    """Some bonuses of every kind by chance, and those that are wanted; names are their order among equals."""
    every: list[tuple[str, Bonus]] = [
        ("a-always", {"kind": "always"}),
        ("b-band", {"kind": "amount", "at_least": 100, "below": 250}),
        ("c-evening", {"kind": "happy-hours", "hours": chance.choice(("17:00-20:00", "22:00-02:00"))}),
        ("d-weekend", {"kind": "happy-hours", "weekdays": ("thu", "fri")}),
        ("e-first", {"kind": "first-purchase"}),
        ("f-third", {"kind": "visit", "visit": 3, "repeat": chance.random() < 0.5}),
        ("g-birthday", {"kind": "birthday"}),
        ("h-lapsed", {"kind": "lapsed", "away_days": chance.choice((1, 2, 5))}),
        ("i-friend", {"kind": "referral", "referrer_points": 7}),
    ]
    gains: tuple[Bonus, ...] = ({"extra": 50}, {"extra": 100}, {"points": 5}, {"extra": 20, "points": 2})
    for name, bonus in every:
        if bonus["kind"] in kinds or chance.random() < 0.4:
            yield name, {**bonus, **chance.choice(gains), "priority": chance.choice((0, 0, 1, 2))}


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
        """Something happens; then both sides are compared."""
        actions = [(self._buy, 9), (self._refund, 4), (self._void, 1), (self._adjust, 1), (self._move, 1)]
        actions += [(self._merge, 1), (self._unmerge, 1), (self._claim, 3)]
        weights = [weight for _, weight in actions]
        (action,) = self.chance.choices([action for action, _ in actions], weights)
        action()
        self.compare(action.__name__)

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
        if not self.codes or not self.world.claims:
            return
        name, named = self.chance.choice(list(self.codes)), self.chance.choice(list(self.members))
        who, holder = self.life.acting(named), self.life.purchases[name].holder
        names = [n for n in self.codes if self.life.purchases[n].holder == holder] if holder else [name]
        done = self.world.shop.members.claim(self.codes[name], self.members[named], "test")
        self._same("claimed", (done.payments, done.points), (len(names), self.life.claim(names, who)))
        if holder and not self.card_owner:
            self.card_owner = named
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


class World:
    """A ledger under two versions of one random programme, and the clock over it."""

    def __init__(self, directory: Path, seed: int, seen: Counter[str], wanted: dict[str, Any]) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a history, not a secret
        self.seen = seen
        self.now = START
        self.shop = Shop(directory, START * 1000)
        self.rules = random_rules(self.chance, dict(wanted))
        starts = (START - 40 * DAY_S, START + SECOND_VERSION_DAY * DAY_S)
        for rules, start in zip(self.rules, starts, strict=True):
            self.shop.programmes.activate(parse(rules.text()), start)
        self.switch = starts[1]
        first = self.rules[0]
        kinds = {bonus["kind"] for _, bonus in first.bonuses}
        self.plain = parse(first.text()).is_plain
        self.timeless = not first.cap_day and not kinds & {"lapsed", "birthday"}
        self.claims = self.plain

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
            if number not in told:
                told[number] = Told(self, number, self.chance)
            told[number].step()
        for each in told.values():
            each.compare("the end")
        self.seen["lives"] += lives

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
