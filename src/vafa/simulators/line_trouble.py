"""What can go wrong with a terminal's line as a whole: nothing is heard, nothing is understood, it goes away.

Stands between a Terminal and whatever serves it. Bytes of the cash register pass `hears` on their way in, the
terminal's pass `says` on their way out; what cuts the line is a Drop that the server takes.
"""

from random import Random
from typing import Literal, NamedTuple

from vafa.simulators import sadad_bytes as wire
from vafa.simulators.faults import Faults

STORM_EVERY_S = 0.2
_SPEEDS_APART = 12  # 115200 to 9600: so many bytes of a fast line fall into one of a slow one


class Drop(NamedTuple):
    """The line ends: `close` in order, `reset` without; nobody is there for `away_s` after it."""

    how: Literal["close", "reset"] = "close"
    away_s: float = 0.0


class LineTrouble:
    """One terminal's. `reboot_s`: how long it is away when it restarts."""

    def __init__(self, faults: Faults, random: Random) -> None:
        self.reboot_s = 60.0
        self._faults = faults
        self._random = random
        self._garble: bytes = b""
        self._nacks_owed = 0
        self._stormed_at = float("-inf")
        self._is_dead = False  # half-open: this connection is never served again
        self._drop: Drop | None = None

    def hears(self, data: bytes, sale: int) -> bytes:
        """What of the cash register's bytes the terminal hears."""
        if self._is_dead or self._faults.use("mute", sale):
            return b""
        if self._faults.use("wrong-baud", sale):
            self._garble += self._random.randbytes(1 + len(data) // _SPEEDS_APART)
            return b""
        if self._faults.use("nack-storm", sale):
            self._nacks_owed += 1
            return b""
        return data

    def says(self, data: bytes, now: float, sale: int) -> bytes:
        """What of the terminal's bytes leaves, and what leaves besides."""
        for name, drop in (("reset", Drop("reset")), ("reboot", Drop("close", self.reboot_s))):
            if self._faults.use(name, sale):
                self._drop = drop
        if self._faults.use("half-open", sale):
            self._is_dead = True
        if self._is_dead:
            return b""
        if data and self._faults.use("wrong-baud", sale):
            data = self._random.randbytes(1 + len(data) // _SPEEDS_APART)
        garble, self._garble = self._garble, b""
        return data + garble + self._storm(now, sale)

    def _storm(self, now: float, sale: int) -> bytes:
        if now - self._stormed_at >= STORM_EVERY_S and self._faults.use("nack-storm", sale):
            self._nacks_owed += 1
            self._stormed_at = now
        owed, self._nacks_owed = self._nacks_owed, 0
        return wire.build(wire.PLAIN, wire.NACK) * owed

    def take_drop(self) -> Drop | None:
        """The end of the line, once, when there is one."""
        drop, self._drop = self._drop, None
        return drop

    def cut(self) -> None:
        """Cut the line now, in order."""
        self._drop = Drop("close")

    @property
    def is_cut(self) -> bool:
        """True from `cut` until it was taken."""
        return self._drop is not None

    def lost(self) -> None:
        """The line is gone, and what was wrong with that one line."""
        self._garble, self._nacks_owed, self._is_dead, self._drop = b"", 0, False, None
