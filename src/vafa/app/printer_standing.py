"""The part of `status` about receipt printers. Sales never wait for them: they are never `broken`."""

from collections.abc import Iterator

from vafa.app.live import Live, PrinterState
from vafa.app.standing import PrinterFacts, Trouble

_WELL = ("ready", "printing", "not used yet")


def printer_facts(live: Live | None) -> tuple[PrinterFacts, ...]:
    """Each printer as `status` shows it; none while the daemon is down."""
    return tuple(
        PrinterFacts(
            each.name,
            _what(each),
            "paper low" if each.paper_low and each.doing == "ready" else each.doing,
            each.waiting,
            each.given_up,
            each.printed_age_s,
        )
        for each in (live.printers if live else ())
    )


def of_printers(live: Live | None) -> Iterator[Trouble]:
    """A printer that cannot print now; and slips it could not print, until the next one comes out."""
    for each in live.printers if live else ():
        if each.doing not in _WELL or each.code:
            waiting = f" {each.waiting} waiting." if each.waiting else ""
            said = each.message.rstrip(".")
            yield Trouble(
                "degraded",
                f"Printer {each.name}: {said or each.doing}.{waiting} Sales go on; points are safe.",
                each.fix or "Look at the printer.",
                each.code or "PRN-001",
            )
        elif each.last_given_up:
            yield Trouble(
                "degraded",
                f"Printer {each.name}: slips that may not be on paper: {each.given_up}, "
                f"the last {each.last_given_up}.",
                f"vafa receipt print {each.last_given_up}",
                "PRN-008",
            )


def _what(each: PrinterState) -> str:
    """`counter escpos-58`: its address stands in the configuration."""
    return f"{each.name} {each.profile}"
