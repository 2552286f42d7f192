"""What `vafa void`, `refund` and `adjust` share: shown first, done with --yes, safe to repeat.

A request id is made and told before anything changes, so that a command that was cut off can be given again.
"""

import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from vafa.cli.asking import asked, print_json
from vafa.cli.why import one_sale

if TYPE_CHECKING:
    from vafa.app.questions import Adjust, Undo, UndoneIs

EXIT_NOT_SURE = 2
F = TypeVar("F", bound=Callable[..., Any])

yes_option: Callable[[F], F] = click.option(
    "--yes", is_flag=True, help="Do it; without this it is only shown."
)
request_option: Callable[[F], F] = click.option(
    "--request", metavar="ID", help="Of an earlier try: what was done then is told, never done again."
)


def request_id(given: str | None) -> str:
    """The identity of what is to be done: the one of an earlier try, or a new one."""
    return given or f"cli-{secrets.token_hex(6)}"


def carry_out(question: "Undo | Adjust", again: str, config_path: Path, *, as_json: bool) -> None:
    """Ask the daemon, tell what it did or would do; exit 2 when it was only shown.

    again  the command that does it, with this request's id
    """
    from vafa.app import questions

    if not question.only_show:
        click.echo(f"request {question.request}; should this stop, give it again:  {again}", err=True)
    answer = one_sale(asked(config_path, question), config_path, as_json=as_json)
    assert isinstance(answer, questions.UndoneIs)
    if as_json:
        print_json(answer)
    else:
        for line in screen(answer):
            click.echo(line)
    if not answer.done:
        not_done(again)


def not_done(again: str) -> NoReturn:
    """It was only shown: say how it is done, exit 2."""
    click.echo(f"Nothing was changed. To do it:  {again}", err=True)
    sys.exit(EXIT_NOT_SURE)


def screen(answer: "UndoneIs") -> Iterator[str]:
    """What was done, or would be."""
    undone = answer.undone
    if answer.seen_before:
        yield "this request was done already; nothing changed"
    head = f"{undone.kind}  {undone.number}" if answer.done else f"{undone.kind}, not done yet"
    if undone.kind == "adjustment":
        yield f"{head}: {-undone.points:+,} points"
    else:
        rial = undone.currency.replace("-", " ")
        yield f"{head}: {undone.amount:,} {rial} of sale {undone.sale}, {answer.left:,} {rial} left of it"
        holder = f"member {answer.member}" if answer.member else "what waits for a claim"
        yield f"  points taken back: {undone.points:,} from {holder}"
    if undone.debt:
        yield f"  of them not there any more: {undone.debt:,}; new points pay this debt first"
    if undone.forgiven:
        yield f"  forgiven, more than a member may owe: {undone.forgiven:,}"
    if undone.returned:
        yield f"  redeemed points that came back: {undone.returned:,}"
    if undone.balance is not None:
        yield f"  balance after it: {undone.balance:,} points"
    for line in undone.lines:
        yield f"  | {line}"
