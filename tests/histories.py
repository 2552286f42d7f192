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
from contextlib import suppress
from datetime import date
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from oracle.days import DAY_S, day_of, first_of, midnight
from oracle.rules import Rules
from random_rules import random_rules
from shop import Shop
from telling import Disagreement
from told import Told

from vafa.app.evaluating import Evaluations
from vafa.app.offer_rounds import OfferRounds
from vafa.app.offering import Offering, Wish
from vafa.app.recheck import Recheck
from vafa.app.settling import settle_all
from vafa.books.rows import MemberRow
from vafa.club.programme import parse
from vafa.ledger.storage import connect_reader
from vafa.ledger.tables import find_row
from vafa.ledger.verify import verify
from vafa.model import events
from vafa.model.errors import ProgrammeError

__all__ = ["Disagreement", "World", "run"]

START = 1_759_000_000  # in Mehr 1404
DAYS = 420  # over a Nowruz and 30 Esfand 1403 + 1
SECOND_VERSION_DAY = 150
STEPS_MIN, STEPS_MAX = 5, 11
LIVES_A_LEDGER = 150
YEARLY = 0
GAPS_S = (600, 5 * 3600, DAY_S, 4 * DAY_S, 30 * DAY_S, YEARLY)  # between the steps of one life, about
# What a world is about: rules that must be in it, and how long its lives pause. Without a theme some things
# would hardly ever happen: that lapsed points come back, or the day of a first purchase.
SPENDING, YEARS, GIVING, FULL, PEOPLE = "spending", "years", "giving", "full", "people"
THEMES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "": ({}, GAPS_S),
    SPENDING: (
        {
            **dict.fromkeys(("pending_hours", "pending_days", "min_balance", "per_day"), 0),
            **dict.fromkeys(("cap_payment", "cap_day", "budget"), 0),
            "months": 1,
            "rounded": "none",
            "max_percent": 100,
            "stamps": (("cup", {"needed": 2}),),
        },
        (12 * DAY_S, 25 * DAY_S),
    ),
    GIVING: ({}, (600, 5 * 3600, DAY_S)),
    FULL: ({}, (600, 5 * 3600, DAY_S)),
    PEOPLE: ({}, (5 * 3600, 3 * DAY_S)),
    YEARS: ({"kinds": ("anniversary",)}, (YEARLY,)),
}
THEMES_OFTEN = ("", "", *[SPENDING] * 5, YEARS, *[GIVING] * 3, FULL, FULL, PEOPLE, PEOPLE)
ROUNDS_DAYS = (4, 10, 30)
GIFT_CHANCE = 0.003
Evaluation = tuple[Rules, int]  # under which version, of which instant
Gift = tuple[Rules, str, str, str]  # a segment is given an offer by a request


class Passed(NamedTuple):
    """What was done to everybody at once at a second: tiers evaluated, offers given and ended by the calendar
    of a version, a segment given something."""

    at: int
    evaluation: Evaluation | None = None
    round: Rules | None = None
    gift: Gift | None = None


