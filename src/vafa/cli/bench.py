"""`vafa bench`: this device against the numbers to reach, one run, each figure beside its floor."""

import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from vafa.cli.measure.figures import Measured

EXIT_MISSED = 1
PRINTED_SLIPS = 3
SCHEMA = 1


class Size(msgspec.Struct, frozen=True):
    """How much is measured."""

    awards: int
    checkpoint_cycles: int
    sales: int
    starts: int
    status_times: int
    settle_s: float
    lanes_s: float
    slips: int
    grown: int
    grown_awards: int
    idle_s: float


FULL = Size(
    awards=6_000,
    checkpoint_cycles=6,
    sales=300,
    starts=9,
    status_times=15,
    settle_s=3.0,
    lanes_s=24.0,
    slips=100,
    grown=1_000_000,
    grown_awards=1_000,
    idle_s=60.0,
)
QUICK = Size(
    awards=500,
    checkpoint_cycles=1,
    sales=200,
    starts=3,
    status_times=3,
    settle_s=1.0,
    lanes_s=6.0,
    slips=20,
    grown=20_000,
    grown_awards=200,
    idle_s=10.0,
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option("--quick", is_flag=True, help="Fewer rounds: a first look, noisier.")
@click.option(
    "--grown",
    type=click.IntRange(2_000, 100_000_000),
    help="Payments of the grown ledger: 1,000,000 unless told; 10,000,000 take 6 GB and twenty minutes.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Where to measure: a directory on the disk the ledger is to live on; this one by default.",
)
def command(directory: Path, grown: int | None, *, as_json: bool, quick: bool) -> None:
    """Measure this device against the numbers to reach; exit 1 when one is missed.

    As root the flash is counted on a small disk of its own. Leaves nothing behind.
    """
    from vafa.cli.measure.figures import GOALS, judged, missed, table
    from vafa.cli.measure.machine import machine_of

    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was mounted is unmounted
    try:
        size = QUICK if quick else FULL
        size = msgspec.structs.replace(size, grown=grown or size.grown)
        figures = judged(measure_all(directory, size, _tell), GOALS)
    finally:
        signal.signal(signal.SIGTERM, before)
    wanting = missed(figures)
    if as_json:
        result = {"schema": SCHEMA, "ok": not wanting, "quick": quick, "machine": machine_of(directory)}
        click.echo(msgspec.json.format(msgspec.json.encode({**result, "figures": figures}), indent=2))
    else:
        for name, value in msgspec.structs.asdict(machine_of(directory)).items():
            click.echo(f"{name:<12} {value}")
        click.echo(table(figures))
    if wanting:
        sys.exit(EXIT_MISSED)


def measure_all(directory: Path, size: Size, tell: Callable[[str], None]) -> "list[Measured]":
    """Every figure, in a temporary directory under `directory` that is gone afterwards."""
    from vafa.cli.measure.awards import measure_awards
    from vafa.cli.measure.flash import measure_flash
    from vafa.cli.measure.growth import measure_growth
    from vafa.cli.measure.packing import measure_packing
    from vafa.cli.measure.stage import Stage

    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="vafa-bench-", dir=directory.resolve()) as place:
        here = Path(place)
        tell(f"a shop with its members, then {size.awards:,} awards beside floor writes")
        stage = Stage(here / "state")
        try:
            stage.enrol_members()
            stage.warm_up()
            found += measure_awards(stage, here, size.awards)
        finally:
            stage.close()
        tell(f"flash and flushes over {size.checkpoint_cycles} checkpoint cycles")
        found += measure_flash(here, size.checkpoint_cycles)
        tell(f"growth from 1,000 to {size.grown:,} payments")
        found += measure_growth(here / "growth", size.grown, size.grown_awards, tell)
        found += _measure_daemon(here, size, tell)
    tell("two generated shops, packed for the sync")
    return found + measure_packing()


def _measure_daemon(here: Path, size: Size, tell: Callable[[str], None]) -> "list[Measured]":
    """What needs the real daemon: lines, memory, status; then its starts; then a first start."""
    from vafa.cli.measure import running
    from vafa.cli.measure.idle import measure_idle
    from vafa.cli.measure.lanes import measure_lanes
    from vafa.cli.measure.lines import measure_lines, terminal_line
    from vafa.cli.measure.slips import measure_printing, measure_slip

    tell(f"a slip, {size.slips} times")
    found = measure_slip(size.slips)
    tty = here / "tty"
    with terminal_line(tty) as line, tempfile.TemporaryDirectory(prefix="vafa-") as short:
        config = running.write_config(Path(short), here / "state", tty)
        with running.daemon(config) as daemon:
            tell(f"{size.sales} sales through the daemon")
            found.append(measure_lines(daemon, line, size.sales, here))
            tell("the daemon at rest")
            found += running.measure_memory("memory_at_rest", "memory_member", daemon, size.settle_s)
            tell(f"the daemon with nothing to do, {size.idle_s:g} seconds")
            found += measure_idle(daemon, size.idle_s)
            tell(f"vafa status, {size.status_times} times")
            found.append(running.measure_status(config, size.status_times))
        tell("the daemon at rest once it has printed")
        found.append(measure_printing(config, PRINTED_SLIPS, size.settle_s))
        tell(f"8 lanes with 10 payments a second each, {size.lanes_s:g} seconds")
        found += measure_lanes(here, here / "state", size.lanes_s)
        tell(f"{size.starts} starts")
        found.append(running.measure_start(config, size.starts))
        tell("the first start of a new device")
        with running.daemon(running.write_config(Path(short), here / "fresh", tty)) as daemon:
            found += running.measure_memory(
                "memory_first_start", "memory_first_member", daemon, size.settle_s
            )
    return found


def _tell(text: str) -> None:
    click.echo(f"measuring: {text}", err=True)
