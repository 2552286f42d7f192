"""`vafa demo`: a shop's morning with everything that goes wrong in one, and the proof that nothing was lost.

A simulated terminal and receipt printer on ptys, the daemon and the verbs are processes of their own; the
daemon is killed with a customer at the keypad. Exits 1 when something that must hold does not. Leaves nothing
behind but, with --keep, what the device holds and its slips as pictures.
"""

import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vafa.cli.demo_proof import Proof
    from vafa.cli.demo_screen import Language, Screen
    from vafa.cli.demo_shop import Shop

SCHEMA = 1


@click.command()
@click.option(
    "--lang", type=click.Choice(["en", "fa"]), default="en", show_default=True, help="What it says."
)
@click.option("--json", "as_json", is_flag=True, help="Only the summary, as one JSON object.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep ledger, configuration, log and pictures of the slips in this new directory.",
)
@click.option(
    "--hub", is_flag=True, help="Two devices and their hub instead, links cut and mended (needs vafa[hub])."
)
def command(lang: "Language", keep: Path | None, *, as_json: bool, hub: bool) -> None:
    """A shop's morning on a simulated terminal, with a power cut."""
    from vafa.cli.demo_screen import Screen

    started = time.monotonic()
    screen = Screen(lang, to_see=not as_json)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))  # so that all is taken down
    proofs = _fleet_told(keep, screen) if hub else _shop_told(keep, screen)
    told = summary(proofs, time.monotonic() - started)
    if as_json:
        click.echo(json.dumps(told))
    sys.exit(0 if told["proven"] else 1)


def _shop_told(keep: Path | None, screen: "Screen") -> "list[Proof]":
    """One shop's morning, told and proven."""
    from vafa.cli import demo_words as words
    from vafa.cli.demo_shop import open_shop

    screen.say(screen.words(words.TITLE))
    with open_shop(keep) as shop:
        proofs = _morning(shop, screen)
        screen.proven(proofs)
        _say_what_stays(shop, screen, keep)
    return proofs


def _fleet_told(keep: Path | None, screen: "Screen") -> "list[Proof]":
    """Two devices and a hub, told and proven."""
    from importlib.util import find_spec

    from vafa.cli import demo_hub_words as words
    from vafa.cli.demo_hub import Story, open_fleet
    from vafa.model.errors import Refused

    if find_spec("fastapi") is None or find_spec("psycopg") is None:
        raise Refused("the hub is not installed here", fix="pip install 'vafa[hub]'")
    screen.say(screen.words(words.TITLE))
    with open_fleet(keep) as fleet:
        proofs = Story(fleet, screen).tell()
    screen.proven(proofs, words.PROOFS)
    if keep is not None:
        screen.say(screen.words(words.KEPT, where=keep))
    return proofs


def _morning(shop: "Shop", screen: "Screen") -> "list[Proof]":
    """The morning, the verbs support would type after it, and what all of that proves."""
    from vafa.cli.demo_morning import OLD_CARD, QUICK_MS, MorningTold
    from vafa.cli.demo_proof import prove, prove_slips, read_books, search_card
    from vafa.cli.demo_shop import PER_RIALS, POINTS
    from vafa.ledger.storage import ledger_path
    from vafa.simulators.deck import deck

    shop.start_terminal(QUICK_MS)
    _start_printer(shop, screen)
    shop.start_daemon()
    morning = MorningTold(shop, screen)
    morning.tell()
    exit_codes = {}
    for verb in (("status",), ("verify",), ("why", morning.resolved_number)):
        exit_codes[verb[0]], printed = shop.verb(*verb)
        screen.verb(" ".join(("vafa", *verb)), printed)
    shop.await_slips(morning.approved)
    exit_codes["stopped"] = shop.stop_daemon()
    books = read_books(ledger_path(shop.state / "state"))
    proofs = prove(morning.heard(exit_codes), books, POINTS, PER_RIALS)
    if shop.printer is not None:
        proofs.append(prove_slips(books, len(shop.printer.pictures())))
    places = {str(path): path.read_bytes() for path in shop.state.rglob("*") if path.is_file()}
    places["answers"] = repr(morning.answers).encode()
    return [*proofs, search_card(deck(20)[OLD_CARD].number, places)]


def _start_printer(shop: "Shop", screen: "Screen") -> None:
    """A printer, where Persian type can be set; else why there is none, and the morning goes on."""
    from vafa.cli import demo_words as words
    from vafa.cli.demo_paper import why_no_pictures

    fault = why_no_pictures()
    if fault is None:
        shop.start_printer()
    else:
        screen.say(screen.words(words.NO_PICTURES, fix=fault.fix))


def _say_what_stays(shop: "Shop", screen: "Screen", keep: Path | None) -> None:
    """Where ledger, log and the pictures of the slips are, or how to have them."""
    from vafa.cli import demo_words as words

    pictures = shop.printer.pictures() if shop.printer is not None else []
    if keep is None:
        if pictures:
            screen.say(screen.words(words.NOT_KEPT, count=len(pictures)))
        return
    screen.say(screen.words(words.KEPT, where=keep))
    if pictures:
        first, last = (keep / "slips" / path.name for path in (pictures[0], pictures[-1]))
        screen.say(screen.words(words.PICTURES, count=len(pictures), first=first, last=last))


def summary(proofs: "list[Proof]", took_s: float) -> dict[str, Any]:
    """What `--json` prints."""
    lines = [{"proof": proof.key, "holds": proof.holds, **proof.facts} for proof in proofs]
    proven = all(proof.holds for proof in proofs)
    return {"schema": SCHEMA, "proven": proven, "took_s": round(took_s, 1), "proofs": lines}
