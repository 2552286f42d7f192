"""A simulated day at ten times a busy shop's pace, with all that goes wrong: `scripts/soak [HOURS] [SEED]`.

A real lane against the pretend terminal, the real ledger, counter and courier in one thread; the clocks are
told what to show, so a day takes minutes. Between sales chance arms the terminal's faults, cuts power, sets
the clock 56 years off, fills the disk, takes the hub away, claims slips, voids, refunds and redeems. At the
end the faults stop: each payment the terminal remembers must be in the books once, the points be what was
counted here from the terminal's own rows, the hub hold the same chain, and memory and descriptors be flat.
"""

import gc
import json
import resource
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NoReturn

import structlog
from hub_stub import HUB_KEY
from lane_bench import Bench, posted
from shop import PROGRAMME, TID
from simulated.hubs import MemoryHub
from simulated.net import Net, Points, SimulatedTransport

from vafa.app import forgetting
from vafa.app.attesting import Attestations
from vafa.app.redeeming import Redeeming, Wish
from vafa.app.settling import settle_points
from vafa.app.sync_journal import LedgerJournal
from vafa.app.undo import Undo, Undoing
from vafa.app.undo import Wish as UndoWish
from vafa.club.programme import parse
from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey
from vafa.ledger import reads
from vafa.ledger.value import attested_mark
from vafa.model import events
from vafa.model.errors import LedgerError, VafaError
from vafa.model.events import Kind
from vafa.model.payment import PaymentKey, Scheme
from vafa.sync.courier import Courier, Who, World
from vafa.sync.kept import Store
from vafa.sync.links import LinkNow
from vafa.wire.messages import Facts, Forgotten

DAY_PACE_S = 10.0  # 8,600 sales in 24 hours: ten times a busy shop's
PER = 10
YEARS_56_S = 56 * 31_557_600.0
TERMINAL_FAULTS = (
    "noise", "split", "bad-lrc", "repeat-response", "nack", "lost-answer",
    "silence-after-request", "drop-link",
)  # fmt: skip
JUMPS_S = (-YEARS_56_S, YEARS_56_S, -1.0, -3_600.0, 3_600.0, -86_400.0)
WRONG_S = (60.0, 5_400.0)  # so long, between these, until somebody or a time server sets it right
AHEAD_S_MAX = 3_600  # what both clocks may have been ahead of while they agreed on two days
START_MS, START_AT_S = 1_767_000_000_000, 1_000.0  # the bench's wall clock while its other one shows this
ZONE = "Asia/Tehran"
REWARD = """
[reward.off]
kind = "amount-off"
name_fa = "تخفیف"
rial = 10
points = 1
min_points = 1
max_points = 1000
[expiry]
months = 1
"""
BLOCKS_GROWN_MAX = 20_000
BYTES_GROWN_MAX = 12_000_000
# What the pretend hub (every row) and the pretend terminal (every slip) keep of a sale, in this process too.
# That the daemon itself stays flat is `soak.real`'s to show.
KEPT_BLOCKS_A_SALE, KEPT_BYTES_A_SALE = 80, 8_000


