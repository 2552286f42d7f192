"""`vafa sync`: send what waits now, see where the sync stands, see the last ones."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import (
    answered,
    ask,
    config_option,
    json_option,
    print_json,
    shop_zone,
)
from vafa.model.errors import VafaError

if TYPE_CHECKING:
    import sqlite3

    from vafa.app.config import Config
    from vafa.app.questions import Reply
    from vafa.app.sync_questions import LoggedSync, SyncStanding

MARGIN_S = 5.0


@click.group("sync")
def command() -> None:
    """Send what waits to the hub, and see how that goes."""


@command.command("now")
@click.option("--within", "within_s", type=click.IntRange(1, 170), default=60, show_default=True, metavar="S")
@config_option
@json_option
def now(within_s: int, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Sync at once, whatever was being waited for; ends when the sync has."""
    from vafa.app.sync_questions import SyncIs, SyncNow

    answer = ask(config_path, SyncNow(within_s=within_s), SyncIs, within_s + MARGIN_S)
    if as_json:
        print_json(answer)
    else:
        for line in lines(answer.standing):
            click.echo(line)
    if not answer.tried:
        raise VafaError(
            f"no sync ended within {within_s} s", fix="vafa sync log; vafa doctor", code="SYN-006"
        )
    if not answer.ok:
        facts = answer.standing.facts
        raise VafaError(facts.trouble, fix=facts.fix, code=facts.code)


@command.command("status")
@config_option
@json_option
def status(config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """What waits, how far the hub has it, when the next try is."""
    from vafa.app.sync_questions import SyncIs, SyncStatus

    answer = answered(config_path, SyncStatus(), _standing)
    assert isinstance(answer, SyncIs)
    if as_json:
        print_json(answer.standing)
        return
    for line in lines(answer.standing):
        click.echo(line)


@command.command("log")
@click.option("-n", "limit", type=click.IntRange(1, 500), default=20, show_default=True, metavar="COUNT")
@config_option
@json_option
def show_log(limit: int, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """The last syncs, the newest first: what each carried, and its bytes on the link."""
    from vafa.app.sync_questions import SyncLog, SyncLogIs

    def read(_connection: "sqlite3.Connection", config: "Config") -> "Reply":
        from vafa.app.sync_report import logged

        return SyncLogIs(syncs=logged(config.ledger_directory, limit))

    answer = answered(config_path, SyncLog(limit=limit), read)
    assert isinstance(answer, SyncLogIs)
    if as_json:
        print_json(answer)
        return
    if not answer.syncs:
        click.echo("no sync yet")
    for sync in answer.syncs:
        click.echo(_logged(sync, config_path))


def _standing(_connection: "sqlite3.Connection", config: "Config") -> "Reply":
    """With the daemon down: from what the sync process kept."""
    import time

    from vafa.app.sync_questions import SyncIs
    from vafa.app.sync_report import Moment, report
    from vafa.sync.enrolment import EnrolmentFault, load

    who = load(config.ledger_directory)
    if who is None:
        raise EnrolmentFault("this device is not enrolled", fix="vafa enrol CODE --hub URL", code="ENR-006")
    moment = Moment(time.monotonic(), time.time_ns() // 1_000_000)
    day_bytes = config.links.metered_kb_a_day * 1000
    return SyncIs(standing=report(config.ledger_directory, who, day_bytes, moment))


def lines(standing: "SyncStanding") -> list[str]:
    """The screen's lines, at most 80 columns each."""
    from vafa.cli.status import ago

    facts = standing.facts
    last = "" if facts.last_sync_age_s is None else f"last sync {ago(facts.last_sync_age_s)}"
    oldest = "" if facts.oldest_age_s is None else f"   oldest {ago(facts.oldest_age_s)}"
    reach = "".join("●" if ok else "○" for ok in facts.reach) or "-"
    shown = [
        ("Hub", f"{facts.host}   {facts.state}   {last}".rstrip()),
        ("Device", f"{standing.device} of merchant {standing.merchant}"),
        (
            "Queue",
            f"{facts.waiting:,} waiting  {facts.retrying:,} retrying  {facts.suspense:,} in suspense{oldest}",
        ),
        ("At hub", f"up to {standing.received or '-'}   backed up to {standing.safe or '-'}"),
        ("Reach", f"{reach}   newest left"),
    ]
    if facts.next_try_s is not None:
        shown.append(("Next", f"in {facts.next_try_s:,.0f} s"))
    if standing.left_kb is not None:
        shown.append(("Metered", f"{standing.left_kb:,} kB left now"))
    if standing.members or standing.messages:
        shown.append(
            ("Here", f"{standing.members:,} members of other devices, {standing.messages:,} messages")
        )
    if any(standing.came_back):
        shown.append(("Came back", came_back(standing.came_back)))
    if facts.branch_left:
        shown.append(("", f"{facts.branch_left:,} rows that were lost are still to come"))
    said = [f"  {label:<9} {text}"[:80] for label, text in shown]
    if facts.trouble:
        said.append(f"! {facts.trouble}   [{facts.code}]")
        said += [f"  fix: {facts.fix}"] if facts.fix else []
    if standing.refused:
        said.append(f"! {standing.refused}   [SYN-021]")
    if facts.branch_fault:
        said.append(f"! rows that were lost were refused: {facts.branch_fault}   [SYN-022]")
    return [*said, *(f"! {text}   [{code}]" for code, text in standing.notes)]


def came_back(sums: tuple[int, int, int, int]) -> str:
    """What became of the rows this device lost, in words."""
    counted, known, left_out, short = sums
    words = [f"{counted:,} rows counted again", f"{known:,} needed none"]
    words += [f"{left_out:,} left out"] if left_out else []
    words += [f"{short:,} points owed"] if short else []
    return ", ".join(words)


def _logged(sync: "LoggedSync", config_path: Path) -> str:
    from vafa.cli.why import local

    how = f"{sync.rows:>5,} rows" if sync.ok else f"{sync.code:>10}"
    connection = "new " if sync.new_connection else "warm"
    line = f"{local(sync.at, shop_zone(config_path))}  {how}  {sync.link_bytes:>9,} B  {connection}"
    back = f"  {sync.regained:,} came back" if sync.regained else ""
    return f"{line}  {sync.took_ms:>6,} ms  {sync.link}{back}  {sync.text}".rstrip()
