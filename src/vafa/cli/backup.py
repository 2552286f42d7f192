"""`vafa backup`: the ledger and its sealed keys in one file, while sales go on."""

from pathlib import Path

import click

from vafa.cli.asking import config_option, json_option, loaded, now_ms, print_json


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--new-code", is_flag=True, help="Make a new recovery code: the old one was lost, or seen.")
@config_option
@json_option
def command(file: Path, new_code: bool, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Write ledger and keys to FILE, which must not exist yet. Run it with sudo.

    The keys are sealed to a recovery code, which the first backup shows once, and to the hub this device is
    enrolled with. Keep the code apart from the backups: with both, everything can be restored.
    """
    from vafa.app.backing_up import back_up

    made = back_up(loaded(config_path), file, now_ms(), new_code=new_code)
    if as_json:
        print_json(made)
        return
    click.echo(f"{made.path}: {made.size_bytes:,} bytes, {made.rows:,} rows, keys sealed")
    if made.hub:
        click.echo(f"the hub {made.hub} can open the keys too: vafa hub recover {file.name}, there")
    if made.code:
        click.echo(f"\nRECOVERY CODE   {made.code}\n")
        click.echo("Write it down now: it is shown once and is nowhere on this device. This backup and those")
        click.echo("after it are restored with it: vafa restore FILE --yes")
