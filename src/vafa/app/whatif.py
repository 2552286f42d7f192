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
from vafa.app.whatif_life import Life, Sale, Side
from vafa.books import standing as kept
from vafa.books.rules import standing_forgotten, standing_told
from vafa.club import tiers
from vafa.club.bonuses import Customer, Gain
from vafa.club.earn import NO_CARRY, Circumstances, Earned, earn, lot_dates, post
from vafa.club.explain import again, stored_parts
from vafa.club.offers import gain, told
from vafa.club.programme import Programme
from vafa.club.worth import cost, point_value
from vafa.ledger.reads import Entry
from vafa.model import events
from vafa.model.events import Nothing
from vafa.model.identity import is_strong
from vafa.model.money import in_rial
from vafa.model.payment import PaymentKey
from vafa.model.standing import unpack, unpack_window

PROGRESS_EVERY_ROWS = 5_000


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
        self._sales: dict[PaymentKey, Sale] = {}
        self._unearned: dict[bytes, list[PaymentKey]] = {}  # on a card nobody claimed, without a code
        self._owner_of: dict[bytes, bytes] = {}
        self._answers_as: dict[bytes, bytes] = {}
        self._forgotten: set[bytes] = set()
        self._offers: dict[bytes, Gain] = {}
        self._budget = Fraction(0)
        self._evaluated = 0
        self._now = 0

    def take(self, entry: Entry) -> None:  # noqa: PLR0912 - a table, a kind a line
        """One row."""
        event, seq, at = entry.event, entry.row.seq, entry.row.at // 1000
        self._now = max(self._now, at)
        match event:
            case events.Award():
                self._award(event, seq, event.paid.paid_at or event.at or at)
            case events.PaymentSeen(why=Nothing.BELOW_MINIMUM | Nothing.NO_PROGRAMME):
                self._nothing(event, seq, event.paid.paid_at or at)
            case events.Reversal() | events.Refund() if event.key in self._sales:
                self._undone(event, self._sales[event.key], at)
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
                self._forgotten.discard(event.member)
            case events.AwardMoved() if event.key in self._sales:
                self._moved(event, self._sales[event.key], seq)
            case events.Offer():
                self._offers[event.offer] = gain(event.offer, told(event.document))
            case events.Bind():
                self._owner_of[event.token] = event.member
            case events.Merge():
                self._answers_as[event.alias] = event.member
            case events.Unmerge():
                self._answers_as.pop(event.alias, None)
            case events.Profile():
                life = self._life(event.member)
                life.standing = standing_told(life.standing, event)
            case events.Forget():
                life = self._life(event.member)
                life.standing = standing_forgotten(life.standing)
                self._forgotten.add(event.member)
                for token in event.tokens:
                    self._owner_of.pop(token, None)
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
            self._programme.id.hex(), len(self._sales), len(lives), was, would, there, there_would,
            cost(was, value_was), cost(would, value), cost(there, value_was), cost(there_would, value),
            tuple(different),
        )  # fmt: skip

    def _life(self, holder: bytes) -> Life:
        return self._lives.setdefault(holder, Life())

    def _acting(self, holder: bytes) -> bytes:
        """Who gets what a holder earns: of somebody merged the one they answer as, or where that one was
        forgotten another id of theirs (ledger.people.acting)."""
        while holder in self._answers_as:
            holder = self._answers_as[holder]
        if holder not in self._forgotten:
            return holder
        theirs = [holder]
        for each in theirs:  # grows while it is walked: aliases of aliases
            theirs += [alias for alias, member in self._answers_as.items() if member == each]
        return next((each for each in theirs if each in self._lives and each not in self._forgotten), holder)

    def _award(self, award: events.Award, seq: int, at: int) -> None:
        life = self._life(award.holder) if award.holder else self._loose.setdefault(award.paid.key, Life())
        self._gains(life.was, award.points, award.expires_at, seq)
        sale = Sale(award, at, seq, life, award.paid.amount, earned=True)
        self._sales[award.paid.key] = sale
        self._bought(sale, award)

    def _nothing(self, event: events.PaymentSeen, seq: int, at: int) -> None:
        """A sale that earned nothing may earn now: for whom its card says, as far as the journal tells."""
        key, card = event.paid.key, event.paid.card
        holder = self._owner_of.get(card, card if is_strong(card) else b"")
        holder = self._acting(holder)
        if holder == card and card:
            self._unearned.setdefault(card, []).append(key)
        life = self._life(holder) if holder else self._loose.setdefault(key, Life())
        blank = events.Award(event.paid, holder, "", b"", 0, (0, 1), (0, 1), 0, 0, 0)
        sale = self._sales[key] = Sale(blank, at, seq, life, event.paid.amount, earned=False)
        self._bought(sale, None)

    def _bought(self, sale: Sale, stored: events.Award | None) -> None:
        """A sale as it is made, and what follows it."""
        earned, life = self._decided(sale, stored), sale.life
        if earned is None or sale.would is None:
            return
        life.carry = earned.carry_after
        self._budget += earned.contribution
        self._gains(life.would, earned.points, earned.expires_at, sale.row)
        life.remember(sale.would)
        self._follow(sale.would, life, sale.row)

    def _decided(self, sale: Sale, stored: events.Award | None) -> Earned | None:
        """What a sale earns under the other programme; its `would` is the award for it.

        `stored`: what it earned in this life as it was. While that life is the real one and the version the
        same, its inputs hold: what they came from, this replay need not see.
        """
        self._evaluate(sale.at)
        life = sale.life
        if stored is not None and stored.programme == self._programme.id and not life.differs:
            earned, would = again(self._programme, stored, self._spent(stored)), stored
            if stored.at:
                life.visits, life.tier = stored.visits, stored.tier
        else:
            earned, would = self._anew(sale)
        sale.would = None
        if isinstance(earned, Earned):
            sale.would = msgspec.structs.replace(would, **stored_parts(earned))
        life.differs |= sale.would != stored
        return earned if isinstance(earned, Earned) else None

    def _anew(self, sale: Sale) -> tuple[Earned | Nothing, events.Award]:
        """What the other programme gives, and the award with what it looked at."""
        programme, life, paid = self._programme, sale.life, sale.facts.paid
        budget = self._budget
        if sale.would is not None:  # claimed: its own points stand in the budget already
            budget = max(NO_CARRY, budget - Fraction(*sale.would.contribution))
        is_sale, holder, offers = True, sale.facts.holder, self._spent(sale.facts)
        around = Circumstances(
            sale.at if offers or not programme.is_plain else 0,
            sale.facts.less,
            Customer(bool(holder), life.visits, life.tier, unpack(life.standing)),
            budget,
            offers,
        )
        earned = earn(programme, paid.amount, paid.currency, is_sale, life.carry, around)
        award = msgspec.structs.replace(
            sale.facts, programme=programme.id, carry=life.carry.as_integer_ratio(), at=around.at,
            visits=life.visits, tier=life.tier, standing=life.standing,
            budget=budget.as_integer_ratio() if programme.budget else None,
        )  # fmt: skip
        return earned, award

    def _spent(self, award: events.Award) -> tuple[Gain, ...]:
        """The offers a sale used: whoever had them has them under other rules too."""
        return tuple(self._offers[each] for each in award.offers)

    def _follow(self, would: events.Award, life: Life, seq: int) -> None:
        programme = self._programme
        if not would.at or not would.holder:
            return
        if programme.tiers:
            step = tiers.upgrade(programme, life.tier, unpack_window(life.metric), would.at)
            if step is not None:
                life.tier, life.tier_since = step.after, would.at
        for _, points in earning.owed_to_referrer(programme, would):
            acting = self._acting(unpack(would.standing).referrer)
            referrer = self._lives.get(acting)
            if referrer is not None and referrer is not life and acting not in self._forgotten:
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

    def _undone(self, event: events.Reversal | events.Refund, sale: Sale, at: int) -> None:
        life, void = sale.life, isinstance(event, events.Reversal)
        life.was.lose(event.points, event.forgiven, at)
        before, eligible = sale.contributes, sale.eligible
        sale.left -= event.amount
        sale.voided |= void
        if sale.would is None:
            return
        posted = post(life.carry, sale.contributes - before)
        life.carry, points = posted.carry_after, -posted.points
        forgiven = event.forgiven if not life.differs else life.would.forgiven(self._programme, points)
        life.would.lose(points, forgiven, at)
        gone = sale.counted_of(eligible - sale.eligible, points, int(void))
        life.metric = kept.counted_in(life.metric, gone)
        if isinstance(event, events.Reversal):
            life.visits -= 1
            going = msgspec.structs.replace(event, stamps=sale.would.stamps, granted=sale.would.granted)
            life.standing = kept.after_void(life.standing, going)

    def _moved(self, event: events.AwardMoved, sale: Sale, seq: int) -> None:
        """A purchase was somebody else's: what is left of it goes there, under either programme."""
        giver, taker, would = sale.life, self._life(event.to_holder), sale.would
        giver.was.lose(event.points_out, event.forgiven, self._now)
        self._gains(taker.was, event.points_in, event.expires_at, seq)
        sale.life, sale.facts = taker, msgspec.structs.replace(sale.facts, holder=event.to_holder)
        if would is None:
            return
        out, into = post(giver.carry, -sale.contributes), post(taker.carry, sale.contributes)
        giver.carry, taker.carry = out.carry_after, into.carry_after
        forgiven = event.forgiven if not giver.differs else giver.would.forgiven(self._programme, -out.points)
        giver.would.lose(-out.points, forgiven, self._now)
        self._gains(taker.would, into.points, would.expires_at, seq)
        counted = sale.counted_of(sale.eligible, -out.points, 1)
        going = msgspec.structs.replace(
            event, stamps=would.stamps, granted=would.granted, at=would.at, counted=counted
        )
        giver.visits, taker.visits = giver.visits - 1, taker.visits + 1
        giver.standing = kept.after_void(giver.standing, going)
        taker.standing = kept.after_move(taker.standing, going)
        giver.metric = kept.counted_in(giver.metric, counted)
        if counted is not None:
            arrives = msgspec.structs.replace(counted, value=-counted.value)
            taker.metric = kept.counted_in(taker.metric, arrives)

    def _claimed(self, event: events.Claim, seq: int) -> None:
        """Waiting payments become the member's, each earned anew as if the member had joined first; nothing
        is left where they were."""
        member = self._life(event.member)
        expires_at = event.award.expires_at if event.award else 0
        keys = [key for part in event.parts for key in part.keys]
        keys += self._unearned.pop(event.token, [])
        for part in event.parts:
            self._gains(member.was, part.points_in, expires_at, seq)
        sales = [self._sales[key] for key in keys if key in self._sales]
        for sale in sorted(sales, key=lambda each: each.row):
            stored = event.award if sale.earned else None
            whose = event.member if stored is None else stored.holder  # nobody's: a slip's own account
            sale.facts = msgspec.structs.replace(sale.facts, holder=whose, claim="")
            sale.life = member
            self._loose.pop(sale.facts.paid.key, None)
            if not sale.voided:
                self._arrives(sale, stored, seq)
        self._lives.pop(event.token, None)

    def _arrives(self, sale: Sale, stored: events.Award | None, seq: int) -> None:
        """A claimed sale in its member's life: what it earns there less what went back while it waited."""
        earned, life = self._decided(sale, stored), sale.life
        if earned is None or sale.would is None:
            return
        came = post(Fraction(*sale.would.carry), sale.contributes)
        life.carry = came.carry_after
        self._gains(life.would, came.points, earned.expires_at, seq)
        life.remember(sale.would)
        eligible = in_rial(earned.eligible, sale.would.paid.currency)
        gone = sale.counted_of(eligible - sale.eligible, earned.points - came.points, 0)
        life.metric = kept.counted_in(life.metric, gone)
        self._follow(sale.would, life, seq)


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
