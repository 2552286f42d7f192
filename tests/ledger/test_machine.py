"""A shop run by chance beside a model of it in plain dicts: whatever comes in whatever order, they agree.

The model's arithmetic is one line: with one point per 10 rial and exact carries a holder has
sum(amounts not undone) // 10 points, however the payments came and went back and whenever they were claimed,
and what was given or taken by hand; below zero it is a debt.
"""

import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from shop import TID, Shop, payment

from vafa.app.outcome import Outcome
from vafa.app.recheck import Recheck
from vafa.app.sales import PAID, Asked
from vafa.app.undo import Adjustment, Undo, Undoing, Undone, Wish
from vafa.books.apply import STATE_MODULUS
from vafa.books.rows import TABLES, PaymentState, row_digest
from vafa.books.till import ACCOUNTS
from vafa.ledger.storage import connect_reader
from vafa.ledger.tables import rows_where
from vafa.ledger.verify import Bad, verify
from vafa.model.calendar import Calendar, WallTime
from vafa.model.errors import LedgerError, Refused
from vafa.model.events import KnownBy, SaleOutcome
from vafa.model.pan import CardHint
from vafa.model.payment import Payment, PaymentKey, Scheme, Source

PHONES = ("09121236789", "09351112233", "09903334455")
CARDS = 3
FINAL = tuple(each for each in SaleOutcome if each is not SaleOutcome.UNSURE)
amounts = st.integers(1, 200)
cards = st.integers(0, CARDS - 1)
hashed = st.booleans()
any_index = st.integers(0, 10_000)
members = st.none() | st.sampled_from(PHONES)


def hint(card: int, *, hashed: bool) -> CardHint:
    return CardHint("621986", f"{card:04d}", bytes([card + 1]) * 32 if hashed else b"")


def polled(live: Payment) -> Payment:
    """The same payment as a journal row has it: another calendar, and the mask alone."""
    mask = CardHint(live.card.bin6, live.card.last4)
    gregorian = WallTime(Calendar.GREGORIAN, 2025, 12, 30, 15, 39, 8)
    return msgspec.structs.replace(live, source=Source.POLLED, paid_at=gregorian, card=mask)


class Failing:
    """A connection whose next COMMIT fails, before or after it was done, as a dying disk may have it."""

    def __init__(self, real: sqlite3.Connection, *, done: bool) -> None:
        self._real = real
        self._done = done

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            if self._done:
                self._real.execute(sql)
            raise sqlite3.OperationalError("disk I/O error")
        return self._real.execute(sql, *parameters)

    def close(self) -> None:
        self._real.close()


