"""`vafa hub fleet`: `vafa status` for every device."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from vafa.cli.hub_options import hub_options, iso, json_option, now_ms, print_json, transaction
from vafa.cli.status import COLUMNS, EXIT_CODES, ago, cut, styled
from vafa.hub import merchants
from vafa.hub.fleet import DeviceFacts, Fleet, fleet

_SIGNS = {"ok": "●", "degraded": "▲", "broken": "■"}


@click.command("fleet")
@click.argument("merchant", required=False)
@hub_options
@json_option
@click.option("--trouble", "only_trouble", is_flag=True, help="Only devices with something wrong.")
def command(
    merchant: str | None,
    dsn: str,
    state: Path,
    as_json: bool,
    only_trouble: bool,
) -> None:
    """Every device at a glance, the worst first: what is wrong, and what to do?

    Exit codes: 0 OK, 10 degraded, 20 broken, 3 the database does not answer, 2 usage. The codes in brackets
    are explained in docs/hub.md.
    """
    with transaction(dsn, state) as connection:
        theirs = [merchants.merchant(connection, merchant)] if merchant else merchants.merchants(connection)
        found = fleet(connection, theirs, now_ms())
    if only_trouble:
        found = msgspec.structs.replace(found, devices=tuple(d for d in found.devices if d.trouble))
    if as_json:
        print_json({
            "schema": found.schema,
            "verdict": found.verdict,
            "version": found.version,
            "at": iso(found.at_ms),
            "devices": [shown_device(device) for device in found.devices],
        })  # fmt: skip
    else:
        for line in styled(screen(found), found.verdict):
            click.echo(line)
    sys.exit(EXIT_CODES[found.verdict])


def screen(found: Fleet) -> list[str]:
    """The page's lines, at most 80 columns each."""
    bad = sum(device.verdict != "ok" for device in found.devices)
    head = f"{_SIGNS[found.verdict]} {found.verdict.upper()}   {len(found.devices)} devices"
    lines = [f"{head}, {bad} with trouble · vafa {found.version}"]
    for device in found.devices:
        lines += ["", *entry(device)]
    return lines


def entry(d: DeviceFacts) -> Iterator[str]:
    """One device's lines: who, what is wrong, how it stands."""
    label = f" ({d.label})" if d.label else ""
    seen = ago(d.seen_age_s) if d.seen_age_s is not None else "never"
    sign = "○" if d.revoked else _SIGNS[d.verdict]
    off = " · REVOKED" if d.revoked else ""
    yield cut(f"{sign} {d.merchant} {d.shop} · device {d.device}{label}{off}", COLUMNS)
    for trouble in d.trouble:
        yield from _wrapped(trouble.message)
        yield from _wrapped(f"{trouble.fix}   [{trouble.code}]")
    skew = "-" if d.skew_s is None else f"{d.skew_s:+.1f} s"
    link = (d.link or "-") + (", metered" if d.metered else "")
    yield cut(f"  sync {seen} · {d.rows:,} rows, {d.waiting:,} waiting · clock {skew}", COLUMNS)
    yield cut(f"  vafa {d.vafa or '-'}, schema {d.schema or '-'} · link {link}", COLUMNS)


def _wrapped(text: str) -> list[str]:
    return ["! " + line for line in textwrap.wrap(text, COLUMNS - 2, break_on_hyphens=False)]


def shown_device(device: DeviceFacts) -> dict[str, object]:
    """A device for scripts: ids as text."""
    fields: dict[str, object] = msgspec.to_builtins(device)
    return fields | {"device": str(device.device)}