class World:
    """A ledger under two versions of one random programme, and the clock over it.

    given    what each version has contributed in all, by the oracle's word
    settled  when the jobs ran, and what they evaluated then
    """

    def __init__(self, directory: Path, seed: int, seen: Counter[str], wanted: dict[str, Any]) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - a history, not a secret
        self.seen = seen
        self.now, self.mark = START, 0
        self.given: dict[int, Fraction] = {}
        self.settled: list[Passed] = []
        self.shop = Shop(directory, START * 1000)
        self._evaluations, self._rounds = Evaluations(self.shop.ledger), OfferRounds(self.shop.ledger)
        self._evaluated: Evaluation | None = None
        self._gifts = 0
        offered = "" if wanted else self.chance.choice(THEMES_OFTEN)
        self.theme = wanted.get("theme", offered)
        must, self.gaps_s = THEMES[self.theme]
        self.is_of_chance = not wanted  # all may happen; where something is wanted, lives are about that
        offers = "none" if wanted else "all" if self.theme in (GIVING, FULL) else "some"
        wanted = {"offered": offers} | {name: what for name, what in wanted.items() if name != "theme"}
        self.rules = random_rules(self.chance, must | wanted, day_of(START))
        while not _accepted(self.rules):
            self.rules = random_rules(self.chance, must | wanted, day_of(START))
        starts = (START - 40 * DAY_S, START + SECOND_VERSION_DAY * DAY_S)
        for rules, start in zip(self.rules, starts, strict=True):
            self.shop.programmes.activate(parse(rules.text()), start)
        self.starts = starts
        first = self.rules[0]
        kinds = {bonus["kind"] for _, bonus in first.bonuses}
        self.has_offers = bool(first.offers)
        self.rounds_days = self.chance.choice(ROUNDS_DAYS) if self.has_offers else 0
        self.offering = Offering(self.shop.ledger, self.shop.programmes)
        self.timeless = not first.cap_day and not kinds & {"lapsed", "birthday", "anniversary", "feedback"}

    @property
    def is_giving(self) -> bool:
        """Offers are given, used and come back here."""
        return bool(self.theme == GIVING)

    @property
    def is_full(self) -> bool:
        """People hold as many offers here as anybody may."""
        return bool(self.theme == FULL)

    @property
    def is_of_people(self) -> bool:
        """Cards of several people, people of several phones, people who are forgotten and come again."""
        return bool(self.theme == PEOPLE)

    @property
    def is_spending(self) -> bool:
        """Much is redeemed here and comes back."""
        return bool(self.theme == SPENDING)

    def rules_at(self, at: int) -> Rules:
        return self.rules[at >= self.starts[1]]

    def row(self, member: bytes) -> MemberRow:
        row = self.shop.ledger.read(lambda connection: find_row(connection, MemberRow, (member,)))
        assert row is not None
        return row

    def run(self, lives: int) -> None:
        """That many lives, side by side. Disagreement where the two sides differ."""
        todo: list[tuple[int, int]] = []
        for number in range(lives):
            at, gap = START + self.chance.randint(0, DAYS * DAY_S), self.chance.choice(self.gaps_s)
            for _ in range(self.chance.randint(STEPS_MIN, STEPS_MAX) + 4 * bool(self.theme)):
                todo.append((at, number))
                at += self._pause(gap)
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

    def _pause(self, gap: int) -> int:
        """Seconds to a life's next step; who comes yearly comes for some days each time."""
        if gap == YEARLY:
            a_year = self.chance.random() < 0.3
            return (
                self.chance.randint(350 * DAY_S, 372 * DAY_S) if a_year else self.chance.randint(1, 3 * DAY_S)
            )
        return self.chance.randint(1, 2 * gap)

    def _pass_time(self) -> None:
        """The clock is vouched for now and then, and the jobs run that end holds, lots and tiers."""
        if self.now - self.mark > 20 * 3600:
            self.mark = self.now
            self.shop.ledger.write(lambda tx: tx.post(events.ClockAttested(self.now, "test")))
        settle_all(self.shop.ledger)
        evaluation, before = self._evaluation(), self.settled[-1].at if self.settled else 0
        is_new_day = day_of(before) != day_of(self.now)
        if evaluation is not None or is_new_day:
            self._evaluations.run()  # else nothing can have come: it is asked each day, not each minute
        has_round = self.has_offers and is_new_day and day_of(self.now).toordinal() % self.rounds_days == 0
        if has_round:
            self._rounds.run()
        self.settled.append(
            Passed(self.now, evaluation, self.rules_at(self.now) if has_round else None, self._gift())
        )

    def _gift(self) -> Gift | None:
        """Now and then the merchant gives a segment something."""
        rules = self.rules_at(self.now)
        if not rules.segments or self.chance.random() > GIFT_CHANCE * (1 + 9 * self.is_full):
            return None
        self._gifts += 1
        segment, offer = (self.chance.choice(group)[0] for group in (rules.segments, rules.offers))
        gift, after = Wish(f"s{self._gifts}", offer, None, 0, "", f"s{self._gifts}", "test"), b""
        while True:
            done = self.offering.give_segment(segment, gift, after)
            self.seen["offers given to a segment"] += done.offers
            after = done.next
            if not after:
                return rules, segment, offer, gift.request

    def _evaluation(self) -> Evaluation | None:
        """What is to be evaluated now: the newest start of a period, once, where the version holds since."""
        rules, since = self.rules_at(self.now), self.starts[self.now >= self.starts[1]]
        if not rules.tiers:
            return None
        found = rules, _period_start(day_of(self.now), rules.evaluate)
        if found[1] < since or found == self._evaluated:
            return None
        self._evaluated = found
        return found

    def verified(self) -> tuple[object, ...]:
        """What `vafa verify` finds wrong in the ledger."""
        connection = connect_reader(self.shop.ledger.path)
        try:
            return verify(connection, Recheck(connection)).bad
        finally:
            connection.close()


@lru_cache(maxsize=2_000)
def _period_start(day: date, period: str) -> int:
    return midnight(first_of(day, period))


def _accepted(versions: tuple[Rules, ...]) -> bool:
    """False for a programme whose chance numbers together are too fine: the document is refused."""
    try:
        return all(parse(rules.text()) for rules in versions)
    except ProgrammeError:
        return False


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
    """Run so many lives from a seed on, with progress; then tell how often each kind of thing happened, and
    the seed to go on with: a long run may be taken in slices, also by Ctrl-C. (What a world of that moment
    had counted is in the sum.)"""
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    seen: Counter[str] = Counter()
    began, seed = time.monotonic(), first_seed
    with suppress(KeyboardInterrupt):
        while seen["lives"] < lives:
            run(seed, LIVES_A_LEDGER, seen, scratch())
            seed += 1
            if seed % 10 == 0:
                lives_a_s = seen["lives"] / (time.monotonic() - began)
                sys.stderr.write(f"{seen['lives']:,} lives agree, {lives_a_s:,.0f}/s; next seed {seed}\n")
    for what, count in sorted(seen.items()):
        sys.stdout.write(f"{count:>10,}  {what}\n")
    sys.stdout.write(f"seeds {first_seed} to {seed - 1}; the next slice begins at {seed}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
