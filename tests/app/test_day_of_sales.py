"""A day of sales over a real pty that hangs up, babbles and hands over one byte at a time, at any moment.

Nothing is lost and nothing doubled: what earned is what the terminal approved, each once.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from running_lane import HURRIED, Running
from shop import TID, Shop

from vafa.ledger import reads
from vafa.model.errors import PortError
from vafa.model.events import Kind
from vafa.simulators.line_trouble import Drop
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal

ANSWER_TIMEOUT_S = 0.6  # after this a sale whose request never arrived is known to be unpaid
TICK_S = 0.002
Act = tuple[str, int]

ACTS = st.lists(
    st.tuples(st.sampled_from(["sell", "sell", "sell", "key", "decline", "lost-answer", "bad-lrc"]),
              st.integers(10, 9_999)),
    min_size=1, max_size=5,
)  # fmt: skip
# A sale is about 500 bytes both ways, a list of rows 80 to 900.
MOMENTS = st.lists(st.integers(0, 4_000), max_size=4, unique=True)
BABBLE = st.dictionaries(st.integers(0, 4_000), st.binary(min_size=1, max_size=12), max_size=4)


class RoughLine:
    """The terminal behind a bad line. `cuts` and `babble` count the bytes that crossed it, either way."""

    def __init__(
        self, terminal: Terminal, cuts: list[int], babble: dict[int, bytes], *, bytewise: bool
    ) -> None:
        self._terminal = terminal
        self._cuts, self._babble = sorted(cuts), dict(sorted(babble.items()))
        self._bytewise = bytewise
        self._waiting = b""
        self.crossed = 0

    def feed(self, data: bytes, now: float) -> bytes:
        self.crossed += len(data)
        self._waiting += self._terminal.feed(data, now)
        return self._next()

    def step(self, now: float) -> bytes:
        self._waiting += self._terminal.step(now)
        return self._next()

    def _next(self) -> bytes:
        size = min(len(self._waiting), 1 if self._bytewise else 4_096)
        if self._cuts and size:
            size = max(1, min(size, self._cuts[0] - self.crossed))
        said, self._waiting = self._waiting[:size], self._waiting[size:]
        self.crossed += len(said)
        for at in [at for at in self._babble if at <= self.crossed]:
            said = self._babble.pop(at) + said
        return said

    def take_drop(self) -> Drop | None:
        if self._cuts and self.crossed >= self._cuts[0]:
            self._cuts.pop(0)
            return Drop("reset")
        return self._terminal.take_drop()

    def link_lost(self) -> None:
        self._waiting = b""
        self._terminal.link_lost()

    def mend(self) -> None:
        """The evening: the line is good again."""
        self._cuts, self._babble, self._bytewise = [], {}, False


@pytest.fixture(autouse=True, scope="module")
def hurried() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in HURRIED.items():
            patch.setattr(name, value)
        patch.setattr("vafa.simulators.pty_line.POLL_S", TICK_S)
        patch.setattr("vafa.simulators.line.POLL_S", TICK_S)
        yield


def earned(shop: Shop) -> list[tuple[str, int]]:
    """(reference number, amount) of what earned, in order of the numbers."""
    entries = shop.ledger.read(lambda c: list(reads.entries(c, 0, (Kind.AWARD,))))
    paid = [reads.paid_of(each.event) for each in entries]
    return sorted((each.key.ref, each.amount) for each in paid)


def live(it: Running, acts: list[Act]) -> None:
    """The day: each act when the one before has its end."""
    for number, (act, amount) in enumerate(acts):
        if act == "key":
            it.terminal.key_sale(amount)
            continue
        if act == "decline":
            it.terminal.next("decline")
        elif act != "sell":
            it.terminal.fault(act)
        with contextlib.suppress(PortError):  # the line was away just then: nobody was asked to pay
            it.until(lambda: it.lane.state().line == "open")
            it.sell(f"r-{number}", amount)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),  # an example takes a second: smaller ones are not looked for
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(acts=ACTS, cuts=MOMENTS, babble=BABBLE, bytewise=st.booleans())
def test_whatever_the_line_does_each_approved_sale_earns_once(
    acts: list[Act], cuts: list[int], babble: dict[int, bytes], bytewise: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        shop = Shop(directory)
        terminal = Terminal(tid=TID, tail=b"\n", response_waits_s=(0.3, 0.3, 0.3))
        rough = RoughLine(terminal, [], {}, bytewise=bytewise)
        path = directory / "terminal"
        it = Running(shop, terminal, serve_pty(rough, path), str(path), ANSWER_TIMEOUT_S)
        try:
            it.until(lambda: it.lane._polling.answered_at is not None)  # the baseline: an empty list
            rough._cuts = [rough.crossed + cut for cut in sorted(cuts)]
            rough._babble = {rough.crossed + at: noise for at, noise in sorted(babble.items())}
            live(it, acts)
            rough.mend()
            for _twice in range(2):
                before = it.lane._polling.answered_at
                it.until(lambda: it.lane._polling.answered_at != before)  # noqa: B023  used up at once
            it.until(lambda: not it.lane._lookup.in_doubt())
            assert earned(shop) == sorted((r.rrn, r.amount) for r in terminal.journal if r.approved)
            assert it.lane.state().line == "open"
            assert shop.verified().bad == ()
        finally:
            it.stop()
            shop.ledger.close()
