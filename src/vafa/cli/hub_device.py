"""`vafa hub device`: one merchant's devices, and what the hub holds of each."""

from pathlib import Path

import click

from vafa.cli.hub_fleet import entry, shown_device
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
from vafa.hub import devices, forks, merchants, suspense
from vafa.hub.branches import Counted
from vafa.hub.database import Connection
from vafa.hub.devices import Device
from vafa.hub.fleet import fleet
from vafa.hub.heal import heal
from vafa.keys.sign import fingerprint

device_argument = click.argument("device", type=click.IntRange(1))
SHOWN_MAX = 20


@click.group("device")
def command() -> None:
    """List, show, revoke devices; accept a fork; rebuild books."""


@command.command("list")
@merchant_argument
@hub_options
@json_option
def list_(merchant: str, dsn: str, state: Path, as_json: bool) -> None:
    """A merchant's devices."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        theirs = devices.devices(connection, found.merchant)
    if as_json:
        print_json({"schema": 1, "merchant": found.merchant, "devices": [_shown(each) for each in theirs]})
        return
    for each in theirs:
        _tell(each)


@command.command("show")
@merchant_argument
@device_argument
@hub_options
@json_option
def show(merchant: str, device: int, dsn: str, state: Path, as_json: bool) -> None:
    """One device: how it stands, its rows in suspense, its branches, its payments each counted once."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        known = devices.known(connection, found.merchant, device)
        facts = next(d for d in fleet(connection, [found], now_ms()).devices if d.device == device)
        waiting = suspense.rows(connection, found.merchant, device, SHOWN_MAX)
        paid = forks.payments(connection, found.merchant, device)
    if as_json:
        rows = [{**_fields(row), "at": iso(row.at)} for row in waiting]
        payments = _fields(paid)
        print_json({**_shown(known), **shown_device(facts), "suspense_rows": rows, "payments": payments})
        return
    _tell(known)
    for line in entry(facts):
        click.echo(line)
    for row in waiting:
        click.echo(f"  suspense  row {row.epoch}-{row.seq}, {row.kind_name}: {row.reason}")
    click.echo(f"  payments  {paid.count:,} of {paid.amount:,} rial, each counted once")
    for fork in facts.forks:
        click.echo(
            f"  fork      behind row {fork.left_seq}: {fork.rows_there:,} rows on the one that came first, "
            f"{fork.rows_here:,} on the one that left it"
        )
    if facts.forks:
        click.echo(
            f"            {paid.in_both:,} payments on both; {paid.only_left:,} "
            f"({paid.amount_only_left:,} rial) not on the one that stands for the device"
        )

    if facts.lost_rows or facts.again != Counted():
        again = facts.again
        click.echo(
            f"  branches  {again.counted:,} rows of the others counted again, {again.known:,} needed none, "
            f"{again.left_out:,} left out, {again.short:,} points owed; {facts.lost_rows:,} to come"
        )


def _fields(struct: object) -> dict[str, object]:
    import msgspec

    fields: dict[str, object] = msgspec.to_builtins(struct)
    return fields


@command.command("label")
@merchant_argument
@device_argument
@click.argument("label")
@hub_options
@json_option
def label(merchant: str, device: int, label: str, dsn: str, state: Path, as_json: bool) -> None:
    """What people call the device."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        known = devices.relabel(connection, found.merchant, device, label)
    _tell(known, as_json=as_json)


@command.command("revoke")
@merchant_argument
@device_argument
@yes_option
@hub_options
@json_option
def revoke(merchant: str, device: int, yes: bool, dsn: str, state: Path, as_json: bool) -> None:
    """Answer the device no more (lost, stolen, sold). Its rows stay; `allow` or a new code undoes it."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        known = devices.known(connection, found.merchant, device)
        if unless_yes(yes, f"revoke device {device} ({known.label or 'no label'}) of {found.name}"):
            return
        known = devices.revoke(connection, found.merchant, device, now_ms())
    _tell(known, as_json=as_json)


@command.command("allow")
@merchant_argument
@device_argument
@hub_options
@json_option
def allow(merchant: str, device: int, dsn: str, state: Path, as_json: bool) -> None:
    """Answer a revoked device again, with the keys it had."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        known = devices.revoke(connection, found.merchant, device, None)
    _tell(known, as_json=as_json)


@command.command("accept")
@merchant_argument
@device_argument
@yes_option
@hub_options
@json_option
def accept(merchant: str, device: int, yes: bool, dsn: str, state: Path, as_json: bool) -> None:
    """Say that a fork is known and may be: the fleet page reports it no more. Both branches stay."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        fresh = _accepted(connection, found.merchant, device, yes=yes)
    if as_json:
        print_json({"schema": 1, "accepted": [_fields(fork) for fork in fresh] if yes else []})
        return
    if not fresh:
        click.echo("there is no fork that was not accepted")
    elif not unless_yes(yes, f"accept {len(fresh)} branches of device {device} of {found.name}"):
        click.echo(f"{len(fresh)} branches accepted")


@command.command("rebuild")
@merchant_argument
@device_argument
@yes_option
@hub_options
@json_option
def rebuild(merchant: str, device: int, yes: bool, dsn: str, state: Path, as_json: bool) -> None:
    """Make the hub's books of the device again from its journal: after an update, suspense may clear."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        devices.known(connection, found.merchant, device)
        if unless_yes(yes, f"rebuild the books of device {device} of {found.name}; its syncs wait meanwhile"):
            return
        done = heal(connection, found.merchant, device, now_ms())
    if as_json:
        print_json({"schema": 1, **_fields(done)})
        return
    click.echo(f"{done.rows:,} rows; in suspense {done.suspense_before:,} before, {done.suspense:,} now")
    click.echo(
        "the books are the device's" if done.books_agree else "the books still differ from the device's"
    )


def _accepted(connection: Connection, merchant: str, device: int, *, yes: bool) -> list[forks.Fork]:
    devices.known(connection, merchant, device)
    if yes:
        return forks.accept(connection, merchant, device, now_ms())
    return forks.to_accept(connection, merchant, device)


def _tell(device: Device, *, as_json: bool = False) -> None:
    if as_json:
        print_json({"schema": 1, **_shown(device)})
        return
    off = f"  REVOKED since {when(device.revoked_at)}" if device.revoked_at is not None else ""
    since, key = when(device.enrolled_at), fingerprint(device.sign_key)
    click.echo(f"device {device.device}  {device.label or '-'}  enrolled {since}  key {key}{off}")


def _shown(device: Device) -> dict[str, object]:
    return {
        "device": device.device,
        "label": device.label,
        "ledger_id": device.ledger_id.hex(),
        "key": fingerprint(device.sign_key),
        "token_key_id": device.key_id.hex(),
        "enrolled_at": iso(device.enrolled_at),
        "revoked_at": iso(device.revoked_at),
    }
