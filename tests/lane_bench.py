"""A lane against the pretend terminal without a thread or a port: bytes are handed over, the clock is ours.

`Bench.sell` queues a sale; `Bench.run` steps the lane until it is told to stop, moving the clock by what the
lane would have waited. So 180 seconds pass in a moment and every run is the same.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from shop import TID, Shop

from vafa.app.lane import Lane, LaneSettings
from vafa.app.live import SaleTimes
from vafa.app.paper import Paper
from vafa.app.selling import SaleEnd, Work
from vafa.ledger import reads
from vafa.model import events
from vafa.model.errors import PortError
from vafa.model.events import Kind
from vafa.model.money import Currency
from vafa.ports.clock import ManualClock
from vafa.ports.link import Link
from vafa.simulators.sadad import Terminal
from vafa.simulators.sadad_bytes import Message

ANSWER_TIMEOUT_S = 180.0
TICK_S = 0.5  # how far the clock may move at once while the terminal has something to say later


class FedLink:
    """A link whose far end is a Terminal in the same thread. `read` lets the waited time pass."""

    def __init__(self, bench: "Bench") -> None:
        self.name = "fed"
        self._bench = bench
        self.incoming = b""
        self.is_closed = False

    def read(self, wait_s: float) -> bytes:
        self._bench.between_reads()
        if self._bench.cut or self._bench.terminal.take_drop():
            self._bench.terminal.step(self._bench.now())
            self._bench.terminal.link_lost()
            raise PortError("fed: the line is gone")
        self._hear(self._bench.terminal.step(self._bench.now()))
        if not self.incoming:
            self._bench.clock.advance(min(wait_s, TICK_S))
            self._hear(self._bench.terminal.step(self._bench.now()))
        data, self.incoming = self.incoming, b""
        return data

    def write(self, data: bytes) -> None:
        self._bench.written.append(data)
        self._bench.on_written()
        self._hear(self._bench.terminal.feed(data, self._bench.now()))

    def interrupt(self) -> None:
        """Nobody sleeps here."""

    def close(self) -> None:
        self.is_closed = True
        self._bench.terminal.link_lost()

    def _hear(self, data: bytes) -> None:
        self._bench.on_heard(data)
        self.incoming += data


class Bench:
    """A shop, one terminal, one lane, one clock."""

    def __init__(
        self,
        directory: Path,
        *,
        card_first: bool = False,
        text: str = "fa",
        mode: Literal["ecr", "poll"] = "ecr",
        poll: bool = True,
        terminal_id: str = TID,
        shop: Shop | None = None,
    ) -> None:
        self.shop = shop or Shop(directory)
        self.mode, self.poll, self.terminal_id = mode, poll, terminal_id
        self.clock = ManualClock(wall_ms=1_767_000_000_000, monotonic=1_000.0)
        self.terminal = Terminal(tid=terminal_id, wall=lambda: self.clock.wall_ms() / 1000)
        self.card_first, self.text = card_first, text
        self.written: list[bytes] = []
        self.cut = False
        self.cannot_open: PortError | None = None
        self.opened = 0
        self.link: FedLink | None = None
        self.between_reads: Callable[[], None] = lambda: None
        self.on_written: Callable[[], None] = lambda: None
        self.on_heard: Callable[[bytes], None] = lambda _data: None
        self.times: dict[int, SaleTimes] = {}
        self.shop.wall_ms = self.clock.wall_ms()
        self.lane = self.new_lane()

    def new_lane(self) -> Lane:
        """As after a start: nothing in memory, the same ledger and terminal."""
        settings = LaneSettings(
            self.terminal_id, "fed", self.card_first, self.text, ANSWER_TIMEOUT_S, self.mode, self.poll
        )
        paper = Paper("کافه نگین", "Kafe Negin", "fa", "Asia/Tehran", self.shop.programmes)
        counter, sales = self.shop.counter, self.shop.sales
        self.lane = Lane(settings, counter, sales, paper, self.clock, self._open, self.times)
        self.lane.selling.wait = self.clock.advance  # type: ignore[method-assign]
        self.lane._stopping.wait = self._wait  # type: ignore[method-assign]
        return self.lane

    def restart(self) -> None:
        """The power goes and comes back: the process's memory is gone, the terminal's is not."""
        self.close_lane()
        self.shop.restart()
        self.written.clear()
        self.new_lane()

    def close_lane(self) -> None:
        """Give back what the lane holds, as the end of its process does."""
        self.lane._posting._late_ack.close()
        self.lane._line.close()

    def close(self) -> None:
        self.close_lane()
        self.shop.ledger.close()

    def now(self) -> float:
        return self.clock.monotonic()

    def queue(
        self,
        request: str = "r-1",
        amount: int = 105,
        member: bytes = b"",
        currency: Currency = Currency.RIAL_CURRENT,
    ) -> Work:
        """Queue a sale as `Lane.sell` does, without a thread that waits for its end."""
        with self.lane.selling._change:
            return self.lane.selling._queued(request, amount, member, currency)

    def run(self, until: Callable[[], bool], within_s: float = 2_000.0) -> None:
        """Step the lane until `until()`; an assertion when that takes too long by the bench's clock."""
        end = self.now() + within_s
        while not until():
            assert self.now() < end, "the lane did not get there"
            self.lane.step()
            self.shop.wall_ms = self.clock.wall_ms()

    def run_for(self, seconds: float) -> None:
        """Step the lane through so many seconds."""
        end = self.now() + seconds
        self.run(lambda: self.now() >= end, seconds + 10)

    def sell(self, request: str = "r-1", amount: int = 105, member: bytes = b"") -> SaleEnd:
        """A sale up to its end, however long that takes. Raises what the caller of `sell` would get."""
        work = self.queue(request, amount, member)
        self.run(work.ended.is_set)
        if work.error is not None:
            raise work.error
        assert work.end is not None
        return work.end

    def requests_sent(self) -> int:
        """How many sale requests left (REQUEST of version 000)."""
        return sum(data[4:7] == b"000" and data[7] == 0x19 for data in self.written)

    def _wait(self, timeout: float | None = None) -> bool:
        self.clock.advance(timeout or 0.0)
        return False

    def _open(self) -> Link:
        if self.cannot_open is not None:
            raise self.cannot_open
        self.cut = False
        self.opened += 1
        self.link = FedLink(self)
        return self.link


def joined(threads: list[threading.Thread]) -> None:
    """Wait for all; none may hang."""
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def posted(bench: Bench) -> list[events.Paid]:
    """The payments in the journal, oldest first."""
    kinds = (Kind.AWARD, Kind.PAYMENT)
    return bench.shop.ledger.read(lambda c: [reads.paid_of(e.event) for e in reads.entries(c, 0, kinds)])


def refuses_order_ids(bench: Bench) -> None:
    """From now on the terminal knows 0001 and no 0013."""
    listing = bench.terminal._hear_request

    def hear(message: Message, now: float) -> None:
        if message.data.startswith(b"0013"):
            bench.terminal.fault("nack", 1)
        listing(message, now)

    bench.terminal._hear_request = hear  # type: ignore[method-assign]


def beside_an_equal_one(bench: Bench) -> Work:
    """A sale whose answer never came, of an amount keyed once more: the list cannot tell which is it."""
    refuses_order_ids(bench)
    bench.terminal.fault("silence-after-request")
    work = bench.queue("r-1", 105)
    bench.run(lambda: bench.requests_sent() == 1)
    bench.run_for(20)
    bench.terminal.key_sale(105)
    bench.run(work.in_doubt.is_set)
    bench.run_for(400)
    return work
