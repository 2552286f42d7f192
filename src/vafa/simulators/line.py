"""What a served line has in common: a thread with an address, and a clean stop."""

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Protocol

from vafa.simulators.line_trouble import Drop

POLL_S = 0.02  # how late a timer of the terminal may strike
READ_BYTES = 4096


class Speaker(Protocol):
    """What a line needs of a pretend machine; `sadad.Terminal` is one."""

    def feed(self, data: bytes, now: float) -> bytes: ...

    def step(self, now: float) -> bytes: ...

    def link_lost(self) -> None: ...

    def take_drop(self) -> Drop | None: ...


class Line:
    """A machine being served. `address` is what a client opens; `stop` ends it and waits for its thread.

    The loop wakes every POLL_S: a simulator may spend a little to stay simple.
    """

    def __init__(self, address: str, serve: Callable[[Event], None]) -> None:
        self.address = address
        self._stopping = Event()
        self._thread = Thread(target=serve, args=(self._stopping,), name=f"line {address}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the line. May be called twice."""
        self._stopping.set()
        self._thread.join()

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def be_away(terminal: Speaker, away_s: float, stopping: Event) -> None:
    """Nobody is there for so long, at the terminal's end of the line; customers at the keypad go on."""
    until = now() + away_s
    while now() < until and not stopping.wait(POLL_S):
        terminal.step(now())


def now() -> float:
    """Seconds of the clock all lines run on."""
    return time.monotonic()
