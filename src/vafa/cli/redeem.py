"""`vafa redeem`: what a member may have for points; hold it, capture it, release it, or take it back.

A request id is made and told before anything changes: it names the redemption in every later command, and a
command that was cut off can be given again.
"""

import re
import shlex
from collections.abc import Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import asked, config_option, json_option, print_json, shop_zone
from vafa.cli.refund import some_rials
from vafa.cli.undoing import request_id
from vafa.cli.why import one_sale
from vafa.model.identity import ascii_digits

if TYPE_CHECKING:
    from vafa.app.redeem_messages import AnyRedeem, Quoted, Redeemed

CODE_DIGITS_MIN, CODE_DIGITS_MAX = 6, 8
_OFFER_ID = re.compile(r"[0-9a-f]{16}")
request_argument = click.argument("request", metavar="REQUEST")


@click.group("redeem")
def command() -> None:
    """Points for rewards, in two phases: hold before the payment, capture after it.

    A hold ends by itself when nobody captures it. Phones in any spelling; without one, the claim code of a
    slip spends what waits under it.
    """


@command.command("quote")
@click.argument("phone", metavar="PHONE|CODE")
@click.option("--bill", callback=some_rials, metavar="RIAL", help="What is to be paid.")
@config_option
@json_option
def quote(phone: str, bill: int | None, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """What a member may have now, and why not."""
    from vafa.app import redeem_messages as messages

    member, claim = _phone_or_code(phone)
    asked = messages.Quote(member=member, claim=claim, amount=bill or 0)
    _carry_out(asked, config_path, as_json=as_json)


def _whole_id(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """An offer's id. What is spent is named whole: a beginning may fit another offer tomorrow."""
    if text is not None and not _OFFER_ID.fullmatch(text.strip().lower()):
        raise click.BadParameter(
            "write the whole id of the offer, 16 letters and digits: vafa redeem quote PHONE tells it"
        )
    return text and text.strip().lower()


@command.command("hold")
@click.argument("phone", metavar="PHONE|CODE")
@click.argument("reward", required=False)
@click.option(
    "--offer",
    metavar="ID",
    callback=_whole_id,
    help="Instead of REWARD: an offer of theirs that takes money off.",
)
@click.option("--points", type=click.IntRange(1), help="Of a reward that takes money off: so many.")
@click.option("--bill", callback=some_rials, metavar="RIAL", help="What is to be paid.")
@click.option("--request", metavar="ID", help="Of an earlier try, or a name of your own.")
@config_option
@json_option
def hold(
    phone: str,
    reward: str | None,
    offer: str | None,
    points: int | None,
    bill: int | None,
    request: str | None,
    config_path: Path,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Set aside what REWARD costs. Repeated with the same --request it holds nothing more."""
    from vafa.app import redeem_messages as messages

    if (reward is None) == (offer is None):
        raise click.UsageError("hold a REWARD or an --offer")
    name = request_id(request)
    click.echo(f"request {name}; then:  vafa redeem capture {shlex.quote(name)}", err=True)
    member, claim = _phone_or_code(phone)
    wish = messages.Hold(
        request=name,
        reward=reward,
        member=member,
        claim=claim,
        amount=bill or 0,
        points=points,
        offer=offer,
    )
    _carry_out(wish, config_path, as_json=as_json)


def _phone_or_code(text: str) -> tuple[str | None, str | None]:
    """(phone, None), or (None, claim code): a code is shorter than any mobile number."""
    digits = ascii_digits(text).replace(" ", "")
    is_code = digits.isascii() and digits.isdigit() and CODE_DIGITS_MIN <= len(digits) <= CODE_DIGITS_MAX
    return (None, digits) if is_code else (text, None)


@command.command("capture")
@request_argument
@click.option("--applied", callback=some_rials, metavar="RIAL", help="What was really taken off; else all.")
@click.option("--sale", default="", metavar="ID", help="The sale it paid a part of, as for `vafa why`.")
@config_option
@json_option
def capture(request: str, applied: int | None, sale: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """The payment was completed: spend what is held. With --sale a refund brings the points back."""
    from vafa.app import redeem_messages as messages

    done = messages.Capture(request=request, applied=applied)
    _carry_out(done, config_path, sale, as_json=as_json)


@command.command("release")
@request_argument
@config_option
@json_option
def release(request: str, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """The payment was not completed: what is held is free again."""
    from vafa.app import redeem_messages as messages

    _carry_out(messages.Release(request=request), config_path, as_json=as_json)


@command.command("return")
@request_argument
@click.option("--points", type=click.IntRange(1), help="Of a reward that took money off: so many; else all.")
@click.option("--request", "own", metavar="ID", help="Of an earlier try.")
@config_option
@json_option
def give_back(request: str, points: int | None, own: str | None, config_path: Path, as_json: bool) -> None:  # noqa: FBT001
    """Undo a redemption that no refund of a sale undoes. REQUEST is the one it was held under."""
    from vafa.app import redeem_messages as messages

    name = request_id(own)
    again = f"vafa redeem return {shlex.quote(request)} --request {shlex.quote(name)}"
    click.echo(f"request {name}; should this stop, give it again:  {again}", err=True)
    back = messages.Return(redemption=request, request=name, points=points)
    _carry_out(back, config_path, as_json=as_json)


def _carry_out(ask: "AnyRedeem", config_path: Path, sale: str = "", *, as_json: bool) -> None:
    """Ask the daemon and tell what it says; nothing is redeemed while it is down."""
    from vafa.app import redeem_questions
    from vafa.app.redeem_messages import Quoted

    question = redeem_questions.Redeem(ask=ask, sale=sale)
    answer = one_sale(asked(config_path, question), config_path, as_json=as_json)
    assert isinstance(answer, redeem_questions.RedeemIs)
    if as_json:
        print_json(answer)
        return
    told = answer.told
    zone = shop_zone(config_path)
    for line in quoted(told) if isinstance(told, Quoted) else redeemed(told, zone):
        click.echo(line)


def quoted(told: "Quoted") -> Iterator[str]:
    """What can be had, a line each."""
    debt = f", owes {told.debt:,}" if told.debt else ""
    yield f"{told.balance:,} points{debt}; {told.usable:,} can be used"
    for each in told.rewards:
        price = f"{each.stamps} stamps" if each.stamps else f"{each.points:,} points"
        worth = f"{each.rials:,} rial off" if each.kind == "amount-off" else each.kind
        yield f"  {each.reward:<16} {each.name}: {each.why or f'{price}, {worth}'}"
    for offer in told.offers:
        yield f"  offer {offer.offer} {offer.name}: {offer.why or f'{offer.rials:,} rial off'}"
    if not told.rewards:
        yield "  the programme has no rewards"


def redeemed(told: "Redeemed", zone: tzinfo) -> Iterator[str]:
    """How a redemption stands."""
    price = f"{told.stamps} stamps" if told.stamps else f"{told.points:,} points"
    price = "an offer" if told.offer else price
    why = f" ({told.why})" if told.why else ""
    yield f"{told.state}{why}  {told.number}: {price} for {told.name}, request {told.request}"
    if told.state == "held":
        until = datetime.fromtimestamp(told.until, zone)
        yield f"  worth {told.rials:,} rial; ends by itself at {until:%H:%M}"
    if told.state == "captured" and told.applied:
        yield f"  taken off: {told.applied:,} rial"
    if told.returned:
        yield f"  came back: {told.returned:,} points"
    if told.balance is not None:
        yield f"  balance after it: {told.balance:,} points"
    for line in told.lines:
        yield f"  | {line}"
