"""`vafa hub recover`: opens the keys of a device's backup for whoever lost its recovery code."""

from pathlib import Path

import click

from vafa.cli.hub_options import json_option, known_key, print_json, state_option


@click.command("recover")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@state_option
@json_option
def command(file: Path, state: Path, as_json: bool) -> None:
    """What opens the keys of the backup FILE, for `vafa restore FILE --unlock HEX` at the device.

    Be sure of who asks: with it and the backup, phones and names of its members can be read.
    """
    from vafa.app.restoring import look
    from vafa.keys.recovery import unlocked_by_hub
    from vafa.model.errors import Malformed

    found = look(file)
    if found.sealed is None:
        raise Malformed(
            f"{file} has no keys", fix="give a file of vafa backup, or keys.json beside a copy too"
        )
    once = unlocked_by_hub(found.sealed, known_key(state).sealing)
    if as_json:
        about = found.about
        ledger = {} if about is None else {"device": about.device, "ledger": about.ledger_id}
        print_json({"schema": 1, **ledger, "unlock": once.hex()})
        return
    if found.about is not None:
        click.echo(f"device {found.about.device}, ledger {found.about.ledger_id}")
    click.echo(once.hex())
