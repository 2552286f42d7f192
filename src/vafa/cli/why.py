"""`vafa why ID`: one sale as a time line, from the request to the paper."""

import sys
import textwrap
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import answered, config_option, json_option, now_ms, print_json, shop_zone

if TYPE_CHECKING:
    import sqlite3

    from vafa.app.config import Config
    from vafa.app.questions import Reply, Several, WhyIs

COLUMNS = 80


@click.command("why")
@click.argument("sale", metavar="ID")
@config_option
@json_option
def command(sale: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """One sale as a time line: asked, heard, awarded, durable, ended, claimed.

    ID is whatever stands on the paper: our number (1-1-57 or 57), an RRN or its end, a trace number; or
    amount and time of today: 125000@10:02. Persian digits too.
    """
    from vafa.app import questions

    def read(connection: "sqlite3.Connection", config: "Config") -> "Reply":
        from vafa.app.support import why

        return why(connection, sale, config.shop.zone, now_ms(), {})

    answer = one_sale(answered(config_path, questions.Why(sale=sale), read), config_path, as_json=as_json)
    assert isinstance(answer, questions.WhyIs)
    if as_json:
        print_json(answer)
    else:
        for line in screen(answer, shop_zone(config_path)):
            click.echo(line)
    if answer.mismatch:
        sys.exit(1)


def one_sale(answer: "Reply", config_path: Path, *, as_json: bool) -> "Reply":
    """The answer, unless it is a list to choose from: then the list, and exit 1."""
    from vafa.app.questions import Several

    if not isinstance(answer, Several):
        return answer
    if as_json:
        print_json(answer)
    else:
        click.echo("That could be any of these. Say which, by its number:\n", err=True)
        for line in choices(answer, shop_zone(config_path)):
            click.echo(line)
    sys.exit(1)


def choices(several: "Several", zone: tzinfo) -> Iterator[str]:
    """A line for each sale to choose from."""
    for match in several.matches:
        yield f"  {match.number:<12} {match.amount:>16,} rial   {local(match.at, zone)}   {match.terminal}"


def screen(why: "WhyIs", zone: tzinfo) -> Iterator[str]:
    """The time line's lines, at most 80 columns each."""
    yield f"Sale {why.number} · {why.amount:,} rial · terminal {why.terminal} · {why.result}"
    yield ""
    for moment in why.moments:
        head = f"  {local(moment.at, zone, '%H:%M:%S')} {elapsed(moment.ms):>9}  {moment.what:<16} "
        yield from _hanging(head, moment.detail)
    if why.mismatch:
        yield ""
        for line in textwrap.wrap(f"The stored result does not follow from the rules: {why.mismatch}.", 78):
            yield "! " + line
        yield "! Stop vafa, keep the files, and run: vafa verify   [LED-003]"
    if why.steps:
        since = f" since {local(why.programme_from, zone)}" if why.programme_from else ""
        yield ""
        yield f"  programme {why.programme or 'none'}{since}"
        for step in why.steps:
            yield from _hanging("    ", step)


def _hanging(head: str, text: str) -> list[str]:
    blank = " " * len(head)
    return textwrap.wrap(
        text, COLUMNS, initial_indent=head, subsequent_indent=blank, break_on_hyphens=False
    ) or [head.rstrip()]


def local(iso: str, zone: tzinfo, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """An ISO time of an answer on the shop's wall clock."""
    return f"{datetime.fromisoformat(iso.replace('Z', '+00:00')).astimezone(zone):{form}}"


def elapsed(ms: float) -> str:
    """`+0 ms`, `+12 ms`, `+3.402 s`, `+2 h`: since the first step."""
    if abs(ms) < 1_000:
        return f"{ms:+g} ms"
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if ms >= 2 * size:
            return f"+{ms / size:.0f} {unit}"
    return f"+{ms / 1000:.3f} s"
