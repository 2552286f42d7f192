"""`vafa hub message`: lines that devices print on receipts."""

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
from vafa.hub import merchants, published
from vafa.model.errors import Refused
from vafa.wire.messages import ReceiptMessage

_time = click.DateTime(["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])


@click.group("message")
def command() -> None:
    """Lines for receipts: add, list, cancel."""


@command.command("add")
@merchant_argument
@click.option("--fa", default="", help="The text in Persian.")
@click.option("--en", default="", help="The text in English.")
@click.option("--member", default="", help="The member's id; without it, for every receipt.")
@click.option("--from", "from_", type=_time, help="When it begins, with offset: 2026-12-01T00:00+03:30.")
@click.option("--until", type=_time, help="When it ends.")
@hub_options
@json_option
def add(
    merchant: str,
    fa: str,
    en: str,
    member: str,
    from_: datetime | None,
    until: datetime | None,
    dsn: str,
    state: Path,
    as_json: bool,
) -> None:
    """A line for a member's next receipt, or everybody's."""
    message = ReceiptMessage(0, member_id(member), fa, en, _seconds(from_), _seconds(until))
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        told = published.say(connection, found.merchant, message, now_ms())
    _tell([told], as_json=as_json)


@command.command("list")
@merchant_argument
@hub_options
@json_option
def list_(merchant: str, dsn: str, state: Path, as_json: bool) -> None:
    """A merchant's messages that were not cancelled."""
    with transaction(dsn, state) as connection:
        found = published.messages(connection, merchants.merchant(connection, merchant).merchant)
    _tell([message for _, message in found if not message.gone], as_json=as_json)


@command.command("cancel")
@merchant_argument
@click.argument("message", type=click.IntRange(1))
@yes_option
@hub_options
@json_option
def cancel(merchant: str, message: int, yes: bool, dsn: str, state: Path, as_json: bool) -> None:
    """Devices drop the message with their next sync."""
    with transaction(dsn, state) as connection:
        found = merchants.merchant(connection, merchant)
        if unless_yes(yes, f"cancel message {message} of {found.name}"):
            return
        published.cancel(connection, found.merchant, message)
    if as_json:
        print_json({"schema": 1, "cancelled": str(message)})
    else:
        click.echo(f"message {message} is cancelled")


def member_id(text: str) -> bytes:
    """A member's id as people write it (hex); b'' for none. Refused for anything else."""
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise Refused(
            f"{text!r} is no member id: twenty hexadecimal digits", fix="vafa hub member list"
        ) from error


def _seconds(at: datetime | None) -> int | None:
    return int(at.timestamp()) if at else None


def _tell(found: list[ReceiptMessage], *, as_json: bool) -> None:
    if as_json:
        print_json({"schema": 1, "messages": [_shown(each) for each in found]})
        return
    for each in found:
        whose = each.holder.hex() or "everybody"
        until = f"  until {when(each.until * 1000)}" if each.until is not None else ""
        click.echo(f"{each.id}  for {whose}{until}  {each.fa} {each.en}".rstrip())


def _shown(each: ReceiptMessage) -> dict[str, object]:
    return {
        "id": str(each.id),
        "member": each.holder.hex(),
        "fa": each.fa,
        "en": each.en,
        "from_at": iso(None if each.from_at is None else each.from_at * 1000),
        "until": iso(None if each.until is None else each.until * 1000),
    }
