"""The printers of a shop: made from the configuration, run by the daemon, seen by `status`."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from vafa.app.aside import Failed, run_aside
from vafa.app.config import Config, Printer
from vafa.app.live import PrinterState
from vafa.app.paper import Paper
from vafa.ledger.ledger import Ledger
from vafa.model.errors import NotFound, ReceiptFault
from vafa.ports.clock import Clock
from vafa.receipt.page import Letterhead, Page

if TYPE_CHECKING:
    from vafa.app.printing import Press
    from vafa.app.slips import Slips
    from vafa.receipt import press

SET_WITHIN_S = 20.0


class Printers:
    """All of them. Without one in the configuration nothing is started and nothing follows the ledger."""

    def __init__(self, config: Config, ledger: Ledger, paper: Paper, clock: Clock) -> None:
        self._presses: dict[str, Press] = {}
        self._slips: Slips | None = None
        if not config.printer:
            return
        from vafa.app import slips  # a device without a printer loads none of this

        by_terminal: dict[str, list[Press]] = {}
        automatic = tuple(t.id for t in config.terminal if t.mode != "local")
        for each in config.printer:
            made = self._presses[each.name] = _press(each, clock)
            for tid in each.terminals or automatic:
                by_terminal.setdefault(tid, []).append(made)
        self._slips = slips.Slips(ledger, paper, by_terminal)
        ledger.followers.append(self._slips.wake)

    def threads(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """(name, work) of what the daemon is to run."""
        if self._slips is not None:
            yield "slips", self._slips.run
        for name, each in self._presses.items():
            yield f"printer {name}", each.run

    def stop(self) -> None:
        """The threads end; a page in hand is finished first."""
        if self._slips is not None:
            self._slips.stop()
        for each in self._presses.values():
            each.stop()

    def states(self) -> tuple[PrinterState, ...]:
        """Each printer now."""
        return tuple(each.state() for each in self._presses.values())

    def print_on(self, name: str, number: str, page: Page) -> str:
        """Print a page on the printer called `name` ('': the first). Its name. NotFound."""
        wanted = name or next(iter(self._presses), "")
        found = self._presses.get(wanted)
        if found is None:
            raise NotFound(
                f"there is no printer {name!r}" if name else "no printer is configured",
                fix="printers of this device: " + (", ".join(self._presses) or "none; see [[printer]]"),
            )
        found.offer(number, page)
        return wanted


def _press(printer: Printer, clock: Clock) -> "Press":
    from vafa.app.printing import Press
    from vafa.ports.printer import Flow, open_printer

    return Press(
        printer.name,
        printer.address,
        printer.profile,
        lambda: open_printer(printer.address, printer.baud, Flow(printer.flow)),
        set_aside,
        clock,
    )


def letterhead(config: Config) -> Letterhead:
    """The merchant's own lines."""
    own = config.receipt
    logo = str(config.directory / own.logo) if own.logo else ""
    return Letterhead(tuple(own.header), tuple(own.footer), logo, own.code)


def set_aside(page: Page, profile: str) -> "press.Set":
    """The page in the profile's bytes, set by a process of its own. ReceiptFault when it cannot be set."""
    from vafa.receipt import press

    try:
        answer = run_aside(
            "vafa.receipt.press",
            given=msgspec.msgpack.encode(press.Ask(page, profile)),
            within_s=SET_WITHIN_S,
        )
        done = msgspec.msgpack.decode(answer, type=press.Set)
    except (Failed, msgspec.DecodeError) as failure:
        raise ReceiptFault(
            f"the slip could not be set ({failure})", fix="vafa receipt sample", code="PRN-013"
        ) from failure
    if not done.pieces:
        raise ReceiptFault(done.fault, fix=done.fix, code=done.code)
    return done
