"""A fleet in one thread from a seed: real couriers, real ledgers, a hub, and the faults of simulated.net.

At the end the faults stop. Then every row of every device is at the hub once, with the same chain and state
hash, within an hour of simulated time, and no courier has stopped for good. Disagreement otherwise.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

from shop import PROGRAMME, Shop, payment
from simulated.hubs import Disagreement, SimulatedHub, differing, journal_rows
from simulated.net import POINTS, Killed, Net, Points, SimulatedTransport

from vafa.app import forgetting
from vafa.app.profiles import Profiles
from vafa.app.sync_journal import LedgerJournal
from vafa.books.rows import MemberState
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey
from vafa.ledger import reads, upkeep
from vafa.model import events
from vafa.model.chain import Row
from vafa.sync.courier import Courier, Who, World
from vafa.sync.kept import Kept, Store, Sync
from vafa.sync.links import LinkNow
from vafa.wire.messages import Facts, Forgotten, ReceiptMessage, RemoteMember

START_MS = 1_767_000_000_000
SIM, WIFI = LinkNow("wwan0 sim", metered=True), LinkNow("wlan0 wifi")
SETTLED_WITHIN_S = 3_600.0
MakeHub = Callable[[Callable[[], int]], SimulatedHub]
PHONES = [f"0912000000{number}" for number in range(4)]
FORGOTTEN, JOINED_AGAIN = "person forgotten at a device", "person joined again"
HEARD = "person forgotten because another device did"
FIRST_REF = 320_000_000_000
YEAR_MS = 31_557_600_000
JUMPS_MS = (-56 * YEAR_MS, 56 * YEAR_MS, -3_600_000, 3_600_000, -40 * 86_400_000, 40 * 86_400_000)


class KilledStore(Store):
    """The courier's store, in which its device may die."""

    def __init__(self, path: Path, points: Points) -> None:
        self._points = points
        super().__init__(path)

    def keep(
        self,
        kept: Kept,
        sync: Sync | None = None,
        members: Sequence[RemoteMember] = (),
        messages: Sequence[ReceiptMessage] = (),
    ) -> None:
        def then(messages: Sequence[ReceiptMessage]) -> Iterator[ReceiptMessage]:
            yield from messages
            self._points.reached("while the marks are kept")

        self._points.reached("before the marks are kept")
        super().keep(kept, sync, members, then(messages))  # type: ignore[arg-type]  # it is only run through
        self._points.reached("after the marks are kept")


