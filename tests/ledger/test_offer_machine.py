"""Offers by chance beside a model in plain dicts: in any order, with crashes, each is used once at most.

Two kinds: `double` (points, used by a purchase) and `off` (money, held and captured). The device is killed
between any two steps: its ledger is opened again as the disk has it. What the model counts for each offer is
how often its good was had, less how often that was taken back; it is never more than once.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from shop import Shop
from till import Till

from vafa.app.offer_rounds import HEARD_LATE_S, OfferRounds
from vafa.app.outcome import Outcome
from vafa.app.recheck import Recheck
from vafa.app.redeeming import Redeeming
from vafa.app.settling import settle_all
from vafa.ledger.ledger import Ledger
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import verify
from vafa.model import events
from vafa.model.errors import Refused

RULES = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 10
[redeem]
hold_minutes = 10
[offer.double]
name_fa = "دو برابر"
valid_days = 3
extra = 100
[offer.off]
name_fa = "تخفیف"
valid_days = 3
discount = 100
"""
OPEN, HELD, USED, OVER = "open", "set aside", "used", "over"
DAY_S = 86_400
any_index = st.integers(0, 1_000)


class OfferMachine(RuleBasedStateMachine):
    """One member. `offers`: id -> [how it stands, when its window ends]."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="vafa-offers-"))
        self.till = Till(Shop(self.directory), RULES)
        self.offers: dict[bytes, list[object]] = {}
        self.kind: dict[bytes, str] = {}
        self.had: dict[bytes, int] = {}
        self.holds: dict[str, tuple[bytes, int]] = {}  # request -> offer, until
        self.sales: dict[int, dict[str, object]] = {}  # number -> outcome, left, offers used
        self.paid_by: dict[int, list[tuple[str, bytes]]] = {}  # sale's number -> (request, offer)
        self.given = self.held = 0

    def _now(self) -> int:
        return self.till.shop.wall_ms // 1000

    def _good(self, name: bytes) -> bool:
        how, until = self.offers[name]
        return how == OPEN and self._now() < int(str(until))

    def _open(self, kind: str) -> list[bytes]:
        return [name for name in self.offers if self.kind[name] == kind and self._good(name)]

    def _settle(self) -> None:
        for request, (name, until) in list(self.holds.items()):
            if until <= self._now():
                del self.holds[request]
                self.offers[name][0] = OPEN

    # What happens

    @rule(kind=st.sampled_from(["double", "off"]), again=st.booleans())
    def an_offer_is_given(self, kind: str, again: bool) -> None:
        if self.till.row().offers >= 15:
            return
        self.given += 0 if again and self.given else 1
        try:
            given = self.till.give(kind, f"g-{self.given}")
        except Refused:
            assert again  # the same request for the other kind
            return
        name = given.event.offer
        assert given.seen_before == (name in self.offers)
        if not given.seen_before:
            self.offers[name] = [OPEN, given.event.until]
            self.kind[name], self.had[name] = kind, 0

    @rule(heard_again=st.booleans(), for_hold=any_index)
    def a_purchase(self, heard_again: bool, for_hold: int) -> None:
        if heard_again and self.till.number:
            before, at_ms = self.till.number, self.till.shop.wall_ms
            first = self.sales[before]["outcome"]
            assert isinstance(first, Outcome)
            self.till.number, self.till.shop.wall_ms = before - 1, first.at_ms
            again = self.till.buys()
            self.till.shop.wall_ms = at_ms
            assert (again.seen_before, again.points, again.offers) == (True, first.points, first.offers)
            return
        usable = self._open("double")
        outcome = self.till.buys()
        used = [told for told in outcome.offers if told.how == "used"]
        assert (len(used), outcome.points) == ((1, 200) if usable else (0, 100))
        spent = []
        if used:
            (name,) = (each for each in usable if self.till.offer(each).spent_seq == outcome.seq)
            assert self.offers[name][1] == min(int(str(self.offers[each][1])) for each in usable)
            self.offers[name][0] = USED
            self.had[name] += 1
            spent = [name]
        self.sales[self.till.number] = {"outcome": outcome, "left": 1_000, "used": spent}

    @precondition(lambda self: self.offers)
    @rule(index=any_index)
    def a_hold(self, index: int) -> None:
        self._settle()
        name = list(self.offers)[index % len(self.offers)]
        self.held += 1
        request = f"h-{self.held}"
        possible = self.kind[name] == "off" and self._good(name)
        try:
            held = self.till.holds(name, request=request)
        except Refused:
            assert not possible
            return
        assert possible
        self.offers[name][0] = HELD
        self.holds[request] = (name, held.until)

    @precondition(lambda self: self.holds)
    @rule(index=any_index, sale=any_index, applied=st.sampled_from([None, 0, 40]))
    def a_capture(self, index: int, sale: int, applied: int | None) -> None:
        request = list(self.holds)[index % len(self.holds)]
        name, until = self.holds[request]
        number = sale % self.till.number + 1 if self.till.number else 0
        there = number in self.sales and self.sales[number]["left"] == 1_000
        outcome = self.sales[number]["outcome"] if there else None
        key = outcome.key if isinstance(outcome, Outcome) else None
        over = until <= self._now()
        try:
            done = self.till.captures(key, request, applied)
        except Refused:
            assert over
            self._settle()
            return
        assert not over
        del self.holds[request]
        if applied == 0:
            assert done.state == "released"
            self.offers[name][0] = OPEN
            return
        assert done.state == "captured"
        self.offers[name][0] = USED
        self.had[name] += 1
        if key is not None:
            self.paid_by.setdefault(number, []).append((request, name))

    @precondition(lambda self: self.holds)
    @rule(index=any_index)
    def a_release(self, index: int) -> None:
        request = list(self.holds)[index % len(self.holds)]
        Redeeming(self.till.shop.counter).release(request, "machine")
        name, _ = self.holds.pop(request)
        self.offers[name][0] = OPEN
        self._settle()

    @precondition(lambda self: any(sale["left"] for sale in self.sales.values()))
    @rule(index=any_index, part=st.sampled_from([None, 300, 1_000]))
    def money_goes_back(self, index: int, part: int | None) -> None:
        left = [number for number, sale in self.sales.items() if sale["left"]]
        number = left[index % len(left)]
        sale = self.sales[number]
        there, outcome = int(str(sale["left"])), sale["outcome"]
        assert isinstance(outcome, Outcome)
        amount = None if part is None else min(part, there)
        self.till.undoes(outcome, amount)
        sale["left"] = 0 if amount is None else there - amount
        if not sale["left"]:
            used = sale["used"]
            assert isinstance(used, list)
            for name in [*used, *(name for _, name in self.paid_by.pop(number, []))]:
                self.offers[name][0] = OPEN
                self.had[name] -= 1

    @precondition(lambda self: self.offers)
    @rule(index=any_index)
    def a_withdrawal(self, index: int) -> None:
        name = list(self.offers)[index % len(self.offers)]
        if self.offers[name][0] == OPEN and not self.till.offer(name).spent_seq:
            self.till.offering.withdraw(name, "machine", "machine")
            self.offers[name][0] = OVER

    @rule(seconds=st.sampled_from([60, 601, 7_200, DAY_S, 3 * DAY_S]), attested=st.booleans())
    def time_passes(self, seconds: int, attested: bool) -> None:
        self.till.shop.wall_ms += seconds * 1000
        if attested:
            self.till.passes(0)
            settle_all(self.till.shop.ledger)
            self._settle()
            OfferRounds(self.till.shop.ledger).run()
            for each in self.offers.values():
                if each[0] == OPEN and int(str(each[1])) <= self._now() - HEARD_LATE_S:
                    each[0] = OVER

    @rule()
    def the_device_is_killed(self) -> None:
        """What was decided and not committed is gone; what was committed is all there."""
        shop = self.till.shop
        before = shop.ledger.head

        def half_done(tx: object) -> None:
            for name in self.offers:
                if self._good(name):
                    ended = events.OfferEnded(name, self.till.member, 2, "x", "machine", self._now())
                    tx.post(ended)  # type: ignore[attr-defined]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            shop.ledger.write(half_done)
        shop.ledger.close()
        opened = Ledger(self.directory, lambda: shop.wall_ms)
        assert opened.head == before
        opened.close()
        shop.open()
        self.till.rules(RULES)

    # What must hold

    @invariant()
    def no_offer_was_had_more_than_once(self) -> None:
        assert all(count in (0, 1) for count in self.had.values())
        assert all((self.had[name] == 1) == (how == USED) for name, (how, _) in self.offers.items())

    @invariant()
    def the_books_say_what_the_model_says(self) -> None:
        still = [name for name, (how, _) in self.offers.items() if how in (OPEN, HELD)]
        assert self.till.row().offers == len(still)
        for name in self.offers:
            row = self.till.offer(name)
            assert (row.spent_seq == 0) == (name in still)
            assert bool(row.hold and not row.spent_seq) == (self.offers[name][0] == HELD)

    def teardown(self) -> None:
        shop = self.till.shop
        connection = connect_reader(shop.ledger.path)
        try:
            assert verify(connection, Recheck(connection)).bad == ()
        finally:
            connection.close()
            shop.ledger.close()
            shutil.rmtree(self.directory)


OfferMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestOffers = pytest.mark.filterwarnings("error")(OfferMachine.TestCase)
