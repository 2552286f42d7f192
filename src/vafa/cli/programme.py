"""`vafa programme`: check, show and activate the club's rules."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import answered, ask, config_option, json_option, now_ms, print_json, shop_zone
from vafa.cli.why import local
from vafa.model.errors import Fault, ProgrammeError

if TYPE_CHECKING:
    import sqlite3

    from vafa.app.config import Config
    from vafa.app.questions import Reply, Version
    from vafa.club.programme import Programme

file_argument = click.argument("file", type=click.Path(path_type=Path))


@click.group("programme")
def command() -> None:
    """Check, show and activate the club's rules."""


@command.command("check")
@file_argument
@json_option
def check(file: Path, as_json: bool) -> None:  # noqa: FBT001
    """Read a programme document and name all its faults, or its rules and id. Needs no daemon."""
    programme = _read(file)
    if as_json:
        print_json(
            {"id": programme.id.hex(), "hash": programme.hash.hex(), "document": _canonical(programme)}
        )
        return
    click.echo(f"{file} is right; programme {programme.id.hex()}\n")
    click.echo(_canonical(programme), nl=False)


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
