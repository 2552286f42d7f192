"""`vafa adjust PHONE POINTS --why TEXT`: support puts a member's points right, by hand and on the record."""

import shlex
from pathlib import Path

import click

from vafa.cli.asking import config_option, json_option
from vafa.cli.undoing import carry_out, request_id, request_option, yes_option
from vafa.model.identity import ascii_digits


def signed_points(_context: click.Context, _argument: click.Parameter, text: str) -> int:
    """Points to give (5, +5) or to take (-5), Persian digits too. Usage error when it is none."""
    from vafa.app.questions import POINTS_MAX

    digits = ascii_digits(text).replace(",", "").replace("٬", "")
    bare = digits[1:] if digits[:1] in ("+", "-") else digits
    if not (bare.isascii() and bare.isdigit() and 0 < int(bare) <= POINTS_MAX):
        raise click.BadParameter("whole points to give (50) or to take (-50)")
    return int(digits)


def reason(_context: click.Context, _option: click.Parameter, text: str) -> str:
    """The reason, which may not be empty."""
    if not text.strip() or len(text) > 200:
        raise click.BadParameter("say why, in 200 letters at most: it is journalled")
    return text.strip()


@click.command("adjust", context_settings={"ignore_unknown_options": True})
@click.argument("phone")
@click.argument("points", callback=signed_points)
@click.option("--why", required=True, metavar="TEXT", callback=reason, help="The reason; it is journalled.")
@yes_option
@request_option
@config_option
@json_option
def command(
    phone: str,
    points: int,
    why: str,
    yes: bool,  # noqa: FBT001
    request: str | None,
    config_path: Path,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Give POINTS to a member, or take them (-50). What is taken beyond the balance becomes a debt.

    The journal keeps who did it and why; card and phone numbers in the reason are masked. Without --yes it
    shows what would happen and ends with 2.
    """
    from vafa.app import questions

    name = request_id(request)
    question = questions.Adjust(phone=phone, points=points, why=why, request=name, only_show=not yes)
    again = f"vafa adjust PHONE {points} --why {shlex.quote(why)} --yes --request {shlex.quote(name)}"
    carry_out(question, again, config_path, as_json=as_json)
