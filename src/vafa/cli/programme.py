"""`vafa programme`: check, show, compare, try and activate the club's rules."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import (
    answered,
    ask,
    config_option,
    json_option,
    now_ms,
    print_json,
    progress,
    reading,
    shop_zone,
)
from vafa.cli.why import local
from vafa.model.errors import Fault, NotFound, ProgrammeError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from vafa.app.config import Config
    from vafa.app.questions import Reply, Version
    from vafa.app.whatif import WhatIf
    from vafa.club.programme import Programme
    from vafa.club.sense_offers import OfferCost
    from vafa.club.settings import Value

file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.group("programme")
def command() -> None:
    """Check, show, compare, try and activate the club's rules."""


@command.command("check")
@file_argument
@click.option(
    "--devices", type=click.IntRange(1, 1_000), default=1, show_default=True, help="How many the shop has."
)
@json_option
def check(file: Path, devices: int, as_json: bool) -> None:  # noqa: FBT001
    """Read a programme document and name all its faults, or its rules, its id and the worst case.

    Needs no daemon. A cap of a day counts on each device for itself, so it may be reached on each of them.
    """
    from vafa.club.sense import worst_case

    programme = _read(file)
    worst = worst_case(programme, devices)
    if as_json:
        print_json(
            {
                "id": programme.id.hex(),
                "hash": programme.hash.hex(),
                "document": _canonical(programme),
                "worst_case": worst,
            }
        )
        return
    click.echo(f"{file} is right; programme {programme.id.hex()}\n")
    click.echo(_canonical(programme), nl=False)
    click.echo(f"\nThe most that can be earned, with {devices} device{'s' if devices > 1 else ''}:")
    for what, points in (
        ("one payment", worst.payment),
        ("one member in a day", worst.member_day),
        ("the whole programme", worst.budget),
    ):
        click.echo(f"  {what:<22}{'no bound' if points is None else f'{points:,} points'}")
    for offer in worst.offers:
        click.echo(f"  one offer {offer.name:<12}{_cost(offer)}, given {offer.given}")


def _cost(offer: "OfferCost") -> str:
    """What one use of an offer may cost, in words."""
    costs = [f"{points:,} points" for points in (offer.points,) if points]
    costs += [f"{rial:,} rial" for rial in (offer.rial,) if rial]
    no_bound = offer.points is None or offer.rial is None
    return " and ".join(costs) or ("no bound" if no_bound else "nothing")


@command.command("show")
@config_option
@json_option
def show(config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """The versions this device holds, and which one covers a sale now."""
    from vafa.app import questions

    def read(connection: "sqlite3.Connection", _config: "Config") -> "Reply":
        from vafa.app.programmes import versions

        return questions.ProgrammesAre(versions=versions(connection, now_ms() // 1000))

    answer = answered(config_path, questions.ProgrammeShow(), read)
    assert isinstance(answer, questions.ProgrammesAre)
    if as_json:
        print_json(answer)
        return
    for version in answer.versions:
        _tell(version, config_path)


@command.command("activate")
@file_argument
@config_option
@json_option
def activate(file: Path, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Make FILE the club's rules from now on. Sales before keep the rules they earned under."""
    from vafa.app import questions

    document = _canonical(_read(file))
    answer = ask(config_path, questions.ProgrammeActivate(document=document), questions.ProgrammesAre)
    if as_json:
        print_json(answer)
        return
    click.echo("active from now on" if answer.changed else "these are the rules already; nothing changed")
    for version in answer.versions:
        if version.active:
            _tell(version, config_path)


@command.command("diff")
@file_argument
@click.argument("other", type=click.Path(path_type=Path), required=False)
@config_option
@json_option
def diff(file: Path, other: Path | None, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """What FILE says otherwise than the active rules, or than the document OTHER.

    Exit 1 when anything differs, as `diff` does.
    """
    old, new = (_read(other) if other else _active(config_path)), _read(file)
    before, after = dict(old.settings()), dict(new.settings())
    places = [place for place in sorted({*before, *after}) if before.get(place) != after.get(place)]
    if as_json:
        changes = {place: [before.get(place), after.get(place)] for place in places}
        print_json({"before": old.id.hex(), "after": new.id.hex(), "changes": changes})
    else:
        for place in places:
            click.echo(f"{place}: {_said(before, place)} -> {_said(after, place)}")
        if not places:
            click.echo(f"the same rules: programme {new.id.hex()}")
    if places:
        sys.exit(1)


@command.command("whatif")
@file_argument
@click.option("--top", type=click.IntRange(0, 1_000), default=10, show_default=True, help="Members to list.")
@config_option
@json_option
def whatif(file: Path, top: int, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Run this device's journal under FILE: what everybody would have earned. Changes nothing.

    Redemptions and points given by hand stay what they were. The active programme gives no difference.
    """
    from vafa.app.programmes import in_force
    from vafa.app.whatif import what_if
    from vafa.ledger import reads

    programme = _read(file)
    with reading(config_path) as (connection, _config):
        now = in_force(connection, now_ms() // 1000)
        found = what_if(reads.entries(connection), programme, now, progress())
    if as_json:
        print_json(found)
        return
    _tell_what_if(found, top)


def _tell_what_if(found: "WhatIf", top: int) -> None:
    click.echo(
        f"{found.payments:,} payments of {found.holders:,} holders under programme {found.programme}\n"
    )
    click.echo(f"{'':<28}{'as it was':>17}{'under FILE':>17}{'difference':>17}")
    for what, was, would in (
        ("points earned", found.points_was, found.points_would),
        ("points outstanding", found.outstanding_was, found.outstanding_would),
        ("cost of those earned, rial", found.cost_was, found.cost_would),
        ("liability, rial", found.liability_was, found.liability_would),
    ):
        known = was is not None and would is not None
        told = ["unknown" if each is None else f"{each:,}" for each in (was, would)]
        told.append(f"{(would or 0) - (was or 0):+,}" if known else "unknown")
        click.echo(f"{what:<28}" + "".join(f"{each:>17}" for each in told))
    click.echo(f"\n{len(found.different):,} holders with a difference")
    for each in found.different[:top]:
        name = each.holder or "(waits on a payment)"
        click.echo(f"  {name:<24}{each.was:>12,} -> {each.would:,}")


def _active(config_path: Path) -> "Programme":
    from vafa.app.programmes import in_force

    with reading(config_path) as (connection, _config):
        found = in_force(connection, now_ms() // 1000)
    if found is None:
        raise NotFound("no programme is active here", fix="vafa programme activate FILE")
    return found


def _said(settings: "Mapping[str, Value]", place: str) -> str:
    from vafa.club.settings import written

    return written(settings[place]) if place in settings else "(not there)"


def _read(file: Path) -> "Programme":
    from vafa.club.programme import parse

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProgrammeError(str(file), [Fault("file", f"cannot be read: {error}")]) from error
    return parse(text, str(file))


def _canonical(programme: "Programme") -> str:
    from vafa.club.programme import document

    return document(programme)


def _tell(version: "Version", config_path: Path) -> None:
    since = f"since {local(version.since, shop_zone(config_path))}" if version.since else "from the beginning"
    click.echo(f"programme {version.id}  {since}{'  ACTIVE' if version.active else ''}")
    for line in version.document.splitlines():
        click.echo(f"  {line}")
    sys.stdout.flush()
