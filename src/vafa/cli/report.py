"""`vafa report`: what the books say of the club as a whole."""

from pathlib import Path

import click

from vafa.cli.asking import config_option, json_option, now_ms, print_json, reading


@click.group("report")
def command() -> None:
    """What the club owes: points outstanding and their worth."""


@command.command("liability")
@config_option
@json_option
def liability(config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Points outstanding × what a point costs, less what will lapse, as an interval.

    A point's worth is redeem.point_value of the programme, else its dearest reward. How many points lapse
    unused is seen from this shop's own; until some have ended nothing is known of it.
    """
    from vafa.app.owing import owing

    with reading(config_path) as (connection, _config):
        found = owing(connection, now_ms() // 1000)
    if as_json:
        print_json(found)
        return
    for what, points in (
        ("with members", found.members),
        ("  held for a reward", found.held),
        ("  not usable yet", found.pending),
        *((f"  lapsing within {days} days", points) for days, points in found.lapsing.items()),
        ("waiting to be claimed", found.waiting),
        ("owed by members", found.debt),
        ("redeemed so far", found.redeemed),
        ("lapsed so far", found.lapsed),
    ):
        click.echo(f"{what:<26}{points:>16,} points")
    click.echo(f"{'single-use offers open':<26}{found.offers:>16,}")
    if found.rial is None:
        click.echo("worth: unknown; write redeem.point_value, or what rewards cost, into the programme")
        return
    click.echo(f"{'a point is worth':<26}{found.point_value:>16} rial")
    click.echo(f"{'if all are redeemed':<26}{found.rial:>16,} rial")
    if found.ended:
        low, high = (f"{each // 10}.{each % 10} %" for each in found.breakage_permille)
        click.echo(f"{'likely':<26}{f'{found.rial_low:,} to {found.rial_high:,}':>16} rial")
        click.echo(f"  {low} to {high} lapse unused, by {found.ended:,} redemptions and lapses here (95 %)")
    else:
        click.echo("  how many will lapse unused is not known: none has been redeemed or has lapsed here")
