"""`vafa hub code`: one-time codes for enrolment."""

from pathlib import Path

import click

from vafa.cli.hub_merchant import merchant_argument
from vafa.cli.hub_options import (
    hub_options,
    iso,
    json_option,
    known_key,
    now_ms,
    print_json,
    transaction,
    unless_yes,
    when,
    yes_option,
)
from vafa.hub import codes, merchants
from vafa.hub.codes import VALID_H, VALID_H_MAX, Code
from vafa.model.errors import KeyFileError


@click.group("code")
def command() -> None:
    """Make, list, revoke one-time codes for enrolment."""


@command.command("add")
@merchant_argument
@click.option("--label", default="", help="What the device is called, e.g. 'counter left'.")
@click.option(
    "--hours",
    type=click.IntRange(1, VALID_H_MAX),
    default=VALID_H,
    show_default=True,
    help="How long it is good.",
)
@hub_options
@json_option
def add(merchant: str, label: str, hours: int, dsn: str, state: Path, as_json: bool) -> None:
    """A code for one device of MERCHANT. It is shown now and never again.

    Said by a device that is enrolled already (its keys are lost, or it was revoked), it keeps its number.
    """
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        code = codes.make(connection, found.merchant, label, hours, now_ms())
    fingerprint = _fingerprint(state)
    if as_json:
        shown = {"code": code, "hours": hours, "hub_key": fingerprint}
        print_json({"schema": 1, "merchant": found.merchant, **shown})
        return
    click.echo(f"{code}   for {found.name}, good for {hours} h, for one device")
    click.echo(f"at the device: sudo vafa enrol {code} --hub https://ADDRESS-OF-THIS-HUB")
    if fingerprint:
        click.echo(f"it shows the hub's key; compare: {fingerprint}")


@command.command("list")
@merchant_argument
@hub_options
@json_option
def list_(merchant: str, dsn: str, state: Path, as_json: bool) -> None:
    """A merchant's codes by name: the codes themselves are kept nowhere."""
    with transaction(dsn, state) as connection:
        found = codes.codes(connection, merchants.merchant(connection, merchant).merchant)
    _tell(found, as_json=as_json)


@command.command("revoke")
@merchant_argument
@click.argument("name", default="")
@yes_option
@hub_options
@json_option
def revoke(merchant: str, name: str, yes: bool, dsn: str, state: Path, as_json: bool) -> None:
    """Take back the code NAME that nobody used yet; without NAME, all of the merchant's."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        if unless_yes(yes, f"revoke {name or 'every unused code'} of {found.name}"):
            return
        gone = codes.revoke(connection, found.merchant, name)
    _tell(gone, as_json=as_json)
    if not gone and not as_json:
        click.echo("there was none")


def _fingerprint(state: Path) -> str:
    """Of the hub's key; '' where it lies on another machine or may not be read."""
    try:
        return known_key(state).fingerprint
    except KeyFileError:
        return ""


def _tell(found: list[Code], *, as_json: bool) -> None:
    if as_json:
        print_json({"schema": 1, "codes": [_shown(code) for code in found]})
        return
    for code in found:
        if code.device is not None:
            what = f"used by device {code.device} on {when(code.used_at)}"
        elif code.expires_at < now_ms():
            what = f"expired on {when(code.expires_at)}"
        else:
            what = f"good until {when(code.expires_at)}"
        click.echo(f"{code.name}  {code.label or '-'}  {what}")


def _shown(code: Code) -> dict[str, object]:
    return {
        "name": code.name,
        "label": code.label,
        "made_at": iso(code.made_at),
        "expires_at": iso(code.expires_at),
        "used_at": iso(code.used_at),
        "device": code.device,
    }
