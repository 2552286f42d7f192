"""What the daemon does while nothing happens: how often one of its threads wakes, and what that costs."""

import time
from pathlib import Path

from vafa.cli.measure.figures import Measured
from vafa.cli.measure.running import Running, cpu_s


def wakeups(pid: int) -> int:
    """How often threads of a process have slept and been woken, from the kernel's own count."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text("ascii", "replace").splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                total += int(line.split()[1])
    return total


def measure_idle(daemon: Running, seconds: float) -> list[Measured]:
    """A daemon with its terminal connected, nobody paying and nobody asking."""
    woken, used_s, began = wakeups(daemon.pid), cpu_s(daemon.pid), time.monotonic()
    time.sleep(seconds)
    lasted_s = time.monotonic() - began
    a_second = (wakeups(daemon.pid) - woken) / lasted_s
    share = (cpu_s(daemon.pid) - used_s) / lasted_s * 100
    note = f"over {lasted_s:.0f} s"
    return [
        Measured("idle_wakeups", a_second, 0.0, "a second", note),
        Measured("idle_cpu", share, 0.0, "%", note),
    ]
