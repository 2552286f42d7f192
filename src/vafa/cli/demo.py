"""`vafa demo`: a shop's morning with everything that goes wrong in one, and the proof that nothing was lost.

A simulated terminal on a pty, the daemon and the verbs are processes of their own; the daemon is killed with
a customer at the keypad. Exits 1 when something that must hold does not. Leaves nothing behind.
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
    help="Keep ledger, configuration and log in this new directory.",
)
def command(lang: "Language", keep: Path | None, *, as_json: bool) -> None:
    """A shop's morning on a simulated terminal, with a power cut."""
    from vafa.cli import demo_words as words
    from vafa.cli.demo_screen import Screen
    from vafa.cli.demo_shop import open_shop

    started = time.monotonic()
    screen = Screen(lang, to_see=not as_json)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))  # so that all is taken down
    screen.say(screen.words(words.TITLE))
    with open_shop(keep) as shop:
        proofs = _morning(shop, screen)
    screen.proven(proofs)
    if keep is not None:
        screen.say(screen.words(words.KEPT, where=keep))
    told = summary(proofs, time.monotonic() - started)
    if as_json:
        click.echo(json.dumps(told))
    sys.exit(0 if told["proven"] else 1)


def _morning(shop: "Shop", screen: "Screen") -> "list[Proof]":
    """The morning, the verbs support would type after it, and what all of that proves."""
    from vafa.cli.demo_morning import OLD_CARD, QUICK_MS, MorningTold
    from vafa.cli.demo_proof import prove, read_books, search_card
    from vafa.cli.demo_shop import PER_RIALS, POINTS
    from vafa.ledger.storage import ledger_path
    from vafa.simulators.deck import deck

    shop.start_terminal(QUICK_MS)
    shop.start_daemon()
    morning = MorningTold(shop, screen)
    morning.tell()
    exit_codes = {}
    for verb in (("status",), ("verify",), ("why", morning.resolved_number)):
        exit_codes[verb[0]], printed = shop.verb(*verb)
        screen.verb(" ".join(("vafa", *verb)), printed)
    exit_codes["stopped"] = shop.stop_daemon()
    ledger = ledger_path(shop.state / "state")
    proofs = prove(morning.heard(exit_codes), read_books(ledger), POINTS, PER_RIALS)
    places = {str(path): path.read_bytes() for path in shop.state.rglob("*") if path.is_file()}
    places["answers"] = repr(morning.answers).encode()
    return [*proofs, search_card(deck(20)[OLD_CARD].number, places)]


def summary(proofs: "list[Proof]", took_s: float) -> dict[str, Any]:
    """What `--json` prints."""
    lines = [{"proof": proof.key, "holds": proof.holds, **proof.facts} for proof in proofs]
    proven = all(proof.holds for proof in proofs)
    return {"schema": SCHEMA, "proven": proven, "took_s": round(took_s, 1), "proofs": lines}
