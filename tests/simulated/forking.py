"""Fleets whose devices lose rows: restored from a backup, or with a card that was copied and went on.

Each ends with one journal a device, the hub's newest line, in which all is that anybody still had: every
payment of every branch once, every redemption, the points of both; and its hashes are the hub's. Redemptions
of one member's points on two branches make debts, and the sums must come out all the same. Terminals tell
some sales again on the device that was restored, so payments are in both branches too.
"""

from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from shop import PROGRAMME, payment
from simulated.fleet import FIRST_REF, SETTLED_WITHIN_S, WIFI, Device, Fleet, judge_forgotten, unheard
from simulated.hubs import Disagreement, differing, journal_rows

from vafa.app.recheck import Recheck
from vafa.app.redeeming import Redeeming, Wish
from vafa.books.rows import HoldRow, PaymentRow, PaymentState
from vafa.ledger import branches, reads
from vafa.ledger.storage import connect_reader
from vafa.ledger.tables import rows_where
from vafa.ledger.verify import verify
from vafa.model import events
from vafa.model.errors import NotFound, Refused
from vafa.model.payment import PaymentKey

REWARDS = (
    PROGRAMME
    + """
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
points = 1
rial = 10
"""
)
COPIES_MAX = 2
RESTORED = "device restored from a backup (rows lost)"
CLONED = "device cloned, both go on"
SPENT_TWICE = "points spent on both branches (a debt of kind fork)"
HEARD_AGAIN = "payment of a lost branch heard again"
REDEEMED = "redemption"


