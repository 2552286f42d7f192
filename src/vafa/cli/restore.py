"""`vafa restore`: a ledger and its keys out of a backup, in a new epoch."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vafa.cli.asking import config_option, json_option, loaded, now_ms, print_json
from vafa.model.errors import KeyFileError

if TYPE_CHECKING:
    from vafa.app.restoring import Found, Restored
    from vafa.keys.recovery import SealedKeys


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--code-file", type=click.Path(path_type=Path), help="Read the recovery code from this file.")
@click.option(
    "--unlock", default="", metavar="HEX", help="What `vafa hub recover` gave, instead of the code."
)
@click.option("--replace", is_flag=True, help="Put the ledger that is there aside, under another name.")
@click.option("--yes", is_flag=True, help="Do it. Without it, FILE is only looked at.")
@config_option
@json_option
def command(
    file: Path,
    code_file: Path | None,
    unlock: str,
    replace: bool,  # noqa: FBT001
    yes: bool,  # noqa: FBT001
    config_path: Path,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Restore the ledger and its keys from FILE, with the daemon stopped. Run it with sudo.

    FILE is of `vafa backup`, or a scheduled copy (ledger-*.db) with its keys.json beside it: its recovery
    code is asked for, unless the keys are here. What is there is never thrown away. A new epoch begins.
    """
    from vafa.app.restoring import look, restore

    found = look(file)
    if not yes:
        _show(found, file)
        return

    def opened(sealed: "SealedKeys") -> bytes:
        return _unlocked(sealed, code_file, unlock)

    restored = restore(loaded(config_path), file, opened, now_ms, replace=replace)
    if as_json:
        print_json(restored)
        return
    for line in _lines(restored):
        click.echo(line)


def _unlocked(sealed: "SealedKeys", code_file: Path | None, unlock: str) -> bytes:
    from vafa.keys.recovery import unlocked_by_code

    if unlock:
        try:
            return bytes.fromhex(unlock.replace("-", ""))
        except ValueError as error:
            raise KeyFileError("--unlock is not what vafa hub recover gave", fix="copy all of it") from error
    if code_file is not None:
        try:
            code = code_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyFileError(f"{code_file} cannot be read", fix="or type the code when asked") from error
    else:
        code = click.prompt("Recovery code", hide_input=False, err=True)
    return unlocked_by_code(sealed, code)


def _show(found: "Found", file: Path) -> None:
    from vafa.app.status import iso

    if found.about is None:
        keys = "its sealed keys lie beside it" if found.sealed else "without keys"
        click.echo(f"{file}: a scheduled copy of a ledger, {found.size_bytes:,} bytes, {keys}")
    elif found.sealed is not None:
        about = found.about
        click.echo(f"{file}: device {about.device}, {about.head[1]:,} rows, made {iso(about.made_at_ms)}")
        by = f", or by the hub {found.sealed.hub} (there: vafa hub recover)" if found.sealed.hub else ""
        click.echo(f"its keys are opened by the recovery code{by}")
    click.echo("nothing was done. With --yes it is restored.")


def _lines(restored: "Restored") -> list[str]:
    lines = [f"{restored.rows:,} rows of device {restored.device} are back, in epoch {restored.epoch}"]
    if restored.put_aside:
        lines.append(f"the ledger that was there: {restored.put_aside}")
    if restored.kept:
        lines.append(f"newer here than in the backup, and kept: {', '.join(restored.kept)}")
    since = f" since {restored.made_at}" if restored.made_at else " since it was made"
    lines.append(f"sales{since} are not in it: terminals' own lists are read when the daemon runs;")
    lines.append("what they do not reach is a gap to look after: vafa gap list, vafa record")
    if restored.hub:
        lines.append(f"the hub {restored.hub} keeps the rows it has; if the old device may still run, enrol")
        lines.append("this one again with a new code: the old one's keys then open nothing any more")
    lines.append("next: vafa verify; sudo systemctl start vafa")
    return lines
