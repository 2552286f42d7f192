"""Recomputes what holds, redemptions, returns and lapses say: the price under the programme they name, the
cost of what was applied, the lots that points come back to, the clock they lapsed by.

Which lots a debit draws from the books check already, by the law of model.lots.
"""

import sqlite3
from collections.abc import Callable

from vafa.books.effect import State
from vafa.books.rows import HoldRow
from vafa.club.lots import OWN_CLOCK_ADDS_S
from vafa.club.programme import Programme
from vafa.club.rewards import AMOUNT_OFF, STAMPS, cost, part_back, reward_of, stamps_needed, worth
from vafa.ledger import reads
from vafa.model import events
from vafa.model.errors import VafaError
from vafa.model.lots import came_back
from vafa.model.payment import PaymentKey

ProgrammeOf = Callable[[bytes], Programme]
GOOD_AGAIN_S_MIN = 7 * 86_400


class ValueRecheck:
    """Part of `Recheck`: called with every event in order, from the first one on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._holds: dict[bytes, events.Hold] = {}
        self._mark = 0
        self._paid_for: dict[PaymentKey, list[bytes]] = {}  # a sale -> the holds captured for it
        self._captured: dict[bytes, int] = {}
        self._returned: dict[bytes, int] = {}
        self._came_now: dict[bytes, int] = {}  # with the refund whose row follows

    def __call__(self, event: events.Event, books: State, programme_of: ProgrammeOf) -> str:
        """What is wrong with the row, '' when nothing is."""
        match event:
            case events.ClockAttested():
                self._mark = max(self._mark, event.mark)
                return ""
            case events.Expire():
                soon = self._mark and event.at <= self._mark + OWN_CLOCK_ADDS_S
                return "" if soon else f"points lapsed by {event.at}, which nobody attested"
            case events.Hold():
                return self._held(event, programme_of)
            case events.Redemption():
                return self._redeemed(event, programme_of)
            case events.RedemptionRefund() | events.AwardRefund():
                return self._came_back(event, books)
            case _:
                return ""

    def refunded(
        self, event: events.Reversal | events.Refund, amount: int, before: int, programme_of: ProgrammeOf
    ) -> str:
        """What came back with a refund is what paid its sale, pro rata; `before` rial went back earlier."""
        gone, came = before + event.amount, self._came_now
        self._came_now = {}
        for hold in self._paid_for.get(event.key, []):
            captured, returned = self._captured[hold], self._returned.get(hold, 0)
            wish = self._holds[hold]
            reward = reward_of(programme_of(wish.programme), wish.reward)
            is_money_off = reward is not None and reward.kind == AMOUNT_OFF
            due = part_back(captured, returned, gone, amount) if is_money_off or gone == amount else 0
            if came.pop(hold, 0) != due:
                return f"{due} redeemed points were to come back with it"
            self._returned[hold] = returned + due
        return "" if not any(came.values()) else "points of another sale's redemption came back with it"

    def _held(self, event: events.Hold, programme_of: ProgrammeOf) -> str:
        """A hold takes what its reward costs; what goes on under another id of the person has no price."""
        first = self._holds.get(event.hold)
        assert first is None, "the books take a hold once"
        self._holds[event.hold] = event
        if event.offer or not (event.rials or event.stamps):
            return ""
        try:
            programme = programme_of(event.programme)
        except VafaError as error:
            return str(error)
        reward = reward_of(programme, event.reward)
        if reward is None:
            return f"hold: its programme has no reward {event.reward!r}"
        if reward.kind == STAMPS:
            told, price = event.stamps, ((reward.stamp, stamps_needed(programme, reward)),)
            return "" if told == price else f"hold: stamps {told}, the reward takes {price}"
        if reward.kind == AMOUNT_OFF:
            most = worth(reward, event.points)
            whole = event.rials >= most  # the rest lies under another id
            return "" if whole else f"hold: {event.rials} rial for points that are worth {most}"
        return "" if event.points <= reward.points else "hold: more points than the reward costs"

    def _redeemed(self, event: events.Redemption, programme_of: ProgrammeOf) -> str:
        """A redemption costs what was applied, and never took off more than was held for."""
        held = self._holds[event.hold]
        self._captured[event.hold] = event.points
        if event.key is not None:
            self._paid_for.setdefault(event.key, []).append(event.hold)
        if event.debt != held.short:
            return f"redemption: {event.debt} points are owed, the hold fell short of {held.short}"
        if event.amount > held.rials:
            return f"redemption: {event.amount} rial were taken off, {held.rials} were held for"
        reward = reward_of(programme_of(held.programme), held.reward)
        if reward is None or reward.kind != AMOUNT_OFF or not event.amount:
            return ""
        price = cost(reward, event.points, event.amount)
        dear = price < event.points
        return f"redemption: {event.points} points for what costs {price}" if dear else ""

    def _came_back(self, event: events.RedemptionRefund | events.AwardRefund, books: State) -> str:
        """What comes back goes to the lots it came from, the longest-lived part first."""
        hold = books.find(HoldRow, (event.hold,))
        redemption = reads.entry(self._connection, event.redemption[1]).event
        if hold is None or not isinstance(redemption, events.Redemption):
            return "there is no such redemption"
        already = hold.returned - event.points
        if isinstance(event, events.AwardRefund):
            self._came_now[event.hold] = event.points
        else:
            self._returned[event.hold] = hold.returned
        good_until = max((new for *_, new in event.lots if new is not None), default=0)
        if good_until and good_until < event.at + GOOD_AGAIN_S_MIN:
            return f"points that had lapsed came back until {good_until}, less than seven days"
        given, _ = came_back(redemption.lots, hold.captured, already, event.points, event.at, good_until)
        if given != event.lots:
            return f"points came back to {event.lots}, they had come from {given}"
        whole = hold.returned == hold.captured
        stamps = self._holds[event.hold].stamps if whole else ()
        return "" if event.stamps == stamps else f"stamps {event.stamps} came back, {stamps} had gone"
