"""`vafa member`: add, show, find and bind members. Adding and binding need the daemon; looking does not."""

from collections.abc import Iterator
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.adjust import reason
from vafa.cli.asking import answered, ask, asked, config_option, json_option, print_json, shop_zone
from vafa.cli.offer import last_day
from vafa.cli.undoing import not_done, yes_option
from vafa.cli.why import local, one_sale

if TYPE_CHECKING:
    import sqlite3

    from vafa.app.config import Config
    from vafa.app.questions import Member, Reply


@click.group("member")
def command() -> None:
    """Add, show, find and bind members.

    Phones in any spelling, Persian digits too; they are stored sealed and shown masked.
    """


@command.command("add")
@click.argument("phone")
@click.option("--name", default="", help="The customer's name; stored sealed.")
@config_option
@json_option
def add(phone: str, name: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """A customer joins. Adding a member again changes nothing and shows them."""
    from vafa.app import questions

    answer = ask(config_path, questions.MemberAdd(phone=phone, name=name), questions.MemberIs)
    if as_json:
        print_json(answer)
        return
    click.echo("joined now" if answer.created else "is a member already")
    _tell([answer.member], shop_zone(config_path))


@command.command("show")
@click.argument("who", metavar="PHONE|ID")
@config_option
@json_option
def show(who: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """A member with balance, cards and last purchases."""
    from vafa.app import questions

    def read(connection: "sqlite3.Connection", config: "Config") -> "Reply":
        from vafa.app.member_reads import shown

        return shown(connection, config, who)

    answer = answered(config_path, questions.MemberShow(who=who), read)
    assert isinstance(answer, questions.MemberIs)
    if as_json:
        print_json(answer)
    else:
        _tell([answer.member], shop_zone(config_path))


@command.command("find")
@click.argument("text", metavar="TEXT")
@config_option
@json_option
def find(text: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Members by phone, the last four digits of one, or a member id. Exit 1 when there is none."""
    from vafa.app import questions

    def read(connection: "sqlite3.Connection", config: "Config") -> "Reply":
        from vafa.app.member_reads import found

        return found(connection, config, text)

    answer = answered(config_path, questions.MemberFind(text=text), read)
    assert isinstance(answer, questions.MembersAre)
    if as_json:
        print_json(answer)
    else:
        _tell(list(answer.members), shop_zone(config_path))
    if not answer.members:
        click.echo("no member is known by that", err=True)
        raise SystemExit(1)


@command.command("bind")
@click.argument("phone")
@click.argument("sale", metavar="ID")
@click.option("--shared", is_flag=True, help="A family's card: it may have other members too.")
@config_option
@json_option
def bind(phone: str, sale: str, shared: bool, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Make the card of a sale the member's: its next purchases earn for them. ID as for `vafa why`.

    With a --shared card the cashier says at each sale who pays; otherwise the points wait for a claim code.
    """
    from vafa.app import questions

    answer = one_sale(
        asked(config_path, questions.MemberBind(phone=phone, sale=sale, shared=shared)),
        config_path,
        as_json=as_json,
    )
    assert isinstance(answer, questions.MemberIs)
    if as_json:
        print_json(answer)
    else:
        click.echo("the card is bound")
        _tell([answer.member], shop_zone(config_path))


@command.command("profile")
@click.argument("phone")
@click.option("--name", help="The customer's name; stored sealed.")
@click.option("--birthday", metavar="DAY/MONTH", help="Of the Jalali calendar: 31/06.")
@click.option("--consent", type=click.Choice(["yes", "no"]), help="Whether messages are welcome.")
@click.option("--referrer", metavar="PHONE", help="The member who sent them; told once.")
@click.option("--feedback", is_flag=True, help="They gave the shop their opinion just now.")
@config_option
@json_option
def profile(
    phone: str,
    name: str | None,
    birthday: str | None,
    consent: str | None,
    referrer: str | None,
    feedback: bool,  # noqa: FBT001
    config_path: Path,
    as_json: bool,  # noqa: FBT001
) -> None:
    """What a member told of themselves: name, birthday, consent to messages, who sent them.

    An empty text ("") says: asked, and not told; it is not asked again. Without options it only shows.
    """
    from vafa.app import people_questions, questions

    yes = None if consent is None else consent == "yes"
    question = people_questions.MemberProfile(
        phone=phone, name=name, birthday=birthday, consent=yes, referrer=referrer, feedback=feedback
    )
    answer = ask(config_path, question, questions.MemberIs)
    if as_json:
        print_json(answer)
    else:
        _tell([answer.member], shop_zone(config_path))


@command.command("forget")
@click.argument("phone")
@click.option("--why", required=True, metavar="TEXT", callback=reason, help="The reason; it is journalled.")
@yes_option
@config_option
@json_option
def forget(phone: str, why: str, yes: bool, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Forget a person: phone and name are deleted with the key they lie under, cards lead nowhere.

    The points stay under a bare id that nobody can read; who joins again with that phone finds them. Older
    backups still hold the sealed phone until they are dropped. Without --yes it is only shown (exit 2).
    """
    from vafa.app import people_questions

    question = people_questions.MemberForget(phone=phone, why=why, only_show=not yes)
    answer = ask(config_path, question, people_questions.ForgottenIs)
    if as_json:
        print_json(answer)
    else:
        owes = f", {answer.debt:,} owed" if answer.debt else ""
        head = "forgotten" if answer.done else "would be forgotten"
        click.echo(f"{head}: {answer.ids} id(s), {answer.cards} card(s); {answer.points:,} points stay{owes}")
    if not answer.done:
        not_done("vafa member forget PHONE --why TEXT --yes")


@command.command("merge")
@click.argument("phone")
@click.argument("other", metavar="OTHER-PHONE")
@click.option("--why", required=True, metavar="TEXT", callback=reason, help="The reason; it is journalled.")
@yes_option
@config_option
@json_option
def merge(phone: str, other: str, why: str, yes: bool, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """OTHER-PHONE is the same person: it answers as the member with PHONE from now on.

    Nothing moves: points and debts stay with the phone they came by, and are spent together. `vafa member
    unmerge` undoes it. Without --yes it is only shown (exit 2).
    """
    again = "vafa member merge PHONE OTHER-PHONE --why TEXT --yes"
    _join(config_path, other, why, phone, again, yes=yes, as_json=as_json)


@command.command("unmerge")
@click.argument("other", metavar="OTHER-PHONE")
@click.option("--why", required=True, metavar="TEXT", callback=reason, help="The reason; it is journalled.")
@yes_option
@config_option
@json_option
def unmerge(other: str, why: str, yes: bool, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """OTHER-PHONE was merged into another member and stands alone again, with what it owns.

    What was earned since the merge stays with the other one. Without --yes it is only shown (exit 2).
    """
    again = "vafa member unmerge OTHER-PHONE --why TEXT --yes"
    _join(config_path, other, why, "", again, yes=yes, as_json=as_json)


@command.command("move")
@click.argument("sale", metavar="ID")
@click.argument("phone")
@click.option("--why", required=True, metavar="TEXT", callback=reason, help="The reason; it is journalled.")
@yes_option
@config_option
@json_option
def move(sale: str, phone: str, why: str, yes: bool, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """A sale was the purchase of the member with PHONE: its points go there. ID as for `vafa why`.

    What was spent of them already becomes the debt of who had them. Without --yes it is only shown (exit 2).
    """
    from vafa.app import people_questions

    question = people_questions.MemberMove(sale=sale, phone=phone, why=why, only_show=not yes)
    answer = ask(config_path, question, people_questions.MovedIs)
    if as_json:
        print_json(answer)
    elif answer.seen_before:
        click.echo("it is this member's already; nothing changed")
    else:
        click.echo(f"{answer.points_out:,} points leave member {answer.from_member}")
        if answer.debt:
            click.echo(f"  of them not there any more: {answer.debt:,}; new points pay this debt first")
        click.echo(f"{answer.points_in:,} points come to member {answer.to_member}")
    if not answer.done:
        not_done("vafa member move ID PHONE --why TEXT --yes")


def _join(
    config_path: Path, other: str, why: str, phone: str, again: str, *, yes: bool, as_json: bool
) -> None:
    from vafa.app import people_questions

    question = people_questions.MemberMerge(other=other, why=why, phone=phone, only_show=not yes)
    answer = ask(config_path, question, people_questions.JoinedIs)
    if as_json:
        print_json(answer)
    else:
        if answer.seen_before:
            click.echo("they are one member already; nothing changed")
        verb = "answers as" if answer.merged else "stands alone again, no more as"
        click.echo(f"member {answer.alias} {verb} member {answer.member}")
        click.echo(f"  {answer.other_balance:,} points and {answer.balance:,} points, each stays where it is")
    if not answer.done:
        not_done(again)


def _tell(members: "list[Member]", zone: tzinfo) -> None:
    for member in members:
        for line in screen(member, zone):
            click.echo(line)


def screen(member: "Member", zone: tzinfo) -> Iterator[str]:
    """A member's lines."""
    name = f"  \u2068{member.name}\u2069" if member.name else ""
    yield f"{member.phone}{name}   member {member.id}"
    debt = f", owes {member.debt:,}" if member.debt else ""
    yield f"  {member.balance:,} points{debt}; {member.visits:,} purchases of {member.spent:,} rial in all"
    yield from _value(member, zone)
    for offer in member.offers:
        until = f", through {last_day(offer.until, zone)}" if offer.until else ""
        yield f"  offer {offer.offer}  {offer.name}: {offer.brings}{until}"
    yield from _person(member, zone)
    if member.cards:
        yield f"  cards: {', '.join(member.cards)}"
    for line in member.history:
        what = "" if line.what == "purchase" else f"  {line.what}"
        rials = f"{line.amount:>15,} rial" if line.amount else " " * 20
        yield f"  {local(line.at, zone)}  {line.number:<10} {rials} {line.points:>8,} points{what}"


def _value(member: "Member", zone: tzinfo) -> Iterator[str]:
    """What the points are made of, where it is more than a balance."""
    value = member.value
    if value is None:
        return
    if value.tier:
        yield f"  in tier {value.tier}"
    if value.usable != member.balance:
        yield f"  {value.usable:,} of them can be used now"
    for lot in value.lots:
        parts = [f"usable from {local(lot.available_from, zone)[:10]}"] if lot.available_from else []
        parts += [f"lapse at {local(lot.lapses_at, zone)}"] if lot.lapses_at else []
        yield f"    {lot.points:>8,} points: {', '.join(parts) or 'never lapse'}"
    if value.lots and value.undated:
        yield f"    {value.undated:>8,} points: never lapse"
    for hold in value.holds:
        yield f"    {hold.points:>8,} points held until {local(hold.until, zone)}: {hold.request}"
    for stamp in value.stamps:
        yield f"  {stamp.count} stamps on {stamp.card}"


def _person(member: "Member", zone: tzinfo) -> Iterator[str]:
    """What the member told of themselves, and what nobody asked yet."""
    told = [f"born on {member.birthday}"] if member.birthday else []
    told += [f"messages welcome since {local(member.consent, zone)[:10]}"] if member.consent else []
    told += [f"sent by member {member.referrer}"] if member.referrer else []
    told += [f"answers also as {', '.join(member.also)}"] if member.also else []
    if told:
        yield f"  {'; '.join(told)}"
    if member.unasked:
        yield f"  not asked yet: {', '.join(member.unasked)}"
