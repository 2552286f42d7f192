"""What a journal's sales would have earned under another programme. Reads rows, writes nothing.

Each payment is decided again in the journal's order, on a life of its customer that is lived beside the real
one: visits, stamps, tiers and rights go their own way from the first difference on. Redemptions and points by
hand stay what they were. As long as a customer's life is the real one and the version is the award's own, the
award's stored inputs are used, so the same programme gives no difference.
"""

from collections.abc import Callable, Iterable
from fractions import Fraction

import msgspec

from vafa.app import earning
from vafa.books import standing as kept
from vafa.books.rules import standing_told
from vafa.club import tiers
from vafa.club.bonuses import Customer
from vafa.club.earn import NO_CARRY, Circumstances, Earned, earn, lot_dates, post
from vafa.club.explain import again, stored_parts
from vafa.club.programme import Programme
from vafa.club.worth import cost, point_value
from vafa.ledger.reads import Entry
from vafa.model import events
from vafa.model.events import Nothing
from vafa.model.identity import is_strong
from vafa.model.lots import Lot, debit, lapse
from vafa.model.payment import PaymentKey
from vafa.model.standing import NOT_LOOKED_AT, unpack, unpack_window

PROGRESS_EVERY_ROWS = 5_000


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


class Difference(msgspec.Struct, frozen=True):
    """One holder: points earned as it was, and as it would have been. `holder` is the keyed id in hex."""

    holder: str
    was: int
    would: int
    tier: str = ""


class WhatIf(msgspec.Struct, frozen=True):
    """What another programme would have come to; rial where the programme says what a point costs.

    points      earned, with what refunds took back; outstanding: with customers still, at the newest row
    cost        of the points earned; liability: of those outstanding
    different   holders whose points differ, the largest difference first
    """

    programme: str
    payments: int
    holders: int
    points_was: int
    points_would: int
    outstanding_was: int
    outstanding_would: int
    cost_was: int | None
    cost_would: int | None
    liability_was: int | None
    liability_would: int | None
    different: tuple[Difference, ...]


