"""`vafa simulate`: pretend machines for demos, training and tests. One subcommand a machine."""

import contextlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING

import click

from vafa.cli import simulate_printer
from vafa.model.errors import VafaError

if TYPE_CHECKING:
    from vafa.simulators.control import Command
    from vafa.simulators.line import Line, Speaker
    from vafa.simulators.sadad import Terminal


MERCHANT = "کافه نمونه"  # invented, as its cards are


@click.group()
def command() -> None:
    """Pretend machines for demos, training and tests."""


command.add_command(simulate_printer.command)


_SADAD_HELP = """A pretend Sadad (Bank Melli) card terminal.

Point the daemon's terminal at the address printed below and take a payment: customers pay at once, or
as told. The terminal keeps a journal of its last 13 transactions and prints its slips here, with the
text that came with the sale. All cards are invented.

Without --json, type at it while it runs:

\b
  key 120000         a sale keyed at the terminal itself (rials)
  decline            the next customer's card is declined; also: approve, cancel, never
  fault lost-answer  something goes wrong once
  journal            what the terminal remembers
  quit               stop

With --json it takes one JSON object a line on standard input and answers each with one; the first
line out says where it listens. See --script for the same commands in a file.

\b
Faults (--fault NAME, NAME=TIMES, NAME=always, NAME@SALE for the third sale: NAME@3):
  noise                  random bytes before a message
  split                  a message arrives in small pieces, over time
  bad-lrc                an answer with a wrong checksum; a NACK would bring it again
  repeat-response        the answer arrives twice, whatever the cash register said
  nack                   a request is refused with NACK
  deaf                   INM is not answered
  silence-after-request  the customer pays, no answer is ever sent; the journal has it
  lost-answer            one sending of the answer is lost; the terminal repeats it when its time comes
  full-pan               old firmware: the answer holds the whole card number
  drop-link              the line drops after the request was taken; the customer pays all the same
  wrong-tid              the answer names another terminal
  no-rrn                 an approval without a reference number
  mute                   nothing is answered: the terminal is not in PC-POS mode
  wrong-baud             what is said arrives as garbage, both ways
  nack-storm             NACK to whatever is said, and NACKs unasked
  half-open              this connection is never answered again; a new one is
  reset                  the connection is reset; on a pretend serial port the cable is out for a moment
  reboot                 the terminal restarts: the line closes, nobody is there for a minute
"""


@command.command("sadad", help=_SADAD_HELP)
@click.option("--tcp", metavar="HOST:PORT", help="Listen here; a real terminal has port 8888.")
@click.option(
    "--pty",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make a pretend serial port at this path.",
)
@click.option("--tid", default="40217736", show_default=True, help="Terminal id, 8 characters.")
@click.option("--mid", default="000000140332591", show_default=True, help="Merchant id, 15 digits.")
@click.option("--pay-after-ms", default=1500, show_default=True, help="How long a customer takes.")
@click.option(
    "--busy",
    type=click.Choice(["silent", "nack"]),
    default="silent",
    show_default=True,
    help="What a terminal says while a customer is paying.",
)
@click.option(
    "--response-waits-ms",
    default="180000,5000,5000",
    show_default=True,
    help="How long each sending of an answer waits for its ACK.",
)
@click.option("--card-known", type=int, metavar="N", help="Every customer uses card N of the deck (0 to 19).")
@click.option("--fault", "faults", multiple=True, metavar="FAULT", help="Arm a fault; may be repeated.")
@click.option(
    "--script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='Commands as JSON lines, each with "at_ms".',
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep journal and counters here over restarts.",
)
@click.option("--seed", default=1, show_default=True, help="Cards and faults of this seed.")
@click.option(
    "--announce/--no-announce",
    default=True,
    show_default=True,
    help="With --tcp: announce itself each second by UDP, ports 100 and 8010.",
)
@click.option("--json", "as_json", is_flag=True, help="Commands and replies as JSON lines.")
def sadad(
    tcp: str | None,
    pty: Path | None,
    tid: str,
    mid: str,
    pay_after_ms: int,
    busy: str,
    response_waits_ms: str,
    card_known: int | None,
    faults: tuple[str, ...],
    script: Path | None,
    state: Path | None,
    seed: int,
    announce: bool,  # noqa: FBT001 - click passes flags so
    as_json: bool,  # noqa: FBT001 - click passes a flag so
) -> None:
    """Serve one pretend terminal until told to stop; the words for people stand in _SADAD_HELP."""
    from vafa.simulators.control import read_script
    from vafa.simulators.faults import read_fault
    from vafa.simulators.sadad import Terminal

    if (tcp is None) == (pty is None):
        raise click.UsageError("Say either --tcp HOST:PORT or --pty PATH.")
    try:
        waits_s = [int(part) / 1000 for part in response_waits_ms.split(",")]
    except ValueError:
        raise click.UsageError("--response-waits-ms takes milliseconds, separated by commas.") from None
    terminal = Terminal(
        tid=tid,
        mid=mid,
        pay_after_s=pay_after_ms / 1000,
        busy=busy,
        response_waits_s=waits_s,
        state_path=state,
        seed=seed,
    )
    if card_known is not None:
        terminal.use_card(card_known)
    for text in faults:
        terminal.fault(*read_fault(text))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the line is taken down
    commands = read_script(script.read_text(encoding="utf-8")) if script else []
    with _line(terminal, tcp, pty) as line, _announcer(terminal, line, announced=announce and pty is None):
        _play(terminal, commands)
        if as_json:
            _talk_json(terminal, line)
        else:
            _talk(terminal, as_configured(line, pty))


