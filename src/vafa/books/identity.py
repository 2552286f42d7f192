"""The per-till identity: credited + debt = redeemed + expired + clawed back + moved + remaining.

Counted from the events alone, apart from the postings of `apply`, so that `verify` can hold three sums
against each other: this one, the till's accounts, and what the members' rows hold together. `debt` is what
members owe now: what was clawed back of points that were not there, until new points pay it.
"""

import msgspec

from vafa.books.till import TillSums
from vafa.model import events


class Counted(msgspec.Struct):
    """What the events credited and took so far. `loose`: points that wait on their payment, in no row."""

    credited: int = 0
    redeemed: int = 0
    expired: int = 0
    clawed: int = 0
    loose: int = 0

    def take(self, event: events.Event) -> None:
        """Count one event."""
        match event:
            case events.Award():
                self.credited += event.points
                self.loose += 0 if event.holder else event.points
            case events.Reversal() | events.Refund():
                self.clawed += event.points - event.forgiven
                self.loose -= 0 if event.holder else event.points
            case events.AwardMoved():
                self.credited += event.points_in
                self.clawed += event.points_out - event.forgiven
            case events.Claim():
                self.credited += sum(part.points_in - part.points_out for part in event.parts)
                self.loose -= 0 if event.token else sum(part.points_out for part in event.parts)
            case events.Adjust():
                self.credited += max(event.points, 0)
                self.clawed += max(-event.points, 0)
            case events.Redemption():
                self.redeemed += event.points - event.debt
                self.clawed += event.debt
            case events.RedemptionRefund() | events.AwardRefund():
                self.redeemed -= event.points
            case events.Expire():
                self.expired += event.points
            case _:
                return

    def fault(self, till: TillSums, balances: int, debts: int) -> str:
        """What does not agree with the till's sums and the members' rows; '' when all does.

        balances, debts  summed over the members' rows
        """
        moved = till.transit + till.float + till.suspense
        remaining = self.credited + debts - self.redeemed - self.expired - self.clawed - moved
        compared = {
            "remaining": (till.member, remaining),
            "with members": (balances + self.loose, remaining),
            "owed": (till.debt, debts),
            "credited": (-till.issued, self.credited),
            "redeemed": (till.redeemed, self.redeemed),
            "expired": (till.expired, self.expired),
            "clawed back": (till.clawed, self.clawed - debts),
        }
        wrong = [
            f"{what}: {stored}, the events give {is_so}"
            for what, (stored, is_so) in compared.items()
            if stored != is_so
        ]
        return "; ".join(wrong)
