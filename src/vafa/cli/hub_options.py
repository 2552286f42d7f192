"""What the parts of `vafa hub` share: where the hub's database and folder are, and how times are shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from vafa.cli.asking import json_option, now_ms, print_json
from vafa.hub.database import Connection
from vafa.hub.hub_key import known_key
from vafa.hub.installation import STATE, opened

F = TypeVar("F", bound=Callable[..., Any])


state_option: Callable[[F], F] = click.option(
    "--state",
    envvar="VAFA_HUB_STATE",
    default=STATE,
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The hub's folder: its key, and the embedded database.",
)
_dsn_option: Callable[[F], F] = click.option(
    "--dsn",
    envvar="VAFA_HUB_DSN",
    default="",
    metavar="DSN",
    help="A PostgreSQL 15 or newer, e.g. 'host=db dbname=vafa'. Without it the embedded one is used.",
)


def hub_options(command: F) -> F:
    """--dsn and --state, for every part that looks into the database."""
    return _dsn_option(state_option(command))


yes_option: Callable[[F], F] = click.option(
    "--yes", is_flag=True, help="Do it. Without it, it is only shown."
)


@contextmanager
def transaction(dsn: str, state: Path) -> Iterator[Connection]:
    """The hub's database in one transaction."""
    with opened(dsn, state) as database, database.transaction() as connection:
        yield connection


def unless_yes(yes: bool, what: str) -> bool:
    """True, having said so, when the person did not say --yes yet."""
    if not yes:
        click.echo(f"would {what}; nothing was done. With --yes it is.")
    return not yes


def when(at_ms: int | None) -> str:
    """`2026-11-23 14:05Z`: a hub serves shops of many zones, so it shows UTC. `-` for never."""
    if at_ms is None:
        return "-"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%MZ")


def iso(at_ms: int | None) -> str | None:
    """UTC as scripts take it; None for never."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")


__all__ = [
    "hub_options",
    "iso",
    "json_option",
    "known_key",
    "now_ms",
    "print_json",
    "state_option",
    "transaction",
    "unless_yes",
    "when",
    "yes_option",
]
