"""`vafa simulate printer`: a pretend receipt printer whose slips can be looked at."""

import json
import signal
import sys
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import click

from vafa.model.errors import VafaError

if TYPE_CHECKING:
    from vafa.simulators.printer import Printer
    from vafa.simulators.roll import Roll

_HELP = """A pretend ESC/POS receipt printer.

Point a [[printer]] of the daemon at the address printed below. Each slip is shown here as text, and
with --save also as a picture (slip-1.png, slip-2.png, ...).

Type at it while it runs; with --json one JSON object a line, {"do": "paper out"}:

\b
  paper out | paper in | paper low | paper 300   the roll ends: now, or after 300 rows
  cover open | cover closed
  offline | online
  mute | speak           it answers no questions
  drop-link              the line drops once
  slow 960               takes so many bytes a second; 0 is as fast as they come
  slips                  how many so far
  quit
"""


@click.command("printer", help=_HELP)
@click.option("--tcp", metavar="HOST:PORT", help="Listen here; a real printer has port 9100.")
@click.option(
    "--pty", type=click.Path(path_type=Path, dir_okay=False), help="Make a pretend serial port at this path."
)
@click.option(
    "--width", type=click.Choice(["384", "576"]), default="384", show_default=True, help="Dots a row."
)
@click.option(
    "--code-page",
    type=click.Choice(["iransystem", "cp1098", "windows-1256"]),
    default="iransystem",
    show_default=True,
    help="What its own letters are.",
)
@click.option("--slow", default=0, metavar="N", help="Take N bytes a second: 960 is a line at 9600 baud.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    help="Put each slip as a PNG into this folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Commands and replies as JSON lines.")
def command(
    tcp: str | None,
    pty: Path | None,
    width: str,
    code_page: str,
    slow: int,
    save: Path | None,
    as_json: bool,  # noqa: FBT001 - click passes a flag so
) -> None:
    """Serve one pretend printer until told to stop; the words for people stand in _HELP."""
    from vafa.cli.simulate import as_configured, served
    from vafa.simulators.printer import Printer

    if (tcp is None) == (pty is None):
        raise click.UsageError("Say either --tcp HOST:PORT or --pty PATH.")
    printer = Printer(int(width), code_page, slow)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
    printer.on_slip = lambda slip: _show(printer, slip, save, as_json=as_json)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the line is taken down
    with served(printer, tcp, pty) as line:
        if as_json:
            print(json.dumps({"ok": True, "listening": line.address}), flush=True)
        else:
            where = as_configured(line, pty)
            click.echo(f"printer of {width} dots at {where}; Ctrl-C stops it, --help says more")
        try:
            for text in sys.stdin:
                words = json.loads(text)["do"].split() if as_json and text.strip() else text.split()
                if words in (["quit"], ["exit"]):
                    return
                if words:
                    _answer(printer, words, as_json=as_json)
            if not as_json:
                Event().wait()
        except KeyboardInterrupt:
            click.echo("stopped")


def _answer(printer: "Printer", words: list[str], *, as_json: bool) -> None:
    try:
        said, ok = obey(printer, words), True
    except VafaError as error:
        said, ok = f"{error}; {error.fix}", False
    print(json.dumps({"ok": ok, "said": said}) if as_json else f"  {said}", flush=True)


def obey(printer: "Printer", words: list[str]) -> str:
    """Do what a person typed; what to say to them. Refused."""
    match words:
        case ["paper", rows] if rows.isdecimal():
            printer.paper(int(rows))
        case ["slow", speed] if speed.isdecimal():
            printer.bytes_a_second = int(speed)
        case ["slips"]:
            return f"{len(printer.slips)} slips, {printer.received:,} bytes"
        case [*_] if (meant := _TROUBLES.get(" ".join(words))) is not None:
            for name, on in meant:
                printer.trouble(name, on=on)
        case _:
            return f"{', '.join(_TROUBLES)}, paper ROWS, slow N, slips, quit"
    return "ok"


_TROUBLES = {
    "paper out": [("paper-out", True)],
    "paper in": [("paper-out", False), ("paper-low", False)],
    "paper low": [("paper-low", True)],
    "cover open": [("cover-open", True)],
    "cover closed": [("cover-open", False)],
    "offline": [("offline", True)],
    "online": [("offline", False)],
    "mute": [("mute", True)],
    "speak": [("mute", False)],
    "drop-link": [("drop-link", True)],
}


def _show(printer: "Printer", slip: "Roll", save: Path | None, *, as_json: bool) -> None:
    """A finished slip, for whoever watches."""
    number = len(printer.slips)
    file = ""
    if save is not None:
        path = save / f"slip-{number}.png"
        path.write_bytes(slip.png())
        file = str(path)
    if as_json:
        print(json.dumps({"slip": number, "lines": slip.lines, "file": file}, ensure_ascii=False), flush=True)
        return
    from vafa.simulators.paper import boxed

    click.echo(boxed(slip.lines))
    if file:
        click.echo(f"  {file}")
