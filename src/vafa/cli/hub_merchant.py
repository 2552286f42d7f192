"""`vafa hub merchant`: who the hub keeps journals for."""

from pathlib import Path

import click

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
from vafa.hub import devices, merchants
from vafa.hub.merchants import Merchant

merchant_argument = click.argument("merchant", metavar="MERCHANT")


@click.group("merchant")
def command() -> None:
    """Add, list, rename, close merchants."""


@command.command("add")
@click.argument("name")
@hub_options
@json_option
def add(name: str, dsn: str, state: Path, as_json: bool) -> None:
    """A new merchant; NAME is shown to people. Its id is drawn."""
    with transaction(dsn, state) as connection:
        made = merchants.add(connection, name, now_ms())
    _tell([made], as_json=as_json)
    if not as_json:
        click.echo(f"its first device needs a code: vafa hub code add {made.merchant}")


@command.command("list")
@hub_options
@json_option
def list_(dsn: str, state: Path, as_json: bool) -> None:
    """All merchants."""
    with transaction(dsn, state) as connection:
        found = merchants.merchants(connection)
    _tell(found, as_json=as_json)


@command.command("show")
@merchant_argument
@hub_options
@json_option
def show(merchant: str, dsn: str, state: Path, as_json: bool) -> None:
    """One merchant and its devices."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        theirs = devices.devices(connection, found.merchant)
    _tell([found], as_json=as_json)
    if not as_json:
        for device in theirs:
            off = "  REVOKED" if device.revoked_at is not None else ""
            click.echo(f"  device {device.device}  {device.label}  since {when(device.enrolled_at)}{off}")


@command.command("rename")
@merchant_argument
@click.argument("name")
@hub_options
@json_option
def rename(merchant: str, name: str, dsn: str, state: Path, as_json: bool) -> None:
    """The name people see."""
    with transaction(dsn, state) as connection:
        found = merchants.rename(connection, merchant, name)
    _tell([found], as_json=as_json)


@command.command("close")
@merchant_argument
@yes_option
@hub_options
@json_option
def close(merchant: str, yes: bool, dsn: str, state: Path, as_json: bool) -> None:
    """No device of the merchant is answered any more. Nothing is deleted; `open` undoes it."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        if unless_yes(
            yes, f"close {found.merchant} ({found.name}): its devices keep selling and stop syncing"
        ):
            return
        found = merchants.close(connection, merchant, now_ms())
    _tell([found], as_json=as_json)


@command.command("open")
@merchant_argument
@hub_options
@json_option
def open_(merchant: str, dsn: str, state: Path, as_json: bool) -> None:
    """Answer a closed merchant's devices again."""
    with transaction(dsn, state) as connection:
        found = merchants.close(connection, merchant, None)
    _tell([found], as_json=as_json)


def _tell(found: list[Merchant], *, as_json: bool) -> None:
    if as_json:
        print_json({"schema": 1, "merchants": [_shown(each) for each in found]})
        return
    for each in found:
        closed = f"  CLOSED since {when(each.closed_at)}" if each.closed_at is not None else ""
        click.echo(f"{each.merchant}  {each.name}  since {when(each.made_at)}{closed}")


def _shown(each: Merchant) -> dict[str, object]:
    return {
        "merchant": each.merchant,
        "name": each.name,
        "made_at": iso(each.made_at),
        "closed_at": iso(each.closed_at),
        "token_key_id": each.token_key_id.hex() if each.token_key_id else None,
    }
