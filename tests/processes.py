"""What processes use and where they may run, as /proc tells it: the machine's clock is none to be trusted."""

import os
from pathlib import Path

TICKS_A_S = os.sysconf("SC_CLK_TCK")


def family(process: int) -> list[int]:
    """A process and all it has begun that still run."""
    found = [process]
    for thread in threads(process):
        try:
            children = (thread / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += family(int(child))
    return found


def threads(process: int) -> list[Path]:
    """Its threads' folders; none when it is gone."""
    try:
        return list(Path(f"/proc/{process}/task").iterdir())
    except OSError:
        return []


def cpu_s(process: int) -> float:
    """CPU seconds of a process so far, with those of its children that ended and were collected."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS_A_S


def family_cpu_s(process: int) -> float:
    """Of a process and all it has begun."""
    return sum(map(cpu_s, family(process)))


def resident_kb(process: int) -> int:
    """What a process has in memory; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def waited_s(process: int) -> float:
    """How long its threads were ready and had no core, so far."""
    total = 0
    for thread in threads(process):
        try:
            total += int((thread / "schedstat").read_text().split()[1])
        except OSError:
            continue
    return total / 1e9


def keep_to(core: int, process: int) -> None:
    """A process and all it has begun, on one core from now on; AssertionError when the kernel thinks not."""
    for each in family(process):
        for thread in threads(each):
            os.sched_setaffinity(int(thread.name), {core})
            assert os.sched_getaffinity(int(thread.name)) == {core}


def put_first(process: int) -> None:
    """The session of a process, and of all it has begun, before the machine's other sessions. Needs root."""
    for each in family(process):
        Path(f"/proc/{each}/autogroup").write_text("-20")


def run_at_once(process: int) -> None:
    """All threads of a process, those to come too, before everything that is no such process. Needs root."""
    for thread in threads(process):
        os.sched_setscheduler(int(thread.name), os.SCHED_FIFO, os.sched_param(1))


def take_turns(process: int) -> None:
    """A process that made itself go last goes as others do. Needs root."""
    for thread in threads(process):
        os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def postmaster(state: Path) -> int:
    """The embedded PostgreSQL's first process: no child of the hub's."""
    return int((state / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
