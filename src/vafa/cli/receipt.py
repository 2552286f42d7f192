"""`vafa receipt`: what the paper said of a sale."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import answered, config_option, json_option, now_ms, print_json
from vafa.cli.why import one_sale

if TYPE_CHECKING:
    import sqlite3

    from vafa.app.config import Config
    from vafa.app.questions import Reply


@click.group("receipt")
def command() -> None:
    """What the paper says."""


@command.command("show")
@click.argument("sale", metavar="ID")
@click.option("--lang", type=click.Choice(["fa", "en"]), help="Persian or English; default the shop's.")
@config_option
@json_option
def show(sale: str, lang: str | None, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """The lines the paper said, again, also those of its voids and refunds. ID as for `vafa why`."""
    from vafa.app import questions

    def read(connection: "sqlite3.Connection", config: "Config") -> "Reply":
        from vafa.app.paper import Paper
        from vafa.app.support import Versions, receipt

        shop = config.shop
        paper = Paper(shop.name, shop.name_en, shop.language, shop.zone, Versions(connection))
        return receipt(connection, sale, lang, paper, shop.zone, now_ms())

    question = questions.Receipt(sale=sale, lang=lang)
    answer = one_sale(answered(config_path, question, read), config_path, as_json=as_json)
    assert isinstance(answer, questions.Lines)
    if as_json:
        print_json(answer)
        return
    for line in answer.lines:
        click.echo(line)
    for each in answer.undone:
        for line in ("", *each.lines) if each.lines else ():
            click.echo(line)
    if not answer.lines:
        click.echo(f"nothing was printed for {answer.number}: no points moved", err=True)
