"""A holder's life under another programme, lived beside the real one, and the sales it is made of."""

from fractions import Fraction

import msgspec

from vafa.app import earning
from vafa.books import standing as kept
from vafa.club import tiers
from vafa.club.earn import NO_CARRY
from vafa.club.programme import Programme
from vafa.club.rewards import debt_and_forgiven
from vafa.model import events
from vafa.model.lots import Lot, debit, lapse
from vafa.model.remembering import after_award
from vafa.model.standing import NOT_LOOKED_AT


class Side(msgspec.Struct):
    """A holder's points, as they were or as they would be. `earned` with what refunds took back."""

    earned: int = 0
    balance: int = 0
    lots: tuple[Lot, ...] = ()

    def credit(self, points: int, expires_at: int, seq: int) -> None:
        """Points arrive, in a lot of their own where they lapse."""
        self.balance += points
        if points <= 0 or not expires_at:
            return
        last = self.lots[-1] if self.lots else None
        if last is not None and last.expires_at == expires_at:
            self.lots = (*self.lots[:-1], msgspec.structs.replace(last, points=last.points + points))
        else:
            self.lots = (*self.lots, Lot(expires_at, seq, points))

    def debit(self, points: int, at: int) -> None:
        """Points leave; what had lapsed by then is gone before."""
        self.lapse(at)
        drawn = debit(self.lots, max(self.balance, 0), min(points, max(self.balance, 0)))
        self.lots, self.balance = drawn.kept, self.balance - points

    def lose(self, points: int, forgiven: int, at: int) -> None:
        """Points of a sale that goes back, some of which nobody has to owe."""
        self.earned -= points
        self.debit(points - forgiven, at)

    def forgiven(self, programme: Programme, points: int) -> int:
        """Of points that are to go, those that are not there and beyond what a programme lets members owe."""
        short = max(0, points - max(0, self.balance))
        return debt_and_forgiven(programme.debt_cap, max(0, -self.balance), short)[1]

    def lapse(self, at: int) -> None:
        """What lapsed by a UTC second goes."""
        if self.lots and any(lot.expires_at <= at for lot in self.lots):
            drawn = lapse(self.lots, max(self.balance, 0), at)
            self.lots, self.balance = drawn.kept, self.balance - drawn.points


class Life(msgspec.Struct):
    """A holder under the other programme. `differs`: it has left the way the real one went."""

    was: Side = msgspec.field(default_factory=Side)
    would: Side = msgspec.field(default_factory=Side)
    visits: int = 0
    tier: str = ""
    tier_since: int = 0
    standing: bytes = b""
    metric: bytes = b""
    carry: Fraction = NO_CARRY
    differs: bool = False

    def remember(self, would: events.Award) -> None:
        """What rules remember of a purchase: visit, stamps, rights, metric."""
        if would.at:
            seen = self.standing if would.standing == NOT_LOOKED_AT else would.standing
            self.standing = after_award(seen, self.visits, would)
            self.metric = kept.counted_in(self.metric, would.counted)
        self.visits += 1


class Sale(msgspec.Struct):
    """A payment under both programmes.

    facts   the payment as an award, of which only what was paid by whom is looked at; `row` its journal row
    at      the UTC second that rules go by; left: minor units that did not go back; life: whose it is
    earned  whether it earned as it was; would: its award under the other programme, None for nothing
    """

    facts: events.Award
    at: int
    row: int
    life: Life
    left: int
    earned: bool
    voided: bool = False
    would: events.Award | None = None

    @property
    def contributes(self) -> Fraction:
        """What is left of its contribution under the other programme."""
        return earning.left(self.would, self.left).contribution if self.would else NO_CARRY

    @property
    def eligible(self) -> int:
        """What is left of its eligible amount under the other programme, in current rial."""
        return earning.left(self.would, self.left).eligible if self.would else 0

    def counted_of(self, eligible: int, points: int, visits: int) -> events.Counted | None:
        """What the tier's metric loses with so much of it."""
        assert self.would is not None, "a sale that earns nothing is not counted"
        return tiers.taken_out(self.would.counted, eligible, points, visits)
