"""Points spent, held, lapsing and coming back by chance, beside a model in plain dicts; reopened at random.

The model knows one member's points by the second they lapse (NEVER: not at all), what is held until when,
what each redemption drew and each sale earned. It imports none of our rules: its drawing is one sorted loop.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from shop import Shop, payment

from vafa.app import returning
from vafa.app.recheck import Recheck
from vafa.app.redeeming import Redeeming, Wish
from vafa.app.settling import settle_all
from vafa.app.undo import Adjustment, Undo, Undoing
from vafa.app.undo import Wish as UndoWish
from vafa.books.rows import MemberRow
from vafa.club.programme import parse
from vafa.ledger import reads
from vafa.ledger.storage import connect_reader
from vafa.ledger.verify import verify
from vafa.model import events
from vafa.model.errors import Refused
from vafa.model.payment import PaymentKey, Scheme

RULES = """
schema = 1
[name]
fa = "کافه نگین"
[earn]
points = 1
per = 10
[expiry]
months = 1
[redeem]
hold_minutes = 10
debt_cap = 300
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
points = 1
rial = 10
"""
NEVER = 10**12
DAY_S, HOLD_S, TRUSTED_S = 86_400, 600, 26 * 3_600
points_of = st.integers(1, 120)
any_index = st.integers(0, 1_000)


class ValueMachine(RuleBasedStateMachine):
    """One member; what is in `lots` is the balance, NEVER the points without a date."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="vafa-value-"))
        self.shop = Shop(self.directory)
        self.shop.programmes.activate(parse(RULES), 0)
        self.member = bytes.fromhex(self.shop.members.add("09121236789", "", "machine").id)
        self.lots: dict[int, int] = {}
        self.debt = self.mark = self.number = 0
        self.holds: dict[str, tuple[int, int]] = {}  # request -> points, until
        self.spent: dict[str, dict[str, Any]] = {}  # request -> drawn [(lapse, points)], came back, for sale
        self.sales: dict[int, dict[str, int]] = {}  # number -> amount, gone, lapse
        for amount in (600, 500, 900):  # three lots, a day apart
            self.a_sale(amount)
            self.time_passes(DAY_S, attested=True)

    # The model's rules

    def _now(self) -> int:
        return self.shop.wall_ms // 1000

    def _balance(self) -> int:
        return sum(self.lots.values())

    def _held(self) -> int:
        return sum(points for points, _ in self.holds.values())

    def _draw(self, points: int, first: int | None = None) -> list[tuple[int, int]]:
        """What is drawn, nearest lapse first; `first`: a sale's own lot before all others."""
        drawn = []
        for lapse in sorted(self.lots, key=lambda each: (each != first, each)):
            part = min(self.lots[lapse], points)
            if part:
                drawn.append((lapse, part))
                self.lots[lapse] -= part
                points -= part
        assert not points
        return drawn

    def _credit(self, points: int, lapse: int) -> None:
        pays = min(self.debt, points)
        self.debt -= pays
        self.lots[lapse] = self.lots.get(lapse, 0) + points - pays

    def _free(self, request: str, points: int) -> None:
        held, until = self.holds.pop(request)
        if points < held:
            self.holds[request] = (held - points, until)
        pays = min(self.debt, points)
        self._draw(pays)
        self.debt -= pays

    def _settle(self) -> None:
        for request in [name for name, (_, until) in self.holds.items() if until <= self._now()]:
            self._free(request, self.holds[request][0])
        at = self._attested()
        room = self._balance() - self._held()
        for lapse in sorted(self.lots):
            part = min(self.lots[lapse], room) if lapse <= at else 0
            self.lots[lapse] -= part
            room -= part

    def _attested(self) -> int:
        return min(max(self.mark, self._now()), self.mark + TRUSTED_S) if self.mark else 0

    def _claw_back(self, points: int, cap: int | None, first: int | None = None) -> None:
        there = min(points, self._balance() - self._held())
        self._draw(there, first)
        short = points - there
        self.debt += short if cap is None else min(short, max(0, cap - self.debt))

    def _come_back(self, request: str, points: int) -> None:
        """The longest-lived part first: so the last drawn."""
        spent, rest = self.spent[request], points
        skip = spent["back"]
        for lapse, part in reversed(spent["drawn"]):
            here = min(max(0, part - skip), rest)
            skip, rest = max(0, skip - part), rest - here
            lapsed = lapse <= self._attested()
            if here:
                self.lots[self._week_on() if lapsed else lapse] = (
                    self.lots.get(self._week_on() if lapsed else lapse, 0) + here
                )
        spent["back"] += points
        pays = min(self.debt, points)
        self._draw(pays)
        self.debt -= pays

    def _week_on(self) -> int:
        """Tehran's midnight, seven whole days on (no summer time since 2022)."""
        base = max(self._attested(), self._now())
        offset = 12_600
        return ((base + offset) // DAY_S + 8) * DAY_S - offset

    # What happens

    @rule(amount=st.integers(10, 900))
    def a_sale(self, amount: int) -> None:
        self.number += 1
        outcome = self.shop.counter.post(payment(self.number, amount, paid_at=None), self.member)
        row = self._row()
        earned = sum(sale["amount"] - sale["gone"] for sale in self.sales.values())
        gained = (earned + amount) // 10 - earned // 10
        assert outcome.points == gained
        event = self.shop.ledger.read(lambda c: reads.entry(c, outcome.seq)).event
        assert isinstance(event, events.Award)
        self.sales[self.number] = {"amount": amount, "gone": 0, "lapse": event.expires_at}
        self._credit(gained, event.expires_at)
        assert row.visits == len(self.sales)

    @rule(points=points_of, sale=any_index)
    def a_redemption(self, points: int, sale: int) -> None:
        before = set(self.holds)
        self.a_hold(points)
        for request in set(self.holds) - before:
            self._captured(request, points, sale)

    @rule(points=points_of)
    def a_hold(self, points: int) -> None:
        request = f"r-{len(self.holds) + len(self.spent)}-{self.shop.ledger.head.seq}"
        wish = Wish(request, self.member, "off", 10**9, points, "machine")
        self._settle()
        possible = not self.debt and points <= self._balance() - self._held() and self._now() >= self.mark
        try:
            held = Redeeming(self.shop.counter).hold(wish)
        except Refused:
            assert not possible
            return
        assert possible
        self.holds[request] = (points, held.until)

    @precondition(lambda self: self.holds)
    @rule(index=any_index, part=st.integers(0, 150), sale=any_index)
    def a_capture(self, index: int, part: int, sale: int) -> None:
        self._captured(list(self.holds)[index % len(self.holds)], part, sale)

    def _captured(self, request: str, part: int, sale: int) -> None:
        points, _ = self.holds[request]
        applied = min(part, points) * 10
        number = sale % self.number + 1 if self.number and sale % 2 else 0
        key = payment(number).key if number else None
        self._settle()
        try:
            done = Redeeming(self.shop.counter).capture(request, applied, key, "machine")
        except Refused:
            assert request not in self.holds  # it had timed out
            return
        taken = applied // 10
        if not taken:
            assert done.state == "released"
            self._free(request, points)
            return
        assert (done.state, done.points) == ("captured", taken)
        if points - taken:
            self._free(request, points - taken)
        del self.holds[request]
        self.spent[request] = {"drawn": self._draw(taken), "back": 0, "sale": number}

    @precondition(lambda self: self.holds)
    @rule(index=any_index)
    def a_release(self, index: int) -> None:
        request = list(self.holds)[index % len(self.holds)]
        self._settle()
        Redeeming(self.shop.counter).release(request, "machine")
        if request in self.holds:
            self._free(request, self.holds[request][0])

    @precondition(lambda self: any(sale["gone"] < sale["amount"] for sale in self.sales.values()))
    @rule(index=any_index, part=st.integers(1, 2_000))
    def a_refund(self, index: int, part: int) -> None:
        left = [number for number, sale in self.sales.items() if sale["gone"] < sale["amount"]]
        number = left[index % len(left)]
        sale = self.sales[number]
        part = min(part, sale["amount"] - sale["gone"])
        before = sum(each["amount"] - each["gone"] for each in self.sales.values())
        sale["gone"] += part
        for request, spent in self.spent.items():
            total = sum(points for _, points in spent["drawn"])
            if spent["sale"] == number and spent["back"] < total:
                back = total * sale["gone"] // sale["amount"] - spent["back"]
                if back > 0:
                    self._come_back(request, back)
        ref = PaymentKey(Scheme.REQUEST, "", f"back-{self.shop.ledger.head.seq}")
        wish = UndoWish(Undoing.REFUND, payment(number).key, ref, part, None, "machine")
        done = Undo(self.shop.counter).undo(wish)
        gone = before // 10 - (before - part) // 10
        assert done.points == gone
        self._claw_back(gone, 300, sale["lapse"])

    @precondition(lambda self: any(self._left(each) for each in self.spent))
    @rule(index=any_index, part=points_of)
    def a_return(self, index: int, part: int) -> None:
        left = [request for request in self.spent if self._left(request)]
        request = left[index % len(left)]
        part = min(part, self._left(request))
        ref = PaymentKey(Scheme.REQUEST, "redeem", f"return-{self.shop.ledger.head.seq}")
        returning.give_back(self.shop.ledger, request, ref, part, "machine", "Asia/Tehran")
        self._come_back(request, part)

    def _left(self, request: str) -> int:
        spent = self.spent[request]
        return int(sum(points for _, points in spent["drawn"]) - spent["back"])

    @rule(points=st.integers(-60, 100).filter(bool))
    def points_by_hand(self, points: int) -> None:
        ref = PaymentKey(Scheme.REQUEST, "", f"hand-{self.shop.ledger.head.seq}")
        Undo(self.shop.counter).adjust(Adjustment(self.member, points, "machine", ref, "machine"))
        if points > 0:
            self._credit(points, NEVER)
        else:
            self._claw_back(-points, None)

    @rule(
        seconds=st.sampled_from([30, 300, 601, 7_200, DAY_S, 12 * DAY_S, 33 * DAY_S]), attested=st.booleans()
    )
    def time_passes(self, seconds: int, attested: bool) -> None:
        self.shop.wall_ms += seconds * 1000
        if attested:
            self.mark = self._now()
            self.shop.ledger.write(lambda tx: tx.post(events.ClockAttested(self.mark, "machine")))

    @rule()
    def the_job_runs(self) -> None:
        settle_all(self.shop.ledger)
        self._settle()

    @rule()
    def the_device_restarts(self) -> None:
        self.shop.ledger.close()
        self.shop.open()
        self.shop.programmes.activate(parse(RULES), None)

    # What must hold

    def _row(self) -> MemberRow:
        row = self.shop.ledger.read(lambda c: reads.holder(c, self.member))
        assert row is not None
        return row

    @invariant()
    def the_books_are_what_the_model_says(self) -> None:
        row = self._row()
        assert (row.balance, row.debt, row.held) == (self._balance(), self.debt, self._held())
        assert 0 <= row.held <= row.balance
        assert not row.debt or row.balance == row.held  # a debt and points to spend never stand together
        dated = [lapse for lapse, points in self.lots.items() if points and lapse != NEVER]
        assert row.next_expiry == min(dated, default=None)

    def teardown(self) -> None:
        connection = connect_reader(self.shop.ledger.path)
        try:
            assert verify(connection, Recheck(connection)).bad == ()
        finally:
            connection.close()
            self.shop.ledger.close()
            shutil.rmtree(self.directory)


ValueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestValue = pytest.mark.filterwarnings("error")(ValueMachine.TestCase)
