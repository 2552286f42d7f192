"""`vafa run`: the daemon in the foreground, as systemd starts it."""

import sys
from pathlib import Path

import click


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/vafa/config.toml"),
    envvar="VAFA_CONFIG",
    show_default=True,
    help="The configuration; every setting is in config.example.toml.",
)
@click.option("--check", is_flag=True, help="Only say whether the configuration is right.")
def command(config_path: Path, *, check: bool) -> None:
    """Run the daemon in the foreground until SIGTERM."""
    from vafa.app.config import load

    config = load(config_path)
    if check:
        click.echo(f"{config_path}: good")
        return
    from vafa.app.logs import set_up

    set_up(config.log.format, config.log.level)
    from vafa.app.daemon import Daemon
    from vafa.ports.clock import SystemClock

    daemon = Daemon(config, SystemClock())
    daemon.start()
    sys.exit(daemon.run())
