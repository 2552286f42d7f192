"""The demo's receipt printer: `vafa simulate printer` on a pretend serial port, drawing each slip it gets.

The daemon prints on it as on any other: slips as dots, after the award, the claim's QR code by the printer's
own command. Where this machine cannot set Persian type there is no printer, and the demo says so.
"""

import contextlib
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from vafa.model.errors import ReceiptFault, VafaError
from vafa.receipt.page import Letterhead

LETTERHEAD = Letterhead(footer=("تلفن: 021-88776655",), code="https://negin.example/join?code={claim}")
CONFIG = f"""\
[receipt]
footer = ["{LETTERHEAD.footer[0]}"]
code = "{LETTERHEAD.code}"
[[printer]]
name = "counter"
address = "@/printer"
profile = "escpos-58"
flow = "none"
"""
LOOK = "vafa demo --keep DIR, then look at DIR/printer.log"
_LOOK_EVERY_S = 0.05


def why_no_pictures() -> ReceiptFault | None:
    """What keeps this machine from setting Persian type; None when nothing does."""
    from vafa.receipt.raster import WIDTHS_PX, Typesetter

    try:
        Typesetter(WIDTHS_PX[0])
    except ReceiptFault as fault:
        return fault
    return None


class Printer:
    """A pretend printer, running. Its slips lie in `slips`, slip-1.png first."""

    def __init__(
        self, command: tuple[str, ...], run: Path, state: Path, environment: Mapping[str, str]
    ) -> None:
        self.slips = state / "slips"
        port = run / "printer"
        options = ("simulate", "printer", "--pty", str(port), "--save", str(self.slips), "--json")
        with (state / "printer.log").open("ab") as log:
            self.process = subprocess.Popen(
                (*command, *options),
                stdin=subprocess.PIPE,  # it ends with us
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        try:
            self._until(port.exists, 30.0, "is not there")
        except VafaError:
            self.close()
            raise

    def pictures(self) -> list[Path]:
        """Each slip so far, in the order they came out."""
        return sorted(self.slips.glob("slip-*.png"), key=lambda path: int(path.stem.partition("-")[2]))

    def wait_for(self, slips: int, within_s: float) -> int:
        """Wait until so many slips are out; how many there are, fewer when the time is over."""
        with contextlib.suppress(VafaError):
            self._until(lambda: len(self.pictures()) >= slips, within_s, "is slow")
        return len(self.pictures())

    def close(self) -> None:
        """Switch it off."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()

    def _until(self, true: Callable[[], bool], within_s: float, trouble: str) -> None:
        until = time.monotonic() + within_s
        while not true():
            if self.process.poll() is not None or time.monotonic() > until:
                raise VafaError(f"the pretend printer {trouble}", fix=LOOK)
            time.sleep(_LOOK_EVERY_S)
