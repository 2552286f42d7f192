"""`vafa explain ID`: the arithmetic behind a sale's points, recomputed, in Persian or English."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import answered, config_option, json_option, now_ms, print_json
from vafa.cli.why import one_sale

if TYPE_CHECKING:
    import sqlite3

    from vafa.app.config import Config
    from vafa.app.questions import Reply


@click.command("explain")
@click.argument("sale", metavar="ID")
@click.option(
    "--lang", type=click.Choice(["fa", "en"]), default="en", show_default=True, help="Persian or English."
)
@config_option
@json_option
def command(sale: str, lang: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """The arithmetic of a sale's points, step by step.

    Computed anew from the stored inputs and the programme the award names; when that does not give the
    stored points, it says which value differs and ends with 1. ID as for `vafa why`.
    """
    from vafa.app import questions

    def read(connection: "sqlite3.Connection", config: "Config") -> "Reply":
        from vafa.app.support import explain

        return explain(connection, sale, lang, config.shop.zone, now_ms())

    question = questions.Explain(sale=sale, lang=lang)
    answer = one_sale(answered(config_path, question, read), config_path, as_json=as_json)
    assert isinstance(answer, questions.Explained)
    if as_json:
        print_json(answer)
    else:
        for line in answer.lines:
            click.echo(line)
        if answer.mismatch:
            click.echo(f"vafa: the stored result does not follow: {answer.mismatch}   [LED-003]", err=True)
            click.echo("  fix: stop vafa, keep the files, and run: vafa verify", err=True)
    if answer.mismatch:
        sys.exit(1)
