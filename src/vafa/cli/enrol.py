"""`vafa enrol`: this device joins its merchant at a hub, joins again, or changes its keys.

The running daemon does it, so that no sale is missed; with the daemon down it is done here, under the
ledger's lock.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import ask, config_option, json_option, loaded, print_json
from vafa.model.errors import NotRunning, VafaError

if TYPE_CHECKING:
    from vafa.app.hub_questions import Enrol, EnrolIs

ANSWER_S = 180.0  # two requests over a slow link, and members to merge
SKEW_TOLD_S = 30.0
_PEM_FIX = "give the file of the authority that signed the hub's certificate"


@click.command("enrol")
@click.argument("code", required=False, default="")
@click.option("--hub", default="", metavar="URL", help="The hub's address, https://...")
@click.option(
    "--ca",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Trust this authority's certificates (PEM) for the hub, and no others.",
)
@click.option("--new-hub", is_flag=True, help="The hub was replaced: its key may be another one.")
@click.option("--rotate", is_flag=True, help="Change this device's keys; needs no code.")
@config_option
@json_option
def command(
    code: str,
    hub: str,
    ca: Path | None,
    new_hub: bool,  # noqa: FBT001
    rotate: bool,  # noqa: FBT001
    config_path: Path,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Enrol this device with the one-time CODE of its merchant (vafa hub code add, on the hub).

    What was earned before stays, and is known to the merchant's other devices from now on. A device that is
    enrolled already keeps its number and gets new keys.
    """
    from vafa.app.hub_questions import Enrol, EnrolIs

    if rotate == bool(code):
        raise click.UsageError("give a CODE, or --rotate" if not code else "--rotate needs no CODE")
    question = Enrol(code=code, hub=hub, certificates=_pem(ca), new_hub=new_hub)
    try:
        done = ask(config_path, question, EnrolIs, ANSWER_S)
    except NotRunning:
        done = _without_daemon(config_path, question)
    if as_json:
        print_json(done)
        return
    for line in _lines(done, rotate=rotate):
        click.echo(line)


def _pem(path: Path | None) -> str:
    """The file's text. VafaError when it is none."""
    if path is None:
        return ""
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise VafaError(f"{path} cannot be read as PEM ({error})", fix=_PEM_FIX) from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise VafaError(f"{path} holds no certificate", fix=_PEM_FIX)
    return text


def _without_daemon(config_path: Path, question: "Enrol") -> "EnrolIs":
    from vafa.app.enrolling import enrolled_alone

    click.echo("the daemon is not running: enrolled here, under the ledger's lock", err=True)
    return enrolled_alone(loaded(config_path), question)


def _lines(done: "EnrolIs", *, rotate: bool) -> list[str]:
    what = "has new keys at" if rotate else "is enrolled again with" if done.again else "is enrolled with"
    shop = f" of {done.shop}" if done.shop else ""
    lines = [
        f"device {done.device}{shop} {what} {done.host}",
        f"hub key {done.fingerprint}   (compare with: vafa hub key, on the hub)",
    ]
    if done.merged:
        lines.append(f"{done.merged:,} members of before are known to all the merchant's devices from now on")
    if done.unreadable:
        lines.append(f"{done.unreadable:,} members have a sealed phone that does not open: vafa verify")
    if abs(done.skew_s) > SKEW_TOLD_S:
        way = "ahead of" if done.skew_s > 0 else "behind"
        lines.append(f"this clock is {abs(done.skew_s):,.0f} s {way} the hub: sudo timedatectl set-ntp true")
    return lines
