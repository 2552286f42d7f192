"""How long a durable award takes beside a floor write, the two taking turns so that noise hits both."""

import time
from contextlib import closing
from pathlib import Path
from statistics import fmean, median

from vafa.cli.measure.bare import Bare, Written, written_since
from vafa.cli.measure.figures import GOALS, Measured, percentile
from vafa.cli.measure.floor import Floor
from vafa.cli.measure.stage import Stage


def measure_awards(stage: Stage, directory: Path, awards: int) -> list[Measured]:
    """`awards` pairs of a floor write and an award, on a ledger in its steady state; then SQLite alone."""
    floors_s, awards_s, written = [], [], list[Written]()
    with closing(Floor(directory)) as floor, closing(Bare(stage.ledger, directory / "bare")) as bare:
        for _ in range(awards):
            response, before = stage.response(), stage.ledger.head.seq
            floors_s.append(floor.write())
            started = time.perf_counter()
            stage.award(response)
            awards_s.append(time.perf_counter() - started)
            written.append(written_since(stage.ledger, before))
        sqlite_alone = bare.times_floor(written, floor)
    mean_s, floor_mean_s = fmean(awards_s), fmean(floors_s)
    p99_s, floor_p99_s = percentile(awards_s, 0.99), percentile(floors_s, 0.99)
    middle = f"medians {median(awards_s) * 1000:.3f} on {median(floors_s) * 1000:.3f} ms"
    own_s = max(mean_s - floor_mean_s, 0.0)
    reached_s = own_s / (GOALS["award_mean"].at_most - 1)
    note = f"award {mean_s * 1000:.3f} ms, {middle}, {awards:,} awards;\n"
    note += (
        f"its own {own_s * 1000:.2f} ms keeps the goal where a floor write takes {reached_s * 1000:.2f} ms;\n"
    )
    note += f"SQLite alone, given the rows: {sqlite_alone:.2f} x floor"
    return [
        Measured("award_mean", mean_s / floor_mean_s, floor_mean_s * 1000, "ms", note),
        Measured(
            "award_p99", p99_s / floor_p99_s, floor_p99_s * 1000, "ms", f"award {p99_s * 1000:.3f} ms at p99"
        ),
    ]
