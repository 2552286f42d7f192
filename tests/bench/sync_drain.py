"""A backlog drains while the shop sells: `python tests/bench/sync_drain.py [ROWS] [apart] [first]`.

A real daemon with its own sync process (TLS, httpx, packing, signing), a real hub on an embedded PostgreSQL
that flushes every commit, all on one machine. Sales are asked of the daemon over its socket one after the
other, in turns: beside the drain, and while a gate (gate.py) keeps the hub's answers back. So a noisy
minute is in both, and what is compared differs by the drain alone. Rows a second are counted while the gate
is open; CPU seconds a thousand rows, which a busy machine does not change, of each side.

Two cores are shared by daemon, sync process, hub, PostgreSQL and this script. `apart` keeps the device (and
this script) to the first core, the hub, its PostgreSQL and the gate to the second, and the hub's files in
memory: in the field a sale waits neither for the hub's computing nor for its flushes. `first` is for a
machine with other work on it (root): all of it goes before that, by the kernel's session groups, the sync
process as an ordinary one, since what it gives way to would not be there: rows a second as in a quiet minute.
`apart first` lets daemon and script run the moment they can, as they would were there nothing but the sync
process, which goes last, on their core: what the drain alone costs a sale.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import processes
from hub.drain_bench import backlog
from real_device import Device
from real_hub import RealHub
from shop import Shop

from vafa.cli.measure.floor import Floor
from vafa.hub.installation import opened
from vafa.hub.lines import current, lines_of
from vafa.ledger.storage import connect_reader

PAUSE_S, TURN_S, REST_S = 0.01, 1.5, 0.3
IDLE_SALES, SETTLED_S = 100, 60.0
MEMORY = "/dev/shm"  # noqa: S108 - a folder of its own is made in it
_refs = count(1)


def say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


def sale_ms(device: Device) -> float:
    """One sale asked and answered, its commit and its lines between."""
    time.sleep(PAUSE_S)
    began = time.perf_counter()
    assert device.pay(f"r{next(_refs)}")["answer"] == "paid"
    return (time.perf_counter() - began) * 1000


def percentiles(times_ms: list[float]) -> tuple[float, float, str]:
    ordered = sorted(times_ms)
    p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    return p50, p99, f"{len(ordered)} sales, p50 {p50:.2f} ms, p99 {p99:.2f} ms"


class Gate:
    """The gate between them, in its own process."""

    def __init__(self, hub_port: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("gate.py")), hub_port]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def turn(self, how: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(how.encode() + b"\n")
        self.process.stdin.flush()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Drain:
    """What is seen while it goes on."""

    def __init__(
        self, device: Device, hub: RealHub, gate: Gate, daemon: int, serving: int, how: set[str]
    ) -> None:
        self._how = how
        self._device, self._hub, self._gate, self._daemon = device, hub, gate, daemon
        self._sides = {"hub": serving, "PostgreSQL": processes.postmaster(hub.state)}
        self.busy_ms, self.idle_ms = list[float](), list[float]()
        self.memory_kb: list[int] = []
        self._floor = Floor(device.directory)
        self._floor_ms: dict[str, list[float]] = {"beside the drain": [], "without it": []}
        self._waited_s = {"beside the drain": 0.0, "without it": 0.0}

    def sync_process(self) -> int:
        """Its pid, 0 while there is none."""
        return next((each for each in processes.family(self._daemon) if each != self._daemon), 0)

    def run(self, merchant: str, rows: int) -> None:
        """Until the hub has so many rows, in turns. By a connection kept open."""
        with opened("", self._hub.state) as database:

            def seq() -> int:
                with database.transaction() as connection:
                    return current(lines_of(connection, merchant, 1)).seq

            while not seq():
                time.sleep(0.01)
            cpu_s, took_s, first = self._cpu_s(), 0.0, seq()
            drained = 0
            while seq() < rows:
                self._put_first()
                began, before = time.monotonic(), seq()
                self._sales(self.busy_ms, "beside the drain", lambda: seq() >= rows)
                drained += seq() - before
                took_s += time.monotonic() - began
                self._gate.turn("shut")
                time.sleep(REST_S)
                self._sales(self.idle_ms, "without it", lambda: False)
                self._gate.turn("open")
            beside = f"beside {len(self.busy_ms)} sales"
            say(f"{drained:,} rows in {took_s:.2f} s {beside}: {drained / took_s:,.0f} rows/s")
            thousands = (seq() - first) / 1000
            used = {name: (now - cpu_s[name]) / thousands * 1000 for name, now in self._cpu_s().items()}
            say("CPU ms a thousand rows: " + ", ".join(f"{name} {ms:.1f}" for name, ms in used.items()))
            for when, sales in (("beside the drain", self.busy_ms), ("without it", self.idle_ms)):
                waited_ms = self._waited_s[when] / len(sales) * 1000
                say(f"the daemon waited for a core {when}: {waited_ms:.2f} ms a sale")

    def _put_first(self) -> None:
        """Again and again: PostgreSQL makes each of its processes a session of its own."""
        if "first" not in self._how:
            return
        for process in (os.getpid(), self._daemon, self._gate.process.pid, *self._sides.values()):
            processes.put_first(process)
        if "apart" not in self._how:
            processes.take_turns(self.sync_process())

    def _sales(self, times_ms: list[float], when: str, is_over: Callable[[], bool]) -> None:
        waited, ends_at = processes.waited_s(self._daemon), time.monotonic() + TURN_S
        while time.monotonic() < ends_at and not (len(times_ms) % 10 == 0 and is_over()):
            times_ms.append(sale_ms(self._device))
            self._floor_ms[when].append(self._floor.write() * 1000)
            if len(times_ms) % 10 == 0:
                self.memory_kb.append(processes.resident_kb(self.sync_process()))
        self._waited_s[when] += processes.waited_s(self._daemon) - waited

    def _cpu_s(self) -> dict[str, float]:
        of_device = {
            "sync process": processes.cpu_s(self.sync_process()),
            "daemon": processes.cpu_s(self._daemon),
        }
        return of_device | {name: processes.family_cpu_s(process) for name, process in self._sides.items()}

    def report(self) -> None:
        """What a sale takes beside the drain and without it, and the sync process's memory."""
        for name, times in (("without the drain", self.idle_ms), ("beside it", self.busy_ms)):
            say(f"{name}: {percentiles(times)[2]}")
        calm, busy = percentiles(self.idle_ms), percentiles(self.busy_ms)
        ratios = busy[1] / calm[1], busy[0] / calm[0]
        say(f"p99 beside the drain: {ratios[0]:.2f} x without (goal 1.5); p50 {ratios[1]:.2f} x")
        floors = [percentiles(self._floor_ms[when])[1] for when in ("without it", "beside the drain")]
        say(f"the floor (512 B and a flush, after each sale), p99: {floors[0]:.2f} and {floors[1]:.2f} ms")
        self._floor.close()
        there = [kb for kb in self.memory_kb if kb]
        half = max(there[len(there) // 2 :]) / 1024
        say(f"sync process: {max(there) / 1024:.1f} MB at most, {half:.1f} MB in the second half")


@contextlib.contextmanager
def folders(how: set[str]) -> Iterator[tuple[Path, Path]]:
    """The device's and the hub's."""
    with (
        tempfile.TemporaryDirectory(prefix="vafa-drain-") as folder,
        tempfile.TemporaryDirectory(prefix="vafa-hub-", dir=MEMORY if "apart" in how else None) as far,
    ):
        Path(far).chmod(0o755)
        yield Path(folder), Path(far)


def sold_before(device: Device, rows: int) -> None:
    """A device's ledger with a backlog in it."""
    (device.state / "keys").mkdir(parents=True)
    key = device.state / "keys" / "device.key"
    key.write_text((b"k" * 32).hex())
    key.chmod(0o600)
    shop = Shop(device.state)
    backlog(shop, rows)
    shop.ledger.close()


def agree(device: Device, hub: RealHub, merchant: str) -> bool:
    """The hub has the newest row, with the same chain and the same books."""
    ends_at = time.monotonic() + SETTLED_S
    while time.monotonic() < ends_at:
        device.vafa("sync", "now")
        with contextlib.closing(connect_reader(device.state / "ledger.db")) as connection:
            sql = "SELECT seq, hash, state FROM journal ORDER BY seq DESC LIMIT 1"
            head = connection.execute(sql).fetchone()
        with opened("", hub.state) as database, database.transaction() as connection:
            line = current(lines_of(connection, merchant, 1))
        if line.seq == head[0]:
            return tuple(head) == (line.seq, line.hash, line.state)
    return False


def main(rows: int, how: set[str]) -> None:
    """The whole measurement."""
    with folders(how) as (near, far):
        hub, device = RealHub(far), Device(near / "device")
        sold_before(device, rows)
        with hub.running() as serving, device.running() as daemon:
            gate = Gate(hub.address.rpartition(":")[2])
            merchant = hub.vafa("merchant", "add", "bench")["merchants"][0]["merchant"]
            code = hub.vafa("code", "add", merchant)["code"]
            far_ones = (serving.pid, processes.postmaster(hub.state), gate.process.pid)
            for core, process in ((0, os.getpid()), (0, daemon.pid), *((1, each) for each in far_ones)):
                if "apart" in how:
                    processes.keep_to(core, process)
                if how >= {"apart", "first"} and core == 0:
                    processes.run_at_once(process)
            for _ in range(IDLE_SALES):
                sale_ms(device)
            seen = Drain(device, hub, gate, daemon.pid, serving.pid, how)
            address = hub.address.rpartition(":")[0] + f":{gate.port}"
            device.enrol(code, "--hub", address, "--ca", str(hub.authority.file))
            seen.run(merchant, rows)
            assert agree(device, hub, merchant), "the hashes differ"
            seen.report()
            gate.close()
    say("hashes agree")


if __name__ == "__main__":
    words = sys.argv[1:]
    main(next((int(word) for word in words if word.isdigit()), 100_000), set(words))
