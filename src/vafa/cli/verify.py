"""`vafa verify`: recompute chain, points and books from the journal, and name the first row that differs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from vafa.cli.asking import config_option, json_option, print_json, progress, reading

if TYPE_CHECKING:
    import sqlite3

    from vafa.app.config import Config
    from vafa.ledger.verify import Bad


class Result(msgspec.Struct, frozen=True):
    """What `--json` prints. `sealed` says how the sealed phones were checked, or why they were not."""

    ok: bool
    rows: int
    awards: int
    points: int
    check: str
    head_hash: str
    bad: tuple[str, ...]
    sealed: str
    explained: int | None = None


@click.command("verify")
@click.option("--explain", "explained", is_flag=True, help="Explain every payment in words, both languages.")
@config_option
@json_option
def command(config_path: Path, explained: bool, as_json: bool) -> None:  # noqa: FBT001
    """Recompute the ledger from its journal and compare.

    Recomputes the chain of hashes, each award's points from its inputs and programme, and all balances; reads
    the ledger only, also while the daemon runs. Exit 1 when something does not verify: the first bad place
    is named.
    """
    with reading(config_path) as (connection, config):
        result = verified(connection, config, progress())
        if explained:
            result = _explained(connection, result)
    if as_json:
        print_json(result)
    else:
        _tell(result)
    if not result.ok:
        sys.exit(1)


def verified(connection: "sqlite3.Connection", config: "Config", progress: Callable[[int], None]) -> Result:
    """The whole look at a ledger: pages, chain, effects, points, tables, sealed phones."""
    from vafa.app.recheck import Recheck
    from vafa.ledger.verify import verify
    from vafa.model.chain import check_code

    pages = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
    found = verify(connection, Recheck(connection), progress)
    bad = [str(each) for each in found.bad]
    if pages != ["ok"]:
        bad.append(f"pages: {pages[0]}")
    bad_seals, sealed = _sealed(connection, config)
    bad += [str(each) for each in bad_seals]
    return Result(
        ok=not bad,
        rows=found.rows,
        awards=found.awards,
        points=found.points,
        check=check_code(found.head_hash),
        head_hash=found.head_hash.hex(),
        bad=tuple(bad),
        sealed=sealed,
    )


def _explained(connection: "sqlite3.Connection", result: Result) -> Result:
    """The result, with every payment's arithmetic derived again and said in Persian and English."""
    from vafa.app.explaining import explain_all

    count, fault = explain_all(connection)
    bad = (*result.bad, fault) if fault else result.bad
    return msgspec.structs.replace(result, explained=count, bad=bad, ok=not bad)


def _sealed(connection: "sqlite3.Connection", config: "Config") -> "tuple[list[Bad], str]":
    """Open each sealed phone with the device's key, where we may read that key."""
    from vafa.app.recheck import seal_faults
    from vafa.keys.device_key import load
    from vafa.model.errors import KeyFileError
    from vafa.sync.enrolment import merchant_key

    try:
        keys = load(config.key_file), merchant_key(config.ledger_directory)
    except KeyFileError as error:
        return [], f"not checked: {error}"
    count, bad = seal_faults(connection, *keys)
    return bad, f"{count} opened with the device's key" if not bad else "do not all open"


def _tell(result: Result) -> None:
    if sys.stderr.isatty():
        click.echo("\r" + " " * 30 + "\r", nl=False, err=True)
    for fault in result.bad:
        click.echo(f"BAD  {fault}")
    if result.bad:
        click.echo("     Stop vafa, keep the files, restore the last good backup.   [LED-003]")
    else:
        click.echo(
            f"OK   {result.rows:,} rows, {result.awards:,} awards, {result.points:,} points with members; "
            f"chain ends in {result.check}"
        )
    click.echo(f"     sealed phones: {result.sealed}")
    if result.explained is not None:
        click.echo(f"     payments explained in both languages: {result.explained:,}")