class ShopMachine(RuleBasedStateMachine):
    """The model: who owns which card, whose each payment is, which sales are open.

    A holder is a phone, ('card', n) for points that wait on a card's hash, or ('payment', reference).
    """

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="vafa-machine-"))
        self.shop = Shop(self.directory)
        self.enrolled: dict[str, bytes] = {}
        self.owners: dict[tuple[str, int], str] = {}
        self.paid: list[tuple[Payment, Outcome, int, bool]] = []  # card, and was its hash known
        self.holders: dict[str, Any] = {}  # payment reference -> holder
        self.sales: list[tuple[Asked, int, bool, str | None]] = []
        self.ended: dict[str, tuple[SaleOutcome, Outcome | None]] = {}
        self.gone: dict[str, int] = {}  # payment reference -> rials that went back
        self.voided: set[str] = set()
        self.given: dict[str, int] = {}  # phone -> points by hand
        self.undone: list[tuple[Wish | Adjustment, Undone]] = []
        self.number = 320_062_616_000
        self.a_customer_joins(PHONES[0])

    # What the model expects

    def _holder(self, phone: str | None, card: int, *, hashed: bool, reference: str) -> Any:
        if phone in self.enrolled:
            return phone
        for token in [("hash", card)] if hashed else []:
            if token in self.owners:
                return self.owners[token]
        if ("bin", card) in self.owners:
            return self.owners["bin", card]
        return ("card", card) if hashed else ("payment", reference)

    def _points(self, holder: Any) -> int:
        """What the holder's purchases earned, less what went back of them."""
        theirs = (p for p, *_ in self.paid if self.holders[p.key.ref] == holder)
        return sum(p.amount - self.gone.get(p.key.ref, 0) for p in theirs) // 10

    def _balance(self, holder: Any) -> int:
        return max(0, self._points(holder) + self.given.get(holder, 0))

    def _debt(self, holder: Any) -> int:
        return max(0, -self._points(holder) - self.given.get(holder, 0))

    def _took(self, payment: Payment, outcome: Outcome, holder: Any, card: int, *, hashed: bool) -> None:
        before = self._points(holder)
        self.paid.append((payment, outcome, card, hashed))
        self.holders[payment.key.ref] = holder
        assert outcome.points == self._points(holder) - before
        assert (outcome.result == "earned") == isinstance(holder, str)
        assert bool(outcome.claim) == (outcome.result == "waiting")

    def _new(self, amount: int, card: int, *, hashed: bool) -> Payment:
        self.number += 1
        return payment(self.number, amount, card=hint(card, hashed=hashed))

    # What happens

    @rule(amount=amounts, card=cards, hashed=hashed, phone=members)
    def a_customer_pays(self, amount: int, card: int, hashed: bool, phone: str | None) -> None:
        new = self._new(amount, card, hashed=hashed)
        holder = self._holder(phone, card, hashed=hashed, reference=new.key.ref)
        outcome = self.shop.counter.post(new, self.enrolled.get(phone or "", b""))
        assert not outcome.seen_before
        self._took(new, outcome, holder, card, hashed=hashed)

    @precondition(lambda self: self.paid)
    @rule(index=any_index, as_row=st.booleans())
    def a_payment_is_heard_again(self, index: int, as_row: bool) -> None:
        first, outcome, *_ = self.paid[index % len(self.paid)]
        again = self.shop.counter.post(polled(first) if as_row else first)
        assert again == msgspec.structs.replace(outcome, seen_before=True, disagrees=())

    @rule(amount=amounts, card=cards, hashed=hashed, phone=members)
    def a_sale_is_asked(self, amount: int, card: int, hashed: bool, phone: str | None) -> None:
        member = self.enrolled.get(phone or "", b"")
        request = f"r-{len(self.sales)}"
        asked = self.shop.sales.ask(TID, request, amount, member, hint(card, hashed=hashed))
        self.sales.append((asked, card, hashed, phone if member else None))

    @precondition(lambda self: self.sales)
    @rule(index=any_index)
    def a_sale_is_asked_again(self, index: int) -> None:
        asked, card, hashed, phone = self.sales[index % len(self.sales)]
        member = self.enrolled.get(phone or "", b"")
        again = self.shop.sales.ask(TID, asked.request, asked.amount, member, hint(card, hashed=hashed))
        assert (again.order_id, again.claim, again.number) == (asked.order_id, asked.claim, asked.number)
        with pytest.raises(Refused, match="was a sale of"):
            self.shop.sales.ask(TID, asked.request, asked.amount + 1, member, hint(card, hashed=hashed))

    @precondition(lambda self: self.sales)
    @rule(index=any_index, how=st.sampled_from([*SaleOutcome, *PAID, *PAID]))
    def a_sale_ends(self, index: int, how: SaleOutcome) -> None:
        asked, card, hashed, phone = self.sales[index % len(self.sales)]
        if self.ended.get(asked.request, (SaleOutcome.UNSURE, None))[0] is not SaleOutcome.UNSURE:
            return
        if how not in PAID:
            assert self.shop.sales.end(asked, how, "", None) is None
            self.ended[asked.request] = (how, None)
            return
        new = self._new(asked.amount, card, hashed=False)  # the terminal's answer has the mask alone
        holder = self._holder(phone, card, hashed=hashed, reference=new.key.ref)
        outcome = self.shop.sales.end(asked, how, "00", new)
        assert outcome is not None
        self._took(new, outcome, holder, card, hashed=hashed)
        assert outcome.claim in ("", asked.claim)
        self.ended[asked.request] = (how, outcome)

    @precondition(lambda self: self.ended)
    @rule(index=any_index)
    def an_ended_sale_is_asked_for(self, index: int) -> None:
        request = list(self.ended)[index % len(self.ended)]
        asked = next(asked for asked, *_ in self.sales if asked.request == request)
        known = self.shop.sales.known(TID, request)
        assert known is not None
        how, outcome = self.ended[request]
        assert known.ended is how
        assert self.shop.sales.outcome(asked) == outcome

    @rule(phone=st.sampled_from(PHONES))
    def a_customer_joins(self, phone: str) -> None:
        view = self.shop.members.add(phone, "", "machine")
        assert view.created == (phone not in self.enrolled)
        self.enrolled[phone] = bytes.fromhex(view.id)

    @precondition(lambda self: self.paid)
    @rule(index=any_index, who=any_index)
    def a_card_is_bound(self, index: int, who: int) -> None:
        _, outcome, card, hashed = self.paid[index % len(self.paid)]
        phone = list(self.enrolled)[who % len(self.enrolled)]
        token = ("hash" if hashed else "bin", card)
        owner = self.owners.get(token)
        if owner not in (None, phone):
            with pytest.raises(Refused, match="another member"):
                self.shop.members.bind(self.enrolled[phone], outcome.number, "machine")
            return
        self.shop.members.bind(self.enrolled[phone], outcome.number, "machine")
        self.owners[token] = phone

    @precondition(lambda self: any(outcome.claim for _, outcome, *_ in self.paid))
    @rule(index=any_index, who=any_index)
    def points_are_claimed(self, index: int, who: int) -> None:
        phone = list(self.enrolled)[who % len(self.enrolled)]
        waiting = [(paid, outcome, card) for paid, outcome, card, _ in self.paid if outcome.claim]
        first, outcome, card = waiting[index % len(waiting)]
        holder, member = self.holders[first.key.ref], self.enrolled[phone]
        if first.key.ref in self.voided and holder != phone:
            with pytest.raises(Refused, match="was undone"):
                self.shop.members.claim(outcome.claim, member, "machine")
            return
        if isinstance(holder, str) and holder != phone:
            with pytest.raises(Refused, match="another member"):
                self.shop.members.claim(outcome.claim, member, "machine")
            return
        before = self._points(phone)
        claimed = self.shop.members.claim(outcome.claim, member, "machine")
        waited = [] if holder == phone else [ref for ref, each in self.holders.items() if each == holder]
        taken = [ref for ref in waited if ref not in self.voided]
        self.holders |= dict.fromkeys(taken, phone)
        self.holders |= {ref: ("payment", ref) for ref in waited if ref in self.voided}
        if holder == ("card", card):
            self.owners.setdefault(("hash", card), phone)
        assert (claimed.payments, claimed.seen_before) == (len(taken), not taken)
        assert claimed.points == self._points(phone) - before

    @precondition(lambda self: self.paid)
    @rule(index=any_index, kind=st.sampled_from([Undoing.VOID, Undoing.REFUND]), part=st.none() | amounts)
    def money_goes_back(self, index: int, kind: Undoing, part: int | None) -> None:
        first, outcome, *_ = self.paid[index % len(self.paid)]
        ref, amount = first.key.ref, None if kind is Undoing.VOID else part
        left = first.amount - self.gone.get(ref, 0)
        wish = Wish(kind, first.key, self._request(TID), amount, None, "machine")
        if not 0 < (amount or left) <= left:
            with pytest.raises(Refused, match=r"undone before|rials are left"):
                Undo(self.shop.counter).undo(wish)
            return
        holder = self.holders[ref]
        points, debt = self._points(holder), self._debt(holder)
        undone = Undo(self.shop.counter).undo(wish)
        self.gone[ref] = self.gone.get(ref, 0) + (amount or left)
        self.voided |= {ref} if kind is Undoing.VOID else set()
        assert (undone.kind, undone.amount) == (kind, amount or left)
        assert (undone.points, undone.debt) == (points - self._points(holder), self._debt(holder) - debt)
        told = isinstance(holder, str) and outcome.known_by is not KnownBy.HINT
        assert undone.balance == (self._balance(holder) if told else None)
        self.undone.append((wish, undone))

    @rule(who=any_index, points=st.integers(-30, 30).filter(bool))
    def support_adjusts(self, who: int, points: int) -> None:
        phone = list(self.enrolled)[who % len(self.enrolled)]
        wish = Adjustment(self.enrolled[phone], points, "by chance", self._request(""), "machine")
        self.given[phone] = self.given.get(phone, 0) + points
        undone = Undo(self.shop.counter).adjust(wish)
        assert undone.balance == self._balance(phone)
        self.undone.append((wish, undone))

    @precondition(lambda self: self.undone)
    @rule(index=any_index)
    def an_undoing_is_told_again(self, index: int) -> None:
        wish, first = self.undone[index % len(self.undone)]
        undo = Undo(self.shop.counter)
        again = undo.undo(wish) if isinstance(wish, Wish) else undo.adjust(wish)
        assert again == msgspec.structs.replace(first, seen_before=True)

    def _request(self, tid: str) -> PaymentKey:
        return PaymentKey(Scheme.REQUEST, tid, f"u-{len(self.undone)}")

    @rule()
    def the_daemon_restarts(self) -> None:
        self.shop.restart()

    @rule(amount=amounts, card=cards, done=st.booleans())
    def the_disk_fails_at_the_commit(self, amount: int, card: int, done: bool) -> None:
        ledger = self.shop.ledger
        ledger.read(lambda connection: connection.total_changes)  # opens it again after an earlier failure
        assert ledger._connection is not None
        ledger._connection = cast(sqlite3.Connection, Failing(ledger._connection, done=done))
        new = self._new(amount, card, hashed=False)
        holder = self._holder(None, card, hashed=False, reference=new.key.ref)
        with pytest.raises(LedgerError, match="disk I/O error"):
            self.shop.counter.post(new)
        assert ledger.failure
        outcome = self.shop.counter.post(new)
        assert outcome.seen_before == done
        self._took(new, msgspec.structs.replace(outcome, seen_before=False), holder, card, hashed=False)

    # What must hold

    @invariant()
    def each_payment_is_posted_once(self) -> None:
        rows = self.shop.ledger.read(lambda c: c.execute("SELECT ref, state FROM payment").fetchall())
        undoings = [ref for ref, state in rows if state == PaymentState.UNDOING]
        assert sorted(ref for ref, _ in rows) == sorted([*self.holders, *undoings])
        assert sorted(undoings) == sorted(wish.ref.ref for wish, _ in self.undone)

    @invariant()
    def every_member_has_what_the_model_says(self) -> None:
        rows = self.shop.ledger.read(lambda c: dict(c.execute("SELECT id, balance FROM member")))
        debts = self.shop.ledger.read(lambda c: dict(c.execute("SELECT id, debt FROM member")))
        for phone, member in self.enrolled.items():
            assert rows.pop(member) == self._balance(phone)
            assert debts[member] == self._debt(phone)
        waiting = {each for each in self.holders.values() if each[0] == "card"}
        assert sorted(rows.values()) == sorted(self._balance(each) for each in waiting)

    @invariant()
    def points_are_in_one_place_each(self) -> None:
        till = self.shop.ledger.head.till
        assert sum(getattr(till, account) for account in ACCOUNTS) == 0
        holders = {*self.holders.values(), *self.enrolled}
        assert till.member == sum(self._balance(each) for each in holders)
        assert till.debt == sum(self._debt(each) for each in holders)

    @invariant()
    def the_state_hash_is_the_sum_of_all_rows(self) -> None:
        rows = self.shop.ledger.read(
            lambda c: [row for row_type in TABLES for row in rows_where(c, row_type, "1")]
        )
        assert self.shop.ledger.head.state == sum(map(row_digest, rows)) % STATE_MODULUS

    @invariant()
    def open_sales_are_the_unended_ones(self) -> None:
        final = {request for request, (how, _) in self.ended.items() if how in FINAL}
        left = [asked.request for asked in self.shop.sales.unresolved(TID)]
        assert left == [asked.request for asked, *_ in self.sales if asked.request not in final]

    def _verified(self) -> tuple[Bad, ...]:
        connection = connect_reader(self.shop.ledger.path)
        try:
            return verify(connection, Recheck(connection)).bad
        finally:
            connection.close()

    def teardown(self) -> None:
        try:
            assert self._verified() == ()
        finally:
            self.shop.ledger.close()
            shutil.rmtree(self.directory)


TestShop = ShopMachine.TestCase
TestShop.settings = settings(settings.get_profile("vafa"), max_examples=60, stateful_step_count=50)
