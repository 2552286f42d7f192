"""The two clocks of a device: the wall clock, which lies, and the monotonic one, which only measures spans.

Everything that needs a time takes a Clock, so that a test or a simulation runs a whole day in a moment and
can make the wall clock jump 56 years, as a flat RTC cell does.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What everything that needs a time is given."""

    def wall_ms(self) -> int:
        """UTC milliseconds since 1970 as the device believes them; shown, never used for order."""
        ...

    def monotonic(self) -> float:
        """Seconds from some start; never goes back, unmoved by a set clock."""
        ...


class SystemClock:
    """The machine's own."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """Stands still until it is told otherwise; for tests and simulations."""

    def __init__(self, wall_ms: int = 1_764_000_000_000, monotonic: float = 0.0) -> None:
        self._wall_ms = wall_ms
        self._monotonic = monotonic

    def wall_ms(self) -> int:
        return self._wall_ms

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Time passes: both clocks move."""
        assert seconds >= 0, "monotonic time never goes back"
        self._wall_ms += round(seconds * 1000)
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock, forth or back; no time passes."""
        self._wall_ms += round(seconds * 1000)
