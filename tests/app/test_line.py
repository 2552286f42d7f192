"""A lane's line: opened with patience, lost without fuss, and never hammered."""

from collections.abc import Callable

import pytest

from vafa.app.line import REOPEN_S, STEADY_AFTER_S, Line
from vafa.model.errors import PortError
from vafa.ports.clock import ManualClock


class Scripted:
    """A link that reads what it is told, and breaks when told nothing more."""

    name = "scripted"

    def __init__(self, *reads: bytes) -> None:
        self._reads = list(reads)
        self.closed = self.interrupted = 0
        self.written: list[bytes] = []

    def read(self, wait_s: float) -> bytes:
        if not self._reads:
            raise PortError("the far end hung up")
        return self._reads.pop(0)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def interrupt(self) -> None:
        self.interrupted += 1

    def close(self) -> None:
        self.closed += 1


def attempts_in(line: Line, clock: ManualClock, seconds: float, use: Callable[[], None]) -> int:
    """How often the line was opened or tried within so many seconds of an eager caller."""
    attempts, until = 0, clock.monotonic() + seconds
    while clock.monotonic() < until:
        before = line.patience_s
        if line.reopen():
            attempts += 1
            use()
        elif not before:
            attempts += 1
        clock.advance(0.01)
    return attempts


def test_a_line_that_cannot_be_opened_is_tried_with_growing_patience() -> None:
    clock = ManualClock(monotonic=50.0)

    def refuse() -> Scripted:
        raise PortError("not there", fix="plug it in")

    line = Line(refuse, clock)
    assert not line.reopen()
    assert (line.trouble, line.is_open) == ("not there", False)
    assert line.failure is not None
    assert line.failure.fix == "plug it in"
    pauses = []
    for _ in range(7):
        pauses.append(round(line.patience_s, 3))
        clock.advance(line.patience_s)
        assert not line.reopen()
    assert pauses == [*REOPEN_S, REOPEN_S[-1], REOPEN_S[-1]]


def test_a_line_that_opens_and_breaks_at_once_is_not_hammered() -> None:
    clock = ManualClock(monotonic=50.0)
    line = Line(Scripted, clock)

    def use() -> None:
        with pytest.raises(PortError) as broken:
            line.read(0)
        line.lost(broken.value)

    assert attempts_in(line, clock, 60, use) < 20


@pytest.mark.parametrize(("reads", "stood_s"), [((b"\x02",), 0.0), ((), STEADY_AFTER_S + 1)])
def test_a_line_that_was_good_is_opened_again_soon(reads: tuple[bytes, ...], stood_s: float) -> None:
    clock = ManualClock(monotonic=50.0)
    line = Line(lambda: Scripted(*reads), clock)
    for _ in range(5):
        assert line.reopen()
        for _read in reads:
            line.read(0)
        clock.advance(stood_s)
        line.lost(PortError("gone"))
        assert line.patience_s == pytest.approx(REOPEN_S[0])
        clock.advance(REOPEN_S[0] + 0.001)
    assert line.failure is None


def test_a_lost_line_is_closed_once_and_says_why_until_it_is_open_again() -> None:
    clock = ManualClock(monotonic=50.0)
    links: list[Scripted] = []

    def another() -> Scripted:
        links.append(Scripted(b"x"))
        return links[-1]

    line = Line(another, clock)
    line.reopen()
    line.write(b"hello")
    line.lost(PortError("the far end hung up"))
    line.close()
    assert (links[0].closed, links[0].written, line.trouble) == (1, [b"hello"], "the far end hung up")
    line.write(b"into a cut cable")
    line.interrupt()
    with pytest.raises(PortError):
        line.read(0)
    clock.advance(10)
    assert line.reopen()
    assert line.trouble == ""
    line.interrupt()
    assert [link.interrupted for link in links] == [0, 1]
