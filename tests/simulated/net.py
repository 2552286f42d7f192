"""Everything that goes wrong between a courier and its hub, drawn from a seed and counted.

A request and its answer are one call; what a network does to them in time (a copy that comes an hour later,
after others) is a list of copies that are delivered when chance says so.
"""

from collections import Counter
from collections.abc import Callable
from random import Random

from simulated.hubs import Said, SimulatedHub

from vafa.keys.device_key import DeviceKey
from vafa.keys.sign import SigningKey
from vafa.model.errors import Malformed
from vafa.sync.transport import Reply, Unreached
from vafa.wire import signing
from vafa.wire.messages import SYNC_PATH

STRANGER = SigningKey(DeviceKey(b"X" * 32))
FAULTS = (
    "request lost",
    "answer lost after the commit",
    "request duplicated",
    "request delayed",
    "answer garbage",
    "answer of another request",
    "answer signed wrongly",
    "request altered on the way",
    "reset in the upload",
    "a proxy answers",
)
LINK_BYTES = 900


class Net:
    """All devices' way to the hub."""

    def __init__(self, hub: SimulatedHub, chance: Random, seen: Counter[str]) -> None:
        self.hub, self.chance, self.seen = hub, chance, seen
        self.rate = 0.5
        self.hub_is_down = False
        self._late: list[tuple[int, int, bytes]] = []  # device, how many requests it had sent, the request
        self._sent: Counter[int] = Counter()
        self._answers: list[Said] = []

    def post(self, device: int, body: bytes) -> Said:
        """What comes back. Unreached."""
        self._sent[device] += 1
        if self.hub_is_down:
            self.seen["hub down"] += 1
            raise Unreached("nobody listens", link_bytes=200)
        if self.chance.random() >= self.rate:
            return self._answered(body)
        fault = self.chance.choice(FAULTS)
        self.seen[fault] += 1
        return self._troubled(fault, device, body)

    def _troubled(self, fault: str, device: int, body: bytes) -> Said:
        match fault:
            case "request lost":
                raise Unreached("it never came")
            case "answer lost after the commit":
                self._answered(body)
                raise Unreached("no answer", link_bytes=LINK_BYTES)
            case "request duplicated":
                self._answered(body)
            case "request delayed":
                self._late.append((device, self._sent[device], body))
                raise Unreached("it is somewhere")
            case "reset in the upload":
                self.hub.answer(body[: self.chance.randrange(len(body))])
                raise Unreached("reset", link_bytes=LINK_BYTES)
            case "request altered on the way":
                return self._answered(self._altered(body))
            case "a proxy answers":
                return Said(
                    self.chance.choice((200, 302, 502)), b"<html>log in to the hotel's network</html>"
                )
            case _:
                pass
        return self._spoilt(fault, self._answered(body), body)

    def _spoilt(self, fault: str, said: Said, body: bytes) -> Said:
        match fault:
            case "answer garbage":
                spoilt = self.chance.choice((self._altered(said.body), self.chance.randbytes(200), b""))
                return Said(said.status, spoilt)
            case "answer of another request":
                return self.chance.choice(self._answers[:-1]) if self._answers[:-1] else Said(502, b"")
            case "answer signed wrongly":
                answer = signing.read_answer(said.body)
                nonce = signing.read_envelope(body).nonce
                told = signing.answer_input(SYNC_PATH, nonce, body, answer)
                return Said(said.status, signing.signed(answer, STRANGER.sign(told)))
            case _:
                pass
        return said

    def _altered(self, body: bytes) -> bytes:
        place = self.chance.randrange(len(body))
        return body[:place] + bytes([body[place] ^ 1 << self.chance.randrange(8)]) + body[place + 1 :]

    def _answered(self, body: bytes) -> Said:
        said = self.hub.answer(body)
        self._answers = [*self._answers[-20:], said]
        return said

    def deliver_late(self) -> None:
        """A delayed request comes now; nobody waits for its answer."""
        if self._late and not self.hub_is_down:
            device, number, body = self._late.pop(self.chance.randrange(len(self._late)))
            self.seen["request after later ones (reordered)"] += self._sent[device] > number
            self.hub.answer(body)


class SimulatedTransport:
    """One device's. It checks what the courier asks of it."""

    def __init__(self, net: Net, device: int, point: "Points") -> None:
        self._net, self._device, self._point = net, device, point
        self.checked_at_ms: list[int] = []

    def post(
        self, path: str, body: bytes, *, trusts_clock: bool, meanwhile: Callable[[], None] = lambda: None
    ) -> Reply:
        assert path == SYNC_PATH
        self._point.reached("before the request")
        said = self._net.post(self._device, body)
        meanwhile()
        self._point.reached("before the answer")
        if len(said.body) > 256 * 1024:
            raise Malformed("too long")
        return Reply(said.status, said.body, LINK_BYTES, dates_checked=trusts_clock)

    def check_dates(self, at_ms: int) -> None:
        self.checked_at_ms.append(at_ms)

    def close(self) -> None:
        return


class Killed(BaseException):
    """kill -9: nothing catches it."""


POINTS = (
    "before the request",
    "before the answer",
    "before the hub's time is written",
    "after the hub's time is written",
    "before people are forgotten",
    "after people are forgotten",
    "before lost rows are counted",
    "after lost rows are counted",
    "before the marks are kept",
    "while the marks are kept",
    "after the marks are kept",
)


class Points:
    """The places between two steps where a device may die."""

    def __init__(self, seen: Counter[str]) -> None:
        self.dies_at, self._seen = "", seen

    def reached(self, point: str) -> None:
        """Dies here when it was said so."""
        if point == self.dies_at:
            self.dies_at = ""
            self._seen["device killed"] += 1
            self._seen[f"  killed {point}"] += 1
            raise Killed
