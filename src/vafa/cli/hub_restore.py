"""`vafa hub restore`: a dump in the place of what the database holds."""

from pathlib import Path

import click

from vafa.cli.hub_options import hub_options, json_option, print_json, unless_yes, yes_option
from vafa.hub import merchants
from vafa.hub.backup import restore
from vafa.hub.hub_key import key_path
from vafa.hub.installation import opened


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@yes_option
@hub_options
@json_option
def command(file: Path, yes: bool, dsn: str, state: Path, as_json: bool) -> None:
    """Put the dump in FILE, made by `vafa hub backup`, in the place of what the database holds.

    The hub must be stopped. What devices sent after that backup they send again by themselves. The hub's key
    is not in the dump: put it back as well, or every device must be enrolled again.
    """
    with opened(dsn, state) as database:
        with database.transaction() as connection:
            there = len(merchants.merchants(connection))
        if there and unless_yes(yes, f"replace what the database holds of {there} merchants"):
            return
        found = restore(database, file.absolute())
    key = key_path(state)
    if as_json:
        print_json(
            {"schema": 1, "file": str(file), "merchants": found, "key": str(key), "has_key": key.exists()}
        )
        return
    click.echo(f"the database is as {file} has it: {found} merchants")
    if not key.exists():
        click.echo(f"the hub's key is missing: copy it to {key} before you start the hub")
