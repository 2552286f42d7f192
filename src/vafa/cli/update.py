"""`vafa update`: what runs, what is on trial, and the way back (docs/updating.md)."""

from typing import TYPE_CHECKING, Any

import click

from vafa.cli.asking import config_option, json_option, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from vafa.app.standing import ReleaseFacts


@click.group("update")
def command() -> None:
    """Releases: which one runs, whether it is on trial, and the way back."""


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
@json_option
def rollback(**options: Any) -> None:
    """Go back to the release before, by hand. Run it with sudo."""
    from vafa.app.updating import go_back

    found = go_back(lambda words: click.echo(words, err=True))
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
def health(config_path: "Path") -> None:
    """Does this release's daemon answer, and its ledger work? package/releases asks during a trial."""
    from vafa.app.questions import GetStatus, StatusIs
    from vafa.app.updating import illness
    from vafa.cli.asking import ask

    illness(ask(config_path, GetStatus(), StatusIs).status)
    click.echo("well")
