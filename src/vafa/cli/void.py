"""`vafa void ID`: the terminal undid a sale whole, so its points go back too."""

import shlex
from pathlib import Path

import click

from vafa.cli.asking import config_option, json_option
from vafa.cli.undoing import carry_out, request_id, request_option, yes_option


@click.command("void")
@click.argument("sale", metavar="ID")
@yes_option
@request_option
@config_option
@json_option
def command(sale: str, yes: bool, request: str | None, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Take back the points of a sale that was voided at the terminal.

    Moves no money: void it at the terminal first. Without --yes it shows what would happen and ends with 2.
    ID as for `vafa why`; several matches are listed.
    """
    from vafa.app import questions

    name = request_id(request)
    question = questions.Undo(kind="void", sale=sale, request=name, only_show=not yes)
    again = f"vafa void {shlex.quote(sale)} --yes --request {shlex.quote(name)}"
    carry_out(question, again, config_path, as_json=as_json)
