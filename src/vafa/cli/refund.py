"""`vafa refund ID [AMOUNT]`: money of a sale went back, so its part of the points goes back too."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import config_option, json_option
from vafa.cli.sell import currency_option, rials, told_currency
from vafa.cli.undoing import carry_out, request_id, request_option, yes_option

if TYPE_CHECKING:
    from vafa.app.message import Rial


def some_rials(context: click.Context, argument: click.Parameter, text: str | None) -> int | None:
    """An amount as `vafa sell` takes it, or None when none was given."""
    return None if text is None else rials(context, argument, text)


@click.command("refund")
@click.argument("sale", metavar="ID")
@click.argument("amount", required=False, callback=some_rials)
@yes_option
@request_option
@currency_option
@config_option
@json_option
def command(
    sale: str,
    amount: int | None,
    yes: bool,  # noqa: FBT001
    request: str | None,
    currency: "Rial",
    config_path: Path,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Take back the points of AMOUNT rials of a sale; without AMOUNT of all that is left of it.

    Moves no money: refund it at the terminal first. In parts or at once, the points taken are the same.
    Without --yes it shows what would happen and ends with 2. ID as for `vafa why`; several matches are
    listed. AMOUNT may be in the other rial than the sale was, where it is a whole amount of that.
    """
    from vafa.app import questions

    name = request_id(request)
    question = questions.Undo(
        kind="refund", sale=sale, request=name, amount=amount, only_show=not yes, currency=currency
    )
    part = f" {amount}{told_currency(currency)}" if amount else ""
    again = f"vafa refund {shlex.quote(sale)}{part} --yes --request {shlex.quote(name)}"
    carry_out(question, again, config_path, as_json=as_json)
