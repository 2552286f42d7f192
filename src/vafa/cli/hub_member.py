"""`vafa hub member`: a merchant's members over all its devices. No phone and no name is at the hub."""

from pathlib import Path

import click

from vafa.cli.hub_merchant import merchant_argument
from vafa.cli.hub_message import member_id
from vafa.cli.hub_options import hub_options, json_option, print_json, transaction
from vafa.hub import merchants, roster
from vafa.hub.roster import Holder
from vafa.model.errors import NotFound, Refused
from vafa.model.identity import ascii_digits, last4_masked

SHOWN_MAX = 100


@click.group("member")
def command() -> None:
    """A merchant's members over all its devices."""


@command.command("list")
@merchant_argument
@click.option("--last4", default="", help="Only those whose phone ends in these four digits.")
@hub_options
@json_option
def list_(merchant: str, last4: str, dsn: str, state: Path, as_json: bool) -> None:
    """Members by id, at most a hundred."""
    digits = ascii_digits(last4)
    if digits and not (digits.isdigit() and len(digits) == 4):
        raise Refused("--last4 takes four digits")
    with transaction(dsn, state) as connection:
        theirs = merchants.merchant(connection, merchant).merchant
        found = roster.find(connection, theirs, digits, SHOWN_MAX)
    _tell(found, as_json=as_json)
    if len(found) == SHOWN_MAX and not as_json:
        click.echo(f"(the first {SHOWN_MAX}; narrow it down with --last4)")


@command.command("show")
@merchant_argument
@click.argument("member", metavar="ID")
@hub_options
@json_option
def show(merchant: str, member: str, dsn: str, state: Path, as_json: bool) -> None:
    """One member: points and purchases at each device."""
    with transaction(dsn, state) as connection:
        theirs = merchants.merchant(connection, merchant).merchant
        found = roster.holders(connection, theirs, [member_id(member)])
    if not found:
        raise NotFound(f"merchant {theirs} has no member {member}", fix="vafa hub member list")
    _tell(found, as_json=as_json)


def _tell(found: list[Holder], *, as_json: bool) -> None:
    if as_json:
        print_json({"schema": 1, "members": [_shown(each) for each in found]})
        return
    for each in found:
        click.echo(f"{each.member.hex()}  {last4_masked(each.last4)}  {each.balance:,} points")
        for till in each.tills:
            owes = f", owes {till.debt:,}" if till.debt else ""
            click.echo(
                f"  device {till.device}: {till.balance:,} points{owes}, "
                f"{till.visits:,} purchases of {till.spent:,} rial"
            )


def _shown(each: Holder) -> dict[str, object]:
    return {
        "member": each.member.hex(),
        "last4": each.last4,
        "balance": each.balance,
        "cards": [card.hex() for card in each.cards],
        "tills": [
            {
                "device": str(till.device),
                "balance": till.balance,
                "debt": till.debt,
                "visits": till.visits,
                "spent": till.spent,
            }
            for till in each.tills
        ],
    }
