"""A lane in its thread, over a real pty or TCP port, with the pretend terminal behind it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from lane_bench import joined
from shop import TID, Shop

from vafa.app.lane import Lane, LaneSettings
from vafa.app.paper import Paper
from vafa.app.selling import SaleEnd
from vafa.model.money import Currency
from vafa.ports.clock import SystemClock
from vafa.ports.link import open_link
from vafa.simulators.line import Line
from vafa.simulators.pty_line import serve_pty
from vafa.simulators.sadad import Terminal
from vafa.simulators.tcp_line import serve_tcp

ANSWER_TIMEOUT_S = 2.0
PATIENCE_S = 20.0
# What a real terminal needs seconds for, the pretend one does at once: a day of faults in a few seconds.
HURRIED: dict[str, object] = {
    "vafa.codecs.sadad_dialogue.INM_ANSWER_S": 0.15,
    "vafa.codecs.sadad_dialogue.REQUEST_ANSWER_S": 0.5,
    "vafa.codecs.sadad_dialogue.JOURNAL_ANSWER_S": 0.5,
    "vafa.app.hearing.QUIET_BEFORE_FLUSH_S": 0.1,
    "vafa.app.line.REOPEN_S": (0.01, 0.02, 0.05),
    "vafa.app.poll.PAUSE_MIN_S": 0.05,
    "vafa.app.poll.PAUSE_MAX_S": 0.1,
    "vafa.app.poll.PAUSE_UNMEASURED_S": 0.05,
    "vafa.app.poll.REFUSED_PAUSES_S": (0.05,),
    "vafa.app.polling.PAUSE_MIN_S": 0.05,
    "vafa.app.lookup.ASK_AGAIN_S": (0.05,),
    "vafa.simulators.pty_line.UNPLUGGED_S": 0.02,
}
Serve = Callable[[Terminal, Path], tuple[Line, str]]


class Running:
    """A lane in its thread, and the terminal it talks to."""

    def __init__(
        self,
        shop: Shop,
        terminal: Terminal,
        served: Line,
        address: str,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self.shop, self.terminal, self.served = shop, terminal, served
        paper = Paper("کافه نگین", "", "fa", "Asia/Tehran", shop.programmes)
        settings = LaneSettings(TID, address, False, "fa", answer_timeout_s)
        clock = SystemClock()
        self.lane = Lane(
            settings, shop.counter, shop.sales, paper, clock, lambda: open_link(address, 115200), {}
        )
        self._thread = threading.Thread(target=self.lane.run, name="lane")
        self._thread.start()

    def sell(self, request: str, amount: int = 105) -> SaleEnd:
        return self.lane.sell(request, amount, b"", Currency.RIAL_CURRENT)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Ask often, for a bounded time: the lane has a thread of its own."""
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < end
            self.lane._stopping.wait(0.01)

    @property
    def code(self) -> str:
        """The code `status` shows of the lane, '' when nothing is wrong with it."""
        return self.lane.state().code

    def stop(self) -> None:
        self.lane.stop()
        joined([self._thread])
        self.served.stop()


def on_pty(terminal: Terminal, directory: Path) -> tuple[Line, str]:
    path = directory / "terminal"
    return serve_pty(terminal, path), str(path)


def on_tcp(terminal: Terminal, _directory: Path) -> tuple[Line, str]:
    served = serve_tcp(terminal)
    return served, f"tcp:{served.address}"
