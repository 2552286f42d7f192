"""The real daemon as a process of its own: started, listened to, weighed, asked for its status, stopped.

CPU times come from the kernel's per-process clock, in nanoseconds: /proc counts in ticks of 10 ms, as much as
the whole bare interpreter takes.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from vafa.cli.measure.figures import Measured
from vafa.cli.measure.stage import TERMINAL_ID
from vafa.model.errors import NotRunning

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 20.0
SETTLE_WITHIN_S = 30.0
_SETTLED_BYTES = 64 * 1024
STATUS_EXITS = (0, 10, 20)  # OK, degraded, broken: it answered
_CPUCLOCK_SCHED = 2  # include/linux/posix-timers.h: a process's CPU clock is (~pid << 3) | 2

_CONFIG = """[shop]
name = "کافه نگین"
name_en = "Kafe Negin"
[ledger]
directory = "{state}"
[local]
socket = "local.sock"
[control]
socket = "control.sock"
"""


class Running:
    """A daemon that said READY. `cpu_s` is what it had used by then."""

    def __init__(self, process: subprocess.Popen[bytes], config: Path, cpu_s: float) -> None:
        self.pid, self.config, self.cpu_s = process.pid, config, cpu_s
        self.local_socket = config.parent / "local.sock"


def vafa_command() -> list[str]:
    """`vafa` as the unit and people start it: the script beside this interpreter, else its module."""
    script = Path(sys.executable).with_name("vafa")
    return [str(script)] if script.exists() else [sys.executable, "-m", "vafa.cli.main"]


def write_config(directory: Path, state: Path, address: Path) -> Path:
    """config.toml for a daemon of the bench's, its sockets beside it (whose paths have 107 bytes)."""
    return write_config_of(directory, state, {TERMINAL_ID: str(address)})


def write_config_of(directory: Path, state: Path, terminals: Mapping[str, str]) -> Path:
    """The same for several terminals: id -> address."""
    path = directory / "config.toml"
    tables = [f'[[terminal]]\nid = "{tid}"\naddress = "{at}"\n' for tid, at in terminals.items()]
    path.write_text(_CONFIG.format(state=state) + "".join(tables), encoding="utf-8")
    return path


@contextmanager
def daemon(config: Path) -> Iterator[Running]:
    """Start `vafa run`, wait for READY; stop it at the end. NotRunning when it never is ready."""
    place = config.parent / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, (config.parent / "log").open("wb") as log:
        told.bind(str(place))
        environment = {**os.environ, "NOTIFY_SOCKET": str(place)}
        environment.pop("WATCHDOG_USEC", None)
        # An installed Vafa was compiled when it was installed; compiling at each start doubles it.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        process = subprocess.Popen(
            [*vafa_command(), "run", "--config", str(config)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
        )  # fmt: skip
        try:
            _wait_for_ready(told, process, Path(log.name))
            yield Running(process, config, cpu_s(process.pid))
        finally:
            _stop(process)
            place.unlink()


def _wait_for_ready(told: socket.socket, process: subprocess.Popen[bytes], log: Path) -> None:
    told.settimeout(0.5)
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if b"READY=1" in told.recv(4096):
                return
        except TimeoutError:
            continue
    last = log.read_text(errors="replace").strip().splitlines()[-2:]
    raise NotRunning(f"the daemon to be measured did not become ready: {' '.join(last) or 'it said nothing'}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_s(pid: int) -> float:
    """CPU seconds a running process has used, all its threads."""
    return time.clock_gettime(~pid << 3 | _CPUCLOCK_SCHED)


def memory_bytes(pid: int) -> tuple[int, int]:
    """(resident, proportional) bytes of a process: the second shares what it shares with others."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    return found["Rss"], found["Pss"]


def memory_at_rest(pid: int, settle_s: float) -> tuple[int, int]:
    """`memory_bytes` once it has stayed the same for `settle_s`, or SETTLE_WITHIN_S at the latest.

    The scheduler loads behind READY: a second is enough to see it on a fast machine only.
    """
    give_up = time.monotonic() + SETTLE_WITHIN_S
    last, since = memory_bytes(pid), time.monotonic()
    while time.monotonic() < min(since + settle_s, give_up):
        time.sleep(0.25)
        now = memory_bytes(pid)
        if abs(now[0] - last[0]) > _SETTLED_BYTES:
            last, since = now, time.monotonic()
    return memory_bytes(pid)


def bare_memory_bytes() -> int:
    """Resident bytes of an interpreter that does nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        resident, _ = memory_bytes(bare.pid)
        bare.communicate(b"\n")
    return resident


def measure_memory(name: str, enrolled_name: str, running: Running, settle_s: float) -> list[Measured]:
    """What the running daemon holds when nothing happens: before and after it has sealed a phone.

    Both are judged: a shop with members is what the daemon is for.
    """
    floor_mb = bare_memory_bytes() / 1e6
    found = [_at_rest(name, running, settle_s, floor_mb)]
    enrol(running.local_socket)
    return [*found, _at_rest(enrolled_name, running, settle_s, floor_mb)]


def _at_rest(name: str, running: Running, settle_s: float, floor_mb: float) -> Measured:
    resident, proportional = memory_at_rest(running.pid, settle_s)
    return Measured(
        name, resident / 1e6, floor_mb, "MB", f"resident; proportional {proportional / 1e6:.1f} MB"
    )


def enrol(local_socket: Path) -> None:
    """One new member over the local protocol: from then on the daemon holds what seals a phone."""
    with socket.socket(socket.AF_UNIX) as register, register.makefile("rwb") as line:
        register.connect(str(local_socket))
        line.write(b'{"op": "member", "member": "09360000000", "name": "bench"}\n')
        line.flush()
        assert b'"known"' in line.readline(), "a new member can be enrolled"


def measure_start(config: Path, times: int) -> Measured:
    """CPU from start to READY, over the bare interpreter's, in turns."""
    ours, bare = [], []
    for _ in range(times):
        bare.append(_bare_cpu_s())
        with daemon(config) as running:
            ours.append(running.cpu_s)
    floor_s = median(bare)
    note = f"{median(ours) * 1000:.0f} ms of CPU, median of {times} starts"
    return Measured("start_cpu", median(ours) / floor_s, floor_s * 1000, "ms", note)


def _bare_cpu_s() -> float:
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", "pass"], dict(os.environ))
    _, status, usage = os.wait4(pid, 0)
    assert status == 0, "the bare interpreter ends well"
    return usage.ru_utime + usage.ru_stime


def measure_status(config: Path, times: int) -> Measured:
    """Wall time of `vafa status` as a person waits for it, its interpreter's start counted."""

    def ask() -> int:
        command = [*vafa_command(), "status", "--config", str(config)]
        return subprocess.run(command, check=False, capture_output=True).returncode

    def bare() -> int:
        return subprocess.run([sys.executable, "-c", "pass"], check=False).returncode

    code = ask()  # the first one may compile
    if code not in STATUS_EXITS:
        return Measured("status_wall", None, note=f"not measured: vafa status ended with exit code {code}")
    took = [(_wall_ms(bare), _wall_ms(ask)) for _ in range(times)]
    return Measured(
        "status_wall", median(t for _, t in took), median(b for b, _ in took), "ms", f"{times} times asked"
    )


def _wall_ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
