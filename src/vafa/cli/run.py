"""`vafa run`: the daemon in the foreground, as systemd starts it."""

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
    help="The configuration; every setting is in config.example.toml.",
)
@click.option("--check", is_flag=True, help="Only say whether the configuration is right.")
def command(config_path: Path, *, check: bool) -> None:
    """Run the daemon in the foreground until SIGTERM."""
    if check:
        from vafa.app.config import load

        load(config_path)
        click.echo(f"{config_path}: good")
        return
    from vafa.cli.serve import serve

    sys.exit(serve(config_path))
