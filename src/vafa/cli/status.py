"""`vafa status`: is it working, and if not, what do I do?

Verdict on line 1, trouble before facts, each fact with its age. With the daemon down the same screen is read
from the ledger, read-only, and says so.
"""

import os
import sys
import textwrap
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli import status_hub
from vafa.cli.asking import config_option, pause, print_json
from vafa.cli.lean import load_zoneinfo
from vafa.model.errors import LedgerError, NotRunning

if TYPE_CHECKING:
    from vafa.app.standing import LocalLineFacts, PrinterFacts, Status, TerminalFacts

COLUMNS = 80
TERMINALS_NAMED = 2  # on line 1, which has to say more
EXIT_CODES = {"ok": 0, "degraded": 10, "broken": 20}
EXIT_NOT_RUNNING = 3
REDRAW_S = 1.0
ANSWER_S = 3.0  # a daemon that takes longer is as good as down: say so while somebody waits
_HEADS = {"ok": "● OK   ", "degraded": "▲ DEGRADED ", "broken": "■ BROKEN ", "down": "○ NOT RUNNING "}
_COLOURS = {"ok": "green", "degraded": "yellow", "broken": "red", "down": "red"}
_CLEAR = "\x1b[H\x1b[2J"
_FSI, _PDI = "\u2068", "\u2069"  # a Persian name keeps its own direction and moves nothing else


@click.command("status")
@config_option
@click.option("--json", "as_json", is_flag=True, help="For scripts; has `schema` and `verdict`.")
@click.option("--watch", is_flag=True, help="Redraw once a second until Ctrl-C.")
@click.option("--exit-when-ok", is_flag=True, help="Ask once a second until all is well, then end with 0.")
def command(config_path: Path, as_json: bool, watch: bool, exit_when_ok: bool) -> None:  # noqa: FBT001
    """Is it working, and if not, what do I do?

    Exit codes: 0 OK, 10 degraded, 20 broken, 3 the daemon is not running, 2 usage or configuration.
    The codes in brackets are explained in docs/operations.md.
    """
    try:
        while True:
            status = standing(config_path)
            if watch or not exit_when_ok:
                _show(status, as_json=as_json, redraw=watch and on_terminal())
            if exit_when_ok and exit_code(status) == 0:
                break
            if not (watch or exit_when_ok):
                break
            pause(REDRAW_S)
    except KeyboardInterrupt:
        click.echo()
    sys.exit(exit_code(status))


def standing(config_path: Path) -> "Status":
    """How things stand, from the daemon, else from the ledger."""
    from vafa.app.status_question import GetStatus, StatusIs
    from vafa.cli.asking import ask

    try:
        return ask(config_path, GetStatus(), StatusIs, ANSWER_S).status
    except NotRunning:
        return _standing_without_daemon(config_path)


def _standing_without_daemon(config_path: Path) -> "Status":
    from vafa.app.status import facts, status
    from vafa.cli.asking import loaded, now_ms, reading

    try:
        with reading(config_path) as (connection, config):
            return status(connection, None, facts(config), now_ms())
    except LedgerError as error:
        return status(None, None, facts(loaded(config_path)), now_ms(), error)


def exit_code(status: "Status") -> int:
    """The process exit code of a status."""
    return EXIT_CODES[status.verdict] if status.running else EXIT_NOT_RUNNING


def _show(status: "Status", *, as_json: bool, redraw: bool) -> None:
    if redraw:
        click.echo(_CLEAR, nl=False)
    if as_json:
        print_json(status)
        return
    for line in styled(screen(status), _look(status)):
        click.echo(line)


def on_terminal() -> bool:
    """True when a person watches, not a file or a pipe."""
    return sys.stdout.isatty()


def styled(lines: list[str], look: str) -> list[str]:
    """The lines with the verdict in its colour and trouble in bold, on a terminal without NO_COLOR."""
    if not on_terminal() or os.environ.get("NO_COLOR"):
        return lines
    head = click.style(lines[0], fg=_COLOURS[look], bold=True)
    return [
        head,
        *(click.style(line, bold=True) if line.startswith("! ") else line for line in lines[1:]),
    ]


def screen(status: "Status") -> list[str]:
    """The screen's lines, at most 80 columns each, without colour."""
    lines = [_head(status), ""]
    for trouble in status.trouble:
        lines += _wrapped(trouble.message) + _wrapped(f"{trouble.fix}   [{trouble.code}]")
        lines.append("")
    lines += [_row(*cells) for cells in _facts(status)]
    return lines


def _look(status: "Status") -> str:
    return status.verdict if status.running else "down"


def _head(status: "Status") -> str:
    ids = ", ".join(terminal.terminal for terminal in status.terminals) or "none"
    terminals = f"terminal {ids}" if len(status.terminals) < 2 else f"terminals {ids}"
    if len(status.terminals) > TERMINALS_NAMED:  # each has a line of its own below
        terminals = f"{len(status.terminals)} terminals"
    shop = status.shop if status.shop.isascii() else f"{_FSI}{status.shop}{_PDI}"
    parts = [terminals, shop, f"vafa {status.version}"]
    if status.running:
        parts.append(f"up {span(status.up_s)}")
    return cut(_HEADS[_look(status)] + " " + " · ".join(parts), COLUMNS)


