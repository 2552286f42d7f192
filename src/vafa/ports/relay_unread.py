"""One byte that outlives the relay: were there copies that the daemon had not acknowledged?

The copies themselves live in memory only. When a relay dies with some of them, the next one must know that
bytes crossed which nobody can read any more, and when it dies without, that nothing is missing: otherwise
every restart would be a gap which somebody has to look into.

The byte is kept twice. Beside the socket (a file system in memory): written at once, survives a killed relay.
In the state directory: written by a thread of its own once it has been so for a second, because a disk may
take its time and the line may not; survives a power cut. The second in between is short against a sale.
"""

import contextlib
import os
import threading
from pathlib import Path
from queue import SimpleQueue

UNREAD, NOTHING_UNREAD = b"1", b"0"
SETTLED_AFTER_S = 1.0


class UnreadMark:
    """The mark of one line.

    was_unread  what the last relay left behind
    trouble     why the mark cannot be kept, '' when it can
    """

    def __init__(self, quick: Path, durable: Path) -> None:
        self.was_unread = False
        self.trouble = ""
        self._unread = False
        self._since = 0.0
        self._settled: bool | None = None
        self._quick = self._open(quick)
        self._durable = self._open(durable)
        self._asked: SimpleQueue[bool | None] = SimpleQueue()
        self._writer = threading.Thread(target=self._write, name=f"mark {durable.name}", daemon=True)
        self._writer.start()

    def set(self, now: float, *, unread: bool) -> None:
        """How it stands; `now` in seconds of a monotonic clock. Costs nothing when nothing changed."""
        if unread != self._unread:
            self._unread, self._since = unread, now
            self._put(self._quick, unread=unread)
        if unread != self._settled and (not unread or now - self._since >= SETTLED_AFTER_S):
            self._settled = unread
            self._asked.put(unread)

    def close(self, *, unread: bool) -> None:
        """The last word, on the disk when this returns."""
        self._put(self._quick, unread=unread)
        self._asked.put(unread)
        self._asked.put(None)
        self._writer.join()
        for descriptor in (self._quick, self._durable):
            if descriptor >= 0:
                os.close(descriptor)

    def _open(self, path: Path) -> int:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self.trouble = f"{path} cannot be written ({error.strerror})"
            return -1
        self.was_unread |= os.pread(descriptor, 1, 0) == UNREAD
        return descriptor

    def _put(self, descriptor: int, *, unread: bool) -> None:
        if descriptor >= 0:
            with contextlib.suppress(OSError):  # a full disk: the other copy of the mark still stands
                os.pwrite(descriptor, UNREAD if unread else NOTHING_UNREAD, 0)

    def _write(self) -> None:
        """The thread that waits for the disk."""
        while (unread := self._asked.get()) is not None:
            self._put(self._durable, unread=unread)
            if self._durable >= 0:
                with contextlib.suppress(OSError):
                    os.fdatasync(self._durable)