class ForkingFleet(Fleet):
    """Also counts what came back."""

    programme = REWARDS

    def more_actions(self) -> list[tuple[Callable[[Device], None], int]]:
        return [(self._keep_backup, 5), (self._restore_device, 7), (self._clone, 4), (self._spend, 10)]

    @property
    def _directory(self) -> Path:
        return next(iter(self.devices.values())).shop.directory.parent

    def _keep_backup(self, device: Device) -> None:
        device.copy_to(self._directory / f"backup-{device.shop.directory.name}.db")

    def _restore_device(self, device: Device) -> None:
        """What its terminal still shows is heard again, as far as it was lost with the disk."""
        backup = self._directory / f"backup-{device.shop.directory.name}.db"
        if not backup.exists():
            return
        member = richest(device)
        self._spend(device, member)  # the same points again, on the branch to come
        self.now_s += 1.0
        self._steps()
        before, sales = device.shop.ledger.head.seq, awards(device)
        device.restore(backup)
        self.seen[RESTORED] += device.shop.ledger.head.seq <= before
        lost = [each for key, each in sales.items() if key not in payments(device)]
        for each in self.chance.sample(lost, len(lost) // 3):
            again = payment(int(each.paid.key.ref), each.paid.amount)
            device.shop.counter.post(again, each.holder)
            self.seen[HEARD_AGAIN] += 1
        self._spend(device, member)

    def _clone(self, device: Device) -> None:
        copies = [each for each in self.devices.values() if each.number == device.number]
        if len(copies) > COPIES_MAX:
            return
        key = max(self.devices) + 1
        self.devices[key] = Device(self, device.number, self._directory / str(key), device)
        self.seen[CLONED] += 1
        member = richest(device)
        for each in (device, self.devices[key]):
            self._spend(each, member)

    def _spend(self, device: Device, whose: bytes = b"") -> None:
        """Some of the points of a member; of `whose`, all there are."""
        redeeming = Redeeming(device.shop.counter)
        self.asked = getattr(self, "asked", 0) + 1
        member, request = whose or self.chance.choice(device.members), f"r-{self.asked}"
        try:
            held = redeeming.hold(Wish(request, member, "off", 10_000_000, None, "test"))
        except (Refused, NotFound):
            return  # nothing there, a debt, or nobody
        points = held.points if whose else self.chance.randint(1, held.points)
        redeeming.capture(request, points * 10, None, "test")
        self.seen[REDEEMED] += 1

    def settle(self) -> None:
        """The faults stop. Each number has one journal then that has all, and it is the hub's."""
        self.net.rate, self.net.hub_is_down, ends_s = 0.0, False, self.now_s + SETTLED_WITHIN_S
        while True:
            for device in self.devices.values():
                device.points.dies_at, device.link = "", WIFI
            self._steps()
            found = self.differs()
            if not found:
                break
            if self.now_s > ends_s:
                raise Disagreement(f"an hour after the last fault: {found}")
            self.now_s += 10.0
        numbers = {device.number for device in self.devices.values()}
        for number in numbers:
            self._judge(number)
        judge_forgotten([each for each in map(self.newest, numbers) if each is not None], self.seen)

    def differs(self) -> str:
        """Why it is not over yet."""
        for device in self.devices.values():
            if not device.knows_all_is_there:
                return f"device {device.number} does not know that all of it is there"
            if not self.hub.has(device.number, journal_rows(device.shop)[-1]):
                return f"device {device.number}: its newest row is not at the hub"
        for number in {device.number for device in self.devices.values()}:
            if (
                self.newest(number) is None
            ):  # a disk that is gone stood for it: a person enrols this one again
                next(each for each in self.devices.values() if each.number == number).open_epoch()
                self.seen["a person said which device goes on"] += 1
                return f"device {number}: nobody's journal is the hub's line"
            if self.hub.lost(number):
                return f"device {number}: {self.hub.lost(number)} rows are not counted"
        return unheard(filter(None, map(self.newest, {device.number for device in self.devices.values()})))

    def newest(self, number: int) -> Device | None:
        """The device whose journal is the line that stands for this number at the hub."""
        theirs = self.hub.rows(number)
        ours = [device for device in self.devices.values() if device.number == number]
        return next((each for each in ours if not differing(journal_rows(each.shop), theirs)), None)

    def _judge(self, number: int) -> None:
        device = self.newest(number)
        assert device is not None
        faults = verified(device)
        if faults:
            raise Disagreement(f"device {number} does not verify: {faults}")
        there, holds = payments(device), {row.hold: row for row in holds_of(device)}
        made = {str(FIRST_REF + sale) for sale in range(1, self.sold + 1)}
        if {key.ref for key in there} - made or any(key.reuse for key in there):
            raise Disagreement(f"device {number} counts payments that nobody made")
        for other in (each for each in self.devices.values() if each.number == number):
            lacking = payments(other).keys() - there.keys()
            if lacking:
                raise Disagreement(f"device {number} lacks {len(lacking)} payments of a branch")
            spent = sum(row.captured for row in holds_of(other))
            if spent > sum(row.captured for row in holds.values()):
                raise Disagreement(f"device {number} lacks redemptions of a branch")
        found = device.shop.ledger.read(branches.counted)
        for row in found:
            self.seen["rows of branches counted again"] += row.counted
            self.seen["rows of branches that needed none"] += row.known
            self.seen["points owed"] += row.short
            if row.left_out:
                raise Disagreement(f"device {number}: {row.left_out} rows of a branch were left out")
        self.seen[SPENT_TWICE] += sum(each.debt > 0 for each in redemptions(device))
        self._sums(device)
        self.seen["rows at the hub, each once, hashes equal"] += device.shop.ledger.head.seq

    def _sums(self, device: Device) -> None:
        """What members have less what they owe is what their payments earned less what they spent."""
        paid: defaultdict[bytes, int] = defaultdict(int)
        for row in payments(device).values():
            paid[row.holder] += row.amount
        spent: defaultdict[bytes, int] = defaultdict(int)
        for hold in holds_of(device):
            spent[hold.holder] += hold.captured
        for member in device.members:
            holder = device.shop.ledger.read(lambda c, m=member: reads.holder(c, m))  # type: ignore[misc]
            assert holder is not None
            have, earned = holder.balance - holder.debt, paid[member] // 10
            if have != earned - spent[member]:
                words = f"a member has {have} points, earned {earned}, spent {spent[member]}"
                raise Disagreement(f"device {device.number}: {words}")


def richest(device: Device) -> bytes:
    """The member whose points are worth spending twice."""

    def points(member: bytes) -> int:
        row = device.shop.ledger.read(lambda c: reads.holder(c, member))
        return row.balance if row is not None else 0

    return max(device.members, key=points)


def payments(device: Device) -> dict[PaymentKey, PaymentRow]:
    """What earned, by its key."""
    earning = f"state IN ({int(PaymentState.EARNED)}, {int(PaymentState.WAITING)})"
    rows = device.shop.ledger.read(lambda c: rows_where(c, PaymentRow, earning))
    return {row.key: row for row in rows}


def holds_of(device: Device) -> list[HoldRow]:
    return device.shop.ledger.read(lambda c: rows_where(c, HoldRow, "1"))


def redemptions(device: Device) -> list[events.Redemption]:
    found = device.shop.ledger.read(lambda c: list(reads.entries(c, 0, (events.Kind.REDEMPTION,))))
    return [each.event for each in found if isinstance(each.event, events.Redemption)]


def awards(device: Device) -> dict[PaymentKey, events.Award]:
    """The awards of a journal, by their payment's key."""
    found = device.shop.ledger.read(lambda c: list(reads.entries(c, 0, (events.Kind.AWARD,))))
    return {each.event.paid.key: each.event for each in found if isinstance(each.event, events.Award)}


def verified(device: Device) -> list[str]:
    with closing(connect_reader(device.shop.ledger.path)) as connection:
        return [str(bad) for bad in verify(connection, Recheck(connection)).bad]
