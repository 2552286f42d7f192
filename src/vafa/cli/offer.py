"""`vafa offer`: single-use offers, given to one member or to many, listed, shown, withdrawn.

Without --yes nothing changes. A request id is made and told first: a command that was cut off is given again
with it, and nobody gets the same offer twice.
"""

import shlex
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.adjust import reason
from vafa.cli.asking import (
    answered,
    ask,
    asked,
    config_option,
    json_option,
    now_ms,
    print_json,
    progress,
    reading,
    shop_zone,
)
from vafa.cli.refund import some_rials
from vafa.cli.undoing import not_done, request_id, request_option, yes_option
from vafa.cli.why import local
from vafa.model.errors import VafaError

if TYPE_CHECKING:
    import sqlite3

    from click.shell_completion import CompletionItem

    from vafa.app.config import Config
    from vafa.app.offer_questions import OfferGive, OfferLine, OffersGiven, OwnOffer
    from vafa.app.questions import Reply
    from vafa.club.programme import Programme

LIST_ROWS_MAX = 10_000


@click.group("offer")
def command() -> None:
    """Single-use offers: points on the next purchase, or money off it.

    Give them to one member, to a segment of the programme, or to a list of phones. One that brings points is
    used by the member's next purchase by itself; one that takes money off is held and captured like a reward
    (vafa redeem).
    """


def _of_programme(context: click.Context, group: str, incomplete: str) -> "list[CompletionItem]":
    """The names the programme in force has, for the tab key; none where the ledger cannot be read."""
    from click.shell_completion import CompletionItem

    config_path = context.params.get("config_path")
    try:
        with reading(Path(config_path) if config_path else _default_config(context)) as (connection, _):
            programme = _in_force(connection)
    except VafaError:
        return []
    entries = getattr(programme, group) if programme is not None else ()
    return [CompletionItem(each.id, help=each.name_fa) for each in entries if each.id.startswith(incomplete)]


