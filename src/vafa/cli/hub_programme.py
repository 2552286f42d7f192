"""`vafa hub programme`: the club's rules, from the hub to every device of a merchant."""

from datetime import datetime
from pathlib import Path

import click

from vafa.cli.hub_merchant import merchant_argument
from vafa.cli.hub_options import (
    hub_options,
    iso,
    json_option,
    now_ms,
    print_json,
    transaction,
    unless_yes,
    when,
    yes_option,
)
from vafa.cli.programme import _read as read_programme
from vafa.hub import merchants, published
from vafa.hub.published import Version
from vafa.model.errors import NotFound


@click.group("programme")
def command() -> None:
    """Publish the club's rules to a merchant's devices."""


@command.command("add")
@merchant_argument
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "from_",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"]),
    help="When the rules begin, with offset: 2026-12-01T00:00+03:30. Without it, from when they arrive.",
)
@yes_option
@hub_options
@json_option
def add(
    merchant: str, file: Path, from_: datetime | None, yes: bool, dsn: str, state: Path, as_json: bool
) -> None:
    """Publish FILE: every device of MERCHANT takes it with its next sync, signed by the hub.

    Versions are never changed or taken back: publish the rules that should hold instead.
    """
    programme = read_programme(file)
    from_at = int(from_.timestamp()) if from_ else None
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        begins = when(from_at * 1000) if from_at is not None else "when they arrive"
        what = f"publish programme {programme.id.hex()} to the devices of {found.name}, to hold from {begins}"
        if unless_yes(yes, what):
            return
        made = published.publish(connection, found.merchant, programme, from_at, now_ms())
    if made is None and not as_json:
        click.echo("these are the newest rules already; nothing changed")
    _tell([made] if made else [], as_json=as_json)


@command.command("list")
@merchant_argument
@hub_options
@json_option
def list_(merchant: str, dsn: str, state: Path, as_json: bool) -> None:
    """The versions that were published, in order."""
    with transaction(dsn, state) as connection:
        found = published.versions(connection, merchants.merchant(connection, merchant).merchant)
    _tell(found, as_json=as_json)


@command.command("show")
@merchant_argument
@click.argument("number", type=click.IntRange(1))
@hub_options
@json_option
def show(merchant: str, number: int, dsn: str, state: Path, as_json: bool) -> None:
    """One version's document."""
    with transaction(dsn, state) as connection:
        theirs = merchants.merchant(connection, merchant).merchant
        found = published.versions(connection, theirs, number - 1, 1)
    if not found or found[0].number != number:
        raise NotFound(f"merchant {theirs} has no version {number}", fix="vafa hub programme list")
    _tell(found, as_json=as_json)
    if not as_json:
        click.echo(found[0].document, nl=False)


def _tell(found: list[Version], *, as_json: bool) -> None:
    if as_json:
        print_json({"schema": 1, "programmes": [_shown(each) for each in found]})
        return
    for each in found:
        begins = when(each.from_at * 1000) if each.from_at is not None else "arrival"
        click.echo(f"{each.number}  {each.id.hex()}  from {begins}  published {when(each.published_at)}")


def _shown(each: Version) -> dict[str, object]:
    return {
        "number": each.number,
        "id": each.id.hex(),
        "hash": each.hash.hex(),
        "from_at": iso(None if each.from_at is None else each.from_at * 1000),
        "published_at": iso(each.published_at),
        "document": each.document,
    }
