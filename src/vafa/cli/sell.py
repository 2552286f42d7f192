"""`vafa sell AMOUNT`: ask a terminal for a payment, from the command line.

The request's id is made and shown first: with it the same sale can be asked about again, never charged twice.
"""

import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vafa.cli.asking import config_option, conversation, json_option, print_json, received, send
from vafa.model.errors import NotRunning
from vafa.model.identity import ascii_digits, phone_e164
from vafa.model.money import AMOUNT_MAX

if TYPE_CHECKING:
    from vafa.app.message import Rial
    from vafa.app.messages import Sold
    from vafa.app.questions import Sell, SoldIs

PROGRESS_EVERY_S = 1.0
F = TypeVar("F", bound=Callable[..., Any])
STATUS_S = 1.0  # how long a look at the terminal may take before the sale is listened for again
PAID = ("approved", "resolved_paid")


def rials(_context: click.Context, _argument: click.Parameter, text: str) -> int:
    """An amount as people write it: 125000, 125,000, ۱۲۵٬۰۰۰. Usage error when it is none."""
    digits = ascii_digits(text)
    for separator in ",٬_ ":
        digits = digits.replace(separator, "")
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits) <= AMOUNT_MAX):
        raise click.BadParameter("whole rials above zero, e.g. 125000")
    return int(digits)


currency_option: Callable[[F], F] = click.option(
    "--currency",
    type=click.Choice(["rial", "new-rial"]),
    default="rial",
    show_default=True,
    help="The rial that AMOUNT is in: today's, or the new one (10,000 of today's).",
)


@click.command("sell")
@click.argument("amount", callback=rials)
@click.option("--terminal", metavar="TID", help="Which terminal; needed when there are several.")
@click.option("--phone", help="The customer's phone, when they told it; else the card decides.")
@click.option("--request", metavar="ID", help="Ask about an earlier request again instead of a new sale.")
@click.option("--lang", type=click.Choice(["fa", "en"]), help="Of the receipt's lines; default the shop's.")
@currency_option
@config_option
@json_option
def command(
    amount: int,
    terminal: str | None,
    phone: str | None,
    request: str | None,
    lang: str | None,
    currency: "Rial",
    config_path: Path,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Ask the terminal for a payment of AMOUNT rials and wait until the customer has paid, or not.

    Exit 0 only when it was paid. When the terminal's answer is lost the sale is unsure: look at the terminal,
    and ask again with the same --request; that never charges twice.
    """
    from vafa.app import questions

    if phone is not None and phone_e164(phone) is None:
        raise click.BadParameter(
            "that is no mobile number: 11 digits that begin with 09", param_hint="--phone"
        )
    name = request or f"cli-{secrets.token_hex(6)}"
    question = questions.Sell(
        request=name, amount=amount, terminal=terminal, phone=phone, lang=lang, currency=currency
    )
    again = f"vafa sell {amount} --request {name}" + (f" --terminal {terminal}" if terminal else "")
    again += told_currency(currency)
    click.echo(f"request {name}; should this stop, ask again with:  {again}", err=True)
    answer = _answer(config_path, question, again)
    if answer.note:
        click.echo(f"note: {answer.note}", err=True)
    if as_json:
        print_json(answer)
    else:
        _tell(answer.sold, again)
    if answer.sold.outcome not in PAID:
        sys.exit(1)


def told_currency(currency: str) -> str:
    """The option as a command that is given again has it; nothing for today's rial."""
    return "" if currency == "rial" else f" --currency {currency}"


def _answer(config_path: Path, question: "Sell", again: str) -> "SoldIs":
    """The sale's end; meanwhile what the terminal is at, once a second where a person watches."""
    from vafa.app import questions

    told = ""

    def waiting() -> None:
        nonlocal told
        doing = _doing(config_path) if watched() else ""
        if doing not in ("", told):
            click.echo(f"  {doing}", err=True)
            told = doing

    with conversation(config_path) as line:
        line.settimeout(PROGRESS_EVERY_S)
        try:
            send(line, question)
            answer = received(line, waiting)
        except (NotRunning, KeyboardInterrupt):
            click.echo(f"The sale may still be in hand at the terminal. Ask again:  {again}", err=True)
            raise
    assert isinstance(answer, questions.SoldIs)
    return answer


def watched() -> bool:
    """True when a person looks at what is said meanwhile."""
    return sys.stderr.isatty()


def _doing(config_path: Path) -> str:
    """What the terminals that are at something are at; '' when the daemon is too busy to say."""
    from vafa.app import questions
    from vafa.cli.asking import ask

    try:
        status = ask(config_path, questions.GetStatus(), questions.StatusIs, STATUS_S).status
    except NotRunning:
        return ""
    return ", ".join(each.doing for each in status.terminals if each.doing not in ("", "idle"))


def _tell(sold: "Sold", again: str) -> None:
    words = sold.outcome.replace("_", " ")
    code = f"  (terminal's code {sold.response})" if sold.response else ""
    click.echo(f"{words}  {sold.number}{code}" + (f"  {sold.text}" if sold.text else ""))
    for line in sold.paid.lines if sold.paid else ():
        click.echo(f"  {line}")
    if sold.outcome == "unsure":
        click.echo(
            "Nobody knows yet whether it was paid. Look at the terminal's last transactions before\n"
            "asking the customer to pay again. Vafa asks the terminal too; see how it ended:\n"
            f"  {again}   [TRM-008]",
            err=True,
        )
