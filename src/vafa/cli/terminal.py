"""`vafa terminal`: which terminals there are."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import config_option, json_option, print_json

if TYPE_CHECKING:
    from vafa.app.config import Config
    from vafa.app.discovery import Found, Heard

EXIT_NONE_HEARD = 1


@click.group("terminal")
def command() -> None:
    """Find terminals on the network."""


@command.command("find")
@config_option
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=5.0,
    show_default=True,
    help="How long to listen; a terminal announces itself each second.",
)
@json_option
def find(config_path: Path, seconds: float, as_json: bool) -> None:  # noqa: FBT001
    """Listen for terminals that announce themselves, and say what to put into config.toml.

    Sadad terminals on the network do so by UDP, ports 100 (for root: use sudo) and 8010. Nothing is sent.
    Exit 1 when none was heard.
    """
    from vafa.app.discovery import hear

    if not as_json and sys.stderr.isatty():
        click.echo(f"listening for {seconds:g} s ...", err=True)
    heard = hear(seconds, _config(config_path))
    if as_json:
        print_json(heard)
    else:
        _tell(heard, seconds)
    if not heard.terminals:
        sys.exit(EXIT_NONE_HEARD)


def _config(config_path: Path) -> "Config | None":
    """The configuration as far as it goes, to compare with; None before there is one."""
    from vafa.app.doctor_config import read

    found = read(config_path)
    return None if found.unread else found.config


def _tell(heard: "Heard", seconds: float) -> None:
    for terminal in heard.terminals:
        for line in screen(terminal):
            click.echo(line)
    for why in heard.deaf:
        click.echo(f"not listened: {why}", err=True)
    if heard.garbage:
        click.echo(f"{heard.garbage} datagrams were no announcement", err=True)
    if not heard.terminals:
        ports = " and ".join(str(port) for port in heard.ports)
        click.echo(f"no terminal announced itself in {seconds:g} s on UDP port {ports}")
        click.echo("  Is it on, in the same network (no router or guest Wi-Fi between), in PC-POS mode?")
        click.echo("  One on a serial line announces nothing: ls /dev/serial/by-id")


def screen(terminal: "Found") -> list[str]:
    """What to show of one terminal: who it is, and its lines for the configuration."""
    lines = [f"{terminal.terminal_id}  {terminal.address}  {terminal.name}".rstrip()]
    if terminal.sender != terminal.address.rpartition(":")[0]:
        lines.append(f"  sent from {terminal.sender}, not from the address it names: check its menu")
    match terminal.configured:
        case "same":
            return [*lines, "  stands in config.toml with this address"]
        case "other":
            lines.append("  stands in config.toml with another address; if its menu agrees with this one:")
        case _:
            lines.append("  not in config.toml; to serve it:")
            lines += ["    [[terminal]]", f'    id = "{terminal.terminal_id}"', '    protocol = "sadad"']
    return [*lines, f'    address = "tcp:{terminal.address}"']
