"""`vafa hub backup`: dump the database, move the devices' safe marks."""

from pathlib import Path

import click

from vafa.cli.hub_options import hub_options, json_option, print_json
from vafa.hub.backup import dump
from vafa.hub.hub_key import key_path
from vafa.hub.installation import opened


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@hub_options
@json_option
def command(file: Path, dsn: str, state: Path, as_json: bool) -> None:
    """Dump the database into FILE, while the hub runs; pg_restore reads it.

    What is in the dump is safe: devices hear so with their next sync. The hub's key is not in it.
    """
    with opened(dsn, state) as database:
        lines = dump(database, file.absolute())
    if as_json:
        print_json({"schema": 1, "file": str(file), "journals": lines, "key": str(key_path(state))})
        return
    click.echo(f"{file} holds everything; {lines} journals are safe up to their newest row")
    click.echo(f"the key is apart: keep a copy of {key_path(state)} in another place")