class Day:
    """One shop's day. `seen` counts what happened."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.chance, self.seen = Random(seed), Counter[str]()  # noqa: S311 - a history, no secret
        self.directory = directory
        self.bench = Bench(directory)
        self.bench.terminal.pay_after_s = 1.0
        self.bench.shop.programme = PROGRAMME + REWARD  # at each start again
        self.bench.shop.programmes.activate(parse(PROGRAMME + REWARD), None)
        self.terminal_off_s, self.right_at = 0.0, -1.0
        self.bench.terminal._wall = lambda: self.bench.clock.wall_ms() / 1000 + self.terminal_off_s
        self.key = SigningKey(DeviceKey(b"\1" * 32))
        self.hub = MemoryHub(self._true_ms)
        self.hub.enrol(1, self.key.public)
        self.net = Net(self.hub, self.chance, self.seen)
        self.net.rate = 0.1
        self.boots = self.number = 0
        self.members = [f"0912{n:07d}" for n in range(50)]
        self.sold: list[PaymentKey] = []
        self.undone: dict[PaymentKey, int] = {}
        self.redeemed, self.wrong = 0, list[str]()
        self._start()

    def _true_ms(self) -> int:
        """What a clock shows that nobody set wrong."""
        return START_MS + round((self.bench.now() - START_AT_S) * 1000)

    def _start(self) -> None:
        """What the sync begins with, at each start."""
        shop = self.bench.shop
        self.boots += 1
        self.store = Store(self.directory / "sync" / "sync.db")
        self.journal = LedgerJournal(shop.ledger.path)
        self.transport = SimulatedTransport(self.net, 1, Points(self.seen))
        world = World(
            self.bench.clock.wall_ms, lambda: LinkNow("wlan0 wifi"), lambda: Facts("0.1.0", 2),
            f"boot {self.boots}",
            10**9, self.chance, lambda: self.chance.randbytes(16),
        )  # fmt: skip
        who = Who(self.hub.merchant, 1, HUB_KEY.public)
        self.courier = Courier(
            who, self.key, self.journal, self.store, self.transport, self, world, self.bench.now()
        )

    def _stop(self) -> None:
        self.store.close()
        self.journal.close()

    # the courier's inbox

    def programme(self, document: str, from_at: int | None) -> str:
        return "none was published"

    def attest(self, hub_s: int) -> None:
        self.bench.shop.ledger.write(lambda tx: tx.post(events.ClockAttested(hub_s, "hub")))

    def forget(self, told: Sequence[Forgotten]) -> None:
        forgetting.heard(self.bench.shop.ledger, told)

    def regain(self, rows: object, signature: bytes) -> str:
        return "none was lost"

    # what happens

    def live(self, hours: float, sample: Callable[[], None]) -> None:
        """So many hours, then all faults stop and what is left is settled."""
        self.bench.run_for(600)  # what the terminal remembers from before the club is read, and earns nothing
        ends, sampled = self.bench.now() + hours * 3_600, self.bench.now()
        happenings: list[tuple[Callable[[], None], float]] = [
            (self._faulty, 6), (self._kill, 0.3), (self._jump, 0.5), (self._undo, 3), (self._redeem, 3),
            (self._full_disk, 0.2), (self._hub_away, 0.3), (self._keyed, 1), (self._cable_out, 0.5),
            (lambda: None, 85),
        ]  # fmt: skip
        weights = [weight for _, weight in happenings]
        while self.bench.now() < ends:
            if 0 < self.right_at <= self.bench.now():
                self._set_right()
            if self.number % 30 == 0:
                self._settle_points()
            (happening,) = self.chance.choices([each for each, _ in happenings], weights)
            happening()
            self._sell()
            self._sync()
            if self.bench.now() - sampled > 3_600:
                sampled = self.bench.now()
                sample()
        self._settle()

    def _sell(self) -> None:
        self.number += 1
        began = self.bench.now()
        amount = PER * self.chance.randint(1, 500_000)
        try:
            end = self.bench.sell(f"s{self.number}", amount)
        except VafaError as error:
            self.seen[f"sale refused: {type(error).__name__}"] += 1
            self.bench.run_for(DAY_PACE_S)
            return
        self.seen[f"sale {end.outcome.name.lower()}"] += 1
        if end.paid is not None and end.paid.claim and self.chance.random() < 0.3:
            self._claim(end.paid.claim)
        left_s = DAY_PACE_S - (self.bench.now() - began)
        if left_s > 0:
            self.bench.run_for(left_s)

    def _claim(self, code: str) -> None:
        shop = self.bench.shop
        member = bytes.fromhex(shop.members.add(self.chance.choice(self.members), "", "till").id)
        try:
            shop.members.claim(code, member, "till")
            self.seen["claim"] += 1
        except VafaError:
            self.seen["claim refused"] += 1

    def _faulty(self) -> None:
        self.bench.terminal.fault(self.chance.choice(TERMINAL_FAULTS))
        self.seen["terminal fault"] += 1

    def _cable_out(self) -> None:
        self.bench.cut = True
        self.seen["cable out"] += 1

    def _kill(self) -> None:
        self._stop()
        self.bench.restart()
        self._start()
        self.seen["kill"] += 1

    def _jump(self) -> None:
        """The device's clock is set wrong, half of the time the terminal's with it; for a while."""
        self._set_right()
        jump_s = self.chance.choice(JUMPS_S)
        self.bench.clock.jump(jump_s)
        together = self.chance.random() < 0.5
        self.terminal_off_s = 0.0 if together else -jump_s
        self.right_at = self.bench.now() + self.chance.uniform(*WRONG_S)
        self.seen["both clocks set wrong" if together else "clock set wrong"] += 1

    def _set_right(self) -> None:
        self.bench.clock.jump((self._true_ms() - self.bench.clock.wall_ms()) / 1000)
        self.terminal_off_s, self.right_at = 0.0, -1.0

    def _hub_away(self) -> None:
        self.net.hub_is_down = not self.net.hub_is_down
        self.seen["hub away or back"] += 1

    def _keyed(self) -> None:
        self.bench.terminal.key_sale(PER * self.chance.randint(1, 9_000))
        self.seen["sale keyed at the terminal"] += 1

    def _full_disk(self) -> None:
        """No page more for the ledger, for a few sales; what it did not take waits in memory."""
        connection = self.bench.shop.ledger._connection
        assert connection is not None
        connection.execute("PRAGMA max_page_count = 1")
        for _ in range(3):
            self._sell()
        connection = self.bench.shop.ledger._connection
        if connection is not None:
            connection.execute("PRAGMA max_page_count = 1073741823")
        self.seen["disk full"] += 1

    def _undo(self) -> None:
        paid = posted(self.bench)[-30:]
        found = [each for each in paid if each.key not in self.undone and each.key.scheme == Scheme.RRN]
        if not found:
            return
        sale = self.chance.choice(found)
        whole = self.chance.random() < 0.5
        part = sale.amount if whole else PER * self.chance.randint(1, max(1, sale.amount // PER - 1))
        if not whole and part >= sale.amount:
            return
        kind = Undoing.VOID if whole else Undoing.REFUND
        ref = PaymentKey(Scheme.REQUEST, TID, f"u{self.number}")
        try:
            Undo(self.bench.shop.counter).undo(
                UndoWish(kind, sale.key, ref, None if whole else part, None, "till")
            )
        except VafaError as error:
            self.seen[f"undo refused: {type(error).__name__}"] += 1
            return
        self.undone[sale.key] = part
        self.seen["undone"] += 1

    def _redeem(self) -> None:
        shop = self.bench.shop
        member = bytes.fromhex(shop.members.add(self.chance.choice(self.members), "", "till").id)
        redeeming, request = Redeeming(shop.counter), f"h{self.number}"
        try:
            redeeming.hold(Wish(request, member, "off", 10_000_000, None, "till"))
            self.redeemed += redeeming.capture(request, None, None, "till").points
        except VafaError as error:
            self._judge_refusal(error)
            return
        self.seen["redeemed"] += 1

    def _judge_refusal(self, error: VafaError) -> None:
        """Only a clock that is set back, or points that are not there, may be the reason."""
        behind = self.bench.clock.wall_ms() // 1000 < self.bench.shop.ledger.read(attested_mark)
        if "before a time that was attested" in str(error) and behind:
            self.seen["redemption refused: the clock is set back"] += 1
        elif "too few for this reward" in str(error):
            self.seen["redemption refused: too few points"] += 1
        else:
            self.wrong.append(f"a redemption was refused: {error}")

    def _settle_points(self) -> None:
        """The daemon's job: what terminals vouch for, holds and lots whose time is over."""
        try:
            ledger = self.bench.shop.ledger
            settle_points(ledger, Attestations(ledger, ZONE))
        except LedgerError:
            self.seen["points settled later"] += 1

    def _sync(self) -> None:
        for _ in range(3):
            if self.courier.due_at(self.bench.now()) <= self.bench.now():
                self.courier.step(self.bench.now())

    def _settle(self) -> None:
        self.net.rate, self.net.hub_is_down, self.bench.cut = 0.0, False, False
        self._set_right()
        self.bench.terminal.faults._armed.clear()
        for _ in range(40):
            self.bench.run_for(60)
            self._sync()
        for _ in range(50):
            self.courier.wake(by_person=True)
            self._sync()

    # how it ended

    def faults(self) -> list[str]:
        """What is not as it must be; [] when all is."""
        shop, found = self.bench.shop, [*self.wrong]
        verified = shop.verified()
        found += [f"verify: {bad}" for bad in verified.bad]
        theirs = {row.rrn: row.amount for row in self.bench.terminal.journal if row.approved}
        ours = {paid.key.ref: paid.amount for paid in posted(self.bench)}
        if len(posted(self.bench)) != len(ours):
            found.append("a payment stands in the books twice")
        if missing := {rrn for rrn in theirs if ours.get(rrn) != theirs[rrn]}:
            found.append(
                f"{len(missing)} payments the terminal remembers are missing or differ: {sorted(missing)[:3]}"
            )
        points = sum(ours.values()) // PER - sum(self.undone.values()) // PER - self.redeemed
        till = shop.ledger.head.till
        if till.member - till.debt != points:
            found.append(f"points: {till.member - till.debt:,} in the books, {points:,} counted here")
        lapsed, mark = shop.ledger.read(_lapsed), shop.ledger.read(attested_mark)
        if lapsed or mark > self._true_ms() // 1000 + AHEAD_S_MAX:
            found.append(f"{lapsed} lots lapsed, the clock is attested to {mark}: of clocks that were wrong")
        if self.hub.rows(1)[-1].hash != shop.ledger.head.hash:
            found.append("the hub has another chain")
        self.seen["payments in the books"], self.seen["rows"] = len(ours), shop.ledger.head.seq
        return found

    def close(self) -> None:
        self._stop()
        self.bench.close()


