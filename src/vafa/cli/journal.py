"""`vafa journal`: the ledger's events as JSON lines, one event a line, oldest first."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from vafa.cli.asking import answered, config_option, pause

if TYPE_CHECKING:
    import sqlite3

    from vafa.app.config import Config
    from vafa.app.questions import Page, Reply

FOLLOW_EVERY_S = 1.0


@click.command("journal")
@config_option
@click.option("--since", metavar="SEQ", type=click.IntRange(min=0), default=0, help="Only rows after SEQ.")
@click.option(
    "--kind", "kinds", metavar="KIND", multiple=True, help="Only this kind, e.g. award; repeatable."
)
@click.option("--limit", metavar="N", type=click.IntRange(min=1), help="At most N events.")
@click.option("--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
def command(config_path: Path, since: int, kinds: tuple[str, ...], limit: int | None, follow: bool) -> None:  # noqa: FBT001
    """The ledger's events as JSON lines.

    Each line has number, epoch, seq, at, kind, event (its fields by name), check (the code on the paper) and
    hash. Byte strings are in hex. docs/events.md says what each event means.
    """
    after, left = since, limit
    try:
        while True:
            for page in _pages(config_path, after, kinds, left):
                for row in page.rows:
                    click.echo(msgspec.json.encode(row))
                after, left = page.next, None if left is None else left - len(page.rows)
            if not follow or left == 0:
                break
            pause(FOLLOW_EVERY_S)
    except KeyboardInterrupt:
        sys.exit(0)


def _pages(config_path: Path, after: int, kinds: tuple[str, ...], left: int | None) -> "Iterator[Page]":
    """The pages from `after` on, until the journal or `left` ends."""
    more = left != 0
    while more:
        page = _page(config_path, after, kinds, left)
        yield page
        after, left = page.next, None if left is None else left - len(page.rows)
        more = page.more and left != 0


def _page(config_path: Path, after: int, kinds: tuple[str, ...], left: int | None) -> "Page":
    from vafa.app import questions

    limit = min(left or questions.JOURNAL_ROWS_MAX, questions.JOURNAL_ROWS_MAX)
    question = questions.Journal(after=after, kinds=kinds, limit=limit)

    def read(connection: "sqlite3.Connection", _config: "Config") -> "Reply":
        from vafa.app.journal_page import page

        return page(connection, after, kinds, limit)

    answer: Any = answered(config_path, question, read)
    assert isinstance(answer, questions.Page)
    return answer
