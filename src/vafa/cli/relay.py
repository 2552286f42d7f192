"""`vafa relay`: the relay in the foreground, as its unit starts it."""

import sys
from pathlib import Path

import click

from vafa.cli.main import CONFIG, CONFIG_VARIABLE


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path(CONFIG),
    envvar=CONFIG_VARIABLE,
    show_default=True,
    help="The configuration; the terminals with mode proxy are forwarded.",
)
def command(config_path: Path) -> None:
    """Forward every byte between cash registers and terminals until SIGTERM."""
    from vafa.cli.serve_relay import serve_relay

    sys.exit(serve_relay(config_path))
