"""A lane in mode proxy without a thread, a socket or a clock of its own: the relay's side is played by hand.

`LendingRelay` lends the line as the relay does, to a pretend terminal in the same thread.
"""

from pathlib import Path

from sadad_talk import TID
from shop import Shop

from vafa.app.proxy_lane import ProxyLane, ProxySettings
from vafa.ledger import reads
from vafa.model import events
from vafa.model.errors import PortError
from vafa.model.events import Kind
from vafa.ports import relay_wire as wire
from vafa.ports.clock import ManualClock
from vafa.ports.link import Link
from vafa.ports.relay_wire import Over
from vafa.simulators.sadad import Terminal

TICK_S = 0.5


class FedRelay:
    """The relay's side of the socket, by hand: what the lane reads next, what it wrote."""

    def __init__(self) -> None:
        self.name = "relay"
        self.incoming = b""
        self.told: list[wire.Message] = []
        self.is_down: PortError | None = None
        self._heard = wire.Splitter()

    def open(self) -> Link:
        if self.is_down is not None:
            raise self.is_down
        return self

    def read(self, wait_s: float) -> bytes:
        data, self.incoming = self.incoming, b""
        if self.is_down is not None and not data:
            raise PortError("the relay hung up")
        return data

    def write(self, data: bytes) -> None:
        self.told += self._heard.feed(data)

    def interrupt(self) -> None:
        """Nobody sleeps here."""

    def close(self) -> None:
        """Nothing to give back."""

    @property
    def acked(self) -> int:
        return max((each.number for each in self.told if each.kind == wire.ACK), default=0)


class Listening:
    """A shop with a lane in mode proxy."""

    def __init__(self, directory: Path, relay: FedRelay | None = None, *, poll: bool = False) -> None:
        self.shop = Shop(directory)
        self.clock = ManualClock(monotonic=1_000.0)
        self.relay = relay or FedRelay()
        self.poll = poll
        self.new_lane()

    def new_lane(self) -> None:
        settings = ProxySettings(TID, "tcp:192.0.2.1:8888", self.poll)
        self.lane = ProxyLane(settings, self.shop.counter, self.clock, self.relay.open, {})
        self.lane._stopping.wait = self._wait  # type: ignore[method-assign]

    def say(self, *encoded: bytes) -> None:
        self.relay.incoming += b"".join(encoded)
        self.lane.step()

    def greet(self, acked: int = 0, instance: str = "a", missing: str = "") -> None:
        self.say(wire.encode_hello(wire.Hello(acked, instance, missing)), wire.encode_state("open", ""))

    def talk(self, first: int, talk: list[tuple[bytes, bytes]]) -> None:
        self.say(*(wire.encode(kind, n, data) for n, (kind, data) in enumerate(talk, first)))

    def awards(self) -> int:
        return len(self.of(Kind.AWARD))

    def gaps(self) -> list[str]:
        return [e.why for e in self.of(Kind.GAP_DETECTED) if isinstance(e, events.GapDetected)]

    def of(self, kind: Kind) -> list[events.Event]:
        return self.shop.ledger.read(lambda c: [each.event for each in reads.entries(c, 0, (kind,))])

    def _wait(self, timeout: float | None = None) -> bool:
        self.clock.advance(timeout or 0.0)
        return False


class LendingRelay(FedRelay):
    """A relay that lends, with a pretend terminal behind it.

    in_use     why the line is not lent, '' when it is
    cut_after  how many of the daemon's frames are heard before the cash register needs the line
    """

    def __init__(self) -> None:
        super().__init__()
        self.terminal = Terminal(tid=TID)
        self.clock = ManualClock()
        self.newest = 0
        self.in_use = ""
        self.cut_after = -1
        self.lent = 0
        self.refused_numbers: list[int] = []
        self._is_lent = False

    def read(self, wait_s: float) -> bytes:
        if not self.incoming:
            self.clock.advance(min(wait_s, TICK_S))
            self._answer(self.terminal.step(self.clock.monotonic()))
        return super().read(wait_s)

    def write(self, data: bytes) -> None:
        before = len(self.told)
        super().write(data)
        for message in self.told[before:]:
            self._obey(message)

    def _obey(self, message: wire.Message) -> None:
        match message.kind:
            case wire.BORROW if self.in_use or message.number != self.newest:
                self.refused_numbers.append(message.number)
                self.incoming += wire.encode(wire.OVER, Over.IN_USE, self.in_use.encode())
            case wire.BORROW:
                self._is_lent = True
                self.lent += 1
                self.incoming += wire.encode(wire.LENT)
            case wire.ASK if self._is_lent and self.cut_after == 0:
                self.cut_off()
            case wire.ASK if self._is_lent:
                self.cut_after -= 1
                self._answer(self.terminal.feed(message.payload, self.clock.monotonic()))
            case wire.GIVE_BACK:
                self._is_lent = False
            case _:
                pass

    def cut_off(self) -> None:
        """The cash register needs the line."""
        self._is_lent, self.cut_after = False, -1
        self.incoming += wire.encode(wire.OVER, Over.CUT_OFF, b"the cash register needs the line")

    def _answer(self, said: bytes) -> None:
        if said and self._is_lent:
            self.incoming += wire.encode(wire.ANSWER, 0, said)


class Polled(Listening):
    """A listening lane that reads the terminal's list."""

    relay: LendingRelay

    def __init__(self, directory: Path, *, poll: bool = True) -> None:
        relay = LendingRelay()
        super().__init__(directory, relay, poll=poll)
        relay.clock = self.clock
        relay.terminal._wall = lambda: self.shop.wall_ms / 1000

    def greet(self, acked: int = 0, instance: str = "a", missing: str = "") -> None:
        self.relay.newest = acked
        super().greet(acked, instance, missing)

    def crosses(self, *talk: tuple[bytes, bytes]) -> None:
        """Frames cross the line."""
        first = self.relay.newest + 1
        self.relay.newest += len(talk)
        self.talk(first, list(talk))

    def run_for(self, seconds: float) -> None:
        """Steps the lane through so many seconds."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.lane.step()
            self.shop.wall_ms += 100

    def polled(self) -> None:
        """Until the list was read once more."""
        polling = self.lane._borrowing.polling
        before, end = polling.answered_at, self.clock.monotonic() + 2_000
        while polling.answered_at == before:
            assert self.clock.monotonic() < end, "the list is not read"
            self.lane.step()
            self.shop.wall_ms += 100

    def amounts(self) -> list[int]:
        return [each.paid.amount for each in self.of(Kind.AWARD) if isinstance(each, events.Award)]