def _in_force(connection: "sqlite3.Connection") -> "Programme | None":
    from vafa.app.programmes import in_force

    return in_force(connection, now_ms() // 1000)


def _default_config(context: click.Context) -> Path:
    option = next(each for each in context.command.params if each.name == "config_path")
    return Path(str(option.get_default(context)))


def _templates(context: click.Context, _argument: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """What the tab key offers behind `vafa offer give PHONE`."""
    first = not context.params.get("words") and not context.params.get("segment")
    return [] if first and not context.params.get("file") else _of_programme(context, "offers", incomplete)


def _segments(context: click.Context, _option: click.Parameter, incomplete: str) -> "list[CompletionItem]":
    """What the tab key offers behind --segment."""
    return _of_programme(context, "segments", incomplete)


@command.command("give")
@click.argument("words", nargs=-1, metavar="[PHONE] [OFFER]", shell_complete=_templates)
@click.option("--segment", default="", shell_complete=_segments, help="To a [segment.NAME] of the programme.")
@click.option(
    "--list", "file", type=click.File(encoding="utf-8"), help="To the phones in a file, one a line."
)
@click.option("--extra", type=click.IntRange(1, 10_000), help="So many per cent more points.")
@click.option("--points", type=click.IntRange(1), help="So many points more.")
@click.option("--discount", callback=some_rials, metavar="RIAL", help="So many rial off.")
@click.option("--percent-off", type=click.IntRange(1, 100), help="So many per cent off.")
@click.option("--max-discount", callback=some_rials, metavar="RIAL", help="But no more than so many rial.")
@click.option(
    "--at-least", callback=some_rials, metavar="RIAL", help="For purchases of so many rial or more."
)
@click.option("--name-fa", default="", help="What the paper calls an offer that is no [offer.NAME].")
@click.option("--name-en", default="", help="The same in English.")
@click.option("--days", type=click.IntRange(1, 400), help="Good through the so many-th day after the first.")
@click.option("--from", "from_day", default="", metavar="DAY", help="The first day, 1405/01/31; else today.")
@click.option("--why", default="", metavar="TEXT", help="The reason; it is journalled.")
@yes_option
@request_option
@config_option
@json_option
def give(
    words: tuple[str, ...],
    segment: str,
    file: Iterable[str] | None,
    days: int | None,
    from_day: str,
    why: str,
    yes: bool,  # noqa: FBT001
    request: str | None,
    config_path: Path,
    as_json: bool,  # noqa: FBT001
    **brings: int | str | None,
) -> None:
    """Give OFFER, an [offer.NAME] of the programme, or one that the options describe.

    To the member with PHONE, or with --segment or --list to many: then without PHONE. Without --yes it is
    only shown (exit 2).
    """
    from vafa.app import offer_questions

    many = bool(segment) + (file is not None)
    if many > 1:
        raise click.UsageError("to a segment or to a list, not both")
    phone, template = _meant(words, to_many=bool(many))
    own = _own(brings)
    if bool(template) == (own is not None):
        raise click.UsageError("say which offer: an [offer.NAME], or --extra, --points, --discount ...")
    name = request_id(request)
    question = offer_questions.OfferGive(
        request=name, phone=phone, segment=segment, template=template, own=own, days=days or 0,
        from_day=from_day, why=why, only_show=not yes,
    )  # fmt: skip
    if yes:
        click.echo(f"request {name}; should this stop, give it again with --request {name}", err=True)
    if segment:
        _to_segment(question, config_path, as_json=as_json)
    elif file is not None:
        _to_list(question, _phones(file), config_path, as_json=as_json)
    else:
        _to_one(question, config_path, as_json=as_json)
    if not yes:
        not_done("the same command with --yes")


@command.command("list")
@click.argument("member", required=False, default="")
@config_option
@json_option
def list_offers(member: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """The offers of MEMBER (a phone, or an id), used ones too; without it everybody's open ones."""
    from vafa.app import offer_questions

    def read(connection: "sqlite3.Connection", config: "Config") -> "Reply":
        from vafa.app.member_reads import shown
        from vafa.app.offer_reads import listed

        who = bytes.fromhex(shown(connection, config, member).member.id) if member else b""
        return listed(connection, who, now_ms() // 1000)

    answer = answered(config_path, offer_questions.OfferList(who=member), read)
    assert isinstance(answer, offer_questions.OffersAre)
    if as_json:
        print_json(answer)
        return
    zone = shop_zone(config_path)
    for offer in answer.offers:
        click.echo(_short(offer, zone))
    if not answer.offers:
        click.echo("no offers" if member else "no open offers")
    if answer.more:
        click.echo(f"only the newest {len(answer.offers)}; name a member for theirs", err=True)


@command.command("show")
@click.argument("offer", metavar="ID")
@config_option
@json_option
def show(offer: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """One offer; ID as `vafa offer list` shows it, or its beginning."""
    from vafa.app import offer_questions

    def read(connection: "sqlite3.Connection", _config: "Config") -> "Reply":
        from vafa.app.offer_reads import shown

        return shown(connection, offer, now_ms() // 1000)

    answer = answered(config_path, offer_questions.OfferShow(offer=offer), read)
    assert isinstance(answer, offer_questions.OfferIs)
    if as_json:
        print_json(answer)
        return
    for line in screen(answer.offer, shop_zone(config_path)):
        click.echo(line)


@command.command("withdraw")
@click.argument("offer", metavar="ID")
@click.option("--why", required=True, metavar="TEXT", callback=reason, help="The reason; it is journalled.")
@yes_option
@config_option
@json_option
def withdraw(offer: str, why: str, yes: bool, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """End an open offer. One that was used stays used. Without --yes it is only shown (exit 2)."""
    from vafa.app import offer_questions

    question = offer_questions.OfferWithdraw(offer=offer, why=why, only_show=not yes)
    answer = ask(config_path, question, offer_questions.OfferIs)
    if as_json:
        print_json(answer)
    else:
        if answer.seen_before:
            click.echo("it was withdrawn before; nothing changed")
        for line in screen(answer.offer, shop_zone(config_path)):
            click.echo(line)
    if not answer.done:
        not_done(f"vafa offer withdraw {offer} --why {shlex.quote(why)} --yes")


def _meant(words: tuple[str, ...], *, to_many: bool) -> tuple[str, str]:
    """(phone, offer) of the words; usage error when there are too many or too few."""
    if len(words) > (1 if to_many else 2):
        what = "to many: give no PHONE" if to_many else "one PHONE and one OFFER are enough"
        raise click.UsageError(f"{what}; got {' '.join(words)}")
    if to_many:
        return "", words[0] if words else ""
    if not words:
        raise click.UsageError("to whom? a PHONE, --segment or --list")
    return words[0], words[1] if len(words) > 1 else ""


def _own(brings: dict[str, int | str | None]) -> "OwnOffer | None":
    """The offer that the options describe; None where they describe none."""
    from vafa.app.offer_questions import OwnOffer

    given = {name: value for name, value in brings.items() if value}
    if not given:
        return None
    if "name_fa" not in given:
        raise click.UsageError("an offer of your own needs --name-fa: the paper names it")
    return OwnOffer(**given)  # type: ignore[arg-type]  # click has checked each


def _phones(file: Iterable[str]) -> list[str]:
    """The phones of a list, each once; blank lines and what follows # are no phones."""
    try:
        lines = [line.partition("#")[0].strip() for line in file]
    except UnicodeDecodeError:
        raise click.UsageError("the list is no text: write one phone a line") from None
    found = list(dict.fromkeys(line for line in lines if line))
    if not found:
        raise click.UsageError("the list names no phone")
    if len(found) > LIST_ROWS_MAX:
        raise click.UsageError(f"the list has {len(found):,} phones; {LIST_ROWS_MAX:,} are the most at once")
    return found


def _to_one(question: "OfferGive", config_path: Path, *, as_json: bool) -> None:
    from vafa.app import offer_questions

    answer = ask(config_path, question, offer_questions.OfferIs)
    if as_json:
        print_json(answer)
        return
    if answer.seen_before:
        click.echo("this request gave it before; nothing changed")
    for line in screen(answer.offer, shop_zone(config_path)):
        click.echo(line)


def _to_segment(question: "OfferGive", config_path: Path, *, as_json: bool) -> None:
    """A part at a time: a sale never waits for all of them."""
    import msgspec

    from vafa.app import offer_questions

    given, before, full, said = 0, 0, 0, progress()
    while True:
        part = ask(config_path, question, offer_questions.OffersGiven)
        given, before, full = given + part.offers, before + part.before, full + part.full
        if not part.next:
            break
        said(given)
        question = msgspec.structs.replace(question, after=part.next)
    told = msgspec.structs.replace(part, offers=given, before=before, full=full)
    if as_json:
        print_json(told)
    else:
        for line in counted(told):
            click.echo(line)


def _to_list(question: "OfferGive", phones: list[str], config_path: Path, *, as_json: bool) -> None:
    """One after another; who is no member, or holds too many, is counted and told by line, never by phone."""
    import msgspec

    from vafa.app import offer_questions, questions

    given = before = 0
    refused: list[str] = []
    for number, phone in enumerate(phones, 1):
        try:
            answer = asked(config_path, msgspec.structs.replace(question, phone=phone))
        except VafaError as error:
            if error.code.startswith("RUN"):
                raise
            refused.append(f"phone {number} of the list: {error}")
            continue
        assert isinstance(answer, offer_questions.OfferIs | questions.Failure)
        given += not getattr(answer, "seen_before", False)
        before += getattr(answer, "seen_before", False)
    told = offer_questions.OffersGiven(given, before, len(refused), "", not question.only_show)
    if as_json:
        print_json(told)
    else:
        for line in (*counted(told), *refused):
            click.echo(line)


def counted(told: "OffersGiven") -> Iterator[str]:
    """What became of many."""
    yield f"{told.offers:,} offers {'given' if told.done else 'would be given'}"
    if told.before:
        yield f"  {told.before:,} members had it by this request already"
    if told.full:
        yield f"  {told.full:,} got none: no members, or they hold too many"


def last_day(until: str, zone: tzinfo) -> str:
    """The last day of a window that ends with an ISO time."""
    ended = datetime.fromisoformat(until) - timedelta(seconds=1)
    return f"{ended.astimezone(zone):%Y-%m-%d}"


def _short(offer: "OfferLine", zone: tzinfo) -> str:
    until = f"through {last_day(offer.until, zone)}" if offer.until else "without end"
    return f"{offer.offer}  {offer.state:<10} {until}  {offer.name}: {offer.brings}  member {offer.member}"


def screen(offer: "OfferLine", zone: tzinfo) -> Iterator[str]:
    """An offer's lines."""
    yield f"offer {offer.offer}  {offer.state}{f'  {offer.number}' if offer.number else ''}"
    name_en = f" ({offer.name_en})" if offer.name_en else ""
    yield f"  {offer.name}  \u2068{offer.name_fa}\u2069{name_en}: {offer.brings}"
    until = f"through {last_day(offer.until, zone)}" if offer.until else "without end"
    yield f"  good {f'from {local(offer.from_, zone)} ' if offer.from_ else ''}{until}"
    why = f": {offer.why}" if offer.why else ""
    yield f"  given {local(offer.given, zone)} by {offer.by}{why}"
    yield f"  member {offer.member}"
