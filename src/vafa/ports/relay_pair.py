"""Two ends of a line and the bytes between them: read here, copied, written there, at once and unchanged.

    cash register --> end | copy | end --> terminal        and back

What one end cannot take yet waits in memory, and while much waits nothing more is read at the other: as on a
direct line the sender is slowed. The copy is made and handed to the daemon before the bytes go on, so that
nothing crosses which is not told; handing over never waits.
"""

import os
from collections.abc import Callable

from vafa.ports.relay_loop import GONE, READABLE, WRITABLE, Watcher

READ_BYTES_MAX = 16_384
WAITING_BYTES_MAX = 65_536

Copy = Callable[[bytes, bytes], None]
"""Takes a direction of relay_wire and the bytes."""
Divert = Callable[[bytes, bytes], bytes]
"""Takes a direction and the bytes that are read; returns those of them that go on now."""


class End:
    """One end: its descriptor (non-blocking), the direction of what is read here, what waits to be written.

    heard_eof  the far end says no more; said_eof: it was told that the other one says no more
    """

    __slots__ = ("act", "descriptor", "direction", "heard_eof", "said_eof", "waiting")

    def __init__(self, descriptor: int, direction: bytes) -> None:
        self.descriptor = descriptor
        self.direction = direction
        self.waiting = bytearray()
        self.heard_eof = self.said_eof = False
        self.act: Callable[[int], None] = lambda _events: None


class Pair:
    """The ends while they stand: two, one, or none.

    hung_up  called with an end that said its last byte (EOF), and again when all of it is written
    broke    called with an end that is gone, and why
    divert   while the line is lent: looks at what is read before it is copied and goes on
    """

    def __init__(
        self, watcher: Watcher, copy: Copy, hung_up: Callable[[End], None], broke: Callable[[End, str], None]
    ) -> None:
        self._watcher, self._copy = watcher, copy
        self._hung_up, self._broke = hung_up, broke
        self.ends: list[End] = []
        self.divert: Divert | None = None

    def add(self, end: End) -> None:
        """From now on bytes are taken at this end and written to it."""
        end.act = lambda events: self._act(end, events)
        self.ends.append(end)
        self._watch_all()

    def remove(self, end: End) -> None:
        """The end is gone; what waited for it goes nowhere, as into a cut cable."""
        self.ends.remove(end)
        self._watcher.forget(end.descriptor)
        self._watch_all()

    def across(self, end: End) -> End | None:
        """The other end, None while it is not there."""
        return next((each for each in self.ends if each is not end), None)

    def forward(self, direction: bytes, data: bytes) -> None:
        """What was diverted goes on: copied, then written, as if it came now."""
        self._pass_on(direction, data)
        self._watch_all()

    def say(self, direction: bytes, data: bytes) -> None:
        """Words that are not the far end's, in its direction; they are not copied."""
        self._write(direction, data)
        self._watch_all()

    def flush(self, end: End) -> None:
        """Write what waits, as much as the end takes now."""
        while end.waiting:
            try:
                written = os.write(end.descriptor, end.waiting)
            except BlockingIOError:
                return
            except OSError as error:
                self._broke(end, error.strerror or str(error))
                return
            del end.waiting[:written]

    def _act(self, end: End, events: int) -> None:
        if events & WRITABLE and end.waiting:
            self.flush(end)
            across = self.across(end)
            if not end.waiting and end in self.ends and across is not None and across.heard_eof:
                self._hung_up(across)
        if end in self.ends and events & (READABLE | GONE):
            if self._may_read(end):
                self._read(end)
            elif events & GONE:
                self._broke(end, "the far end is gone")
        self._watch_all()

    def _read(self, end: End) -> None:
        try:
            data = os.read(end.descriptor, READ_BYTES_MAX)
        except BlockingIOError:
            return
        except OSError as error:
            self._broke(end, error.strerror or str(error))
            return
        if not data:
            end.heard_eof = True
            self._hung_up(end)
            return
        if self.divert is not None:
            data = self.divert(end.direction, data)
        if data:
            self._pass_on(end.direction, data)

    def _pass_on(self, direction: bytes, data: bytes) -> None:
        self._copy(direction, data)
        self._write(direction, data)

    def _write(self, direction: bytes, data: bytes) -> None:
        across = next((each for each in self.ends if each.direction != direction), None)
        if across is not None:
            across.waiting += data
            self.flush(across)

    def _may_read(self, end: End) -> bool:
        across = self.across(end)
        return not end.heard_eof and (across is None or len(across.waiting) < WAITING_BYTES_MAX)

    def _watch_all(self) -> None:
        for end in self.ends:
            events = (READABLE if self._may_read(end) else 0) | (WRITABLE if end.waiting else 0)
            self._watcher.watch(end.descriptor, events, end.act)
