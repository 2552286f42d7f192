"""A serial line with the relay in it: the cash register's port and the terminal's, each opened with patience.

The two come and go by themselves, as two halves of a cable: a port that is not there takes no bytes, and what
the other one says is copied all the same, since an approval nobody hears is still paid.
"""

from collections.abc import Callable

from vafa.model.errors import PortError
from vafa.ports.relay_loop import Watcher
from vafa.ports.relay_pair import Copy, End, Pair
from vafa.ports.relay_wire import TO_REGISTER, TO_TERMINAL
from vafa.ports.serial_line import open_port

REOPEN_S = 1.0


class SerialLine:
    """Owns both ports. `copy` gets every byte; `changed` is called when `state()` may have changed."""

    def __init__(
        self, listen: str, address: str, baud: int, watcher: Watcher, copy: Copy, changed: Callable[[], None]
    ) -> None:
        self._paths = {TO_TERMINAL: listen, TO_REGISTER: address}  # by the direction of what is read there
        self._baud = baud
        self.pair = Pair(watcher, copy, self._hung_up, self._broke)
        self.ending: Callable[[], None] = lambda: None  # before an end goes; who borrows the line sets it
        self._copy, self._changed = copy, changed
        self._open: dict[End, Callable[[], None]] = {}
        self._trouble: dict[bytes, str] = {}
        self._try_at = 0.0

    def state(self) -> tuple[str, str]:
        """(`open` when both ports are, why one is not)."""
        return ("open" if len(self._open) == 2 else "closed"), "; ".join(self._trouble.values())

    def tick(self, now: float) -> None:
        """Opens what is not open."""
        if len(self._open) == 2 or now < self._try_at:
            return
        self._try_at = now + REOPEN_S
        there = {end.direction for end in self._open}
        for direction, path in self._paths.items():
            if direction not in there:
                self._try(direction, path)
        self._changed()

    def due_in_s(self, now: float) -> float | None:
        """How long until `tick` has something to do; None while it has not."""
        return None if len(self._open) == 2 else max(0.0, self._try_at - now)

    def lend(self) -> str:
        """'' when the terminal's port can be spoken into, else why not."""
        if not any(end.direction == TO_REGISTER for end in self._open):
            return "the terminal's port is not open"
        return "bytes wait on the line" if any(end.waiting for end in self._open) else ""

    def take_back(self) -> bool:
        """What the terminal still says comes in by the same port."""
        return False

    def close(self) -> None:
        """Gives both ports back."""
        self.ending()
        for end in list(self._open):
            self.pair.flush(end)
        for end in list(self._open):
            self._give_back(end)

    def _try(self, direction: bytes, path: str) -> None:
        try:
            port = open_port(path, self._baud)
        except PortError as error:
            self._trouble[direction] = str(error)
            return
        self._trouble.pop(direction, None)
        end = End(port.fileno(), direction)
        self._open[end] = port.close
        self.pair.add(end)

    def _hung_up(self, end: End) -> None:
        self._broke(end, "the far end hung up")

    def _broke(self, end: End, why: str) -> None:
        self.ending()
        if end not in self._open:
            return
        self._trouble[end.direction] = f"{self._paths[end.direction]}: the line is gone ({why})"
        self._give_back(end)
        self._copy(end.direction, b"")
        self._changed()

    def _give_back(self, end: End) -> None:
        release = self._open.pop(end)
        self.pair.remove(end)
        release()