class Replay:
    """Takes a journal's rows in order."""

    def __init__(self, programme: Programme) -> None:
        self._programme = programme
        self._lives: dict[bytes, Life] = {}
        self._loose: dict[PaymentKey, Life] = {}
        self._awards: dict[PaymentKey, tuple[events.Award | None, events.Award | None, Life]] = {}
        self._left: dict[PaymentKey, int] = {}
        self._owner_of: dict[bytes, bytes] = {}
        self._budget = Fraction(0)
        self._evaluated = 0
        self._payments = 0
        self._now = 0

    def take(self, entry: Entry) -> None:  # noqa: PLR0912 - a table, a kind a line
        """One row."""
        event, seq = entry.event, entry.row.seq
        self._now = max(self._now, entry.row.at // 1000)
        match event:
            case events.Award():
                self._award(event, seq, event.paid.paid_at or event.at or entry.row.at // 1000)
            case events.PaymentSeen(why=Nothing.BELOW_MINIMUM | Nothing.NO_PROGRAMME):
                self._nothing(event, seq, event.paid.paid_at or entry.row.at // 1000)
            case events.Reversal() | events.Refund():
                self._undone(event, entry.row.at // 1000)
            case events.Claim():
                self._claimed(event, seq)
            case events.Adjust() if event.by != earning.RULE:
                self._by_hand(self._life(event.holder), event.points, event.expires_at or 0, seq)
            case events.Adjust():
                self._gains(self._life(event.holder).was, event.points, event.expires_at or 0, seq)
            case events.Redemption():
                self._by_hand(self._life(event.holder), -event.points, 0, seq)
            case events.RedemptionRefund() | events.AwardRefund():
                self._by_hand(self._life(event.holder), event.points, 0, seq)
            case events.Enrol():
                self._life(event.member)
            case events.AwardMoved():
                self._moved(event, seq)
            case events.Bind():
                self._owner_of[event.token] = event.member
            case events.Profile():
                life = self._life(event.member)
                life.standing = standing_told(life.standing, event)
            case _:
                pass

    def result(self, in_force: Programme | None) -> WhatIf:
        """What all rows came to; `in_force`: the version whose point value counts for how it was."""
        lives = [*self._lives.items(), *((b"", life) for life in self._loose.values())]
        for _, life in lives:
            life.was.lapse(self._now)
            life.would.lapse(self._now)
        value_was = point_value(in_force) if in_force else None
        value = point_value(self._programme)
        was, would = (sum(side.earned for side in sides) for sides in _sides(lives))
        there, there_would = (sum(max(0, side.balance) for side in sides) for sides in _sides(lives))
        different = [
            Difference(holder.hex(), life.was.earned, life.would.earned, life.tier)
            for holder, life in lives
            if life.was.earned != life.would.earned
        ]
        different.sort(key=lambda each: (-abs(each.would - each.was), each.holder))
        return WhatIf(
            self._programme.id.hex(), self._payments, len(lives), was, would, there, there_would,
            cost(was, value_was), cost(would, value), cost(there, value_was), cost(there_would, value),
            tuple(different),
        )  # fmt: skip

    def _life(self, holder: bytes) -> Life:
        return self._lives.setdefault(holder, Life())

    def _award(self, award: events.Award, seq: int, at: int) -> None:
        self._payments += 1
        life = self._life(award.holder) if award.holder else self._loose.setdefault(award.paid.key, Life())
        self._gains(life.was, award.points, award.expires_at, seq)
        self._decided(award, life, seq, at)
        if self._awards[award.paid.key][1] != award:
            life.differs = True

    def _nothing(self, event: events.PaymentSeen, seq: int, at: int) -> None:
        """A sale that earned nothing may earn now: for whom its card says, as far as the journal tells."""
        self._payments += 1
        card = event.paid.card
        holder = self._owner_of.get(card, card if is_strong(card) else b"")
        life = self._life(holder) if holder else self._loose.setdefault(event.paid.key, Life())
        blank = events.Award(event.paid, holder, "", b"", 0, (0, 1), (0, 1), 0, 0, 0)
        self._decided(blank, life, seq, at)
        self._awards[event.paid.key] = (None, *self._awards[event.paid.key][1:])
        life.differs |= self._awards[event.paid.key][1] is not None

    def _decided(self, award: events.Award, life: Life, seq: int, at: int) -> None:
        """The sale under the other programme, and what follows it."""
        programme = self._programme
        self._evaluate(at)
        around = Circumstances(
            0 if programme.is_plain else at,
            award.less,
            Customer(bool(award.holder), life.visits, life.tier, unpack(life.standing)),
            self._budget,
        )
        if award.programme == programme.id and not life.differs:
            earned, before = again(programme, award), award.standing
            real = life.standing if before == NOT_LOOKED_AT else before
        else:
            paid, is_sale, before = award.paid, True, life.standing
            earned = earn(programme, paid.amount, paid.currency, is_sale, life.carry, around)
            real = before
        if not isinstance(earned, Earned):
            self._awards[award.paid.key] = (award, None, life)
            return
        would = msgspec.structs.replace(
            award, **stored_parts(earned), programme=programme.id, at=around.at, standing=before
        )
        if not (award.programme == programme.id and not life.differs):
            would = msgspec.structs.replace(
                would, carry=life.carry.as_integer_ratio(), visits=life.visits, tier=life.tier,
                budget=self._budget.as_integer_ratio() if programme.budget else None,
            )  # fmt: skip
        self._awards[award.paid.key] = (award, would, life)
        life.carry = earned.carry_after
        self._budget += earned.contribution
        self._gains(life.would, earned.points, earned.expires_at, seq)
        if would.at:
            life.standing = kept.after_award(real, life.visits, would)
            life.metric = kept.counted_in(life.metric, would.counted)
        life.visits += 1
        self._follow(would, life, seq)

    def _follow(self, would: events.Award, life: Life, seq: int) -> None:
        programme = self._programme
        if not would.at or not would.holder:
            return
        if programme.tiers:
            step = tiers.upgrade(programme, life.tier, unpack_window(life.metric), would.at)
            if step is not None:
                life.tier, life.tier_since = step.after, would.at
        for _, points in earning.owed_to_referrer(programme, would):
            referrer = self._lives.get(unpack(would.standing).referrer)
            if referrer is not None:
                self._gains(referrer.would, points, lot_dates(programme, would.at)[1], seq)

    def _evaluate(self, at: int) -> None:
        """Who goes down at an evaluation instant that has come."""
        programme = self._programme
        if not programme.tiers:
            return
        instant = tiers.evaluation_before(programme, at)
        if instant <= self._evaluated:
            return
        self._evaluated = instant
        for life in self._lives.values():
            seen = unpack(life.standing).last_at
            window = unpack_window(life.metric)
            step = tiers.evaluated(programme, life.tier, life.tier_since, window, seen, instant)
            if step is not None:
                life.tier, life.tier_since = step.after, instant

    @staticmethod
    def _gains(side: Side, points: int, expires_at: int, seq: int) -> None:
        side.earned += points
        side.credit(points, expires_at, seq)

    def _by_hand(self, life: Life, points: int, expires_at: int, seq: int) -> None:
        """What rules do not decide is the same on both sides."""
        for side in (life.was, life.would):
            if points >= 0:
                side.credit(points, expires_at, seq)
            else:
                side.debit(-points, self._now)

    def _undone(self, event: events.Reversal | events.Refund, at: int) -> None:
        life = self._awards[event.key][2] if event.key in self._awards else None
        if life is None:
            return
        life.was.earned -= event.points
        life.was.debit(event.points, at)
        _, would, _ = self._awards[event.key]
        if would is None:
            return
        left = self._left.get(event.key, would.paid.amount)
        before, after = earning.left(would, left), earning.left(would, left - event.amount)
        self._left[event.key] = left - event.amount
        posted = post(life.carry, after.contribution - before.contribution)
        life.carry = posted.carry_after
        life.would.earned += posted.points
        life.would.debit(-posted.points, at)
        eligible = tiers.in_rial(before.eligible - after.eligible, would.paid.currency)
        whole = isinstance(event, events.Reversal)
        life.metric = kept.counted_in(
            life.metric, tiers.taken_out(would.counted, eligible, -posted.points, int(whole))
        )
        if isinstance(event, events.Reversal):
            life.visits -= 1
            going = msgspec.structs.replace(event, stamps=would.stamps, granted=would.granted)
            life.standing = kept.after_void(life.standing, going)

    def _moved(self, event: events.AwardMoved, seq: int) -> None:
        """A purchase was somebody else's: what is left of it goes there, under either programme."""
        if event.key not in self._awards:
            return
        was, would, giver = self._awards[event.key]
        taker = self._life(event.to_holder)
        same = was == would and not giver.differs and not taker.differs
        giver.was.earned -= event.points_out
        giver.was.debit(event.points_out, self._now)
        self._gains(taker.was, event.points_in, event.expires_at, seq)
        self._awards[event.key] = (was, would, taker)
        giver.visits, taker.visits = giver.visits - 1, taker.visits + 1
        if would is None:
            return
        whole = earning.left(would, self._left.get(event.key, would.paid.amount)).contribution
        out, into = post(giver.carry, -whole), post(taker.carry, whole)
        giver.carry, taker.carry = out.carry_after, into.carry_after
        points_out = event.points_out if same else -out.points
        giver.would.earned -= points_out
        giver.would.debit(points_out, self._now)
        self._gains(taker.would, event.points_in if same else into.points, would.expires_at, seq)

    def _claimed(self, event: events.Claim, seq: int) -> None:
        """Waiting payments become the member's, with their contributions; nothing is left where they were."""
        member = self._life(event.member)
        for part in event.parts:
            found = [(key, *self._awards[key]) for key in part.keys if key in self._awards]
            same = not member.differs and all(was == would for _, was, would, _ in found)
            total = Fraction(0)
            for key, was, would, _ in found:
                if would is not None:
                    left = self._left.get(key, would.paid.amount)
                    total += earning.left(would, left).contribution
                self._awards[key] = (was, would, member)
                self._loose.pop(key, None)
            posted = post(member.carry, total)
            member.carry = posted.carry_after
            member.visits += len(part.keys)
            self._gains(member.was, part.points_in, 0, seq)
            self._gains(member.would, part.points_in if same else posted.points, 0, seq)
        if event.token:
            self._lives.pop(event.token, None)


def _sides(lives: Iterable[tuple[bytes, Life]]) -> tuple[list[Side], list[Side]]:
    return [life.was for _, life in lives], [life.would for _, life in lives]


def what_if(
    entries: Iterable[Entry],
    programme: Programme,
    in_force: Programme | None,
    progress: Callable[[int], None] = lambda _rows: None,
) -> WhatIf:
    """Run a journal under `programme`. `progress(rows so far)` is called now and then."""
    replay = Replay(programme)
    for count, entry in enumerate(entries, 1):
        replay.take(entry)
        if count % PROGRESS_EVERY_ROWS == 0:
            progress(count)
    return replay.result(in_force)
