"""`vafa gap`: where sales may be missing or are unsure, and that a person has looked after it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import answered, ask, config_option, json_option, print_json, shop_zone
from vafa.cli.why import local

if TYPE_CHECKING:
    import sqlite3

    from vafa.app.config import Config
    from vafa.app.questions import Reply


@click.group("gap")
def command() -> None:
    """List and close gaps: sales of a terminal that may be missing, or are unsure."""


@command.command("list")
@config_option
@json_option
def list_gaps(config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """The gaps nobody has closed. Sales may be missing between the trace numbers shown."""
    from vafa.app import gap_questions

    def read(connection: "sqlite3.Connection", _config: "Config") -> "Reply":
        from vafa.app.status import read_gaps

        return gap_questions.GapsAre(gaps=read_gaps(connection))

    answer = answered(config_path, gap_questions.GapList(), read)
    assert isinstance(answer, gap_questions.GapsAre)
    if as_json:
        print_json(answer)
        return
    if not answer.gaps:
        click.echo("no gaps")
    for gap in answer.gaps:
        between = f"after trace {gap.after_trace or '?'}, before {gap.before_trace or '?'}"
        click.echo(
            f"{gap.number:<12} terminal {gap.terminal}   found {local(gap.at, shop_zone(config_path))}"
        )
        click.echo(f"  {between}: {gap.why}")


@command.command("close")
@click.argument("number")
@click.option("--why", required=True, metavar="TEXT", help="What you found; it stays in the journal.")
@config_option
@json_option
def close(number: str, why: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Say that no more sales are missing in gap NUMBER. Enter those that were first: vafa record."""
    from vafa.app import gap_questions

    answer = ask(config_path, gap_questions.GapClose(gap=number, why=why), gap_questions.GapIsClosed)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"gap {answer.gap.number} of terminal {answer.gap.terminal} is closed")


@command.command("unpaid")
@click.argument("number")
@click.option("--why", required=True, metavar="TEXT", help="How you know of it; it stays in the journal.")
@config_option
@json_option
def unpaid(number: str, why: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Say that nothing was charged for the unsure sale NUMBER. Was it paid: vafa record --sale NUMBER."""
    from vafa.app import gap_questions

    answer = ask(config_path, gap_questions.Unpaid(sale=number, why=why), gap_questions.UnpaidIs)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"sale {answer.number} of terminal {answer.terminal} is settled: not paid")
