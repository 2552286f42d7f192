"""`vafa doctor`, receipt printers: is each there, may the service use it, and what does it say itself?

While the daemon runs its word counts; with the daemon down each printer is opened and asked here, and given
back at once. A printer's trouble is never a failure: sales go on, and points depend on no paper. Where slips
are drawn, a known Persian line is drawn here too, and the merchant's logo is read.

`print_samples` is what `vafa doctor --print` adds: the one thing of the doctor's that uses something up.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from vafa.app.config import Printer
from vafa.app.doctor_ports import refused
from vafa.app.findings import Finding, Patient
from vafa.app.printers import letterhead, set_aside
from vafa.app.printing import AFTER_A_SLIP_S, told
from vafa.app.standing import PrinterFacts
from vafa.model.errors import ConfigError, ReceiptFault, VafaError
from vafa.ports.link import TCP_PREFIX
from vafa.ports.printer import Flow, open_printer
from vafa.receipt.escpos import ASKED
from vafa.receipt.page import page
from vafa.receipt.profiles import PROFILES
from vafa.receipt.slip import sample

NAME = "printer"
PRINT = "print"  # the row of `doctor --print`
PRINTED_WITHIN_S = 60.0  # a long slip at 9600 baud takes half of that
_LOOK_EVERY_S = 0.3
_WELL = ("ready", "paper low")


class Daemon(Struct, frozen=True):
    """What `print_samples` needs of the running daemon.

    print_on  has a sample printed on the printer of that name; raises VafaError
    printers  each printer as `status` has it now; raises VafaError
    wait      passes time
    """

    print_on: Callable[[str], object]
    printers: Callable[[], tuple[PrinterFacts, ...]]
    wait: Callable[[float], object] = time.sleep


def look(patient: Patient) -> Iterator[Finding]:
    """One finding a printer; what is wrong with the merchant's own lines; whether Persian can be set."""
    printers = patient.config.printer
    if not printers:
        yield Finding("ok", NAME, "none is configured; points stand where the terminal prints text")
    if any(PROFILES[each.profile].width_px for each in printers):
        yield from _of_type(patient)
    for printer in printers:
        yield _by_daemon(patient, printer) if patient.alive else _by_asking(printer, patient)


def _of_type(patient: Patient) -> Iterator[Finding]:
    """Pillow with the FriBidi library draws the known line; the logo is a picture."""
    from vafa.receipt.raster import WIDTHS_PX, Typesetter, logo

    try:
        Typesetter(WIDTHS_PX[0])
        yield Finding("ok", NAME, "Persian letters come out joined and in order")
        head = letterhead(patient.config)
        if head.logo:
            dots = logo(Path(head.logo), WIDTHS_PX[0])
            yield Finding("ok", NAME, f"{head.logo}: {dots.width} x {dots.height} dots on the paper")
    except ReceiptFault as fault:
        yield Finding("warn", NAME, str(fault), fix=fault.fix, code=fault.code)


def _by_daemon(patient: Patient, printer: Printer) -> Finding:
    """Its trouble stands in `status` already and is told under this check."""
    if patient.status is None or not patient.running:
        return Finding("ok", NAME, f"{printer.name}: not asked, a silent daemon has it")
    seen = _seen(printer, patient.status.printers)
    if seen is None:
        return Finding(
            "warn", NAME, f"{printer.name} is not served by the running daemon",
            "it stands in config.toml since the daemon started", "sudo systemctl restart vafa",
            "CFG-010",
        )  # fmt: skip
    waiting = f", {seen.waiting} waiting" if seen.waiting else ""
    return Finding("ok", NAME, f"{seen.what} at {printer.address}: {seen.state}{waiting}")


def _seen(printer: Printer, printers: tuple[PrinterFacts, ...]) -> PrinterFacts | None:
    return next((each for each in printers if each.name == printer.name), None)