class Device:
    """One shop and its courier. `now` is its own monotonic time, `wrong_ms` what its clock adds."""

    def __init__(self, fleet: "Fleet", number: int, directory: Path, copied: "Device | None" = None) -> None:
        """`copied`: a device with this number whose card this one has a copy of."""
        self._fleet, self.number, self._directory = fleet, number, directory
        if copied is None:
            directory.mkdir()
        else:
            shutil.copytree(copied._directory, directory)
        self.points = Points(fleet.seen)
        self.wrong_ms, self.boots, self._booted_s, self.sales = 0, 1, fleet.now_s, 0
        if copied is not None:
            self.boots = copied.boots + 1_000  # another machine
        self.link = WIFI
        self.key = SigningKey(DeviceKey(bytes([number]) * 32))
        if copied is None:
            fleet.hub.enrol(number, self.key.public)
        self.shop = Shop(directory, fleet.clock_ms(), fleet.programme, number)
        self.members = [bytes.fromhex(self.shop.members.add(phone, "", "t").id) for phone in PHONES]
        self._start()

    def _start(self) -> None:
        fleet = self._fleet
        self.store = KilledStore(self._directory / "sync" / "sync.db", self.points)
        self.journal = LedgerJournal(self.shop.ledger.path)
        self.transport = SimulatedTransport(fleet.net, self.number, self.points)
        world = World(
            self.wall_ms,
            lambda: self.link,
            lambda: Facts("0.1.0", 2, gaps_open=self.sales // 7),
            f"boot {self.boots}",
            2_000_000,
            fleet.chance,
            lambda: fleet.chance.randbytes(16),
        )
        who = Who(fleet.hub.merchant, self.number, fleet.hub.public)
        self.courier = Courier(who, self.key, self.journal, self.store, self.transport, self, world, self.now)

    def restart(self, whole: bool) -> None:
        """After a kill: the sync process, or everything on it."""
        self._stop()
        if whole:
            self.shop.restart()
        self._start()

    def copy_to(self, target: Path) -> None:
        """A backup of its ledger."""
        upkeep.copy(self.shop.ledger.path, target)

    def restore(self, backup: Path) -> None:
        """As `vafa restore`: the backup is the ledger, in a new epoch; what the sync kept is gone."""
        self._stop()
        self.shop.ledger.close()
        shutil.rmtree(self._directory / "sync")
        for each in self._directory.glob("ledger.db*"):
            each.unlink()
        shutil.copy(backup, self.shop.ledger.path)
        self.shop.open()
        self.open_epoch()
        self._start()

    def _stop(self) -> None:
        self.store.close()
        self.journal.close()

    def close(self) -> None:
        self._stop()
        self.shop.ledger.close()

    def reboot(self) -> None:
        """Its monotonic time begins anew."""
        self.points.dies_at = ""
        self.boots, self._booted_s = self.boots + 1, self._fleet.now_s - self._fleet.chance.uniform(1, 60)
        self.restart(whole=True)

    @property
    def now(self) -> float:
        return self._fleet.now_s - self._booted_s

    def wall_ms(self) -> int:
        return max(0, self._fleet.clock_ms() + self.wrong_ms)

    def sell(self) -> None:
        self.sales += 1
        self._fleet.sold += 1
        chance, self.shop.wall_ms = self._fleet.chance, self.wall_ms()
        member = chance.choice((b"", *self.members))
        self.shop.counter.post(payment(FIRST_REF + self._fleet.sold, chance.randint(1, 900_000)), member)

    def forget(self, told: Sequence[Forgotten]) -> None:
        """What another device's people asked for."""
        self.points.reached("before people are forgotten")
        forgetting.heard(self.shop.ledger, told)
        self.points.reached("after people are forgotten")

    def is_member(self, member: bytes) -> bool:
        row = self.shop.ledger.read(lambda connection: reads.holder(connection, member))
        return row is not None and row.state == MemberState.ACTIVE

    @property
    def knows_all_is_there(self) -> bool:
        kept = self.store.kept
        return kept.trouble is None and kept.received.seq == self.shop.ledger.head.seq

    def open_epoch(self) -> None:
        head, key_id = self.shop.ledger.head, self.shop.tokens.key_id
        opened = events.EpochOpened(b"L" * 16, self.number, (head.epoch, head.seq, head.hash), key_id, "t")
        self.shop.ledger.write(lambda tx: tx.post(opened))

    def wake(self, by_person: bool) -> None:
        self._unless_killed(lambda: self.courier.wake(by_person=by_person))

    def _unless_killed(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Killed:
            self.restart(whole=self._fleet.chance.random() < 0.3)

    def step(self) -> None:
        """Sync if it is due."""
        self._unless_killed(lambda: self.courier.step(self.now))
        if self.store.kept.final is not None:
            raise Disagreement(f"device {self.number} stopped for good: {self.store.kept.final}")

    def programme(self, document: str, from_at: int | None) -> str:
        raise Disagreement("no programme was published")

    def regain(self, rows: Sequence[Row], signature: bytes) -> str:
        self.points.reached("before lost rows are counted")
        refused = self.shop.regaining.regain(rows, signature)
        self.points.reached("after lost rows are counted")
        return refused

    def attest(self, hub_s: int) -> None:
        if hub_s != self._fleet.clock_ms() // 1000:
            raise Disagreement(f"device {self.number} believes {hub_s}, which the hub did not say now")
        self.points.reached("before the hub's time is written")
        self.shop.ledger.write(lambda tx: tx.post(events.ClockAttested(hub_s, "hub")))
        self.points.reached("after the hub's time is written")


class Fleet:
    """Devices, their net and their hub. No row is ever lost by a device: `forking` has those."""

    programme = PROGRAMME

    def __init__(
        self, seed: int, directory: Path, make_hub: MakeHub, seen: Counter[str], devices: int
    ) -> None:
        self.sold = 0
        self.chance, self.seen, self.now_s = Random(seed), seen, 1_000.0  # noqa: S311 - a history, no secret
        self.hub = make_hub(self.clock_ms)
        self.net = Net(self.hub, self.chance, seen)
        self.devices: dict[int, Device] = {}
        for number in range(1, devices + 1):
            self.devices[number] = Device(self, number, directory / str(number))

    def clock_ms(self) -> int:
        return START_MS + int(self.now_s * 1000)

    def run(self, steps: int) -> None:
        """So many things happen; then the faults stop and all is compared."""
        actions: list[tuple[Callable[[Device], None], int]] = [
            (self._sell, 8), (self._wait, 14), (self._late, 4), (self._kill, 5), (self._jump, 4),
            (self._reboot, 1), (self._wake, 2), (self._other_link, 1), (self._epoch, 1), (self._forget, 3),
            (self._join, 3),
        ]  # fmt: skip
        hubs: list[tuple[Callable[[Device], None], int]] = [
            (self._backup, 4), (self._restore, 4), (self._down, 1)
        ]  # fmt: skip
        more = self.more_actions()
        weights = [weight for _, weight in (*actions, *hubs, *more)]
        for _ in range(steps):
            (action,) = self.chance.choices([each for each, _ in (*actions, *hubs, *more)], weights)
            action(self.chance.choice(list(self.devices.values())))
            self._steps()
        self.settle()

    def more_actions(self) -> list[tuple[Callable[[Device], None], int]]:
        """What else may happen, and how often."""
        return []

    def _steps(self) -> None:
        for device in self.devices.values():
            for _ in range(3):
                if device.courier.due_at(device.now) <= device.now:
                    device.step()

    def _sell(self, device: Device) -> None:
        for _ in range(self.chance.randint(1, 6)):
            device.sell()
            self.seen["rows sold"] += 1

    def _wait(self, _: Device) -> None:
        self.now_s += self.chance.choice((0.4, 3, 20, 200, 1_000, 1_000, 80_000))
        self.net.hub_is_down = self.net.hub_is_down and self.chance.random() < 0.5

    def _late(self, _: Device) -> None:
        self.net.deliver_late()

    def _kill(self, device: Device) -> None:
        device.points.dies_at = self.chance.choice(POINTS)
        device.wake(by_person=False)

    def _jump(self, device: Device) -> None:
        device.wrong_ms = self.chance.choice((0, -START_MS, *JUMPS_MS))
        self.seen["clock jumped"] += 1

    def _reboot(self, device: Device) -> None:
        device.reboot()
        self.seen["device rebooted"] += 1

    def _wake(self, device: Device) -> None:
        device.wake(by_person=self.chance.random() < 0.3)

    def _other_link(self, device: Device) -> None:
        device.link = self.chance.choice((SIM, WIFI))

    def _epoch(self, device: Device) -> None:
        device.open_epoch()

    def _forget(self, device: Device) -> None:
        member = self.chance.choice(device.members)
        if device.is_member(member):
            Profiles(device.shop.members).forget(member, "asked", "t")
            self.seen[FORGOTTEN] += 1

    def _join(self, device: Device) -> None:
        member = self.chance.randrange(len(PHONES))
        self.seen[JOINED_AGAIN] += not device.is_member(device.members[member])
        device.shop.members.add(PHONES[member], "", "t")

    def _backup(self, _: Device) -> None:
        self.hub.backup()

    def _restore(self, _: Device) -> None:
        numbers = {device.number for device in self.devices.values()}
        before = sum(len(self.hub.rows(number)) for number in numbers)
        self.hub.restore()
        after = sum(len(self.hub.rows(number)) for number in numbers)
        self.seen["hub restored from an older backup (rows lost)"] += after < before

    def _down(self, _: Device) -> None:
        self.net.hub_is_down = True

    def settle(self) -> None:
        """The faults stop. The backlog must reach nothing, and all must be equal."""
        self.net.rate, self.net.hub_is_down, ends_s = 0.0, False, self.now_s + SETTLED_WITHIN_S
        while True:
            for device in self.devices.values():
                device.points.dies_at, device.link = "", WIFI
            self._steps()
            found = self.differs()
            if not found and all(device.knows_all_is_there for device in self.devices.values()):
                break
            if self.now_s > ends_s:
                raise Disagreement(f"an hour after the last fault: {found or 'a device does not know it'}")
            self.now_s += 10.0
        for device in self.devices.values():
            self.seen["rows at the hub, each once, hashes equal"] += device.shop.ledger.head.seq
        judge_forgotten(self.devices.values(), self.seen)

    def differs(self) -> str:
        for number, device in self.devices.items():
            if self.hub.branches(number) > 1:
                raise Disagreement(f"device {number} has {self.hub.branches(number)} branches at the hub")
            found = differing(journal_rows(device.shop), self.hub.rows(number))
            if found:
                return f"device {number}: {found}"
        return unheard(self.devices.values())


def judge_forgotten(devices: Iterable[Device], seen: Counter[str]) -> None:
    """Whom a person had forgotten at one device is forgotten at every other, once, or joined after that."""
    devices = list(devices)
    for device in devices:
        of_others = [told for told, is_first in forgettings(device) if not is_first]
        again = [each for each, times in Counter(of_others).items() if times > 1]
        if again:
            raise Disagreement(f"device {device.number} forgot the same twice: {again}")
        entries = device.shop.ledger.read(lambda c: list(reads.entries(c, 0, (events.Kind.ENROL,))))
        joined = {each.event.member: each.row.seq for each in entries if isinstance(each.event, events.Enrol)}
        for (*_, member), at_seq in heard(device).items():
            if device.is_member(member) and joined[member] <= at_seq:
                raise Disagreement(f"device {device.number} still has a person that others forgot")
        sealed = {row[0] for row in device.shop.ledger.read(lambda c: c.execute("SELECT member FROM secret"))}
        if not all(map(device.is_member, sealed)):
            raise Disagreement(f"device {device.number} keeps the phone of a person that is no member")
        seen[HEARD] += len(of_others)


Asked = tuple[int, int, int, bytes]  # device, epoch and seq of the row that said so first; the member


def unheard(devices: Iterable[Device]) -> str:
    """Who has yet to hear of people whom another device forgot."""
    devices = list(devices)
    asked = {told for device in devices for told, _ in forgettings(device)}
    for device in devices:
        lacks = asked - heard(device).keys() - {told for told, is_first in forgettings(device) if is_first}
        if lacks:
            return f"device {device.number} has not heard of {len(lacks)} people forgotten"
    return ""


def heard(device: Device) -> dict[Asked, int]:
    """What it has heard, and at which row of its own."""
    sql = "SELECT device, epoch, seq, member, at_seq FROM heard_forget"
    return {tuple(told): at for *told, at in device.shop.ledger.read(lambda c: c.execute(sql).fetchall())}


def forgettings(device: Device) -> list[tuple[Asked, bool]]:
    """Of its journal, and whether a person asked there."""
    found = device.shop.ledger.read(lambda c: list(reads.entries(c, 0, (events.Kind.FORGET,))))
    told: list[tuple[Asked, bool]] = []
    for each in found:
        assert isinstance(each.event, events.Forget)
        origin = each.event.origin or (device.number, each.row.epoch, each.row.seq)
        told.append(((*origin, each.event.member), each.event.origin is None))
    return told


def history(
    seed: int,
    make_hub: MakeHub,
    seen: Counter[str],
    scratch: Path,
    steps: int = 150,
    devices: int = 3,
    kind: type[Fleet] = Fleet,
) -> Fleet:
    """One history from its seed to its end. Disagreement, with the seed. Its ledgers are gone then."""
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        fleet = kind(seed, Path(directory), make_hub, seen, devices)
        try:
            fleet.run(steps)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        finally:
            for device in fleet.devices.values():
                device.close()
    seen["histories"] += 1
    return fleet
