"""`vafa receipt`: what the paper said of a sale; shown, as a picture, or printed again."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import answered, asked, config_option, json_option, loaded, now_ms, print_json, reading
from vafa.cli.why import one_sale
from vafa.model.errors import Refused

if TYPE_CHECKING:
    import sqlite3

    from click.shell_completion import CompletionItem

    from vafa.app.config import Config
    from vafa.app.paper import Paper
    from vafa.app.questions import Reply
    from vafa.receipt.page import Page

_LANG = click.Choice(["fa", "en"])
_FILE = click.Path(path_type=Path, dir_okay=False, writable=True)


@click.group("receipt")
def command() -> None:
    """What the paper says."""


@command.command("show")
@click.argument("sale", metavar="ID")
@click.option("--lang", type=_LANG, help="Persian or English; default the shop's.")
@click.option("--png", type=_FILE, metavar="FILE", help="Draw the slip into FILE, as a printer would.")
@click.option("--width", type=click.Choice(["384", "576"]), default="384", help="Dots a row of the picture.")
@config_option
@json_option
def show(sale: str, lang: str | None, png: Path | None, width: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """The lines the paper said, again, also those of its voids and refunds. ID as for `vafa why`."""
    if png is not None:
        _draw(_page_of(sale, lang, config_path, as_json=as_json), int(width), png)
        return
    from vafa.app import questions

    def read(connection: "sqlite3.Connection", config: "Config") -> "Reply":
        from vafa.app.support import receipt

        return receipt(connection, sale, lang, _paper(connection, config), config.shop.zone, now_ms())

    question = questions.Receipt(sale=sale, lang=lang)
    answer = one_sale(answered(config_path, question, read), config_path, as_json=as_json)
    assert isinstance(answer, questions.Lines)
    if as_json:
        print_json(answer)
        return
    for line in answer.lines:
        click.echo(line)
    for each in answer.undone:
        for line in ("", *each.lines) if each.lines else ():
            click.echo(line)
    if not answer.lines:
        click.echo(f"nothing was printed for {answer.number}: no points moved", err=True)


@command.command("print")
@click.argument("sale", metavar="ID", required=False, default="")
@click.option("--sample", is_flag=True, help="A sample slip instead of a sale's.")
@click.option("--printer", default="", metavar="NAME", help="Its name in config.toml; default the first.")
@click.option("--lang", type=_LANG, help="Persian or English; default the shop's.")
@config_option
@json_option
def print_again(
    sale: str,
    sample: bool,  # noqa: FBT001
    printer: str,
    lang: str | None,
    config_path: Path,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Print a sale's slip, or its void's or refund's, again. ID as for `vafa why`."""
    from vafa.app import print_questions

    if bool(sale) == sample:
        raise click.UsageError("Say an ID, or --sample.")
    question = print_questions.Print(sale=sale, printer=printer, lang=lang)
    answer = one_sale(asked(config_path, question), config_path, as_json=as_json)
    assert isinstance(answer, print_questions.PrintIs)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{answer.number} goes to printer {answer.printer}; vafa status says when it is printed")


def _profiles(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """What the tab key offers behind --profile."""
    from click.shell_completion import CompletionItem

    from vafa.receipt.profiles import PROFILES

    return [CompletionItem(n, help=p.about) for n, p in PROFILES.items() if n.startswith(incomplete)]


@command.command("sample")
@click.option(
    "--profile", default="escpos-58", shell_complete=_profiles, show_default=True, help="A printer's kind."
)
@click.option("--lang", type=_LANG, default="fa", show_default=True, help="Persian or English.")
@click.option("--png", type=_FILE, metavar="FILE", help="Draw it into FILE.")
@click.option("--out", type=_FILE, metavar="FILE", help="Write what the printer is sent, e.g. to a device.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="With its merchant's lines.")
def sample(profile: str, lang: str, png: Path | None, out: Path | None, config_path: Path | None) -> None:
    """A slip with every line there is, for a look at a printer's profile."""
    from vafa.receipt.page import page, text
    from vafa.receipt.profiles import PROFILES
    from vafa.receipt.slip import sample as sample_slip

    if profile not in PROFILES:
        raise click.BadParameter(f"{profile!r} is none of {', '.join(PROFILES)}", param_hint="--profile")
    letterhead = None
    if config_path is not None:
        from vafa.app.printers import letterhead as own

        letterhead = own(loaded(config_path))
    drawn = page(sample_slip(now_ms() // 1000), lang, letterhead=letterhead)
    if png is not None:
        width_px = PROFILES[profile].width_px
        if width_px is None:
            raise Refused(f"profile {profile} has no pictures", fix="vafa simulate printer shows its paper")
        _draw(drawn, width_px, png)
    if out is not None:
        from vafa.receipt.press import pieces

        job = b"".join(pieces(drawn, PROFILES[profile]))
        out.write_bytes(job)
        click.echo(f"{out}: {len(job):,} bytes")
    if png is None and out is None:
        for line in text(drawn):
            click.echo(line)


@command.command("profiles")
@json_option
def profiles(as_json: bool) -> None:  # noqa: FBT001
    """The kinds of printers there are: what printer.profile may be."""
    from vafa.receipt.profiles import PROFILES

    if as_json:
        print_json({name: each.about for name, each in PROFILES.items()})
        return
    for name, each in PROFILES.items():
        click.echo(f"{name:<18} {each.about}")


def _page_of(sale: str, lang: str | None, config_path: Path, *, as_json: bool) -> "Page":
    """The page of a sale, read from the ledger: a picture needs no daemon."""
    from vafa.app import questions
    from vafa.app.support import slip

    with reading(config_path) as (connection, config):
        paper = _paper(connection, config)
        found = slip(connection, sale, paper, config.shop.zone, now_ms())
        if isinstance(found, questions.Several):
            one_sale(found, config_path, as_json=as_json)
            raise AssertionError("several sales end the command")
        number, of_sale = found
        if not of_sale.lines:
            raise Refused(f"nothing was printed for {number}: no points moved", fix=f"vafa why {number}")
        return paper.page(of_sale, lang)


def _paper(connection: "sqlite3.Connection", config: "Config") -> "Paper":
    from vafa.app.paper import Paper
    from vafa.app.printers import letterhead
    from vafa.app.support import Versions

    shop = config.shop
    versions = Versions(connection)
    return Paper(shop.name, shop.name_en, shop.language, shop.zone, versions, letterhead(config))


def _draw(page: "Page", width_px: int, png: Path) -> None:
    from vafa.receipt import raster

    picture = raster.Typesetter(width_px).draw(page).cropped()
    png.write_bytes(raster.png(picture))
    click.echo(f"{png}: {picture.width} x {picture.height} dots")