def _by_asking(printer: Printer, patient: Patient, job: tuple[bytes, ...] = ()) -> Finding:
    """Open it, hear what it says, send it `job`, give it back."""
    patient.say(f"printer {printer.name}")
    where = f"{printer.name} at {printer.address}"
    device = Path(printer.address)
    if not printer.address.startswith(TCP_PREFIX) and device.is_char_device():
        barred = refused(patient, device)
        if barred is not None:
            return replace(barred, level="warn", name=NAME, code="PRN-002")
    asks = PROFILES[printer.profile].asks
    try:
        with closing(open_printer(printer.address, printer.baud, Flow(printer.flow))) as line:
            said = line.ask(ASKED) if asks else {}
            trouble = told(said)
            if trouble is None and job:
                for piece in job:
                    line.send(piece)
                trouble = told(line.ask(ASKED, AFTER_A_SLIP_S) if asks and said else {})
    except VafaError as error:
        return Finding("warn", NAME, f"{where}: {error}", fix=error.fix, code=error.code)
    if trouble is not None:
        doing, fix, code = trouble
        return Finding("warn", NAME, f"{where} says: {doing}", fix=fix, code=code)
    if job:
        return Finding("ok", NAME, f"{where}: a sample slip was sent; look at it")
    answer = (
        "" if not asks else ", ready" if said else ", answers no questions (its -plain profile asks none)"
    )
    return Finding("ok", NAME, f"{where}: opens{answer}")


def print_samples(patient: Patient, daemon: Daemon) -> Iterator[Finding]:
    """A sample slip on each printer, by the daemon that has it, or directly while the daemon is down."""
    if not patient.config.printer:
        yield Finding(
            "warn", PRINT, "nothing to print on", fix="add a [[printer]] to config.toml", code="PRN-009"
        )
    for printer in patient.config.printer:
        if patient.running:
            yield _printed_by(daemon, printer, patient)
        elif patient.alive:
            yield Finding(
                "warn", PRINT, f"{printer.name}: nothing printed, a silent daemon has it",
                fix="see service", code=patient.silence.code if patient.silence else "PRN-008",
            )  # fmt: skip
        else:
            yield _printed_here(printer, patient)


def _printed_here(printer: Printer, patient: Patient) -> Finding:
    shop = patient.config.shop
    slip = page(sample(patient.now_ms // 1000), shop.language, shop.zone, letterhead(patient.config))
    try:
        done = set_aside(slip, printer.profile)
    except ReceiptFault as fault:
        return Finding("warn", PRINT, f"{printer.name}: {fault}", fix=fault.fix, code=fault.code)
    return replace(_by_asking(printer, patient, done.pieces), name=PRINT)


def _printed_by(daemon: Daemon, printer: Printer, patient: Patient) -> Finding:
    """Ask for it, and wait until the daemon says how it went."""
    asked_at = time.monotonic()
    try:
        daemon.print_on(printer.name)
        while time.monotonic() - asked_at < PRINTED_WITHIN_S:
            patient.say(f"printer {printer.name}: printing")
            seen = _seen(printer, daemon.printers())
            if seen is not None and _printed_since(seen, time.monotonic() - asked_at):
                return Finding("ok", PRINT, f"{seen.what}: a sample slip was printed; look at it")
            if seen is not None and seen.state not in (*_WELL, "printing", "not used yet"):
                return Finding(
                    "warn", PRINT, f"{printer.name}: the sample slip waits, the printer is: {seen.state}",
                    fix="vafa status says what to do; it prints by itself then", code="PRN-008",
                )  # fmt: skip
            daemon.wait(_LOOK_EVERY_S)
    except ConfigError as error:
        return Finding("warn", PRINT, f"{printer.name}: {error}", fix="see config", code=error.code)
    except VafaError as error:
        return Finding("warn", PRINT, f"{printer.name}: {error}", fix=error.fix, code=error.code)
    return Finding(
        "warn", PRINT, f"{printer.name}: the sample slip was not printed within {PRINTED_WITHIN_S:.0f} s",
        fix="vafa status", code="PRN-008",
    )  # fmt: skip


def _printed_since(seen: PrinterFacts, waited_s: float) -> bool:
    """Nothing waits any more, and the newest slip came out after ours was asked for."""
    return not seen.waiting and seen.printed_age_s is not None and seen.printed_age_s <= waited_s
