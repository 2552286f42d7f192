"""`vafa update`: what runs, what is on trial, and the way back (docs/updating.md)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vafa.cli.asking import config_option, json_option, print_json

if TYPE_CHECKING:
    from vafa.app.standing import ReleaseFacts


class _FileOrPart(click.Group):
    """`vafa update FILE` beside `vafa update status`: what is no part's name is a file."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return "install", self.commands["install"], args
        return super().resolve_command(ctx, args)


@click.group("update", cls=_FileOrPart, subcommand_metavar="FILE | COMMAND [ARGS]...")
def command() -> None:
    """Take the release in FILE, a signed package; or see which one runs, is on trial, is kept.

    FILE's signature is checked before anything else. Run it with sudo. The release is put beside the one
    that runs and tries itself there; then the daemon is restarted with it, after the payment in hand. It is
    on trial until it was well for some minutes, and rolled back by itself when it is not.
    """


@command.command("install", hidden=True)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
@json_option
def install(file: Path, config_path: Path, **options: Any) -> None:
    """Take the release in FILE."""
    from vafa.app.updating import update
    from vafa.cli.asking import loaded

    found = update(file, loaded(config_path).update, config_path, lambda words: click.echo(words, err=True))
    if options["as_json"]:
        print_json(found)
        return
    click.echo(f"release {found.current} runs, on trial: vafa update status")


@command.command("sign")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--key", "key_file", required=True, type=click.Path(path_type=Path), help="As `vafa update key` made."
)
def sign(file: Path, key_file: Path) -> None:
    """Sign a package, for whoever makes releases."""
    from vafa.app.new_release import sign as put_behind
    from vafa.keys.device_key import load
    from vafa.keys.sign import SigningKey, fingerprint

    key = SigningKey(load(key_file))
    put_behind(file, key)
    click.echo(f"{file}: signed by {fingerprint(key.public)}")


@command.command("key")
@click.argument("key_file", type=click.Path(path_type=Path, dir_okay=False))
def key(key_file: Path) -> None:
    """The public key of KEY_FILE, which is made where there is none; keep that file apart and secret."""
    from vafa.keys.device_key import load_or_create
    from vafa.keys.sign import SigningKey

    click.echo(SigningKey(load_or_create(key_file)).public.hex())


@command.command("status")
@json_option
def status(**options: Any) -> None:
    """Which release runs, which one is kept, what is on trial or was rolled back."""
    from vafa.app.updating import facts

    found = facts()
    if options["as_json"]:
        print_json(found)
        return
    for line in _lines(found):
        click.echo(line)


def _lines(found: "ReleaseFacts") -> list[str]:
    from vafa.cli.status import ago

    lines = [f"  Release   {found.current}"]
    if found.on_trial:
        since = "" if found.trial_age_s is None else f", asked for {ago(found.trial_age_s)}"
        lines.append(f"  On trial  {found.on_trial}{since}; it is confirmed, or rolled back, by itself")
    lines.append(f"  Kept      {found.previous or 'none'}")
    if found.rolled_back:
        lines.append(f"! {found.rolled_back} was rolled back: {found.why or 'it did not start'}   [UPD-011]")
    return lines


@command.command("rollback")
@config_option
@json_option
def rollback(config_path: Path, **options: Any) -> None:
    """Go back to the release before, by hand. Run it with sudo."""
    from vafa.app.config_update import Update
    from vafa.app.updating import go_back
    from vafa.cli.asking import loaded
    from vafa.model.errors import ConfigError

    try:
        settings = loaded(config_path).update
    except ConfigError:  # perhaps what is to be gone back from
        settings = Update()
    found = go_back(settings, lambda words: click.echo(words, err=True))
    if options["as_json"]:
        print_json(found)
    else:
        click.echo(f"release {found.current} runs")


@command.command("clear")
def clear() -> None:
    """Put the note of a roll-back away. Run it with sudo."""
    from vafa.app.updating import put_note_away

    click.echo(f"put away: the roll-back of {put_note_away()}")


@command.command("health", hidden=True)
@config_option
def health(config_path: Path) -> None:
    """Does this release's daemon answer, and its ledger work? `releases` asks it during a trial."""
    from vafa.app.questions import GetStatus, StatusIs
    from vafa.app.updating import illness
    from vafa.cli.asking import ask

    illness(ask(config_path, GetStatus(), StatusIs).status)
    click.echo("well")
