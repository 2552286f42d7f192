"""`vafa claim CODE PHONE`: give points that wait on a claim code to a member."""

from pathlib import Path

import click

from vafa.cli.asking import ask, config_option, json_option, print_json


@click.command("claim")
@click.argument("code")
@click.argument("phone")
@config_option
@json_option
def command(code: str, phone: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Give the points waiting on the slip's CODE to the member with PHONE.

    Someone new joins first: vafa member add PHONE. Claiming again changes nothing; a code another member
    has used is refused. Persian digits too.
    """
    from vafa.app import questions

    answer = ask(config_path, questions.Claim(code=code, phone=phone), questions.ClaimIs)
    if as_json:
        print_json(answer)
        return
    if answer.seen_before:
        click.echo("this member has claimed that code already; nothing changed")
    else:
        click.echo(f"points: {answer.points:,}   purchases: {answer.payments:,}")
    click.echo(f"{answer.member.phone} has {answer.member.balance:,} points")
