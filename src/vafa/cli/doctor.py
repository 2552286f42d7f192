"""`vafa doctor`: looks at everything a sale needs, and says for each thing that is wrong what to do."""

import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import config_option, json_option, now_ms, print_json
from vafa.model.errors import ConfigError, NotRunning, VafaError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from vafa.app.config import Config
    from vafa.app.findings import Check, Finding, Patient, Report
    from vafa.app.standing import Status

COLUMNS = 80
ANSWER_S = 3.0
_NAME_AT, _TEXT_AT, _FIX_AT, _CODE_AT = 7, 19, 24, 63
_LEVELS = {"fail": "FAIL", "warn": "warn", "ok": "ok"}
_COLOURS = {"fail": "red", "warn": "yellow", "ok": "green"}


def _known(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Only names of the table; a usage error names them all."""
    names = _names() if value else {}
    for each in value:
        if each not in names:
            raise click.BadParameter(f"{each!r} is none of {', '.join(names)}", ctx, param)
    return value


def _completed(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """What the tab key offers behind --only."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(n, help=about) for n, about in _names().items() if n.startswith(incomplete)]


@click.command("doctor")
@config_option
@click.option(
    "--only",
    metavar="NAME",
    multiple=True,
    callback=_known,
    shell_complete=_completed,
    help="Only this check, e.g. serial; repeatable.",
)
@click.option("--print", "prints", is_flag=True, help="Also print a sample slip on each receipt printer.")
@click.option("--full", is_flag=True, help="Verify the whole ledger, however long it takes.")
@click.option(
    "--bundle",
    metavar="FILE",
    is_flag=False,
    flag_value="",
    type=click.Path(dir_okay=False),
    help="Also write one archive for support, nothing secret in it; without FILE: vafa-support-TIME.tar.gz.",
)
@json_option
def command(
    config_path: Path,
    only: tuple[str, ...],
    prints: bool,  # noqa: FBT001 - click passes flags so
    full: bool,  # noqa: FBT001
    bundle: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Look at everything a sale needs; for what is wrong, say why and what to do.

    Reads, asks and listens only (--print uses paper): with the daemon up nothing is taken from it, with the
    daemon down each terminal is asked a harmless question. Exit codes: 0 in order, 10 a warning, 20 a
    failure, 3 the daemon is not running, 2 usage or a fault in the configuration. Codes in brackets:
    docs/operations.md.
    """
    from vafa.app.doctor import CHECKS, examine, exit_code

    looked_at = patient(config_path, full=full)
    if prints:
        printing = _printed(config_path)
        report = examine(looked_at, (*only, printing.name) if only else (), (*CHECKS, printing))
    else:
        report = examine(looked_at, only)
    if as_json:
        print_json(report)
    else:
        for finding in report.findings:
            _show(finding)
    if bundle is not None:
        _write_bundle(bundle, looked_at, report)
    sys.exit(exit_code(report))


def _printed(config_path: Path) -> "Check":
    """`--print` is a row more in the doctor's table."""
    from vafa.app.doctor_printers import PRINT, Daemon, print_samples
    from vafa.app.findings import Check
    from vafa.app.print_questions import Print, PrintIs
    from vafa.app.questions import GetStatus, StatusIs
    from vafa.cli.asking import ask

    daemon = Daemon(
        lambda name: ask(config_path, Print(printer=name), PrintIs, ANSWER_S),
        lambda: ask(config_path, GetStatus(), StatusIs, ANSWER_S).status.printers,
    )
    about = "a sample slip on each printer"
    return Check(PRINT, about, lambda patient: print_samples(patient, daemon), of_config=True)


def _write_bundle(name: str, looked_at: "Patient", report: "Report") -> None:
    """Said on stderr: what stands on stdout may be for a script."""
    from vafa.app.bundle import write

    path = Path(name or time.strftime("vafa-support-%Y%m%d-%H%M%S.tar.gz"))
    size = write(path, looked_at, report)
    looked_at.say("")
    if os.geteuid() != 0:
        click.echo("with sudo it holds more: the log, counts of the ledger", err=True)
    click.echo(f"{path}: {size / 1024:.0f} KB for support; look inside with: tar -xzf {path}", err=True)


def patient(config_path: Path, *, full: bool = False) -> "Patient":
    """What the checks look at: the configuration as far as it goes, and the daemon's or the ledger's word."""
    from vafa.app.doctor_config import read
    from vafa.app.findings import Patient
    from vafa.ledger.storage import ledger_path
    from vafa.ports.machine import is_locked

    found = read(config_path)
    at_ms = now_ms()
    status, silence = _asked(config_path)
    if status is None:
        status = _told_by_ledger(found.config, at_ms)
    lock = ledger_path(found.config.ledger_directory.absolute()).with_suffix(".lock")
    return Patient(
        config_path=config_path,
        config=found.config,
        faults=found.faults,
        unread=found.unread,
        status=status,
        silence=silence,
        alive=silence is None or not isinstance(silence, NotRunning) or is_locked(lock),
        now_ms=at_ms,
        full=full,
        say=_progress(),
    )


def _asked(config_path: Path) -> "tuple[Status | None, VafaError | None]":
    """The daemon's own word, or why it gave none."""
    from vafa.app.questions import GetStatus, StatusIs
    from vafa.cli.asking import ask

    try:
        return ask(config_path, GetStatus(), StatusIs, ANSWER_S).status, None
    except ConfigError as error:  # it does not even tell where the daemon listens
        what = "not asked: the configuration does not tell where the daemon listens"
        return None, VafaError(what, fix="see config", code=error.code)
    except VafaError as error:
        return None, error


def _told_by_ledger(config: "Config", at_ms: int) -> "Status | None":
    """How things stood when the daemon was last up; None when the ledger cannot tell (its check says why)."""
    import sqlite3
    from contextlib import closing

    from vafa.app.status import facts, status
    from vafa.ledger.storage import connect_reader, ledger_path

    try:
        with closing(connect_reader(ledger_path(config.ledger_directory.absolute()))) as connection:
            return status(connection, None, facts(config), at_ms)
    except (VafaError, OSError, sqlite3.Error):
        return None


def _names() -> dict[str, str]:
    from vafa.app.doctor import CHECKS

    return {check.name: check.about for check in CHECKS}


def _progress() -> Callable[[str], None]:
    """One line on stderr that is overwritten, for whoever waits at a terminal."""
    if not sys.stderr.isatty():
        return lambda _text: None

    def say(text: str) -> None:
        line = f"looking at {text} ..." if text else ""
        click.echo(f"\r{line[: COLUMNS - 1]:<{COLUMNS - 1}}" + ("" if text else "\r"), nl=False, err=True)

    return say


def _show(finding: "Finding") -> None:
    lines = screen(finding)
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        head = click.style(lines[0][:_NAME_AT], fg=_COLOURS[finding.level], bold=finding.level == "fail")
        lines[0] = head + lines[0][_NAME_AT:]
    for line in lines:
        click.echo(line)


def screen(finding: "Finding") -> list[str]:
    """The finding's lines, at most 80 columns each, without colour."""
    head = f" {_LEVELS[finding.level]:<6}{finding.name:<{_TEXT_AT - _NAME_AT}}"
    what = list(_wrapped(finding.what, _TEXT_AT))
    lines = [head + what[0].lstrip(), *what[1:]]
    lines += _labelled("why", finding.why)
    lines += _labelled("fix", finding.fix)
    if finding.code:
        code = f"[{finding.code}]"
        room = lines[-1] if len(lines) > 1 else ""
        at = max(_CODE_AT, len(room) + 2)
        if at + len(code) <= COLUMNS and room:
            lines[-1] = f"{room:<{at}}{code}"
        else:
            lines.append(" " * _CODE_AT + code)
    return lines


def _labelled(label: str, text: str) -> Iterator[str]:
    for number, line in enumerate(_wrapped(text, _FIX_AT)):
        yield f"{'':<{_TEXT_AT}}{label}  {line.lstrip()}" if number == 0 else line


def _wrapped(text: str, at: int) -> Iterator[str]:
    """A command longer than the line is broken at a blank; it is never broken inside a word."""
    margin = " " * at
    yield from textwrap.wrap(
        text, COLUMNS, initial_indent=margin, subsequent_indent=margin,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
