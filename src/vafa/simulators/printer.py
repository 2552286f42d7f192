"""A pretend ESC/POS receipt printer: prints on a roll that can be looked at, and has a printer's troubles.

It is served on a line like the pretend terminals (`tcp_line`, `pty_line`). A slip ends where the paper is
cut, or fed far enough to be torn off. Without paper, or with its cover open, it answers questions but prints
nothing; what it was sent meanwhile is printed afterwards, as a real one's buffer is.
"""

from collections import deque
from collections.abc import Callable
from threading import Event, RLock

from vafa.model.errors import Refused
from vafa.simulators.escpos_bytes import (
    Align,
    Ask,
    Command,
    Cut,
    Feed,
    NewLine,
    Raster,
    Reader,
    Reset,
    Symbol,
    Text,
)  # fmt: skip
from vafa.simulators.line_trouble import Drop
from vafa.simulators.roll import Roll

TORN_OFF_ROWS = 64  # 8 mm of white paper: the customer has the slip
TROUBLES = ("paper-out", "paper-low", "cover-open", "offline", "mute", "drop-link")
_STOPS = {"paper-out", "cover-open", "offline"}
_STORE, _PRINT, _SIZE = 0x50, 0x51, 0x43


class Printer:
    """`width_px` and `code_page` as the printer was built; `bytes_a_second` 0 is as fast as the line.

    on_slip  told of each finished slip; wait  passes time (replaced in tests)
    """

    def __init__(
        self,
        width_px: int = 384,
        code_page: str = "iransystem",
        bytes_a_second: int = 0,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self.width_px, self.code_page, self.bytes_a_second = width_px, code_page, bytes_a_second
        self.on_slip: Callable[[Roll], None] = lambda _: None
        self.slips: list[Roll] = []
        self.received = 0  # bytes since the start
        self._wait = wait or Event().wait
        self._troubles: set[str] = set()
        self._paper_rows: int | None = None  # until it is out; None: a roll that never ends
        self._reader = Reader()
        self._unprinted: deque[Command] = deque()
        self._roll = Roll(width_px, code_page)
        self._line = b""
        self._symbol, self._module_dots = b"", 6
        self._lock = RLock()

    def trouble(self, name: str, *, on: bool = True) -> None:
        """Begin or end a trouble. Refused: no such one."""
        if name not in TROUBLES:
            raise Refused(f"no trouble is called {name!r}", fix="one of " + ", ".join(TROUBLES))
        with self._lock:
            (self._troubles.add if on else self._troubles.discard)(name)
            if name == "paper-out" and not on:
                self._paper_rows = None

    def paper(self, rows: int) -> None:
        """The paper ends after so many more rows."""
        with self._lock:
            self._paper_rows = rows

    # What a line needs

    def feed(self, data: bytes, _now: float) -> bytes:
        """Take bytes; what is answered to them."""
        if self.bytes_a_second:
            self._wait(len(data) / self.bytes_a_second)
        with self._lock:
            self.received += len(data)
            said = b""
            for command in self._reader.feed(data):
                if isinstance(command, Ask):
                    said += self._status(command.what)
                else:
                    self._unprinted.append(command)
            self._print()
            return said

    def step(self, _now: float) -> bytes:
        """Time passes: what waited for paper is printed."""
        with self._lock:
            self._print()
        return b""

    def link_lost(self) -> None:
        """The host closed the line: what it had begun to say is not finished any more."""
        with self._lock:
            self._reader = Reader()

    def take_drop(self) -> Drop | None:
        """How the line is to drop now; once."""
        with self._lock:
            dropping = "drop-link" in self._troubles
            self._troubles.discard("drop-link")
            return Drop("close") if dropping else None

    # Printing

    def _status(self, what: int) -> bytes:
        """Epson's answers to DLE EOT 1, 2 and 4: bits 1 and 4 are always set."""
        if "mute" in self._troubles:
            return b""
        troubles, answer = self._troubles, 0x12
        if what == 1 and troubles & _STOPS:
            answer |= 0x08
        if what == 2:
            answer |= 0x04 * ("cover-open" in troubles) | 0x20 * ("paper-out" in troubles)
        if what == 4:
            answer |= 0x0C * bool(troubles & {"paper-low", "paper-out"}) | 0x60 * ("paper-out" in troubles)
        return bytes((answer,))

    def _print(self) -> None:
        while self._unprinted and not self._troubles & _STOPS:
            self._do(self._unprinted.popleft())

    def _do(self, command: Command) -> None:
        match command:
            case Text(data):
                self._line += data
            case NewLine():
                self._roll.text(self._line)
                self._line = b""
                self._used(30)
            case Raster(width_bytes, height, data):
                self._roll.dots(width_bytes, height, data)
                self._used(height)
            case Symbol(function, data):
                self._do_symbol(function, data)
            case Feed(rows):
                self._roll.feed(rows)
                self._used(rows)
                if rows >= TORN_OFF_ROWS:
                    self._finish()
            case Cut():
                self._finish()
            case Reset():
                self._finish()
                self._line = b""
            case Align() | Ask():
                pass  # pictures and codes stand where they stand; questions were answered when they came

    def _do_symbol(self, function: int, data: bytes) -> None:
        if function == _SIZE and data:
            self._module_dots = data[0]
        elif function == _STORE:
            self._symbol = data[1:]
        elif function == _PRINT and self._symbol:
            self._roll.symbol(self._symbol, self._module_dots)
            self._used(40 * self._module_dots)

    def _used(self, rows: int) -> None:
        if self._paper_rows is not None:
            self._paper_rows -= rows
            if self._paper_rows <= 0:
                self._troubles.add("paper-out")

    def _finish(self) -> None:
        if not self._roll.empty:
            self.slips.append(self._roll)
            self.on_slip(self._roll)
        self._roll = Roll(self.width_px, self.code_page)
