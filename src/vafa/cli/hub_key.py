"""`vafa hub key`: what a device pins."""

from pathlib import Path

import click

from vafa.cli.hub_options import json_option, known_key, print_json, state_option
from vafa.hub.hub_key import key_path


@click.command("key")
@state_option
@json_option
def command(state: Path, as_json: bool) -> None:
    """The hub's public key and its fingerprint, as a device shows it when it enrols."""
    key = known_key(state)
    if as_json:
        shown = {"signing": key.signing.public.hex(), "sealing": key.sealing.public.hex()}
        print_json({"schema": 1, "fingerprint": key.fingerprint, **shown})
        return
    click.echo(f"{key.fingerprint}   (kept in {key_path(state)}: back it up apart from the database)")
