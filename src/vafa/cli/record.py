"""`vafa record AMOUNT --rrn RRN --why TEXT`: enter a sale that nobody heard, as its slip shows it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import ask, config_option, json_option, print_json, shop_zone
from vafa.cli.sell import currency_option, rials
from vafa.cli.undoing import not_done
from vafa.cli.why import local

if TYPE_CHECKING:
    from vafa.app.gap_questions import RecordIs
    from vafa.app.message import Rial


@click.command("record")
@click.argument("amount", callback=rials)
@click.option("--terminal", metavar="TID", help="Where it was paid; needed when there are several.")
@click.option("--rrn", required=True, help="The reference number on the slip (not the trace number).")
@click.option("--at", default="", metavar="HH:MM", help="When, by the slip; within the last 24 hours.")
@click.option("--phone", help="Whose points they are; else they wait for a claim code.")
@click.option("--gap", default="", metavar="NUMBER", help="The gap that this sale explains; it is closed.")
@click.option("--sale", default="", metavar="NUMBER", help="The unsure sale that it is: this is its end.")
@click.option("--why", required=True, metavar="TEXT", help="How you know of it; it stays in the journal.")
@click.option("--lang", type=click.Choice(["fa", "en"]), help="Of the receipt's lines; default the shop's.")
@currency_option
@click.option("--yes", is_flag=True, help="Post it. Without it you only see what would be posted.")
@config_option
@json_option
def command(
    amount: int,
    terminal: str | None,
    rrn: str,
    at: str,
    phone: str | None,
    gap: str,
    sale: str,
    why: str,
    lang: str | None,
    currency: "Rial",
    yes: bool,  # noqa: FBT001
    config_path: Path,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Enter a sale of AMOUNT rials that the terminal took and Vafa never heard of.

    The same sale told by the terminal later, or entered again, earns nothing more. With --sale it is one
    that was asked for and is unsure: who was promised its points gets them. Without --yes it is only shown
    (exit 2).
    """
    from vafa.app import gap_questions

    question = gap_questions.Record(
        amount=amount, rrn=rrn, why=why, terminal=terminal, at=at, phone=phone, gap=gap, lang=lang,
        post=yes, currency=currency, sale=sale,
    )  # fmt: skip
    answer = ask(config_path, question, gap_questions.RecordIs)
    if as_json:
        print_json(answer)
    else:
        _tell(answer, config_path, posts=yes)
        if sale:
            click.echo(f"sale {sale} is settled: paid" if yes else f"sale {sale} would be settled: paid")
    if not yes and (sale or not answer.seen_before):
        not_done("the same command again, with --yes")


def _tell(answer: "RecordIs", config_path: Path, *, posts: bool) -> None:
    paid = answer.paid
    when = f" at {local(answer.at, shop_zone(config_path))}" if answer.at else ""
    rial = paid.currency.replace("-", " ")
    sale = f"{paid.amount:,} {rial}, RRN {paid.ref}, terminal {paid.terminal}{when}"
    if answer.seen_before:
        click.echo(f"known already as {paid.number}; nothing is posted: {sale}")
        if answer.disagrees:
            click.echo(
                f"what is known differs in: {', '.join(answer.disagrees)}; see: vafa why {paid.number}"
            )
        return
    if not posts:
        click.echo(f"would be posted: {sale}; {paid.points:,} points ({paid.result})")
        return
    click.echo(f"recorded {paid.number}: {sale}; {paid.points:,} points ({paid.result})")
    for line in paid.lines:
        click.echo(f"  {line}")
