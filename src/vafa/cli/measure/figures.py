"""The numbers to reach, and what a measurement says beside its goal and its floor.

Machines differ and are noisy, so a speed is a ratio of the thing to its floor, measured side by side in one
run. The floor of a durable record is 512 B written into a preallocated file plus fdatasync, on the same file
system; the floor of a process is the bare interpreter.
"""

from collections.abc import Mapping, Sequence

from msgspec import UNSET, Struct, UnsetType


class Goal(Struct, frozen=True):
    """At most `at_most`, better `stretch`, in `unit`. `floor` says what the floor beside it is."""

    about: str
    unit: str
    at_most: float
    stretch: float
    floor: str


_RECORD = "512 B pwrite + fdatasync, interleaved"
_FEW = "the same with 1,000 payments"
_BARE = "python -c pass"
_JSON = "the same rows as JSON"

GOALS: dict[str, Goal] = {
    "award_mean": Goal("durable award, decode to commit, mean", "x floor", 1.5, 1.3, _RECORD),
    "award_p99": Goal("durable award, decode to commit, p99", "x floor p99", 2.0, 1.5, _RECORD),
    "award_flushes": Goal("flushes per award, checkpoints counted", "flushes", 1.05, 1.0, _RECORD),
    "award_flash": Goal("flash bytes per award, checkpoints counted", "bytes", 10_300, 8_600, _RECORD),
    "lines_p99": Goal("receipt lines after the last byte of an approval, p99", "ms", 20.0, 5.0, _RECORD),
    "slip_lines": Goal("a slip's lines in Persian, median", "ms", 5.0, 1.0, "the same in English, median"),
    "slip_raster": Goal("a slip as dots, 384 a row, warm, median", "ms", 25.0, 15.0, "as much white paper"),
    "slip_wire": Goal("the demo's first slip on the wire, 384 px", "bytes", 25_000, 20_000, "its text"),
    "lanes_p99": Goal("award on 8 lanes, 10 payments/s each, p99", "x floor p99", 2.0, 1.5, _RECORD),
    "memory_at_rest": Goal("memory of the daemon at rest, never synced", "MB", 36.0, 30.0, _BARE),
    "memory_first_start": Goal("the same after a first start, ledger just made", "MB", 36.0, 30.0, _BARE),
    "memory_member": Goal("at rest, once it has enrolled a member", "MB", 36.0, 30.0, _BARE),
    "memory_first_member": Goal("the same after a first start", "MB", 36.0, 30.0, _BARE),
    "memory_printing": Goal("at rest, what printing has added", "MB more", 6.0, 1.0, "before the first slip"),
    "start_cpu": Goal("CPU from start to ready for a payment", "x bare python", 18.0, 10.0, _BARE),
    "sync_alone": Goal("sync payload of a lone event", "bytes", 70.0, 47.0, _JSON),
    "sync_100": Goal("sync payload an event, a hundred at once", "bytes", 30.0, 18.0, _JSON),
    "sync_1000": Goal("sync payload an event, a thousand at once", "bytes", 25.0, 13.0, _JSON),
    "growth_award": Goal("award on a grown ledger, median", "x 1,000", 1.5, 1.3, _FEW),
    "growth_bytes": Goal("bytes an award writes on a grown ledger", "x 1,000", 1.5, 1.3, _FEW),
    "growth_balance": Goal("a member's balance on a grown ledger, median", "x 1,000", 2.0, 1.3, _FEW),
    "growth_open": Goal("a grown ledger opened", "ms", 10.0, 5.0, _FEW),
    "rebuild": Goal("CPU a row while books are rebuilt from the journal", "us", 20.0, 10.0, "row chained"),
    "idle_wakeups": Goal("threads woken while nothing happens", "a second", 2.0, 1.0, "none"),
    "idle_cpu": Goal("CPU while nothing happens", "% of a core", 0.2, 0.1, "none"),
    "status_wall": Goal("vafa status, median", "ms", 100.0, 60.0, _BARE),
}  # fmt: skip


class Measured(Struct, frozen=True):
    """What one measurement found. `value` in the goal's unit; `floor` beside it, in the unit it names.

    value None: it could not be measured here, `note` says why; else `note` holds facts worth knowing.
    alone: False when others' work is in the value too, so that it proves a goal reached but none missed.
    """

    name: str
    value: float | None
    floor: float | None = None
    floor_unit: str = ""
    note: str = ""
    alone: bool = True


class Figure(Struct, frozen=True):
    """A line of the result. `ok` is None when nothing certain was measured: seen, but no miss."""

    name: str
    about: str
    value: float | None
    unit: str
    goal: float
    stretch: float
    ok: bool | None
    stretch_ok: bool | None
    floor: float | None
    floor_unit: str
    floor_is: str
    note: str | UnsetType = UNSET


def judged(measured: Sequence[Measured], goals: Mapping[str, Goal]) -> list[Figure]:
    """Every goal's figure, in the goals' order; one that nobody measured says so."""
    found = {each.name: each for each in measured}
    return [
        _figure(goal, found.get(name, Measured(name, None, note="not measured")))
        for name, goal in goals.items()
    ]


def _figure(goal: Goal, measured: Measured) -> Figure:
    value = measured.value
    return Figure(
        name=measured.name,
        about=goal.about,
        value=None if value is None else _rounded(value),
        unit=goal.unit,
        goal=goal.at_most,
        stretch=goal.stretch,
        ok=_reached(measured, goal.at_most),
        stretch_ok=_reached(measured, goal.stretch),
        floor=None if measured.floor is None else _rounded(measured.floor),
        floor_unit=measured.floor_unit,
        floor_is=goal.floor,
        note=measured.note or UNSET,
    )


def _reached(measured: Measured, at_most: float) -> bool | None:
    if measured.value is None or (measured.value > at_most and not measured.alone):
        return None
    return measured.value <= at_most


def missed(figures: Sequence[Figure]) -> list[Figure]:
    """Those that were measured and found wanting."""
    return [figure for figure in figures if figure.ok is False]


def table(figures: Sequence[Figure]) -> str:
    """The figures for a person, 80 columns: verdict, value, goal, floor."""
    lines = [f"{'':25}{'value':>9}{'goal':>8}{'stretch':>8}  {'unit':<14}floor"]
    for each in figures:
        verdict = {True: "ok", False: "MISSED", None: "-"}[each.ok]
        value = "-" if each.value is None else f"{each.value:,g}"
        floor = "-" if each.floor is None else f"{each.floor:,g} {each.floor_unit}"
        numbers = f"{value:>9}{each.goal:>8,g}{each.stretch:>8,g}"
        lines.append(f"{verdict:<7}{each.name:<18}{numbers}  {each.unit:<14}{floor}")
        if each.note:
            lines += [f"{'':7}{line}" for line in each.note.splitlines()]
    return "\n".join(lines)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _rounded(value: float) -> float:
    """Three figures behind the point below ten, one below a thousand: what such a measurement is good for."""
    return round(value, 3 if value < 10 else 1 if value < 1000 else 0)
