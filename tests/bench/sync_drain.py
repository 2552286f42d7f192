"""A backlog drains while the shop sells: `python tests/bench/sync_drain.py [ROWS [apart]]`.

A real daemon with its own sync process (TLS, httpx, packing, signing), a real hub on an embedded PostgreSQL
that flushes every commit, all on one machine. Sales are asked of the daemon over its socket one after the
other, first idle, then while the backlog drains, then idle again; the machine's own noise is in both. Two
cores are shared by daemon, sync process, hub, PostgreSQL and this script. `apart` keeps the device (and this
script) to the first core, the hub's process to the second, and the hub's files in memory: sales then do not
wait for the hub's flushes.
"""

import os
import statistics
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from hub.drain_bench import backlog
from real_device import Device
from real_hub import RealHub
from shop import Shop

from vafa.hub.installation import opened
from vafa.hub.lines import current, lines_of
from vafa.ledger.storage import connect_reader

IDLE_SALES, PAUSE_S, SALES_A_LOOK = 300, 0.02, 5
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


def sync_process(daemon: int) -> int:
    """Its pid, 0 while there is none."""
    for each in Path(f"/proc/{daemon}/task").iterdir():
        for child in (each / "children").read_text().split():
            return int(child)
    return 0


def resident_kb(process: int) -> int:
    """What a process has in memory; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def keep_to(core: int, process: int) -> None:
    """A process and all it has begun, on one core from now on."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})
        for child in (thread / "children").read_text().split():
            keep_to(core, int(child))


MEMORY = "/dev/shm"  # noqa: S108 - a folder of its own is made in it


class Drain:
    """What is seen while it goes on."""

    def __init__(self, device: Device, hub: RealHub, daemon: int, merchant: str) -> None:
        self._device, self._hub, self._daemon, self._merchant = device, hub, daemon, merchant
        self.sales_ms: list[float] = []
        self.memory_kb: list[int] = []

    def head(self) -> tuple[int, bytes, bytes]:
        with opened("", self._hub.state) as database, database.transaction() as connection:
            line = current(lines_of(connection, self._merchant, 1))
            return line.seq, line.hash, line.state

    def run(self, rows: int) -> float:
        """Seconds until the hub has so many rows, a sale every now and then. By a connection kept open."""
        with opened("", self._hub.state) as database:
            began, first = 0.0, 0.0
            while True:
                with database.transaction() as connection:
                    seq = current(lines_of(connection, self._merchant, 1)).seq
                if seq and not began:
                    began, first = time.monotonic(), seq
                if seq >= rows:
                    break
                self.sales_ms.extend(sale_ms(self._device) for _ in range(SALES_A_LOOK))
                self.memory_kb.append(resident_kb(sync_process(self._daemon)))
        took = time.monotonic() - began
        say(
            f"{rows - first:,.0f} rows in {took:.2f} s after the first request: "
            f"{(rows - first) / took:,.0f} rows/s"
        )
        return took


def main(rows: int = 100_000, where: str = "") -> None:
    """The whole measurement."""
    with (
        tempfile.TemporaryDirectory(prefix="vafa-drain-") as folder,
        tempfile.TemporaryDirectory(prefix="vafa-hub-", dir=MEMORY if where == "apart" else None) as far,
    ):
        directory = Path(folder)
        Path(far).chmod(0o755)
        hub, device = RealHub(Path(far)), Device(directory / "device")
        (device.state / "keys").mkdir(parents=True)
        key = device.state / "keys" / "device.key"
        key.write_text((b"k" * 32).hex())
        key.chmod(0o600)
        shop = Shop(device.state)
        backlog(shop, rows)
        shop.ledger.close()
        with hub.running() as serving, device.running() as daemon:
            if where == "apart":
                keep_to(1, serving.pid)
                keep_to(0, daemon.pid)
                keep_to(0, os.getpid())
                keep_to(1, serving.pid)  # it is a child of ours
            idle = [sale_ms(device) for _ in range(IDLE_SALES)]
            merchant = hub.vafa("merchant", "add", "bench")["merchants"][0]["merchant"]
            code = hub.vafa("code", "add", merchant)["code"]
            seen = Drain(device, hub, daemon.pid, merchant)
            began = time.monotonic()
            device.enrol(code, "--hub", hub.address, "--ca", str(hub.authority.file))
            seen.run(rows)
            say(f"from the enrolment's start {time.monotonic() - began:.2f} s")
            idle_after = [sale_ms(device) for _ in range(IDLE_SALES)]
            device.vafa("sync", "now")
            with connect_reader(device.state / "ledger.db") as connection:
                sql = "SELECT seq, hash, state FROM journal ORDER BY seq DESC LIMIT 1"
                head = connection.execute(sql).fetchone()
            connection.close()
            assert tuple(head) == seen.head(), "the hashes differ"
            for name, times in (("idle", idle), ("draining", seen.sales_ms), ("idle again", idle_after)):
                say(f"{name}: {percentiles(times)[2]}")
            calm = percentiles(idle + idle_after)
            busy = percentiles(seen.sales_ms)
            say(
                f"p99 while draining: {busy[1] / calm[1]:.2f} x idle (goal 1.5); "
                f"p50 {busy[0] / calm[0]:.2f} x"
            )
            there = [kb for kb in seen.memory_kb if kb]
            half = max(there[len(there) // 2 :]) / 1024
            say(
                f"sync process: {max(there) / 1024:.1f} MB at most, "
                f"{half:.1f} MB in the second half; hashes agree"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, *sys.argv[2:3])