def _line(terminal: "Terminal", tcp: str | None, pty: Path | None) -> "Line":
    if pty is not None:
        terminal.tail = b"\n"  # on a serial line 0A follows every message
    return served(terminal, tcp, pty)


def served(machine: "Speaker", tcp: str | None, pty: Path | None) -> "Line":
    """The pretend machine on the line that was asked for."""
    from vafa.simulators.pty_line import serve_pty
    from vafa.simulators.tcp_line import serve_tcp

    if pty is not None:
        return serve_pty(machine, pty)
    host, _, port = (tcp or "").rpartition(":")
    if not port.isdecimal():
        raise click.UsageError("--tcp takes HOST:PORT, for example 127.0.0.1:8888.")
    return serve_tcp(machine, host.strip("[]") or "127.0.0.1", int(port))


@contextlib.contextmanager
def _announcer(terminal: "Terminal", line: "Line", *, announced: bool) -> Iterator[None]:
    """Tells the network of the terminal, as real ones on a network do."""
    from vafa.simulators.announcer import Announcer, announcement, own_address

    if not announced:
        yield
        return
    listening, _, port = line.address.rpartition(":")
    host = own_address(listening)
    with Announcer(announcement(MERCHANT, host, int(port), terminal.tid, terminal.mid), host):
        yield


def _play(terminal: "Terminal", commands: "list[Command]") -> None:
    """Do a script's commands at their times, beside everything else."""
    from vafa.simulators.control import obey

    def play() -> None:
        started, pause = time.monotonic(), Event()
        for each in commands:
            pause.wait(max(0.0, each.at_ms / 1000 - (time.monotonic() - started)))
            reply = obey(terminal, each)
            if not reply["ok"]:
                click.echo(f"script: {each.do}: {reply['error']}", err=True)

    if commands:
        Thread(target=play, name="script", daemon=True).start()


def _talk_json(terminal: "Terminal", line: "Line") -> None:
    """One JSON command a line in, one JSON reply a line out, until `quit` or the end of input."""
    from vafa.simulators.control import obey_line

    print(json.dumps({"ok": True, "listening": line.address, "tid": terminal.tid}), flush=True)
    for text in sys.stdin:
        if not text.strip():
            continue
        reply = obey_line(terminal, text)
        print(json.dumps(reply, ensure_ascii=False), flush=True)
        if reply.get("quit"):
            return


def as_configured(line: "Line", pty: Path | None) -> str:
    """Where it listens, as config.toml has it."""
    return f"tcp:{line.address}" if pty is None else str(pty.absolute())


def _talk(terminal: "Terminal", address: str) -> None:
    """Say what happens and print the slips; take plain words. Runs on when there is no input."""
    from vafa.simulators.paper import framed

    terminal.say = lambda text: click.echo(f"  {time.strftime('%H:%M:%S')}  {text}")
    terminal.on_slip = lambda slip: click.echo(framed(slip))
    click.echo(f"Sadad terminal {terminal.tid} at {address}; Ctrl-C stops it, --help says more")
    try:
        for text in sys.stdin:
            if text.strip() in ("quit", "exit"):
                return
            if text.strip():
                click.echo(_plain_words(terminal, text.split()))
        Event().wait()
    except KeyboardInterrupt:
        click.echo("stopped")


def _plain_words(terminal: "Terminal", words: list[str]) -> str:
    """Do what a person typed; what to say to them."""
    from vafa.simulators.faults import read_fault

    try:
        match words:
            case ["key", amount, *_] if amount.isdecimal():
                terminal.key_sale(int(amount))
            case ["approve" | "decline" | "cancel" | "never" as end]:
                terminal.next(end)
            case ["fault", text]:
                terminal.fault(*read_fault(text))
            case ["journal"]:
                rows = (
                    f"  {r.trace:06d}  {r.amount:>15,}  {r.card}  {r.code}  {r.rrn}" for r in terminal.journal
                )
                return "\n".join(rows) or "  nothing yet"
            case _:
                return "  key AMOUNT | approve | decline | cancel | never | fault NAME | journal | quit"
    except VafaError as error:
        return f"  {error}; {error.fix}"
    return "  ok"