def main() -> int:
    """The command line: hours and seed; 1 when something is not as it must be."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 24.0
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    structlog.configure(processors=[_dropped])
    samples: list[tuple[int, int, int]] = []
    with tempfile.TemporaryDirectory(prefix="vafa-soak-") as directory:
        day = Day(Path(directory), seed)
        began = time.monotonic()

        def sample() -> None:
            gc.collect()
            descriptors = len(list(Path("/proc/self/fd").iterdir()))
            samples.append(
                (sys.getallocatedblocks(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, descriptors)
            )

        try:
            day.live(hours, sample)
            found = day.faults()
        finally:
            day.close()
    found += _grown(samples, day.number)
    for name, count in sorted(day.seen.items()):
        print(f"{count:>9,}  {name}")  # noqa: T201
    took = f"{hours:g} hours in {time.monotonic() - began:.0f} s"
    print(f"{took}; objects, peak KB, descriptors each hour: {samples}")  # noqa: T201
    print("\n".join(found) or "books right, memory and descriptors flat", json.dumps({"seed": seed}))  # noqa: T201
    return 1 if found else 0


def _lapsed(connection: sqlite3.Connection) -> int:
    """How often points lapsed; on a day that is right none do."""
    return len(list(reads.entries(connection, 0, (Kind.EXPIRE,))))


def _dropped(*_: object) -> NoReturn:
    raise structlog.DropEvent


def _grown(samples: list[tuple[int, int, int]], sales: int = 0) -> list[str]:
    if len(samples) < 4:
        return []
    first, last = samples[1], samples[-1]
    found = []
    blocks = last[0] - first[0] - sales * KEPT_BLOCKS_A_SALE
    size = (last[1] - first[1]) * 1024 - sales * KEPT_BYTES_A_SALE
    if blocks > BLOCKS_GROWN_MAX or size > BYTES_GROWN_MAX:
        found.append(f"memory grew: {first} to {last}")
    if last[2] > first[2] + 2:
        found.append(f"descriptors grew: {first[2]} to {last[2]}")
    return found


if __name__ == "__main__":
    sys.exit(main())