def _facts(status: "Status") -> Iterator[tuple[str, ...]]:
    """(label, what, how it is, since when) of each fact."""
    for terminal in status.terminals:
        yield _terminal(terminal, among=len(status.terminals))
    if status.local:
        yield "Local", ", ".join(_local(line) for line in status.local)
    yield from status_hub.links_and_hub(status)
    yield next(status_hub.clock(status), _own_clock(status))
    for printer in status.printers:
        yield _printer(printer)
    yield from status_hub.queue(status)
    today = status.today
    sales = f"{today.sales:,} sale{'' if today.sales == 1 else 's'}"
    counts = f"{sales}   {today.awarded:,} awarded  {today.waiting:,} wait for a claim"
    small = f"  {today.nothing:,} earned nothing" if today.nothing else ""
    yield "Today", f"{counts}{small}   {today.points:,} points"
    if today.undone:
        yield "Undone", f"{today.undone:,} by void or refund   {today.taken:,} points taken back"
    if today.adjusted:
        yield "By hand", f"{today.adjusted:+,} points adjusted"
    yield from status_hub.reach(status)
    for sale in status.open_sales:
        words = {"unsure": "unsure", "in_hand": "in hand"}[sale.state]
        yield "Sale", f"{sale.number}  {sale.amount:,} rial", words, "since", ago(sale.age_s)
    if status.release is not None and status.release.on_trial:
        since = () if status.release.trial_age_s is None else ("since", ago(status.release.trial_age_s))
        yield "Release", status.release.on_trial, "on trial", *since
    if status.backup_age_s is not None:
        yield "Backup", "ledger", "written", "last", ago(status.backup_age_s)
    else:
        yield "Backup", "none yet"


def _own_clock(status: "Status") -> tuple[str, ...]:
    local = datetime.fromisoformat(status.clock.time.replace("Z", "+00:00"))
    if status.clock.zone:
        load_zoneinfo()
        from zoneinfo import ZoneInfo

        local = local.astimezone(ZoneInfo(status.clock.zone))
    return "Clock", f"{local:%H:%M:%S} {status.clock.zone}", "not attested"


def _terminal(terminal: "TerminalFacts", among: int) -> tuple[str, ...]:
    """Among several the id comes first: the address alone would not say which of line 1's it is."""
    state = "by local protocol" if terminal.state == "local" else terminal.state
    if terminal.doing not in ("", "idle") and state == "answering":
        state = terminal.doing
    what = terminal.wired or terminal.address.removeprefix("/dev/").removeprefix("serial/by-id/")
    if not what:
        what = terminal.terminal
    elif among > 1:
        what = f"{terminal.terminal} {what.removeprefix('tcp:').split()[0]}"
    if terminal.since_s is not None and (terminal.state == "closed" or terminal.last_frame_age_s is None):
        return "Terminal", what, state, "since", ago(terminal.since_s)
    if terminal.last_frame_age_s is None:
        return "Terminal", what, state
    return "Terminal", what, state, "last frame", ago(terminal.last_frame_age_s)


def _printer(printer: "PrinterFacts") -> tuple[str, ...]:
    """The most telling of: slips that wait, the last one printed."""
    if printer.waiting:
        return "Printer", printer.what, printer.state, "waiting", f"{printer.waiting:,}"
    if printer.printed_age_s is None:
        return "Printer", printer.what, printer.state
    return "Printer", printer.what, printer.state, "last print", ago(printer.printed_age_s)


def _local(line: "LocalLineFacts") -> str:
    """`local.sock 2 clients`, `127.0.0.1:7117 0 clients`, `ttyUSB1 open`."""
    name = line.address.rpartition("/")[2]
    if line.kind == "serial":
        return f"{name} {line.state}"
    return f"{name} {line.clients} client{'' if line.clients == 1 else 's'}"


def _row(label: str, what: str, state: str = "", since: str = "", age: str = "") -> str:
    if not state:
        return cut(f"  {label:<9} {what}", COLUMNS)
    line = f"  {label:<9} {cut(what, 23):<23} {cut(state, 18) if since else state:<18}"
    return cut(f"{line} {since:<10} {age:>12}" if since else line, COLUMNS).rstrip()


def _wrapped(text: str) -> list[str]:
    return ["! " + line for line in textwrap.wrap(text, COLUMNS - 2, break_on_hyphens=False)]


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns. Isolates take no column, and are closed again."""
    if len(text.replace(_FSI, "").replace(_PDI, "")) <= width:
        return text
    kept, columns = "", 0
    for letter in text:
        columns += letter not in (_FSI, _PDI)
        if columns == width:
            break
        kept += letter
    open_isolates = kept.count(_FSI) - kept.count(_PDI)
    return kept + _PDI * open_isolates + "…"


def ago(seconds: float) -> str:
    """`4 s ago`, `38 min ago`, `7 h ago`, `3 d ago`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size * 1.5:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def span(seconds: float) -> str:
    """`3d 04h`, `2h 05m`, `12m`, `40s`."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days:.0f}d {hours % 24:02.0f}h"
    if hours:
        return f"{hours:.0f}h {minutes % 60:02.0f}m"
    return f"{minutes:.0f}m" if minutes else f"{seconds:.0f}s"
